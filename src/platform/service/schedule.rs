//! When the hosts of a command are asked: at once or in waves, not before a time, in maintenance windows. What
//! nobody could mean is refused here; what follows from it is the delivery's affair.

use std::collections::BTreeMap;

use super::ServiceError;
use super::commands::{EXPIRY, expiry};
use super::parameters::{named, refused};
use super::targets::Targets;
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::HostId;
use crate::platform::Platform;
use crate::platform::store::commands::CommandRecord;
use crate::platform::store::waves::{Plan, Waves};
use crate::platform::windows::{Standing, Standings, Window};
use crate::wire::api::{CommandSchedule, CommandTarget, CommandWaveState, CommandWaves};
use crate::wire::values::Timestamp;

/// How long a command may wait for a window that opens once a week, where nobody says.
const WINDOW_EXPIRY_DAYS: u32 = 8;
/// How far ahead a command may be asked for.
const AHEAD_DAYS: u64 = 366;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// Hosts that the answer to a dry run names.
const HOSTS_SHOWN_MAX: usize = 1000;

/// When the hosts of a new command are asked.
pub(super) struct When {
    pub not_before: Option<UnixMillis>,
    pub expires: UnixMillis,
    pub plan: Plan,
    /// The hosts' maintenance windows, where they matter.
    windows: BTreeMap<HostId, Vec<Window>>,
    /// When it may first be begun.
    from: UnixMillis,
}

impl Platform {
    /// When hosts are to be asked.
    ///
    /// # Errors
    /// `waves_invalid`, `not_before_late`, `expiry_past`, `window_missing`, `window_late`.
    pub(super) async fn when(
        &self,
        now: UnixMillis,
        expires_at: Option<Timestamp>,
        waves: Option<CommandWaves>,
        schedule: Option<CommandSchedule>,
        targets: &Targets,
    ) -> Result<When, ServiceError> {
        let waves = waves.map(|asked| waves_of(&asked, targets.hosts.len()));
        let schedule = schedule.unwrap_or(CommandSchedule {
            not_before: None,
            in_maintenance_window: false,
            skip_offline: false,
        });
        let not_before = schedule.not_before.map(UnixMillis::from);
        let not_before = not_before.filter(|at| *at > now);
        let from = not_before.unwrap_or(now);
        if from.0 > now.0.saturating_add(AHEAD_DAYS * DAY_MS) {
            let detail = "a command is asked for a year ahead at most";
            return Err(refused("schedule.not_before", "not_before_late", detail));
        }
        let in_window = schedule.in_maintenance_window;
        let expires = match expires_at {
            Some(_) => expiry(now, expires_at)?,
            None if in_window => from.plus(EXPIRY * WINDOW_EXPIRY_DAYS),
            None => from.plus(EXPIRY),
        };
        if expires <= from {
            let detail =
                "it would expire before it may be begun: expires_at is not after not_before";
            return Err(refused("expires_at", "expiry_past", detail));
        }
        let mut when = When {
            not_before,
            expires,
            plan: Plan {
                in_window,
                skip_offline: schedule.skip_offline,
                waves: waves.transpose()?,
            },
            windows: BTreeMap::new(),
            from,
        };
        if in_window {
            let hosts = targets.hosts.iter().map(|(id, _)| *id).collect();
            when.windows = self.store.maintenance_windows(hosts).await?;
            when.check_windows(targets)?;
        }
        Ok(when)
    }
}

impl When {
    /// Refuses what would wait for a window that never opens, or not in time.
    fn check_windows(&self, targets: &Targets) -> Result<(), ServiceError> {
        let wrong =
            |code, detail: &str| Err(refused("schedule.in_maintenance_window", code, detail));
        let (mut without, mut standings) = (Vec::new(), Standings::at(self.from));
        for (id, name) in &targets.hosts {
            match standings.of(self.windows_of(*id)) {
                Standing::Never => without.push(name.clone()),
                Standing::Shut(opens) if opens >= self.expires => {
                    let detail = format!(
                        "the next maintenance window of {name} opens at {opens}, when the command has expired"
                    );
                    return wrong("window_late", &detail);
                }
                _ => {}
            }
        }
        if without.is_empty() {
            return Ok(());
        }
        let detail = format!(
            "no group of these hosts has a maintenance window: {}",
            named(&without)
        );
        wrong("window_missing", &detail)
    }

    fn windows_of(&self, host: HostId) -> &[Window] {
        self.windows.get(&host).map_or(&[][..], Vec::as_slice)
    }

    /// How many waves so many hosts are; 0 where there are none.
    pub fn waves(&self, hosts: usize) -> u64 {
        self.plan.waves.map_or(0, |waves| waves.count(hosts))
    }

    /// The hosts, as a dry run names them.
    pub fn shown(&self, targets: Targets, online: impl Fn(HostId) -> bool) -> Vec<CommandTarget> {
        let mut standings = Standings::at(self.from);
        let first = targets.hosts.into_iter().take(HOSTS_SHOWN_MAX);
        let shown = (0_u64..)
            .zip(first)
            .map(|(index, (id, host))| CommandTarget {
                host_id: id.into(),
                host,
                online: online(id),
                wave: self.plan.waves.map_or(0, |waves| index / waves.size + 1),
                window_opens_at: match standings.of(self.windows_of(id)) {
                    Standing::Shut(opens) => Some(opens.into()),
                    Standing::Open(_) | Standing::Never => None,
                },
            });
        shown.collect()
    }

    /// What the audit log says of it.
    pub fn audited(&self, mut audit: Entry) -> Entry {
        if let Some(at) = self.not_before {
            audit = audit.detail("not_before", at.to_string());
        }
        if self.plan.in_window {
            audit = audit.detail("in_maintenance_window", "true");
        }
        if self.plan.skip_offline {
            audit = audit.detail("skip_offline", "true");
        }
        if let Some(waves) = self.plan.waves {
            audit = audit.detail("wave_size", waves.size.to_string());
            if let Some(most) = waves.failures_max {
                audit = audit.detail("max_failures", most.to_string());
            }
        }
        audit
    }
}

fn waves_of(asked: &CommandWaves, hosts: usize) -> Result<Waves, ServiceError> {
    let size = match (asked.size, asked.percent) {
        (0, 0) | (1.., 1..) => {
            let detail = "say how many hosts a wave has: size or percent, 1 at least";
            return Err(refused("waves", "waves_invalid", detail));
        }
        (0, percent) => (hosts as u64 * u64::from(percent)).div_ceil(100).max(1),
        (size, 0) => u64::from(size),
    };
    Ok(Waves {
        size,
        pause: std::time::Duration::from_secs(asked.pause.into()),
        failures_max: asked.max_failures.map(u64::from),
    })
}

/// How a command's hosts are asked, as it is shown.
pub(super) fn shown(
    record: &CommandRecord,
) -> (
    Option<CommandWaves>,
    Option<CommandSchedule>,
    Option<CommandWaveState>,
) {
    let plan = &record.plan;
    let short = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    let waves = plan.waves.map(|waves| CommandWaves {
        size: short(waves.size),
        percent: 0,
        pause: short(waves.pause.as_secs()),
        max_failures: waves.failures_max.map(short),
    });
    let is_scheduled = record.not_before.is_some() || plan.in_window || plan.skip_offline;
    let schedule = is_scheduled.then(|| CommandSchedule {
        not_before: record.not_before.map(Into::into),
        in_maintenance_window: plan.in_window,
        skip_offline: plan.skip_offline,
    });
    let state = record.waves.as_ref().map(|stand| CommandWaveState {
        current: stand.current,
        total: stand.total,
        held: stand.held,
        next_at: stand.next.map(Into::into),
        paused_at: stand.paused.map(Into::into),
        reason: stand.reason.clone(),
    });
    (waves, schedule, state)
}
