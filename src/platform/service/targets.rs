//! Which hosts a command is for: those that are named, or that a group, labels or the whole fleet come to, of
//! those that the caller sees. What the caller does not see is not there.

use futures_util::future::join_all;

use super::parameters::{named, refused};
use super::{ErrorKind, ServiceError};
use crate::ids::{GroupId, HostId};
use crate::platform::Platform;
use crate::platform::api::Call;
use crate::platform::store::groups::{HostFilter, LabelSelector};
use crate::wire::api::CommandTargets;

/// Hosts that are read at once.
const HOSTS_READ_MAX: usize = 1000;

/// Hosts that are looked up by their names at once.
const LOOKED_UP_MAX: usize = 16;

/// The hosts of a command.
pub(super) struct Targets {
    /// Each once, with its name.
    pub hosts: Vec<(HostId, String)>,
    /// Whom was asked for.
    pub words: String,
}

impl Platform {
    /// The hosts that are meant, one at least.
    ///
    /// # Errors
    /// `targets_invalid`, `host_unknown`, `group_unknown`, `label_invalid`, `targets_empty`.
    pub(super) async fn targets(
        &self,
        call: &Call,
        targets: Option<CommandTargets>,
    ) -> Result<Targets, ServiceError> {
        let invalid = |detail| Err(refused("targets", "targets_invalid", detail));
        let Some(CommandTargets {
            hosts,
            group,
            labels,
            all,
        }) = targets
        else {
            return invalid("say which hosts: hosts, a group, labels, or all");
        };
        let selects = !group.is_empty() || !labels.is_empty();
        let found = match (!hosts.is_empty(), selects, all) {
            (true, false, false) => {
                let found = self.named_hosts(call, &hosts, "targets.hosts").await?;
                let names: Vec<_> = found.iter().map(|(_, name)| name.clone()).collect();
                Targets {
                    words: format!("hosts {}", named(&names)),
                    hosts: found,
                }
            }
            (false, true, false) => {
                let mut filter = HostFilter::all(call.caller.grants().clone(), HOSTS_READ_MAX);
                let mut words = Vec::new();
                if !group.is_empty() {
                    let (id, name) = self.find_group(call, &group).await?;
                    filter.group = Some(id);
                    words.push(format!("group {name}"));
                }
                for (key, value) in labels {
                    words.push(match &*value {
                        "" => format!("label {key}"),
                        value => format!("label {key}={value}"),
                    });
                    filter
                        .labels
                        .push(label_selector("targets.labels", &key, &value)?);
                }
                Targets {
                    hosts: self.select(call, filter).await?,
                    words: words.join(" and "),
                }
            }
            (false, false, true) => {
                let filter = HostFilter::all(call.caller.grants().clone(), HOSTS_READ_MAX);
                Targets {
                    hosts: self.select(call, filter).await?,
                    words: "all hosts".to_owned(),
                }
            }
            (false, false, false) => {
                return invalid("say which hosts: hosts, a group, labels, or all");
            }
            _ => {
                return invalid("hosts, a group with labels, and all do not go together: say one");
            }
        };
        if found.hosts.is_empty() {
            let detail = "there is no such host that you may see: list them with host list";
            return Err(refused("targets", "targets_empty", detail));
        }
        Ok(found)
    }

    /// The hosts of these names or ids, each once. `field` is where they stand in the request.
    ///
    /// # Errors
    /// `host_unknown`, with which.
    pub(super) async fn named_hosts(
        &self,
        call: &Call,
        hosts: &[String],
        field: &str,
    ) -> Result<Vec<(HostId, String)>, ServiceError> {
        let mut found: Vec<(HostId, String)> = Vec::with_capacity(hosts.len());
        let mut known = std::collections::HashSet::new();
        for (part, some) in hosts.chunks(LOOKED_UP_MAX).enumerate() {
            let looked_up = some.iter().map(|host| self.find_host(call, host));
            for (place, record) in join_all(looked_up).await.into_iter().enumerate() {
                let record = record.map_err(|mut error| {
                    error.field = Some(format!("{field}[{}]", part * LOOKED_UP_MAX + place));
                    error
                })?;
                if known.insert(record.id) {
                    found.push((record.id, record.name));
                }
            }
        }
        Ok(found)
    }

    async fn find_group(
        &self,
        call: &Call,
        name_or_id: &str,
    ) -> Result<(GroupId, String), ServiceError> {
        let found = self.identity.find_group(&call.caller, name_or_id).await;
        let group = found.map_err(|error| {
            if error.kind != ErrorKind::NotFound {
                return error;
            }
            let detail = "there is no group of this name or id: list them with group list";
            let mut error = ServiceError::new(ErrorKind::NotFound, "group_unknown", detail);
            error.field = Some("targets.group".to_owned());
            error
        })?;
        Ok((group.id, group.name.as_str().to_owned()))
    }

    /// The hosts that a filter comes to and that are not revoked.
    async fn select(
        &self,
        call: &Call,
        mut filter: HostFilter,
    ) -> Result<Vec<(HostId, String)>, ServiceError> {
        let mut found = Vec::new();
        loop {
            let some = self.identity.hosts(&call.caller, filter.clone()).await?;
            let was_last = some.len() < filter.limit;
            filter.after = some.last().map(|entry| entry.record.name.clone());
            let records = some.into_iter().map(|entry| entry.record);
            let records = records.filter(|record| record.revoked.is_none());
            found.extend(records.map(|record| (record.id, record.name)));
            if was_last {
                return Ok(found);
            }
        }
    }
}

/// A label that is asked for, as `field` of a request has it.
pub(super) fn label_selector(
    field: &str,
    key: &str,
    value: &str,
) -> Result<LabelSelector, ServiceError> {
    let selector = key.parse().and_then(|key| {
        Ok(match value {
            "" => LabelSelector::Has(key),
            value => LabelSelector::Is(key, value.parse()?),
        })
    });
    selector.map_err(|error: crate::platform::identity::NameError| {
        refused(field, "label_invalid", &error.to_string())
    })
}
