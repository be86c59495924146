//! What was asked for, and whether what came of it is what may come of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use serde_json::Value;

/// How a command is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It appends its line.
    Plain,
    /// It takes a while before.
    Slow,
    /// It may not be begun for long.
    Brief,
    /// It is cancelled soon after it was asked for.
    Cancelled,
    /// The agent's owner does not allow it.
    NotAllowed,
}

/// The commands that were accepted, by their ids: the line that each appends, and its manner.
#[derive(Default)]
pub struct Ledger(Mutex<BTreeMap<String, (usize, Manner)>>);

impl Ledger {
    /// Notes one.
    pub fn note(&self, number: usize, id: String, manner: Manner) {
        let before = self.0.lock().unwrap().insert(id, (number, manner));
        assert_eq!(before, None, "two commands of one id");
    }

    /// Compares what was accepted, what the platform says and what happened. Answers how many ended how.
    ///
    /// # Panics
    /// Where they do not agree.
    pub fn settle(
        &self,
        deliveries: &BTreeMap<String, Value>,
        effects: &[String],
        interrupted_max: usize,
    ) -> BTreeMap<String, usize> {
        let accepted = self.0.lock().unwrap();
        let mut happened: HashMap<usize, usize> = HashMap::new();
        for line in effects {
            let number = line.parse().expect("whole lines");
            *happened.entry(number).or_default() += 1;
        }
        let mut states: BTreeMap<String, usize> = BTreeMap::new();
        let mut faults = Vec::new();
        for (id, (number, manner)) in accepted.iter() {
            let times = happened.remove(number).unwrap_or_default();
            let Some(delivery) = deliveries.get(id) else {
                faults.push(format!("{id} was accepted and is not there"));
                continue;
            };
            let state = delivery["state"].as_str().expect("a state");
            *states.entry(state.to_owned()).or_default() += 1;
            if !fits(delivery, state, *manner, times) {
                faults.push(format!(
                    "{manner:?} {number} happened {times} times: {delivery}"
                ));
            }
        }
        let strange = happened.keys();
        faults.extend(strange.map(|number| format!("{number} happened and was never accepted")));
        let known = deliveries.keys().filter(|id| !accepted.contains_key(*id));
        faults.extend(known.map(|id| format!("{id} is there and was never accepted")));
        let interrupted = states.get("interrupted").copied().unwrap_or_default();
        if interrupted > interrupted_max {
            faults.push(format!(
                "{interrupted} interrupted, where {interrupted_max} may be"
            ));
        }
        let told: Vec<_> = faults.iter().take(20).collect();
        assert!(faults.is_empty(), "{} faults: {told:#?}", faults.len());
        states
    }
}

/// Whether a delivery may stand there, with what has happened and how it was asked for.
fn fits(delivery: &Value, state: &str, manner: Manner, times: usize) -> bool {
    let reason = delivery["reason"].as_str().unwrap_or_default();
    let begun = delivery["started_at"].is_string();
    match state {
        "succeeded" => times == 1 && manner != Manner::NotAllowed,
        // By the end of its agent and by nothing else: no journal is lost here.
        "interrupted" => times <= 1 && reason == "agent_ended" && manner != Manner::NotAllowed,
        "cancelled" => times <= usize::from(begun) && manner == Manner::Cancelled,
        "expired" => times == 0 && !begun && manner == Manner::Brief,
        "dead" if manner == Manner::NotAllowed => times == 0 && reason == "not_allowed",
        // The disk was full each time that it came, ten times: its caller is told so.
        "dead" => times == 0 && !begun && reason == "attempts_exhausted",
        // Nothing here makes a script fail: its disk is another than the one that is full.
        _ => false,
    }
}
