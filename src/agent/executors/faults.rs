//! The faults that more than one kind of command can end with, in the same words for all of them.

use std::time::Duration;

use super::process::End;
use super::{Ended, Fault, Outcome};
use crate::wire::messages::ResponseResult;

/// The most of a detail, in bytes: what a response holds of it.
const DETAIL_BYTES_MAX: usize = 1024;

/// It could not be begun.
pub(super) fn start_failed(why: &str) -> Fault {
    Fault {
        reason: "start_failed",
        detail: shorten(format!("it could not be started: {why}")),
    }
}

/// It failed for a reason of its own.
pub(super) fn failed(reason: &'static str, detail: String) -> Fault {
    Fault {
        reason,
        detail: shorten(detail),
    }
}

/// What a program's end means, where 0 is the success.
pub(super) fn of_end(end: End, limit: Option<Duration>) -> Option<Fault> {
    let (reason, detail) = match end {
        End::Exited(0) => return None,
        End::Exited(code) => ("exit_code", format!("it exited with {code}")),
        End::Signalled(signal) => ("signal", format!("signal {signal} ended it")),
        End::TimedOut => return Some(timed_out(limit)),
        End::Stopped => return Some(cancelled()),
    };
    Some(Fault { reason, detail })
}

pub(super) fn timed_out(limit: Option<Duration>) -> Fault {
    let seconds = limit.unwrap_or_default().as_secs_f64();
    Fault {
        reason: "timed_out",
        detail: format!("it took longer than its time limit of {seconds} s, and was ended"),
    }
}

pub(super) fn cancelled() -> Fault {
    Fault {
        reason: "cancelled",
        detail: "it was ended, as nobody wanted it any more".to_owned(),
    }
}

fn shorten(mut detail: String) -> String {
    detail.truncate(detail.floor_char_boundary(DETAIL_BYTES_MAX));
    detail
}

impl Outcome {
    /// It failed before it came to anything.
    pub fn failed(fault: Fault) -> Self {
        Self::of(Some(fault), None)
    }

    /// What came of a run: a success, unless there is a fault.
    pub(super) fn of(fault: Option<Fault>, result: Option<ResponseResult>) -> Self {
        let status = match &fault {
            None => Ended::Succeeded,
            Some(fault) if fault.reason == "cancelled" => Ended::Cancelled,
            Some(_) => Ended::Failed,
        };
        Self {
            status,
            fault,
            result,
        }
    }
}
