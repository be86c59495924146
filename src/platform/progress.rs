//! What is going on at hosts that run a command: told to whoever follows that command at the moment, and not
//! kept. What is committed goes another way, over the events; what a command printed in all comes with its
//! result.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

use crate::ids::{CommandId, HostId};

/// Pieces that wait for whoever follows one command: 2 MiB where each is as long as one may be. Who is slower
/// misses some, and sees by their offsets how much.
const PIECES_MAX: usize = 32;
/// Commands that are followed at once.
const FOLLOWED_MAX: usize = 256;

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

/// Too many commands are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many commands are followed at present")]
pub struct FollowedExhausted;

/// Who follows which command.
#[derive(Default)]
pub struct Progress {
    followed: Mutex<HashMap<CommandId, broadcast::Sender<Piece>>>,
}

impl Progress {
    /// Follows a command from now on.
    ///
    /// # Errors
    /// When too many are followed.
    pub fn follow(
        &self,
        command: CommandId,
    ) -> Result<broadcast::Receiver<Piece>, FollowedExhausted> {
        let mut followed = self.followed();
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

    /// Tells whoever follows the command. `piece` is made only where somebody does. Waits for nothing.
    pub fn tell(&self, command: CommandId, piece: impl FnOnce() -> Piece) {
        let mut followed = self.followed();
        let Entry::Occupied(entry) = followed.entry(command) else {
            return;
        };
        if entry.get().receiver_count() == 0 {
            entry.remove();
        } else {
            // Where the last has left since, nobody is told.
            let _ = entry.get().send(piece());
        }
    }

    fn followed(&self) -> MutexGuard<'_, HashMap<CommandId, broadcast::Sender<Piece>>> {
        // No code that can panic runs under the lock, and the table is whole at every step.
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
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

    #[test]
    fn only_who_follows_is_told() {
        let progress = Progress::default();
        let piece = || Piece {
            host: HostId::random([7; 16]),
            percent: None,
            output: "a".to_owned(),
            offset: 3,
        };
        progress.tell(command(1), || panic!("nobody follows"));
        let mut follower = progress.follow(command(1)).expect("room");
        progress.tell(command(1), piece);
        progress.tell(command(2), || panic!("nobody follows that one"));
        assert_eq!(follower.try_recv(), Ok(piece()));
        drop(follower);
        progress.tell(command(1), || panic!("nobody follows any more"));
        assert!(progress.followed().is_empty());
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
}
