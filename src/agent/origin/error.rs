//! Why an exchange with an origin failed, and what a browser is told.

use std::io;

use rustls::CertificateError;
use thiserror::Error;

use super::head::ParseError;
use super::request::RequestError;
use crate::wire::messages::ErrorCode;

/// A failed exchange. Each says whose fault it is.
#[derive(Debug, Error)]
pub enum OriginError {
    /// The request's: it was not sent, or not to its end.
    #[error("the request is malformed: {0}")]
    Request(#[from] RequestError),
    /// The device's: it cannot be reached, or its TLS certificate is not the trusted one.
    #[error("{}", unreached(.0))]
    Connect(#[source] io::Error),
    /// The device's: it was not reached in time.
    #[error("the device did not accept the connection in time")]
    ConnectTimeout,
    /// The agent's: all connections that one target may have are in use.
    #[error("too many requests to the device at once")]
    Busy,
    /// The device's: no head in time.
    #[error("the device did not answer in time")]
    HeadTimeout,
    /// The device's: its body stopped in the middle.
    #[error("the device stopped in the middle of its answer")]
    BodyTimeout,
    /// The viewer's: the request's body stopped in the middle.
    #[error("the browser stopped in the middle of its request")]
    UploadTimeout,
    /// The device's: it closed the connection instead of answering.
    #[error("the device closed the connection without an answer")]
    Closed,
    /// The device's: what it sent is no HTTP/1 answer.
    #[error("the device's answer is malformed: {0}")]
    Malformed(#[from] ParseError),
    /// The network's.
    #[error("the connection to the device failed: {0}")]
    Io(#[from] io::Error),
    /// Nobody's: the caller gave up.
    #[error("cancelled")]
    Cancelled,
}

impl OriginError {
    /// The schema's code for it: stable, for logs and for whoever acts on it by program.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Request(_) => ErrorCode::FieldInvalid,
            Self::Connect(error) if untrusted(error).is_some() => ErrorCode::TargetUntrusted,
            Self::Connect(_) => ErrorCode::TargetUnreachable,
            Self::Busy => ErrorCode::Overloaded,
            Self::ConnectTimeout | Self::HeadTimeout | Self::BodyTimeout => {
                ErrorCode::TargetTimeout
            }
            Self::Closed | Self::Io(_) | Self::Malformed(ParseError::Truncated) => {
                ErrorCode::TargetClosed
            }
            Self::Malformed(_) => ErrorCode::TargetMalformed,
            Self::UploadTimeout | Self::Cancelled => ErrorCode::Cancelled,
        }
    }

    /// Whether a kept connection may fail like this because the origin had closed it meanwhile.
    pub(super) fn is_stale(&self) -> bool {
        match self {
            Self::Closed => true,
            Self::Io(error) => matches!(
                error.kind(),
                io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
            ),
            _ => false,
        }
    }
}

/// What is wrong with the device's certificate, where a handshake failed for that.
fn untrusted(error: &io::Error) -> Option<&rustls::Error> {
    let inner = error.get_ref()?.downcast_ref::<rustls::Error>();
    inner.filter(|inner| matches!(inner, rustls::Error::InvalidCertificate(_)))
}

fn unreached(error: &io::Error) -> String {
    match untrusted(error) {
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(other))) => {
            format!("the device's certificate is not trusted: {}", other.0)
        }
        Some(error) => format!("the device's certificate is not trusted: {error}"),
        None => format!("the device cannot be reached: {error}"),
    }
}
