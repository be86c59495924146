//! What comes in at a listener: a connection, its TLS, and its requests. Each goes where its `Host`
//! and path say: to a console session's origin, to the agents' WebSocket, or to the API. The
//! listeners themselves are `server`'s.

mod addressee;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::http::{Request, Response, StatusCode};
use bytes::Bytes;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tower_service::Service as _;
use tracing::{Instrument as _, debug, warn};

use super::api::{ComesFrom, problem};
use super::peer::Peer;
use super::request_id::{Named, REQUEST_ID};
use super::sessions::Session;
use super::{Platform, accept, events, http2, ingress, stop_told, traces};
use crate::net::socket::AGENT_PATH;
use crate::net::tls::ALPN_HTTP2;
pub(super) use addressee::{Addressee, named};
use addressee::{NoHost, addressee};

/// A client that has not finished its handshake by then is not served.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// A client that takes longer for a request's head, or for its next request, is not kept.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// A call of the API that is not answered by then is given up: its body may never come.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest request head; a larger one is answered 431, as is one of more than 100 fields (hyper's limit).
pub(super) const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Most bytes that a connection holds of a body on its way, in each direction.
const BUFFER_BYTES_MAX: usize = 128 * 1024;
/// How long a connection stays once its session has ended: enough for a viewer that reads to learn it.
/// One that does not would otherwise keep its device's stream for as long as it likes.
const SESSION_END_GRACE: Duration = ingress::LINGER.saturating_add(Duration::from_secs(1));
/// After a failed accept (no file descriptor is free, most often) the listener rests.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// How a listener is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listens {
    Tls,
    Plain,
}

/// What lets connections in.
#[derive(Clone)]
pub(super) struct Door {
    pub platform: Arc<Platform>,
    pub router: Router,
    pub connections: Arc<Semaphore>,
}

impl Door {
    /// Lets in whom this listener takes, one task a connection.
    pub async fn accept(self, listener: TcpListener, listens: Listens) {
        loop {
            // A place first: past the limit new connections wait in the kernel's queue.
            let Ok(permit) = self.connections.clone().acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, address)) => {
                    let peer = Peer {
                        address,
                        tls: None,
                        certificate: None,
                        permit: permit.into(),
                    };
                    tokio::spawn(self.clone().serve(stream, listens, peer));
                }
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_REST).await;
                }
            }
        }
    }

    async fn serve(self, stream: TcpStream, listens: Listens, mut peer: Peer) {
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "the connection is gone already");
            return;
        }
        match listens {
            Listens::Tls => {
                match timeout(HANDSHAKE_TIMEOUT, self.platform.front.accept(stream)).await {
                    Ok(Ok(stream)) => {
                        self.platform.metrics.tls_handshake("done");
                        let (_, tls) = stream.get_ref();
                        peer.shook_hands(tls);
                        if tls.alpn_protocol() == Some(ALPN_HTTP2) {
                            http2::serve(self, stream, peer).await;
                        } else {
                            self.serve_http(stream, peer).await;
                        }
                    }
                    Ok(Err(error)) => {
                        self.platform.metrics.tls_handshake("failed");
                        debug!(address = %peer.address, %error, "no TLS handshake");
                    }
                    Err(_) => {
                        self.platform.metrics.tls_handshake("timeout");
                        debug!(address = %peer.address, "no TLS handshake in time");
                    }
                }
            }
            Listens::Plain => match timeout(HEAD_TIMEOUT, http2::begins_so(&stream)).await {
                Ok(true) => http2::serve(self, stream, peer).await,
                Ok(false) => self.serve_http(stream, peer).await,
                Err(_) => debug!(address = %peer.address, "no request in time"),
            },
        }
    }

    /// Has a call of the API answered, in its time.
    pub async fn call<B>(
        &self,
        peer: &Peer,
        Named { id, parent }: Named,
        request: Request<B>,
    ) -> Response<axum::body::Body>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut request = request.map(axum::body::Body::new);
        request
            .extensions_mut()
            .insert(ComesFrom(peer.address.ip()));
        let span = id.span(parent);
        let trace = span.in_scope(|| traces::request(request.method(), &id, parent));
        request.extensions_mut().insert(id.clone());
        let answering = async {
            match timeout(CALL_TIMEOUT, self.router.clone().call(request)).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(never)) => match never {},
                Err(_) => {
                    let detail = "the request did not come in time".to_owned();
                    problem(StatusCode::REQUEST_TIMEOUT, "request_timeout", detail)
                }
            }
        };
        let answering = answering.instrument(trace.clone());
        let mut answer = answering.instrument(span.clone()).await;
        let status = answer.status().as_u16();
        traces::answered(&trace, status);
        span.in_scope(|| debug!(status, "answered"));
        answer.headers_mut().insert(REQUEST_ID, id.value());
        answer
    }

    async fn serve_http<S>(self, stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut stopping = self.platform.stopping.subscribe();
        let address = peer.address;
        let (visited, mut session) = watch::channel(None);
        // Shared by the connection's requests, so that one costs no more than a count.
        let visit = Arc::new(Visit {
            door: self,
            peer,
            session: visited,
        });
        let service = service_fn(move |request| answer(visit.clone(), request));
        match carry(stream, service, &mut stopping, &mut session).await {
            Some(Ok(())) => {}
            Some(Err(error)) => debug!(%address, %error, "connection ended"),
            None => debug!(%address, "cut off: its session has ended, and it does not read"),
        }
    }
}

/// Carries a connection until it ends by itself or the session that it serves has ended. `None`
/// where it had to be cut off.
async fn carry<S, A>(
    stream: S,
    service: A,
    stopping: &mut watch::Receiver<bool>,
    session: &mut watch::Receiver<Option<Arc<Session>>>,
) -> Option<hyper::Result<()>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Service<Request<Incoming>, Response = Response<Answer>, Error = Infallible>,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    // Each is polled only when it was woken itself, not at each piece that the connection carries.
    let mut reasons = FuturesUnordered::new();
    reasons.push(stop_told(stopping).map(|()| Reason::Stopping).boxed());
    reasons.push(
        session_ended(session)
            .map(|()| Reason::SessionEnded)
            .boxed(),
    );
    loop {
        tokio::select! {
            biased;
            ended = &mut connection => return Some(ended),
            Some(reason) = reasons.next() => {
                connection.as_mut().graceful_shutdown();
                if let Reason::SessionEnded = reason {
                    return timeout(SESSION_END_GRACE, connection).await.ok();
                }
            }
        }
    }
}

/// Why a connection is to end before its client leaves.
enum Reason {
    Stopping,
    SessionEnded,
}

/// What the requests of one connection share.
struct Visit {
    door: Door,
    peer: Peer,
    /// The console session that the last request was for, if any: an earlier answer is out by then.
    /// Proxies give one connection of theirs to requests of many.
    session: watch::Sender<Option<Arc<Session>>>,
}

impl Visit {
    fn serves(&self, session: Option<&Arc<Session>>) {
        self.session.send_if_modified(|served| {
            let other = served.as_ref().map(Arc::as_ptr) != session.map(Arc::as_ptr);
            if other {
                *served = session.cloned();
            }
            other
        });
    }
}

/// Waits until the session that a connection serves has ended. hyper asks no body for more while
/// its own buffer waits for the viewer, so that the body cannot be left to notice it.
async fn session_ended(session: &mut watch::Receiver<Option<Arc<Session>>>) {
    loop {
        let served = session.borrow_and_update().clone();
        let ended = async {
            match served {
                Some(session) => session.closed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // Where both came at once, what ended is served no longer.
            biased;
            changed = session.changed() => if changed.is_err() {
                // The connection is gone, and no session with it.
                std::future::pending::<()>().await;
            },
            _ = ended => return,
        }
    }
}

/// Hands a request to whom it is for.
async fn answer(
    visit: Arc<Visit>,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    let Visit { door, peer, .. } = &*visit;
    let addressee = addressee(request.headers(), &door.platform.config.console_domain);
    let session = match &addressee {
        Ok(Addressee::Console(label)) => door.platform.sessions().by_label(label),
        _ => None,
    };
    visit.serves(session.as_ref());
    if let Ok(Addressee::Console(_)) = addressee {
        let answer = ingress::serve(&door.platform, session, peer, request).await;
        return Ok(answer.map(Answer::Console));
    }
    let named = Named::of(request.headers());
    let answer = match addressee {
        Ok(_) if head_bytes(&request) > HEAD_BYTES_MAX => {
            let detail = format!("a request's head has at most {HEAD_BYTES_MAX} bytes");
            let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            problem(status, "head_too_large", detail)
        }
        Ok(_) if events::socket::is_upgrade(&request) => {
            events::socket::serve(door.platform.clone(), request, peer.clone())
        }
        Ok(_) if request.uri().path() == AGENT_PATH => {
            accept::serve(door.platform.clone(), request, peer.clone())
        }
        Ok(_) => {
            let answer = door.call(peer, named, request).await;
            return Ok(answer.map(Answer::Api));
        }
        Err(NoHost) => {
            let detail = "a request names exactly one host".to_owned();
            problem(StatusCode::BAD_REQUEST, "host_invalid", detail)
        }
    };
    Ok(named.answered(answer).map(Answer::Api))
}

/// The body of an answer: the API's, or one out of a console session.
enum Answer {
    Api(axum::body::Body),
    Console(ingress::Body),
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Api(body) => {
                let frame = Pin::new(body).poll_frame(cx);
                frame.map_err(Into::into)
            }
            Self::Console(body) => {
                let frame = Pin::new(body).poll_frame(cx);
                frame.map_err(Into::into)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Api(body) => body.is_end_stream(),
            Self::Console(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Api(body) => body.size_hint(),
            Self::Console(body) => body.size_hint(),
        }
    }
}

/// The size of a request's head as it came, near enough. hyper refuses only what its buffer cannot
/// hold, and that may have grown for a body.
fn head_bytes<B>(request: &Request<B>) -> usize {
    let target = request
        .uri()
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    let fields = request.headers().iter();
    target
        + fields
            .map(|(name, value)| name.as_str().len() + value.len() + 4)
            .sum::<usize>()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::{io, str};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
    use tokio::sync::oneshot::{self, error::TryRecvError};

    use super::*;
    use crate::clock::UnixMillis;
    use crate::ids::HostId;
    use crate::platform::api;
    use crate::platform::sessions::{CloseReason, Sessions};
    use crate::secret::random;

    /// An answer that never ends and never waits, and knows nothing of its session.
    struct Endless {
        /// Held, not read: it goes with the body.
        _held: oneshot::Sender<()>,
    }

    impl Body for Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[0; 64 << 10])))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_viewer_that_does_not_read_is_cut_off_when_its_session_ends() {
        let mut sessions = Sessions::new(Duration::from_secs(60), Duration::from_secs(60));
        let opened = sessions.open(UnixMillis::now(), HostId::random(random()), "kvm", "admin");
        let session = opened.expect("there is room").session;
        let (visited, mut serves) = watch::channel(Some(session.clone()));
        let (_platform, mut stopping) = watch::channel(false);
        let (held, mut dropped) = oneshot::channel();
        let held = Mutex::new(Some(held));
        let service = service_fn(move |_| {
            let held = held
                .lock()
                .expect("not poisoned")
                .take()
                .expect("one request");
            let body = axum::body::Body::new(Endless { _held: held });
            async { Ok(Response::new(Answer::Api(body))) }
        });
        let (mut viewer, stream) = tokio::io::duplex(1024);
        let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        viewer.write_all(request).await.expect("written");
        let carried =
            tokio::spawn(async move { carry(stream, service, &mut stopping, &mut serves).await });
        let mut head = [0; 12];
        viewer.read_exact(&mut head).await.expect("answered");
        assert_eq!(&head, b"HTTP/1.1 200");
        // However long it takes: only the session's end ends it.
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(dropped.try_recv(), Err(TryRecvError::Empty));
        sessions.close(session.id, CloseReason::ClosedByUser);
        let carried = timeout(Duration::from_secs(3600), carried).await;
        assert!(carried.expect("not for ever").expect("ran").is_none());
        assert_eq!(dropped.try_recv(), Err(TryRecvError::Closed));
        drop((visited, viewer));
    }

    /// Asks for the head of `path` and returns the answer's status.
    async fn ask(viewer: &mut DuplexStream, host: &str, path: &str) -> io::Result<u16> {
        let request = format!("HEAD {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        viewer.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(viewer.read_u8().await?);
        }
        let status = str::from_utf8(&head[9..12]).expect("ASCII");
        Ok(status.parse().expect("a status"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_does_not_end_with_a_session_that_it_serves_no_longer() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let platform = Platform::fresh(dir.path()).await;
        let connections = Arc::new(Semaphore::new(1));
        let permit = connections.clone().try_acquire_owned().expect("a place");
        let (visited, mut serves) = watch::channel(None);
        let watched = serves.clone();
        let visit = Arc::new(Visit {
            door: Door {
                platform: platform.clone(),
                router: api::router(platform.clone()),
                connections,
            },
            peer: Peer {
                address: ([127, 0, 0, 1], 1).into(),
                tls: None,
                certificate: None,
                permit: permit.into(),
            },
            session: visited,
        });
        let (mut viewer, stream) = tokio::io::duplex(1024);
        let mut stopping = platform.stopping.subscribe();
        let carried = tokio::spawn(async move {
            let service = service_fn(move |request| answer(visit.clone(), request));
            carry(stream, service, &mut stopping, &mut serves).await
        });
        let others = [
            ("localhost", "/healthz", 200),
            ("localhost", AGENT_PATH, 400),
            ("nobody.localhost", "/", 410),
            ("\u{e9}", "/", 400),
        ];
        let cases = [false, true].map(|at_once| others.map(|other| (other, at_once)));
        for ((host, path, status), at_once) in cases.into_iter().flatten() {
            let opened = platform.sessions().open(
                UnixMillis::now(),
                HostId::random(random()),
                "kvm",
                "admin",
            );
            let session = opened.expect("there is room").session;
            let console = format!("{}.localhost", session.label);
            let refused = ask(&mut viewer, &console, "/").await.expect("answered");
            assert_eq!(refused, 403, "there is no cookie");
            let served = watched.borrow().as_ref().map(|served| served.id);
            assert_eq!(served, Some(session.id));
            let close = || {
                let reason = CloseReason::ClosedByUser;
                platform.sessions().close(session.id, reason);
            };
            let asked = ask(&mut viewer, host, path);
            // Before the connection has read the request, or once it is answered.
            let (answered, ()) = tokio::join!(asked, async {
                if at_once {
                    close();
                }
            });
            assert_eq!(answered.expect("answered"), status, "{host}{path}");
            assert!(watched.borrow().is_none(), "{host}{path}");
            if !at_once {
                close();
            }
        }
        // The next request is taken, by the same connection.
        sleep(HEAD_TIMEOUT / 2).await;
        let answered = ask(&mut viewer, "localhost", "/healthz").await;
        assert_eq!(answered.expect("answered"), 200);
        drop(viewer);
        carried
            .await
            .expect("ran")
            .expect("not cut")
            .expect("whole");
    }
}
