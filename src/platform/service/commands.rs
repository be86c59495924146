//! Commands: asked for, shown, and not wanted any more. What each of their hosts is told, and when, is the
//! delivery's affair; what is to be done stands in `parameters`, for whom in `targets`.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;

use super::command_watch::Watching;
use super::page::{self, Page};
use super::parameters::{audited, decoded, encoded, kind, named, refused};
use super::schedule;
use super::targets::Targets;
use super::{ErrorKind, ServiceError};
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{CommandId, FileId};
use crate::platform::Platform;
use crate::platform::api::{Answer, Call, CommandService, CreateCommand, InstallPackages, Stream};
use crate::platform::identity::Caller;
use crate::platform::store::Change;
use crate::platform::store::commands::{
    CommandFilter, CommandPlace, CommandRecord, NewCommand, Priority,
};
use crate::platform::store::deliveries::{Counts, DeliveryFilter, DeliveryState};
use crate::platform::store::waves::Plan;
use crate::secret::random;
use crate::wire::api::{
    AbortCommandRequest, AbortCommandResponse, CancelCommandRequest, CancelCommandResponse,
    Command, CommandParameters, CommandPriority, CommandState, CommandSummary,
    CreateCommandRequest, CreateCommandResponse, GetCommandRequest, GetCommandResponse,
    InstallPackagesRequest, InstallPackagesResponse, ListCommandsRequest, ListCommandsResponse,
    PackageAction, PackageOperation, ResumeCommandRequest, ResumeCommandResponse,
    WatchCommandRequest, WatchCommandResponse,
};
use crate::wire::values::Timestamp;

/// How long a command may wait for its host, where nobody says.
pub(super) const EXPIRY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long one may run, where nobody says.
const TIMEOUT_SECONDS: u32 = 15 * 60;

impl CommandService for Platform {
    async fn install_packages(
        self: Arc<Self>,
        call: Call,
        request: InstallPackagesRequest,
    ) -> Answer<InstallPackagesResponse> {
        let operation = PackageOperation {
            operation: PackageAction::Install,
            packages: request.packages,
            options: request.options,
        };
        let parameters = CommandParameters::PackageOperation(operation);
        let encoded = encoded(parameters.clone(), "")?;
        let host = self.find_host(&call, &request.host_id).await?;
        let targets = Targets {
            words: format!("hosts {}", host.name),
            hosts: vec![(host.id, host.name)],
        };
        let now = UnixMillis::now();
        let command = NewCommand {
            timeout_seconds: request.timeout.unwrap_or(TIMEOUT_SECONDS),
            expires: Some(expiry(now, request.expires_at)?),
            ..new_command(&call, now, &targets, kind(&parameters), encoded)
        };
        let answer = InstallPackagesResponse {
            command_id: command.id.into(),
            state: CommandState::Queued,
        };
        let audit = audited(created(&command, &targets), &parameters);
        let change = call.change::<InstallPackages>(audit, &answer)?;
        self.send_command(command, change).await?;
        Ok(answer)
    }

    async fn create_command(
        self: Arc<Self>,
        call: Call,
        request: CreateCommandRequest,
    ) -> Answer<CreateCommandResponse> {
        let Some(mut parameters) = request.parameters.map(CommandParameters::from) else {
            let detail = "say what to do: package_operation, service_operation, system_operation, script, file_transfer, inventory or agent_update";
            return Err(refused("parameters", "field_invalid", detail));
        };
        let kind = kind(&parameters);
        let file_id = request.file_id.map(FileId::from);
        let file = match &mut parameters {
            CommandParameters::FileTransfer(transfer) => {
                self.transferred(&call.caller, file_id, transfer).await?
            }
            CommandParameters::AgentUpdate(update) if file_id.is_none() => {
                Some(self.program_of(&call.caller, update).await?)
            }
            _ if file_id.is_some() => {
                let detail = "a file goes with a file_transfer alone";
                return Err(refused("file_id", "field_invalid", detail));
            }
            _ => None,
        };
        let encoded = encoded(parameters.clone(), &format!("{kind}."))?;
        let now = UnixMillis::now();
        let priority = priority_of(request.priority)?;
        let targets = self.targets(&call, request.targets).await?;
        let when = self.when(
            now,
            request.expires_at,
            request.waves,
            request.schedule,
            &targets,
        );
        let when = when.await?;
        let count = targets.hosts.len();
        let (total, waves) = (count as u64, when.waves(count));
        if request.dry_run {
            return Ok(CreateCommandResponse {
                command_id: None,
                state: CommandState::Unspecified,
                total,
                hosts: when.shown(targets, |host| self.registry.link(host).is_some()),
                waves,
            });
        }
        let command = NewCommand {
            timeout_seconds: request.timeout.unwrap_or(TIMEOUT_SECONDS),
            expires: Some(when.expires),
            not_before: when.not_before,
            plan: when.plan,
            priority,
            ..new_command(&call, now, &targets, kind, encoded)
        };
        if let Some(file) = file {
            // Before the command is there, so that nothing removes the file between the two.
            self.store.use_file(file, command.id, now).await?;
        }
        let answer = CreateCommandResponse {
            command_id: Some(command.id.into()),
            state: CommandState::Queued,
            total,
            hosts: Vec::new(),
            waves,
        };
        let audit = when.audited(created(&command, &targets));
        let change = call.change::<CreateCommand>(audited(audit, &parameters), &answer)?;
        self.send_command(command, change).await?;
        Ok(answer)
    }

    async fn list_commands(
        self: Arc<Self>,
        call: Call,
        request: ListCommandsRequest,
    ) -> Answer<ListCommandsResponse> {
        let page = Page::of(request.page_size, &request.page_token)?;
        let after = page.after().map(|place| place.parse().map(CommandPlace));
        let after = after.transpose().map_err(|_| page::token_invalid())?;
        let granted = self.identity.granted_hosts(&call.caller);
        let mut filter = CommandFilter {
            kind: Some(request.command_type).filter(|kind| !kind.is_empty()),
            user: Some(request.user).filter(|user| !user.is_empty()),
            ..CommandFilter::default()
        };
        // What a command is to somebody who sees some of its hosts only, the store does not know.
        match request.state {
            CommandState::Queued | CommandState::Running | CommandState::Paused
                if granted.is_none() =>
            {
                filter.finished = Some(false);
            }
            CommandState::Finished if granted.is_none() => filter.finished = Some(true),
            _ => {}
        }
        filter.hosts = if request.host.is_empty() {
            granted
        } else {
            Some(vec![self.find_host(&call, &request.host).await?.id])
        };
        let found = self.store.commands(filter, after, page.size()).await?;
        let mut commands = Vec::with_capacity(found.found.len());
        for record in found.found {
            let command = self.show_command(&call.caller, record).await?;
            let wanted = request.state == CommandState::Unspecified;
            if wanted || request.state == command.state {
                commands.push(command);
            }
        }
        Ok(ListCommandsResponse {
            commands,
            next_page_token: found
                .next
                .map(|place| page::token(&place.0.to_string()))
                .unwrap_or_default(),
        })
    }

    async fn get_command(
        self: Arc<Self>,
        call: Call,
        request: GetCommandRequest,
    ) -> Answer<GetCommandResponse> {
        let command = self
            .seen_command(&call.caller, request.command_id.into())
            .await?;
        Ok(GetCommandResponse {
            command: Some(command),
        })
    }

    async fn cancel_command(
        self: Arc<Self>,
        call: Call,
        request: CancelCommandRequest,
    ) -> Answer<CancelCommandResponse> {
        let id = CommandId::from(request.command_id);
        self.seen_command(&call.caller, id).await?;
        let now = UnixMillis::now();
        let mut audit = Entry::new(now, call.actor(), "command.cancel", format!("command:{id}"));
        let hosts = if request.hosts.is_empty() {
            self.identity.granted_hosts(&call.caller)
        } else {
            let hosts = self.named_hosts(&call, &request.hosts, "hosts").await?;
            if let [(host, _)] = &hosts[..] {
                audit = audit.host(*host);
            }
            let names: Vec<_> = hosts.iter().map(|(_, name)| name.clone()).collect();
            audit = audit.detail("hosts", named(&names));
            Some(hosts.into_iter().map(|(id, _)| id).collect())
        };
        let cancelled = self.delivery.cancel(id, hosts, now, audit.into()).await?;
        Ok(CancelCommandResponse {
            cancelled: cancelled.ended.len() as u64,
            requested: cancelled.requested.len() as u64,
        })
    }

    async fn resume_command(
        self: Arc<Self>,
        call: Call,
        request: ResumeCommandRequest,
    ) -> Answer<ResumeCommandResponse> {
        let id = CommandId::from(request.command_id);
        let audit = self.whole_command(&call, id, "command.resume").await?;
        let resumed = self.delivery.resume(id, audit.at, audit.into()).await?;
        if resumed {
            return Ok(ResumeCommandResponse {});
        }
        let detail = "the command is not paused";
        Err(ServiceError::new(
            ErrorKind::Conflict,
            "command_not_paused",
            detail,
        ))
    }

    async fn abort_command(
        self: Arc<Self>,
        call: Call,
        request: AbortCommandRequest,
    ) -> Answer<AbortCommandResponse> {
        let id = CommandId::from(request.command_id);
        let audit = self.whole_command(&call, id, "command.abort").await?;
        let ended = self.delivery.abort(id, audit.at, audit.into()).await?;
        Ok(AbortCommandResponse {
            cancelled: ended.len() as u64,
        })
    }

    async fn watch_command(
        self: Arc<Self>,
        call: Call,
        request: WatchCommandRequest,
    ) -> Answer<Stream<WatchCommandResponse>> {
        let watching = Watching::begin(&self, call.caller, request.command_id.into()).await?;
        Ok(watching.into_stream().boxed())
    }
}

impl Platform {
    async fn send_command(&self, command: NewCommand, change: Change) -> Result<(), ServiceError> {
        self.delivery.create(command, change).await?;
        Ok(())
    }

    /// What the audit log says of somebody who does something about a command as a whole.
    ///
    /// # Errors
    /// `command_unknown`; `grant_insufficient` where they do not see all of its hosts.
    async fn whole_command(
        &self,
        call: &Call,
        id: CommandId,
        action: &str,
    ) -> Result<Entry, ServiceError> {
        let seen = self.seen_command(&call.caller, id).await?;
        let all = self.store.command(id).await?;
        let all = all.map_or(0, |record| record.counts.total());
        if seen.summary.is_none_or(|seen| seen.total < all) {
            let detail = "the command is for hosts, too, that you may not see";
            return Err(ServiceError::new(
                ErrorKind::Forbidden,
                "grant_insufficient",
                detail,
            ));
        }
        let target = format!("command:{id}");
        let audit = Entry::new(UnixMillis::now(), call.actor(), action, target);
        Ok(audit.detail("command_type", seen.command_type))
    }

    /// A command as a caller sees it.
    ///
    /// # Errors
    /// `command_unknown`, also where the caller sees none of its hosts.
    pub(super) async fn seen_command(
        &self,
        caller: &Caller,
        id: CommandId,
    ) -> Result<Command, ServiceError> {
        let unknown = || {
            let detail = "there is no command of this id";
            ServiceError::new(ErrorKind::NotFound, "command_unknown", detail)
        };
        let record = self.store.command(id).await?.ok_or_else(unknown)?;
        let command = self.show_command(caller, record).await?;
        let total = command.summary.as_ref().map_or(0, |all| all.total);
        if total == 0 {
            return Err(unknown());
        }
        Ok(command)
    }

    async fn show_command(
        &self,
        caller: &Caller,
        record: CommandRecord,
    ) -> Result<Command, ServiceError> {
        let granted = self.identity.granted_hosts(caller);
        let (counts, finished) = match &granted {
            None => (record.counts, record.finished),
            Some(hosts) => self.store.command_counts(record.id, hosts.clone()).await?,
        };
        let host = if counts.total() == 1 && record.counts.total() == 1 {
            let filter = DeliveryFilter {
                command: Some(record.id),
                ..DeliveryFilter::default()
            };
            let page = self.store.deliveries(filter, None, 1).await?;
            page.found.first().map(|delivery| delivery.host)
        } else {
            None
        };
        let sees_all = counts.total() == record.counts.total();
        let (waves, schedule, wave_state) = schedule::shown(&record);
        let is_paused = wave_state.as_ref().is_some_and(|it| it.paused_at.is_some());
        Ok(Command {
            id: record.id.into(),
            host_id: host.map(Into::into),
            state: state_of(&counts, is_paused),
            user: record.user,
            created_at: Some(record.created.into()),
            expires_at: record.expires.map(Into::into),
            timeout: record.timeout_seconds,
            priority: priority_shown(record.priority),
            summary: Some(summary(&counts)),
            finished_at: finished.map(Into::into),
            redrive_of: record.redrive_of.map(Into::into),
            targets: if sees_all {
                record.targets
            } else {
                String::new()
            },
            parameters: decoded(&record.kind, &record.parameters)?,
            command_type: record.kind,
            waves,
            schedule,
            // How many wait, and for how long, is for whoever sees all of them.
            wave_state: wave_state.filter(|_| sees_all),
        })
    }
}

/// What the audit log says of a new command.
fn created(command: &NewCommand, targets: &Targets) -> Entry {
    let target = format!("command:{}", command.id);
    let user = command.user.as_str();
    let audit = Entry::new(command.created, user, "command.create", target);
    match &targets.hosts[..] {
        [(host, name)] => audit.host(*host).detail("host", name.as_str()),
        hosts => audit
            .detail("targets", targets.words.as_str())
            .detail("hosts", hosts.len().to_string()),
    }
}

/// A new command to these hosts, to wait its turn for ever.
pub(super) fn new_command(
    call: &Call,
    now: UnixMillis,
    targets: &Targets,
    kind: &str,
    parameters: Vec<u8>,
) -> NewCommand {
    NewCommand {
        id: CommandId::growing(now.0, random()),
        kind: kind.to_owned(),
        parameters,
        timeout_seconds: TIMEOUT_SECONDS,
        priority: Priority::Normal,
        user: call.actor().to_owned(),
        created: now,
        expires: None,
        not_before: None,
        plan: Plan::default(),
        targets: targets.words.clone(),
        redrive_of: None,
        hosts: targets.hosts.iter().map(|(id, _)| (*id).into()).collect(),
    }
}

/// Until when a command may be begun.
///
/// # Errors
/// `expiry_past`.
pub(super) fn expiry(
    now: UnixMillis,
    asked: Option<Timestamp>,
) -> Result<UnixMillis, ServiceError> {
    let expires = asked.map_or(now.plus(EXPIRY), UnixMillis::from);
    if expires > now {
        return Ok(expires);
    }
    let detail = "a command that may not be begun any more is of no use: expires_at is past";
    Err(refused("expires_at", "expiry_past", detail))
}

fn priority_of(priority: CommandPriority) -> Result<Priority, ServiceError> {
    match priority {
        CommandPriority::High => Ok(Priority::High),
        CommandPriority::Normal | CommandPriority::Unspecified => Ok(Priority::Normal),
        CommandPriority::Low => Ok(Priority::Low),
        CommandPriority::Unknown(_) => {
            let detail = "a priority is high, normal or low";
            Err(refused("priority", "field_invalid", detail))
        }
    }
}

const fn priority_shown(priority: Priority) -> CommandPriority {
    match priority {
        Priority::High => CommandPriority::High,
        Priority::Normal => CommandPriority::Normal,
        Priority::Low => CommandPriority::Low,
    }
}

fn state_of(counts: &Counts, is_paused: bool) -> CommandState {
    if counts.open() == 0 {
        CommandState::Finished
    } else if is_paused {
        CommandState::Paused
    } else if counts.of(DeliveryState::Queued) == counts.total() {
        CommandState::Queued
    } else {
        CommandState::Running
    }
}

fn summary(counts: &Counts) -> CommandSummary {
    CommandSummary {
        total: counts.total(),
        queued: counts.of(DeliveryState::Queued),
        sent: counts.of(DeliveryState::Sent),
        received: counts.of(DeliveryState::Received),
        running: counts.of(DeliveryState::Running),
        succeeded: counts.of(DeliveryState::Succeeded),
        failed: counts.of(DeliveryState::Failed),
        interrupted: counts.of(DeliveryState::Interrupted),
        cancelled: counts.of(DeliveryState::Cancelled),
        expired: counts.of(DeliveryState::Expired),
        dead: counts.of(DeliveryState::Dead),
    }
}
