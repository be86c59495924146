//! Hosts: those that are made by hand, their list, what is said of them, their coming and going, and
//! their end. How an agent becomes a host by itself is in `enrolment`.

use std::sync::Arc;

use tracing::{info, warn};

use super::access::{etag_of, etag_shown};
use super::enrolment::AUTH_TOKEN_PREFIX;
use super::page::{self, Page};
use super::{ErrorKind, ServiceError};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{GroupId, HostId, HostName, HostNameError};
use crate::platform::Platform;
use crate::platform::agent_link::AgentLink;
use crate::platform::api::{Answer, Call, CreateHost, HostService};
use crate::platform::identity::{LabelKey, LabelValue, NameError};
use crate::platform::registry::{Admission, Arrival, ConnectionId, HostLink as _, LinkEnd};
use crate::platform::store::groups::{HostChange, HostEntry, HostFilter, LabelSelector};
use crate::platform::store::{HostRecord, NewHost};
use crate::secret::{Secret, random};
use crate::wire::api::{
    CreateHostRequest, CreateHostResponse, GetHostHealthRequest, GetHostHealthResponse,
    GetHostRequest, GetHostResponse, Host, HostStatus, Label, ListHostsRequest, ListHostsResponse,
    ListLabelsRequest, ListLabelsResponse, RevokeHostRequest, RevokeHostResponse,
    UpdateHostRequest, UpdateHostResponse,
};

/// How often a change is tried that asks for no state, where others change the host meanwhile.
const UPDATE_TRIES_MAX: usize = 8;

impl HostService for Platform {
    async fn create_host(
        self: Arc<Self>,
        call: Call,
        request: CreateHostRequest,
    ) -> Answer<CreateHostResponse> {
        call.caller.needs_all_hosts()?;
        request.name.parse::<HostName>().map_err(name_invalid)?;
        let (id, now) = (HostId::random(random()), UnixMillis::now());
        let auth_token = Secret::generate(AUTH_TOKEN_PREFIX);
        let host = NewHost {
            id,
            name: request.name.clone(),
            auth_token: auth_token.hash(),
            at: now,
        };
        let actor = call.actor();
        let audit = Entry::new(now, actor, "host.create", format!("host:{id}"))
            .host(id)
            .detail("name", request.name.as_str());
        let answer = CreateHostResponse {
            id: id.into(),
            name: request.name,
            auth_token,
        };
        let change = call.change::<CreateHost>(audit, &answer)?;
        self.store.create_host(host, change).await?;
        Ok(answer)
    }

    async fn list_hosts(
        self: Arc<Self>,
        call: Call,
        request: ListHostsRequest,
    ) -> Answer<ListHostsResponse> {
        let page = Page::of(request.page_size, &request.page_token)?;
        let now = UnixMillis::now();
        let labels = request.labels.iter().map(|text| selector(text));
        let mut filter = HostFilter::all(call.caller.grants().clone(), page.size() + 1);
        filter.name_contains = (!request.name.is_empty()).then_some(request.name);
        filter.group = request.group_id.map(Into::into);
        filter.labels = labels.collect::<Result<_, _>>()?;
        filter.after = page.after().map(str::to_owned);
        let mut found = Vec::new();
        // Who is connected is not in the store: so it is asked until there are enough.
        while found.len() <= page.size() {
            let some = self.identity.hosts(&call.caller, filter.clone()).await?;
            let was_last = some.len() < filter.limit;
            filter.after = some.last().map(|entry| entry.record.name.clone());
            found.extend(some.into_iter().filter(|entry| {
                let online = || self.registry.link(entry.record.id).is_some();
                match request.status {
                    HostStatus::Online => online(),
                    HostStatus::Offline => entry.record.revoked.is_none() && !online(),
                    _ => true,
                }
            }));
            if was_last {
                break;
            }
        }
        let (hosts, next_page_token) =
            page.take(found.into_iter(), |entry| entry.record.name.clone());
        Ok(ListHostsResponse {
            hosts: hosts
                .into_iter()
                .map(|entry| self.show_host(now, entry))
                .collect(),
            next_page_token,
        })
    }

    async fn get_host(
        self: Arc<Self>,
        call: Call,
        request: GetHostRequest,
    ) -> Answer<GetHostResponse> {
        let by_id = match request.host_id.parse() {
            Ok(id) => self.identity.host(&call.caller, id).await.ok(),
            Err(_) => None,
        };
        let entry = match by_id {
            Some(entry) => entry,
            None => {
                let id = self.find_host(&call, &request.host_id).await?.id;
                self.identity.host(&call.caller, id).await?
            }
        };
        Ok(GetHostResponse {
            host: Some(self.show_host(UnixMillis::now(), entry)),
        })
    }

    async fn get_host_health(
        self: Arc<Self>,
        call: Call,
        request: GetHostHealthRequest,
    ) -> Answer<GetHostHealthResponse> {
        let host = self.find_host(&call, &request.host_id).await?.id;
        self.health_of(host, &request).await
    }

    async fn update_host(
        self: Arc<Self>,
        call: Call,
        request: UpdateHostRequest,
    ) -> Answer<UpdateHostResponse> {
        let id = self.find_host(&call, &request.host_id).await?.id;
        let expected = etag_of(&request.etag)?;
        let has_groups = !request.add_group_ids.is_empty() || !request.remove_group_ids.is_empty();
        let wish = Wish::of(request)?;
        let now = UnixMillis::now();
        let mut tries = 0;
        let changed = loop {
            // What becomes of the lists follows from what they are, so that it is asked for as a change
            // of that state alone.
            let before = self.identity.host(&call.caller, id).await?;
            let seen = expected.unwrap_or(before.version);
            let change = wish.change_of(&before);
            let changed = self
                .identity
                .update_host(&call.caller, now, id, Some(seen), change);
            match changed.await {
                Err(error) if error.kind == ErrorKind::Changed && expected.is_none() => {
                    tries += 1;
                    if tries == UPDATE_TRIES_MAX {
                        return Err(error);
                    }
                }
                changed => break changed?,
            }
        };
        if has_groups {
            self.delivery.windows_changed();
        }
        Ok(UpdateHostResponse {
            host: Some(self.show_host(now, changed)),
        })
    }

    async fn list_labels(
        self: Arc<Self>,
        call: Call,
        request: ListLabelsRequest,
    ) -> Answer<ListLabelsResponse> {
        let page = Page::of(request.page_size, &request.page_token)?;
        // No key has a line break.
        let after = page.after().map(|place| {
            let (key, value) = place.split_once('\n')?;
            Some((key.parse().ok()?, value.parse().ok()?))
        });
        let after = match after {
            Some(None) => return Err(page::token_invalid()),
            after => after.flatten(),
        };
        let found = self.identity.labels(&call.caller, after, page.size() + 1);
        let (labels, next_page_token) = page.take(found.await?.into_iter(), |label| {
            format!("{}\n{}", label.key, label.value)
        });
        let labels = labels.into_iter().map(|label| Label {
            key: label.key.to_string(),
            value: label.value.to_string(),
            hosts: label.hosts,
        });
        Ok(ListLabelsResponse {
            labels: labels.collect(),
            next_page_token,
        })
    }

    async fn revoke_host(
        self: Arc<Self>,
        call: Call,
        request: RevokeHostRequest,
    ) -> Answer<RevokeHostResponse> {
        let record = self.find_host(&call, &request.host_id).await?;
        self.revoke(call.actor(), &record).await?;
        Ok(RevokeHostResponse {})
    }
}

impl Platform {
    /// The host of this name or id, where the caller sees it.
    ///
    /// # Errors
    /// `host_unknown`.
    pub(super) async fn find_host(
        &self,
        call: &Call,
        name_or_id: &str,
    ) -> Result<HostRecord, ServiceError> {
        let found = self.store.host(name_or_id).await?;
        let seen = found.filter(|host| self.identity.may(&call.caller, host.id));
        seen.ok_or_else(|| {
            ServiceError::new(
                ErrorKind::NotFound,
                "host_unknown",
                "there is no host of this name or id: list them with host list",
            )
        })
    }

    /// Makes an authenticated connection its host's, and tells its agent of the open sessions.
    pub fn host_connected(&self, name: &str, arrival: Arrival<AgentLink>) -> Admission {
        let now = UnixMillis::now();
        let (host, link) = (arrival.host, arrival.link.clone());
        let admission = self.registry.admit(now, arrival);
        match admission {
            Admission::Admitted { replaced, .. } => {
                info!(%host, name, replaced, "connected");
                self.seen().hosts.insert(host, now);
                let sessions = self.sessions().of_host(host);
                for session in sessions {
                    link.session_open(&session);
                }
                // Asked once it is in the table: either this sees the stop, or the stop sees it.
                if self.is_stopping() {
                    self.registry.end(host, self.going_away());
                }
            }
            Admission::CredentialVoid => {
                info!(%host, name, "not let in: its credential became void meanwhile");
            }
            Admission::DuplicateInstance => {
                warn!(%host, name, alarm = "duplicate_instance", "two agents use this host's credential in turn: one machine is a copy of the other; enrol one of them anew");
            }
        }
        admission
    }

    /// Tells every agent that the platform stops. Their connections are not their hosts' from here
    /// on, so that this is when they were last seen.
    pub fn send_agents_away(&self) {
        let now = UnixMillis::now();
        let connected = self.registry.connected_hosts();
        let seen = connected.into_iter().map(|host| (host, now));
        self.seen().hosts.extend(seen);
        self.registry.end_all(self.going_away());
    }

    const fn going_away(&self) -> LinkEnd {
        LinkEnd::GoingAway {
            window: self.config.drain,
        }
    }

    /// Notes that a host's connection has ended.
    pub fn host_disconnected(&self, host: HostId, connection: ConnectionId, why: &str) {
        self.delivery.host_disconnected(host, connection);
        if self.registry.remove(host, connection) {
            self.host_left(host, why);
        }
    }

    /// Notes that a host has no connection any more, as of now.
    pub(super) fn host_left(&self, host: HostId, why: &str) {
        info!(%host, why, "disconnected");
        self.seen().hosts.insert(host, UnixMillis::now());
    }

    fn show_host(&self, now: UnixMillis, entry: HostEntry) -> Host {
        let record = entry.record;
        let connected = self.registry.connected(record.id);
        let last_seen = connected.as_ref().map_or(record.last_seen, |_| Some(now));
        let status = match connected {
            Some(_) => HostStatus::Online,
            None => HostStatus::Offline,
        };
        let wrong = if record.revoked.is_some() {
            Some("revoked")
        } else if self.registry.is_duplicate(now, record.id) {
            Some("duplicate_instance")
        } else {
            None
        };
        Host {
            id: record.id.into(),
            name: record.name,
            status,
            detail: wrong.map(str::to_owned),
            created_at: Some(record.created.into()),
            last_seen_at: last_seen.map(Into::into),
            connected_since: connected.as_ref().map(|host| host.since.into()),
            address: connected.as_ref().map(|host| host.address.to_string()),
            software: connected.as_ref().map(|host| host.software.clone()),
            round_trip_ms: connected
                .as_ref()
                .and_then(|host| host.round_trip)
                .map(|round_trip| round_trip.as_secs_f64() * 1000.0),
            health: connected.and_then(|host| host.health),
            labels: entry
                .labels
                .iter()
                .map(|(key, value)| (key.to_string(), value.to_string()))
                .collect(),
            group_ids: entry.groups.into_iter().map(Into::into).collect(),
            etag: etag_shown(entry.version),
            certificate_expires_at: record.certificate_until.map(Into::into),
            revoked_at: record.revoked.map(Into::into),
        }
    }
}

/// What is asked to change of a host.
struct Wish {
    name: Option<HostName>,
    set: Vec<(LabelKey, LabelValue)>,
    remove: Vec<LabelKey>,
    join: Vec<GroupId>,
    leave: Vec<GroupId>,
}

impl Wish {
    fn of(request: UpdateHostRequest) -> Result<Self, ServiceError> {
        let invalid = |field| move |error| label_invalid(error, field);
        let set = request.labels.into_iter().map(|(key, value)| {
            let label = key.parse().and_then(|key| Ok((key, value.parse()?)));
            label.map_err(invalid("labels"))
        });
        let remove = request.remove_labels.iter();
        let remove = remove.map(|key| key.parse().map_err(invalid("remove_labels")));
        let name = request.name.map(|name| name.parse().map_err(name_invalid));
        Ok(Self {
            name: name.transpose()?,
            set: set.collect::<Result<_, _>>()?,
            remove: remove.collect::<Result<_, _>>()?,
            join: request.add_group_ids.into_iter().map(Into::into).collect(),
            leave: request
                .remove_group_ids
                .into_iter()
                .map(Into::into)
                .collect(),
        })
    }

    /// The change that this is of a host as it is: what nothing is asked of is no part of it.
    fn change_of(&self, before: &HostEntry) -> HostChange {
        let labels = (!self.set.is_empty() || !self.remove.is_empty()).then(|| {
            let mut labels = before.labels.clone();
            labels.retain(|key, _| !self.remove.contains(key));
            labels.extend(self.set.iter().cloned());
            labels
        });
        let groups = (!self.join.is_empty() || !self.leave.is_empty()).then(|| {
            let mut groups = before.groups.clone();
            groups.retain(|group| !self.leave.contains(group));
            groups.extend(&self.join);
            groups
        });
        HostChange {
            name: self.name.clone(),
            labels,
            groups,
        }
    }
}

/// A label as it is asked for: `key=value`, or `key` for any value.
fn selector(text: &str) -> Result<LabelSelector, ServiceError> {
    let selector = match text.split_once('=') {
        Some((key, value)) => key
            .parse()
            .and_then(|key| Ok(LabelSelector::Is(key, value.parse()?))),
        None => text.parse().map(LabelSelector::Has),
    };
    selector.map_err(|error| label_invalid(error, "labels"))
}

fn label_invalid(error: NameError, field: &str) -> ServiceError {
    let mut refused = ServiceError::new(ErrorKind::Invalid, "label_invalid", error.to_string());
    refused.field = Some(field.to_owned());
    refused
}

pub(super) fn name_invalid(error: HostNameError) -> ServiceError {
    ServiceError::new(ErrorKind::Invalid, "name_invalid", error.to_string())
}
