//! What runs beside a fault: a real agent with a device, and a download through it that must go on.

use fleetwire::wire::Encoding;

use super::raw::RawAgent;
use crate::console::viewer::{Session, Viewer};
use crate::support::{Platform, until_status};
use crate::traffic::{Site, splitmix64};

/// Longer than any test lasts.
const DOWNLOAD_BYTES: u64 = 1 << 40;
/// How much of it is checked after each fault: more than lies in the buffers on its way.
const STEP_BYTES: usize = 8 << 20;
const SEED: u64 = 7;

/// A platform with a well-behaved agent, whose download is running, and one that is the test.
pub struct Beside {
    site: Site,
    download: Viewer,
    words: u64,
    /// The device token of the host that the test plays.
    pub token: String,
}

/// The host that the test plays.
pub const HOST: &str = "odd";

impl Beside {
    pub async fn start() -> Self {
        let site = Site::start();
        let line = format!("GET /download?bytes={DOWNLOAD_BYTES}&seed={SEED}");
        let mut download = site.session().await.send(&line, "").await;
        assert_eq!(download.answer_head().await.status, 200);
        let token = device_token(&site.platform, HOST);
        Self {
            site,
            download,
            words: 0,
            token,
        }
    }

    pub const fn platform(&self) -> &Platform {
        &self.site.platform
    }

    /// Reads more of the download, and checks every byte of it.
    pub async fn goes_on(&mut self) {
        let piece = self.download.take(STEP_BYTES).await;
        for word in piece.as_chunks::<8>().0 {
            self.words += 1;
            assert_eq!(
                u64::from_le_bytes(*word),
                splitmix64(SEED, self.words),
                "word {}",
                self.words
            );
        }
    }

    /// The test's own host, let in.
    pub async fn agent(&self, encoding: Encoding) -> RawAgent {
        RawAgent::admitted(self.platform(), encoding, &self.token).await
    }

    /// A session with the test's own host.
    pub async fn session(&self) -> Session {
        until_status(self.platform(), HOST, "online");
        Session::open_for(self.platform(), HOST).enter().await
    }

    /// The fault is over: its host is offline, and nobody else has felt anything.
    pub async fn settled(&mut self) {
        until_status(self.platform(), HOST, "offline");
        self.goes_on().await;
        until_status(self.platform(), "kvm", "online");
    }
}

/// Makes a host for an agent that cannot enrol itself.
pub fn device_token(platform: &Platform, name: &str) -> String {
    let created = platform.operate_json(&["host", "create", name]);
    created["auth_token"].as_str().expect("a token").to_owned()
}
