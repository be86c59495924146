//! Roles and grants between the API's words and the platform's own, for every service that shows or
//! takes them.

use super::{ErrorKind, ServiceError};
use crate::ids::{GroupId, Uuid};
use crate::platform::identity::{Grants, Role};
use crate::wire::api;

/// A role as it is asked for; nothing where none is said.
///
/// # Errors
/// `role_invalid` for one that this version does not know.
pub fn role_of(role: api::Role) -> Result<Option<Role>, ServiceError> {
    match role {
        api::Role::Unspecified => Ok(None),
        api::Role::Viewer => Ok(Some(Role::Viewer)),
        api::Role::Operator => Ok(Some(Role::Operator)),
        api::Role::Admin => Ok(Some(Role::Admin)),
        api::Role::Unknown(_) => Err(role_invalid()),
    }
}

/// No role is said where one has to be, or none that there is.
pub fn role_invalid() -> ServiceError {
    let detail = "say the role: viewer, operator or admin";
    let mut error = ServiceError::new(ErrorKind::Invalid, "role_invalid", detail);
    error.field = Some("role".to_owned());
    error
}

/// A role as it is shown.
pub const fn role_shown(role: Role) -> api::Role {
    match role {
        Role::Viewer => api::Role::Viewer,
        Role::Operator => api::Role::Operator,
        Role::Admin => api::Role::Admin,
    }
}

/// Grants as they are asked for.
pub fn grants_of(grants: api::Grants) -> Grants {
    if grants.all_hosts {
        Grants::All
    } else {
        Grants::Groups(grants.group_ids.into_iter().map(GroupId::from).collect())
    }
}

/// Grants as they are shown.
pub fn grants_shown(grants: &Grants) -> api::Grants {
    match grants {
        Grants::All => api::Grants {
            all_hosts: true,
            group_ids: Vec::new(),
        },
        Grants::Groups(groups) => api::Grants {
            all_hosts: false,
            group_ids: groups.iter().copied().map(Uuid::from).collect(),
        },
    }
}

/// How a state is called by the count of its changes.
pub fn etag_shown(version: u64) -> String {
    version.to_string()
}

/// Which state a change asks for; nothing where any will do.
///
/// # Errors
/// `changed_meanwhile` for a name that no state has.
pub fn etag_of(etag: &str) -> Result<Option<u64>, ServiceError> {
    if etag.is_empty() {
        return Ok(None);
    }
    let version = etag.parse().map_err(|_| {
        let detail = "it has never been in the state that this etag names: read it anew";
        ServiceError::new(ErrorKind::Changed, "changed_meanwhile", detail)
    })?;
    Ok(Some(version))
}
