//! Hosts as they were read last. One is good until anything is committed that may concern a host: what is read
//! is always what was committed last. A change that concerns none says so itself
//! (`SqliteStore::write_beside_hosts`): those that come with every command and every answer. A host that is
//! read over and over costs no turn of a thread then: with it 80k reads a second of one host by 32 readers,
//! without 41k (`cargo bench --bench tunnel -- api`).

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::super::HostRecord;
use super::super::groups::HostEntry;
use crate::ids::HostId;

/// Hosts that are kept in each way: a few hundred bytes each, some kilobytes with all the labels there may
/// be.
const HOSTS_MAX: usize = 1024;

/// Hosts as they were read last.
#[derive(Default)]
pub(super) struct Recent {
    commits: AtomicU64,
    entries: Table<HostId, HostEntry>,
    /// By what was asked for: a name or an id.
    records: Table<String, HostRecord>,
}

impl Recent {
    /// Notes a commit that may concern hosts, before anybody is told of it.
    pub(super) fn committed(&self) {
        self.commits.fetch_add(1, Ordering::Release);
    }

    /// How many such commits there were. To be asked before a read begins.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    /// The host, if it is as it was when it was read.
    pub(super) fn entry(&self, id: HostId) -> Option<HostEntry> {
        self.entries.get(&id, self.commits())
    }

    /// The same by what it is asked for by.
    pub(super) fn record(&self, name_or_id: &str) -> Option<HostRecord> {
        self.records.get(name_or_id, self.commits())
    }

    /// Keeps a host as it was read after so many commits, or after more.
    pub(super) fn keep_entry(&self, as_of: u64, entry: HostEntry) {
        self.entries.keep(entry.record.id, as_of, entry);
    }

    /// The same by what it was asked for by.
    pub(super) fn keep_record(&self, as_of: u64, name_or_id: String, record: HostRecord) {
        self.records.keep(name_or_id, as_of, record);
    }
}

/// What was read, and after how many commits.
struct Table<K, V>(Mutex<HashMap<K, (u64, V)>>);

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Table<K, V> {
    fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q, commits: u64) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (as_of, value) = kept.get(key)?;
        (*as_of == commits).then(|| value.clone())
    }

    fn keep(&self, key: K, as_of: u64, value: V) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= HOSTS_MAX && !kept.contains_key(&key) {
            kept.clear();
        }
        kept.insert(key, (as_of, value));
    }
}
