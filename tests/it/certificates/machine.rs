//! An enrolled host whose key and tokens the test has in hand.

use std::io;
use std::sync::Arc;

use fleetwire::net::enrolment::{ENROL_PATH, RENEW_PATH};
use fleetwire::net::http_client::HttpError;
use fleetwire::net::tls;
use fleetwire::secret::Secret;
use fleetwire::wire::Encoding;
use fleetwire::wire::api::{
    EnrolHostRequest, EnrolHostResponse, RenewCertificateRequest, RenewCertificateResponse,
};
use fleetwire::wire::messages::{ErrorCode, PlatformToAgent, Refuse};
use hyper::Method;
use rcgen::KeyPair;
use rustls::{ClientConfig, HandshakeKind};

use super::AGENTS;
use crate::enrol::{key, request_by};
use crate::peers::raw::{RawAgent, hello, shake_hands, subprotocol, trusting, upgrade_over};
use crate::support::Platform;

pub struct Machine {
    pub key: KeyPair,
    pub enrolled: EnrolHostResponse,
}

impl Machine {
    /// Enrols a host of this name with a key of its own.
    pub async fn enrol(platform: &Platform, name: &str) -> Self {
        let token = platform.enrolment_token(&["--name", name]);
        Self::enrol_with(platform, &token, name).await
    }

    /// The same with this token.
    pub async fn enrol_with(platform: &Platform, token: &str, name: &str) -> Self {
        let key = key();
        let enrolled = enrol(platform, token, name, request_by(&key)).await;
        Self {
            key,
            enrolled: enrolled.expect("enrolled"),
        }
    }

    /// The settings of an agent that presents this certificate, by its key.
    pub fn presenting(&self, platform: &Platform, certificate: &str) -> Arc<ClientConfig> {
        let identity = tls::certified_key_from_pem(certificate, &self.key.serialize_pem());
        tls::client_presenting(platform.authorities(), identity.expect("a pair")).expect("a CA")
    }

    /// The settings of this machine's agent.
    pub fn config(&self, platform: &Platform) -> Arc<ClientConfig> {
        self.presenting(platform, &self.enrolled.certificate)
    }

    pub fn token(&self) -> &str {
        self.enrolled.auth_token.expose()
    }

    /// Renews with this device token.
    pub async fn renew(
        &self,
        platform: &Platform,
        token: &Secret,
    ) -> Result<RenewCertificateResponse, HttpError> {
        renew(platform, token, request_by(&self.key)).await
    }
}

pub async fn enrol(
    platform: &Platform,
    token: &str,
    name: &str,
    csr: String,
) -> Result<EnrolHostResponse, HttpError> {
    let request = EnrolHostRequest {
        token: Secret::new(token.to_owned()),
        name: name.to_owned(),
        csr,
    };
    platform.anonymous().0.post(ENROL_PATH, request).await
}

pub async fn renew(
    platform: &Platform,
    token: &Secret,
    csr: String,
) -> Result<RenewCertificateResponse, HttpError> {
    let request = RenewCertificateRequest {
        auth_token: token.clone(),
        csr,
    };
    platform.anonymous().0.post(RENEW_PATH, request).await
}

/// Connects as an agent by this name, and says nothing yet.
pub async fn connect(
    platform: &Platform,
    config: Arc<ClientConfig>,
    name: &str,
) -> io::Result<(RawAgent, HandshakeKind)> {
    let stream = shake_hands(platform, config, name).await?;
    let kind = stream.get_ref().1.handshake_kind();
    let binary = Some(subprotocol(Encoding::Binary));
    // A certificate that is refused shows here at the earliest: TLS 1.3 is done before.
    let upgraded = upgrade_over(platform, stream, "", binary, &[]).await;
    let (socket, _) = upgraded.map_err(io::Error::other)?;
    Ok((
        RawAgent::new(socket, Encoding::Binary),
        kind.expect("a handshake is over"),
    ))
}

/// Connects by the agents' name with this token, and is let in.
pub async fn let_in(
    platform: &Platform,
    config: Arc<ClientConfig>,
    token: &str,
) -> (RawAgent, HandshakeKind) {
    let connected = connect(platform, config, AGENTS).await;
    let (mut agent, kind) = connected.expect("upgraded");
    agent.send(hello(token)).await;
    agent.welcome().await;
    (agent, kind)
}

/// Connects with this token, and is not let in.
pub async fn refused(
    platform: &Platform,
    config: Arc<ClientConfig>,
    name: &str,
    token: &str,
) -> (Refuse, HandshakeKind) {
    let (mut agent, kind) = connect(platform, config, name).await.expect("upgraded");
    agent.send(hello(token)).await;
    match agent.next().await {
        PlatformToAgent::Refuse(refuse) => (refuse, kind),
        other => panic!("let in: {other:?}"),
    }
}

/// The same without a certificate.
pub async fn refused_without(platform: &Platform, name: &str, token: &str) -> ErrorCode {
    refused(platform, trusting(platform), name, token)
        .await
        .0
        .code
}

/// Revokes a host, as an administrator.
pub async fn revoke(platform: &Platform, host: &str) -> Result<(), HttpError> {
    let path = format!("/api/hosts/{host}/revoke");
    let client = platform.client();
    let revoked = client.call::<(), Option<()>>(Method::POST, &path, None);
    revoked.await.map(|_| ())
}

/// The stable word of a refusal over HTTP.
pub fn code<T: std::fmt::Debug>(refused: Result<T, HttpError>) -> String {
    let error = refused.expect_err("refused");
    error
        .code()
        .map_or_else(|| error.to_string(), str::to_owned)
}

/// The actions of the audit log with their outcomes and reasons.
pub fn audited(platform: &Platform) -> Vec<String> {
    let output = platform.operate(&["audit", "export"]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    let entry = |line: &str| {
        let entry: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let action = entry["action"].as_str()?;
        let details = entry["details"].as_array()?;
        let reason = details.iter().find(|detail| detail[0] == "reason");
        Some(match reason.and_then(|reason| reason[1].as_str()) {
            Some(reason) => format!("{action} {} {reason}", entry["outcome"].as_str()?),
            None => format!("{action} {}", entry["outcome"].as_str()?),
        })
    };
    text.lines().filter_map(entry).collect()
}
