//! What a peer takes in, as its first message says it.

use super::Violation;
use crate::{
    limits,
    wire::messages::{ErrorCode, Limits},
};

/// What a peer takes in, as it said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The longest WebSocket message.
    pub message_bytes_max: usize,
    /// Streams at once.
    pub streams_max: usize,
    /// Bytes of a stream before any credit.
    pub stream_credit: u64,
    /// Bytes of all streams before any credit.
    pub session_credit: u64,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            message_bytes_max: limits::MESSAGE_BYTES_MAX,
            streams_max: limits::STREAMS_MAX,
            stream_credit: limits::STREAM_CREDIT_INITIAL,
            session_credit: limits::SESSION_CREDIT_INITIAL,
        }
    }
}

impl Terms {
    /// What the peer said, 0 and absence standing for the defaults. Nothing here sends a message
    /// that it would not take itself, whatever the peer takes.
    pub(super) fn from_message(message: Option<&Limits>) -> Result<Self, Violation> {
        let defaults = Self::default();
        let Some(message) = message else {
            return Ok(defaults);
        };
        let or = |value: u32, default: usize| if value == 0 { default } else { value as usize };
        let message_bytes_max = or(message.max_message_bytes, defaults.message_bytes_max);
        if message_bytes_max < limits::MESSAGE_BYTES_MIN {
            return Err(Violation::new(
                ErrorCode::FieldInvalid,
                format!(
                    "Limits.max_message_bytes is below {}",
                    limits::MESSAGE_BYTES_MIN
                ),
            ));
        }
        Ok(Self {
            message_bytes_max: message_bytes_max.min(limits::MESSAGE_BYTES_MAX),
            streams_max: or(message.max_streams, defaults.streams_max),
            stream_credit: or(
                message.initial_stream_credit,
                defaults.stream_credit as usize,
            ) as u64,
            session_credit: or(
                message.initial_session_credit,
                defaults.session_credit as usize,
            ) as u64,
        })
    }

    /// Refuses a limit that a message of a stream may pass as text. What is longer cannot be cut: a
    /// head is one message, and so are the last piece and the trailers.
    pub(super) fn hold_text(&self) -> Result<(), Violation> {
        let least = limits::MESSAGE_BYTES_MIN_JSON;
        if self.message_bytes_max >= least {
            return Ok(());
        }
        let text = format!(
            "Limits.max_message_bytes is below {least}, which JSON needs: raise it, or name the binary subprotocol"
        );
        Err(Violation::new(ErrorCode::FieldInvalid, text))
    }

    /// The same as a message.
    pub fn to_message(self) -> Limits {
        let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        Limits {
            max_message_bytes: number(self.message_bytes_max as u64),
            max_streams: number(self.streams_max as u64),
            initial_stream_credit: number(self.stream_credit),
            initial_session_credit: number(self.session_credit),
        }
    }
}
