//! What a follower wants to be told, and what it may see.

use std::collections::HashSet;

use super::{Event, Happening, Kind};
use crate::ids::{CommandId, GroupId, HostId};

/// Whom a follower is: what it may see, now. Asked again for each event, as grants change.
pub trait Viewer: Send + Sync {
    /// Whether it may see what concerns this host.
    fn sees(&self, host: HostId) -> bool;
    /// Whether it may see what concerns this group.
    fn sees_group(&self, group: GroupId) -> bool;
    /// Whether it may see what concerns no host.
    fn sees_all(&self) -> bool;
    /// Whether the host is in one of these groups.
    fn is_in(&self, host: HostId, groups: &HashSet<GroupId>) -> bool;
}

/// What a follower wants to be told.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    kinds: Option<u32>,
    hosts: HashSet<HostId>,
    groups: HashSet<GroupId>,
    command: Option<CommandId>,
}

impl Filter {
    /// Events of this command and of its deliveries.
    pub fn of_command(command: CommandId) -> Self {
        Self {
            kinds: Some(bit(Kind::DeliveryUpdated) | bit(Kind::CommandUpdated)),
            command: Some(command),
            ..Self::default()
        }
    }

    /// Events of these kinds, or of all where there are none; of these hosts and the hosts of these
    /// groups, or of all where there are neither.
    pub fn new(
        kinds: impl IntoIterator<Item = Kind>,
        hosts: impl IntoIterator<Item = HostId>,
        groups: impl IntoIterator<Item = GroupId>,
    ) -> Self {
        let bits = kinds.into_iter().fold(0, |bits, kind| bits | bit(kind));
        Self {
            kinds: (bits != 0).then_some(bits),
            hosts: hosts.into_iter().collect(),
            groups: groups.into_iter().collect(),
            command: None,
        }
    }

    /// Whether the event may be wanted, as far as it can be told without its viewer.
    pub(super) fn may_want(&self, event: &Event) -> bool {
        if self
            .kinds
            .is_some_and(|kinds| kinds & bit(event.what.kind()) == 0)
        {
            return false;
        }
        let of_command = |wanted: CommandId| match &event.what {
            Happening::DeliveryUpdated { command, .. } => *command == wanted,
            Happening::CommandUpdated { id, .. } => id.parse() == Ok(wanted),
            _ => false,
        };
        if !self.command.is_none_or(of_command) {
            return false;
        }
        if self.hosts.is_empty() && self.groups.is_empty() {
            return true;
        }
        let is_of = |host| !self.groups.is_empty() || self.hosts.contains(&host);
        event.host.is_some_and(is_of) || self.is_for_group(event)
    }

    /// Whether the event is for one of the groups that are wanted.
    fn is_for_group(&self, event: &Event) -> bool {
        let group = event.what.group();
        group.is_some_and(|group| self.groups.contains(&group))
    }

    /// Whether the event is wanted, and for this viewer to see.
    pub(super) fn wants(&self, event: &Event, viewer: &dyn Viewer) -> bool {
        let visible = match event.host {
            Some(host) => viewer.sees(host),
            None => viewer.sees_all(),
        };
        let visible = visible
            || event
                .what
                .group()
                .is_some_and(|group| viewer.sees_group(group));
        visible
            && self.may_want(event)
            && (self.groups.is_empty()
                || self.is_for_group(event)
                || event.host.is_some_and(|host| {
                    self.hosts.contains(&host) || viewer.is_in(host, &self.groups)
                }))
    }
}

const fn bit(kind: Kind) -> u32 {
    1 << kind as u32
}

const _: () = assert!(Kind::ALL.len() <= 32);
