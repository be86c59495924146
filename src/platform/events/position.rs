//! Where in the log of events somebody stands, as text that clients give back.

use std::fmt;
use std::str::FromStr;

use crate::clock::UnixMillis;

/// A place in the log: after this event. Its instant tells it from the event that has its number in
/// other data, such as these data after they were put back to an older state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The event's number; zero before the first.
    pub sequence: u64,
    /// When it was.
    pub at: UnixMillis,
}

/// The text is no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a position is what an event, a mark or a reload gave, unchanged")]
pub struct PositionError;

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:x}", self.sequence, self.at.0)
    }
}

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let read = || {
            let (sequence, at) = text.split_once('-')?;
            Some(Self {
                sequence: sequence.parse().ok()?,
                at: UnixMillis(u64::from_str_radix(at, 16).ok()?),
            })
        };
        // One spelling only: no sign, no leading zero, no capitals.
        let position = read().ok_or(PositionError)?;
        if position.to_string() == text {
            Ok(position)
        } else {
            Err(PositionError)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_was_given() {
        for (sequence, at) in [(0, 0), (7, 1_776_265_200_999), (u64::MAX, u64::MAX)] {
            let position = Position {
                sequence,
                at: UnixMillis(at),
            };
            assert_eq!(position.to_string().parse(), Ok(position));
        }
        for text in [
            "", "7", "-", "7-", "-7", "+7-0", "07-0", "7-0F", "7-f-", " 7-f", "7-+f",
        ] {
            assert_eq!(text.parse::<Position>(), Err(PositionError), "{text:?}");
        }
        let long = "9".repeat(100_000);
        assert_eq!(long.parse::<Position>(), Err(PositionError));
    }
}
