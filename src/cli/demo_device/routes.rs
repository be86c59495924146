//! Which file answers which path, and who may ask. The console (page, video, control, uploads,
//! events) wants the sign-in; what exists to test a proxy (`/download`, `/slow`, `/status` ...) does
//! not.

use std::convert::Infallible;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, StatusCode};

use super::reply::{self, Reply};
use super::{Device, control, diagnostics, monitor, transfer, video};

const PAGE: &str = include_str!("assets/page.html");
const PAGE_SCRIPT: &str = include_str!("assets/page.js");
const STYLE: &str = include_str!("assets/style.css");

/// Answers one request.
pub(super) async fn answer(
    device: Arc<Device>,
    request: Request<Incoming>,
) -> Result<Reply, Infallible> {
    device.monitor.count_request();
    let path = request.uri().path();
    if is_console(path) && !device.signed_in(&request) {
        return Ok(match path {
            "/" => to_login(&request),
            _ => reply::text(StatusCode::UNAUTHORIZED, "sign in first\n"),
        });
    }
    // hyper leaves out the body of an answer to HEAD.
    let method = if request.method() == Method::HEAD {
        &Method::GET
    } else {
        request.method()
    };
    Ok(match (method.as_str(), path) {
        ("GET", "/") => reply::full(StatusCode::OK, reply::HTML, PAGE),
        ("GET", "/assets/page.js") => reply::full(
            StatusCode::OK,
            "text/javascript; charset=utf-8",
            PAGE_SCRIPT,
        ),
        ("GET", "/assets/style.css") => {
            reply::full(StatusCode::OK, "text/css; charset=utf-8", STYLE)
        }
        ("GET", "/login") => device.login_page(&request),
        ("POST", "/login") => device.log_in(request).await,
        ("POST", "/logout") => device.log_out(&request),
        ("GET", "/stream") => video::stream(&device),
        ("GET", "/ws") => control::upgrade(device, request),
        ("POST" | "PUT", "/upload") => transfer::upload(&device, request).await,
        ("GET", "/download") => transfer::download(&request),
        ("GET", "/events") => monitor::events(device),
        ("GET", "/status") => reply::json(&device.status()),
        ("GET", "/slow") => diagnostics::slow(request.uri()).await,
        ("GET", "/split-head") => diagnostics::split_head(),
        ("GET", "/trailers") => diagnostics::trailers(),
        (_, path) => match allowed(path) {
            Some(methods) => {
                let mut reply = reply::text(StatusCode::METHOD_NOT_ALLOWED, "not this way\n");
                reply
                    .headers_mut()
                    .insert(header::ALLOW, HeaderValue::from_static(methods));
                reply
            }
            None => reply::text(StatusCode::NOT_FOUND, "nothing here\n"),
        },
    })
}

/// The value of `name` in the query, as it stands in the URL: nothing here needs percent-decoding.
pub(super) fn query<'a>(uri: &'a hyper::Uri, name: &str) -> Option<&'a str> {
    uri.query()?
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

fn is_console(path: &str) -> bool {
    matches!(
        path,
        "/" | "/stream" | "/ws" | "/upload" | "/events" | "/logout"
    )
}

fn allowed(path: &str) -> Option<&'static str> {
    match path {
        "/" | "/assets/page.js" | "/assets/style.css" | "/stream" | "/ws" | "/download"
        | "/events" | "/status" | "/slow" | "/split-head" | "/trailers" => Some("GET, HEAD"),
        "/login" => Some("GET, HEAD, POST"),
        "/logout" => Some("POST"),
        "/upload" => Some("POST, PUT"),
        _ => None,
    }
}

/// To the sign-in page; with `?absolute=1` by an absolute URL at the device's own host, as many
/// devices do.
fn to_login(request: &Request<Incoming>) -> Reply {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    match (query(request.uri(), "absolute"), host) {
        (Some("1"), Some(host)) => {
            reply::redirect(StatusCode::FOUND, &format!("http://{host}/login"))
        }
        _ => reply::redirect(StatusCode::FOUND, "/login"),
    }
}
