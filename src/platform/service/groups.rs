//! Groups of hosts, as the API has them. What may be done is `identity`'s.

use std::sync::Arc;

use super::ServiceError;
use super::access::{etag_of, etag_shown};
use super::page::Page;
use super::parameters::refused;
use crate::clock::UnixMillis;
use crate::platform::Platform;
use crate::platform::api::{Answer, Call, CreateGroup, GroupService};
use crate::platform::identity::GroupName;
use crate::platform::store::groups::{GroupChange, GroupRecord};
use crate::platform::windows::{Window, WindowError};
use crate::wire::api::{
    CreateGroupRequest, CreateGroupResponse, DeleteGroupRequest, DeleteGroupResponse,
    GetGroupRequest, GetGroupResponse, Group, ListGroupsRequest, ListGroupsResponse,
    MaintenanceWindow, MaintenanceWindows, UpdateGroupRequest, UpdateGroupResponse, Weekday,
};

impl GroupService for Platform {
    async fn list_groups(
        self: Arc<Self>,
        call: Call,
        request: ListGroupsRequest,
    ) -> Answer<ListGroupsResponse> {
        let page = Page::of(request.page_size, &request.page_token)?;
        let after = page.after().map(name).transpose()?;
        // One more than asked for, which tells whether there is another page.
        let found = self
            .identity
            .groups(&call.caller, after, page.size() + 1)
            .await?;
        let (groups, next_page_token) =
            page.take(found.into_iter(), |group| group.name.as_str().to_owned());
        Ok(ListGroupsResponse {
            groups: groups.iter().map(shown).collect(),
            next_page_token,
        })
    }

    async fn get_group(
        self: Arc<Self>,
        call: Call,
        request: GetGroupRequest,
    ) -> Answer<GetGroupResponse> {
        let group = self
            .identity
            .find_group(&call.caller, &request.group_id)
            .await?;
        Ok(GetGroupResponse {
            group: Some(shown(&group)),
        })
    }

    async fn create_group(
        self: Arc<Self>,
        call: Call,
        request: CreateGroupRequest,
    ) -> Answer<CreateGroupResponse> {
        let answer = |group: &GroupRecord| CreateGroupResponse {
            group: Some(shown(group)),
        };
        let made = self
            .identity
            .create_group(
                &call.caller,
                UnixMillis::now(),
                name(&request.name)?,
                request.description,
                |audit, group| call.change::<CreateGroup>(audit, &answer(group)),
            )
            .await?;
        Ok(answer(&made))
    }

    async fn update_group(
        self: Arc<Self>,
        call: Call,
        request: UpdateGroupRequest,
    ) -> Answer<UpdateGroupResponse> {
        let change = GroupChange {
            name: request.name.as_deref().map(name).transpose()?,
            description: request.description,
            windows: request.maintenance_windows.map(windows).transpose()?,
        };
        let has_windows = change.windows.is_some();
        let (caller, now) = (&call.caller, UnixMillis::now());
        let id = self
            .identity
            .find_group(caller, &request.group_id)
            .await?
            .id;
        let expected = etag_of(&request.etag)?;
        let changed = self
            .identity
            .update_group(caller, now, id, expected, change)
            .await?;
        if has_windows {
            self.delivery.windows_changed();
        }
        Ok(UpdateGroupResponse {
            group: Some(shown(&changed)),
        })
    }

    async fn delete_group(
        self: Arc<Self>,
        call: Call,
        request: DeleteGroupRequest,
    ) -> Answer<DeleteGroupResponse> {
        let (caller, now) = (&call.caller, UnixMillis::now());
        let id = self
            .identity
            .find_group(caller, &request.group_id)
            .await?
            .id;
        let expected = etag_of(&request.etag)?;
        self.identity
            .delete_group(caller, now, id, expected)
            .await?;
        self.delivery.windows_changed();
        Ok(DeleteGroupResponse {})
    }
}

fn name(text: &str) -> Result<GroupName, ServiceError> {
    text.parse().map_err(|error| ServiceError::name(&error))
}

fn shown(group: &GroupRecord) -> Group {
    Group {
        id: group.id.into(),
        name: group.name.as_str().to_owned(),
        description: group.description.clone(),
        hosts: group.hosts,
        created_at: Some(group.created.into()),
        etag: etag_shown(group.version),
        maintenance_windows: group.windows.iter().map(window_shown).collect(),
    }
}

const DAYS: [Weekday; 7] = [
    Weekday::Monday,
    Weekday::Tuesday,
    Weekday::Wednesday,
    Weekday::Thursday,
    Weekday::Friday,
    Weekday::Saturday,
    Weekday::Sunday,
];

fn window_shown(window: &Window) -> MaintenanceWindow {
    let days = (0..).zip(DAYS);
    MaintenanceWindow {
        days: days
            .filter(|(bit, _)| window.days() & 1 << bit != 0)
            .map(|(_, day)| day)
            .collect(),
        start: window.start(),
        minutes: window.length(),
        time_zone: window.zone().to_owned(),
    }
}

/// # Errors
/// `window_invalid`, with which.
fn windows(asked: MaintenanceWindows) -> Result<Vec<Window>, ServiceError> {
    let windows = asked.windows.into_iter().enumerate();
    windows
        .map(|(index, asked)| {
            let days = asked.days.iter().try_fold(0_u8, |days, day| {
                let bit = DAYS.iter().position(|known| known == day)?;
                Some(days | 1 << bit)
            });
            let window = days
                .ok_or(WindowError::Days)
                .and_then(|days| Window::new(days, &asked.start, asked.minutes, &asked.time_zone));
            window.map_err(|error| {
                let field = match error {
                    WindowError::Days => "days",
                    WindowError::Start => "start",
                    WindowError::Length => "minutes",
                    WindowError::Zone => "time_zone",
                };
                let field = format!("maintenance_windows.windows[{index}].{field}");
                refused(&field, "window_invalid", &error.to_string())
            })
        })
        .collect()
}
