//! Whether a rule holds, of one host or of the platform, by what is known at the moment. Nothing is kept here, and
//! nothing is written out that nobody is told.

use std::fmt;
use std::time::{Duration, Instant};

use super::Alerts;
use super::fleet::Watched;
use super::samples::Samples;
use crate::clock::{Now, UnixMillis};
use crate::ids::HostId;
use crate::platform::registry::Presence;
use crate::platform::store::alert_rules::Condition;
use crate::platform::store::watch::Waiting;

/// Whether a rule holds, and at which moment time alone may change that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nobody can say: it stays as it is.
    Unknown(Option<Instant>),
    /// It does not.
    No(Option<Instant>),
    /// It does not before this moment. Where that follows from a time that the store has, and the clock was set back
    /// since, it may all the same.
    NotYet(Option<Instant>),
    /// It does, and why.
    Yes(Finding, Option<Instant>),
}

/// Why a rule holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    OfflineSince(UnixMillis),
    CameBack(u64, Duration),
    DiskFull(u64),
    CertificateEnds(UnixMillis),
    Waiting(u64),
    WaitingSince(UnixMillis),
    DeadLetters(u64),
    /// In milliseconds.
    Slow(u64, Duration),
    FailedSignIns(u64, Duration),
    StorageFull(u64),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OfflineSince(since) => write!(f, "offline since {since}"),
            Self::CameBack(count, within) => {
                let seconds = within.as_secs();
                write!(f, "its agent came back {count} times within {seconds} s")
            }
            Self::DiskFull(percent) => {
                write!(f, "its fullest file system is full to {percent} % or more")
            }
            Self::CertificateEnds(until) => write!(f, "its certificate ends {until}"),
            Self::Waiting(count) => write!(f, "{count} commands or more wait for it"),
            Self::WaitingSince(since) => write!(f, "a command waits for it since {since}"),
            Self::DeadLetters(count) => write!(f, "there are {count} dead letters or more"),
            Self::Slow(millis, within) => write!(
                f,
                "of the commands of {} s one in a hundred took {millis} ms or more to be received",
                within.as_secs()
            ),
            Self::FailedSignIns(count, within) => {
                write!(f, "{count} sign-ins failed within {} s", within.as_secs())
            }
            Self::StorageFull(percent) => write!(
                f,
                "the file system of the platform's data is full to {percent} %"
            ),
        }
    }
}

/// From when on what is known of hosts is all there is to know. Times are counted by the clock that nobody sets; that of
/// people is asked only for what is kept by it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    /// The moment.
    pub now: Now,
    /// When this process began to watch.
    pub begun: Now,
    /// How long hosts have to come back after its beginning.
    pub grace: Duration,
    /// Until when the clock of people is not believed, as it was set.
    pub doubted: Option<Instant>,
}

impl Sight {
    /// How long this process watches.
    fn watched(&self) -> Duration {
        let begun = self.begun.steady;
        self.now.steady.saturating_duration_since(begun)
    }

    /// The moment so much later.
    fn after(&self, time: Duration) -> Option<Instant> {
        self.now.steady.checked_add(time)
    }

    /// Nobody can say before this process has watched for that long.
    fn unknown_until(&self, watched: Duration) -> Option<Verdict> {
        match watched.checked_sub(self.watched()) {
            None | Some(Duration::ZERO) => None,
            Some(left) => Some(Verdict::Unknown(self.after(left))),
        }
    }

    /// Nobody can say by the clock of people while it is not believed.
    fn unknown_by_wall(&self) -> Option<Verdict> {
        let doubted = self.doubted.filter(|until| *until > self.now.steady)?;
        Some(Verdict::Unknown(Some(doubted)))
    }
}

/// What is known of a host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    pub id: HostId,
    pub host: &'a Watched,
    pub presence: Presence,
    /// What waits for it.
    pub waiting: Option<&'a Waiting>,
}

/// Whether a condition of hosts holds of one.
pub(super) fn of_host(
    alerts: &Alerts,
    sight: &Sight,
    condition: Condition,
    of: &Known<'_>,
) -> Verdict {
    match condition {
        Condition::HostOffline(span) => offline(alerts, sight, span, of),
        Condition::HostFlapping(count, span) => {
            let (now, last) = (sight.now.steady, count.saturating_sub(1));
            let (found, nth) = alerts.came_back(now, of.id, span, last);
            if found >= count {
                // It is over once the oldest of as many as it takes is out of sight.
                let until = nth.and_then(|at| at.checked_add(span + Duration::from_millis(1)));
                return Verdict::Yes(Finding::CameBack(found, span), until);
            }
            // What was before this process began is not known.
            sight.unknown_until(span).unwrap_or(Verdict::No(None))
        }
        Condition::HostDisk(percent) => match of.presence.disk_percent {
            Some(found) if found >= percent as f64 => {
                Verdict::Yes(Finding::DiskFull(percent), None)
            }
            Some(_) => Verdict::No(None),
            None => Verdict::Unknown(None),
        },
        Condition::CertificateEnds(span) => {
            let Some(until) = of.host.certificate_until else {
                return Verdict::No(None);
            };
            if let Some(unknown) = sight.unknown_by_wall() {
                return unknown;
            }
            match until.since(sight.now.wall).checked_sub(span) {
                None | Some(Duration::ZERO) => Verdict::Yes(Finding::CertificateEnds(until), None),
                Some(left) => Verdict::No(sight.after(left)),
            }
        }
        Condition::QueueDepth(count) => match of.waiting {
            Some(waiting) if waiting.depth >= count => Verdict::Yes(Finding::Waiting(count), None),
            _ => Verdict::No(None),
        },
        Condition::QueueAge(span) => {
            let Some(since) = of.waiting.and_then(|waiting| waiting.since) else {
                return Verdict::No(None);
            };
            if let Some(unknown) = sight.unknown_by_wall() {
                return unknown;
            }
            // What waits is asked for again and again: there is no need for a moment to look at it.
            if sight.now.wall.since(since) >= span {
                Verdict::Yes(Finding::WaitingSince(since), None)
            } else {
                Verdict::No(None)
            }
        }
        Condition::DeadLetters(_)
        | Condition::DeliveryLatency(..)
        | Condition::FailedSignIns(..)
        | Condition::PlatformStorage(_) => Verdict::Unknown(None),
    }
}

fn offline(alerts: &Alerts, sight: &Sight, span: Duration, of: &Known<'_>) -> Verdict {
    if of.presence.is_connected {
        return Verdict::No(None);
    }
    let (since, away) = match (alerts.left(of.id), of.host.last_seen) {
        (Some(left), _) => {
            let away = sight.now.steady.saturating_duration_since(left.steady);
            (left.wall, away)
        }
        (None, Some(seen)) => {
            if let Some(unknown) = sight.unknown_until(sight.grace) {
                return unknown;
            }
            // How long before this process began is said by the clock as it stood then, whatever became of it.
            (seen, sight.begun.wall.since(seen) + sight.watched())
        }
        // It was never there.
        (None, None) => return Verdict::No(None),
    };
    match span.checked_sub(away) {
        None | Some(Duration::ZERO) => Verdict::Yes(Finding::OfflineSince(since), None),
        Some(left) => Verdict::NotYet(sight.after(left)),
    }
}

/// What is known of the platform.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figures {
    /// Dead letters, up to the most that a rule asks for.
    pub dead_letters: u64,
    /// How full the file system is.
    pub storage: Option<u64>,
}

/// Whether a condition of the platform holds.
pub(super) fn of_platform(
    figures: &Figures,
    samples: &Samples,
    sight: &Sight,
    condition: Condition,
) -> Verdict {
    match condition {
        Condition::DeadLetters(count) if figures.dead_letters >= count => {
            Verdict::Yes(Finding::DeadLetters(count), None)
        }
        Condition::DeadLetters(_) => Verdict::No(None),
        Condition::DeliveryLatency(millis, span) => {
            match samples.slowest_hundredth(sight.now.steady, span) {
                Some(found) if found >= millis => Verdict::Yes(Finding::Slow(found, span), None),
                _ => sight.unknown_until(span).unwrap_or(Verdict::No(None)),
            }
        }
        Condition::FailedSignIns(count, span) => {
            let found = samples.failed_sign_ins(sight.now.steady, span);
            if found >= count {
                Verdict::Yes(Finding::FailedSignIns(found, span), None)
            } else {
                sight.unknown_until(span).unwrap_or(Verdict::No(None))
            }
        }
        Condition::PlatformStorage(percent) => match figures.storage {
            Some(found) if found >= percent => Verdict::Yes(Finding::StorageFull(found), None),
            Some(_) => Verdict::No(None),
            None => Verdict::Unknown(None),
        },
        Condition::HostOffline(_)
        | Condition::HostFlapping(..)
        | Condition::HostDisk(_)
        | Condition::CertificateEnds(_)
        | Condition::QueueDepth(_)
        | Condition::QueueAge(_) => Verdict::Unknown(None),
    }
}
