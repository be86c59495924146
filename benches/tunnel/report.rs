//! What was measured, as a table for people and as JSON for programs.
//!
//! A figure is the median over the rounds with its quartiles. A ratio is taken within each round,
//! between two runs that stood side by side, and its median and range are shown: hosts drift,
//! ratios of neighbours do not. Leaves to others: every measurement.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// What one metric is called and what is asked of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Metric {
    /// The group it is printed in.
    pub(crate) section: &'static str,
    /// Its name within the group.
    pub(crate) name: &'static str,
    /// The unit of every sample.
    pub(crate) unit: &'static str,
    /// The path that the others are set in relation to.
    pub(crate) base: &'static str,
    /// What the tunnel's ratio to the base must be.
    pub(crate) bound: Bound,
}

/// The bound on the tunnel's ratio to its yardstick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    /// Shown for orientation only.
    None,
    /// The ratio must reach this.
    AtLeast(f64),
    /// The ratio must not pass this.
    AtMost(f64),
}

/// The path whose ratios are held against the bounds.
pub(crate) const SUBJECT: &str = "fleetwire";

/// One path's samples, one a round.
type Series = (String, Vec<f64>);

/// All samples of a run: by metric in the order of their first appearance, by path likewise, one a
/// round.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<(Metric, Vec<Series>)>,
    notes: Vec<String>,
    conditions: BTreeMap<String, Value>,
}

impl Report {
    /// Adds one round's figure of one path. Rounds are matched by their order, so every path is
    /// recorded once a round.
    pub(crate) fn record(&mut self, metric: Metric, path: &str, value: f64) {
        let row = match self.rows.iter().position(|(known, _)| *known == metric) {
            Some(row) => row,
            None => {
                self.rows.push((metric, Vec::new()));
                self.rows.len() - 1
            }
        };
        let paths = &mut self.rows[row].1;
        match paths.iter_mut().find(|(known, _)| known == path) {
            Some((_, samples)) => samples.push(value),
            None => paths.push((path.to_owned(), vec![value])),
        }
    }

    /// Adds a remark that is printed under the tables.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// States a condition under which everything was measured.
    pub(crate) fn condition(&mut self, name: &str, value: impl Into<Value>) {
        self.conditions.insert(name.to_owned(), value.into());
    }

    /// The median ratio of `path` to `base` over the rounds of a metric, if both were measured.
    pub(crate) fn ratio(&self, section: &str, name: &str, path: &str, base: &str) -> Option<f64> {
        let (_, paths) = self
            .rows
            .iter()
            .find(|(metric, _)| metric.section == section && metric.name == name)?;
        let of = |wanted: &str| {
            paths
                .iter()
                .find(|(known, _)| known == wanted)
                .map(|(_, samples)| samples)
        };
        Some(Spread::of(&ratios(of(path)?, of(base)?))?.median)
    }

    /// The tables, one a section.
    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.conditions {
            text += &format!(
                "{name}: {}\n",
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned)
            );
        }
        // A section's rows need not have come together.
        let mut sections: Vec<&str> = Vec::new();
        for (metric, _) in &self.rows {
            if !sections.contains(&metric.section) {
                sections.push(metric.section);
            }
        }
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by_key(|(metric, _)| {
            sections
                .iter()
                .position(|section| *section == metric.section)
        });
        let mut section = "";
        for (metric, paths) in rows {
            if metric.section != section {
                section = metric.section;
                text += &format!("\n== {section}\n");
                text += &format!(
                    "{:<34} {:<14} {:>11} {:>23}  {:<44}\n",
                    "metric", "path", "median", "quartiles", "ratio, median (range)"
                );
            }
            let base = paths
                .iter()
                .find(|(path, _)| path == metric.base)
                .map(|(_, samples)| samples.as_slice());
            for (path, samples) in paths {
                let Some(spread) = Spread::of(samples) else {
                    continue;
                };
                let quartiles = format!("{}..{}", number(spread.lower), number(spread.upper));
                let relation = match base {
                    Some(base) if path != metric.base => relation(metric, path, samples, base),
                    _ => String::new(),
                };
                let name = format!("{}, {}", metric.name, metric.unit);
                text += &format!(
                    "{name:<34} {path:<14} {:>11} {quartiles:>23}  {relation:<44}\n",
                    number(spread.median)
                );
            }
        }
        for note in &self.notes {
            text += &format!("\nnote: {note}\n");
        }
        text
    }

    /// The same with every sample.
    pub(crate) fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .flat_map(|(metric, paths)| {
                let base = paths.iter().find(|(path, _)| path == metric.base);
                let base = base.map(|(_, samples)| samples.as_slice());
                paths.iter().map(move |(path, samples)| {
                    let spread = Spread::of(samples);
                    let ratio = base.and_then(|base| Spread::of(&ratios(samples, base)));
                    let held = ratio.filter(|_| path == SUBJECT);
                    json!({
                        "section": metric.section,
                        "metric": metric.name,
                        "unit": metric.unit,
                        "path": path,
                        "median": spread.map(|it| it.median),
                        "lower_quartile": spread.map(|it| it.lower),
                        "upper_quartile": spread.map(|it| it.upper),
                        "base": metric.base,
                        "ratio_median": ratio.map(|it| it.median),
                        "ratio_min": ratio.map(|it| it.min),
                        "ratio_max": ratio.map(|it| it.max),
                        "met": held.and_then(|it| metric.bound.met(it.median)),
                        "samples": samples,
                    })
                })
            })
            .collect();
        json!({ "conditions": self.conditions, "rows": rows, "notes": self.notes })
    }
}

impl Bound {
    /// Whether a ratio keeps the bound; `None` where there is none.
    fn met(self, ratio: f64) -> Option<bool> {
        match self {
            Bound::None => None,
            Bound::AtLeast(least) => Some(ratio >= least),
            Bound::AtMost(most) => Some(ratio <= most),
        }
    }
}

/// The column that says how a path stands to the metric's base, and whether the bound is kept.
fn relation(metric: &Metric, path: &str, samples: &[f64], base: &[f64]) -> String {
    let Some(ratio) = Spread::of(&ratios(samples, base)) else {
        return String::new();
    };
    let verdict = match (path == SUBJECT, metric.bound) {
        (true, Bound::AtLeast(least)) if ratio.median < least => {
            format!(", MISSED: at least {least}")
        }
        (true, Bound::AtMost(most)) if ratio.median > most => format!(", MISSED: at most {most}"),
        (true, Bound::AtLeast(least)) => format!(", met: at least {least}"),
        (true, Bound::AtMost(most)) => format!(", met: at most {most}"),
        _ => String::new(),
    };
    format!(
        "{:.2} ({:.2}..{:.2}) of {}{verdict}",
        ratio.median, ratio.min, ratio.max, metric.base
    )
}

/// Ratios round by round.
fn ratios(samples: &[f64], base: &[f64]) -> Vec<f64> {
    samples
        .iter()
        .zip(base)
        .filter(|(_, base)| **base > 0.0)
        .map(|(sample, base)| sample / base)
        .collect()
}

/// Where the samples of a series lie.
#[derive(Clone, Copy)]
struct Spread {
    min: f64,
    lower: f64,
    median: f64,
    upper: f64,
    max: f64,
}

impl Spread {
    /// `None` where there is no sample.
    fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| quantile(&sorted, share);
        Some(Self {
            min: *sorted.first()?,
            lower: at(0.25)?,
            median: at(0.5)?,
            upper: at(0.75)?,
            max: *sorted.last()?,
        })
    }
}

/// The value under which `share` of the sorted samples lie, linear between neighbours.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let position = share * (sorted.len().checked_sub(1)? as f64);
    let below = sorted.get(position.floor() as usize)?;
    let above = sorted.get(position.ceil() as usize)?;
    Some(below + (above - below) * position.fract())
}

/// Three significant places without an exponent.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 100.0 => format!("{value:.1}"),
        size if size >= 10.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
