//! `fleetwire host health`: how a host has been, as a line for each thing that is measured, with its course as
//! small bars at a terminal, or as the platform answers it in JSON.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use clap::{Args as _, ValueEnum};
use serde_json::{Map, Value};

use super::call::Client;
use super::server;
use super::{Error, output, text};
use crate::clock::{UnixMillis, parse_duration};
use crate::wire::values::Timestamp;

/// The group of the generated commands that this belongs to, and the subcommand's name.
pub(super) const GROUP: &str = "host";
pub(super) const NAME: &str = "health";
/// Bars of one course.
const BARS_MAX: usize = 48;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Show how a host has been: what its agent reported, and its connection
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The host, by its name or id
    #[arg(value_name = "HOST")]
    host: String,
    /// How far back, such as 6h or 30d
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "24h")]
    since: Duration,
    /// Until how long ago; without it now
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    until: Option<Duration>,
    /// How much time a point stands for; without it as fits
    #[arg(long, value_enum)]
    step: Option<Step>,
    /// A row for each point
    #[arg(long)]
    points: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Step {
    /// A minute; kept for a day
    Minute,
    /// A quarter of an hour; kept for two weeks
    Quarter,
    /// Three hours; kept for 400 days
    ThreeHours,
}

impl Step {
    const fn word(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Quarter => "quarter",
            Self::ThreeHours => "three_hours",
        }
    }
}

/// What is measured: its member, what people call it, and its unit.
const MEASURES: [(&str, &str, &str); 6] = [
    ("cpu_percent", "CPU", "%"),
    ("memory_percent", "MEMORY", "%"),
    ("disk_percent", "DISK", "%"),
    ("load_average", "LOAD", ""),
    ("temperature_celsius", "TEMPERATURE", "°C"),
    ("round_trip_ms", "ROUND TRIP", "ms"),
];

/// The subcommand as clap has it, in place of the generated one.
pub(super) fn command() -> clap::Command {
    Args::augment_args(clap::Command::new(NAME))
}

pub(super) async fn run(args: Args, server: &server::Args, json: bool) -> Result<(), Error> {
    let mut request = Map::new();
    request.insert("host_id".to_owned(), args.host.into());
    request.insert("since".to_owned(), ago(args.since).into());
    if let Some(until) = args.until {
        request.insert("until".to_owned(), ago(until).into());
    }
    if let Some(step) = args.step {
        request.insert("step".to_owned(), step.word().into());
    }
    let mut client = Client::connect(server).await?;
    let answer = client
        .once("HostService", "GetHostHealth", request.into())
        .await?;
    if json {
        return output::json(&answer);
    }
    let points = answer["points"].as_array().map_or(&[][..], Vec::as_slice);
    if args.points {
        return each(points);
    }
    courses(points, io::stdout().is_terminal())
}

/// The moment that was so long ago, as JSON has it.
fn ago(before: Duration) -> String {
    let now = UnixMillis::now().0;
    let moment = UnixMillis(now.saturating_sub(before.as_millis() as u64));
    prost_types::Timestamp::from(Timestamp::from(moment)).to_string()
}

/// A row for each thing that was measured, and what there was of connections.
fn courses(points: &[Value], bars: bool) -> Result<(), Error> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        output::beside(
            "nothing is kept of that time: the host was not connected, or it is too long ago",
        );
        return Ok(());
    };
    let rows = MEASURES.iter().filter_map(|(member, name, unit)| {
        let means: Vec<_> = points
            .iter()
            .map(|point| point[member]["mean"].as_f64())
            .collect();
        let known: Vec<_> = means.iter().flatten().copied().collect();
        let now = *known.last()?;
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        let most = points
            .iter()
            .filter_map(|point| point[member]["max"].as_f64());
        let most = most.fold(f64::MIN, f64::max);
        let figure = |figure: f64| format!("{figure:.1} {unit}").trim().to_owned();
        let mut row = vec![(*name).to_owned(), figure(mean), figure(most), figure(now)];
        if bars {
            row.push(course(&means));
        }
        Some(row)
    });
    let mut head = vec!["", "MEAN", "MAX", "LAST"];
    head.extend(bars.then_some("COURSE"));
    output::table(head, rows)?;
    let sum = |member: &str| {
        points
            .iter()
            .filter_map(|point| point[member].as_u64())
            .sum::<u64>()
    };
    output::line(&format!(
        "\n{} to {}: online for {}, came back {} times, {} from the agent, {} to it",
        text::cell(&first["at"]),
        text::cell(&last["at"]),
        lasted(sum("online_seconds")),
        sum("reconnects"),
        amount(sum("bytes_from_agent")),
        amount(sum("bytes_to_agent")),
    ))
}

fn each(points: &[Value]) -> Result<(), Error> {
    let rows = points.iter().map(|point| {
        let mut row = vec![text::cell(&point["at"])];
        row.extend(MEASURES.iter().map(|(member, _, _)| {
            let figure = |name: &str| point[member][name].as_f64();
            match (figure("mean"), figure("max")) {
                (Some(mean), Some(max)) => format!("{mean:.1} ({max:.1})"),
                _ => "-".to_owned(),
            }
        }));
        row.push(text::cell(&point["online_seconds"]));
        row.push(text::cell(&point["reconnects"]));
        row
    });
    let names = MEASURES.iter().map(|(_, name, _)| *name);
    let head = ["AT"]
        .into_iter()
        .chain(names)
        .chain(["ONLINE S", "RECONNECTS"]);
    output::table(head, rows)
}

/// A course as bars between its least and its most; a blank where nothing is known.
fn course(values: &[Option<f64>]) -> String {
    let size = values.len().div_ceil(BARS_MAX).max(1);
    let pieces: Vec<Option<f64>> = values
        .chunks(size)
        .map(|piece| {
            let known: Vec<_> = piece.iter().flatten().collect();
            let sum: f64 = known.iter().copied().sum();
            (!known.is_empty()).then(|| sum / known.len() as f64)
        })
        .collect();
    let least = pieces.iter().flatten().copied().fold(f64::MAX, f64::min);
    let most = pieces.iter().flatten().copied().fold(f64::MIN, f64::max);
    let span = (most - least).max(f64::MIN_POSITIVE);
    let bar = |value: f64| {
        let height = (value - least) / span * (BARS.len() - 1) as f64;
        BARS.get(height.round() as usize).copied().unwrap_or('█')
    };
    pieces
        .into_iter()
        .map(|piece| piece.map_or(' ', bar))
        .collect()
}

fn lasted(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

fn amount(bytes: u64) -> String {
    let mut amount = bytes as f64;
    let mut units = ["B", "KiB", "MiB", "GiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    while amount >= 1024.0
        && let Some(larger) = units.next()
    {
        amount /= 1024.0;
        unit = larger;
    }
    match unit {
        "B" => format!("{bytes} B"),
        unit => format!("{amount:.1} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_course_is_bars() {
        let known = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
        assert_eq!(course(&known(&[0.0, 50.0, 100.0])), "▁▅█");
        assert_eq!(course(&known(&[7.0, 7.0])), "▁▁");
        assert_eq!(course(&[Some(1.0), None, Some(2.0)]), "▁ █");
        assert_eq!(course(&[]), "");
        let many = known(&(0..1440).map(f64::from).collect::<Vec<_>>());
        assert_eq!(course(&many).chars().count(), BARS_MAX);
        assert_eq!(course(&known(&[f64::MIN, f64::MAX])).chars().count(), 2);
    }

    #[test]
    fn amounts_and_times_are_short() {
        let amounts = [0, 1023, 1536, 5 << 30].map(amount);
        assert_eq!(amounts, ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]);
        let times = [59, 60, 86_399].map(lasted);
        assert_eq!(times, ["59 s", "1 min", "23 h 59 min"]);
    }
}
