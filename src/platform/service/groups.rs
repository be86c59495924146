//! Groups of hosts, as the API has them. What may be done is `identity`'s.

use std::sync::Arc;

use super::ServiceError;
use super::access::{etag_of, etag_shown};
use super::page::Page;
use crate::clock::UnixMillis;
use crate::platform::Platform;
use crate::platform::api::{Answer, Call, CreateGroup, GroupService};
use crate::platform::identity::GroupName;
use crate::platform::store::groups::{GroupChange, GroupRecord};
use crate::wire::api::{
    CreateGroupRequest, CreateGroupResponse, DeleteGroupRequest, DeleteGroupResponse,
    GetGroupRequest, GetGroupResponse, Group, ListGroupsRequest, ListGroupsResponse,
    UpdateGroupRequest, UpdateGroupResponse,
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
        };
        let (caller, now) = (&call.caller, UnixMillis::now());
        let id = self
            .identity
            .find_group(caller, &request.group_id)
            .await?
            .id;
        let expected = etag_of(&request.etag)?;
        let changed = self
            .identity
            .update_group(caller, now, id, expected, change);
        Ok(UpdateGroupResponse {
            group: Some(shown(&changed.await?)),
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
    }
}
