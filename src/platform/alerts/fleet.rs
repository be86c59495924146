//! What of hosts is asked for at each look, in memory: about a hundred bytes a host. It is read from the store once, and
//! from then on only what was changed since. Whether a host is connected is the registry's.

use std::collections::HashMap;
use std::time::Instant;

use crate::clock::{Now, UnixMillis};
use crate::ids::{GroupId, HostId};
use crate::platform::store::alert_rules::AlertRule;
use crate::platform::store::groups::{HostEntry, LabelSelector};
use crate::platform::store::watch::{HostChanges, Waiting, WaitingQuery};
use crate::platform::store::{Store, StoreError};

/// Hosts that are read at once.
const HOSTS_READ_MAX: usize = 1000;
/// Where more were changed at once, all are read anew.
const CHANGED_MAX: usize = 256;
/// Hosts at once of which it is read what waits for them.
const WAITING_READ_MAX: usize = 64;

/// A host, as rules ask for it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Watched {
    pub name: Box<str>,
    pub last_seen: Option<UnixMillis>,
    pub certificate_until: Option<UnixMillis>,
    pub is_revoked: bool,
    /// When it is to be looked at again.
    pub due: Option<Instant>,
    /// Which of the scopes it is in, by their numbers.
    scopes: Box<[u16]>,
}

/// Which hosts a rule is about, where it is not about all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    group: Option<GroupId>,
    labels: Vec<LabelSelector>,
}

impl Scope {
    /// That of a rule; `None` where that is about all hosts.
    fn of(rule: &AlertRule) -> Option<Self> {
        let (group, labels) = (rule.group, rule.labels.clone());
        (group.is_some() || !labels.is_empty()).then_some(Self { group, labels })
    }

    fn holds(&self, host: &HostEntry) -> bool {
        let has = |label: &LabelSelector| match label {
            LabelSelector::Has(key) => host.labels.contains_key(key),
            LabelSelector::Is(key, value) => host.labels.get(key) == Some(value),
        };
        let in_group = self.group.is_none_or(|group| host.groups.contains(&group));
        in_group && self.labels.iter().all(has)
    }
}

/// A rule that is on, and the number of its scope.
#[derive(Debug)]
pub(super) struct Scoped {
    pub rule: AlertRule,
    scope: Option<u16>,
}

impl Scoped {
    /// Whether it is about this host.
    pub(super) fn is_about(&self, host: &Watched) -> bool {
        let is_in = |scope| host.scopes.contains(&scope);
        self.rule.condition.is_of_hosts() && !host.is_revoked && self.scope.is_none_or(is_in)
    }
}

/// All hosts.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    pub hosts: HashMap<HostId, Watched>,
    /// What waits for hosts, as it was last asked.
    pub waiting: HashMap<HostId, Waiting>,
    /// When that was: it says nothing of any later moment.
    pub asked: Option<Now>,
    scopes: Vec<Scope>,
    /// Up to where changes are known; `None` where all has to be read.
    as_of: Option<u64>,
}

impl Fleet {
    /// Takes up rules: those that are on.
    pub(super) fn scope(&mut self, rules: Vec<AlertRule>) -> Vec<Scoped> {
        let mut scopes = Vec::new();
        let rules = rules.into_iter().filter(|rule| !rule.disabled);
        let rules = rules.map(|rule| {
            let scope = Scope::of(&rule).and_then(|scope| {
                let known = scopes.iter().position(|known| *known == scope);
                let number = known.unwrap_or_else(|| {
                    scopes.push(scope);
                    scopes.len() - 1
                });
                // There are as many rules at most.
                u16::try_from(number).ok()
            });
            Scoped { rule, scope }
        });
        let rules = rules.collect();
        if scopes != self.scopes {
            self.scopes = scopes;
            self.as_of = None;
        }
        rules
    }

    /// Brings it up to date. Answers which hosts were changed; `None` where it may be any.
    pub(super) async fn follow(
        &mut self,
        store: &dyn Store,
    ) -> Result<Option<Vec<HostId>>, StoreError> {
        let HostChanges { head, hosts } = store.host_changes(self.as_of, CHANGED_MAX).await?;
        match &hosts {
            None => {
                self.hosts.clear();
                let mut after = None;
                loop {
                    after = self.read_some(store, after, HOSTS_READ_MAX).await?;
                    if after.is_none() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            }
            Some(changed) => {
                for host in changed {
                    match store.host_entry(*host).await? {
                        Some(entry) => self.put(&entry),
                        None => {
                            self.hosts.remove(host);
                        }
                    }
                }
            }
        }
        // What was changed while it was read is read once more.
        self.as_of = Some(head);
        Ok(hosts)
    }

    /// Asks what waits for hosts: how much, up to that number, and where it is asked since when. Answers for which
    /// something does, or did when this was last asked.
    pub(super) async fn ask_waiting(
        &mut self,
        store: &dyn Store,
        now: Now,
        (depth_max, age): (u64, bool),
    ) -> Result<Vec<HostId>, StoreError> {
        let mut query = WaitingQuery {
            after: 0,
            count: WAITING_READ_MAX,
            depth_max,
            age,
            now: now.wall,
        };
        let mut found = HashMap::new();
        let mut goes_on = depth_max > 0 || age;
        while goes_on {
            let some = store.waiting(query).await?;
            goes_on = some.len() == query.count;
            if let Some(last) = some.last() {
                query.after = last.place;
            }
            found.extend(some.into_iter().map(|waiting| (waiting.host, waiting)));
            tokio::task::yield_now().await;
        }
        self.asked = Some(now);
        let before = std::mem::replace(&mut self.waiting, found);
        let gone = before
            .into_keys()
            .filter(|host| !self.waiting.contains_key(host));
        let mut touched: Vec<_> = gone.collect();
        touched.extend(self.waiting.keys().copied());
        Ok(touched)
    }

    /// Reads some hosts in the order of their ids, which nobody changes: one that is renamed meanwhile is neither passed
    /// over nor read twice. Answers after which to go on.
    async fn read_some(
        &mut self,
        store: &dyn Store,
        after: Option<HostId>,
        count: usize,
    ) -> Result<Option<HostId>, StoreError> {
        let some = store.hosts_by_id(after, count).await?;
        some.iter().for_each(|entry| self.put(entry));
        let last = some.last().map(|entry| entry.record.id);
        Ok(last.filter(|_| some.len() == count))
    }

    fn put(&mut self, entry: &HostEntry) {
        let record = &entry.record;
        let scopes = (0..).zip(&self.scopes);
        let scopes = scopes.filter(|(_, scope)| scope.holds(entry));
        let due = self.hosts.get(&record.id).and_then(|host| host.due);
        let watched = Watched {
            name: record.name.as_str().into(),
            last_seen: record.last_seen,
            certificate_until: record.certificate_until,
            is_revoked: record.revoked.is_some(),
            due,
            scopes: scopes.map(|(number, _)| number).collect(),
        };
        self.hosts.insert(record.id, watched);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Entry;
    use crate::platform::Platform;
    use crate::platform::store::NewHost;
    use crate::platform::store::groups::HostChange;
    use crate::secret::{SecretHash, random};

    #[tokio::test]
    async fn a_host_that_is_renamed_while_all_are_read_is_read() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let platform = Platform::fresh(dir.path()).await;
        let store = &*platform.store;
        let audit = |action: &str| Entry::new(UnixMillis(1000), "admin", action, "target");
        let ids: Vec<_> = (0..4).map(|_| HostId::random(random())).collect();
        for (id, name) in ids.iter().zip(["m", "n", "o", "p"]) {
            let host = NewHost {
                id: *id,
                name: name.to_owned(),
                auth_token: SecretHash::of(&random::<32>()),
                at: UnixMillis(1000),
            };
            let made = store.create_host(host, audit("host.create").into());
            made.await.expect("made");
        }
        let mut fleet = Fleet::default();
        let mut after = fleet.read_some(store, None, 2).await.expect("read");
        // Each to where the reading has been by the order of names, and where it comes to.
        for (number, id) in ids.iter().enumerate() {
            let name = if fleet.hosts.contains_key(id) {
                "z"
            } else {
                "a"
            };
            let change = HostChange {
                name: Some(format!("{name}{number}").parse().expect("a name")),
                ..HostChange::default()
            };
            let renamed = store.update_host(*id, None, change, audit("host.update"));
            renamed.await.expect("renamed");
        }
        while after.is_some() {
            after = fleet.read_some(store, after, 2).await.expect("read");
        }
        assert!(ids.iter().all(|id| fleet.hosts.contains_key(id)));
    }
}
