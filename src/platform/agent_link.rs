//! A host's connection as the rest of the platform has it: what it is told of sessions and of its
//! own end. How it came about is `accept`'s affair.

use super::{
    registry::{HostLink, LinkEnd},
    sessions::{CloseReason, Session},
};
use crate::{
    clock::UnixMillis,
    ids::ConsoleSessionId,
    net::stream::Tunnel,
    wire::{
        messages::{ErrorCode, PlatformToAgent, SessionClose, SessionCloseReason, SessionOpen},
        values::Timestamp,
    },
};
use std::time::Duration;
use tracing::debug;

/// A host's connection, as the rest of the platform has it.
#[derive(Debug)]
pub struct AgentLink {
    /// The way to the host's device.
    pub tunnel: Tunnel,
}

impl HostLink for AgentLink {
    fn session_open(&self, session: &Session) {
        let message = SessionOpen {
            session_id: session.id.0,
            user: session.user.clone(),
            expires_at: timestamp(session.expires),
        };
        self.tell(message);
    }

    fn session_close(&self, id: ConsoleSessionId, reason: CloseReason) {
        let reason = match reason {
            CloseReason::ClosedByUser => SessionCloseReason::ClosedByUser,
            CloseReason::HostReenrolled | CloseReason::HostRevoked => {
                SessionCloseReason::ClosedByAdmin
            }
            CloseReason::Idle => SessionCloseReason::Idle,
            CloseReason::Expired | CloseReason::NeverEntered => SessionCloseReason::Expired,
        };
        self.tell(SessionClose {
            session_id: id.0,
            reason,
        });
    }

    fn end(&self, reason: LinkEnd) {
        let (code, text, window) = match reason {
            LinkEnd::Replaced => (
                ErrorCode::Replaced,
                "a newer connection took this one's place",
                Duration::ZERO,
            ),
            LinkEnd::DuplicateInstance => (
                ErrorCode::DuplicateInstance,
                "two agents use this host's credential in turn: enrol one of them anew",
                Duration::ZERO,
            ),
            LinkEnd::CredentialVoid => (
                ErrorCode::HostRevoked,
                "this host was enrolled anew",
                Duration::ZERO,
            ),
            LinkEnd::Revoked => (
                ErrorCode::HostRevoked,
                "this host was revoked",
                Duration::ZERO,
            ),
            LinkEnd::CertificateEnded => (
                ErrorCode::CertificateExpired,
                "the certificate has ended: renew it at /v1/agent/renew and come back",
                Duration::ZERO,
            ),
            LinkEnd::GoingAway { window } => {
                (ErrorCode::PlatformStopping, "the platform stops", window)
            }
        };
        self.tunnel.go_away(code, text, window);
        // An agent that knows of no window is sent off at once; the others leave within it.
        if window.is_zero() || self.tunnel.is_whole_only() {
            self.tunnel.close(code, text);
        }
    }

    fn round_trip(&self) -> Option<Duration> {
        self.tunnel.round_trip()
    }
}

impl AgentLink {
    fn tell(&self, message: impl Into<PlatformToAgent>) {
        if let Err(error) = self.tunnel.send(message) {
            debug!(%error, "an agent could not be told of a session");
        }
    }
}

fn timestamp(time: UnixMillis) -> Option<Timestamp> {
    let seconds = i64::try_from(time.0 / 1000).ok()?;
    Timestamp::new(seconds, i32::try_from(time.0 % 1000).ok()? * 1_000_000)
}
