//! A stream of the link as an exchange with the device it is meant for: routed, its headers mapped,
//! its bodies passed on piece by piece. Whatever goes wrong ends the stream with a code, out of which
//! the platform makes the browser's page.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use sha2::{Digest as _, Sha256};
use tracing::{debug, warn};

use crate::agent::origin::conn::{Answer, Cancelled, Piece, Sink, Source, Timeouts};
use crate::agent::origin::error::OriginError;
use crate::agent::origin::head::Head;
use crate::agent::origin::pool::Pool;
use crate::agent::origin::request::{Request, RequestBody};
use crate::agent::rewrite::{Mapped, Mapping};
use crate::agent::target::{Route, Routes};
use crate::ids::StreamId;
use crate::limits;
use crate::link::Agent;
use crate::net::stream::{RecvHalf, SendHalf};
use crate::wire::fields::FieldLines;
use crate::wire::messages::{ErrorCode, HttpRequest, HttpResponse};

/// Untrusted certificates of one target that the log tells of, each once: a device has a new one
/// after a reset or an update.
const UNTRUSTED_TOLD_MAX: usize = 16;

/// All targets of an agent, each with its connections.
pub struct Proxy {
    routes: Routes,
    /// In the order of the routes.
    upstreams: Vec<Upstream>,
}

struct Upstream {
    pool: Pool,
    /// That the target redirects to https has been said.
    told_https: AtomicBool,
    /// Hashes of what has been said of certificates that the target showed and that are not trusted.
    told_untrusted: Mutex<Vec<[u8; 32]>>,
}

impl Upstream {
    /// Whether this was not said before. Of a target that always has another certificate to show, no
    /// more is news after a while.
    fn is_news(&self, untrusted: &str) -> bool {
        let hash = Sha256::digest(untrusted).into();
        let mut told = self
            .told_untrusted
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let news = told.len() < UNTRUSTED_TOLD_MAX && !told.contains(&hash);
        if news {
            told.push(hash);
        }
        news
    }
}

impl Proxy {
    /// A proxy to these targets, with no connection yet.
    ///
    /// # Errors
    /// When a target's certificate authorities cannot be used.
    pub fn new(routes: Routes) -> Result<Self, rustls::Error> {
        let upstream = |route: &Route| {
            Ok(Upstream {
                pool: Pool::new(route.target(), Timeouts::default())?,
                told_https: AtomicBool::new(false),
                told_untrusted: Mutex::default(),
            })
        };
        let upstreams = routes
            .all()
            .iter()
            .map(upstream)
            .collect::<Result<_, rustls::Error>>()?;
        Ok(Self { routes, upstreams })
    }

    /// Drops connections to devices that are too old or closed. To be called every few seconds.
    pub fn sweep(&self) {
        self.upstreams
            .iter()
            .for_each(|upstream| upstream.pool.sweep());
    }

    /// Carries one stream to its end. Where the platform gives the stream up, the connection to the
    /// device is closed at once.
    pub async fn serve(
        &self,
        request: HttpRequest,
        send: SendHalf<Agent>,
        mut recv: RecvHalf<Agent>,
    ) {
        let path = request.path.as_str();
        // The asterisk of OPTIONS asks about the server as a whole (RFC 9110 9.3.7).
        let routed = if path == "*" { "/" } else { path };
        let mut reply = Reply {
            send,
            mapping: None,
            refused: None,
        };
        let Some((index, route)) = self.routes.find(routed) else {
            let text = "no target of this agent has this path";
            return reply.send.reset(ErrorCode::NotAllowed, text);
        };
        if route.is_left_by(routed) {
            let text = "the path leads out of what the agent's owner allows";
            return reply.send.reset(ErrorCode::NotAllowed, text);
        }
        let mapping = Mapping::new(request.origin.as_ref().map(|origin| origin.as_str()), route);
        reply.mapping = Some(mapping);
        let body = if request.body_follows {
            RequestBody::Stream
        } else {
            match read_whole(&mut recv).await {
                Ok(body) => RequestBody::Whole(body),
                Err(Cancelled) => return,
            }
        };
        let outgoing = Request {
            fields: mapping.request(&request.headers),
            path: route.path_up(path).into_owned(),
            method: request.method.as_str().to_owned(),
            body,
        };
        let upstream = &self.upstreams[index];
        let result = upstream
            .pool
            .exchange(&outgoing, &mut Body(&mut recv), &mut reply)
            .await;
        if let Some(refused) = reply.refused {
            let target = route.target();
            let told = match refused {
                Refused::ToHttps => upstream.told_https.swap(true, Relaxed),
                Refused::TooLarge => false,
            };
            if !told {
                warn!(%target, "{}", refused.text());
            }
            return reply.send.reset(refused.code(), refused.text());
        }
        match result {
            Ok(()) | Err(OriginError::Cancelled) => {}
            Err(error) => {
                debug!(target = %route.target(), path = ?request.path, %error, "an exchange failed");
                let text = error.to_string();
                if error.code() == ErrorCode::TargetUntrusted && upstream.is_news(&text) {
                    warn!(target = %route.target(), "{text}");
                }
                // The platform makes it an answer where none has begun.
                reply.send.reset(error.code(), &text);
            }
        }
    }
}

/// A body that came with its request.
async fn read_whole(recv: &mut RecvHalf<Agent>) -> Result<Bytes, Cancelled> {
    let mut whole = Bytes::new();
    while let Some(piece) = recv.data().await {
        let piece = piece.map_err(|_| Cancelled)?;
        whole = if whole.is_empty() {
            piece
        } else {
            // One message holds it all, so this is bounded by the longest message.
            let mut joined = BytesMut::from(&whole[..]);
            joined.extend_from_slice(&piece);
            joined.freeze()
        };
    }
    Ok(whole)
}

/// The stream's bytes as a request's body.
struct Body<'a>(&'a mut RecvHalf<Agent>);

impl Source for Body<'_> {
    async fn next(&mut self) -> Result<Piece, Cancelled> {
        match self.0.data().await {
            Some(Ok(data)) => Ok(Piece::Data(data)),
            Some(Err(_)) => Err(Cancelled),
            None => Ok(Piece::End(self.0.trailers())),
        }
    }
}

/// Where an answer goes: into the stream.
struct Reply<'a> {
    send: SendHalf<Agent>,
    mapping: Option<Mapping<'a>>,
    /// The device's answer is well formed, but cannot be handed on.
    refused: Option<Refused>,
}

/// Why an answer cannot be handed on.
#[derive(Clone, Copy)]
enum Refused {
    ToHttps,
    TooLarge,
}

impl Refused {
    fn code(self) -> ErrorCode {
        match self {
            Self::ToHttps => ErrorCode::TargetUnreachable,
            Self::TooLarge => ErrorCode::TargetMalformed,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::ToHttps => {
                "the device redirects to https: make its https port the agent's target"
            }
            Self::TooLarge => "the device's head is too large",
        }
    }
}

impl Reply<'_> {
    fn head(&mut self, head: Head, body: Bytes, body_follows: bool) -> Result<(), Cancelled> {
        let mapped = match &self.mapping {
            Some(mapping) => mapping.answer(head.status, &head.fields),
            None => Mapped::Fields(head.fields),
        };
        let headers = match mapped {
            // Mapping, a device's short lines and the fields of an upgrade may have brought it over
            // the link's limits.
            Mapped::Fields(fields) if fields.fits(limits::FIELDS) => fields,
            Mapped::Fields(_) => return self.refuse(Refused::TooLarge),
            Mapped::ToHttps => return self.refuse(Refused::ToHttps),
        };
        self.send
            .send_head(response(head.status, headers, body, body_follows))
            .map_err(|_| Cancelled)
    }

    /// Trailers that are over the link's limits are left out: the body itself was whole.
    fn finish(&mut self, trailers: FieldLines) {
        let fits = trailers.fits(limits::FIELDS);
        self.send.finish(if fits {
            trailers
        } else {
            FieldLines::default()
        });
    }

    fn refuse(&mut self, refused: Refused) -> Result<(), Cancelled> {
        self.refused = Some(refused);
        Err(Cancelled)
    }
}

impl Sink for Reply<'_> {
    async fn take(&mut self, answer: Answer) -> Result<(), Cancelled> {
        match answer {
            // Interim heads only hint: one that finds no room is left out.
            Answer::Interim(head) => {
                if head.fields.fits(limits::FIELDS) {
                    let interim = response(head.status, head.fields, Bytes::new(), true);
                    let _ = self.send.send_head(interim);
                }
                Ok(())
            }
            Answer::Whole(head, body, trailers) if trailers.is_empty() => {
                self.head(head, body, false)
            }
            Answer::Whole(head, body, trailers) => {
                self.head(head, body, true)?;
                self.finish(trailers);
                Ok(())
            }
            Answer::Head(head) | Answer::Upgraded(head) => self.head(head, Bytes::new(), true),
            Answer::Data(data) => self.send.write(data).await.map_err(|_| Cancelled),
            Answer::End(trailers) => {
                self.finish(trailers);
                Ok(())
            }
        }
    }

    fn poll_cancelled(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.send.poll_stopped(context).map(|_| ())
    }
}

fn response(status: u16, headers: FieldLines, body: Bytes, body_follows: bool) -> HttpResponse {
    HttpResponse {
        // The link sets the stream's.
        id: StreamId::from_number(0),
        status: u32::from(status),
        headers,
        body,
        body_follows,
    }
}

#[cfg(test)]
mod tests;
