//! The sign-in: one user, a password that the page shows, a session cookie, and the check that real
//! devices make against forged requests: a foreign `Origin` is refused.

use std::collections::VecDeque;
use std::sync::Mutex;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Request, StatusCode};

use super::reply::{self, Reply};
use super::{Device, lock};

const LOGIN: &str = include_str!("assets/login.html");
/// Stands in `login.html` where a refused sign-in says why.
const NOTICE_PLACE: &str = "<!-- notice -->";
const NOTICE: &str = "<p class=\"notice\" role=\"alert\">That is not the password.</p>";

/// The form's two fields; the page shows both. Plain letters, so that they need no decoding.
const USER: &str = "user=admin";
const PASSWORD: &str = "password=demo";
const COOKIE: &str = "demo_session";
/// A sign-in form is far smaller.
const FORM_BYTES_MAX: usize = 4096;
/// Sessions kept; one more ends the oldest, so that repeated sign-ins cannot grow memory.
const SESSIONS_MAX: usize = 64;

/// The sessions that are signed in, oldest first.
#[derive(Default)]
pub(super) struct SignIn {
    sessions: Mutex<VecDeque<String>>,
}

impl Device {
    /// Whether the request carries the cookie of a session that is signed in.
    pub(super) fn signed_in(&self, request: &Request<Incoming>) -> bool {
        self.options.open
            || cookie(request.headers())
                .is_some_and(|value| lock(&self.sign_in.sessions).iter().any(|s| s == value))
    }

    /// The form, or the console for who is signed in already.
    pub(super) fn login_page(&self, request: &Request<Incoming>) -> Reply {
        if self.signed_in(request) {
            return reply::redirect(StatusCode::FOUND, "/");
        }
        reply::full(StatusCode::OK, reply::HTML, LOGIN)
    }

    /// Takes the form: 303 to the console with a cookie, 401 with the form again, or 403 when the
    /// form came from another origin or from none.
    pub(super) async fn log_in(&self, request: Request<Incoming>) -> Reply {
        if !own_origin(request.headers()) {
            return foreign();
        }
        let Ok(form) = Limited::new(request.into_body(), FORM_BYTES_MAX)
            .collect()
            .await
        else {
            return reply::text(StatusCode::BAD_REQUEST, "not a sign-in form\n");
        };
        let form = form.to_bytes();
        let has = |field: &str| {
            form.split(|byte| *byte == b'&')
                .any(|pair| pair == field.as_bytes())
        };
        if !has(USER) || !has(PASSWORD) {
            let page = LOGIN.replace(NOTICE_PLACE, NOTICE);
            return reply::full(StatusCode::UNAUTHORIZED, reply::HTML, page);
        }
        let mut secret = [0; 16];
        if getrandom::fill(&mut secret).is_err() {
            return reply::text(StatusCode::SERVICE_UNAVAILABLE, "no randomness\n");
        }
        let session = format!("{:032x}", u128::from_be_bytes(secret));
        let reply = with_cookie(&format!(
            "{COOKIE}={session}; Path=/; HttpOnly; SameSite=Strict"
        ));
        let mut sessions = lock(&self.sign_in.sessions);
        if sessions.len() == SESSIONS_MAX {
            sessions.pop_front();
        }
        sessions.push_back(session);
        reply
    }

    /// Ends the request's session and takes its cookie away.
    pub(super) fn log_out(&self, request: &Request<Incoming>) -> Reply {
        if !own_origin(request.headers()) {
            return foreign();
        }
        if let Some(value) = cookie(request.headers()) {
            lock(&self.sign_in.sessions).retain(|session| session != value);
        }
        with_cookie(&format!(
            "{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"
        ))
    }
}

/// Whether the request says that it comes from a page of this very device: `Origin` names the
/// authority that `Host` names.
pub(super) fn own_origin(headers: &HeaderMap) -> bool {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let (Some(origin), Some(host)) = (text(header::ORIGIN), text(header::HOST)) else {
        return false;
    };
    let authority = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

/// As [`own_origin`], but takes a request without `Origin`, which no browser's page can send to
/// another site with a cookie that is SameSite=Strict: scripts and command-line tools.
pub(super) fn own_or_no_origin(headers: &HeaderMap) -> bool {
    !headers.contains_key(header::ORIGIN) || own_origin(headers)
}

/// The answer to a request that another origin's page sent.
pub(super) fn foreign() -> Reply {
    reply::text(
        StatusCode::FORBIDDEN,
        "this request comes from another origin\n",
    )
}

fn with_cookie(cookie: &str) -> Reply {
    let mut reply = reply::redirect(StatusCode::SEE_OTHER, "/");
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        reply.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    reply
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE).then_some(value))
}
