//! Where agents come in: the WebSocket's upgrade, the first message, and the life of a connection
//! from there to its end. What a connection carries is the affair of `net` and `ingress`.

mod entitled;
mod expiry;
mod place;
mod renewal;

use expiry::CertificateEnd;
use place::Place;

use super::{
    Platform,
    agent_link::AgentLink,
    api::problem,
    delivery::{self, Inlet, Said},
    metrics::{ADMITTED, Attempt, Watched, ending_word},
    peer::Peer,
    registry::{self, Arrival, HostLink, LinkEnd},
    traces::TARGET,
    track::{self, ConnectionTap},
};
use crate::{
    clock::{Now, UnixMillis},
    ids::{Uuid, random_uuid},
    link::{Admission, Link, Platform as PlatformSide, PlatformEvent, Time},
    net::{
        driver,
        enrolment::certificate_renewal,
        socket::{self, SUBPROTOCOL_JSON, SUBPROTOCOL_PROTO},
        stream::Tunnel,
    },
    secret,
    wire::{
        Encoding,
        messages::{Error, ErrorCode, Hello, Refuse},
        values::Timestamp,
    },
};
use axum::{
    body::Body,
    http::{HeaderValue, Method, Request, Response, StatusCode, header},
};
use bytes::Bytes;
use hyper::{
    body::Incoming,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;
use rustls::ProtocolVersion;
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Instant, SystemTime},
};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tracing::{Instrument as _, Span, debug, info, info_span, trace_span, warn};

/// How long a refused agent that may come back stays away where the store is the trouble.
const STORE_RETRY_MS: u32 = 10_000;

/// Answers an agent's upgrade, and serves its connection to the end in a task of its own.
pub(super) fn serve(
    platform: Arc<Platform>,
    mut request: Request<Incoming>,
    peer: Peer,
) -> Response<Body> {
    let Some(key) = websocket_key(&request) else {
        platform.metrics.handshake("websocket_expected");
        let detail = "agents connect here by WebSocket (RFC 6455)".to_owned();
        return problem(StatusCode::BAD_REQUEST, "websocket_expected", detail);
    };
    let accept = derive_accept_key(key.as_bytes());
    let subprotocol = match subprotocol(&request) {
        Ok(subprotocol) => subprotocol,
        Err(()) => {
            platform.metrics.handshake("subprotocol_unknown");
            let detail = format!("the subprotocols are {SUBPROTOCOL_PROTO} and {SUBPROTOCOL_JSON}");
            return problem(StatusCode::BAD_REQUEST, "subprotocol_unknown", detail);
        }
    };
    // Browsers may have an older one on the same port. In plain nobody comes from outside but through
    // a proxy, which has to be meant to carry agents: it sees all that they say, and their
    // certificates do not come this far.
    let proxied = peer.tls.is_none() && platform.config.agents_behind_proxy;
    if peer.tls != Some(ProtocolVersion::TLSv1_3) && !proxied {
        platform.metrics.handshake("tls_1_3_expected");
        let detail =
            "agents connect over TLS 1.3, straight to the platform's TLS listener".to_owned();
        return problem(StatusCode::BAD_REQUEST, "tls_1_3_expected", detail);
    }
    if platform.is_stopping() {
        platform.metrics.handshake("platform_stopping");
        let detail = "the platform is stopping: come back soon".to_owned();
        return problem(StatusCode::SERVICE_UNAVAILABLE, "platform_stopping", detail);
    }
    let upgrade = hyper::upgrade::on(&mut request);
    let encoding = subprotocol.map(|(_, encoding)| encoding);
    // Named here, and told to the agent: the same id is in the log of both.
    let id = random_uuid(secret::random());
    let span = info_span!("agent", connection_id = %id);
    tokio::spawn(upgraded(platform, upgrade, encoding, peer, id).instrument(span));

    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some((name, _)) = subprotocol {
        headers.insert(
            header::SEC_WEBSOCKET_PROTOCOL,
            HeaderValue::from_static(name),
        );
    }
    response
}

/// The key of a well-formed opening handshake (RFC 6455 section 4.2.1).
pub(super) fn websocket_key(request: &Request<Incoming>) -> Option<HeaderValue> {
    let headers = request.headers();
    let names = |field: header::HeaderName, wanted: &str| {
        headers
            .get_all(field)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| {
                value
                    .split(',')
                    .any(|token| token.trim().eq_ignore_ascii_case(wanted))
            })
    };
    let well_formed = request.method() == Method::GET
        && names(header::UPGRADE, "websocket")
        && names(header::CONNECTION, "upgrade")
        && headers
            .get(header::SEC_WEBSOCKET_VERSION)
            .is_some_and(|version| version == "13");
    headers
        .get(header::SEC_WEBSOCKET_KEY)
        .filter(|_| well_formed)
        .cloned()
}

/// The first of ours among the subprotocols that are offered; `None` where none is offered.
fn subprotocol(request: &Request<Incoming>) -> Result<Option<(&'static str, Encoding)>, ()> {
    let mut offered = false;
    for value in request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL) {
        for name in value.to_str().unwrap_or_default().split(',') {
            offered = true;
            match name.trim() {
                SUBPROTOCOL_PROTO => return Ok(Some((SUBPROTOCOL_PROTO, Encoding::Binary))),
                SUBPROTOCOL_JSON => return Ok(Some((SUBPROTOCOL_JSON, Encoding::Json))),
                _ => {}
            }
        }
    }
    if offered { Err(()) } else { Ok(None) }
}

async fn upgraded(
    platform: Arc<Platform>,
    upgrade: OnUpgrade,
    encoding: Option<Encoding>,
    peer: Peer,
    id: Uuid,
) {
    let upgraded = match upgrade.await {
        Ok(upgraded) => upgraded,
        Err(error) => {
            debug!(%error, "an agent's upgrade came to nothing");
            return;
        }
    };
    // Nothing of the socket is kept in this task, which stays as long as the connection does.
    if let Some(standing) = begin(platform, upgraded, encoding, peer, id) {
        standing.wait_for_end().await;
    }
}

/// Begins the conversation over the socket of the type that is really there, for its options and for
/// speed. `None` where it is of none that is known.
fn begin(
    platform: Arc<Platform>,
    upgraded: Upgraded,
    encoding: Option<Encoding>,
    peer: Peer,
    id: Uuid,
) -> Option<Standing> {
    let upgraded = match downcast::<TlsStream<TcpStream>>(upgraded) {
        Ok((stream, early)) => {
            tune(stream.get_ref().0);
            let socket = socket::accepted(stream, &early);
            return Some(converse(platform, socket, encoding, peer, id));
        }
        Err(upgraded) => upgraded,
    };
    match downcast::<TcpStream>(upgraded) {
        Ok((stream, early)) => {
            tune(&stream);
            let socket = socket::accepted(stream, &early);
            Some(converse(platform, socket, encoding, peer, id))
        }
        Err(_) => {
            warn!("an agent came over a socket of unknown kind");
            None
        }
    }
}

fn downcast<S: 'static>(upgraded: Upgraded) -> Result<(S, Bytes), Upgraded>
where
    TokioIo<S>: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
{
    let parts = upgraded.downcast::<TokioIo<S>>()?;
    Ok((parts.io.into_inner(), parts.read_buf))
}

fn tune(socket: &TcpStream) {
    if let Err(error) = socket::tune(socket) {
        debug!(%error, "a socket took no options");
    }
}

/// Errors that one connection's agent reports in the log's own level. Its budget of messages allows
/// many more, and one agent is not to bury what the others say.
const ERRORS_LOGGED_MAX: u32 = 8;

/// A connection whose agent has said who it is.
struct Arrived {
    tunnel: Tunnel,
    tracked: track::Place,
    certificate_end: CertificateEnd,
    peer: Peer,
    id: Uuid,
    /// The connection's span.
    span: Span,
}

/// What a connection's own task and the one that waits for its end share.
struct Course {
    platform: Arc<Platform>,
    address: SocketAddr,
    /// Once it is let in.
    place: Mutex<Option<Place>>,
    /// Where it is heard from then on.
    inlet: OnceLock<Arc<Inlet>>,
    errors: AtomicU32,
    attempt: Attempt,
}

impl Course {
    fn place(&self) -> MutexGuard<'_, Option<Place>> {
        // It is replaced as a whole.
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The agent has said something of commands.
    fn hear(&self, said: Said) {
        match self.inlet.get() {
            Some(inlet) => self.platform.delivery.said(inlet, said),
            // It was let in and ended at once.
            None => debug!(address = %self.address, "an agent speaks of commands too late"),
        }
    }
}

/// A connection over which an agent speaks.
struct Standing {
    course: Arc<Course>,
    tunnel: Tunnel,
    watched: Watched,
}

impl Standing {
    /// Waits until it has ended, and gives its place back.
    async fn wait_for_end(self) {
        let Self {
            course,
            tunnel,
            watched,
        } = self;
        let ending = tunnel.ended().await;
        drop(watched);
        let address = course.address;
        let errors = course.errors.load(Ordering::Relaxed);
        if errors > ERRORS_LOGGED_MAX {
            warn!(%address, errors, "an agent reported more errors than were logged");
        }
        let platform = &course.platform;
        let place = *course.place();
        match place {
            Some(place) => {
                platform.metrics.disconnect(&ending);
                place.give_back(platform, &tunnel, &ending.to_string());
            }
            None => {
                course.attempt.came_to(ending_word(&ending));
                info!(%address, %ending, "an agent was not let in");
            }
        }
    }
}

/// Has the connection's own task speak with the agent.
fn converse<IO>(
    platform: Arc<Platform>,
    socket: socket::Socket<IO>,
    encoding: Option<Encoding>,
    peer: Peer,
    id: Uuid,
) -> Standing
where
    IO: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let address = peer.address;
    let course = Arc::new(Course {
        address,
        place: Mutex::default(),
        inlet: OnceLock::new(),
        errors: AtomicU32::new(0),
        attempt: Attempt::new(platform.metrics.clone()),
        platform,
    });
    let tracked = track::Place::default();
    let track = course.platform.track.clone();
    let tap = ConnectionTap::new(track, address.to_string(), tracked.clone());
    let on_event = {
        let (course, span) = (course.clone(), Span::current());
        let certificate_end = CertificateEnd::default();
        let renewals = renewal::Renewals::new(certificate_end.clone());
        // The connection's own task is not in the span: it says nothing itself, and would enter and
        // leave it with each message.
        move |event, tunnel: &Tunnel| {
            let platform = &course.platform;
            span.in_scope(|| match event {
                PlatformEvent::Hello(hello) => {
                    let (course, tunnel) = (course.clone(), tunnel.clone());
                    let (peer, tracked) = (peer.clone(), tracked.clone());
                    let certificate_end = certificate_end.clone();
                    let admitting = async move {
                        let arrived = Arrived {
                            tunnel: tunnel.clone(),
                            tracked,
                            certificate_end,
                            peer,
                            id,
                            span: Span::current(),
                        };
                        let platform = &course.platform;
                        let admitting = admit(&course, hello, arrived);
                        let trace =
                            trace_span!(target: TARGET, "agent.hello", otel.kind = "server");
                        let admitted = admitting.instrument(trace).await;
                        *course.place() = admitted;
                        // One that left while it was looked up has found no place to give back.
                        if let Some(place) = admitted
                            && tunnel.is_ended()
                        {
                            let why = tunnel.ended().await.to_string();
                            place.give_back(platform, &tunnel, &why);
                        }
                    };
                    tokio::spawn(admitting.in_current_span());
                }
                PlatformEvent::Heartbeat(heartbeat) => {
                    let place = *course.place();
                    let round_trip = tunnel.round_trip();
                    if let Some(place) = place {
                        place.report(platform, &heartbeat, round_trip, tunnel);
                    }
                    if let Some(round_trip) = round_trip {
                        platform.metrics.round_trip(round_trip);
                    }
                }
                PlatformEvent::CertificateRequest(request) => {
                    let place = *course.place();
                    if let Some(Place { host, .. }) = place {
                        renewals.begin(platform, host, request, tunnel);
                    }
                }
                PlatformEvent::Error(error) => {
                    let Error { code, message, .. } = &error;
                    if course.errors.fetch_add(1, Ordering::Relaxed) < ERRORS_LOGGED_MAX {
                        warn!(%address, %code, "an agent reports: {message:?}");
                    } else {
                        debug!(%address, %code, "an agent reports: {message:?}");
                    }
                    if !error.original_message_id.is_empty() {
                        course.hear(Said::Error(error));
                    }
                }
                PlatformEvent::Journal(journal) => course.hear(Said::Journal(journal)),
                PlatformEvent::CommandReport(report) => course.hear(Said::report(report)),
                PlatformEvent::CommandAck(ack) => course.hear(Said::Ack(ack)),
                PlatformEvent::StatusUpdate(update) => course.hear(Said::Status(update)),
                PlatformEvent::Response(response) => {
                    course.hear(Said::Answer(Box::new((*response).into())));
                }
            })
        }
    };
    let mut link = Link::<PlatformSide>::accept(Time::default());
    if encoding != Some(Encoding::Binary) {
        // Where no subprotocol is named, the first message is what decides, and it is not seen here.
        link = link.expect_json();
    }
    let (tunnel, driver) = driver::start_tapped(socket, link, encoding, on_event, tap);
    let watched = course.platform.metrics.watch(tunnel.clone());
    // In a task of its own, so that what follows its end is done also where it panics.
    tokio::spawn(driver);
    Standing {
        course,
        tunnel,
        watched,
    }
}

/// Decides on a hello. `Some` where the agent is its host's connection now.
async fn admit(course: &Course, hello: Hello, arrived: Arrived) -> Option<Place> {
    let Course {
        platform, attempt, ..
    } = course;
    let Arrived {
        tunnel,
        tracked,
        certificate_end,
        peer,
        id,
        span,
    } = arrived;
    let refuse = |code: ErrorCode, text, permanent, retry_after_ms| {
        attempt.came_to(code.name().unwrap_or("unknown"));
        refuse(&tunnel, code, text, permanent, retry_after_ms);
    };
    let known_at = platform.registry.moment();
    let record = match platform.authenticate_host(&hello.auth_token).await {
        Ok(Some(record)) => record,
        Ok(None) => {
            let text = "this device token is not known: enrol the agent anew";
            refuse(ErrorCode::TokenUnknown, text, true, 0);
            return None;
        }
        Err(error) => {
            warn!(%error, "an agent could not be authenticated");
            let text = "the platform cannot look the token up at present";
            refuse(ErrorCode::Overloaded, text, false, STORE_RETRY_MS);
            return None;
        }
    };
    if hello.host_id.is_some_and(|id| id != record.id.0) {
        let text = "this device token belongs to another host";
        refuse(ErrorCode::HostMismatch, text, true, 0);
        return None;
    }
    // Asked of every connection and of the store as it is now, whether TLS was resumed or not: a ticket
    // brings an old certificate back without a look at it, and so nothing hangs on tickets. One whose
    // host is revoked after this is found by the registry, which knows of the moment.
    let proxied = peer.tls.is_none();
    if let Err(why) = entitled::entitled(&record, peer.certificate, UnixMillis::now(), proxied) {
        info!(host = %record.id, name = record.name, code = %why.code(), "not let in");
        if why == entitled::Refusal::Mismatch {
            let reason = "certificate_mismatch";
            platform
                .audit_refusal(record.id, "host.connect", reason)
                .await;
        }
        refuse(why.code(), why.text(), why.is_permanent(), 0);
        return None;
    }
    // Set once a connection: nobody else has.
    let _ = tracked.set(record.id);
    tunnel.admit(Admission {
        session_id: id,
        host_id: record.id.0,
        heartbeat: platform.config.heartbeat,
        platform_time: Timestamp::from_system_time(SystemTime::now()),
        capabilities: certificate_renewal()
            .into_iter()
            .chain(delivery::capability())
            .collect(),
    });
    let link = Arc::new(AgentLink { tunnel });
    let arrival = Arrival {
        host: record.id,
        known_at,
        instance: hello.instance_id,
        software: hello.software,
        address: peer.address,
        link: link.clone(),
    };
    match platform.host_connected(&record.name, arrival) {
        registry::Admission::Admitted {
            connection,
            replaced,
        } => {
            attempt.came_to(ADMITTED);
            // Before anything that the agent may say: it is not read meanwhile.
            let (tunnel, delivery) = (&link.tunnel, &platform.delivery);
            let announced = &hello.capabilities;
            let inlet = delivery.host_connected(record.id, connection, tunnel, announced);
            let _ = course.inlet.set(inlet);
            // As it was before this connection.
            let returned = record.credential_used || replaced;
            if returned {
                platform.metrics.reconnect(replaced);
            }
            if replaced {
                platform.alerts.replaced(Instant::now(), record.id);
            }
            platform
                .health
                .connected(Now::of_clocks(), record.id, connection, returned);
            // A host with a token alone needs none, and one behind a proxy shows none.
            if let (Some(certificate), Some(_)) = (peer.certificate, record.key) {
                certificate_end.set(certificate.until);
                let watch = certificate_end.watch(link.tunnel.clone());
                // In the connection's span: that of the hello ends with it.
                tokio::spawn(watch.instrument(span));
            }
            Some(Place {
                host: record.id,
                connection,
            })
        }
        registry::Admission::DuplicateInstance => {
            attempt.came_to("duplicate_instance");
            link.end(LinkEnd::DuplicateInstance);
            None
        }
        registry::Admission::CredentialVoid => {
            attempt.came_to("host_revoked");
            link.end(LinkEnd::CredentialVoid);
            None
        }
    }
}

fn refuse(tunnel: &Tunnel, code: ErrorCode, text: &str, permanent: bool, retry_after_ms: u32) {
    tunnel.refuse(Refuse {
        code,
        message: text.to_owned(),
        permanent,
        retry_after_ms,
    });
}
