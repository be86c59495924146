//! HTTP/2, which only gRPC's clients are given: browsers and others who know HTTP/1.1 as well are kept to
//! that, as a device's interface and its WebSockets are. The API is all that there is here.

use std::convert::Infallible;

use axum::http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tracing::debug;

use super::api::problem;
use super::door::{Addressee, Door, HEAD_BYTES_MAX, HEAD_TIMEOUT, named};
use super::peer::Peer;
use super::request_id::Named;
use super::stop_told;

/// How every connection begins (RFC 9113 section 3.4). No HTTP/1 method is called so.
const PREFACE: &[u8] = b"PRI";
/// Calls at once on one connection.
const STREAMS_MAX: u32 = 128;
/// Bytes of one answer that wait for a client that does not read.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// Whether a client in plain begins with HTTP/2, without being asked (RFC 9113 section 3.3).
pub(super) async fn begins_so(stream: &TcpStream) -> bool {
    let mut begin = [0; PREFACE.len()];
    // Three bytes come in one piece, or from somebody who means to be difficult.
    matches!(stream.peek(&mut begin).await, Ok(length) if length > 0 && begin == *PREFACE)
}

/// Serves a connection until it ends, or the platform stops.
pub(super) async fn serve<S>(door: Door, stream: S, peer: Peer)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut stopping = door.platform.stopping.subscribe();
    let address = peer.address;
    let service = service_fn(move |request| answer(door.clone(), peer.clone(), request));
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .keep_alive_interval(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stop_told(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%address, %error, "connection ended");
    }
}

async fn answer(
    door: Door,
    peer: Peer,
    request: Request<Incoming>,
) -> Result<Response<axum::body::Body>, Infallible> {
    let request_named = Named::of(request.headers());
    let console_domain = &door.platform.config.console_domain;
    let host = request.uri().host();
    if let Some(Addressee::Console(_)) = host.map(|host| named(host, console_domain)) {
        let detail = "a console session is reached over HTTP/1.1".to_owned();
        let status = StatusCode::MISDIRECTED_REQUEST;
        return Ok(request_named.answered(problem(status, "http_1_1_expected", detail)));
    }
    Ok(door.call(&peer, request_named, request).await)
}
