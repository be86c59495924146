//! What an agent says to the platform over HTTP, as JSON, before it has a link: its enrolment. Shared by
//! the platform and the agent. The operator's API and the link's messages come from the schema.

use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// `POST /v1/agent/enroll`: an agent trades its token for a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrol {
    /// The enrolment token.
    pub token: Secret,
    /// The name it would like, taken when the token names none.
    pub name: String,
    /// A certificate request (PKCS #10, PEM) by the agent's own key, on P-256. The token binds to this
    /// key: with it, it is answered again, so that an answer lost on the way costs no token.
    pub csr: String,
}

/// What an enrolled agent keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    /// The host's id.
    pub host_id: String,
    /// The name it got.
    pub name: String,
    /// What it authenticates with from now on.
    pub auth_token: Secret,
    /// The name in the platform's certificate, which it sends as SNI whatever address it dials.
    pub server_name: String,
    /// The CAs it trusts, and no others (PEM); the one of its token first.
    pub ca_pem: String,
    /// Its certificate (PEM), which it presents in TLS.
    pub certificate: String,
    /// When it is to ask for another.
    pub renew_after_seconds: u32,
}

/// `POST /v1/agent/renew`: an agent whose certificate has ended asks for another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renew {
    /// Its device token.
    pub auth_token: Secret,
    /// A certificate request by the key that it was enrolled with.
    pub csr: String,
}

/// What a renewed agent keeps, in place of what it had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewed {
    /// What it authenticates with from now on. What it came with is good until this is used.
    pub auth_token: Secret,
    /// The name in the platform's certificate.
    pub server_name: String,
    /// The CAs it trusts.
    pub ca_pem: String,
    /// Its certificate.
    pub certificate: String,
    /// When it is to ask for another.
    pub renew_after_seconds: u32,
}

/// An answer that is no success: RFC 9457 problem details.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Always `about:blank`: `code` tells problems apart.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened, for people.
    pub detail: String,
    /// What happened, as a stable word for programs.
    pub code: String,
}
