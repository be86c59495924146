//! Console sessions: who may reach which host through which origin, and until when. This is the
//! bookkeeping alone, in memory, with time as an argument; `service` writes what happens to the
//! store and tells the agents, `ingress` serves the origins.
//!
//! ```text
//!  open ──ticket──▶ waiting ──enter──▶ entered ──┐
//!                      │                         ├──▶ closed (user, idle, expired, host gone, ...)
//!                      └─────────────────────────┘
//! ```
//! A session is entered once: its ticket is good for a minute and one use, and buys the cookie that
//! every later request shows. The origin's name is random and never used again.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use subtle::ConstantTimeEq as _;
use tokio::sync::watch;

use super::store::SessionRecord;
use crate::clock::UnixMillis;
use crate::ids::{ConsoleSessionId, HostId};
use crate::secret::{Secret, SecretHash, random};

/// The prefix of paths on a session's origin that the platform answers itself.
pub const RESERVED_PREFIX: &str = "/.fleetwire/";
/// The page that trades the ticket in the fragment for the cookie.
pub const ENTRY_PATH: &str = "/.fleetwire/enter";

/// A ticket is for the browser that opens the URL now, not for a bookmark.
const TICKET_VALID: Duration = Duration::from_secs(60);
/// Sessions at once; each is a few hundred bytes, and a person has a handful.
pub const SESSIONS_MAX: usize = 100_000;
/// Bytes of a label: 128 bits, in base 36 at most 25 characters.
const LABEL_CHARACTERS: usize = 26;

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Its user or an administrator closed it.
    ClosedByUser,
    /// No byte came from its viewer for too long.
    Idle,
    /// It reached its absolute maximum.
    Expired,
    /// Its ticket was not used in time.
    NeverEntered,
    /// Its host was enrolled anew, so another machine may answer now.
    HostReenrolled,
    /// Its host was revoked.
    HostRevoked,
}

impl CloseReason {
    /// The stable word that agents, clients and the audit log see.
    pub const fn code(self) -> &'static str {
        match self {
            Self::ClosedByUser => "closed_by_user",
            Self::Idle => "idle",
            Self::Expired => "expired",
            Self::NeverEntered => "never_entered",
            Self::HostReenrolled => "host_reenrolled",
            Self::HostRevoked => "host_revoked",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A ticket does not let in. Which of these it is stays in the log; the browser learns one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// It is not this session's ticket.
    #[error("the ticket is not this session's")]
    Unknown,
    /// It was used.
    #[error("the ticket was used before")]
    Used,
    /// It came too late.
    #[error("the ticket has expired")]
    Expired,
}

/// One open console session, shared by the table and by everything that serves it.
pub struct Session {
    /// Its id.
    pub id: ConsoleSessionId,
    /// The host it leads to.
    pub host: HostId,
    /// That host's name when it was opened.
    pub host_name: String,
    /// Whose it is.
    pub user: String,
    /// The first label of its origin's host name, in lower case.
    pub label: String,
    /// When it was opened.
    pub created: UnixMillis,
    /// When it ends at the latest.
    pub expires: UnixMillis,
    /// Last use by the viewer, in milliseconds since 1970: set often and from many streams.
    active_ms: AtomicU64,
    closed: watch::Sender<Option<CloseReason>>,
}

impl Session {
    /// Notes a sign of life from the viewer: bytes towards the device, never those from it.
    pub fn touch(&self, now: UnixMillis) {
        self.active_ms.fetch_max(now.0, Ordering::Relaxed);
    }

    /// When the viewer last gave a sign of life.
    pub fn active(&self) -> UnixMillis {
        UnixMillis(self.active_ms.load(Ordering::Relaxed))
    }

    /// Why the session has ended, or `None` while it is open.
    pub fn close_reason(&self) -> Option<CloseReason> {
        *self.closed.borrow()
    }

    /// Waits for the session's end. Every stream of it waits here beside its own work.
    pub async fn closed(&self) -> CloseReason {
        let mut closed = self.closed.subscribe();
        loop {
            if let Some(reason) = *closed.borrow_and_update() {
                return reason;
            }
            if closed.changed().await.is_err() {
                // The sender lives in `self`, so this is never reached; it ends the session at worst.
                return CloseReason::Expired;
            }
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

/// A session that was just opened, and the ticket into it.
pub struct Opened {
    /// The session.
    pub session: Arc<Session>,
    /// The ticket, shown this once.
    pub ticket: Secret,
}

/// The table of open sessions.
pub struct Sessions {
    idle_max: Duration,
    lifetime_max: Duration,
    by_id: HashMap<ConsoleSessionId, Entry>,
    by_label: HashMap<String, ConsoleSessionId>,
    counts: SessionCounts,
}

/// How many sessions there are, and were since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionCounts {
    /// Those that wait for their ticket.
    pub waiting: usize,
    /// Those that were entered.
    pub entered: usize,
    /// Those that were opened.
    pub opened: u64,
    /// Those that have ended, by reason.
    pub ended: Vec<(CloseReason, u64)>,
}

struct Entry {
    session: Arc<Session>,
    way_in: WayIn,
}

enum WayIn {
    Ticket {
        hash: SecretHash,
        expires: UnixMillis,
    },
    Cookie(SecretHash),
}

impl Sessions {
    /// An empty table with these bounds on idleness and on a session's whole life.
    pub fn new(idle_max: Duration, lifetime_max: Duration) -> Self {
        Self {
            idle_max,
            lifetime_max,
            by_id: HashMap::new(),
            by_label: HashMap::new(),
            counts: SessionCounts::default(),
        }
    }

    /// How many there are, and were.
    pub fn counts(&self) -> SessionCounts {
        let mut counts = self.counts.clone();
        counts.waiting = self.by_id.len() - counts.entered;
        counts
    }

    /// Opens a session, or returns `None` when there are too many.
    pub fn open(
        &mut self,
        now: UnixMillis,
        host: HostId,
        host_name: &str,
        user: &str,
    ) -> Option<Opened> {
        if self.by_id.len() >= SESSIONS_MAX {
            return None;
        }
        let ticket = Secret::generate("");
        let session = Arc::new(Session {
            id: ConsoleSessionId::random(random()),
            host,
            host_name: host_name.to_owned(),
            user: user.to_owned(),
            label: random_label(),
            created: now,
            expires: now.plus(self.lifetime_max),
            active_ms: AtomicU64::new(now.0),
            closed: watch::Sender::new(None),
        });
        let way_in = WayIn::Ticket {
            hash: ticket.hash(),
            expires: now.plus(TICKET_VALID),
        };
        self.insert(Entry {
            session: session.clone(),
            way_in,
        });
        self.counts.opened += 1;
        Some(Opened { session, ticket })
    }

    /// Takes up a session again that was open, and entered, when the platform stopped. Its idle time
    /// starts anew; its end does not move.
    pub fn restore(&mut self, now: UnixMillis, record: &SessionRecord, host_name: &str) {
        let Some(cookie) = record.cookie else { return };
        let session = Arc::new(Session {
            id: record.id,
            host: record.host,
            host_name: host_name.to_owned(),
            user: record.user.clone(),
            label: record.label.clone(),
            created: record.created,
            expires: record.expires,
            active_ms: AtomicU64::new(now.0),
            closed: watch::Sender::new(None),
        });
        self.insert(Entry {
            session,
            way_in: WayIn::Cookie(cookie),
        });
        self.counts.entered += 1;
    }

    /// The open session whose origin begins with this label, in lower case.
    pub fn by_label(&self, label: &str) -> Option<Arc<Session>> {
        let id = self.by_label.get(label)?;
        self.by_id.get(id).map(|entry| entry.session.clone())
    }

    /// Trades a session's ticket for its cookie. The ticket is spent.
    ///
    /// # Errors
    /// When it is not this session's, spent, or late.
    pub fn enter(
        &mut self,
        now: UnixMillis,
        id: ConsoleSessionId,
        ticket: &Secret,
    ) -> Result<Secret, TicketError> {
        let entry = self.by_id.get_mut(&id).ok_or(TicketError::Unknown)?;
        match &entry.way_in {
            WayIn::Cookie(_) => Err(TicketError::Used),
            WayIn::Ticket { hash, .. } if !same(hash, &ticket.hash()) => Err(TicketError::Unknown),
            WayIn::Ticket { expires, .. } if now > *expires => Err(TicketError::Expired),
            WayIn::Ticket { .. } => {
                let cookie = Secret::generate("");
                entry.way_in = WayIn::Cookie(cookie.hash());
                entry.session.touch(now);
                self.counts.entered += 1;
                Ok(cookie)
            }
        }
    }

    /// Whether this is the cookie of this session, in constant time.
    pub fn authenticates(&self, id: ConsoleSessionId, cookie: &str) -> bool {
        let Some(Entry {
            way_in: WayIn::Cookie(hash),
            ..
        }) = self.by_id.get(&id)
        else {
            return false;
        };
        same(hash, &SecretHash::of(cookie.as_bytes()))
    }

    /// Ends a session and tells its streams. `None` when there is none of this id.
    pub fn close(&mut self, id: ConsoleSessionId, reason: CloseReason) -> Option<Arc<Session>> {
        let entry = self.by_id.remove(&id)?;
        self.by_label.remove(&entry.session.label);
        self.counts.entered -= usize::from(matches!(entry.way_in, WayIn::Cookie(_)));
        let ended = &mut self.counts.ended;
        match ended.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => ended.push((reason, 1)),
        }
        entry.session.closed.send_replace(Some(reason));
        Some(entry.session)
    }

    /// Ends every session whose time is over. Called every second or so.
    pub fn expire(&mut self, now: UnixMillis) -> Vec<(Arc<Session>, CloseReason)> {
        let due: Vec<_> = self
            .by_id
            .values()
            .filter_map(|entry| Some((entry.session.id, self.due(entry, now)?)))
            .collect();
        due.into_iter()
            .filter_map(|(id, reason)| Some((self.close(id, reason)?, reason)))
            .collect()
    }

    /// Every open session with whether it was entered, oldest first.
    pub fn list(&self) -> Vec<(Arc<Session>, bool)> {
        let mut list: Vec<_> = self
            .by_id
            .values()
            .map(|entry| {
                (
                    entry.session.clone(),
                    matches!(entry.way_in, WayIn::Cookie(_)),
                )
            })
            .collect();
        list.sort_by_key(|(session, _)| (session.created, session.id));
        list
    }

    /// The open session of this id, with whether it was entered.
    pub fn find(&self, id: ConsoleSessionId) -> Option<(Arc<Session>, bool)> {
        let Entry { session, way_in } = self.by_id.get(&id)?;
        Some((session.clone(), matches!(way_in, WayIn::Cookie(_))))
    }

    /// When any of them was last used.
    pub fn last_used(&self) -> Option<UnixMillis> {
        let all = self.by_id.values();
        all.map(|entry| entry.session.active()).max()
    }

    /// The open session of this id.
    pub fn get(&self, id: ConsoleSessionId) -> Option<Arc<Session>> {
        self.by_id.get(&id).map(|entry| entry.session.clone())
    }

    /// The open sessions of one host: what its agent is told when it connects.
    pub fn of_host(&self, host: HostId) -> Vec<Arc<Session>> {
        let entries = self
            .by_id
            .values()
            .filter(|entry| entry.session.host == host);
        entries.map(|entry| entry.session.clone()).collect()
    }

    fn due(&self, entry: &Entry, now: UnixMillis) -> Option<CloseReason> {
        match &entry.way_in {
            WayIn::Ticket { expires, .. } if now > *expires => Some(CloseReason::NeverEntered),
            _ if now >= entry.session.expires => Some(CloseReason::Expired),
            _ if now.since(entry.session.active()) >= self.idle_max => Some(CloseReason::Idle),
            _ => None,
        }
    }

    fn insert(&mut self, entry: Entry) {
        self.by_label
            .insert(entry.session.label.clone(), entry.session.id);
        self.by_id.insert(entry.session.id, entry);
    }
}

/// 128 random bits as a DNS label of lower-case letters and digits, a letter first.
fn random_label() -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut number = u128::from_be_bytes(random());
    let mut label = String::with_capacity(LABEL_CHARACTERS);
    label.push('s');
    for _ in 1..LABEL_CHARACTERS {
        label.push(char::from(DIGITS[(number % 36) as usize]));
        number /= 36;
    }
    label
}

fn same(a: &SecretHash, b: &SecretHash) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: UnixMillis = UnixMillis(1_750_000_000_000);

    fn after(seconds: u64) -> UnixMillis {
        T0.plus(Duration::from_secs(seconds))
    }

    fn sessions() -> Sessions {
        Sessions::new(Duration::from_secs(1800), Duration::from_secs(12 * 3600))
    }

    fn open(sessions: &mut Sessions) -> Opened {
        sessions
            .open(T0, HostId::random(random()), "kvm", "admin")
            .expect("there is room")
    }

    #[test]
    fn a_ticket_lets_in_once_and_buys_the_cookie() {
        let mut sessions = sessions();
        let Opened { session, ticket } = open(&mut sessions);
        assert!(!sessions.authenticates(session.id, ticket.expose()));
        let cookie = sessions
            .enter(after(60), session.id, &ticket)
            .expect("in time");
        assert!(sessions.authenticates(session.id, cookie.expose()));
        assert_eq!(
            sessions.enter(after(60), session.id, &ticket),
            Err(TicketError::Used)
        );
        assert!(!sessions.authenticates(session.id, ticket.expose()));
        assert!(!sessions.authenticates(session.id, ""));
    }

    #[test]
    fn another_sessions_ticket_and_cookie_do_nothing() {
        let mut sessions = sessions();
        let (one, two) = (open(&mut sessions), open(&mut sessions));
        let crossed = sessions.enter(T0, two.session.id, &one.ticket);
        assert_eq!(crossed, Err(TicketError::Unknown));
        let cookie = sessions
            .enter(T0, one.session.id, &one.ticket)
            .expect("its own");
        assert!(!sessions.authenticates(two.session.id, cookie.expose()));
        assert!(
            sessions.enter(T0, two.session.id, &two.ticket).is_ok(),
            "it was not spent"
        );
    }

    #[test]
    fn a_late_ticket_is_refused_and_the_session_goes() {
        let mut sessions = sessions();
        let Opened { session, ticket } = open(&mut sessions);
        assert_eq!(
            sessions.enter(after(61), session.id, &ticket),
            Err(TicketError::Expired)
        );
        assert_eq!(sessions.expire(after(60)).len(), 0);
        let gone = sessions.expire(after(61));
        assert_eq!(gone[0].1, CloseReason::NeverEntered);
        assert!(sessions.by_label(&session.label).is_none());
        assert_eq!(
            sessions.enter(after(61), session.id, &ticket),
            Err(TicketError::Unknown)
        );
    }

    #[test]
    fn use_keeps_a_session_open_until_its_absolute_end() {
        let mut sessions = sessions();
        let Opened { session, ticket } = open(&mut sessions);
        sessions.enter(T0, session.id, &ticket).expect("in time");
        let mut seconds = 0;
        while seconds < 12 * 3600 - 1700 {
            seconds += 1700;
            assert!(
                sessions.expire(after(seconds)).is_empty(),
                "after {seconds} s"
            );
            session.touch(after(seconds));
        }
        let gone = sessions.expire(after(12 * 3600));
        assert_eq!(gone[0].1, CloseReason::Expired);
        assert_eq!(session.close_reason(), Some(CloseReason::Expired));
    }

    #[test]
    fn an_idle_session_ends() {
        let mut sessions = sessions();
        let Opened { session, ticket } = open(&mut sessions);
        sessions
            .enter(after(10), session.id, &ticket)
            .expect("in time");
        // A clock that goes back does no harm.
        session.touch(T0);
        assert!(sessions.expire(after(10 + 1799)).is_empty());
        assert_eq!(sessions.expire(after(10 + 1800))[0].1, CloseReason::Idle);
        assert!(sessions.list().is_empty());
    }

    #[tokio::test]
    async fn streams_hear_of_the_end_before_and_after_it() {
        let mut sessions = sessions();
        let session = open(&mut sessions).session;
        let waiting = tokio::spawn({
            let session = session.clone();
            async move { session.closed().await }
        });
        tokio::task::yield_now().await;
        assert!(
            sessions
                .close(session.id, CloseReason::ClosedByUser)
                .is_some()
        );
        assert!(
            sessions
                .close(session.id, CloseReason::ClosedByUser)
                .is_none()
        );
        assert_eq!(waiting.await.expect("ran"), CloseReason::ClosedByUser);
        assert_eq!(session.closed().await, CloseReason::ClosedByUser);
    }

    #[test]
    fn an_entered_session_is_restored_with_its_cookie() {
        let mut sessions = sessions();
        let mut record = SessionRecord {
            id: ConsoleSessionId::random(random()),
            host: HostId::random(random()),
            user: "admin".to_owned(),
            label: random_label(),
            created: T0,
            expires: after(3600),
            cookie: None,
        };
        sessions.restore(after(60), &record, "kvm");
        assert!(sessions.list().is_empty(), "its ticket is gone");
        record.cookie = Some(SecretHash::of(b"cookie"));
        sessions.restore(after(60), &record, "kvm");
        assert!(sessions.authenticates(record.id, "cookie"));
        assert_eq!(sessions.of_host(record.host).len(), 1);
        assert_eq!(sessions.expire(after(60 + 1800))[0].1, CloseReason::Idle);
    }

    #[test]
    fn labels_are_dns_labels_and_differ() {
        let (one, two) = (random_label(), random_label());
        assert_ne!(one, two);
        assert_eq!(one.len(), LABEL_CHARACTERS);
        assert!(
            one.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        );
    }
}
