//! The host's health figures for the heartbeat. Reading them touches files and, for disks, may wait
//! for a file system: it is done on a thread of its own, never where the link runs.

use sysinfo::{Components, DiskRefreshKind, Disks, System};

/// Most disks and most sensors that are looked at: more than a host has, fewer than a container
/// host's mounts.
const DISKS_MAX: usize = 64;
const SENSORS_MAX: usize = 256;

/// Figures at one moment. What the host does not tell is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Health {
    /// Seconds since the host started.
    pub uptime_s: Option<u64>,
    /// How busy the processors were since the last sample, 0 to 100; absent in the first.
    pub cpu_percent: Option<f64>,
    /// Memory that programs cannot get, 0 to 100.
    pub memory_percent: Option<f64>,
    /// The fullest disk that can be written to, 0 to 100.
    pub disk_percent: Option<f64>,
    /// Load average over one minute.
    pub load_1m: Option<f64>,
    /// The hottest sensor, in degrees Celsius.
    pub temperature_celsius: Option<f64>,
}

/// Takes samples, and remembers what the next needs: processor time is a difference.
#[derive(Default)]
pub struct Sampler {
    system: Option<System>,
    sampled: bool,
}

impl Sampler {
    /// Begins. Where the system tells nothing, samples are empty rather than errors: an agent
    /// without figures is still an agent.
    #[must_use]
    pub fn new() -> Self {
        Self {
            system: System::new().ok(),
            sampled: false,
        }
    }

    /// Reads all figures. May block.
    pub fn sample(&mut self) -> Health {
        let again = std::mem::replace(&mut self.sampled, true);
        let (mut cpu_percent, mut memory_percent) = (None, None);
        if let Some(system) = &mut self.system {
            system.refresh_cpu_usage();
            system.refresh_memory();
            cpu_percent = again.then(|| percent(f64::from(system.global_cpu_usage()), 100.0));
            let total = system.total_memory();
            let used = total.saturating_sub(system.available_memory());
            memory_percent = (total > 0).then(|| percent(used as f64, total as f64));
        }
        Health {
            uptime_s: System::uptime().ok(),
            cpu_percent,
            memory_percent,
            disk_percent: fullest_disk(),
            load_1m: System::load_average()
                .ok()
                .map(|load| load.one)
                .filter(|load| load.is_finite()),
            temperature_celsius: hottest_sensor(),
        }
    }
}

fn fullest_disk() -> Option<f64> {
    let refresh = DiskRefreshKind::nothing().with_storage();
    let disks = Disks::new_with_refreshed_list_specifics(refresh).ok()?;
    disks
        .iter()
        .take(DISKS_MAX)
        .filter(|disk| disk.total_space() > 0 && !disk.is_read_only())
        .map(|disk| {
            let used = disk.total_space().saturating_sub(disk.available_space());
            percent(used as f64, disk.total_space() as f64)
        })
        .max_by(f64::total_cmp)
}

fn hottest_sensor() -> Option<f64> {
    let components = Components::new_with_refreshed_list().ok()?;
    components
        .iter()
        .take(SENSORS_MAX)
        .filter_map(|component| component.temperature())
        .map(f64::from)
        .filter(|celsius| celsius.is_finite())
        .max_by(f64::total_cmp)
}

/// With one digit after the point: more would be noise in every heartbeat.
fn percent(part: f64, whole: f64) -> f64 {
    (part / whole * 1000.0).round().clamp(0.0, 1000.0) / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_in_their_ranges() {
        let mut sampler = Sampler::new();
        assert_eq!(
            sampler.sample().cpu_percent,
            None,
            "the first has nothing to compare with"
        );
        let health = sampler.sample();
        for figure in [
            health.cpu_percent,
            health.memory_percent,
            health.disk_percent,
        ]
        .into_iter()
        .flatten()
        {
            assert!((0.0..=100.0).contains(&figure), "{health:?}");
        }
        assert!(health.uptime_s.is_some_and(|uptime| uptime > 0));
        assert!(health.memory_percent.is_some_and(|percent| percent > 0.0));
        assert!(health.load_1m.is_some_and(|load| load >= 0.0));
    }

    #[test]
    fn percentages_have_one_digit_and_stay_in_range() {
        assert_eq!(percent(1.0, 3.0), 33.3);
        assert_eq!(percent(5.0, 4.0), 100.0);
        assert_eq!(percent(-1.0, 4.0), 0.0);
    }
}
