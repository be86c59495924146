//! How hosts have been: what their reports and their connections come to in each minute is added up here, in
//! memory and bounded, and written to the store once a minute, in small changes with pauses between them, so
//! that no command waits for it. What is kept of it, and what is asked of that, is the store's (`store/health`).
//! A minute is the wall clock's; how long a host was connected in it is measured by the other clock, so that
//! one that is set makes nothing negative, and no more than one minute of what was added up.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::sleep;
use tracing::warn;

use super::config::HealthSettings;
use super::registry::ConnectionId;
use super::store::health::{Figures, Gauge, HealthRow, Step};
use super::store::{Store, StoreError};
use crate::clock::{Now, Steadiness, UnixMillis};
use crate::ids::HostId;
use crate::link::{Traffic, TrafficLane};
use crate::wire::api::Health;

/// Minutes written in one change, each at three steps: some milliseconds of the store's writer.
const WRITTEN_MAX: usize = 64;
/// Rows removed in one change.
const REMOVED_MAX: usize = 256;
/// Changes of removal in one pass, of each step: more than a minute of a hundred thousand hosts.
const REMOVALS_MAX: usize = 1024;
/// Between two changes, in which others come first.
const PAUSE: Duration = Duration::from_millis(20);
/// After the end of a minute: what came just before it is in by then.
const AFTER_MINUTE: Duration = Duration::from_millis(500);
/// What is old is removed only where the clock has gone on for so long as clocks do: one that leaps ahead, and is
/// put right again, has removed nothing.
const STEADY_FOR: Duration = Duration::from_secs(60 * 60);
/// Minutes that wait while the store fails, of all hosts together: about 40 MiB. The oldest are lost then.
const WAITING_MAX: usize = 128 * 1024;

/// What a link has carried since its beginning, both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Bytes from the agent.
    pub from_agent: u64,
    /// Bytes to it.
    pub to_agent: u64,
}

impl From<&Traffic> for Carried {
    fn from(traffic: &Traffic) -> Self {
        let sum = |of: &dyn Fn(TrafficLane) -> u64| TrafficLane::ALL.into_iter().map(of).sum();
        Self {
            from_agent: sum(&|lane| traffic.received(lane).bytes),
            to_agent: sum(&|lane| traffic.sent(lane).bytes),
        }
    }
}

/// The history of a platform's hosts, as it comes about.
pub struct History {
    settings: HealthSettings,
    store: Arc<dyn Store>,
    state: Mutex<State>,
    /// Held by whoever writes.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    /// Of each host that is connected, or was in this minute.
    hosts: HashMap<HostId, Open>,
    /// Minutes that are over and are not written.
    waiting: VecDeque<HealthRow>,
    /// How many were given up since the log said so.
    lost: u64,
}

/// A host's minute that goes on.
struct Open {
    /// Its connection and what that had carried when it was last looked at; `None` where it has ended.
    connection: Option<(ConnectionId, Carried)>,
    /// Until when the time is in `online`.
    counted_until: Instant,
    online: Duration,
    /// The minute's number.
    minute: u64,
    figures: Figures,
}

impl Open {
    fn new(now: Now) -> Self {
        Self {
            connection: None,
            counted_until: now.steady,
            online: Duration::ZERO,
            minute: Step::Minute.number(now.wall),
            figures: Figures::default(),
        }
    }

    /// Brings it up to an instant. Where that is in another minute, answers the one before.
    fn advance(&mut self, now: Now) -> Option<(u64, Figures)> {
        let mut elapsed = now.steady.saturating_duration_since(self.counted_until);
        self.counted_until = now.steady;
        if self.connection.is_none() {
            elapsed = Duration::ZERO;
        }
        let minute = Step::Minute.number(now.wall);
        let mut over = None;
        if minute != self.minute {
            let within = now.wall.since(Step::Minute.begin(minute)).min(elapsed);
            self.online += elapsed - within;
            over = self.take();
            self.minute = minute;
            elapsed = within;
        }
        self.online += elapsed;
        over
    }

    /// What there is of the minute, unless that is nothing.
    fn take(&mut self) -> Option<(u64, Figures)> {
        // Whoever slept through minutes was not seen in them.
        let online = std::mem::take(&mut self.online).min(Step::Minute.length());
        self.figures.online_seconds = online.as_millis().div_ceil(500) as u64 / 2;
        let figures = std::mem::take(&mut self.figures);
        (figures != Figures::default()).then_some((self.minute, figures))
    }

    fn carry(&mut self, carried: Carried) {
        if let Some((_, before)) = &mut self.connection {
            let figures = &mut self.figures;
            figures.bytes_from_agent += carried.from_agent.saturating_sub(before.from_agent);
            figures.bytes_to_agent += carried.to_agent.saturating_sub(before.to_agent);
            *before = carried;
        }
    }

    fn is_of(&self, connection: ConnectionId) -> bool {
        self.connection.is_some_and(|(own, _)| own == connection)
    }
}

impl State {
    /// A host's minute as of an instant.
    fn open(&mut self, now: Now, host: HostId) -> &mut Open {
        let open = self.hosts.entry(host).or_insert_with(|| Open::new(now));
        if let Some(over) = open.advance(now) {
            wait(&mut self.waiting, &mut self.lost, host, over);
        }
        open
    }
}

fn wait(
    waiting: &mut VecDeque<HealthRow>,
    lost: &mut u64,
    host: HostId,
    (minute, figures): (u64, Figures),
) {
    if waiting.len() == WAITING_MAX {
        waiting.pop_front();
        *lost += 1;
    }
    waiting.push_back(HealthRow {
        host,
        at: Step::Minute.begin(minute),
        figures,
    });
}

impl History {
    /// A history over a store.
    pub fn new(settings: HealthSettings, store: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            settings,
            store,
            state: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
        })
    }

    /// How long rows of a step are kept.
    pub const fn keeps(&self, step: Step) -> Duration {
        match step {
            Step::Minute => self.settings.keep_minutes,
            Step::Quarter => self.settings.keep_quarters,
            Step::ThreeHours => self.settings.keep_three_hours,
        }
    }

    /// A connection is its host's now; `returned` where the host was connected before it.
    pub fn connected(&self, now: Now, host: HostId, connection: ConnectionId, returned: bool) {
        let mut state = self.state();
        let open = state.open(now, host);
        open.connection = Some((connection, Carried::default()));
        open.figures.reconnects += u64::from(returned);
    }

    /// A report has come, over a connection that has carried so much.
    pub fn report(
        &self,
        now: Now,
        (host, connection): (HostId, ConnectionId),
        health: &Health,
        round_trip: Option<Duration>,
        carried: Carried,
    ) {
        let mut state = self.state();
        let open = state.open(now, host);
        if !open.is_of(connection) {
            return;
        }
        open.carry(carried);
        let figures = &mut open.figures;
        figures.reports += 1;
        for (gauge, value) in [
            (Gauge::Cpu, health.cpu_percent),
            (Gauge::Memory, health.memory_percent),
            (Gauge::Disk, health.disk_percent),
            (Gauge::Load, health.load_average),
            (Gauge::Temperature, health.temperature_celsius),
            (
                Gauge::RoundTrip,
                round_trip.map(|time| time.as_secs_f64() * 1000.0),
            ),
        ] {
            if let Some(value) = value {
                figures.measure(gauge, value);
            }
        }
    }

    /// A connection has ended that has carried so much.
    pub fn ended(&self, now: Now, host: HostId, connection: ConnectionId, carried: Carried) {
        let mut state = self.state();
        let open = state.open(now, host);
        if open.is_of(connection) {
            open.carry(carried);
            open.connection = None;
        }
    }

    /// Writes each minute once it is over, and removes what is old, until it is dropped.
    pub async fn run(self: Arc<Self>) {
        let mut steadiness = Steadiness::default();
        steadiness.look(Now::of_clocks());
        loop {
            let minute = Step::Minute.length().as_millis() as u64;
            let left = minute - UnixMillis::now().0 % minute;
            sleep(Duration::from_millis(left) + AFTER_MINUTE).await;
            let now = Now::of_clocks();
            self.close(now, false);
            if let Err(error) = self.write_waiting(PAUSE).await {
                warn!(%error, "how hosts have been could not be written yet");
            }
            self.remove_old(now, &mut steadiness).await;
        }
    }

    /// Writes all there is, the minute that goes on too.
    ///
    /// # Errors
    /// When the store fails: then the rest still waits.
    pub async fn write_all(&self) -> Result<(), StoreError> {
        self.close(Now::of_clocks(), true);
        self.write_waiting(Duration::ZERO).await
    }

    /// Has the minutes that are over wait to be written; with `all` those that go on as well.
    fn close(&self, now: Now, all: bool) {
        let mut state = self.state();
        let State {
            hosts,
            waiting,
            lost,
        } = &mut *state;
        hosts.retain(|&host, open| {
            let over = open.advance(now);
            let rest = if all { open.take() } else { None };
            for over in over.into_iter().chain(rest) {
                wait(waiting, lost, host, over);
            }
            open.connection.is_some()
                || open.figures != Figures::default()
                || !open.online.is_zero()
        });
        let lost = std::mem::take(lost);
        drop(state);
        if lost > 0 {
            warn!(
                minutes = lost,
                "of how hosts have been some was lost: the store has failed for long"
            );
        }
    }

    async fn write_waiting(&self, pause: Duration) -> Result<(), StoreError> {
        let _writing = self.writing.lock().await;
        loop {
            let some: Vec<_> = {
                let mut state = self.state();
                let count = state.waiting.len().min(WRITTEN_MAX);
                state.waiting.drain(..count).collect()
            };
            if some.is_empty() {
                return Ok(());
            }
            let written = self.store.put_health(some.clone()).await;
            if let Err(error) = written {
                let mut state = self.state();
                for row in some.into_iter().rev() {
                    state.waiting.push_front(row);
                }
                return Err(error);
            }
            if !pause.is_zero() {
                sleep(pause).await;
            }
        }
    }

    /// Removes what is kept no longer.
    async fn remove_old(&self, now: Now, steadiness: &mut Steadiness) {
        if steadiness.look(now) < STEADY_FOR {
            return;
        }
        for step in Step::ALL {
            let keep = self.keeps(step).as_millis() as u64;
            let before = UnixMillis(now.wall.0.saturating_sub(keep));
            for _ in 0..REMOVALS_MAX {
                match self.store.remove_health(step, before, REMOVED_MAX).await {
                    Ok(REMOVED_MAX..) => sleep(PAUSE).await,
                    Ok(_) => break,
                    Err(error) => {
                        warn!(%error, "old rows of how hosts have been were not removed");
                        return;
                    }
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Entry;
    use crate::platform::Platform;
    use crate::platform::store::NewHost;
    use crate::platform::store::health::HealthQuery;
    use crate::secret::{SecretHash, random};

    /// A platform's history, and a host.
    async fn history(dir: &std::path::Path) -> (Arc<Platform>, HostId) {
        let platform = Platform::fresh(dir).await;
        let id = HostId::random(random());
        let host = NewHost {
            id,
            name: "kvm".to_owned(),
            auth_token: SecretHash::of(&random::<32>()),
            at: T0,
        };
        let audit = Entry::new(T0, "admin", "host.create", "host:kvm");
        let made = platform.store.create_host(host, audit.into());
        made.await.expect("made");
        (platform, id)
    }

    /// The beginning of a minute.
    const T0: UnixMillis = UnixMillis(1_750_000_020_000);
    const ONE: ConnectionId = ConnectionId(1);

    fn health(cpu: f64) -> Health {
        Health {
            uptime_seconds: None,
            cpu_percent: Some(cpu),
            memory_percent: None,
            disk_percent: None,
            load_average: None,
            temperature_celsius: None,
        }
    }

    async fn minutes(platform: &Platform, host: HostId) -> Vec<(u64, Figures)> {
        let query = HealthQuery {
            host,
            step: Step::Minute,
            since: UnixMillis(T0.0 - 600_000),
            until: UnixMillis(T0.0 + 6_000_000),
            count: 200,
        };
        let rows = platform.store.health(query).await.expect("read");
        rows.into_iter()
            .map(|row| (row.at.0.wrapping_sub(T0.0) / 60_000, row.figures))
            .collect()
    }

    #[tokio::test]
    async fn what_comes_in_a_minute_is_one_row() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (platform, host) = history(dir.path()).await;
        let history = &platform.health;
        let begun = Instant::now();
        let at = |seconds: u64| Now {
            wall: UnixMillis(T0.0 + seconds * 1000),
            steady: begun + Duration::from_secs(seconds),
        };
        let carried = |bytes| Carried {
            from_agent: bytes,
            to_agent: 2 * bytes,
        };
        history.connected(at(30), host, ONE, true);
        history.report(at(45), (host, ONE), &health(10.0), None, carried(100));
        let stranger = (host, ConnectionId(7));
        history.report(at(45), stranger, &health(99.0), None, carried(9999));
        let round_trip = Some(Duration::from_micros(1234));
        history.report(at(75), (host, ONE), &health(30.0), round_trip, carried(300));
        history.report(at(90), (host, ONE), &health(20.0), None, carried(400));
        history.ended(at(100), host, ONE, carried(450));
        history.close(at(240), false);
        assert!(history.state().hosts.is_empty(), "it has left");
        history
            .write_waiting(Duration::ZERO)
            .await
            .expect("written");

        let rows = minutes(&platform, host).await;
        let [(0, first), (1, second)] = &rows[..] else {
            panic!("two minutes: {rows:?}");
        };
        let of = |figures: &Figures| {
            let Figures {
                reports,
                online_seconds,
                reconnects,
                ..
            } = *figures;
            let bytes = (figures.bytes_from_agent, figures.bytes_to_agent);
            (reports, online_seconds, reconnects, bytes)
        };
        assert_eq!(of(first), (1, 30, 1, (100, 200)));
        assert_eq!(of(second), (2, 40, 0, (350, 700)));
        let measured = |figures: &Figures, gauge| {
            let measure = figures.of(gauge)?;
            Some((measure.mean(gauge), measure.max(gauge)))
        };
        assert_eq!(measured(first, Gauge::Cpu), Some((10.0, 10.0)));
        assert_eq!(measured(second, Gauge::Cpu), Some((25.0, 30.0)));
        assert_eq!(measured(first, Gauge::RoundTrip), None);
        assert_eq!(measured(second, Gauge::RoundTrip), Some((1.23, 1.23)));
    }

    #[tokio::test]
    async fn a_clock_that_is_set_makes_no_more_than_a_minute() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (platform, host) = history(dir.path()).await;
        let history = &platform.health;
        let begun = Instant::now();
        let at = |wall: u64, steady: u64| Now {
            wall: UnixMillis(wall),
            steady: begun + Duration::from_secs(steady),
        };
        history.connected(at(T0.0, 0), host, ONE, false);
        // An hour ahead, a year back, and to where it was; and an hour in which the machine slept.
        let report = |now| history.report(now, (host, ONE), &health(1.0), None, Carried::default());
        report(at(T0.0 + 3_600_000, 10));
        report(at(T0.0 - 31_536_000_000, 20));
        report(at(T0.0 + 30_000, 30));
        report(at(T0.0 + 3_630_000, 3630));
        history.close(at(T0.0 + 3_630_000, 3630), true);
        assert_eq!(history.state().waiting.len(), 5);
        history
            .write_waiting(Duration::ZERO)
            .await
            .expect("written");
        let rows = minutes(&platform, host).await;
        let online: Vec<_> = rows
            .iter()
            .map(|(minute, figures)| (*minute, figures.online_seconds))
            .collect();
        // The first minute was there twice, and in neither for longer than it is.
        assert_eq!(online, [(0, 70), (60, 40)]);
    }

    #[tokio::test]
    async fn a_clock_that_leaps_ahead_removes_nothing() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (platform, host) = history(dir.path()).await;
        let history = &platform.health;
        let begun = Instant::now();
        let at = |wall: u64, steady: u64| Now {
            wall: UnixMillis(T0.0 + wall * 1000),
            steady: begun + Duration::from_secs(steady),
        };
        history.connected(at(0, 0), host, ONE, false);
        history.report(
            at(10, 10),
            (host, ONE),
            &health(1.0),
            None,
            Carried::default(),
        );
        history.close(at(60, 60), true);
        history
            .write_waiting(Duration::ZERO)
            .await
            .expect("written");
        let mut steadiness = Steadiness::default();
        let year = 31_536_000;
        for (wall, steady, kept) in [
            (60, 60, 1),
            (3660, 3660, 1),
            // A year ahead, for less than an hour, and back.
            (year, 3720, 1),
            (year + 3540, 7260, 1),
            (7320, 7320, 1),
            // And to stay.
            (year, 7380, 1),
            (year + 3600, 10_980, 0),
        ] {
            history.remove_old(at(wall, steady), &mut steadiness).await;
            assert_eq!(minutes(&platform, host).await.len(), kept, "{wall}");
        }
    }

    #[tokio::test]
    async fn what_waits_for_a_store_that_fails_is_bounded() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (platform, host) = history(dir.path()).await;
        let mut state = platform.health.state();
        let State { waiting, lost, .. } = &mut *state;
        for minute in 0..WAITING_MAX as u64 + 3 {
            wait(waiting, lost, host, (minute, Figures::default()));
        }
        assert_eq!((waiting.len(), *lost), (WAITING_MAX, 3));
        assert_eq!(
            waiting.front().map(|row| row.at),
            Some(Step::Minute.begin(3))
        );
    }
}
