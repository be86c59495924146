//! What stands in the store, as the link has it, and the other way about.

use prost::Message as _;

use super::intake::Answer;
use super::kinds;
use crate::clock::UnixMillis;
use crate::ids::{CommandId, HostId, Uuid, growing_uuid};
use crate::platform::store::commands::{NewCommand, Priority};
use crate::platform::store::deliveries::{DeliveryState, End, Outgoing, Reported, Step};
use crate::platform::store::waves::Plan;
use crate::schema::pb;
use crate::secret::random;
use crate::wire::messages::{
    Command, CommandCancel, CommandPriority, CommandReport, CommandStatus, JournalSync,
    PlatformToAgent, ResponseAck,
};
use crate::wire::values::Timestamp;

/// A command as it is sent. To an agent without a journal it has nothing that the first peers do not
/// know. `None` where its parameters are not such as this release can send.
pub(super) fn command(
    host: HostId,
    outgoing: Outgoing,
    settled_sequence: u64,
    journalled: bool,
) -> Option<Command> {
    let command = Command {
        message_id: outgoing.command.to_string(),
        timestamp: Some(outgoing.created.into()),
        target_host: host.to_string(),
        expires_at: outgoing.expires.map(Into::into),
        sequence: 0,
        settled_sequence: 0,
        timeout: 0,
        priority: CommandPriority::Unspecified,
        parameters: Some(kinds::parameters(&outgoing.kind, &outgoing.parameters)?),
    };
    if !journalled {
        return Some(command);
    }
    Some(Command {
        sequence: outgoing.sequence,
        settled_sequence,
        timeout: outgoing.timeout_seconds,
        priority: match outgoing.priority {
            Priority::High => CommandPriority::High,
            Priority::Normal => CommandPriority::Normal,
            Priority::Low => CommandPriority::Low,
        },
        ..command
    })
}

pub(super) fn cancel(command: CommandId) -> CommandCancel {
    CommandCancel {
        message_id: message_id(),
        original_message_id: command.to_string(),
        timestamp: now(),
    }
}

pub(super) fn response_ack(response: String) -> PlatformToAgent {
    ResponseAck {
        message_id: message_id(),
        original_message_id: response,
        timestamp: now(),
    }
    .into()
}

pub(super) fn journal_sync(epoch: Uuid, report: bool) -> JournalSync {
    JournalSync {
        message_id: message_id(),
        timestamp: now(),
        epoch,
        report,
    }
}

fn message_id() -> String {
    growing_uuid(UnixMillis::now().0, random()).to_string()
}

fn now() -> Option<Timestamp> {
    Some(UnixMillis::now().into())
}

/// The step that a status tells of, if it is one on the way.
pub(super) const fn step(status: CommandStatus) -> Option<Step> {
    match status {
        CommandStatus::Received => Some(Step::Received),
        CommandStatus::Running => Some(Step::Running),
        _ => None,
    }
}

/// The end that a response tells of.
pub(super) fn end(kind: &str, answer: Answer) -> End {
    let (state, reason) = match answer.status {
        CommandStatus::Success => (DeliveryState::Succeeded, ""),
        CommandStatus::Failed => (DeliveryState::Failed, "failed"),
        CommandStatus::Interrupted => (DeliveryState::Interrupted, "interrupted"),
        CommandStatus::Cancelled => (DeliveryState::Cancelled, "cancelled"),
        CommandStatus::Expired => (DeliveryState::Expired, "expired"),
        CommandStatus::Refused => (DeliveryState::Dead, "refused"),
        // It has ended, and nobody can say how.
        _ => (DeliveryState::Failed, "status_unknown"),
    };
    let reason = if answer.reason.is_empty() {
        reason.to_owned()
    } else {
        answer.reason
    };
    let mut response = answer.response;
    response.result = match response.result {
        Some(pb::response::Result::Raw(raw)) => Some(kinds::typed(kind, raw)),
        result => result,
    };
    End {
        state,
        reason,
        detail: answer.detail,
        started: answer.started.map(Into::into),
        response: Some(response.encode_to_vec()),
    }
}

/// What an agent reports of a command, if it can be a command of ours.
pub(super) fn reported(report: CommandReport, answer: Option<Answer>) -> Option<Reported> {
    let command = report.command?;
    let id = command.message_id.parse().ok()?;
    let (kind, parameters) = kinds::stored(command.parameters?);
    let step = match answer {
        Some(answer) => Step::Ended(Box::new(end(&kind, answer))),
        None => step(report.status).unwrap_or(Step::Received),
    };
    let created = command.timestamp.or(report.timestamp);
    Some(Reported {
        command: NewCommand {
            id,
            kind,
            parameters,
            timeout_seconds: command.timeout,
            priority: match command.priority {
                CommandPriority::High => Priority::High,
                CommandPriority::Low => Priority::Low,
                _ => Priority::Normal,
            },
            user: "agent".to_owned(),
            created: created.map_or_else(UnixMillis::now, Into::into),
            expires: command.expires_at.map(Into::into),
            not_before: None,
            plan: Plan::default(),
            targets: String::new(),
            redrive_of: None,
            hosts: Vec::new(),
        },
        sequence: command.sequence,
        step,
    })
}
