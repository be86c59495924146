//! What is sent at once: where many messages of one rule are due together, as when a site goes dark, they are one message,
//! so that nobody is told twenty thousand times of one thing. What was sent together once is tried again together, under
//! the same id.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::UnixMillis;
use crate::ids::{AlertRuleId, Uuid};
use crate::platform::store::alert_channels::DueNotification;

/// So many messages of one rule are sent each by itself.
const ALONE_MAX: usize = 10;
/// And so many more as one: some 300 KiB of JSON.
pub(super) const TOGETHER_MAX: usize = 500;
/// Where there are more than are sent alone, others are waited for so long.
const GATHERED: Duration = Duration::from_secs(5);

/// What belongs together.
#[derive(PartialEq, Eq, Hash)]
enum Of {
    /// Sent together before.
    Batch(Uuid),
    /// Never sent, of one rule.
    Rule(AlertRuleId),
    /// Sent alone before.
    One(Uuid),
}

/// What is sent at once of what is due, in its order, and when others have been waited for.
pub(super) fn lots(
    due: Vec<DueNotification>,
    now: UnixMillis,
) -> (Vec<Vec<DueNotification>>, Option<UnixMillis>) {
    let mut places = HashMap::new();
    let mut kinds: Vec<Vec<DueNotification>> = Vec::new();
    for due in due {
        let of = match due.batch {
            Some(batch) => Of::Batch(batch),
            None if due.attempts == 0 => Of::Rule(due.rule),
            None => Of::One(due.id),
        };
        let place = *places.entry(of).or_insert(kinds.len());
        match kinds.get_mut(place) {
            Some(kind) => kind.push(due),
            None => kinds.push(vec![due]),
        }
    }
    let (mut lots, mut later) = (Vec::new(), None);
    for mut kind in kinds {
        let is_batch = kind.iter().any(|due| due.batch.is_some());
        if is_batch {
            lots.push(kind);
        } else if kind.len() <= ALONE_MAX {
            lots.extend(kind.into_iter().map(|due| vec![due]));
        } else {
            let oldest = kind.iter().map(|due| due.created).min().unwrap_or(now);
            let gathered = oldest.plus(GATHERED);
            if kind.len() < TOGETHER_MAX && gathered > now && oldest <= now {
                later = later.into_iter().chain([gathered]).min();
                continue;
            }
            // What is more comes after it.
            kind.truncate(TOGETHER_MAX);
            lots.push(kind);
        }
    }
    (lots, later)
}

/// Many messages as one.
pub(super) fn body(parts: &[DueNotification]) -> String {
    let message = |part: &DueNotification| {
        let mut message: Value = serde_json::from_str(&part.body).unwrap_or_default();
        if let Value::Object(message) = &mut message {
            message.insert("id".to_owned(), part.id.to_string().into());
        }
        message
    };
    let messages: Vec<_> = parts.iter().map(message).collect();
    let of_first = |name: &str| messages.first().map(|first| first["data"][name].clone());
    let last = messages.last().map(|last| last["timestamp"].clone());
    json!({
        "type": "alert.many",
        "timestamp": last,
        "data": {
            "rule_id": of_first("rule_id"),
            "rule": of_first("rule"),
            "count": messages.len(),
            "messages": messages,
        }
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(number: u128, rule: u128) -> DueNotification {
        DueNotification {
            id: Uuid::from_u128(number),
            rule: AlertRuleId(Uuid::from_u128(rule)),
            batch: None,
            body: "{}".to_owned(),
            created: UnixMillis(1000),
            attempts: 0,
        }
    }

    fn sizes(due: Vec<DueNotification>, now: u64) -> (Vec<usize>, Option<UnixMillis>) {
        let (lots, later) = lots(due, UnixMillis(now));
        (lots.iter().map(Vec::len).collect(), later)
    }

    #[test]
    fn few_are_sent_alone_and_many_once_they_are_gathered() {
        let of = |rule, count| (0..count).map(move |number| due(rule * 10_000 + number, rule));
        let few: Vec<_> = of(1, 10).chain(of(2, 3)).collect();
        assert_eq!(sizes(few, 1000), (vec![1; 13], None));
        let many: Vec<_> = of(1, 11).chain(of(2, 1)).collect();
        let gathered = Some(UnixMillis(6000));
        assert_eq!(sizes(many.clone(), 1000), (vec![1], gathered));
        assert_eq!(sizes(many.clone(), 5999), (vec![1], gathered));
        assert_eq!(sizes(many.clone(), 6000), (vec![11, 1], None));
        // A clock that was set back holds nothing.
        assert_eq!(sizes(many, 999), (vec![11, 1], None));
        let full: Vec<_> = of(1, 700).collect();
        assert_eq!(sizes(full, 1000), (vec![TOGETHER_MAX], None));
    }

    #[test]
    fn what_was_sent_stays_as_it_was_sent() {
        let again = |number| DueNotification {
            attempts: 1,
            ..due(number, 1)
        };
        let alone: Vec<_> = (0..20).map(again).collect();
        assert_eq!(sizes(alone, 1000), (vec![1; 20], None));
        let batch = Some(Uuid::from_u128(7));
        let again = (0..20).map(|number| DueNotification {
            batch,
            ..again(number)
        });
        assert_eq!(sizes(again.collect(), 1000), (vec![20], None));
    }
}
