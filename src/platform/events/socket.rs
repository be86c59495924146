//! Events by WebSocket: the upgrade, who the client is and what it wants, and the way of what it is told.
//! The schema (`event.proto`) says how a client speaks; the frames are `wire`'s, the socket `net`'s.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use axum::response::IntoResponse as _;
use bytes::Bytes;
use futures_util::FutureExt as _;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tracing::debug;

use super::shown::encoded;
use super::watch::{Next, Watch};
use super::{Ending, News};
use crate::clock::UnixMillis;
use crate::net::socket::{self, Socket, SocketError};
use crate::platform::Platform;
use crate::platform::accept::websocket_key;
use crate::platform::api::{Method as _, WatchEvents, bearer, problem};
use crate::platform::identity::Caller;
use crate::platform::metrics::ApiDoor;
use crate::platform::peer::Peer;
use crate::platform::service::ServiceError;
use crate::schema::api as pb;
use crate::wire::Encoding;
use crate::wire::api::{
    WatchEventsClientMessage, WatchEventsClientMessageMessage as Said, WatchEventsRequest,
};
use crate::wire::json::api as json;
use crate::wire::websocket::{Broken, Event};

/// Where events are followed by WebSocket, and by whatever else the API has at this path.
pub const EVENTS_PATH: &str = "/api/events";
/// The subprotocols' names.
const SUBPROTOCOLS: [(&str, Encoding); 2] = [
    ("fleetwire.events.v1.proto", Encoding::Binary),
    ("fleetwire.events.v1.json", Encoding::Json),
];

/// How long a client may take to say who it is, and again to say what it wants.
const WORD_MAX: Duration = Duration::from_secs(10);
/// The longest message of a client's: a filter of so many hosts as the schema allows has 12 KiB.
const MESSAGE_BYTES_MAX: usize = 16 << 10;
/// How often a client is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(30);
/// A client of which nothing came for so long is gone.
const SILENT_MAX: Duration = Duration::from_secs(90);
/// Messages, pings and pongs of a client that are taken at once, and one more each second.
const SAID_MAX: u32 = 32;
/// Bytes that are queued before they are sent.
const BATCH_BYTES: usize = 32 << 10;
/// How long a client may take to see why it is sent away.
const GOODBYE_MAX: Duration = Duration::from_secs(2);

/// Why a WebSocket is closed: its close code, and the reason in words.
struct Closing(u16, String);

impl Closing {
    fn new(code: u16, reason: impl Into<String>) -> Self {
        Self(code, reason.into())
    }

    fn not_allowed(reason: impl Into<String>) -> Self {
        Self::new(1008, reason)
    }
}

impl From<Ending> for Closing {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::TooSlow => Self::new(1013, "too slow: come back with your last position"),
            Ending::Stopping => Self::new(1001, "the platform stops: come back soon"),
            Ending::StoreFailed => Self::new(1011, "the platform's store failed"),
        }
    }
}

impl From<ServiceError> for Closing {
    fn from(error: ServiceError) -> Self {
        let code = if error.code == "followers_exhausted" {
            1013
        } else {
            1008
        };
        Self::new(code, format!("{}: {}", error.code, error.detail))
    }
}

/// Nothing can be said any more: the socket is gone, or its client has closed.
struct Gone;

/// Why a conversation is over.
enum Over {
    Gone,
    Close(Closing),
}

impl From<Gone> for Over {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<Closing> for Over {
    fn from(closing: Closing) -> Self {
        Self::Close(closing)
    }
}

impl From<ServiceError> for Over {
    fn from(error: ServiceError) -> Self {
        Self::Close(error.into())
    }
}

/// Answers an upgrade to events, and serves the WebSocket in a task of its own.
pub(in crate::platform) fn serve(
    platform: Arc<Platform>,
    mut request: Request<Incoming>,
    peer: Peer,
) -> Response<Body> {
    let Some(key) = websocket_key(&request) else {
        let detail = "events are followed here by WebSocket (RFC 6455)".to_owned();
        return problem(StatusCode::BAD_REQUEST, "websocket_expected", detail);
    };
    let Some((name, encoding)) = subprotocol(&request) else {
        let [(proto, _), (json, _)] = SUBPROTOCOLS;
        let detail = format!("the subprotocols are {proto} and {json}");
        return problem(StatusCode::BAD_REQUEST, "subprotocol_unknown", detail);
    };
    // Who says it here is told here.
    let authorization = request.headers().get(header::AUTHORIZATION);
    let caller = match bearer(authorization.and_then(|value| value.to_str().ok())) {
        Some(token) => match platform.identity.authenticate(UnixMillis::now(), &token) {
            Ok(caller) => Some(caller),
            Err(error) => {
                count(&platform, Instant::now(), Some(&error));
                return error.into_response();
            }
        },
        None => None,
    };
    if platform.is_stopping() {
        let detail = "the platform is stopping: come back soon".to_owned();
        return problem(StatusCode::SERVICE_UNAVAILABLE, "platform_stopping", detail);
    }
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(upgraded(platform, upgrade, encoding, caller, peer));

    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    let name = HeaderValue::from_static(name);
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, name);
    response
}

/// Counts a follower as a call of the API, once: when it is told where it stands, or is refused.
fn count(platform: &Platform, begun: Instant, refusal: Option<&ServiceError>) {
    let code = refusal.map_or("ok", |error| error.code);
    let metrics = &platform.metrics;
    metrics.api(
        WatchEvents::ABOUT,
        ApiDoor::WebSocket,
        code,
        begun.elapsed(),
    );
}

/// Whether a request for the path of events is to be upgraded.
pub(in crate::platform) fn is_upgrade(request: &Request<Incoming>) -> bool {
    request.uri().path() == EVENTS_PATH && request.headers().contains_key(header::UPGRADE)
}

fn subprotocol(request: &Request<Incoming>) -> Option<(&'static str, Encoding)> {
    let offered = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let mut names = offered
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(','));
    names.find_map(|name| {
        let mut ours = SUBPROTOCOLS.into_iter();
        ours.find(|(known, _)| *known == name.trim())
    })
}

async fn upgraded(
    platform: Arc<Platform>,
    upgrade: OnUpgrade,
    encoding: Encoding,
    caller: Option<Caller>,
    peer: Peer,
) {
    let address = peer.address;
    match upgrade.await {
        Ok(upgraded) => {
            let mut socket = socket::accepted(TokioIo::new(upgraded), &[]);
            socket.trust_little(MESSAGE_BYTES_MAX);
            let client = Client {
                socket,
                encoding,
                said: SAID_MAX,
                said_at: Instant::now(),
                heard: (0, Instant::now()),
            };
            client.serve(&platform, caller).await;
        }
        Err(error) => debug!(%address, %error, "an upgrade to events came to nothing"),
    }
}

/// The client at the other end.
struct Client<IO> {
    socket: Socket<IO>,
    encoding: Encoding,
    /// What it may still say, as of then.
    said: u32,
    said_at: Instant,
    /// The bytes that had come of it, and when the last of them came.
    heard: (u64, Instant),
}

/// What a socket has for whoever waits for it.
enum Turn {
    /// The client said something.
    Event(Event),
    /// What was queued has left.
    Sent,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Client<IO> {
    async fn serve(mut self, platform: &Arc<Platform>, caller: Option<Caller>) {
        let Err(over) = self.converse(platform, caller).await;
        let Over::Close(Closing(code, reason)) = over else {
            return;
        };
        debug!(code, reason, "a follower of events is sent away");
        self.socket.close(Some((code, &reason)));
        let goodbye = async {
            while let Ok(turn) = poll_fn(|cx| self.poll(cx)).await {
                if matches!(turn, Turn::Event(Event::Close(_))) {
                    let _ = poll_fn(|cx| self.socket.poll_flush(cx)).await;
                    return;
                }
            }
        };
        let _ = timeout(GOODBYE_MAX, goodbye).await;
    }

    async fn converse(
        &mut self,
        platform: &Arc<Platform>,
        caller: Option<Caller>,
    ) -> Result<std::convert::Infallible, Over> {
        let caller = match caller {
            Some(caller) => caller,
            None => match self.first("authenticate").await? {
                Said::Authenticate(said) => platform
                    .identity
                    .authenticate(UnixMillis::now(), &said.access_token)
                    .inspect_err(|error| count(platform, Instant::now(), Some(error)))?,
                Said::Watch(_) => {
                    return Err(Closing::not_allowed("say who you are first: authenticate").into());
                }
            },
        };
        let request = match self.first("watch").await? {
            Said::Watch(request) => request,
            Said::Authenticate(_) => {
                return Err(Closing::not_allowed("you have said who you are: watch").into());
            }
        };
        self.follow(platform, caller, &request).await
    }

    /// Waits for one of the first messages.
    async fn first(&mut self, what: &str) -> Result<Said, Over> {
        let until = Instant::now() + WORD_MAX;
        let late = || Closing::not_allowed(format!("{what} did not come in time"));
        loop {
            let turn = timeout_at(until, poll_fn(|cx| self.poll(cx))).await;
            match turn.map_err(|_| late())?? {
                Turn::Event(event) => {
                    if let Some(said) = self.take(event)? {
                        return Ok(said);
                    }
                }
                Turn::Sent => {}
            }
        }
    }

    async fn follow(
        &mut self,
        platform: &Arc<Platform>,
        caller: Caller,
        request: &WatchEventsRequest,
    ) -> Result<std::convert::Infallible, Over> {
        let begun = Instant::now();
        let watch = Watch::begin(platform, caller, request);
        count(platform, begun, watch.as_ref().err());
        let mut watch = watch?;
        let ended = watch.ended();
        tokio::pin!(ended);
        let mut pings = interval(PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // The client is told more once it has taken what it was told: what waits has a bound at
            // the bus, and none here.
            let may_tell = !self.socket.is_unsent();
            tokio::select! {
                biased;
                ending = &mut ended => return Err(Closing::from(ending).into()),
                turn = poll_fn(|cx| self.poll(cx)) => {
                    if let Turn::Event(event) = turn?
                        && let Some(said) = self.take(event)?
                    {
                        renew(platform, &watch, said)?;
                    }
                }
                _ = pings.tick() => self.ping()?,
                next = watch.next(), if may_tell => {
                    self.tell(next)?;
                    self.tell_more(&mut watch)?;
                }
            }
        }
    }

    /// Queues what else is there at once.
    fn tell_more(&mut self, watch: &mut Watch) -> Result<(), Over> {
        let mut batched = 0;
        while batched < BATCH_BYTES
            && let Some(next) = watch.next().now_or_never()
        {
            batched += self.tell(next)?;
        }
        Ok(())
    }

    fn tell(&mut self, next: Next) -> Result<usize, Over> {
        let news = match next {
            Next::News(News::End(ending)) => return Err(Closing::from(ending).into()),
            Next::News(news) => news,
            Next::CredentialEnded => {
                return Err(Closing::not_allowed("the credential has ended: sign in again").into());
            }
        };
        let text = self.encoding == Encoding::Json;
        let bytes = encoded(&news, self.encoding).unwrap_or_default();
        Ok(self.socket.queue(text, |out| out.extend_from_slice(&bytes)))
    }

    /// Asks whether the client is there, where it is.
    fn ping(&mut self) -> Result<(), Over> {
        let received = self.socket.received();
        let (heard, at) = self.heard;
        if received != heard {
            self.heard = (received, Instant::now());
        } else if at.elapsed() >= SILENT_MAX {
            return Err(Closing::new(1001, "nothing came of you for too long").into());
        }
        self.socket.ping();
        Ok(())
    }

    /// Sends what is queued, and waits for what comes.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Turn, Over>> {
        let unsent = self.socket.is_unsent();
        match self.socket.poll_flush(cx) {
            Poll::Ready(Ok(())) if unsent => return Poll::Ready(Ok(Turn::Sent)),
            Poll::Ready(Err(error)) => {
                debug!(%error, "a follower of events is gone");
                return Poll::Ready(Err(Gone.into()));
            }
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        self.socket.poll_next(cx).map(|event| match event {
            Some(Ok(event)) => Ok(Turn::Event(event)),
            Some(Err(error)) => Err(broken(error)),
            None => Err(Gone.into()),
        })
    }

    /// What the client says, if it is a message of the schema.
    fn take(&mut self, event: Event) -> Result<Option<Said>, Over> {
        let seconds = self.said_at.elapsed().as_secs();
        self.said_at += Duration::from_secs(seconds);
        let earned = u32::try_from(seconds).unwrap_or(SAID_MAX);
        self.said = self.said.saturating_add(earned).min(SAID_MAX);
        self.said = self
            .said
            .checked_sub(1)
            .ok_or_else(|| Closing::not_allowed("messages without end"))?;
        match event {
            Event::Message { text, payload } => {
                if text != (self.encoding == Encoding::Json) {
                    let reason = "text and binary do not go with the subprotocol";
                    return Err(Closing::new(1003, reason).into());
                }
                let said = decode(self.encoding, &payload);
                said.map(Some)
                    .map_err(|reason| Closing::new(1002, reason).into())
            }
            Event::Ping(_) | Event::Pong | Event::Crumb => Ok(None),
            Event::Close(_) => Err(Closing::new(1000, "").into()),
        }
    }
}

/// What a client says once it follows: another credential, and nothing else.
fn renew(platform: &Platform, watch: &Watch, said: Said) -> Result<(), Over> {
    match said {
        Said::Authenticate(authentication) => {
            let now = UnixMillis::now();
            let caller = platform
                .identity
                .authenticate(now, &authentication.access_token)?;
            if watch.renew(caller) {
                return Ok(());
            }
            Err(Closing::not_allowed("this credential is another user's").into())
        }
        Said::Watch(_) => {
            Err(Closing::new(1002, "you follow events already: connect once more").into())
        }
    }
}

fn decode(encoding: Encoding, payload: &Bytes) -> Result<Said, String> {
    let wire = match encoding {
        Encoding::Binary => pb::WatchEventsClientMessage::decode(payload.clone())
            .map_err(|_| "malformed message".to_owned())?,
        Encoding::Json => json::read_request(&[], Some(payload))
            .map_err(|fault| format!("malformed message: {fault}"))?,
    };
    let message = WatchEventsClientMessage::try_from(wire).map_err(|error| error.to_string())?;
    let said = message.message;
    said.ok_or_else(|| "a message says authenticate or watch".to_owned())
}

fn broken(error: SocketError) -> Over {
    match error {
        SocketError::Broken(Broken::TooLong) | SocketError::Stranger => {
            let reason = format!("a message has at most {MESSAGE_BYTES_MAX} bytes");
            Closing::new(1009, reason).into()
        }
        SocketError::Broken(Broken::NotUtf8) => Closing::new(1007, "text that is not UTF-8").into(),
        SocketError::Broken(Broken::Protocol(reason)) => Closing::new(1002, reason).into(),
        SocketError::Ended | SocketError::Io(_) => Gone.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{HostId, Uuid};
    use crate::platform::events::Happening;
    use crate::secret::Secret;

    fn all() -> WatchEventsRequest {
        WatchEventsRequest {
            position: String::new(),
            kinds: Vec::new(),
            host_ids: Vec::new(),
            group_ids: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_sent_away_and_holds_nobody_up() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let platform = Platform::fresh(dir.path()).await;
        let token = std::fs::read_to_string(dir.path().join("admin-token")).expect("there");
        let token = Secret::new(token.trim().to_owned());
        let caller = platform.identity.authenticate(UnixMillis::now(), &token);
        let caller = caller.expect("the administrator");
        let mut quick = Watch::begin(&platform, caller.clone(), &all()).expect("room");
        // The far end holds little, and nobody reads it.
        let (near, far) = tokio::io::duplex(512);
        let mut client = Client {
            socket: socket::accepted(far, &[]),
            encoding: Encoding::Json,
            said: SAID_MAX,
            said_at: Instant::now(),
            heard: (0, Instant::now()),
        };
        let (shared, watched) = (platform.clone(), all());
        let slow = tokio::spawn(async move {
            match client.follow(&shared, caller, &watched).await {
                Err(Over::Close(Closing(code, _))) => code,
                Err(Over::Gone) => 0,
            }
        });
        let mut told = 0;
        for number in 1..=100_000_u32 {
            let host = HostId(Uuid::from_u128(u128::from(number)));
            platform.events.tell(host, Happening::HostRevoked);
            if number % 1000 == 0 {
                while told < number {
                    let next = timeout(Duration::from_secs(60), quick.next()).await;
                    match next.expect("it is told") {
                        Next::News(News::Event(_)) => told += 1,
                        Next::News(News::Mark(_)) => {}
                        _ => panic!("no event"),
                    }
                }
            }
        }
        assert_eq!(slow.await.expect("it ends"), 1013);
        drop(near);
    }
}
