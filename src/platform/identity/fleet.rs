//! Groups of hosts, labels and lists of hosts, as a caller may see and change them. What a caller does
//! not see is answered as what is not there. Groups are what users are granted: so whoever is granted
//! some of them only changes neither them nor which host is in which.

use super::access::{Caller, Grants};
use super::{GroupName, Identity, LabelKey, LabelValue};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{GroupId, HostId};
use crate::platform::service::{ErrorKind, ServiceError};
use crate::platform::store::groups::{
    GroupChange, GroupRecord, HostChange, HostEntry, HostFilter, LabelCount, NewGroup,
};
use crate::platform::store::{Change, StoreError};
use crate::secret::random;

/// The most bytes of a group's description.
const DESCRIPTION_BYTES_MAX: usize = 512;
/// The most labels of a host.
const LABELS_MAX: usize = 32;
/// The most groups that one host is in.
const GROUPS_OF_HOST_MAX: usize = 64;
/// The most labels that are asked for at once: each is a look at every host.
const SELECTORS_MAX: usize = 16;

impl Identity {
    /// Makes a group. `change` says what is kept with it beside its audit entry.
    ///
    /// # Errors
    /// `grant_insufficient`, `description_invalid`, `name_taken`, `too_many`.
    pub async fn create_group(
        &self,
        caller: &Caller,
        now: UnixMillis,
        name: GroupName,
        description: String,
        change: impl FnOnce(Entry, &GroupRecord) -> Result<Change, ServiceError>,
    ) -> Result<GroupRecord, ServiceError> {
        caller.needs_all_hosts()?;
        check_description(&description)?;
        let id = GroupId::random(random());
        let audit = Entry::new(now, caller.name.as_str(), "group.create", target(id))
            .detail("name", name.as_str());
        let group = NewGroup {
            id,
            name: name.clone(),
            description: description.clone(),
            at: now,
        };
        let made = GroupRecord {
            id,
            name,
            description,
            created: now,
            hosts: 0,
            windows: Vec::new(),
            version: 1,
        };
        let change = change(audit, &made)?;
        self.shared.store.create_group(group, change).await?;
        Ok(made)
    }

    /// The group of this id.
    ///
    /// # Errors
    /// `not_found`, also where the caller does not see it.
    pub async fn group(&self, caller: &Caller, id: GroupId) -> Result<GroupRecord, ServiceError> {
        let group = self.shared.store.group(id).await?;
        let group = group.filter(|_| caller.may([&id]));
        group.ok_or_else(|| StoreError::NotFound.into())
    }

    /// The group of this name or id.
    ///
    /// # Errors
    /// `not_found`, also where the caller does not see it.
    pub async fn find_group(
        &self,
        caller: &Caller,
        name_or_id: &str,
    ) -> Result<GroupRecord, ServiceError> {
        let id = match (name_or_id.parse(), name_or_id.parse()) {
            (Ok(id), _) => Some(id),
            (_, Ok(name)) => {
                let group = self.shared.store.group_by_name(&name).await?;
                group.map(|group| group.id)
            }
            _ => None,
        };
        self.group(caller, id.ok_or(StoreError::NotFound)?).await
    }

    /// At most `limit` of the groups that a caller sees, by name, from after this name on.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn groups(
        &self,
        caller: &Caller,
        after: Option<GroupName>,
        limit: usize,
    ) -> Result<Vec<GroupRecord>, ServiceError> {
        let granted = caller.grants().clone();
        Ok(self.shared.store.groups(granted, after, limit).await?)
    }

    /// Changes a group. `expected` is the version that the caller has seen, if it says one.
    ///
    /// # Errors
    /// `grant_insufficient`, `not_found`, `description_invalid`, `name_taken`, `changed_meanwhile`.
    pub async fn update_group(
        &self,
        caller: &Caller,
        now: UnixMillis,
        id: GroupId,
        expected: Option<u64>,
        change: GroupChange,
    ) -> Result<GroupRecord, ServiceError> {
        let before = self.group(caller, id).await?;
        caller.needs_all_hosts()?;
        check_description(change.description.as_deref().unwrap_or_default())?;
        let mut audit = Entry::new(now, caller.name.as_str(), "group.update", target(id))
            .detail("group", before.name.as_str());
        if let Some(name) = &change.name {
            audit = audit.detail("name", name.as_str());
        }
        if change.description.is_some() {
            audit = audit.detail("description", "set");
        }
        if let Some(windows) = &change.windows {
            audit = audit.detail("maintenance_windows", windows.len().to_string());
        }
        let changed = self.shared.store.update_group(id, expected, change, audit);
        Ok(changed.await?)
    }

    /// Removes a group: its hosts stay, whoever was granted it no longer is.
    ///
    /// # Errors
    /// `grant_insufficient`, `not_found`, `changed_meanwhile`.
    pub async fn delete_group(
        &self,
        caller: &Caller,
        now: UnixMillis,
        id: GroupId,
        expected: Option<u64>,
    ) -> Result<(), ServiceError> {
        let before = self.group(caller, id).await?;
        caller.needs_all_hosts()?;
        let audit = Entry::new(now, caller.name.as_str(), "group.delete", target(id))
            .detail("group", before.name.as_str())
            .detail("hosts", before.hosts.to_string());
        self.change(move |shared| async move {
            shared.store.delete_group(id, expected, audit).await?;
            shared.reload_members(None).await;
            let users = shared.directory().granted(id);
            for user in users {
                shared.reload(user).await;
            }
            Ok(())
        })
        .await
    }

    /// The host of this id.
    ///
    /// # Errors
    /// `not_found`, also where the caller does not see it.
    pub async fn host(&self, caller: &Caller, id: HostId) -> Result<HostEntry, ServiceError> {
        let host = self.shared.store.host_entry(id).await?;
        let host = host.filter(|host| caller.may(&host.groups));
        host.ok_or_else(|| StoreError::NotFound.into())
    }

    /// The hosts that are asked for and that the caller sees, by name. What the filter says of grants
    /// does not matter. A group that the caller does not see has no hosts for it.
    ///
    /// # Errors
    /// `filter_invalid`.
    pub async fn hosts(
        &self,
        caller: &Caller,
        mut filter: HostFilter,
    ) -> Result<Vec<HostEntry>, ServiceError> {
        if filter.labels.len() > SELECTORS_MAX {
            let detail = format!("at most {SELECTORS_MAX} labels are asked for at once");
            return Err(ServiceError::new(
                ErrorKind::Invalid,
                "filter_invalid",
                detail,
            ));
        }
        if filter.group.is_some_and(|group| !caller.may([&group])) {
            return Ok(Vec::new());
        }
        filter.granted = caller.grants().clone();
        Ok(self.shared.store.host_entries(filter).await?)
    }

    /// Changes a host's name, labels or groups. `expected` is the version that the caller has seen, if
    /// it says one.
    ///
    /// # Errors
    /// `not_found`, `grant_insufficient`, `labels_too_many`, `groups_too_many`, `group_unknown`,
    /// `name_taken`, `changed_meanwhile`.
    pub async fn update_host(
        &self,
        caller: &Caller,
        now: UnixMillis,
        id: HostId,
        expected: Option<u64>,
        change: HostChange,
    ) -> Result<HostEntry, ServiceError> {
        let before = self.host(caller, id).await?;
        if change.groups.is_some() {
            caller.needs_all_hosts()?;
        }
        let too_many = |code, detail| Err(ServiceError::new(ErrorKind::Invalid, code, detail));
        if change
            .labels
            .as_ref()
            .is_some_and(|of| of.len() > LABELS_MAX)
        {
            let detail = format!("a host has at most {LABELS_MAX} labels");
            return too_many("labels_too_many", detail);
        }
        if change
            .groups
            .as_ref()
            .is_some_and(|of| of.len() > GROUPS_OF_HOST_MAX)
        {
            let detail = format!("a host is in at most {GROUPS_OF_HOST_MAX} groups");
            return too_many("groups_too_many", detail);
        }
        let mut audit = Entry::new(
            now,
            caller.name.as_str(),
            "host.update",
            format!("host:{id}"),
        )
        .host(id)
        .detail("host", before.record.name.as_str());
        if let Some(name) = &change.name {
            audit = audit.detail("name", name.as_str());
        }
        if let Some(labels) = &change.labels {
            let labels: Vec<_> = labels
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            audit = audit.detail("labels", labels.join(","));
        }
        if let Some(groups) = &change.groups {
            audit = audit.detail("groups", Grants::Groups(groups.clone()).words());
        }
        self.change(move |shared| async move {
            let members = change.groups.is_some();
            let host = shared
                .store
                .update_host(id, expected, change, audit)
                .await?;
            if members {
                shared.reload_members(Some(id)).await;
            }
            Ok(host)
        })
        .await
    }

    /// At most `limit` labels of the hosts that a caller sees, with how many of those have them.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn labels(
        &self,
        caller: &Caller,
        after: Option<(LabelKey, LabelValue)>,
        limit: usize,
    ) -> Result<Vec<LabelCount>, ServiceError> {
        let granted = caller.grants().clone();
        Ok(self.shared.store.labels(granted, after, limit).await?)
    }
}

fn check_description(description: &str) -> Result<(), ServiceError> {
    if description.len() <= DESCRIPTION_BYTES_MAX {
        return Ok(());
    }
    let detail = format!("a description has at most {DESCRIPTION_BYTES_MAX} bytes");
    Err(ServiceError::new(
        ErrorKind::Invalid,
        "description_invalid",
        detail,
    ))
}

fn target(id: GroupId) -> String {
    format!("group:{id}")
}
