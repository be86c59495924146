//! What a run says before its end, on its way to the platform: gathered for a moment, so that a command that
//! prints line by line costs no message a line, and left out where the connection does not take it. What is
//! kept of it all comes with the response.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::Way;
use super::response::{new_id, now};
use crate::agent::executors::Report;
use crate::wire::messages::{CommandStatus, StatusUpdate};

/// The longest that something printed waits for more.
const GATHER: Duration = Duration::from_millis(100);
/// The most that is gathered.
const GATHERED_BYTES_MAX: usize = 32 << 10;
/// The most of it in one message. A byte that is no UTF-8 takes three, of the 65536 that the schema allows.
const PIECE_BYTES_MAX: usize = 20 << 10;
/// Messages that may wait for the connection where more are to be added: these are the first to be left out.
const BACKLOG_MAX: usize = 32;

/// Gathers what a run says, until nobody can say any more.
pub async fn relay<W: Way>(
    id: String,
    mut reports: mpsc::Receiver<Report>,
    way: watch::Receiver<Option<W>>,
) {
    let mut gathered = Gathered::default();
    let mut due: Option<Instant> = None;
    loop {
        let wait = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        let ends = tokio::select! {
            biased;
            report = reports.recv() => match report {
                Some(report) => {
                    gathered.take(report);
                    due.get_or_insert_with(|| Instant::now() + GATHER);
                    if gathered.bytes.len() < GATHERED_BYTES_MAX {
                        continue;
                    }
                    false
                }
                None => true,
            },
            () = wait => false,
        };
        due = None;
        for update in gathered.updates(&id, ends) {
            // A clone, so that nothing is held while it is sent.
            let way = way.borrow().clone();
            if let Some(way) = way.filter(|way| way.backlog() < BACKLOG_MAX) {
                way.send(update.into());
            }
        }
        if ends {
            return;
        }
    }
}

/// What was said and not sent.
#[derive(Debug, Default)]
struct Gathered {
    bytes: Vec<u8>,
    /// How many were printed before these.
    offset: u64,
    percent: Option<u32>,
    /// Something was said beside bytes.
    changed: bool,
}

impl Gathered {
    fn take(&mut self, report: Report) {
        match report {
            Report::Output { offset, bytes } => {
                if offset != self.offset + self.bytes.len() as u64 {
                    // What comes after a gap cannot follow what came before.
                    self.bytes.clear();
                    self.offset = offset;
                }
                self.bytes.extend(bytes);
            }
            Report::Progress(percent) => {
                self.percent = Some(u32::from(percent.min(100)));
                self.changed = true;
            }
        }
    }

    /// What is to be sent now. A character that is not whole yet waits for the rest of it, unless this is
    /// the end.
    fn updates(&mut self, id: &str, ends: bool) -> Vec<StatusUpdate> {
        let mut updates = Vec::new();
        let waits = if ends { 0 } else { unfinished(&self.bytes) };
        let whole = self.bytes.len() - waits;
        let mut from = 0;
        while from < whole {
            let rest = &self.bytes[from..whole];
            let mut piece = &rest[..rest.len().min(PIECE_BYTES_MAX)];
            if piece.len() < rest.len() {
                piece = &piece[..piece.len() - unfinished(piece)];
            }
            updates.push(self.update(id, String::from_utf8_lossy(piece).into_owned()));
            self.offset += piece.len() as u64;
            from += piece.len();
        }
        self.bytes.drain(..whole);
        if updates.is_empty() && self.changed {
            updates.push(self.update(id, String::new()));
        }
        self.changed = false;
        updates
    }

    fn update(&self, id: &str, output: String) -> StatusUpdate {
        StatusUpdate {
            message_id: new_id(),
            original_message_id: id.to_owned(),
            timestamp: now(),
            status: CommandStatus::Running,
            progress_percent: self.percent,
            output,
            output_offset: self.offset,
        }
    }
}

/// How many bytes at the end are the beginning of a character of which more may come.
fn unfinished(bytes: &[u8]) -> usize {
    for count in 1..=bytes.len().min(3) {
        let byte = bytes[bytes.len() - count];
        let length = match byte {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            0x80..=0xbf => continue,
            _ => return 0,
        };
        return if length > count { count } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(offset: u64, bytes: &[u8]) -> Report {
        let bytes = bytes.to_vec();
        Report::Output { offset, bytes }
    }

    #[test]
    fn characters_are_not_cut_and_offsets_count_bytes() {
        let text = "a\u{20ac}\u{1f980}\u{e9}z".repeat(20_000);
        let mut gathered = Gathered::default();
        let mut read = Vec::new();
        for (number, piece) in text.as_bytes().chunks(31_337).enumerate() {
            gathered.take(output(number as u64 * 31_337, piece));
            for update in gathered.updates("c1", false) {
                assert_eq!(update.output_offset, read.len() as u64);
                assert!(update.output.len() <= 65_536 && !update.output.contains('\u{fffd}'));
                read.extend(update.output.into_bytes());
            }
            // Nothing new: nothing to say.
            assert!(gathered.updates("c1", false).is_empty());
        }
        assert_eq!(read, text.as_bytes());
    }

    #[test]
    fn what_is_no_text_is_shown_as_such_and_fits() {
        let mut gathered = Gathered::default();
        gathered.take(output(0, &[0xff; 40_000]));
        let updates = gathered.updates("c1", false);
        assert!(updates.iter().all(|update| update.output.len() <= 65_536));
        let count = |update: &StatusUpdate| update.output.chars().count();
        assert_eq!(updates.iter().map(count).sum::<usize>(), 40_000);
        gathered.take(output(40_000, &[b'a', 0xe2, 0x82]));
        assert_eq!(gathered.updates("c1", false)[0].output, "a");
        let last = gathered.updates("c1", true);
        assert_eq!(
            (last[0].output.as_str(), last[0].output_offset),
            ("\u{fffd}", 40_001)
        );
    }

    #[test]
    fn a_gap_is_seen_by_the_offset() {
        let mut gathered = Gathered::default();
        gathered.take(output(0, b"one"));
        gathered.take(Report::Progress(70));
        gathered.take(output(13, b"two"));
        let updates = gathered.updates("c1", false);
        let update = &updates[0];
        assert_eq!((update.output.as_str(), update.output_offset), ("two", 13));
        assert_eq!((updates.len(), update.progress_percent), (1, Some(70)));
        gathered.take(Report::Progress(71));
        let updates = gathered.updates("c1", false);
        assert_eq!((updates.len(), updates[0].progress_percent), (1, Some(71)));
    }
}
