//! What is held in memory of users, their sign-ins, their keys, and of who is in which group: so that
//! each request is checked against what holds now, without a read of the store. It is all of them, which
//! the store bounds, and one user is always replaced whole by what was committed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::access::{Access, Caller, Grants, Via};
use super::names::UserName;
use crate::clock::UnixMillis;
use crate::ids::{ApiKeyId, FamilyId, GroupId, HostId, UserId};
use crate::platform::store::users::{ApiKeyRecord, FamilyRecord, UserRecord};
use crate::secret::SecretHash;

/// All users and all memberships.
#[derive(Default)]
pub(super) struct Directory {
    users: HashMap<UserId, Arc<Known>>,
    names: HashMap<UserName, UserId>,
    keys: HashMap<SecretHash, (UserId, ApiKeyId)>,
    /// Users of whom it is not known what was committed last: nobody is let in as one of these.
    unread: HashSet<UserId>,
    members: HashMap<HostId, BTreeSet<GroupId>>,
}

/// A user with its sign-ins and its keys.
pub(super) struct Known {
    /// The user.
    pub(super) record: UserRecord,
    access: Arc<Access>,
    families: HashMap<FamilyId, UnixMillis>,
    /// From where it is signed in now.
    addresses: HashSet<String>,
    keys: HashMap<ApiKeyId, (ApiKeyRecord, Arc<Access>)>,
}

impl Known {
    /// A user as it was read.
    pub(super) fn new(
        record: UserRecord,
        families: Vec<FamilyRecord>,
        keys: Vec<ApiKeyRecord>,
    ) -> Self {
        let addresses = families
            .iter()
            .map(|family| family.address.clone())
            .collect();
        let families = families
            .into_iter()
            .map(|family| (family.id, family.expires));
        // A key's access is what was given to it as far as its owner still has it.
        let keys = keys.into_iter().map(|key| {
            let access = Arc::new(key.access.and(&record.access));
            (key.id, (key, access))
        });
        Self {
            access: Arc::new(record.access.clone()),
            families: families.collect(),
            addresses,
            keys: keys.collect(),
            record,
        }
    }

    /// Whether it is signed in from this address already.
    pub(super) fn is_signed_in_from(&self, address: &str) -> bool {
        self.addresses.contains(address)
    }

    /// Its keys, and what each may do now.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&ApiKeyRecord, &Access)> {
        self.keys.values().map(|(key, access)| (key, &**access))
    }

    fn caller(&self, access: &Arc<Access>, via: Via) -> Caller {
        Caller {
            user: self.record.id,
            name: self.record.name.clone(),
            access: access.clone(),
            via,
        }
    }
}

impl Directory {
    /// Puts a user in the place of what was known of it; none where it is no more.
    pub(super) fn put(&mut self, id: UserId, known: Option<Known>) {
        self.unread.remove(&id);
        self.take(id);
        if let Some(known) = known {
            self.names.insert(known.record.name.clone(), id);
            let keys = known.keys.values().map(|(key, _)| (key.hash, (id, key.id)));
            self.keys.extend(keys);
            self.users.insert(id, Arc::new(known));
        }
    }

    /// Lets nobody in as this user until it is known again.
    pub(super) fn forget(&mut self, id: UserId) {
        self.take(id);
        self.unread.insert(id);
    }

    fn take(&mut self, id: UserId) {
        if let Some(old) = self.users.remove(&id) {
            self.names.remove(&old.record.name);
            for (key, _) in old.keys.values() {
                self.keys.remove(&key.hash);
            }
        }
    }

    /// The users that are to be read again.
    pub(super) fn unread(&self) -> Vec<UserId> {
        self.unread.iter().copied().collect()
    }

    /// All users.
    pub(super) fn ids(&self) -> Vec<UserId> {
        self.users.keys().copied().collect()
    }

    /// The users who are granted this group, themselves or one of their keys.
    pub(super) fn granted(&self, group: GroupId) -> Vec<UserId> {
        let of =
            |grants: &Grants| matches!(grants, Grants::Groups(groups) if groups.contains(&group));
        let granted = self.users.iter().filter(|(_, known)| {
            of(&known.record.access.grants)
                || known.keys.values().any(|(key, _)| of(&key.access.grants))
        });
        granted.map(|(id, _)| *id).collect()
    }

    /// The user of this id.
    pub(super) fn user(&self, id: UserId) -> Option<Arc<Known>> {
        self.users.get(&id).cloned()
    }

    /// The user of this name.
    pub(super) fn user_named(&self, name: &UserName) -> Option<Arc<Known>> {
        self.user(*self.names.get(name)?)
    }

    /// The user of a provider's subject.
    pub(super) fn user_of_subject(&self, issuer: &str, subject: &str) -> Option<Arc<Known>> {
        let of = |known: &&Arc<Known>| {
            let external = known.record.external.as_ref();
            external.is_some_and(|of| of.issuer == issuer && of.subject == subject)
        };
        self.users.values().find(of).cloned()
    }

    /// Who calls with the access token of a sign-in, if that has not ended.
    pub(super) fn signed_in(
        &self,
        now: UnixMillis,
        user: UserId,
        family: FamilyId,
    ) -> Option<Caller> {
        let known = self.users.get(&user)?;
        let expires = known.families.get(&family)?;
        if known.record.disabled || *expires <= now {
            return None;
        }
        Some(known.caller(&known.access, Via::SignIn(family)))
    }

    /// Who calls with an API key.
    pub(super) fn with_key(&self, now: UnixMillis, hash: SecretHash) -> Option<Caller> {
        let (user, key) = self.keys.get(&hash)?;
        let known = self.users.get(user)?;
        let (key, access) = known.keys.get(key)?;
        let expired = key.expires.is_some_and(|expires| expires <= now);
        if known.record.disabled || expired {
            return None;
        }
        Some(known.caller(access, Via::ApiKey(key.id)))
    }

    /// Who calls with this key of that user.
    pub(super) fn has_key(&self, now: UnixMillis, user: UserId, key: ApiKeyId) -> Option<Caller> {
        let (key, _) = self.users.get(&user)?.keys.get(&key)?;
        self.with_key(now, key.hash)
    }

    /// Puts memberships in the place of those of one host, or of all.
    pub(super) fn put_members(&mut self, of: Option<HostId>, members: Vec<(HostId, GroupId)>) {
        match of {
            Some(host) => {
                self.members.remove(&host);
            }
            None => self.members.clear(),
        }
        for (host, group) in members {
            self.members.entry(host).or_default().insert(group);
        }
    }

    /// The hosts that are in one of these groups at least.
    pub(super) fn members_of(&self, groups: &BTreeSet<GroupId>) -> Vec<HostId> {
        let members = self.members.iter();
        let granted = members.filter(|(_, of)| !of.is_disjoint(groups));
        granted.map(|(host, _)| *host).collect()
    }

    /// The groups that a host is in.
    pub(super) fn groups_of(&self, host: HostId) -> impl Iterator<Item = &GroupId> {
        self.members.get(&host).into_iter().flatten()
    }
}
