//! What the ingress answers itself when a request cannot be carried: each reason with a status, a
//! stable code and a sentence that says what to do. A browser that asks for a page gets one,
//! everything else plain text. What the device answers is not here.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{self, HeaderName, HeaderValue},
};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::{net::stream::StreamError, wire::messages::ErrorCode};

/// Carries the refusal's code, so that a program tells the platform's answers from the device's.
pub const CODE_HEADER: HeaderName = HeaderName::from_static("fleetwire-error");

/// Asks the browser to forget what the device's pages left at an origin that no longer exists.
const CLEAR_SITE_DATA: HeaderValue = HeaderValue::from_static("\"cache\", \"storage\"");

/// Why the ingress does not carry a request, or not its answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    // The viewer's doing.
    /// No open session has this host name: it ended, or never was.
    #[error("This console session has ended. Open a new one from the platform.")]
    SessionEnded,
    /// No cookie of ours came along.
    #[error(
        "This browser has not entered the session. Open the address that the platform gave, or open a new session."
    )]
    NotEntered,
    /// A cookie of ours, but not this session's.
    #[error("This browser's key is for another session. Open a new session from the platform.")]
    CookieInvalid,
    /// The cookie twice: one of them is not ours, and there is no telling which.
    #[error("The session's key came twice. Clear this site's cookies and open a new session.")]
    CookieDuplicated,
    /// An Origin that is not the session's own, on a request that could change something.
    #[error("Another site's page made this request.")]
    OriginForeign,
    /// Fetch metadata say that another site caused the request.
    #[error("Another site's page made this request.")]
    CrossSite,
    /// No `Host`, more than one, or none that could stand in an origin.
    #[error("The request names no valid host.")]
    HostInvalid,
    /// A target that is neither a path nor `*`, a method that no device gets, or a broken field.
    #[error("The request's first line or a field of it is not allowed.")]
    HeadInvalid,
    /// The request's line and fields are too long or too many.
    #[error("The request's head is over 32 KiB. Clearing this site's cookies may help.")]
    HeadTooLarge,
    /// The request's body ended early or could not be read.
    #[error("The request's body could not be read.")]
    BodyIncomplete,
    /// Nothing of ours is at this reserved path.
    #[error("There is nothing here.")]
    NotFound,
    /// Something is at this reserved path, but not for this method.
    #[error("This address does not take such a request.")]
    MethodNotAllowed,

    // At the entrance.
    /// The ticket is another's, was used, or came too late: which, only the log says.
    #[error(
        "The ticket was used before or has expired: it is good for one use within a minute. Where this browser used it, the device is at this site's first page; otherwise open a new session from the platform."
    )]
    TicketRefused,
    /// The platform could not write down that the session is entered.
    #[error("The platform failed; its log says why. Open the session again.")]
    PlatformFailed,
    /// What was posted is not what the entering page posts.
    #[error("The session could not be entered like this. Open the address that the platform gave.")]
    SubmissionInvalid,
    /// The state did not come back with the ticket.
    #[error(
        "The browser did not keep this site's cookie. Allow cookies for it, then open the address again."
    )]
    StateMissing,

    // The agent's or the device's doing.
    /// The host's agent is not connected.
    #[error(
        "The agent of this host is not connected. The session stays open: try again when it is back."
    )]
    AgentOffline,
    /// The agent's connection ended while the request was under way.
    #[error("The connection to the agent was lost. Try again.")]
    ConnectionLost,
    /// The agent has as many requests as it takes.
    #[error("Too many requests are under way on this host. Try again in a moment.")]
    TooManyStreams,
    /// The agent does not do this: a simple one takes small requests only.
    #[error("This host's agent cannot carry such a request.")]
    NotSupported,
    /// The agent takes whole bodies only, and this one is longer than a message may be.
    #[error("The request's body is too long for this host's agent.")]
    BodyTooLong,
    /// The agent sends whole answers only, and for this one there is no room.
    #[error("There is no room for the device's answer at present. Try again in a moment.")]
    AnswerTooLong,
    /// The device's answer is no HTTP, or contradicts itself.
    #[error("The device's answer is malformed.")]
    AnswerMalformed,
    /// The agent ended the exchange and says why.
    #[error("{}", device_text(*code, message))]
    Device {
        /// Its reason.
        code: ErrorCode,
        /// Its reason for people. It is the agent's text: not to be trusted, possibly empty.
        message: String,
    },
}

impl Refusal {
    /// The answer's status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::SessionEnded => StatusCode::GONE,
            Self::NotEntered
            | Self::CookieInvalid
            | Self::OriginForeign
            | Self::CrossSite
            | Self::TicketRefused
            | Self::StateMissing => StatusCode::FORBIDDEN,
            Self::CookieDuplicated
            | Self::SubmissionInvalid
            | Self::HostInvalid
            | Self::HeadInvalid
            | Self::BodyIncomplete => StatusCode::BAD_REQUEST,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::AgentOffline | Self::TooManyStreams => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotSupported => StatusCode::NOT_IMPLEMENTED,
            Self::BodyTooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::PlatformFailed => StatusCode::INTERNAL_SERVER_ERROR,
            Self::ConnectionLost | Self::AnswerTooLong | Self::AnswerMalformed => {
                StatusCode::BAD_GATEWAY
            }
            Self::Device { code, .. } => match code {
                ErrorCode::FieldInvalid => StatusCode::BAD_REQUEST,
                ErrorCode::SessionEnded => StatusCode::GONE,
                ErrorCode::NotAllowed => StatusCode::FORBIDDEN,
                ErrorCode::TargetTimeout => StatusCode::GATEWAY_TIMEOUT,
                ErrorCode::TooManyStreams | ErrorCode::Overloaded => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
                _ => StatusCode::BAD_GATEWAY,
            },
        }
    }

    /// The stable word for it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::SessionEnded => "session_ended",
            Self::NotEntered => "session_not_entered",
            Self::CookieInvalid => "session_cookie_invalid",
            Self::CookieDuplicated => "session_cookie_duplicated",
            Self::OriginForeign => "origin_foreign",
            Self::CrossSite => "request_cross_site",
            Self::HostInvalid => "host_invalid",
            Self::HeadInvalid => "request_head_invalid",
            Self::HeadTooLarge => "request_head_too_large",
            Self::BodyIncomplete => "request_body_incomplete",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TicketRefused => "ticket_refused",
            Self::PlatformFailed => "platform_failed",
            Self::SubmissionInvalid => "entry_invalid",
            Self::StateMissing => "entry_state_missing",
            Self::AgentOffline => "agent_offline",
            Self::ConnectionLost => "connection_lost",
            Self::TooManyStreams => "too_many_streams",
            Self::NotSupported => "agent_not_capable",
            Self::BodyTooLong => "request_body_too_long",
            Self::AnswerTooLong => "answer_too_long",
            Self::AnswerMalformed => "target_malformed",
            Self::Device { code, .. } => code.name().unwrap_or("unspecified"),
        }
    }

    /// Seconds after which trying again may help.
    fn retry_after(&self) -> Option<HeaderValue> {
        match self {
            Self::AgentOffline => Some(HeaderValue::from_static("5")),
            Self::TooManyStreams => Some(HeaderValue::from_static("1")),
            _ => None,
        }
    }

    /// The answer, as a page or as plain text.
    pub fn respond(&self, form: Form) -> Response<Full<Bytes>> {
        let body = match form {
            Form::Page => self.page(),
            Form::Text => format!("{self}\n{}\n", self.code()),
        };
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        own_page(headers);
        headers.insert(header::CONTENT_TYPE, form.content_type());
        headers.insert(CODE_HEADER, HeaderValue::from_static(self.code()));
        headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, seconds);
        }
        if self.status() == StatusCode::GONE {
            headers.insert(
                HeaderName::from_static("clear-site-data"),
                CLEAR_SITE_DATA.clone(),
            );
        }
        response
    }

    fn page(&self) -> String {
        let status = self.status();
        let title = status.canonical_reason().unwrap_or("Refused");
        let again = if status.is_server_error() {
            "<p><a href=\"\">Try again</a></p>"
        } else {
            ""
        };
        format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
             <style>{STYLE}</style><main><h1>{title}</h1><p>{text}</p>{again}\
             <p><code>{code}</code></p></main></html>\n",
            text = escape(&self.to_string()),
            code = self.code(),
        )
    }
}

impl From<StreamError> for Refusal {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Reset { code, message } => Self::Device { code, message },
            StreamError::Stopped { code } => Self::Device {
                code,
                message: String::new(),
            },
            StreamError::ConnectionLost => Self::ConnectionLost,
            StreamError::TooManyStreams => Self::TooManyStreams,
            StreamError::NotSupported => Self::NotSupported,
            StreamError::TooBig => Self::BodyTooLong,
            StreamError::AnswerTooBig => Self::AnswerTooLong,
            StreamError::Unread | StreamError::Backlog => Self::Device {
                code: ErrorCode::Overloaded,
                message: String::new(),
            },
        }
    }
}

/// The fields that every answer of the platform's own has on a session's origin.
pub(super) fn own_page(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
}

/// In which form a refusal is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A page for people.
    Page,
    /// Plain text: a sentence and the code, a line each.
    Text,
}

impl Form {
    /// A page where the request's `Accept` names HTML: that is how browsers navigate.
    pub fn of(headers: &HeaderMap) -> Self {
        let accept = headers.get(header::ACCEPT).map(HeaderValue::as_bytes);
        let html = |value: &[u8]| value.windows(9).any(|part| part == b"text/html");
        if accept.is_some_and(html) {
            Self::Page
        } else {
            Self::Text
        }
    }

    const fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Page => "text/html; charset=utf-8",
            Self::Text => "text/plain; charset=utf-8",
        })
    }
}

/// The look of the platform's own pages.
pub(super) const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:0;color:#1d232b;background:#f4f6f8}\
main{max-width:34rem;margin:12vh auto;padding:0 1.5rem}h1{font-size:1.4rem}code{color:#5b6673}\
@media(prefers-color-scheme:dark){body{color:#e3e8ee;background:#14181d}a{color:#7db3ff}}";

/// Nothing but that one style, and in no frame.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).unwrap_or_else(|_| HeaderValue::from_static("sandbox"))
});

fn device_text(code: ErrorCode, message: &str) -> String {
    let what = match code {
        ErrorCode::TargetUnreachable => "The device does not answer at its address.",
        ErrorCode::TargetUntrusted => {
            "The device's certificate is not the one that the agent's owner trusts."
        }
        ErrorCode::TargetMalformed => "The device's answer is not HTTP.",
        ErrorCode::TargetTimeout => "The device took too long to answer.",
        ErrorCode::TargetClosed => "The device closed the connection before its answer was whole.",
        ErrorCode::FieldInvalid => "The request is not one that a device may get.",
        ErrorCode::NotAllowed => "The agent's owner does not allow this.",
        ErrorCode::SessionEnded => "This console session has ended.",
        ErrorCode::TooManyStreams | ErrorCode::Overloaded => {
            "The agent has too much to do. Try again in a moment."
        }
        _ => "The agent could not carry the request.",
    };
    if message.is_empty() {
        what.to_owned()
    } else {
        format!("{what} The agent says: {message}")
    }
}

/// Text as it may stand in HTML, between tags and in quoted attributes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn text_of(response: Response<Full<Bytes>>) -> String {
        let body = response.into_body().collect().await.expect("infallible");
        String::from_utf8(body.to_bytes().to_vec()).expect("text")
    }

    #[tokio::test]
    async fn what_the_agent_says_is_shown_as_text_only() {
        let refusal = Refusal::Device {
            code: ErrorCode::TargetUnreachable,
            message: "<script>alert('x')</script>".to_owned(),
        };
        let response = refusal.respond(Form::Page);
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
        assert_eq!(response.headers()[CODE_HEADER], "target_unreachable");
        let page = text_of(response).await;
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)"), "{page}");
        assert!(!page.contains("<script>"), "{page}");
    }

    #[tokio::test]
    async fn an_ended_session_is_gone_and_its_data_is_cleared() {
        let response = Refusal::SessionEnded.respond(Form::Text);
        assert_eq!(response.status(), StatusCode::GONE);
        assert_eq!(
            response.headers()["clear-site-data"],
            "\"cache\", \"storage\""
        );
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        assert!(text_of(response).await.ends_with("\nsession_ended\n"));
    }

    /// The viewer's request was not at fault.
    #[test]
    fn an_answer_without_room_is_no_request_too_long() {
        let refusal = Refusal::from(StreamError::AnswerTooBig);
        assert_eq!(
            (refusal.status(), refusal.code()),
            (StatusCode::BAD_GATEWAY, "answer_too_long")
        );
        let refusal = Refusal::from(StreamError::TooBig);
        assert_eq!(refusal.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[test]
    fn an_offline_agent_says_when_to_try_again() {
        let response = Refusal::AgentOffline.respond(Form::Page);
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "5");
        assert!(!response.headers().contains_key("clear-site-data"));
    }

    #[test]
    fn only_a_navigation_gets_a_page() {
        let mut headers = HeaderMap::new();
        assert_eq!(Form::of(&headers), Form::Text);
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        assert_eq!(Form::of(&headers), Form::Text);
        let accept = HeaderValue::from_static("text/html,application/xhtml+xml,*/*;q=0.8");
        headers.insert(header::ACCEPT, accept);
        assert_eq!(Form::of(&headers), Form::Page);
    }
}
