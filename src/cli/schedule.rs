//! When hosts are asked, at the command line: in waves, not before a time, in maintenance windows. One set of
//! options for every command that asks hosts for something.

use std::time::Duration;

use serde_json::{Value, json};

use super::text;
use super::usage::UsageError;
use crate::clock::{UnixMillis, parse_duration};
use crate::wire::values::Timestamp;

/// When hosts are asked.
#[derive(clap::Args)]
#[command(next_help_heading = "When")]
pub(super) struct When {
    /// So many hosts at a time, or such a part of them: 10, or 20%
    #[arg(long, value_name = "HOSTS")]
    wave_size: Option<String>,
    /// How long to wait after each wave
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, requires = "wave_size")]
    wave_pause: Option<Duration>,
    /// Begin no other wave when more hosts than this have failed, until somebody resumes the command
    #[arg(long, value_name = "HOSTS", requires = "wave_size")]
    max_failures: Option<u32>,
    /// Not before then: an instant as RFC 3339 has it, or so far from now, as in 2h
    #[arg(long, value_name = "TIME")]
    not_before: Option<String>,
    /// On each host only within the maintenance windows of its groups
    #[arg(long)]
    in_maintenance_window: bool,
    /// Not on a host that is offline when its turn comes
    #[arg(long)]
    skip_offline: bool,
}

impl When {
    /// Adds to a request what is asked for.
    ///
    /// # Errors
    /// When the size of a wave is no number.
    pub(super) fn add_to(&self, request: &mut Value) -> Result<(), UsageError> {
        if let Some(size) = &self.wave_size {
            let (number, member) = match size.strip_suffix('%') {
                Some(number) => (number, "percent"),
                None => (&**size, "size"),
            };
            let number: u32 = number.parse().map_err(|_| UsageError::Request {
                field: "wave_size".to_owned(),
                what: format!("{size:?} is no number of hosts, as in 10, or 20%"),
            })?;
            let mut waves = json!({member: number});
            if let Some(pause) = self.wave_pause {
                waves["pause"] = pause.as_secs().into();
            }
            if let Some(most) = self.max_failures {
                waves["max_failures"] = most.into();
            }
            request["waves"] = waves;
        }
        let mut schedule = json!({});
        if let Some(time) = &self.not_before {
            let time = match parse_duration(time) {
                Ok(after) => in_a_while(after),
                Err(_) => time.clone(),
            };
            schedule["not_before"] = time.into();
        }
        for (member, is_said) in [
            ("in_maintenance_window", self.in_maintenance_window),
            ("skip_offline", self.skip_offline),
        ] {
            if is_said {
                schedule[member] = true.into();
            }
        }
        if schedule != json!({}) {
            request["schedule"] = schedule;
        }
        Ok(())
    }
}

/// Where the waves of a command stand, in a line; `None` where it has none.
pub(super) fn wave_line(command: &Value) -> Option<String> {
    let state = command.get("wave_state").filter(|it| it.is_object())?;
    let number = |member: &str| state[member].as_u64().unwrap_or_default();
    let id = command["id"].as_str().unwrap_or_default();
    let mut line = format!("wave {} of {}", number("current"), number("total"));
    match (state["paused_at"].as_str(), state["next_at"].as_str()) {
        (Some(_), _) => line.push_str(&format!(
            "; paused ({}): go on with: fleetwire command resume {id}; end it with: fleetwire command \
             abort {id}",
            text::cell(&state["reason"])
        )),
        (None, Some(at)) => line.push_str(&format!("; the next begins at {}", text::plain(at))),
        (None, None) => {}
    }
    Some(line)
}

/// The moment that is so far away, as JSON has it.
pub(super) fn in_a_while(after: Duration) -> String {
    let moment = Timestamp::from(UnixMillis::now().plus(after));
    prost_types::Timestamp::from(moment).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_waves_stand_is_one_line() {
        assert_eq!(wave_line(&json!({"id": "c"})), None);
        let going = json!({"wave_state": {"current": 2, "total": 5, "held": 30}});
        assert_eq!(wave_line(&going).as_deref(), Some("wave 2 of 5"));
        let pausing = json!({"wave_state": {"current": 2, "total": 5,
            "next_at": "2026-01-01T00:00:00Z"}});
        let line = wave_line(&pausing).expect("a line");
        assert!(line.ends_with("begins at 2026-01-01T00:00:00Z"), "{line}");
        let paused = json!({"id": "c1", "wave_state": {"current": 2, "total": 5,
            "paused_at": "2026-01-01T00:00:00Z", "reason": "failures_exceeded"}});
        let line = wave_line(&paused).expect("a line");
        assert!(
            line.contains("failures_exceeded") && line.contains("resume c1"),
            "{line}"
        );
    }
}
