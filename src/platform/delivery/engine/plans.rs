//! What the engine does of itself at some time: it begins waves, and ends what is not for hosts that are
//! offline when it is due. Both are read from the store; kept here is when to look next.

use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::super::host::{Host, Then, instant};
use super::{Done, Engine};
use crate::clock::UnixMillis;
use crate::ids::{CommandId, HostId};
use crate::platform::store::deliveries::Step;
use crate::platform::store::waves::{Begun, Skippable};
use crate::platform::store::{Store, StoreError};
use crate::platform::windows::{self, Standing};

/// Deliveries that are read at once.
const SKIPPABLE_MAX: usize = 1000;
/// How long agents may take to come back after the platform has started: the longest that one waits before it
/// dials again, and a moment. Until then nobody is offline for what was made before.
const AGENTS_BACK: Duration = Duration::from_secs(75);
/// How far the wall clock may go from the one that counts before it has been set: it is kept in step by
/// less than this.
const CLOCK_SET: Duration = Duration::from_secs(2);
/// How long to wait where the store has failed.
const RETRY: Duration = Duration::from_secs(1);

/// When to look again, and what is being looked at.
pub(super) struct Plans {
    /// When the next wave is due.
    waves_at: Option<Instant>,
    /// Whether anything is held for one.
    waves: bool,
    beginning: bool,
    begin_again: bool,
    /// When the next delivery is due that does not wait for its host.
    skips_at: Option<Instant>,
    /// Whether there are any.
    skips: bool,
    skipping: bool,
    skip_again: bool,
    /// A delivery has ended, which may be the last of its wave.
    pub ended: bool,
    started: UnixMillis,
    /// The wall clock, and when it showed that.
    clock: (UnixMillis, Instant),
}

/// What is not for hosts that are offline.
#[derive(Default)]
pub(super) struct Offline {
    /// What is due.
    due: Vec<(CommandId, HostId)>,
    /// When the next is.
    next: Option<UnixMillis>,
    any: bool,
}

impl Plans {
    pub fn new() -> Self {
        let now = UnixMillis::now();
        Self {
            waves_at: None,
            waves: false,
            beginning: false,
            begin_again: false,
            skips_at: None,
            skips: false,
            skipping: false,
            skip_again: false,
            ended: false,
            started: now,
            clock: (now, Instant::now()),
        }
    }

    /// When the engine is to wake for them.
    pub fn wakes_at(&self) -> Option<Instant> {
        self.waves_at.into_iter().chain(self.skips_at).min()
    }

    /// Whether somebody has set the wall clock since this was asked last: timers that were set by it are
    /// wrong then.
    pub fn clock_was_set(&mut self) -> bool {
        let (wall, now) = (UnixMillis::now(), Instant::now());
        let (then, at) = std::mem::replace(&mut self.clock, (wall, now));
        let expected = then.plus(now - at);
        wall.since(expected).max(expected.since(wall)) > CLOCK_SET
    }
}

impl Engine {
    /// Looks whether a wave is to be begun, or a delivery to be ended.
    pub(super) fn plan(&mut self) {
        self.plans.waves = true;
        self.plans.skips = true;
        self.begin_waves();
        self.skip_offline();
    }

    /// Looks at everything that waits for a time, as the clock is not what it was.
    pub(super) fn look_at_times(&mut self) {
        self.look_where(|known| known.next_due.is_some() || known.shut);
        self.begin_waves();
    }

    /// Looks at what waits for a window: it may be another by now.
    pub(super) fn windows_changed(&mut self) {
        self.look_where(|known| known.shut);
    }

    fn look_where(&mut self, waits: impl Fn(&Host) -> bool) {
        let found = self.hosts.iter().filter(|(_, known)| waits(known));
        let found: Vec<HostId> = found.map(|(host, _)| *host).collect();
        for host in found {
            self.waits(host);
        }
        self.skip_offline();
    }

    /// Looks at a host for which something waits.
    fn waits(&mut self, host: HostId) {
        if let Some(known) = self.hosts.get_mut(&host) {
            known.waiting_told += 1;
            known.backlog = true;
            known.settle_room();
            self.look(host);
        }
    }

    pub(super) fn ring_plans(&mut self, now: Instant) {
        let is_due = |at: &mut Instant| *at <= now;
        if self.plans.waves_at.take_if(is_due).is_some() {
            self.begin_waves();
        }
        if self.plans.skips_at.take_if(is_due).is_some() {
            self.skip_offline();
        }
    }

    /// Begins the waves that are due, where any may be.
    pub(super) fn begin_waves(&mut self) {
        let plans = &mut self.plans;
        if !plans.waves {
            return;
        }
        if std::mem::replace(&mut plans.beginning, true) {
            plans.begin_again = true;
            return;
        }
        let delivery = self.delivery.clone();
        self.jobs.push(Box::pin(async move {
            Done::Begun(delivery.store.begin_waves(UnixMillis::now()).await)
        }));
    }

    pub(super) fn waves_begun(&mut self, begun: Result<Begun, StoreError>) {
        self.plans.beginning = false;
        match begun {
            Ok(begun) => {
                self.plans.waves_at = begun.next.map(instant);
                self.plans.waves = begun.any || self.plans.begin_again;
                if !begun.hosts.is_empty() {
                    self.plans.skips = true;
                    self.skip_offline();
                }
                for host in begun.hosts {
                    self.waits(host);
                }
            }
            Err(error) => {
                warn!(%error, "a wave could not be begun: it is tried again");
                self.plans.waves_at = Some(Instant::now() + RETRY);
            }
        }
        if std::mem::take(&mut self.plans.begin_again) {
            self.begin_waves();
        }
    }

    /// Looks what is not for hosts that are offline, where there is such a thing.
    pub(super) fn skip_offline(&mut self) {
        let plans = &mut self.plans;
        if !plans.skips {
            return;
        }
        if std::mem::replace(&mut plans.skipping, true) {
            plans.skip_again = true;
            return;
        }
        let (delivery, started) = (self.delivery.clone(), plans.started);
        self.jobs.push(Box::pin(async move {
            let offline = offline(&*delivery.store, started, UnixMillis::now());
            Done::Skipped(offline.await)
        }));
    }

    pub(super) fn offline(&mut self, offline: Result<Offline, StoreError>) {
        self.plans.skipping = false;
        match offline {
            Ok(offline) => {
                self.plans.skips = offline.any || self.plans.skip_again;
                self.plans.skips_at = offline.next.map(instant);
                for (command, host) in offline.due {
                    // One that is connected gets it when there is room.
                    if !self.hosts.contains_key(&host) {
                        self.put(host, command, Step::Skipped, Then::Nothing, None);
                    }
                }
            }
            Err(error) => {
                warn!(%error, "it could not be read what is not for hosts that are offline");
                self.plans.skips_at = Some(Instant::now() + RETRY);
            }
        }
        if std::mem::take(&mut self.plans.skip_again) {
            self.skip_offline();
        }
    }
}

async fn offline(
    store: &dyn Store,
    started: UnixMillis,
    now: UnixMillis,
) -> Result<Offline, StoreError> {
    let mut offline = Offline::default();
    let mut after = None;
    loop {
        let found = store.skippable(after, SKIPPABLE_MAX).await?;
        let Some(last) = found.last() else {
            return Ok(offline);
        };
        after = Some((last.command, last.host));
        offline.any = true;
        let hosts = found.iter().filter(|it| it.in_window).map(|it| it.host);
        let hosts: Vec<_> = hosts.collect();
        let windows = if hosts.is_empty() {
            Default::default()
        } else {
            store.maintenance_windows(hosts).await?
        };
        for Skippable {
            command,
            host,
            created,
            not_before,
            in_window,
        } in found
        {
            let mut due = not_before.unwrap_or_default();
            if created < started {
                due = due.max(started.plus(AGENTS_BACK));
            }
            if in_window {
                let windows = windows.get(&host).map_or(&[][..], Vec::as_slice);
                match windows::standing(windows, due.max(now)) {
                    Standing::Open(_) => {}
                    Standing::Shut(opens) => due = opens,
                    Standing::Never => continue,
                }
            }
            if due <= now {
                offline.due.push((command, host));
            } else {
                offline.next = Some(offline.next.map_or(due, |next| next.min(due)));
            }
        }
    }
}
