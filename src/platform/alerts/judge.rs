//! Whether a rule holds, of one host or of the platform, by what is known at the moment. Nothing is kept here, and
//! nothing is written out that nobody is told.

use std::fmt;
use std::time::Duration;

use super::fleet::Watched;
use super::samples::Samples;
use crate::clock::{Now, UnixMillis};
use crate::ids::HostId;
use crate::platform::Platform;
use crate::platform::store::alert_rules::Condition;
use crate::platform::store::watch::Waiting;

/// Whether a rule holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nobody can say, before this moment: it stays as it is.
    Unknown(Option<UnixMillis>),
    /// It does not.
    No,
    /// It does not, and may from this moment on.
    NoBefore(UnixMillis),
    /// It does not before this moment; what fires already stays, as the clock may have been set back.
    NotYet(UnixMillis),
    /// It does, and why; to be looked at again at that moment.
    Yes(Finding, Option<UnixMillis>),
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

/// From when on what is known of hosts is all there is to know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    /// The moment.
    pub now: Now,
    /// How long this process watches.
    pub watched: Duration,
    /// How long hosts have to come back after its beginning.
    pub grace: Duration,
}

impl Sight {
    /// Nobody can say before this process has watched for that long.
    const fn unknown_until(&self, watched: Duration) -> Option<Verdict> {
        match watched.checked_sub(self.watched) {
            None | Some(Duration::ZERO) => None,
            Some(left) => Some(Verdict::Unknown(Some(self.now.wall.plus(left)))),
        }
    }
}

/// Whether a condition of hosts holds of one.
pub(super) fn of_host(
    platform: &Platform,
    sight: &Sight,
    condition: Condition,
    id: HostId,
    host: &Watched,
    waiting: Option<&Waiting>,
) -> Verdict {
    let now = sight.now.wall;
    match condition {
        Condition::HostOffline(span) => {
            if platform.registry.link(id).is_some() {
                return Verdict::No;
            }
            let left = platform.alerts.left(id);
            let Some(since) = left.or(host.last_seen) else {
                // It was never there.
                return Verdict::No;
            };
            if left.is_none()
                && let Some(unknown) = sight.unknown_until(sight.grace)
            {
                return unknown;
            }
            if now.since(since) >= span {
                Verdict::Yes(Finding::OfflineSince(since), None)
            } else {
                Verdict::NotYet(since.plus(span))
            }
        }
        Condition::HostFlapping(count, span) => {
            let (found, nth) = platform
                .alerts
                .came_back(now, id, span, count.saturating_sub(1));
            if found >= count {
                // It is over once the oldest of as many as it takes is out of sight.
                let until = nth.map(|at| at.plus(span + Duration::from_millis(1)));
                return Verdict::Yes(Finding::CameBack(found, span), until);
            }
            // What was before this process began is not known.
            sight.unknown_until(span).unwrap_or(Verdict::No)
        }
        Condition::HostDisk(percent) => {
            let connected = platform.registry.connected(id);
            let health = connected.and_then(|connected| connected.health);
            match health.and_then(|health| health.disk_percent) {
                Some(found) if found >= percent as f64 => {
                    Verdict::Yes(Finding::DiskFull(percent), None)
                }
                Some(_) => Verdict::No,
                None => Verdict::Unknown(None),
            }
        }
        Condition::CertificateEnds(span) => match host.certificate_until {
            Some(until) if until <= now.plus(span) => {
                Verdict::Yes(Finding::CertificateEnds(until), None)
            }
            Some(until) => {
                let from = until.0.saturating_sub(span.as_millis() as u64);
                Verdict::NoBefore(UnixMillis(from))
            }
            None => Verdict::No,
        },
        Condition::QueueDepth(count) => match waiting {
            Some(waiting) if waiting.depth >= count => Verdict::Yes(Finding::Waiting(count), None),
            _ => Verdict::No,
        },
        Condition::QueueAge(span) => match waiting.and_then(|waiting| waiting.since) {
            // What waits is asked for again and again: there is no need for a moment to look at it.
            Some(since) if now.since(since) >= span => {
                Verdict::Yes(Finding::WaitingSince(since), None)
            }
            _ => Verdict::No,
        },
        Condition::DeadLetters(_)
        | Condition::DeliveryLatency(..)
        | Condition::FailedSignIns(..)
        | Condition::PlatformStorage(_) => Verdict::Unknown(None),
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
        Condition::DeadLetters(_) => Verdict::No,
        Condition::DeliveryLatency(millis, span) => {
            match samples.slowest_hundredth(sight.now.steady, span) {
                Some(found) if found >= millis => Verdict::Yes(Finding::Slow(found, span), None),
                _ => sight.unknown_until(span).unwrap_or(Verdict::No),
            }
        }
        Condition::FailedSignIns(count, span) => {
            let found = samples.failed_sign_ins(sight.now.steady, span);
            if found >= count {
                Verdict::Yes(Finding::FailedSignIns(found, span), None)
            } else {
                sight.unknown_until(span).unwrap_or(Verdict::No)
            }
        }
        Condition::PlatformStorage(percent) => match figures.storage {
            Some(found) if found >= percent => Verdict::Yes(Finding::StorageFull(found), None),
            Some(_) => Verdict::No,
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
