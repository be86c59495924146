//! What can go wrong on a link, by whose fault it is.

use crate::wire::{DecodeError, messages::ErrorCode};

/// The peer broke the protocol: the connection ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {text}")]
pub struct Violation {
    /// What the peer is told, for programs.
    pub code: ErrorCode,
    /// The same for people.
    pub text: String,
}

impl Violation {
    /// A violation of that kind.
    pub fn new(code: ErrorCode, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }

    /// The WebSocket close code (RFC 6455 section 7.4) that goes with it.
    pub const fn close_code(&self) -> u16 {
        close_code(self.code)
    }
}

impl From<DecodeError> for Violation {
    fn from(error: DecodeError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

/// The WebSocket close code that goes with an error code.
pub const fn close_code(code: ErrorCode) -> u16 {
    match code {
        ErrorCode::Unspecified => 1000,
        ErrorCode::MessageTooBig => 1009,
        ErrorCode::PlatformStopping => 1012,
        ErrorCode::Overloaded => 1013,
        ErrorCode::Malformed
        | ErrorCode::UnexpectedMessage
        | ErrorCode::MixedEncodings
        | ErrorCode::FieldInvalid
        | ErrorCode::CreditExceeded
        | ErrorCode::OffsetWrong
        | ErrorCode::StreamUnknown
        | ErrorCode::HelloTimeout => 1002,
        ErrorCode::PeerSilent | ErrorCode::Replaced => 1001,
        _ => 1008,
    }
}

/// Why a direction of a stream ended before its end, or could not begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The peer ended the direction that it sends.
    #[error("{code}: {message}")]
    Reset {
        /// Why, for programs.
        code: ErrorCode,
        /// Why, for people; may be empty.
        message: String,
    },
    /// The peer wants no more of the direction that this side sends.
    #[error("the peer wants no more: {code}")]
    Stopped {
        /// Why.
        code: ErrorCode,
    },
    /// The connection is gone, and the stream with it.
    #[error("the connection was lost")]
    ConnectionLost,
    /// As many streams as the peer allows are open.
    #[error("too many streams are open")]
    TooManyStreams,
    /// The peer did not announce that it can do this.
    #[error("the agent cannot do this")]
    NotSupported,
    /// The peer takes only whole bodies, and this one is longer than a message may be.
    #[error("the body is too long for this agent")]
    TooBig,
    /// The peer sends only whole answers, and there is no room for this one.
    #[error("there is no room for the agent's answer")]
    AnswerTooBig,
    /// Nobody read the direction for long, and its room was needed.
    #[error("nobody read it for long, and its room was needed")]
    Unread,
    /// Too many messages wait for the peer: it takes none.
    #[error("the peer takes no messages")]
    Backlog,
}
