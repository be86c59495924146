//! What is going on at hosts that run a command: told to whoever follows that command at the moment. Of what a
//! run has printed the end is kept in memory, for who follows later; it goes with the run. What is committed
//! goes another way, over the events; what a command printed in all comes with its result.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

use crate::ids::{CommandId, HostId};

/// Pieces that wait for whoever follows one command: 2 MiB where each is as long as one may be. Who is slower
/// misses some, and sees by their offsets how much.
const PIECES_MAX: usize = 32;
/// Commands that are followed at once.
const FOLLOWED_MAX: usize = 256;
/// Bytes that are kept of what one run has printed: several screens of it. Its result has more.
const TAIL_BYTES_MAX: usize = 64 * 1024;
/// Bytes that are kept of all runs together. Of more than that those are forgotten that were silent longest.
const TAILS_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What a tail takes beside its text, so that many small ones have an end too.
const TAIL_BYTES_BESIDE: usize = 256;

/// News of a command at one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The host.
    pub host: HostId,
    /// How far it is, in percent, where it says.
    pub percent: Option<u32>,
    /// What it has printed since the last piece.
    pub output: String,
    /// How many bytes it had printed before.
    pub offset: u64,
}

/// A piece, with its place among all that were told: later ones have greater numbers.
pub type Numbered = (u64, Piece);

/// Too many commands are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many commands are followed at present")]
pub struct FollowedExhausted;

/// Who follows which command, and the end of what is printed there.
#[derive(Default)]
pub struct Progress(Mutex<State>);

#[derive(Default)]
struct State {
    followed: HashMap<CommandId, broadcast::Sender<Numbered>>,
    tails: Tails,
    told: u64,
}

/// The ends of what runs have printed.
#[derive(Default)]
struct Tails {
    of: HashMap<(CommandId, HostId), Tail>,
    /// The same by the numbers of their last pieces.
    by_age: BTreeMap<u64, (CommandId, HostId)>,
    bytes: usize,
}

struct Tail {
    last: u64,
    percent: Option<u32>,
    text: String,
    offset: u64,
}

impl Progress {
    /// Follows a command from now on.
    ///
    /// # Errors
    /// When too many are followed.
    pub fn follow(
        &self,
        command: CommandId,
    ) -> Result<broadcast::Receiver<Numbered>, FollowedExhausted> {
        let followed = &mut self.state().followed;
        if followed.len() >= FOLLOWED_MAX && !followed.contains_key(&command) {
            followed.retain(|_, sender| sender.receiver_count() > 0);
            if followed.len() >= FOLLOWED_MAX {
                return Err(FollowedExhausted);
            }
        }
        let sender = followed.entry(command);
        let sender = sender.or_insert_with(|| broadcast::Sender::new(PIECES_MAX));
        Ok(sender.subscribe())
    }

    /// What a host that runs the command has printed until now, as far as it is kept: as one piece, with the
    /// number of the last that is in it.
    pub fn until_now(&self, command: CommandId, host: HostId) -> Option<Numbered> {
        let state = self.state();
        let tail = state.tails.of.get(&(command, host))?;
        let piece = Piece {
            host,
            percent: tail.percent,
            output: tail.text.clone(),
            offset: tail.offset,
        };
        Some((tail.last, piece))
    }

    /// Tells whoever follows the command. Waits for nothing.
    pub fn tell(&self, command: CommandId, piece: Piece) {
        let mut state = self.state();
        state.told += 1;
        let number = state.told;
        state.tails.add(command, number, &piece);
        if let Entry::Occupied(entry) = state.followed.entry(command) {
            if entry.get().receiver_count() == 0 {
                entry.remove();
            } else {
                // Where the last has left since, nobody is told.
                let _ = entry.get().send((number, piece));
            }
        }
    }

    /// Forgets what a host has printed: it runs the command no more.
    pub fn forget(&self, command: CommandId, host: HostId) {
        self.state().tails.remove((command, host));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock, and the tables are whole at every step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tails {
    fn add(&mut self, command: CommandId, number: u64, piece: &Piece) {
        let key = (command, piece.host);
        let known = self.remove(key);
        if known.is_none() && piece.output.is_empty() {
            return;
        }
        let mut tail = known.unwrap_or_else(Tail::empty);
        tail.last = number;
        tail.percent = piece.percent.or(tail.percent);
        tail.add(&piece.output, piece.offset);
        self.bytes += tail.bytes();
        self.by_age.insert(number, key);
        self.of.insert(key, tail);
        while self.bytes > TAILS_BYTES_MAX
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.remove(oldest);
        }
    }

    fn remove(&mut self, key: (CommandId, HostId)) -> Option<Tail> {
        let tail = self.of.remove(&key)?;
        self.by_age.remove(&tail.last);
        self.bytes -= tail.bytes();
        Some(tail)
    }
}

impl Tail {
    const fn empty() -> Self {
        Self {
            last: 0,
            percent: None,
            text: String::new(),
            offset: 0,
        }
    }

    fn add(&mut self, output: &str, offset: u64) {
        if output.is_empty() {
            return;
        }
        let end = self.offset.saturating_add(self.text.len() as u64);
        // Where something is missing in between, it begins anew: a piece is of one place.
        if offset == 0 || offset > end {
            self.text.clear();
            self.offset = offset;
        }
        self.text.push_str(output);
        let over = self.text.len().saturating_sub(TAIL_BYTES_MAX);
        let cut = self.text.ceil_char_boundary(over);
        self.text.drain(..cut);
        self.offset = self.offset.saturating_add(cut as u64);
    }

    fn bytes(&self) -> usize {
        self.text.capacity() + TAIL_BYTES_BESIDE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(byte: u16) -> CommandId {
        let mut bytes = [1; 16];
        bytes[..2].copy_from_slice(&byte.to_be_bytes());
        CommandId::random(bytes)
    }

    fn host(byte: u8) -> HostId {
        HostId::random([byte; 16])
    }

    fn piece(output: &str, offset: u64) -> Piece {
        Piece {
            host: host(7),
            percent: None,
            output: output.to_owned(),
            offset,
        }
    }

    #[test]
    fn only_who_follows_is_told() {
        let progress = Progress::default();
        progress.tell(command(1), piece("a", 0));
        let mut follower = progress.follow(command(1)).expect("room");
        progress.tell(command(1), piece("b", 1));
        progress.tell(command(2), piece("c", 0));
        assert_eq!(follower.try_recv(), Ok((2, piece("b", 1))));
        assert!(follower.try_recv().is_err());
        drop(follower);
        progress.tell(command(1), piece("d", 2));
        assert!(progress.state().followed.is_empty());
    }

    #[test]
    fn there_is_an_end_to_what_is_followed() {
        let progress = Progress::default();
        let number = |n: usize| command(u16::try_from(n).expect("small"));
        let mut all: Vec<_> = (0..FOLLOWED_MAX)
            .map(|n| progress.follow(number(n)).expect("room"))
            .collect();
        assert!(progress.follow(number(FOLLOWED_MAX)).is_err());
        // One more of the same is no more.
        assert!(progress.follow(number(0)).is_ok());
        all.pop();
        assert!(progress.follow(number(FOLLOWED_MAX)).is_ok());
    }

    #[test]
    fn what_was_printed_is_there_for_who_comes_later_until_the_run_ends() {
        let progress = Progress::default();
        let until_now = || progress.until_now(command(1), host(7));
        let percent = |percent| Piece {
            percent: Some(percent),
            ..piece("", 0)
        };
        progress.tell(command(1), percent(1));
        assert_eq!(until_now(), None, "nothing was printed");
        progress.tell(command(1), piece("grün ", 0));
        progress.tell(command(1), piece("und ", 6));
        progress.tell(command(1), percent(50));
        let whole = Piece {
            percent: Some(50),
            ..piece("grün und ", 0)
        };
        assert_eq!(until_now(), Some((4, whole)));
        // Where something is missing, what comes after it.
        progress.tell(command(1), piece("rot", 20));
        assert_eq!(
            until_now().map(|(_, piece)| (piece.output, piece.offset)),
            Some(("rot".to_owned(), 20))
        );
        // And of a run that begins again, that one.
        progress.tell(command(1), piece("neu", 0));
        assert_eq!(
            until_now().map(|(_, piece)| (piece.output, piece.offset)),
            Some(("neu".to_owned(), 0))
        );
        // Nor does it matter what an agent says of where it is.
        progress.tell(command(1), piece("end", u64::MAX));
        progress.tell(command(1), piece("less", 1));
        assert_eq!(
            until_now().map(|(_, piece)| piece.output),
            Some("endless".to_owned())
        );
        progress.forget(command(1), host(7));
        assert_eq!(until_now(), None);
    }

    #[test]
    fn of_what_is_printed_the_end_is_kept_and_of_all_of_it_what_was_last() {
        let progress = Progress::default();
        let text = "€".repeat(1000);
        for number in 0..100 {
            progress.tell(command(1), piece(&text, number * 3000));
        }
        let (_, kept) = progress.until_now(command(1), host(7)).expect("kept");
        assert!(kept.output.len() <= TAIL_BYTES_MAX && kept.output.len() > TAIL_BYTES_MAX - 3);
        assert_eq!(kept.offset + kept.output.len() as u64, 300_000);
        let bytes = || progress.state().tails.bytes;
        for number in 0..u16::MAX {
            progress.tell(command(number), piece(&text[..600], 0));
            assert!(bytes() <= TAILS_BYTES_MAX);
        }
        assert!(bytes() > TAILS_BYTES_MAX / 2);
        assert!(progress.until_now(command(1), host(7)).is_none());
        assert!(progress.until_now(command(u16::MAX - 1), host(7)).is_some());
        for number in 0..u16::MAX {
            progress.forget(command(number), host(7));
        }
        assert_eq!(bytes(), 0);
        assert!(progress.state().tails.by_age.is_empty());
    }
}
