//! How a host has been, as it is asked for: over which time, in which steps, and the points of that.

use std::time::Duration;

use super::{ErrorKind, ServiceError};
use crate::clock::UnixMillis;
use crate::ids::HostId;
use crate::platform::Platform;
use crate::platform::health::History;
use crate::platform::store::health::{Gauge, HealthQuery, HealthRow, Step};
use crate::wire::api::{
    GetHostHealthRequest, GetHostHealthResponse, HealthMeasure, HealthPoint, HealthStep,
};

/// As far back as it is looked where nobody says.
const SPAN_DEFAULT: Duration = Duration::from_secs(24 * 60 * 60);
/// Points of an answer, where nobody says of how much time each is to be.
const POINTS_GOOD: u64 = 400;
/// Points of any answer: each is looked up by itself, some microseconds of a reader.
const POINTS_MAX: u64 = 4000;

impl Platform {
    /// How this host has been.
    pub(super) async fn health_of(
        &self,
        host: HostId,
        request: &GetHostHealthRequest,
    ) -> Result<GetHostHealthResponse, ServiceError> {
        let (query, step) = query(&self.health, UnixMillis::now(), host, request)?;
        let rows = self.store.health(query).await?;
        Ok(GetHostHealthResponse {
            step,
            points: rows.into_iter().map(|row| point(query.step, row)).collect(),
        })
    }
}

fn query(
    history: &History,
    now: UnixMillis,
    host: HostId,
    request: &GetHostHealthRequest,
) -> Result<(HealthQuery, HealthStep), ServiceError> {
    let until = request.until.map_or(now, UnixMillis::from).min(now);
    let before = UnixMillis(until.0.saturating_sub(SPAN_DEFAULT.as_millis() as u64));
    let since = request.since.map_or(before, UnixMillis::from);
    if since >= until {
        let detail =
            "the time ends before it begins, or begins in the future: since must be before until";
        return Err(refused("since", "range_invalid", detail));
    }
    let kept =
        |step: Step| UnixMillis(now.0.saturating_sub(history.keeps(step).as_millis() as u64));
    let points = |step: Step, since| step.number(until).saturating_sub(step.number(since)) + 1;
    let step = match request.step {
        HealthStep::Minute => Step::Minute,
        HealthStep::Quarter => Step::Quarter,
        HealthStep::ThreeHours => Step::ThreeHours,
        HealthStep::Unspecified | HealthStep::Unknown(_) => {
            // The minute in which both begin: what is asked for to the second is kept as well.
            let does = |step: &Step| {
                let reaches = kept(*step).0 <= since.0 + step.length().as_millis() as u64;
                reaches && points(*step, since) <= POINTS_GOOD
            };
            Step::ALL.into_iter().find(does).unwrap_or(Step::ThreeHours)
        }
    };
    let since = since.max(kept(step));
    if since < until && points(step, since) > POINTS_MAX {
        let detail = "that is more than 4000 points: ask for less time, or for a coarser step";
        return Err(refused("step", "range_too_long", detail));
    }
    let query = HealthQuery {
        host,
        step,
        since,
        until,
        count: POINTS_MAX as usize,
    };
    let shown = match step {
        Step::Minute => HealthStep::Minute,
        Step::Quarter => HealthStep::Quarter,
        Step::ThreeHours => HealthStep::ThreeHours,
    };
    Ok((query, shown))
}

fn refused(field: &str, code: &'static str, detail: &str) -> ServiceError {
    let mut error = ServiceError::new(ErrorKind::Invalid, code, detail);
    error.field = Some(field.to_owned());
    error
}

fn point(step: Step, row: HealthRow) -> HealthPoint {
    let figures = row.figures;
    let measure = |gauge| {
        figures.of(gauge).map(|measure| HealthMeasure {
            mean: measure.mean(gauge),
            max: measure.max(gauge),
        })
    };
    HealthPoint {
        at: Some(row.at.into()),
        reports: figures.reports,
        // A clock that was set back makes a piece of time that was there twice.
        online_seconds: figures.online_seconds.min(step.length().as_secs()),
        reconnects: figures.reconnects,
        bytes_from_agent: figures.bytes_from_agent,
        bytes_to_agent: figures.bytes_to_agent,
        cpu_percent: measure(Gauge::Cpu),
        memory_percent: measure(Gauge::Memory),
        disk_percent: measure(Gauge::Disk),
        load_average: measure(Gauge::Load),
        temperature_celsius: measure(Gauge::Temperature),
        round_trip_ms: measure(Gauge::RoundTrip),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::random;

    const NOW: UnixMillis = UnixMillis(1_750_000_000_000);
    const HOUR: u64 = 3_600_000;

    async fn ask(since: u64, until: u64, step: HealthStep) -> Result<(Step, u64), &'static str> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let platform = Platform::fresh(dir.path()).await;
        let ago = |hours: u64| UnixMillis(NOW.0 - hours * HOUR);
        let request = GetHostHealthRequest {
            host_id: "kvm".to_owned(),
            since: (since > 0).then(|| ago(since).into()),
            until: (until > 0).then(|| ago(until).into()),
            step,
        };
        let host = HostId::random(random());
        let asked = query(&platform.health, NOW, host, &request);
        asked
            .map(|(query, _)| (query.step, (NOW.0 - query.since.0) / HOUR))
            .map_err(|error| error.code)
    }

    #[tokio::test]
    async fn the_step_is_the_finest_that_gives_no_crowd_and_reaches_back() {
        let free = HealthStep::Unspecified;
        assert_eq!(ask(0, 0, free).await, Ok((Step::Quarter, 24)));
        assert_eq!(ask(6, 0, free).await, Ok((Step::Minute, 6)));
        assert_eq!(ask(24, 20, free).await, Ok((Step::Minute, 24)));
        assert_eq!(ask(72, 71, free).await, Ok((Step::Quarter, 72)));
        assert_eq!(
            ask(20 * 24, 19 * 24, free).await,
            Ok((Step::ThreeHours, 480))
        );
        let year = 365 * 24;
        assert_eq!(ask(year, 0, free).await, Ok((Step::ThreeHours, year)));
        // What is kept no longer is left out.
        assert_eq!(
            ask(2 * year, 0, free).await,
            Ok((Step::ThreeHours, 400 * 24))
        );
        assert_eq!(
            ask(year, 0, HealthStep::Minute).await,
            Ok((Step::Minute, 24))
        );
    }

    #[tokio::test]
    async fn a_time_that_is_none_is_refused() {
        let free = HealthStep::Unspecified;
        assert_eq!(ask(2, 3, free).await, Err("range_invalid"));
        assert_eq!(ask(3, 3, free).await, Err("range_invalid"));
    }
}
