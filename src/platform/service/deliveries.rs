//! Deliveries, as the API has them: what became of a command on each host, and what is done about those
//! that came to nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message as _;

use super::commands::expiry;
use super::page::{self, Page};
use super::parameters::{audited, decoded, refused};
use super::{ErrorKind, ServiceError};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{CommandId, HostId, Uuid};
use crate::platform::Platform;
use crate::platform::api::{Answer, Call, DeliveryService, RedriveDeliveries};
use crate::platform::store::commands::{CommandRecord, NewCommand, Redrive};
use crate::platform::store::deliveries::{
    DeliveryDetail, DeliveryFilter, DeliveryPlace, DeliveryRecord, DeliveryState as State,
};
use crate::platform::store::waves::Plan;
use crate::schema::pb;
use crate::secret::random;
use crate::wire::api::{
    DeadLetterFilter, Delivery, DeliveryChange, DeliveryState, DiscardDeliveriesRequest,
    DiscardDeliveriesResponse, GetDeliveryRequest, GetDeliveryResponse, GetDeliveryResponseResult,
    ListDeliveriesRequest, ListDeliveriesResponse, RedriveDeliveriesRequest,
    RedriveDeliveriesResponse, RedrivenCommand,
};
use crate::wire::messages::{Response, ResponseResult};

/// Dead letters that are seen to at once: other changes wait for so many.
const LETTERS_MAX: usize = 1000;
/// Steps of a delivery that are shown, of those that there are the last.
const HISTORY_SHOWN_MAX: usize = 256;

impl DeliveryService for Platform {
    async fn list_deliveries(
        self: Arc<Self>,
        call: Call,
        request: ListDeliveriesRequest,
    ) -> Answer<ListDeliveriesResponse> {
        let page = Page::of(request.page_size, &request.page_token)?;
        let after = page
            .after()
            .map(|text| place(text).ok_or_else(page::token_invalid));
        let hosts = if request.host.is_empty() {
            self.identity.granted_hosts(&call.caller)
        } else {
            Some(vec![self.find_host(&call, &request.host).await?.id])
        };
        let states = request.states.into_iter().map(state_of);
        let filter = DeliveryFilter {
            command: request.command_id.map(CommandId::from),
            hosts,
            states: states.collect::<Result<_, _>>()?,
            dead_letters: request.dead,
            kind: Some(request.command_type).filter(|kind| !kind.is_empty()),
            reason: Some(request.reason).filter(|reason| !reason.is_empty()),
        };
        let found = self
            .store
            .deliveries(filter, after.transpose()?, page.size())
            .await?;
        Ok(ListDeliveriesResponse {
            deliveries: found.found.into_iter().map(shown).collect(),
            next_page_token: found
                .next
                .map(|DeliveryPlace { command, host }| page::token(&format!("{command}.{host}")))
                .unwrap_or_default(),
        })
    }

    async fn get_delivery(
        self: Arc<Self>,
        call: Call,
        request: GetDeliveryRequest,
    ) -> Answer<GetDeliveryResponse> {
        let host = self.find_host(&call, &request.host_id).await?.id;
        let found = self.store.delivery(request.command_id.into(), host).await?;
        let Some(DeliveryDetail {
            record,
            history,
            response,
        }) = found
        else {
            let detail = "there is no command of this id for this host";
            return Err(ServiceError::new(
                ErrorKind::NotFound,
                "delivery_unknown",
                detail,
            ));
        };
        let result = response.map(|response| result(&response)).transpose()?;
        let passed = history.len().saturating_sub(HISTORY_SHOWN_MAX);
        let history = history.into_iter().skip(passed).map(|step| DeliveryChange {
            at: Some(step.at.into()),
            state: state_shown(step.state),
            reason: step.reason,
            attempts: step.attempt,
        });
        Ok(GetDeliveryResponse {
            delivery: Some(shown(record)),
            history: history.collect(),
            result: result.flatten(),
        })
    }

    async fn redrive_deliveries(
        self: Arc<Self>,
        call: Call,
        request: RedriveDeliveriesRequest,
    ) -> Answer<RedriveDeliveriesResponse> {
        let now = UnixMillis::now();
        let expires = expiry(now, request.expires_at)?;
        let letters = self
            .dead_letters(&call, request.command_id, &request.hosts, request.filter)
            .await?;
        let mut by_command: BTreeMap<CommandId, Vec<HostId>> = BTreeMap::new();
        for letter in &letters.found {
            let hosts = by_command.entry(letter.command).or_default();
            hosts.push(letter.host);
        }
        let mut answer = RedriveDeliveriesResponse {
            commands: Vec::new(),
            total: letters.found.len() as u64,
            more: letters.more,
        };
        let mut redrives = Vec::new();
        for (id, hosts) in by_command {
            let total = hosts.len() as u64;
            let mut new_id = None;
            // One that retention has just removed is no dead letter any more, which the store says.
            if !request.dry_run
                && let Some(record) = self.store.command(id).await?
            {
                let redrive = redrive(&call, now, expires, record, hosts)?;
                self.keep_file_for(&redrive.command).await?;
                new_id = Some(redrive.command.id);
                redrives.push(redrive);
            }
            answer.commands.push(RedrivenCommand {
                redrive_of: id.into(),
                command_id: new_id.map(Into::into),
                total,
            });
        }
        if !redrives.is_empty() {
            let audit = letters.audit(&call, now, "delivery.redrive");
            let change = call.change::<RedriveDeliveries>(audit, &answer)?;
            self.delivery.redrive(redrives, change).await?;
        }
        Ok(answer)
    }

    async fn discard_deliveries(
        self: Arc<Self>,
        call: Call,
        request: DiscardDeliveriesRequest,
    ) -> Answer<DiscardDeliveriesResponse> {
        let letters = self
            .dead_letters(&call, request.command_id, &request.hosts, request.filter)
            .await?;
        let mut total = letters.found.len() as u64;
        if !request.dry_run && total > 0 {
            let now = UnixMillis::now();
            let audit = letters.audit(&call, now, "delivery.discard");
            let named = letters.found.iter();
            let named = named.map(|letter| (letter.command, letter.host)).collect();
            total = self.store.discard(named, now, audit.into()).await? as u64;
        }
        Ok(DiscardDeliveriesResponse {
            total,
            more: letters.more,
        })
    }
}

/// Dead letters that somebody means.
struct Letters {
    found: Vec<DeliveryRecord>,
    /// Whether there are more.
    more: bool,
    /// Which were asked for.
    words: String,
}

impl Letters {
    fn audit(&self, call: &Call, now: UnixMillis, action: &str) -> Entry {
        let commands = self.found.first().map(|letter| letter.command);
        let one = commands.filter(|id| self.found.iter().all(|letter| letter.command == *id));
        let target = one.map_or_else(|| "deliveries".to_owned(), |id| format!("command:{id}"));
        let audit = Entry::new(now, call.actor(), action, target)
            .detail("asked", self.words.as_str())
            .detail("deliveries", self.found.len().to_string());
        match &self.found[..] {
            [letter] => audit.host(letter.host),
            _ => audit,
        }
    }
}

impl Platform {
    /// The dead letters that are asked for, of hosts that the caller sees; so many at once.
    ///
    /// # Errors
    /// `filter_invalid`, `command_unknown`, `host_unknown`.
    async fn dead_letters(
        &self,
        call: &Call,
        command: Option<Uuid>,
        hosts: &[String],
        filter: Option<DeadLetterFilter>,
    ) -> Result<Letters, ServiceError> {
        let invalid = |field: &str, detail| Err(refused(field, "filter_invalid", detail));
        let mut wanted = DeliveryFilter {
            dead_letters: true,
            hosts: self.identity.granted_hosts(&call.caller),
            ..DeliveryFilter::default()
        };
        let (mut before, words) = (None, words(command, hosts.len(), filter.as_ref()));
        match (command, filter) {
            (Some(command), None) => {
                let command = CommandId::from(command);
                self.seen_command(&call.caller, command).await?;
                wanted.command = Some(command);
                if !hosts.is_empty() {
                    let named = self.named_hosts(call, hosts, "hosts").await?;
                    wanted.hosts = Some(named.into_iter().map(|(id, _)| id).collect());
                }
            }
            (None, Some(_)) if !hosts.is_empty() => {
                return invalid(
                    "hosts",
                    "hosts go with a command_id: a filter has its own host",
                );
            }
            (None, Some(filter)) => {
                let is_set = |text: &String| !text.is_empty();
                before = filter.before.map(UnixMillis::from);
                let narrows = [&filter.host, &filter.command_type, &filter.reason];
                let narrows = narrows.into_iter().any(is_set) || before.is_some();
                if narrows == filter.all {
                    let detail = "say which dead letters are meant: some of host, command_type, reason and before, or all and none of these";
                    return invalid("filter", detail);
                }
                if is_set(&filter.host) {
                    wanted.hosts = Some(vec![self.find_host(call, &filter.host).await?.id]);
                }
                wanted.kind = Some(filter.command_type).filter(is_set);
                wanted.reason = Some(filter.reason).filter(is_set);
            }
            _ => {
                return invalid(
                    "filter",
                    "say which dead letters are meant: a command_id or a filter",
                );
            }
        }
        let mut letters = Letters {
            found: Vec::new(),
            more: false,
            words,
        };
        let mut after = None;
        while !letters.more {
            let room = LETTERS_MAX - letters.found.len();
            let page = self.store.deliveries(wanted.clone(), after, room).await?;
            let found = page.found.into_iter();
            letters
                .found
                .extend(found.filter(|letter| before.is_none_or(|before| letter.created < before)));
            after = page.next;
            if after.is_none() {
                break;
            }
            letters.more = letters.found.len() == LETTERS_MAX;
        }
        Ok(letters)
    }
}

/// What was asked for, for the audit log.
fn words(command: Option<Uuid>, hosts: usize, filter: Option<&DeadLetterFilter>) -> String {
    let mut words = Vec::new();
    if let Some(command) = command {
        words.push(format!("command_id={command}"));
    }
    if hosts > 0 {
        words.push(format!("hosts={hosts}"));
    }
    if let Some(filter) = filter {
        for (name, value) in [
            ("host", &filter.host),
            ("command_type", &filter.command_type),
            ("reason", &filter.reason),
        ] {
            if !value.is_empty() {
                words.push(format!("{name}={value}"));
            }
        }
        if let Some(before) = filter.before {
            words.push(format!("before={}", UnixMillis::from(before).0));
        }
        if filter.all {
            words.push("all".to_owned());
        }
    }
    words.join(" ")
}

/// The same command again, for these of its hosts.
fn redrive(
    call: &Call,
    now: UnixMillis,
    expires: UnixMillis,
    record: CommandRecord,
    hosts: Vec<HostId>,
) -> Result<Redrive, ServiceError> {
    let id = CommandId::growing(now.0, random());
    let target = format!("command:{id}");
    let mut audit = Entry::new(now, call.actor(), "command.create", target)
        .detail("redrive_of", record.id.to_string())
        .detail("hosts", hosts.len().to_string());
    if let [host] = hosts[..] {
        audit = audit.host(host);
    }
    audit = match decoded(&record.kind, &record.parameters)? {
        Some(parameters) => audited(audit, &parameters),
        None => audit.detail("command_type", record.kind.as_str()),
    };
    Ok(Redrive {
        command: NewCommand {
            id,
            kind: record.kind,
            parameters: record.parameters,
            timeout_seconds: record.timeout_seconds,
            priority: record.priority,
            user: call.actor().to_owned(),
            created: now,
            expires: Some(expires),
            not_before: None,
            plan: Plan::default(),
            targets: format!("dead letters of {}", record.id),
            redrive_of: Some(record.id),
            hosts: hosts.into_iter().map(Into::into).collect(),
        },
        audit,
    })
}

fn place(text: &str) -> Option<DeliveryPlace> {
    let (command, host) = text.split_once('.')?;
    Some(DeliveryPlace {
        command: command.parse().ok()?,
        host: host.parse().ok()?,
    })
}

/// A delivery as it is shown.
pub(super) fn shown(record: DeliveryRecord) -> Delivery {
    Delivery {
        command_id: record.command.into(),
        host_id: record.host.into(),
        host: record.host_name,
        command_type: record.kind,
        state: state_shown(record.state),
        reason: record.reason,
        detail: record.detail,
        created_at: Some(record.created.into()),
        updated_at: Some(record.updated.into()),
        expires_at: record.expires.map(Into::into),
        attempts: record.attempts,
        cancel_requested: record.cancel_requested,
        discarded: record.discarded,
        recovered: record.recovered,
        progress_percent: record.progress,
        started_at: record.started.map(Into::into),
        finished_at: record.ended.map(Into::into),
        wave: record.wave,
        held: record.held,
    }
}

/// What a response says that its command gave.
fn result(response: &[u8]) -> Result<Option<GetDeliveryResponseResult>, ServiceError> {
    use GetDeliveryResponseResult as Shown;
    let unreadable = || {
        let detail = "what the store has of this response cannot be read";
        ServiceError::new(ErrorKind::Internal, "internal", detail)
    };
    let wire = pb::Response::decode(response).map_err(|_| unreadable())?;
    let response = Response::try_from(wire).map_err(|_| unreadable())?;
    Ok(response.result.map(|result| match result {
        ResponseResult::PackageOperation(of) => Shown::PackageOperation(of),
        ResponseResult::ServiceOperation(of) => Shown::ServiceOperation(of),
        ResponseResult::SystemOperation(of) => Shown::SystemOperation(of),
        ResponseResult::Script(of) => Shown::Script(of),
        ResponseResult::Inventory(of) => Shown::Inventory(of),
        ResponseResult::FileTransfer(of) => Shown::FileTransfer(of),
        ResponseResult::Raw(json) => Shown::Raw(json.into_string()),
        ResponseResult::AgentUpdate(of) => Shown::AgentUpdate(of),
    }))
}

const STATES: [(State, DeliveryState); 10] = [
    (State::Queued, DeliveryState::Queued),
    (State::Sent, DeliveryState::Sent),
    (State::Received, DeliveryState::Received),
    (State::Running, DeliveryState::Running),
    (State::Succeeded, DeliveryState::Succeeded),
    (State::Failed, DeliveryState::Failed),
    (State::Interrupted, DeliveryState::Interrupted),
    (State::Cancelled, DeliveryState::Cancelled),
    (State::Expired, DeliveryState::Expired),
    (State::Dead, DeliveryState::Dead),
];

fn state_shown(state: State) -> DeliveryState {
    let found = STATES.into_iter().find(|(kept, _)| *kept == state);
    found.map_or(DeliveryState::Unspecified, |(_, shown)| shown)
}

fn state_of(asked: DeliveryState) -> Result<State, ServiceError> {
    let found = STATES.into_iter().find(|(_, shown)| *shown == asked);
    found.map(|(kept, _)| kept).ok_or_else(|| {
        let detail = "a state is one of those that a delivery can be in";
        refused("states", "field_invalid", detail)
    })
}
