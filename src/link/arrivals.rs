//! The receiver's side of the path's window: what is to be acknowledged, and when. Leaves to others:
//! what the sender makes of it (`path`).

use super::time::Time;
use std::time::Duration;

/// How many bytes arrive before they are acknowledged.
const ACK_BYTES: u64 = 32 << 10;
/// Pieces of a body that are acknowledged together, where they are smaller: a sender makes them small
/// on a slow path, and what is released in lumps of [`ACK_BYTES`] there is a queue of its own. At
/// 100 Mbit/s and 20 ms this, with the smaller pieces, took a small request beside a download from
/// 1.17 to 1.13 times an idle path's.
const ACK_PIECES: u64 = 2;
/// The least that is such a piece, and not a short answer.
const ACK_PIECE_BYTES: u64 = 4 << 10;
/// How long bytes lie here before they are acknowledged.
const ACK_DELAY: Duration = Duration::from_millis(5);
/// How long a message without bytes waits for one with: only the sender's memory waits for it.
const COUNT_DELAY: Duration = Duration::from_secs(1);

/// The receiver's side: what is to be acknowledged, and when.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    messages: u64,
    pending_bytes: u64,
    newest_at: Time,
    due_at: Option<Time>,
}

impl Arrivals {
    /// Takes note of a counted message with so many bytes of bodies.
    pub(super) fn on_message(&mut self, bytes: u64, now: Time) {
        self.messages += 1;
        self.pending_bytes += bytes;
        let is_piece = bytes >= ACK_PIECE_BYTES;
        let enough =
            self.pending_bytes >= ACK_BYTES || is_piece && self.pending_bytes >= ACK_PIECES * bytes;
        let delay = if enough {
            Duration::ZERO
        } else if bytes > 0 {
            ACK_DELAY
        } else {
            COUNT_DELAY
        };
        if bytes > 0 {
            self.newest_at = now;
        }
        let due_at = now + delay;
        self.due_at = Some(self.due_at.map_or(due_at, |at| at.min(due_at)));
    }

    /// Asks for an acknowledgement at once, because credit has grown.
    pub(super) fn expedite(&mut self, now: Time) {
        self.due_at = Some(now);
    }

    /// When the next acknowledgement is due.
    pub(super) const fn due_at(&self) -> Option<Time> {
        self.due_at
    }

    /// Counted messages that were taken in.
    pub(super) const fn messages(&self) -> u64 {
        self.messages
    }

    /// How long the newest bytes have been here; the acknowledgement of them is on its way.
    pub(super) fn take(&mut self, now: Time) -> Duration {
        self.due_at = None;
        self.pending_bytes = 0;
        now.since(self.newest_at)
    }
}
