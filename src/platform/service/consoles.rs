//! Console sessions: opened, entered, listed and ended, each in the store, in the audit log, and at
//! the host's agent. The table itself is `sessions`'.

use std::sync::Arc;

use tracing::info;

use super::page::Page;
use super::{ErrorKind, ServiceError};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::ConsoleSessionId;
use crate::platform::Platform;
use crate::platform::api::{Answer, Call, OpenSession, SessionService};
use crate::platform::identity::Role;
use crate::platform::registry::HostLink as _;
use crate::platform::sessions::{CloseReason, Session, TicketError};
use crate::platform::store::{SessionRecord, StoreError};
use crate::secret::Secret;
use crate::wire::api::{
    CloseSessionRequest, CloseSessionResponse, GetSessionRequest, GetSessionResponse,
    ListSessionsRequest, ListSessionsResponse, OpenSessionRequest, OpenSessionResponse,
    Session as Shown,
};

impl SessionService for Platform {
    async fn open_session(
        self: Arc<Self>,
        call: Call,
        request: OpenSessionRequest,
    ) -> Answer<OpenSessionResponse> {
        let host = self.find_host(&call, &request.host).await?;
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
        let actor = call.actor();
        let opened = self
            .sessions()
            .open(now, host.id, &host.name, actor)
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
            user: actor.to_owned(),
            label: session.label.clone(),
            created: session.created,
            expires: session.expires,
            cookie: None,
        };
        let audit = session_entry(now, actor, "session.open", session)
            .detail("expires", session.expires.to_string());
        let answer = OpenSessionResponse {
            session_id: session.id.into(),
            console_url: self.console_url(&session.label, &opened.ticket),
            expires_at: Some(session.expires.into()),
        };
        let change = call.change::<OpenSession>(audit, &answer)?;
        if let Err(error) = self.store.create_session(record, change).await {
            // What is not in the audit log does not exist.
            self.sessions().close(session.id, CloseReason::ClosedByUser);
            return Err(error.into());
        }
        link.session_open(session);
        Ok(answer)
    }

    async fn list_sessions(
        self: Arc<Self>,
        call: Call,
        request: ListSessionsRequest,
    ) -> Answer<ListSessionsResponse> {
        let page = Page::of(request.page_size, &request.page_token)?;
        let host = if request.host.is_empty() {
            None
        } else {
            Some(self.find_host(&call, &request.host).await?.id)
        };
        // Oldest first; those of one instant by their ids, so that a page can begin after any.
        let place = |session: &Session| format!("{:020}{}", session.created.0, session.id);
        let mut open = self.sessions().list();
        open.sort_by_cached_key(|(session, _)| place(session));
        let found = open
            .iter()
            .filter(|(session, _)| host.is_none_or(|host| session.host == host))
            .filter(|(session, _)| self.identity.may(&call.caller, session.host))
            .filter(|(session, _)| page.after().is_none_or(|after| *place(session) > *after));
        let (sessions, next_page_token) = page.take(found, |(session, _)| place(session));
        let sessions = sessions.into_iter();
        let sessions =
            sessions.map(|(session, entered)| self.shown_session(&call, session, *entered));
        Ok(ListSessionsResponse {
            sessions: sessions.collect(),
            next_page_token,
        })
    }

    async fn get_session(
        self: Arc<Self>,
        call: Call,
        request: GetSessionRequest,
    ) -> Answer<GetSessionResponse> {
        let found = self.sessions().find(request.session_id.into());
        let (session, entered) = found
            .filter(|(session, _)| self.identity.may(&call.caller, session.host))
            .ok_or_else(|| unknown("there is no such open session"))?;
        Ok(GetSessionResponse {
            session: Some(self.shown_session(&call, &session, entered)),
        })
    }

    async fn close_session(
        self: Arc<Self>,
        call: Call,
        request: CloseSessionRequest,
    ) -> Answer<CloseSessionResponse> {
        let id = ConsoleSessionId::from(request.session_id);
        let caller = &call.caller;
        let is_theirs = |session: &Session| {
            let is_own = session.user == call.actor() || caller.role() == Role::Admin;
            is_own && self.identity.may(caller, session.host)
        };
        // One that ended and is not written yet is closed as if it were open.
        let session = self.sessions().get(id);
        if session.is_none_or(|session| is_theirs(&session)) {
            self.end_session(id, CloseReason::ClosedByUser, call.actor());
            if self.write_end(id).await? {
                return Ok(CloseSessionResponse {});
            }
        }
        Err(unknown("there is no such open session of yours"))
    }
}

impl Platform {
    /// A session as the caller sees it.
    fn shown_session(&self, call: &Call, session: &Session, entered: bool) -> Shown {
        let is_own = session.user == call.actor();
        let console_url = match entered && is_own {
            true => format!("{}/", self.console_origin(&session.label)),
            false => String::new(),
        };
        Shown {
            session_id: session.id.into(),
            host_id: session.host.into(),
            host: session.host_name.clone(),
            user: session.user.clone(),
            created_at: Some(session.created.into()),
            active_at: Some(session.active().into()),
            expires_at: Some(session.expires.into()),
            entered,
            console_url,
            idle_timeout_seconds: u32::try_from(self.config.session_idle.as_secs())
                .unwrap_or(u32::MAX),
        }
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
}

fn unknown(detail: &str) -> ServiceError {
    ServiceError::new(ErrorKind::NotFound, "session_unknown", detail)
}

/// What the audit log says of a session.
fn session_entry(at: UnixMillis, actor: &str, action: &str, session: &Session) -> Entry {
    Entry::new(at, actor, action, format!("session:{}", session.id))
        .host(session.host)
        .session(session.id)
        .detail("host", session.host_name.as_str())
}
