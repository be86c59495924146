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
        let (states, faults) = self.compare(deliveries, effects, interrupted_max);
        let told: Vec<_> = faults.iter().take(20).collect();
        assert!(faults.is_empty(), "{} faults: {told:#?}", faults.len());
        states
    }

    fn compare(
        &self,
        deliveries: &BTreeMap<String, Value>,
        effects: &[String],
        interrupted_max: usize,
    ) -> (BTreeMap<String, usize>, Vec<String>) {
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
        (states, faults)
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

/// That an agent which runs a command again, or a platform that loses one, is noticed.
mod canaries {
    use serde_json::json;

    use super::*;

    /// What was made of five commands, as a sound pair leaves it, and what then is made of that.
    fn faults(
        spoil: impl FnOnce(&mut BTreeMap<String, Value>, &mut Vec<String>),
        interrupted_max: usize,
    ) -> Vec<String> {
        let ledger = Ledger::default();
        let mut deliveries = BTreeMap::new();
        let mut end = |id: &str, manner, delivery| {
            ledger.note(deliveries.len(), id.to_owned(), manner);
            deliveries.insert(id.to_owned(), delivery);
        };
        let begun = "2026-11-22T00:00:00Z";
        end(
            "done",
            Manner::Plain,
            json!({ "state": "succeeded", "started_at": begun }),
        );
        let cut = json!({ "state": "interrupted", "started_at": begun, "reason": "agent_ended" });
        end("cut", Manner::Slow, cut);
        end(
            "cancelled",
            Manner::Cancelled,
            json!({ "state": "cancelled" }),
        );
        end("expired", Manner::Brief, json!({ "state": "expired" }));
        let refused = json!({ "state": "dead", "reason": "not_allowed" });
        end("refused", Manner::NotAllowed, refused);
        // The second was cut after it had had its effect.
        let mut effects = vec!["0".to_owned(), "1".to_owned()];
        spoil(&mut deliveries, &mut effects);
        ledger.compare(&deliveries, &effects, interrupted_max).1
    }

    #[test]
    fn a_sound_history_is_taken() {
        assert_eq!(faults(|_, _| (), 1), [""; 0]);
        assert_eq!(faults(|_, effects| drop(effects.remove(1)), 1), [""; 0]);
    }

    #[test]
    fn an_effect_that_came_twice_is_a_fault() {
        for number in ["0", "1"] {
            let found = faults(|_, effects| effects.push(number.to_owned()), 1);
            assert!(
                found.len() == 1 && found[0].contains("2 times"),
                "{found:?}"
            );
        }
    }

    #[test]
    fn an_effect_that_did_not_come_or_was_not_to_come_is_a_fault() {
        let found = faults(|_, effects| drop(effects.remove(0)), 1);
        assert!(
            found.len() == 1 && found[0].contains("0 times"),
            "{found:?}"
        );
        for number in ["2", "3", "4"] {
            let found = faults(|_, effects| effects.push(number.to_owned()), 1);
            assert!(
                found.len() == 1 && found[0].contains("1 times"),
                "{found:?}"
            );
        }
        let found = faults(|_, effects| effects.push("7".to_owned()), 1);
        assert_eq!(found, ["7 happened and was never accepted"]);
    }

    #[test]
    fn a_command_that_is_gone_or_was_never_asked_for_is_a_fault() {
        let found = faults(|deliveries, _| drop(deliveries.remove("expired")), 1);
        assert_eq!(found, ["expired was accepted and is not there"]);
        let another = |deliveries: &mut BTreeMap<_, _>, _: &mut _| {
            deliveries.insert("strange".to_owned(), json!({ "state": "expired" }));
        };
        assert_eq!(
            faults(another, 1),
            ["strange is there and was never accepted"]
        );
    }

    #[test]
    fn more_that_were_cut_than_could_be_is_a_fault() {
        assert_eq!(faults(|_, _| (), 0), ["1 interrupted, where 0 may be"]);
        let lost = |deliveries: &mut BTreeMap<String, Value>, _: &mut _| {
            deliveries.get_mut("cut").unwrap()["reason"] = "journal_lost".into();
        };
        assert_eq!(faults(lost, 1).len(), 1);
    }

    #[test]
    fn a_state_that_is_no_end_or_not_that_of_its_manner_is_a_fault() {
        for (id, state) in [
            ("done", "queued"),
            ("done", "running"),
            ("done", "failed"),
            ("done", "cancelled"),
            ("done", "expired"),
            ("cancelled", "dead"),
            ("expired", "succeeded"),
            ("refused", "succeeded"),
            ("refused", "interrupted"),
        ] {
            let other = |deliveries: &mut BTreeMap<String, Value>, _: &mut _| {
                deliveries.get_mut(id).unwrap()["state"] = state.into();
            };
            assert_eq!(faults(other, 2).len(), 1, "{id} {state}");
        }
    }
}
