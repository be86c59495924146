//! What clients and agents say to the platform over HTTP, as JSON: the operator's API under `/api`
//! and the enrolment of an agent. Shared by the platform, the command line and the agent; times are
//! RFC 3339 in UTC. The link's own messages are elsewhere, they come from the schema.

use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// `POST /api/tokens`: asks for a single-use enrolment token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// The name that the host is to have. A host of this name is enrolled anew, under its old id.
    /// Without it the agent chooses a name that is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How long the token is good for, in seconds; the platform's default otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
}

/// A new enrolment token. It is shown this once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedToken {
    /// The token's text.
    pub token: Secret,
    /// The name it is bound to, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Until when it is taken.
    pub expires_at: String,
}

/// `POST /api/hosts`: makes a host for an agent that cannot enrol itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateHost {
    /// Its name, which no other host has.
    pub name: String,
}

/// A new host with its credential, which is shown this once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedHost {
    /// The host's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What the agent authenticates with.
    pub auth_token: Secret,
}

/// `GET /api/hosts`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hosts {
    /// Every host, by name.
    pub hosts: Vec<Host>,
}

/// One enrolled host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// The host's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether its agent is connected.
    pub status: HostStatus,
    /// A stable word for what is wrong, such as `duplicate_instance`; absent when nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// When it was enrolled.
    pub created_at: String,
    /// When its agent was last heard of; absent when it has never connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<String>,
    /// Since when its agent is connected; absent when it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connected_since: Option<String>,
    /// From which address, as the platform sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The agent's program and version, as it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub software: Option<String>,
    /// The link's round trip in milliseconds, when it has been measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_ms: Option<f64>,
    /// The agent's last health report on this connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
}

/// Whether a host's agent is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostStatus {
    /// It is.
    Online,
    /// It is not.
    Offline,
}

/// What an agent reports of its machine with each heartbeat; absent is what it cannot tell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Seconds since the machine started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uptime_seconds: Option<u64>,
    /// Load of all processors, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<f64>,
    /// Memory in use, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_percent: Option<f64>,
    /// The fullest file system, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_percent: Option<f64>,
    /// Load average over a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_average: Option<f64>,
    /// The hottest sensor, in degrees Celsius.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature_celsius: Option<f64>,
}

/// `POST /api/sessions`: opens a console session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenSession {
    /// The host's name or id.
    pub host: String,
}

/// A console session that was just opened, with the one way into it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenedSession {
    /// The session's id.
    pub session_id: String,
    /// The address to open in a browser, within a minute and once: its fragment is a ticket.
    pub console_url: Secret,
    /// When the session ends at the latest.
    pub expires_at: String,
}

/// `GET /api/sessions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sessions {
    /// Every open session, oldest first.
    pub sessions: Vec<Session>,
}

/// One open console session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The session's id.
    pub session_id: String,
    /// The host it leads to.
    pub host_id: String,
    /// That host's name.
    pub host: String,
    /// Whose session it is.
    pub user: String,
    /// When it was opened.
    pub created_at: String,
    /// When it was last used.
    pub active_at: String,
    /// When it ends at the latest.
    pub expires_at: String,
    /// Whether a browser has entered it.
    pub entered: bool,
}

/// `POST /v1/agent/enroll`: an agent trades its token for a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrol {
    /// The enrolment token.
    pub token: Secret,
    /// The name it would like, taken when the token names none.
    pub name: String,
    /// A random text that the agent saved before its first try: the same token with the same key is
    /// answered again, so that an answer lost on the way costs no token.
    pub idempotency_key: Secret,
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
    /// The platform's CA, the only one it trusts.
    pub ca_pem: String,
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
