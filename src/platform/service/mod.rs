//! What operators and agents can ask of the platform, behind the one API: each operation checks,
//! changes the store (with its audit entry), then tells whom it concerns. This file owns who acts,
//! how an operation is refused, and the housekeeping; the files beside it have the operations, one a service.
//! The doors to them are `api`'s.

pub mod access;
mod alert_channels;
mod alert_rules;
mod alert_silences;
mod alerts;
mod api_keys;
mod audit;
mod auth;
mod backups;
mod command_watch;
mod commands;
mod consoles;
mod deliveries;
pub mod enrolment;
mod enrolment_tokens;
mod events;
mod files;
mod fleet;
mod groups;
mod health;
mod hosts;
mod messages;
pub mod page;
mod parameters;
mod schedule;
mod targets;
mod users;

use std::time::Duration;

use tracing::{error, warn};

use super::Platform;
use super::identity::NameError;
use super::store::StoreError;
use crate::clock::UnixMillis;
use crate::ids::HostId;
use crate::wire::FieldInvalid;

/// How often the store is told that connected hosts are still there.
const SEEN_NOTED_EVERY: Duration = Duration::from_secs(60);

/// Who acts, as the audit log names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor(pub String);

/// An operation was refused or failed. `code` is stable; `detail` says what to do about it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct ServiceError {
    /// The kind, which decides the HTTP status.
    pub kind: ErrorKind,
    /// The stable word.
    pub code: &'static str,
    /// For people.
    pub detail: String,
    /// The field at fault, as in `packages[3]`.
    pub field: Option<String>,
    /// How long to wait before another try.
    pub retry_after: Option<Duration>,
}

/// Whose fault a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request cannot be understood, or is not as the schema has it.
    Malformed,
    /// It holds a value that the schema allows, and that does not do here.
    Invalid,
    /// It comes without a credential, or with one that is not good.
    Unauthenticated,
    /// Whoever asks may not do this.
    Forbidden,
    /// What it names is not there.
    NotFound,
    /// It is in conflict with how things are.
    Conflict,
    /// It asks for a change to what has changed since.
    Changed,
    /// It is larger than allowed.
    TooLarge,
    /// Its body is of another kind.
    MediaType,
    /// It comes too soon after others.
    TooMany,
    /// The platform is full.
    Exhausted,
    /// What it depends on does not answer, and may later.
    Unavailable,
    /// The platform failed.
    Internal,
}

impl ServiceError {
    /// An error of a kind.
    pub fn new(kind: ErrorKind, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind,
            code,
            detail: detail.into(),
            field: None,
            retry_after: None,
        }
    }

    /// A credential that is missing or not good.
    pub fn unauthenticated(code: &'static str, detail: &str) -> Self {
        Self::new(ErrorKind::Unauthenticated, code, detail)
    }

    /// The same, with the time after which to try again.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }
}

impl ServiceError {
    /// A name that is none.
    fn name(error: &NameError) -> Self {
        let mut refused = Self::new(ErrorKind::Invalid, "name_invalid", error.to_string());
        refused.field = Some("name".to_owned());
        refused
    }
}

impl From<FieldInvalid> for ServiceError {
    fn from(error: FieldInvalid) -> Self {
        let detail = format!("{} {}", error.field, error.problem);
        let mut refused = Self::new(ErrorKind::Malformed, "field_invalid", detail);
        refused.field = Some(error.field.to_owned());
        refused
    }
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NameTaken => name_taken(),
            StoreError::Repeated => {
                Self::new(ErrorKind::Conflict, "request_repeated", error.to_string())
            }
            StoreError::NotFound => Self::new(ErrorKind::NotFound, "not_found", error.to_string()),
            StoreError::Taken => Self::new(
                ErrorKind::Conflict,
                "name_taken",
                "another has this name: choose another",
            ),
            StoreError::GroupUnknown => Self::new(
                ErrorKind::Invalid,
                "group_unknown",
                "there is no group of this id",
            ),
            StoreError::ChannelUnknown => parameters::refused(
                "spec.channel_ids",
                "channel_unknown",
                "there is no channel of one of these ids: list them with alert-channel list",
            ),
            StoreError::SilenceOver => Self::new(
                ErrorKind::Conflict,
                "silence_over",
                "this silence is over: make another one",
            ),
            StoreError::GroupInRules(rules) => Self::new(
                ErrorKind::Conflict,
                "group_in_rules",
                format!(
                    "rules of alerts are about this group: {}; remove them first, or have them be about other hosts",
                    rules.join(", ")
                ),
            ),
            StoreError::VersionChanged => Self::new(
                ErrorKind::Changed,
                "changed_meanwhile",
                "it was changed meanwhile: read it again and change what it is now",
            ),
            StoreError::Full => Self::new(
                ErrorKind::Exhausted,
                "too_many",
                "there are as many as there may be: remove one first",
            ),
            error => {
                error!(%error, "the store failed");
                // What the database says is for the log: it may hold a path.
                Self::new(
                    ErrorKind::Internal,
                    "store_failed",
                    "the platform's store failed; its log says why",
                )
            }
        }
    }
}

impl Platform {
    /// Ends the sessions whose time is over, to be written. Called about once a second, and waits for
    /// nothing: no session is to go on because the store does not answer.
    pub fn expire_sessions(&self) {
        let ended = self.sessions().expire(UnixMillis::now());
        for (session, reason) in ended {
            self.session_ended(&session, reason, "platform");
        }
    }

    /// Writes down the sessions that have ended and when hosts were last heard of. Called about once a
    /// second.
    pub async fn write_down(&self) {
        let unwritten: Vec<_> = self.unwritten_ends().keys().copied().collect();
        for id in unwritten {
            if let Err(error) = self.write_end(id).await {
                // The others would fare no better: all are tried again at the next pass.
                warn!(session = %id, %error, "the end of a session could not be written yet");
                break;
            }
        }
        let seen = self.take_seen(UnixMillis::now());
        if !seen.is_empty()
            && let Err(error) = self.store.hosts_seen(seen).await
        {
            warn!(%error, "could not note when hosts were last seen");
        }
    }

    /// What the store is to be told of hosts that were heard of; once a minute that is everyone who
    /// is connected, so that a crash loses no more than that.
    fn take_seen(&self, now: UnixMillis) -> Vec<(HostId, UnixMillis)> {
        let mut seen = self.seen();
        if now.since(seen.all_at) >= SEEN_NOTED_EVERY {
            seen.all_at = now;
            seen.hosts.extend(
                self.registry
                    .connected_hosts()
                    .into_iter()
                    .map(|host| (host, now)),
            );
        }
        seen.hosts.drain().collect()
    }
}

fn name_taken() -> ServiceError {
    ServiceError::new(
        ErrorKind::Conflict,
        "name_taken",
        "another host has this name: choose another, or create a token for this name to enrol that host anew",
    )
}
