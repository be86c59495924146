//! Every rule of `docs/PROXY.md` through the whole tunnel: a raw-socket device that breaks what a
//! small server can break (`tests/devices/hostile.py`), the real agent in front of it, and a viewer
//! that reads the bytes.

mod answers;
mod heads;
mod streams;
mod upgrades;

use serde_json::Value;

use crate::console::viewer::{Answer, Session, Viewer};
use crate::devices::world::{World, url_of};
use crate::support::until_true;

/// The device and its agent in a namespace that reaches the platform alone, and a session entered.
struct Stack {
    world: World,
    session: Session,
    /// The device's own host and port.
    own: String,
}

impl Stack {
    async fn start() -> Self {
        let mut world = World::start();
        let device = world.device("hostile");
        let url = url_of(&device, "url");
        world.agent(&[url]);
        let session = Session::open(&world.platform).enter().await;
        let own = url.trim_start_matches("http://").to_owned();
        Self {
            world,
            session,
            own,
        }
    }

    /// The session's public origin.
    fn origin(&self) -> String {
        format!("http://{}", self.session.host)
    }

    /// Sends `GET path` on a new connection.
    async fn open(&self, path: &str) -> Viewer {
        self.session.send(&format!("GET {path}"), "").await
    }

    async fn get(&self, path: &str) -> Answer {
        self.open(path).await.answer().await
    }

    /// What the device says has arrived for this request.
    async fn arrived(&self, line: &str, fields: &str) -> Value {
        let answer = self.session.send(line, fields).await.answer().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        serde_json::from_slice(&answer.body).expect("JSON")
    }

    /// The device's own counts.
    async fn stats(&self) -> Value {
        self.arrived("GET /stats", "").await
    }

    /// Waits until so many streams are open at the device.
    async fn until_streams(&self, count: u64) {
        let there = async || self.stats().await["streams"] == count;
        until_true(&format!("{count} streams"), there).await;
    }
}

/// The values of a field, in order, out of what the device says has arrived.
fn values<'a>(arrived: &'a Value, name: &str) -> Vec<&'a str> {
    let headers = arrived["headers"].as_array().expect("a list");
    headers
        .iter()
        .filter(|pair| {
            pair[0]
                .as_str()
                .is_some_and(|found| found.eq_ignore_ascii_case(name))
        })
        .map(|pair| pair[1].as_str().expect("text"))
        .collect()
}
