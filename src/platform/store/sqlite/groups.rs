//! Groups, labels, and lists of hosts as SQL. Sets of ids go in as JSON arrays, which SQLite takes apart:
//! so one statement stands for sets of any size.

use std::collections::BTreeMap;

use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::super::groups::{
    GROUPS_MAX, GroupChange, GroupRecord, GroupStore, HostChange, HostEntry, HostFilter,
    LabelCount, LabelSelector, NewGroup,
};
use super::super::{Change, HostRecord, StoreError, StoreFuture};
use super::alert_silences::{FREE_FOR_GROUP, FREE_OF_HOST};
use super::operations::host_record;
use super::{SqliteStore, Transaction};
use crate::audit::Entry;
use crate::ids::{GroupId, HostId};
use crate::platform::identity::{Grants, GroupName, LabelKey, LabelValue};
use crate::platform::windows::{self, Window};

const GROUP: &str = "SELECT id, name, description, created, version,
    (SELECT count(*) FROM host_groups WHERE group_id = groups.id), windows FROM groups";
/// What `host_record` reads, and the version.
const HOST: &str = "SELECT id, name, created, last_seen, credential_used, key,
    certificate_until, revoked, version FROM hosts";

impl GroupStore for SqliteStore {
    fn create_group(&self, group: NewGroup, change: Change) -> StoreFuture<'_, ()> {
        Box::pin(self.write(move |connection| {
            let count: usize =
                connection.query_row("SELECT count(*) FROM groups", [], |row| row.get(0))?;
            if count >= GROUPS_MAX {
                return Err(StoreError::Full);
            }
            connection
                .prepare_cached(
                    "INSERT INTO groups (id, name, description, created, version)
                     VALUES (?1, ?2, ?3, ?4, 1)",
                )?
                .execute((group.id, group.name, group.description, group.at))
                .map_err(taken)?;
            connection.record(change)
        }))
    }

    fn group(&self, id: GroupId) -> StoreFuture<'_, Option<GroupRecord>> {
        Box::pin(self.read(move |connection| group(connection, id)))
    }

    fn group_by_name(&self, name: &GroupName) -> StoreFuture<'_, Option<GroupRecord>> {
        let name = name.clone();
        Box::pin(self.read(move |connection| {
            let mut query = connection.prepare_cached(&format!("{GROUP} WHERE name = ?1"))?;
            Ok(query.query_row([name], group_record).optional()?)
        }))
    }

    fn groups(
        &self,
        granted: Grants,
        after: Option<GroupName>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<GroupRecord>> {
        Box::pin(self.read(move |connection| {
            let mut query = connection.prepare_cached(&format!(
                "{GROUP} WHERE (?1 IS NULL OR id IN (SELECT value FROM json_each(?1)))
                 AND (?2 IS NULL OR name > ?2) ORDER BY name LIMIT ?3"
            ))?;
            let groups = query.query_map((granted_json(&granted), after, limit), group_record)?;
            Ok(groups.collect::<Result<_, _>>()?)
        }))
    }

    fn update_group(
        &self,
        id: GroupId,
        expected: Option<u64>,
        change: GroupChange,
        audit: Entry,
    ) -> StoreFuture<'_, GroupRecord> {
        Box::pin(self.write(move |connection| {
            let before = group(connection, id)?.ok_or(StoreError::NotFound)?;
            as_expected(before.version, expected)?;
            connection
                .prepare_cached(
                    "UPDATE groups SET name = coalesce(?2, name),
                        description = coalesce(?3, description),
                        windows = coalesce(?4, windows), version = version + 1
                     WHERE id = ?1",
                )?
                .execute((
                    id,
                    change.name,
                    change.description,
                    change.windows.as_deref().map(windows::to_text),
                ))
                .map_err(taken)?;
            connection.audit(audit)?;
            group(connection, id)?.ok_or(StoreError::NotFound)
        }))
    }

    fn delete_group(
        &self,
        id: GroupId,
        expected: Option<u64>,
        audit: Entry,
    ) -> StoreFuture<'_, ()> {
        Box::pin(self.write(move |connection| {
            let before = group(connection, id)?.ok_or(StoreError::NotFound)?;
            as_expected(before.version, expected)?;
            let rules: Vec<String> = connection
                .prepare_cached("SELECT name FROM alert_rules WHERE group_id = ?1 ORDER BY name")?
                .query_map([id], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            if !rules.is_empty() {
                return Err(StoreError::GroupInRules(rules));
            }
            // Its hosts and those who were granted it are changed with it; silences for it are for nobody.
            for statement in [
                FREE_FOR_GROUP,
                "UPDATE hosts SET version = version + 1
                 WHERE id IN (SELECT host FROM host_groups WHERE group_id = ?1)",
                "UPDATE users SET version = version + 1
                 WHERE id IN (SELECT user FROM user_grants WHERE group_id = ?1)",
                "DELETE FROM groups WHERE id = ?1",
            ] {
                connection.prepare_cached(statement)?.execute([id])?;
            }
            connection.audit(audit)
        }))
    }

    fn host_entry(&self, id: HostId) -> StoreFuture<'_, Option<HostEntry>> {
        if let Some(entry) = self.recent.entry(id) {
            return Box::pin(std::future::ready(Ok(Some(entry))));
        }
        let (recent, as_of) = (self.recent.clone(), self.recent.commits());
        Box::pin(self.read(move |connection| {
            let found = host_entry(connection, id)?;
            if let Some(entry) = &found {
                recent.keep_entry(as_of, entry.clone());
            }
            Ok(found)
        }))
    }

    fn update_host(
        &self,
        id: HostId,
        expected: Option<u64>,
        change: HostChange,
        audit: Entry,
    ) -> StoreFuture<'_, HostEntry> {
        Box::pin(self.write(move |connection| {
            let before = host_entry(connection, id)?.ok_or(StoreError::NotFound)?;
            as_expected(before.version, expected)?;
            change_host(connection, id, &change)?;
            connection.audit(audit)?;
            host_entry(connection, id)?.ok_or(StoreError::NotFound)
        }))
    }

    fn host_entries(&self, filter: HostFilter) -> StoreFuture<'_, Vec<HostEntry>> {
        Box::pin(self.read(move |connection| host_entries(connection, &filter)))
    }

    fn labels(
        &self,
        granted: Grants,
        after: Option<(LabelKey, LabelValue)>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<LabelCount>> {
        Box::pin(self.read(move |connection| {
            let mut query = connection.prepare_cached(
                "SELECT key, value, count(*) FROM host_labels
                 WHERE (?1 IS NULL OR host IN (SELECT host FROM host_groups
                    WHERE group_id IN (SELECT value FROM json_each(?1))))
                 AND (?2 IS NULL OR (key, value) > (?2, ?3))
                 GROUP BY key, value ORDER BY key, value LIMIT ?4",
            )?;
            let (key, value) = after.unzip();
            let labels = query.query_map((granted_json(&granted), key, value, limit), |row| {
                Ok(LabelCount {
                    key: row.get(0)?,
                    value: row.get(1)?,
                    hosts: row.get(2)?,
                })
            })?;
            Ok(labels.collect::<Result<_, _>>()?)
        }))
    }

    fn maintenance_windows(
        &self,
        hosts: Vec<HostId>,
    ) -> StoreFuture<'_, BTreeMap<HostId, Vec<Window>>> {
        Box::pin(self.read(move |connection| {
            let mut query = connection.prepare_cached(
                "SELECT m.host, g.windows FROM groups g JOIN host_groups m ON m.group_id = g.id
                 WHERE g.windows <> '[]' AND m.host IN (SELECT value FROM json_each(?1))",
            )?;
            let hosts = json_array(hosts.iter().map(HostId::to_string));
            let mut rows = query.query([hosts])?;
            let mut found: BTreeMap<HostId, Vec<Window>> = BTreeMap::new();
            while let Some(row) = rows.next()? {
                let windows = windows::from_text(&row.get::<_, String>(1)?);
                found.entry(row.get(0)?).or_default().extend(windows);
            }
            Ok(found)
        }))
    }

    fn memberships(&self, of: Option<HostId>) -> StoreFuture<'_, Vec<(HostId, GroupId)>> {
        Box::pin(self.read(move |connection| {
            let mut query = connection.prepare_cached(
                "SELECT host, group_id FROM host_groups WHERE ?1 IS NULL OR host = ?1",
            )?;
            let rows = query.query_map([of], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        }))
    }
}

/// Refuses a change of what is another version by now.
pub(super) fn as_expected(version: u64, expected: Option<u64>) -> Result<(), StoreError> {
    match expected {
        Some(expected) if expected != version => Err(StoreError::VersionChanged),
        _ => Ok(()),
    }
}

/// What it means that a row cannot be as it was asked for: something in it has to be unique.
pub(super) fn taken(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::ConstraintViolation) => StoreError::Taken,
        _ => error.into(),
    }
}

/// The granted groups as a JSON array; none where all hosts are granted.
fn granted_json(granted: &Grants) -> Option<String> {
    match granted {
        Grants::All => None,
        Grants::Groups(groups) => Some(json_array(groups.iter().map(GroupId::to_string))),
    }
}

pub(super) fn json_array(texts: impl Iterator<Item = String>) -> String {
    serde_json::Value::from_iter(texts).to_string()
}

fn group(connection: &Connection, id: GroupId) -> Result<Option<GroupRecord>, StoreError> {
    let mut query = connection.prepare_cached(&format!("{GROUP} WHERE id = ?1"))?;
    Ok(query.query_row([id], group_record).optional()?)
}

fn group_record(row: &Row<'_>) -> rusqlite::Result<GroupRecord> {
    Ok(GroupRecord {
        id: row.get(0)?,
        name: row.get(1)?,
        description: row.get(2)?,
        created: row.get(3)?,
        version: row.get(4)?,
        hosts: row.get(5)?,
        windows: windows::from_text(&row.get::<_, String>(6)?),
    })
}

fn change_host(
    connection: &Transaction<'_>,
    id: HostId,
    change: &HostChange,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE hosts SET name = coalesce(?2, name), version = version + 1 WHERE id = ?1",
        )?
        .execute((id, change.name.as_ref().map(|name| name.as_str())))
        .map_err(|error| match taken(error) {
            StoreError::Taken => StoreError::NameTaken,
            error => error,
        })?;
    if let Some(labels) = &change.labels {
        connection
            .prepare_cached("DELETE FROM host_labels WHERE host = ?1")?
            .execute([id])?;
        let mut insert = connection
            .prepare_cached("INSERT INTO host_labels (host, key, value) VALUES (?1, ?2, ?3)")?;
        for (key, value) in labels {
            insert.execute((id, key, value))?;
        }
    }
    if let Some(groups) = &change.groups {
        connection
            .prepare_cached("DELETE FROM host_groups WHERE host = ?1")?
            .execute([id])?;
        let mut insert = connection
            .prepare_cached("INSERT INTO host_groups (host, group_id) VALUES (?1, ?2)")?;
        for group in groups {
            // The host is there: what is not can only be the group.
            insert
                .execute((id, group))
                .map_err(|error| match taken(error) {
                    StoreError::Taken => StoreError::GroupUnknown,
                    error => error,
                })?;
        }
    }
    if change.labels.is_some() || change.groups.is_some() {
        // Other silences may be for its alerts now.
        connection.prepare_cached(FREE_OF_HOST)?.execute([id])?;
    }
    Ok(())
}

fn host_entry(connection: &Connection, id: HostId) -> Result<Option<HostEntry>, StoreError> {
    let mut query = connection.prepare_cached(&format!("{HOST} WHERE id = ?1"))?;
    let host = query.query_row([id], host_and_version).optional()?;
    let mut entries = with_labels_and_groups(connection, host.into_iter().collect())?;
    Ok(entries.pop())
}

/// Asks for [`hosts_by_id`].
pub(super) fn hosts_by_id_query() -> String {
    format!("{HOST} WHERE id > ?1 ORDER BY id LIMIT ?2")
}

/// Hosts in the order of their ids.
pub(super) fn hosts_by_id(
    connection: &Connection,
    after: Option<HostId>,
    count: usize,
) -> Result<Vec<HostEntry>, StoreError> {
    let after = after.map(|after| after.to_string()).unwrap_or_default();
    let mut query = connection.prepare_cached(&hosts_by_id_query())?;
    let hosts = query.query_map((after, count), host_and_version)?;
    let hosts = hosts.collect::<Result<_, _>>()?;
    with_labels_and_groups(connection, hosts)
}

fn host_entries(
    connection: &Connection,
    filter: &HostFilter,
) -> Result<Vec<HostEntry>, StoreError> {
    let granted = granted_json(&filter.granted);
    let contained = filter
        .name_contains
        .as_ref()
        .map(|text| text.to_ascii_lowercase());
    let mut asked = Asked {
        statement: format!("{HOST} WHERE true"),
        values: Vec::new(),
    };
    if let Some(after) = &filter.after {
        asked.and("name > ?", &[after]);
    }
    if let Some(prefix) = &filter.name_prefix {
        // No name has a character as high as DEL, so that this is a range of the index.
        asked.and("name >= ? AND name < ? || char(127)", &[prefix, prefix]);
    }
    if let Some(contained) = &contained {
        asked.and("instr(lower(name), ?) > 0", &[contained]);
    }
    if let Some(group) = &filter.group {
        asked.and(
            "id IN (SELECT host FROM host_groups WHERE group_id = ?)",
            &[group],
        );
    }
    if let Some(granted) = &granted {
        asked.and(
            "id IN (SELECT host FROM host_groups
                WHERE group_id IN (SELECT value FROM json_each(?)))",
            &[granted],
        );
    }
    for selector in &filter.labels {
        match selector {
            LabelSelector::Has(key) => asked.and(
                "EXISTS (SELECT 1 FROM host_labels WHERE host = id AND key = ?)",
                &[key],
            ),
            LabelSelector::Is(key, value) => asked.and(
                "EXISTS (SELECT 1 FROM host_labels WHERE host = id AND key = ? AND value = ?)",
                &[key, value],
            ),
        }
    }
    asked.statement.push_str(" ORDER BY name LIMIT ?");
    asked.values.push(&filter.limit);
    let mut query = connection.prepare_cached(&asked.statement)?;
    let hosts = query.query_map(&asked.values[..], host_and_version)?;
    let hosts = hosts.collect::<Result<_, _>>()?;
    with_labels_and_groups(connection, hosts)
}

/// A statement and the values for its question marks, of which each stands for the next. The conditions
/// are ours; what somebody asked for is never part of them.
struct Asked<'a> {
    statement: String,
    values: Vec<&'a dyn ToSql>,
}

impl<'a> Asked<'a> {
    fn and(&mut self, condition: &str, values: &[&'a dyn ToSql]) {
        self.statement.push_str(" AND ");
        self.statement.push_str(condition);
        self.values.extend_from_slice(values);
    }
}

fn host_and_version(row: &Row<'_>) -> rusqlite::Result<(HostRecord, u64)> {
    Ok((host_record(row)?, row.get(8)?))
}

/// Adds to each host its labels and its groups, with one statement each for all of them.
fn with_labels_and_groups(
    connection: &Connection,
    hosts: Vec<(HostRecord, u64)>,
) -> Result<Vec<HostEntry>, StoreError> {
    let ids = json_array(hosts.iter().map(|(host, _)| host.id.to_string()));
    let mut entries: Vec<_> = hosts
        .into_iter()
        .map(|(record, version)| HostEntry {
            record,
            labels: Default::default(),
            groups: Default::default(),
            version,
        })
        .collect();
    let places: std::collections::HashMap<HostId, usize> = entries
        .iter()
        .enumerate()
        .map(|(place, entry)| (entry.record.id, place))
        .collect();
    let mut query = connection.prepare_cached(
        "SELECT host, key, value FROM host_labels
         WHERE host IN (SELECT value FROM json_each(?1))",
    )?;
    let mut rows = query.query(params![ids])?;
    while let Some(row) = rows.next()? {
        if let Some(entry) = places
            .get(&row.get(0)?)
            .and_then(|place| entries.get_mut(*place))
        {
            entry.labels.insert(row.get(1)?, row.get(2)?);
        }
    }
    let mut query = connection.prepare_cached(
        "SELECT host, group_id FROM host_groups
         WHERE host IN (SELECT value FROM json_each(?1))",
    )?;
    let mut rows = query.query(params![ids])?;
    while let Some(row) = rows.next()? {
        if let Some(entry) = places
            .get(&row.get(0)?)
            .and_then(|place| entries.get_mut(*place))
        {
            entry.groups.insert(row.get(1)?);
        }
    }
    Ok(entries)
}
