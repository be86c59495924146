//! The metrics' own listener: `GET /metrics` and nothing else, for a scraper on this machine or in a
//! network of its own. It asks for no credential, so it is off unless an address is set, and nothing
//! behind it is a secret. A scraper that is slow, or many, costs a bounded number of connections for a
//! bounded time, and one exposition a second.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use super::scrape;
use super::standing::Standing;
use crate::platform::Platform;

/// Where the metrics are.
const PATH: &str = "/metrics";
/// Scrapers at once; further ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 16;
/// From a connection's beginning to its end, reading the answer included. Prometheus gives up after
/// ten seconds itself, unless it is told otherwise.
const CONNECTION_TIME: Duration = Duration::from_secs(10);
/// A scraper that has not asked by then does not mean to.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// The largest head of a request; hyper takes no lower bound.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Within so long, whoever asks gets the text that is there: adding up many links costs CPU time.
const FRESH: Duration = Duration::from_secs(1);
/// After a failed accept (no file descriptor is free, most often) the listener rests.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// OpenMetrics 1.0 (https://prometheus.io/docs/specs/om/open_metrics_spec/).
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The newest exposition. Behind the lock one is made at a time.
type Newest = Mutex<Option<(Instant, Bytes)>>;

/// Serves the metrics until the task is ended.
pub async fn serve(listener: TcpListener, platform: Arc<Platform>) {
    let newest = Arc::new(Newest::default());
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                warn!(%error, "cannot accept a scraper's connection");
                sleep(ACCEPT_REST).await;
                continue;
            }
        };
        let (platform, newest) = (platform.clone(), newest.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let (platform, newest) = (platform.clone(), newest.clone());
                async move { Ok::<_, Infallible>(answer(&platform, &newest, &request).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIME)
                .max_buf_size(HEAD_BYTES_MAX)
                // The next scrape is seconds away, and a place costs others theirs.
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            match timeout(CONNECTION_TIME, connection).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => debug!(%error, "a scraper's connection ended"),
                Err(_) => debug!("a scraper was cut off: it took too long"),
            }
            drop(place);
        });
    }
}

async fn answer(
    platform: &Arc<Platform>,
    newest: &Arc<Newest>,
    request: &Request<Incoming>,
) -> Response<Full<Bytes>> {
    if request.uri().path() != PATH {
        return refusal(StatusCode::NOT_FOUND, "only /metrics is here\n");
    }
    if request.method() != Method::GET {
        let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED, "only GET is taken\n");
        let allow = HeaderValue::from_static("GET");
        response.headers_mut().insert(ALLOW, allow);
        return response;
    }
    // In a task of its own: a scraper that leaves meanwhile must not let the next one begin another.
    let made = tokio::spawn(exposition(platform.clone(), newest.clone())).await;
    match made.ok().flatten() {
        Some(text) => {
            let mut response = Response::new(Full::new(text));
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        None => refusal(StatusCode::INTERNAL_SERVER_ERROR, "the log says why\n"),
    }
}

/// The newest exposition, or a new one where it is not fresh.
async fn exposition(platform: Arc<Platform>, newest: Arc<Newest>) -> Option<Bytes> {
    let mut newest = newest.lock().await;
    if let Some((made, text)) = &*newest
        && made.elapsed() < FRESH
    {
        return Some(text.clone());
    }
    let standing = Standing::ask(&platform).await;
    let text = move || scrape::text(&platform, standing);
    match tokio::task::spawn_blocking(text).await {
        Ok(text) => {
            let text = Bytes::from(text);
            *newest = Some((Instant::now(), text.clone()));
            Some(text)
        }
        Err(error) => {
            warn!(%error, "the metrics could not be put together");
            None
        }
    }
}

fn refusal(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}
