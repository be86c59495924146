//! What an agent answers of a command, and how long that may be.

use std::time::SystemTime;

use bytes::{Bytes, BytesMut};

use crate::agent::executors::{Ended, Fault, Outcome};
use crate::clock::UnixMillis;
use crate::ids::growing_uuid;
use crate::secret;
use crate::wire::messages::{
    AgentToPlatform, CommandStatus, PlatformToAgent, Response, ResponseResult,
};
use crate::wire::values::{Name, Text as _, Timestamp};
use crate::wire::{Encoding, Envelope};

/// The longest response, in bytes of its encoding.
pub const RESPONSE_BYTES_MAX: usize = 512 << 10;
/// The longest sentence, as the schema has it.
const DETAIL_BYTES_MAX: usize = 1024;

/// An id for a message of this agent's own. It grows, so that the platform's track of messages finds a place for
/// many on one page of its index.
pub fn new_id() -> String {
    growing_uuid(UnixMillis::now().0, secret::random()).to_string()
}

/// This machine's clock.
pub fn now() -> Option<Timestamp> {
    Some(Timestamp::from_system_time(SystemTime::now()))
}

/// The response to a command that did not run, or of which nobody knows how far it came.
pub fn without_result(id: &str, status: CommandStatus, fault: Option<Fault>) -> Response {
    let (reason, detail) = match fault {
        Some(fault) => (Name::parse(fault.reason.to_owned()), fault.detail),
        None => (None, String::new()),
    };
    Response {
        message_id: new_id(),
        original_message_id: id.to_owned(),
        timestamp: now(),
        status,
        reason,
        detail: head_of(detail, DETAIL_BYTES_MAX),
        started_at: None,
        result: None,
    }
}

/// The response to a command that has run.
pub fn of_outcome(id: &str, outcome: Outcome, started_at: Option<Timestamp>) -> Response {
    let status = match outcome.status {
        Ended::Succeeded => CommandStatus::Success,
        Ended::Failed => CommandStatus::Failed,
        Ended::Cancelled => CommandStatus::Cancelled,
    };
    let mut response = without_result(id, status, outcome.fault);
    response.started_at = started_at;
    response.result = outcome.result;
    // A platform would end the connection on which it came, again and again.
    let envelope = AgentToPlatform::from(response.clone());
    match AgentToPlatform::from_wire(envelope.into_wire()) {
        Ok(_) => response,
        Err(invalid) => {
            let fault = Fault {
                reason: "result_invalid",
                detail: format!("what it gave cannot be sent: {invalid}"),
            };
            let mut response = without_result(id, CommandStatus::Failed, Some(fault));
            response.started_at = started_at;
            response
        }
    }
}

/// A message as the journal keeps it.
pub fn encode<E: Envelope>(message: E) -> Bytes {
    let mut bytes = BytesMut::new();
    Encoding::Binary.encode(message, &mut bytes);
    bytes.freeze()
}

/// A command out of the journal. `None` where this version of the agent does not take it any more.
pub fn decode_command(bytes: Bytes) -> Option<crate::wire::messages::Command> {
    match Encoding::Binary.decode(bytes) {
        Ok(PlatformToAgent::Command(command)) => Some(command),
        _ => None,
    }
}

/// A response out of the journal.
pub fn decode_response(bytes: Bytes) -> Option<Response> {
    match Encoding::Binary.decode(bytes) {
        Ok(AgentToPlatform::Response(response)) => Some(response),
        _ => None,
    }
}

/// Shortens a response until its encoding has this many bytes at most, and gives that too: what it printed
/// first, from the front, then what is listed, then all of it.
pub fn fit(mut response: Response, bytes_max: usize) -> (Response, Bytes) {
    let mut bytes = encode(AgentToPlatform::from(response.clone()));
    // The lengths of what encloses it shrink too, so that once may not be quite enough.
    for _ in 0..3 {
        let Some(over) = bytes.len().checked_sub(bytes_max).filter(|over| *over > 0) else {
            return (response, bytes);
        };
        if let Some(output) = response.result.as_mut().and_then(output_of) {
            *output = tail_of(output, output.len().saturating_sub(over));
        }
        bytes = encode(AgentToPlatform::from(response.clone()));
    }
    while bytes.len() > bytes_max && response.result.as_mut().is_some_and(halve) {
        bytes = encode(AgentToPlatform::from(response.clone()));
    }
    if bytes.len() > bytes_max {
        response.result = None;
        if response.detail.is_empty() {
            "what it gave is too long to be sent".clone_into(&mut response.detail);
        }
        bytes = encode(AgentToPlatform::from(response.clone()));
    }
    (response, bytes)
}

fn output_of(result: &mut ResponseResult) -> Option<&mut String> {
    match result {
        ResponseResult::PackageOperation(result) => Some(&mut result.output),
        ResponseResult::Script(result) => Some(&mut result.output),
        ResponseResult::Inventory(result) => Some(&mut result.output),
        _ => None,
    }
}

/// Leaves half of what is listed; `false` where nothing is.
fn halve(result: &mut ResponseResult) -> bool {
    fn half<T>(list: &mut Vec<T>) -> bool {
        let any = !list.is_empty();
        list.truncate(list.len() / 2);
        any
    }
    match result {
        ResponseResult::PackageOperation(result) => [
            half(&mut result.packages),
            half(&mut result.installed_packages),
            half(&mut result.removed_packages),
        ]
        .contains(&true),
        ResponseResult::Inventory(result) => {
            [half(&mut result.packages), half(&mut result.services)].contains(&true)
        }
        _ => false,
    }
}

fn head_of(mut text: String, bytes_max: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes_max));
    text
}

fn tail_of(text: &str, bytes_max: usize) -> String {
    let from = text.ceil_char_boundary(text.len() - bytes_max.min(text.len()));
    text[from..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::messages::{Package, PackageResult, ScriptResult};

    fn of(result: ResponseResult) -> Response {
        let outcome = Outcome {
            status: Ended::Succeeded,
            fault: None,
            result: Some(result),
        };
        of_outcome("c1", outcome, now())
    }

    fn script(output: String) -> ResponseResult {
        ResponseResult::Script(ScriptResult {
            exit_code: Some(0),
            signal: None,
            output_bytes: output.len() as u64,
            output,
            execution_time: 0.5,
        })
    }

    #[test]
    fn the_end_of_what_was_printed_is_kept() {
        let output = format!("{}end", "\u{20ac}".repeat(50_000));
        let response = of(script(output.clone()));
        for bytes_max in [1000, 50_000, 100_001, 100_002, 100_003, 149_000] {
            let (fitted, bytes) = fit(response.clone(), bytes_max);
            assert!(bytes.len() <= bytes_max && bytes.len() > bytes_max - 10);
            assert_eq!(decode_response(bytes), Some(fitted.clone()));
            let Some(ResponseResult::Script(result)) = fitted.result else {
                unreachable!("no result of a script");
            };
            assert!(output.ends_with(&result.output));
            assert_eq!(result.output_bytes, output.len() as u64);
        }
        let (same, bytes) = fit(response.clone(), RESPONSE_BYTES_MAX);
        assert_eq!(same, response);
        assert_eq!(decode_response(bytes), Some(response));
    }

    #[test]
    fn what_is_listed_is_shortened_where_that_is_not_enough() {
        let package = |number| Package {
            name: format!("package{number}{}", "x".repeat(200)),
            version: "1".to_owned(),
            architecture: String::new(),
        };
        let result = PackageResult {
            installed_packages: Vec::new(),
            execution_time: 1.0,
            output: "o".repeat(1000),
            removed_packages: Vec::new(),
            packages: (0..8000).map(package).collect(),
            exit_code: Some(0),
            output_bytes: 1000,
        };
        let response = of(ResponseResult::PackageOperation(result));
        let (fitted, bytes) = fit(response.clone(), RESPONSE_BYTES_MAX);
        assert!(bytes.len() <= RESPONSE_BYTES_MAX);
        let Some(ResponseResult::PackageOperation(result)) = fitted.result else {
            unreachable!("no result of packages");
        };
        assert_eq!(result.packages.len(), 2000);
        let (none, _) = fit(response, 60);
        assert!(none.result.is_none() && !none.detail.is_empty());
    }

    #[test]
    fn what_the_schema_refuses_is_not_sent() {
        let response = of(script("x".repeat(300_000)));
        assert_eq!(response.status, CommandStatus::Failed);
        assert_eq!(
            response.reason.expect("a reason").as_str(),
            "result_invalid"
        );
        let fault = Fault {
            reason: "exit_code",
            detail: "\u{20ac}".repeat(1000),
        };
        let response = without_result("c1", CommandStatus::Failed, Some(fault));
        assert_eq!(response.detail.len(), 1023);
    }
}
