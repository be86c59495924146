//! A console session's own origin: a browser's request becomes a stream of the host's tunnel, and
//! the device's answer the answer. This file is the way of one exchange; each step has a file.
//!
//! ```text
//!  request ─ reserved prefix? ─ entry ──────────────────────────────────────────▶ a page of ours
//!     └─ guard (site, cookie) ─ request ─▶ tunnel ─▶ response ─ body / upgrade ─▶ the device's answer
//!                  └───────────── refusal ──────────────────────────────────────▶ a code of ours
//! ```
//! Which host names are sessions is the server's; names and places of the device, pooled
//! connections and timeouts towards it are the agent's.

mod body;
mod entry;
mod frames;
mod guard;
mod refusal;
mod request;
mod response;
mod set_cookie;
mod upgrade;
mod upload;

use std::{future::poll_fn, str, sync::Arc, task::Poll};

use bytes::Bytes;
use hyper::{
    Request, Response, StatusCode,
    body::{Body as _, Incoming},
    header,
    http::request::Parts,
    upgrade::OnUpgrade,
};
use tokio::sync::OwnedSemaphorePermit;
use tracing::debug;

pub use body::{Body, BodyError};
pub use refusal::{CODE_HEADER, Refusal};
pub use upload::LINGER;

use super::{Platform, peer::Peer, service::ErrorKind, sessions::Session};
use crate::{
    clock::UnixMillis,
    ids::StreamId,
    limits,
    net::own_origin,
    net::stream::{RecvHalf, SendHalf},
    secret,
    wire::{
        fields::FieldLines,
        messages::{ErrorCode, HttpRequest, HttpResponse},
    },
};
use entry::Asked;
use guard::{PublicOrigin, Scheme};
use refusal::Form;
use response::Length;
use set_cookie::Cookies;

/// Answers a request to a session's origin; without a session, to one that has ended or never was.
pub async fn serve(
    platform: &Platform,
    session: Option<Arc<Session>>,
    peer: &Peer,
    mut request: Request<Incoming>,
) -> Response<Body> {
    let viewer = hyper::upgrade::on(&mut request);
    let (parts, body) = request.into_parts();
    let mut body = Some(body);
    let answer = match session {
        Some(session) => exchange(platform, session, peer, &parts, &mut body, viewer).await,
        None => Err(Refusal::SessionEnded),
    };
    answer.unwrap_or_else(|refusal| {
        debug!(code = refusal.code(), "request refused");
        if let Some(body) = body.take_if(|body| !body.is_end_stream()) {
            // The viewer may be writing it, and reads the refusal afterwards.
            tokio::spawn(upload::discard(body));
        }
        refusal.respond(Form::of(&parts.headers)).map(Body::from)
    })
}

/// The way of one request and its answer. The body is left where it is unless it is carried.
async fn exchange(
    platform: &Platform,
    session: Arc<Session>,
    peer: &Peer,
    parts: &Parts,
    body: &mut Option<Incoming>,
    viewer: OnUpgrade,
) -> Result<Response<Body>, Refusal> {
    // Where browsers come by TLS, plain requests are those of a proxy in front that ends it.
    let scheme = if peer.tls.is_some() || platform.console_is_https() {
        Scheme::Https
    } else {
        Scheme::Http
    };
    let public = PublicOrigin::of(scheme, &parts.headers)?;
    if entry::is_reserved(parts.uri.path()) {
        // Apart, so that every other request is not as large as this.
        return Box::pin(enter(platform, &session, parts, &public, body.as_mut())).await;
    }
    let cookies = Cookies {
        platform: guard::cookie_name(scheme),
        secure: public.is_secure_context(),
    };
    let translated = request::translate(parts, cookies.platform)?;
    guard::check_site(parts, &public, translated.upgrade)?;
    let cookie = str::from_utf8(translated.cookie).map_err(|_| Refusal::CookieInvalid)?;
    if !platform.sessions().authenticates(session.id, cookie) {
        return Err(Refusal::CookieInvalid);
    }
    session.touch(UnixMillis::now());
    let link = platform
        .registry
        .link(session.host)
        .ok_or(Refusal::AgentOffline)?;

    let mut outgoing = HttpRequest {
        id: StreamId::from_number(0),
        method: translated.method,
        path: translated.path,
        headers: translated.headers,
        body: Bytes::new(),
        body_follows: translated.upgrade,
        origin: Some(public.into_origin()),
    };
    if own_origin::is_own(&outgoing) {
        // No session has this name; what is behind it is not for viewers.
        return Err(Refusal::HeadInvalid);
    }
    let sending = if translated.upgrade {
        Sending::Upgrade(viewer)
    } else {
        body_of(parts, body.as_mut(), &session, &mut outgoing).await?
    };
    let (send, mut recv) = link.tunnel.open(outgoing)?;
    let switch = match sending {
        Sending::Nothing => None,
        Sending::Body => {
            if let Some(body) = body.take() {
                tokio::spawn(upload::stream(body, send, session.clone()));
            }
            None
        }
        Sending::Upgrade(viewer) => Some(Switch {
            viewer,
            send,
            place: peer.permit.clone(),
        }),
    };
    let answer = tokio::select! {
        biased;
        answer = final_head(&mut recv) => answer?,
        _ = session.closed() => {
            recv.stop(ErrorCode::SessionEnded);
            return Err(Refusal::SessionEnded);
        }
    };
    finish(answer, recv, switch, parts, cookies, session).await
}

/// What of a request follows its head.
enum Sending {
    Nothing,
    Body,
    Upgrade(OnUpgrade),
}

/// Puts a small body into the request itself, or says that it follows.
async fn body_of(
    parts: &Parts,
    body: Option<&mut Incoming>,
    session: &Session,
    outgoing: &mut HttpRequest,
) -> Result<Sending, Refusal> {
    let Some(body) = body.filter(|body| !body.is_end_stream()) else {
        return Ok(Sending::Nothing);
    };
    if !upload::is_inline(body, parts.headers.contains_key(header::EXPECT)) {
        outgoing.body_follows = true;
        return Ok(Sending::Body);
    }
    outgoing.body = tokio::select! {
        biased;
        body = upload::read_inline(body) => body?,
        _ = session.closed() => return Err(Refusal::SessionEnded),
    };
    session.touch(UnixMillis::now());
    Ok(Sending::Nothing)
}

/// The answer's final head. Interim ones are dropped: hyper sends its own 100 when the body is
/// first read, and can send no other.
async fn final_head(recv: &mut RecvHalf) -> Result<HttpResponse, Refusal> {
    // The link lets so many pass, and the final one.
    for _ in 0..=limits::INTERIM_HEADS_MAX {
        let head = recv.head().await?;
        if !head.is_interim() {
            return Ok(head);
        }
    }
    Err(Refusal::AnswerMalformed)
}

/// What an offered upgrade needs where the device takes it.
struct Switch {
    viewer: OnUpgrade,
    send: SendHalf,
    /// The connection's place among those that the platform holds at once.
    place: Arc<OwnedSemaphorePermit>,
}

/// The answer for the browser.
async fn finish(
    answer: HttpResponse,
    mut recv: RecvHalf,
    switch: Option<Switch>,
    parts: &Parts,
    cookies: Cookies<'_>,
    session: Arc<Session>,
) -> Result<Response<Body>, Refusal> {
    let follows = answer.body_follows;
    let response::Translated { head, length } =
        response::translate(answer, &parts.method, cookies)?;
    match (head.status(), switch) {
        (
            StatusCode::SWITCHING_PROTOCOLS,
            Some(Switch {
                viewer,
                send,
                place,
            }),
        ) => {
            let protocol = head.headers().get(header::UPGRADE);
            let websocket =
                protocol.is_some_and(|name| name.as_bytes().eq_ignore_ascii_case(b"websocket"));
            tokio::spawn(async move {
                upgrade::relay(viewer, (send, recv), session, websocket).await;
                drop(place);
            });
            return Ok(head.map(|()| Body::empty()));
        }
        (StatusCode::SWITCHING_PROTOCOLS, None) => return Err(Refusal::AnswerMalformed),
        // The offer was declined: nothing is to follow it.
        (_, Some(Switch { mut send, .. })) => send.finish(FieldLines::default()),
        (_, None) => {}
    }
    let body = match length {
        Length::None => Body::empty(),
        Length::Known(bytes) if follows => Body::stream(recv, Some(bytes), session),
        Length::Unknown if follows => Body::stream(recv, None, session),
        Length::Known(_) | Length::Unknown => {
            let bytes = whole_body(&mut recv).await?;
            if let Length::Known(length) = length
                && length != bytes.len() as u64
            {
                return Err(Refusal::AnswerMalformed);
            }
            Body::whole(bytes)
        }
    };
    Ok(head.map(|()| body))
}

/// The body that came in the answer's own message: one piece or none, there at once.
async fn whole_body(recv: &mut RecvHalf) -> Result<Bytes, Refusal> {
    poll_fn(|cx| {
        Poll::Ready(match recv.poll_data(cx) {
            Poll::Ready(None) => Ok(Bytes::new()),
            Poll::Ready(Some(Ok(bytes))) => Ok(bytes),
            Poll::Ready(Some(Err(error))) => Err(error.into()),
            Poll::Pending => Err(Refusal::AnswerMalformed),
        })
    })
    .await
}

/// The platform's own pages under the reserved prefix.
async fn enter(
    platform: &Platform,
    session: &Session,
    parts: &Parts,
    public: &PublicOrigin,
    body: Option<&mut Incoming>,
) -> Result<Response<Body>, Refusal> {
    let answer = match entry::asked(parts, public)? {
        Asked::Page => entry::page(public.scheme(), secret::random()),
        Asked::Entrance => {
            let body = body.ok_or(Refusal::SubmissionInvalid)?;
            let ticket = tokio::select! {
                biased;
                ticket = entry::ticket(parts, body) => ticket?,
                _ = session.closed() => return Err(Refusal::SessionEnded),
            };
            let entered = platform.enter_session(session, &ticket).await;
            let cookie = entered.map_err(|error| match error.kind {
                ErrorKind::Unauthenticated => Refusal::TicketRefused,
                _ => Refusal::PlatformFailed,
            })?;
            entry::entered(public.scheme(), &cookie)
        }
    };
    Ok(answer.map(Body::from))
}
