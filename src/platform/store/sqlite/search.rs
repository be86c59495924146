//! The audit log as it is looked through.

use rusqlite::ToSql;

use super::super::StoreFuture;
use super::super::search::{AuditFilter, AuditSearch};
use super::{SqliteStore, audit};
use crate::audit::Chained;

impl AuditSearch for SqliteStore {
    fn audit_search(
        &self,
        filter: AuditFilter,
        before: Option<u64>,
        count: usize,
    ) -> StoreFuture<'_, Vec<Chained>> {
        Box::pin(self.read(move |connection| {
            let (conditions, values) = conditions(&filter, before);
            let sql = format!(
                "SELECT sequence, at, actor, action, target, host, session, outcome, details, hash
                 FROM audit WHERE {conditions} ORDER BY sequence DESC LIMIT {count}"
            );
            let mut query = connection.prepare_cached(&sql)?;
            let values: Vec<&dyn ToSql> = values.iter().map(|value| &**value).collect();
            let entries = query.query_map(&*values, audit::chained)?;
            Ok(entries.collect::<Result<_, _>>()?)
        }))
    }
}

/// Only placeholders go into the text; which conditions there are is as many texts as the statement
/// cache holds.
fn conditions(filter: &AuditFilter, before: Option<u64>) -> (String, Vec<Box<dyn ToSql>>) {
    let mut parts = vec!["1"];
    let mut values: Vec<Box<dyn ToSql>> = Vec::new();
    if !filter.actor.is_empty() {
        parts.push("actor = ?");
        values.push(Box::new(filter.actor.clone()));
    }
    if let Some(prefix) = filter.action.strip_suffix('.') {
        // From the prefix with its dot to the prefix with what follows on a dot.
        parts.push("action >= ? AND action < ?");
        values.push(Box::new(format!("{prefix}.")));
        values.push(Box::new(format!("{prefix}/")));
    } else if !filter.action.is_empty() {
        parts.push("action = ?");
        values.push(Box::new(filter.action.clone()));
    }
    if let Some(hosts) = &filter.hosts {
        let ids: Vec<_> = hosts.iter().map(ToString::to_string).collect();
        parts.push("host IN (SELECT value FROM json_each(?))");
        values.push(Box::new(serde_json::Value::from(ids).to_string()));
    }
    if let Some(session) = filter.session {
        parts.push("session = ?");
        values.push(Box::new(session));
    }
    if let Some(since) = filter.since {
        parts.push("at >= ?");
        values.push(Box::new(since));
    }
    if let Some(until) = filter.until {
        parts.push("at < ?");
        values.push(Box::new(until));
    }
    if let Some(before) = before {
        parts.push("sequence < ?");
        values.push(Box::new(i64::try_from(before).unwrap_or(i64::MAX)));
    }
    (parts.join(" AND "), values)
}
