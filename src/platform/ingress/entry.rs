//! The way into a session: the reserved prefix of its origin, which the platform answers and never
//! forwards. A page of ours takes the ticket out of the URL's fragment and posts it here; the
//! answer is the cookie that every later request must show, and the page then goes to `/`.
//!
//! ```text
//!  GET  /.fleetwire/enter   the page and, for a minute, a state cookie of its own
//!  POST /.fleetwire/enter   {"ticket": .., "state": ..} -> 204 and the session's cookie, or a refusal
//! ```
//! The state, in the cookie and in what is posted, shows that the browser which loaded the page
//! posts, and that it keeps cookies at all. Whether a ticket is good is for the sessions to say.

use std::{sync::LazyLock, time::Duration};

use base64::{
    Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD,
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    HeaderMap, Method, Response, StatusCode,
    body::Body,
    header::{self, HeaderValue},
    http::request::Parts,
};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::time::timeout;

use super::{
    guard::{self, PublicOrigin, Scheme},
    refusal::{Refusal, STYLE, own_page},
};
use crate::{
    platform::sessions::{ENTRY_PATH, RESERVED_PREFIX},
    secret::Secret,
};

/// The state's cookie. It is no secret and opens nothing; the page's script reads it.
const STATE_COOKIE: &str = "fleetwire-state";
/// A ticket and a state take a few hundred bytes.
const SUBMISSION_BYTES_MAX: usize = 4096;
/// The page sends them at once; what takes longer is not the page.
const SUBMISSION_TIMEOUT: Duration = Duration::from_secs(10);

/// What is asked for under the reserved prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The page.
    Page,
    /// To enter, with a ticket.
    Entrance,
}

/// Whether the platform answers this path itself.
pub fn is_reserved(path: &str) -> bool {
    path.strip_prefix(RESERVED_PREFIX.trim_end_matches('/'))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What a request under the reserved prefix asks for.
///
/// # Errors
/// Where there is nothing, where the method does not do, and where another page is behind it.
pub fn asked(parts: &Parts, public: &PublicOrigin) -> Result<Asked, Refusal> {
    // A script that a device's page would register as a service worker here could answer for the
    // platform's page later: there is no script to be had.
    if parts.headers.contains_key("service-worker") || parts.uri.path() != ENTRY_PATH {
        return Err(Refusal::NotFound);
    }
    guard::check_site(parts, public, false)?;
    match parts.method {
        Method::GET | Method::HEAD => Ok(Asked::Page),
        Method::POST => Ok(Asked::Entrance),
        _ => Err(Refusal::MethodNotAllowed),
    }
}

/// The page that posts the ticket, with a state made of `entropy`.
pub fn page(scheme: Scheme, entropy: [u8; 16]) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(PAGE.clone()));
    let headers = response.headers_mut();
    own_page(headers);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    let state = URL_SAFE_NO_PAD.encode(entropy);
    let secure = secure(scheme);
    set_cookie(
        headers,
        &format!(
            "{STATE_COOKIE}={state}; Path={RESERVED_PREFIX}; Max-Age=60; SameSite=Strict{secure}"
        ),
    );
    response
}

/// Reads the ticket out of what the page posts.
///
/// # Errors
/// [`Refusal::SubmissionInvalid`], and [`Refusal::StateMissing`] where the state does not match.
pub async fn ticket<B>(parts: &Parts, body: B) -> Result<Secret, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Submission {
        ticket: String,
        state: String,
    }
    // No form can post JSON, and no script of another origin may without being asked first.
    let json = HeaderValue::from_static("application/json");
    if parts.headers.get(header::CONTENT_TYPE) != Some(&json) {
        return Err(Refusal::SubmissionInvalid);
    }
    let body = Limited::new(body, SUBMISSION_BYTES_MAX).collect();
    let body = timeout(SUBMISSION_TIMEOUT, body).await;
    let body = body.map_err(|_| Refusal::SubmissionInvalid)?;
    let body = body.map_err(|_| Refusal::SubmissionInvalid)?.to_bytes();
    let submission: Submission =
        serde_json::from_slice(&body).map_err(|_| Refusal::SubmissionInvalid)?;
    let ticket = Secret::new(submission.ticket);

    let pairs = parts.headers.get_all(header::COOKIE);
    let mut states = pairs
        .iter()
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b';'))
        .filter_map(|pair| guard::cookie_value(pair, STATE_COOKIE));
    let same = states.any(|state| bool::from(state.ct_eq(submission.state.as_bytes())));
    if submission.state.is_empty() || !same {
        return Err(Refusal::StateMissing);
    }
    Ok(ticket)
}

/// The answer to a good ticket: the session's cookie.
///
/// `SameSite=Lax`, as a device's sign-in may lead to another site and back, by a navigation; what
/// else another site could cause is refused by `guard`. It ends with the browser, or before, with the session.
pub fn entered(scheme: Scheme, cookie: &Secret) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    own_page(headers);
    let (name, secret, secure) = (guard::cookie_name(scheme), cookie.expose(), secure(scheme));
    set_cookie(
        headers,
        &format!("{name}={secret}; Path=/; HttpOnly; SameSite=Lax{secure}"),
    );
    set_cookie(
        headers,
        &format!("{STATE_COOKIE}=; Path={RESERVED_PREFIX}; Max-Age=0; SameSite=Strict{secure}"),
    );
    response
}

const fn secure(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Http => "",
        Scheme::Https => "; Secure",
    }
}

fn set_cookie(headers: &mut HeaderMap, line: &str) {
    // What is written here is base64url and constants, which a header value may hold.
    if let Ok(mut value) = HeaderValue::from_str(line) {
        value.set_sensitive(true);
        headers.append(header::SET_COOKIE, value);
    }
}

const SCRIPT: &str = include_str!("enter.js");

static PAGE: LazyLock<Bytes> = LazyLock::new(|| {
    let page = include_str!("enter.html");
    Bytes::from(page.replace("{style}", STYLE).replace("{script}", SCRIPT))
});

/// That one script, that one style, and requests to this origin.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = |text| STANDARD.encode(Sha256::digest(text));
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(SCRIPT),
        hash(STYLE)
    );
    HeaderValue::from_str(&policy).unwrap_or_else(|_| HeaderValue::from_static("sandbox"))
});

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        task::{Context, Poll},
    };

    use hyper::{Request, body::Frame};

    use super::*;

    fn parts(method: &str, path: &str, headers: &[(&'static str, &str)]) -> Parts {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "k3v9.localhost:8080");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    fn asks(method: &str, path: &str, headers: &[(&'static str, &str)]) -> Result<Asked, Refusal> {
        let parts = parts(method, path, headers);
        let public = PublicOrigin::of(Scheme::Http, &parts.headers).expect("valid");
        asked(&parts, &public)
    }

    async fn posted(cookie: &str, content_type: &str, body: &str) -> Result<Secret, Refusal> {
        let parts = parts(
            "POST",
            ENTRY_PATH,
            &[("cookie", cookie), ("content-type", content_type)],
        );
        ticket(&parts, Full::new(Bytes::from(body.to_owned()))).await
    }

    #[test]
    fn the_reserved_prefix_is_the_platforms() {
        for path in [
            "/.fleetwire",
            "/.fleetwire/",
            "/.fleetwire/enter",
            "/.fleetwire//x",
        ] {
            assert!(is_reserved(path), "{path}");
        }
        for path in ["/", "/.fleetwirex", "/a/.fleetwire/", "/.well-known/x", "*"] {
            assert!(!is_reserved(path), "{path}");
        }
        assert_eq!(
            asks("GET", "/.fleetwire/other", &[]),
            Err(Refusal::NotFound)
        );
        assert_eq!(asks("GET", "/.fleetwire", &[]), Err(Refusal::NotFound));
    }

    #[test]
    fn no_service_worker_starts_under_the_reserved_prefix() {
        let script = [("service-worker", "script")];
        assert_eq!(asks("GET", ENTRY_PATH, &script), Err(Refusal::NotFound));
    }

    #[test]
    fn the_page_opens_from_anywhere_but_only_itself_may_post() {
        let from = |site| ("sec-fetch-site", site);
        let navigation = [
            from("cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        assert_eq!(asks("GET", ENTRY_PATH, &navigation), Ok(Asked::Page));
        assert_eq!(asks("GET", ENTRY_PATH, &[from("none")]), Ok(Asked::Page));
        let own = ("origin", "http://k3v9.localhost:8080");
        let posts = |headers: &[(&'static str, &str)]| asks("POST", ENTRY_PATH, headers);
        assert_eq!(posts(&[own, from("same-origin")]), Ok(Asked::Entrance));
        assert_eq!(posts(&navigation), Err(Refusal::CrossSite));
        assert_eq!(posts(&[own, from("same-site")]), Err(Refusal::CrossSite));
        let other = [("origin", "http://other.localhost:8080")];
        assert_eq!(posts(&other), Err(Refusal::OriginForeign));
        assert_eq!(posts(&[("origin", "null")]), Err(Refusal::OriginForeign));
        assert_eq!(
            asks("PUT", ENTRY_PATH, &[own]),
            Err(Refusal::MethodNotAllowed)
        );
    }

    #[test]
    fn the_page_is_sealed_and_sets_a_short_state() {
        let page = page(Scheme::Https, [7; 16]);
        let header = |name: &str| page.headers()[name].to_str().expect("text");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("referrer-policy"), "no-referrer");
        let policy = header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'sha256-"),
            "{policy}"
        );
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(
            header("set-cookie"),
            "fleetwire-state=BwcHBwcHBwcHBwcHBwcHBw; Path=/.fleetwire/; Max-Age=60; \
             SameSite=Strict; Secure"
        );
    }

    #[test]
    fn the_cookie_is_bound_to_the_host_where_the_browser_can() {
        let secret = Secret::new("s3cret".to_owned());
        let cookie = |scheme| {
            let entered = entered(scheme, &secret);
            assert_eq!(entered.status(), StatusCode::NO_CONTENT);
            assert_eq!(entered.headers()["cache-control"], "no-store");
            let value = entered.headers()["set-cookie"].to_str().expect("text");
            value.to_owned()
        };
        assert_eq!(
            cookie(Scheme::Https),
            "__Host-fleetwire-session=s3cret; Path=/; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(
            cookie(Scheme::Http),
            "fleetwire-session=s3cret; Path=/; HttpOnly; SameSite=Lax"
        );
    }

    #[tokio::test]
    async fn a_ticket_is_taken_with_the_pages_state_only() {
        let json = "application/json";
        let body = r#"{"ticket": "t1", "state": "abc"}"#;
        let taken = posted("a=b; fleetwire-state=abc", json, body).await;
        assert_eq!(
            taken.map(|ticket| ticket.expose().to_owned()),
            Ok("t1".to_owned())
        );
        for (cookie, content_type, body, refusal) in [
            ("", json, body, Refusal::StateMissing),
            ("fleetwire-state=abd", json, body, Refusal::StateMissing),
            (
                "fleetwire-state=",
                json,
                r#"{"ticket":"t","state":""}"#,
                Refusal::StateMissing,
            ),
            (
                "fleetwire-state=abc",
                "text/plain",
                body,
                Refusal::SubmissionInvalid,
            ),
            (
                "fleetwire-state=abc",
                json,
                "t1",
                Refusal::SubmissionInvalid,
            ),
            (
                "fleetwire-state=abc",
                json,
                r#"{"ticket":"t"}"#,
                Refusal::SubmissionInvalid,
            ),
        ] {
            let refused = posted(cookie, content_type, body).await;
            assert_eq!(refused.map(|_| ()), Err(refusal), "{cookie} {body}");
        }
        let long = format!(r#"{{"ticket":"{}","state":"abc"}}"#, "x".repeat(5000));
        let refused = posted("fleetwire-state=abc", json, &long).await;
        assert_eq!(refused.map(|_| ()), Err(Refusal::SubmissionInvalid));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_not_waited_for() {
        let fields = [
            ("cookie", "fleetwire-state=abc"),
            ("content-type", "application/json"),
        ];
        let parts = parts("POST", ENTRY_PATH, &fields);
        let refused = ticket(&parts, Endless).await;
        assert_eq!(refused.map(|_| ()), Err(Refusal::SubmissionInvalid));
    }

    /// A body of which nothing ever comes.
    struct Endless;

    impl Body for Endless {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            Poll::Pending
        }
    }
}
