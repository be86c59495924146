//! Console sessions: opened, entered, listed and ended, each in the store, in the audit log, and at
//! the host's agent. The table itself is `sessions`'.

use tracing::info;

use super::{Actor, ErrorKind, ServiceError};
use crate::api;
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::ConsoleSessionId;
use crate::platform::Platform;
use crate::platform::registry::HostLink as _;
use crate::platform::sessions::{CloseReason, Session, TicketError};
use crate::platform::store::{HostRecord, SessionRecord, StoreError};
use crate::secret::Secret;

impl Platform {
    /// Opens a console session to a host, named by name or id.
    ///
    /// # Errors
    /// `host_unknown`, `host_offline`, `sessions_exhausted`.
    pub async fn open_session(
        &self,
        actor: &Actor,
        request: api::OpenSession,
    ) -> Result<api::OpenedSession, ServiceError> {
        let host = self.find_host(&request.host).await?;
        let Some(link) = self.registry.link(host.id) else {
            return Err(ServiceError::new(
                ErrorKind::Conflict,
                "host_offline",
                format!(
                    "{} is not connected: see that its agent runs and reaches the platform",
                    host.name
                ),
            ));
        };
        let now = UnixMillis::now();
        let opened = self
            .sessions()
            .open(now, host.id, &host.name, &actor.0)
            .ok_or_else(|| {
                ServiceError::new(
                    ErrorKind::Exhausted,
                    "sessions_exhausted",
                    "there are too many sessions: close some",
                )
            })?;
        let session = &opened.session;
        let record = SessionRecord {
            id: session.id,
            host: host.id,
            user: actor.0.clone(),
            label: session.label.clone(),
            created: session.created,
            expires: session.expires,
            cookie: None,
        };
        let audit = session_entry(now, &actor.0, "session.open", session)
            .detail("expires", session.expires.to_string());
        if let Err(error) = self.store.create_session(record, audit).await {
            // What is not in the audit log does not exist.
            self.sessions().close(session.id, CloseReason::ClosedByUser);
            return Err(error.into());
        }
        link.session_open(session);
        Ok(api::OpenedSession {
            session_id: session.id.to_string(),
            console_url: self.console_url(&session.label, &opened.ticket),
            expires_at: session.expires.to_string(),
        })
    }

    /// Trades a session's ticket for its cookie.
    ///
    /// # Errors
    /// `ticket_refused`, whatever is wrong with it.
    pub async fn enter_session(
        &self,
        session: &Session,
        ticket: &Secret,
    ) -> Result<Secret, ServiceError> {
        let now = UnixMillis::now();
        let entered = self.sessions().enter(now, session.id, ticket);
        let cookie = entered.map_err(|error: TicketError| {
            info!(session = %session.id, %error, "ticket refused");
            ServiceError::new(
                ErrorKind::Unauthenticated,
                "ticket_refused",
                "this address was used before or has expired: open the session again",
            )
        })?;
        let audit = session_entry(now, &session.user, "session.enter", session);
        self.store
            .session_entered(session.id, cookie.hash(), audit)
            .await?;
        Ok(cookie)
    }

    /// Lists the open sessions.
    pub fn list_sessions(&self) -> api::Sessions {
        let sessions = self
            .sessions()
            .list()
            .into_iter()
            .map(|(session, entered)| api::Session {
                session_id: session.id.to_string(),
                host_id: session.host.to_string(),
                host: session.host_name.clone(),
                user: session.user.clone(),
                created_at: session.created.to_string(),
                active_at: session.active().to_string(),
                expires_at: session.expires.to_string(),
                entered,
            });
        api::Sessions {
            sessions: sessions.collect(),
        }
    }

    /// Closes a session.
    ///
    /// # Errors
    /// `session_unknown`.
    pub async fn close_session(&self, actor: &Actor, id: &str) -> Result<(), ServiceError> {
        let unknown = || {
            ServiceError::new(
                ErrorKind::NotFound,
                "session_unknown",
                "there is no such open session",
            )
        };
        let id: ConsoleSessionId = id.parse().map_err(|_| unknown())?;
        self.end_session(id, CloseReason::ClosedByUser, &actor.0);
        if self.write_end(id).await? {
            Ok(())
        } else {
            Err(unknown())
        }
    }

    /// Ends an open session, to be written.
    pub(super) fn end_session(&self, id: ConsoleSessionId, reason: CloseReason, actor: &str) {
        let session = self.sessions().close(id, reason);
        if let Some(session) = session {
            self.session_ended(&session, reason, actor);
        }
    }

    /// Tells of the end of a session, and keeps it until [`Self::write_end`] has written it. Nothing
    /// is awaited here, so that no end is lost between the table and the store.
    pub(super) fn session_ended(&self, session: &Session, reason: CloseReason, actor: &str) {
        if let Some(link) = self.registry.link(session.host) {
            link.session_close(session.id, reason);
        }
        let audit = session_entry(UnixMillis::now(), actor, "session.close", session)
            .detail("user", session.user.as_str())
            .detail("reason", reason.code());
        self.unwritten_ends().insert(session.id, audit);
    }

    /// Writes a session's end. False when there is none to be written.
    pub(super) async fn write_end(&self, id: ConsoleSessionId) -> Result<bool, StoreError> {
        let audit = self.unwritten_ends().get(&id).cloned();
        let Some(audit) = audit else {
            return Ok(false);
        };
        match self.store.session_ended(id, audit).await {
            // Another call may have written it meanwhile.
            Ok(()) | Err(StoreError::NotFound) => {
                self.unwritten_ends().remove(&id);
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    async fn find_host(&self, name_or_id: &str) -> Result<HostRecord, ServiceError> {
        let found = self.store.host(name_or_id).await?;
        found.ok_or_else(|| {
            ServiceError::new(
                ErrorKind::NotFound,
                "host_unknown",
                "there is no host of this name or id: list them with hosts list",
            )
        })
    }
}

/// What the audit log says of a session.
fn session_entry(at: UnixMillis, actor: &str, action: &str, session: &Session) -> Entry {
    Entry::new(at, actor, action, format!("session:{}", session.id))
        .host(session.host)
        .session(session.id)
        .detail("host", session.host_name.as_str())
}
