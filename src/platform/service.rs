//! What operators and agents can ask of the platform, behind the one API: each operation checks,
//! changes the store (with its audit entry), then tells whom it concerns. HTTP is `rest`'s.

use std::sync::Arc;
use std::time::Duration;

use tracing::{error, info, warn};

use super::Platform;
use super::accept::AgentLink;
use super::registry::{Admission, Arrival, ConnectionId, HostLink, LinkEnd};
use super::sessions::{CloseReason, Session, TicketError};
use super::store::{
    AuditEntry, Enrolment, EnrolmentOutcome, HostRecord, NewEnrolmentToken, NewHost, SessionRecord,
    StoreError,
};
use crate::api;
use crate::clock::UnixMillis;
use crate::ids::{ConsoleSessionId, HostId};
use crate::net::enrolment::EnrolmentToken;
use crate::secret::{Secret, SecretHash, random};

/// How an agent's credential begins.
pub const AUTH_TOKEN_PREFIX: &str = "agt_";
/// How an operator's API token begins.
pub const API_TOKEN_PREFIX: &str = "fwa_";

const HOST_NAME_BYTES_MAX: usize = 63;
/// The longest an enrolment token may be good for.
const TOKEN_TTL_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

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
}

/// Whose fault a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request cannot be understood or holds a value that does not do.
    Invalid,
    /// It comes without a credential, or with one that is not good.
    Unauthenticated,
    /// What it names is not there.
    NotFound,
    /// It is in conflict with how things are.
    Conflict,
    /// It is larger than allowed.
    TooLarge,
    /// The platform is full.
    Exhausted,
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
        }
    }
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NameTaken => name_taken(),
            StoreError::NotFound => Self::new(ErrorKind::NotFound, "not_found", error.to_string()),
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
    /// Who has this API token, compared with all of them in constant time.
    pub fn operator(&self, token: &str) -> Option<Actor> {
        use subtle::ConstantTimeEq as _;
        let presented = SecretHash::of(token.as_bytes());
        let mut found = None;
        for (name, hash) in &self.api_tokens {
            if bool::from(hash.as_bytes().ct_eq(presented.as_bytes())) {
                found = Some(Actor(name.clone()));
            }
        }
        found
    }

    /// Makes an enrolment token.
    ///
    /// # Errors
    /// When the name or the time asked for does not do.
    pub async fn create_token(
        &self,
        actor: &Actor,
        request: api::CreateToken,
    ) -> Result<api::CreatedToken, ServiceError> {
        if let Some(name) = &request.name {
            check_host_name(name)?;
        }
        let ttl = request
            .ttl_seconds
            .map_or(self.config.token_ttl, Duration::from_secs);
        if ttl.is_zero() || ttl > TOKEN_TTL_MAX {
            return Err(ServiceError::new(
                ErrorKind::Invalid,
                "ttl_invalid",
                "a token is good for a second at least and 30 days at most",
            ));
        }
        let token = EnrolmentToken::generate(self.ca_fingerprint, &self.config.server_name)
            .map_err(|error| {
                ServiceError::new(ErrorKind::Internal, "internal", error.to_string())
            })?;
        let now = UnixMillis::now();
        let expires = now.plus(ttl);
        let record = NewEnrolmentToken {
            secret: token.secret_hash(),
            name: request.name.clone(),
            at: now,
            expires,
        };
        let subject = request.name.as_deref().unwrap_or("any host");
        let audit = entry(
            now,
            actor,
            "token.create",
            subject.to_owned(),
            format!("until {expires}"),
        );
        self.store.create_enrolment_token(record, audit).await?;
        Ok(api::CreatedToken {
            token: token.to_text(),
            name: request.name,
            expires_at: expires.to_string(),
        })
    }

    /// Makes a host for an agent that cannot enrol itself.
    ///
    /// # Errors
    /// When the name does not do or is taken.
    pub async fn create_host(
        &self,
        actor: &Actor,
        request: api::CreateHost,
    ) -> Result<api::CreatedHost, ServiceError> {
        check_host_name(&request.name)?;
        let (id, now) = (HostId::random(random()), UnixMillis::now());
        let auth_token = Secret::generate(AUTH_TOKEN_PREFIX);
        let host = NewHost {
            id,
            name: request.name.clone(),
            auth_token: auth_token.hash(),
            at: now,
        };
        let audit = entry(
            now,
            actor,
            "host.create",
            format!("host:{id}"),
            request.name.clone(),
        );
        self.store.create_host(host, audit).await?;
        Ok(api::CreatedHost {
            id: id.to_string(),
            name: request.name,
            auth_token,
        })
    }

    /// Lists all hosts.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list_hosts(&self) -> Result<api::Hosts, ServiceError> {
        let now = UnixMillis::now();
        let records = self.store.hosts().await?;
        Ok(api::Hosts {
            hosts: records
                .iter()
                .map(|record| self.host(now, record))
                .collect(),
        })
    }

    /// Trades an agent's enrolment token for a credential.
    ///
    /// # Errors
    /// `token_unknown`, `token_used`, `token_expired`, `name_taken`, `name_invalid`.
    pub async fn enrol(&self, request: api::Enrol) -> Result<api::Enrolled, ServiceError> {
        // What cannot be read was never given out: it is as unknown as a wrong secret.
        let token = EnrolmentToken::parse(request.token.expose()).map_err(|_| token_unknown())?;
        let auth_token = Secret::generate(AUTH_TOKEN_PREFIX);
        check_host_name(&request.name)?;
        let enrolment = Enrolment {
            secret: token.secret_hash(),
            key: request.idempotency_key.hash(),
            wished_name: request.name,
            new_host: HostId::random(random()),
            auth_token: auth_token.hash(),
            at: UnixMillis::now(),
        };
        let unauthenticated =
            |code, detail: &str| Err(ServiceError::new(ErrorKind::Unauthenticated, code, detail));
        match self.store.enrol(enrolment).await? {
            EnrolmentOutcome::Enrolled { id, name } => {
                info!(host = %id, name, "enrolled");
                // Whoever holds the old credential, or a session to the old machine, is cut off.
                self.registry.end(id, LinkEnd::CredentialVoid);
                let sessions = self.sessions().of_host(id);
                for session in sessions {
                    self.end_session(session.id, CloseReason::HostReenrolled, "platform")
                        .await?;
                }
                Ok(api::Enrolled {
                    host_id: id.to_string(),
                    name,
                    auth_token,
                    server_name: self.config.server_name.clone(),
                    ca_pem: self.ca_pem.clone(),
                })
            }
            EnrolmentOutcome::TokenUnknown => Err(token_unknown()),
            EnrolmentOutcome::TokenUsed => unauthenticated(
                "token_used",
                "the enrolment token was used before: create another",
            ),
            EnrolmentOutcome::TokenExpired => unauthenticated(
                "token_expired",
                "the enrolment token has expired: create another",
            ),
            EnrolmentOutcome::NameTaken => Err(name_taken()),
        }
    }

    /// The host with this credential, for an agent that connects.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn authenticate_host(
        &self,
        token: &Secret,
    ) -> Result<Option<HostRecord>, ServiceError> {
        Ok(self.store.host_by_token(token.hash()).await?)
    }

    /// Makes an authenticated connection its host's, and tells its agent of the open sessions.
    pub fn host_connected(&self, name: &str, arrival: Arrival<AgentLink>) -> Admission {
        let now = UnixMillis::now();
        let (host, link) = (arrival.host, arrival.link.clone());
        let admission = self.registry.admit(now, arrival);
        match admission {
            Admission::Admitted { replaced, .. } => {
                info!(%host, name, replaced, "connected");
                self.seen().hosts.insert(host, now);
                let sessions = self.sessions().of_host(host);
                for session in sessions {
                    link.session_open(&session);
                }
            }
            Admission::DuplicateInstance => {
                warn!(%host, name, alarm = "duplicate_instance", "two agents use this host's credential in turn: one machine is a copy of the other; enrol one of them anew");
            }
        }
        admission
    }

    /// Notes that a host's connection has ended.
    pub fn host_disconnected(&self, host: HostId, connection: ConnectionId, why: &str) {
        if self.registry.remove(host, connection) {
            info!(%host, why, "disconnected");
            self.seen().hosts.insert(host, UnixMillis::now());
        }
    }

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
        let subject = format!("session:{}", session.id);
        let audit = entry(
            now,
            actor,
            "session.open",
            subject,
            format!("host:{}", host.id),
        );
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
        let actor = Actor(session.user.clone());
        let subject = format!("session:{}", session.id);
        let audit = entry(now, &actor, "session.enter", subject, String::new());
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
        if self
            .end_session(id, CloseReason::ClosedByUser, &actor.0)
            .await?
        {
            Ok(())
        } else {
            Err(unknown())
        }
    }

    /// Ends the sessions whose time is over and keeps when hosts were last heard of. Called about
    /// once a second.
    pub async fn keep_house(&self) {
        let now = UnixMillis::now();
        let ended = self.sessions().expire(now);
        for (session, reason) in ended {
            if let Err(error) = self.session_ended(&session, reason, "platform").await {
                warn!(session = %session.id, %error, "an ended session could not be noted");
            }
        }
        let seen = self.take_seen(now);
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

    async fn end_session(
        &self,
        id: ConsoleSessionId,
        reason: CloseReason,
        actor: &str,
    ) -> Result<bool, ServiceError> {
        let session = self.sessions().close(id, reason);
        match session {
            Some(session) => {
                self.session_ended(&session, reason, actor).await?;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    async fn session_ended(
        &self,
        session: &Arc<Session>,
        reason: CloseReason,
        actor: &str,
    ) -> Result<(), ServiceError> {
        if let Some(link) = self.registry.link(session.host) {
            link.session_close(session.id, reason);
        }
        let subject = format!("session:{}", session.id);
        let actor = Actor(actor.to_owned());
        let now = UnixMillis::now();
        let audit = entry(
            now,
            &actor,
            "session.close",
            subject,
            reason.code().to_owned(),
        );
        match self.store.session_ended(session.id, audit).await {
            Ok(()) | Err(StoreError::NotFound) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn find_host(&self, name_or_id: &str) -> Result<HostRecord, ServiceError> {
        let id = name_or_id.parse::<HostId>().ok();
        let hosts = self.store.hosts().await?;
        let found = hosts
            .into_iter()
            .find(|host| host.name == name_or_id || Some(host.id) == id);
        found.ok_or_else(|| {
            ServiceError::new(
                ErrorKind::NotFound,
                "host_unknown",
                "there is no host of this name or id: list them with hosts list",
            )
        })
    }

    fn host(&self, now: UnixMillis, record: &HostRecord) -> api::Host {
        let connected = self.registry.connected(record.id);
        let last_seen = connected.as_ref().map_or(record.last_seen, |_| Some(now));
        let status = match connected {
            Some(_) => api::HostStatus::Online,
            None => api::HostStatus::Offline,
        };
        let duplicate = self.registry.is_duplicate(now, record.id);
        api::Host {
            id: record.id.to_string(),
            name: record.name.clone(),
            status,
            detail: duplicate.then(|| "duplicate_instance".to_owned()),
            created_at: record.created.to_string(),
            last_seen_at: last_seen.map(|at| at.to_string()),
            connected_since: connected.as_ref().map(|host| host.since.to_string()),
            address: connected.as_ref().map(|host| host.address.to_string()),
            software: connected.as_ref().map(|host| host.software.clone()),
            round_trip_ms: connected
                .as_ref()
                .and_then(|host| host.round_trip)
                .map(|round_trip| round_trip.as_secs_f64() * 1000.0),
            health: connected.and_then(|host| host.health),
        }
    }
}

fn entry(
    at: UnixMillis,
    actor: &Actor,
    action: &'static str,
    subject: String,
    detail: String,
) -> AuditEntry {
    AuditEntry {
        at,
        actor: actor.0.clone(),
        action,
        subject,
        detail,
    }
}

fn name_taken() -> ServiceError {
    ServiceError::new(
        ErrorKind::Conflict,
        "name_taken",
        "another host has this name: choose another, or create a token for this name to enrol that host anew",
    )
}

fn token_unknown() -> ServiceError {
    ServiceError::new(
        ErrorKind::Unauthenticated,
        "token_unknown",
        "the platform has given out no such enrolment token",
    )
}

fn check_host_name(name: &str) -> Result<(), ServiceError> {
    let valid = name.len() <= HOST_NAME_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if valid {
        return Ok(());
    }
    Err(ServiceError::new(
        ErrorKind::Invalid,
        "name_invalid",
        "a host's name is 1 to 63 letters, digits, hyphens, underscores or dots, a letter or digit first",
    ))
}
