//! What names one request: in the log, in its answer, and across programs. Who asks may bring a name
//! along; what is not sane is not taken over, and never refused.

use std::fmt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response};
use tracing::field::Empty;
use tracing::{Span, debug, info_span};

use crate::secret;

/// The field that carries it, there and back.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// W3C Trace Context (https://www.w3.org/TR/trace-context/#traceparent-header).
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");

/// The longest that is taken over.
const LENGTH_MAX: usize = 64;

/// A request's name: visible ASCII, 64 characters at most. It stands among the request's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The name that a request brings along, or a new one.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(&REQUEST_ID).iter();
        match (values.next(), values.next()) {
            (Some(value), None) if is_sane(value.as_bytes()) => Self(value.clone()),
            _ => Self::new(),
        }
    }

    /// A number, behind one of this process's own: drawing lots for each request is a call of the system,
    /// and nobody gains by guessing a name.
    fn new() -> Self {
        static PROCESS: LazyLock<u64> = LazyLock::new(|| u64::from_ne_bytes(secret::random()));
        static REQUESTS: AtomicU64 = AtomicU64::new(1);
        let number = REQUESTS.fetch_add(1, Ordering::Relaxed);
        let text = format!("{:016x}-{number:x}", *PROCESS);
        // Hexadecimal digits and a hyphen are a value.
        Self(HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("none")))
    }

    /// As a field's value, for the answer.
    pub fn value(&self) -> HeaderValue {
        self.0.clone()
    }

    /// The span of the request's log lines, with its name, and its trace's where it belongs to one.
    pub fn span(&self, parent: Option<TraceParent>) -> Span {
        let span = info_span!("request", request_id = self.as_str(), trace_id = Empty);
        if let Some(parent) = parent {
            span.record("trace_id", format_args!("{:032x}", parent.trace));
        }
        span
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn is_sane(value: &[u8]) -> bool {
    (1..=LENGTH_MAX).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic)
}

/// What a request is called, and the trace that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its name.
    pub id: RequestId,
    /// Its trace, if it says one.
    pub parent: Option<TraceParent>,
}

impl Named {
    /// Reads both off a request's head.
    pub fn of(headers: &HeaderMap) -> Self {
        Self {
            id: RequestId::of(headers),
            parent: TraceParent::of(headers),
        }
    }

    /// The answer to a request that is no call of the API, which has its name too, as its log line has.
    /// A connection that was upgraded by it has a name of its own.
    pub fn answered(self, mut answer: Response<Body>) -> Response<Body> {
        let status = answer.status().as_u16();
        self.id
            .span(self.parent)
            .in_scope(|| debug!(status, "answered"));
        answer.headers_mut().insert(REQUEST_ID, self.id.value());
        answer
    }
}

/// The trace that a request belongs to, as its sender says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace, not zero.
    pub trace: u128,
    /// The sender's span in it, not zero.
    pub span: u64,
    /// Whether the sender may have kept its part of the trace.
    pub sampled: bool,
}

impl TraceParent {
    /// Reads it off a request's head; `None` where there is none, or none that holds to the standard.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(&TRACE_PARENT).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return None;
        };
        Self::parse(value.to_str().ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let version = hexadecimal(parts.next()?, 2)?;
        let trace = hexadecimal(parts.next()?, 32)?;
        let span = u64::try_from(hexadecimal(parts.next()?, 16)?).ok()?;
        let flags = hexadecimal(parts.next()?, 2)?;
        // A later version may have more behind; 255 is none.
        let known = version != 255 && (version > 0 || parts.next().is_none());
        (known && trace != 0 && span != 0).then_some(Self {
            trace,
            span,
            sampled: flags & 1 == 1,
        })
    }
}

/// So many hexadecimal digits, in lower case.
fn hexadecimal(text: &str, digits: usize) -> Option<u128> {
    let valid = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (text.len() == digits && text.bytes().all(valid))
        .then(|| u128::from_str_radix(text, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(values: &[&[u8]]) -> RequestId {
        let mut headers = HeaderMap::new();
        for value in values {
            let value = HeaderValue::from_bytes(value).expect("a field's value");
            headers.append(REQUEST_ID, value);
        }
        RequestId::of(&headers)
    }

    #[test]
    fn a_sane_name_is_taken_over_and_no_other() {
        for sane in ["a", "req-7/8:9", &"x".repeat(64)] {
            assert_eq!(named(&[sane.as_bytes()]).as_str(), sane);
        }
        let long = "x".repeat(65);
        let strange: [&[&[u8]]; 7] = [
            &[],
            &[b""],
            &[long.as_bytes()],
            &[b"a b"],
            &[b"a\tb"],
            &[b"\xc3\xa9"],
            &[b"a", b"b"],
        ];
        for values in strange {
            let made = named(values);
            assert!(made.as_str().len() >= 18, "{values:?}");
            assert!(is_sane(made.as_str().as_bytes()));
            assert_ne!(made, named(values));
        }
    }

    #[test]
    fn a_trace_is_taken_over_where_it_holds_to_the_standard() {
        let valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parsed = TraceParent::parse(valid).expect("the standard's own");
        assert_eq!(parsed.trace, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!((parsed.span, parsed.sampled), (0x00f0_67aa_0ba9_02b7, true));
        let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-what-comes";
        assert!(TraceParent::parse(later).is_some_and(|later| !later.sampled));
        for broken in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceParent::parse(broken), None, "{broken}");
        }
    }
}
