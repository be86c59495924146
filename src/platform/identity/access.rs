//! What a user may do: its role, and the hosts that it is granted. Which method needs which role is the
//! schema's to say; this file answers what follows from it.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;

use super::names::UserName;
use crate::ids::{ApiKeyId, FamilyId, GroupId, UserId};
use crate::platform::service::{Actor, ErrorKind, ServiceError};

/// What a user may do, each role with all that those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Looks.
    Viewer,
    /// Opens sessions, sends commands, enrols hosts.
    Operator,
    /// Has users, keys and groups made and changed.
    Admin,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// The stable word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// The text is no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a role is viewer, operator or admin")]
pub struct RoleError;

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        let role = Self::ALL.into_iter().find(|role| role.code() == text);
        role.ok_or(RoleError)
    }
}

/// Which hosts a user sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grants {
    /// All of them, also those of no group.
    All,
    /// Those that are in one of these groups at least; none where this is empty.
    Groups(BTreeSet<GroupId>),
}

impl Grants {
    /// Whether a host in these groups is among them.
    pub fn allow<'a>(&self, groups: impl IntoIterator<Item = &'a GroupId>) -> bool {
        match self {
            Self::All => true,
            Self::Groups(granted) => groups.into_iter().any(|group| granted.contains(group)),
        }
    }

    /// Whether all that `other` allows is allowed by this too.
    pub fn contain(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::Groups(_), Self::All) => false,
            (Self::Groups(these), Self::Groups(others)) => others.is_subset(these),
        }
    }

    /// What both allow.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, other) => other.clone(),
            (these, Self::All) => these.clone(),
            (Self::Groups(these), Self::Groups(others)) => {
                Self::Groups(these.intersection(others).copied().collect())
            }
        }
    }

    /// As the audit log says it.
    pub fn words(&self) -> String {
        match self {
            Self::All => "all".to_owned(),
            Self::Groups(groups) => {
                let groups: Vec<_> = groups.iter().map(GroupId::to_string).collect();
                groups.join(" ")
            }
        }
    }
}

/// A role on some hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// What.
    pub role: Role,
    /// Where.
    pub grants: Grants,
}

impl Access {
    /// Whether nothing in `other` goes beyond this: what one may give to others.
    pub fn contains(&self, other: &Self) -> bool {
        self.role >= other.role && self.grants.contain(&other.grants)
    }

    /// What both have.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            role: self.role.min(other.role),
            grants: self.grants.and(&other.grants),
        }
    }
}

/// By which credential a caller came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// An access token of this sign-in.
    SignIn(FamilyId),
    /// This API key.
    ApiKey(ApiKeyId),
}

/// Who calls: a user, with what the credential in hand may do just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub user: UserId,
    /// Its name, as the audit log has it.
    pub name: UserName,
    /// What it may do, and where. Shared, as every request makes one of these.
    pub access: Arc<Access>,
    /// How it came in.
    pub via: Via,
}

impl Caller {
    /// Its role.
    pub fn role(&self) -> Role {
        self.access.role
    }

    /// The hosts that it sees.
    pub fn grants(&self) -> &Grants {
        &self.access.grants
    }

    /// Who acts, for the audit log.
    pub fn actor(&self) -> Actor {
        Actor(self.name.as_str().to_owned())
    }

    /// Refuses a caller of a lesser role.
    ///
    /// # Errors
    /// `role_insufficient`.
    pub fn needs(&self, role: Role) -> Result<(), ServiceError> {
        if self.role() >= role {
            return Ok(());
        }
        let (has, needs) = (self.role().code(), role.code());
        let detail = format!("this needs the role {needs}, and you have {has} here");
        Err(ServiceError::new(
            ErrorKind::Forbidden,
            "role_insufficient",
            detail,
        ))
    }

    /// Whether it sees a host that is in these groups. What it does not see is to be answered as what is
    /// not there: that a host exists is already something to know.
    pub fn may<'a>(&self, groups: impl IntoIterator<Item = &'a GroupId>) -> bool {
        self.access.grants.allow(groups)
    }

    /// Refuses a caller who sees some groups only: for what concerns all hosts.
    ///
    /// # Errors
    /// `grant_insufficient`.
    pub fn needs_all_hosts(&self) -> Result<(), ServiceError> {
        if self.access.grants == Grants::All {
            return Ok(());
        }
        Err(grant_insufficient(
            "this concerns all hosts, and you are granted those of some groups only",
        ))
    }

    /// Refuses to give, take or change an access that goes beyond the caller's own.
    ///
    /// # Errors
    /// `grant_insufficient`.
    pub fn needs_to_have(&self, other: &Access) -> Result<(), ServiceError> {
        if self.access.contains(other) {
            return Ok(());
        }
        Err(grant_insufficient(
            "a role or a grant in this goes beyond your own",
        ))
    }
}

fn grant_insufficient(detail: &str) -> ServiceError {
    ServiceError::new(ErrorKind::Forbidden, "grant_insufficient", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(byte: u8) -> GroupId {
        GroupId::random([byte; 16])
    }

    fn groups(bytes: &[u8]) -> Grants {
        Grants::Groups(bytes.iter().copied().map(group).collect())
    }

    #[test]
    fn grants_allow_what_is_in_a_granted_group() {
        assert!(Grants::All.allow([]));
        assert!(groups(&[1, 2]).allow(&[group(9), group(2)]));
        assert!(!groups(&[1, 2]).allow(&[group(9)]));
        assert!(!groups(&[1, 2]).allow([]));
        assert!(!groups(&[]).allow(&[group(1)]));
    }

    #[test]
    fn nobody_gives_more_than_they_have() {
        let access = |role, grants| Access { role, grants };
        let all = access(Role::Admin, Grants::All);
        let some = access(Role::Admin, groups(&[1, 2]));
        for (mine, other, contains) in [
            (&all, &all, true),
            (&all, &some, true),
            (&some, &all, false),
            (&some, &some, true),
            (&some, &access(Role::Viewer, groups(&[2])), true),
            (&some, &access(Role::Viewer, groups(&[3])), false),
            (&access(Role::Operator, Grants::All), &all, false),
        ] {
            assert_eq!(mine.contains(other), contains, "{mine:?} {other:?}");
            assert!(mine.contains(&mine.and(other)) && other.contains(&mine.and(other)));
        }
        assert_eq!(groups(&[1, 2]).and(&groups(&[2, 3])), groups(&[2]));
    }

    #[test]
    fn roles_are_in_order_and_read_as_they_are_written() {
        assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Admin);
        for role in Role::ALL {
            assert_eq!(role.code().parse(), Ok(role));
        }
        assert_eq!("root".parse::<Role>(), Err(RoleError));
    }
}
