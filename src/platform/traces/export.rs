//! Spans on their way to a collector: a queue that is full rather than waited for, and a task that
//! sends what is in it, by OTLP over HTTP. That encoding needs nothing that the platform has not got:
//! its messages are protobuf, its transport is hyper, and every collector takes it.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::http::{HeaderValue, Request, Response, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, RetryPolicy, SpanExporter, WithExportConfig as _,
    WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter as _, SpanProcessor};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tracing::{info, warn};

use crate::files::FileError;
use crate::net::roots;
use crate::net::tcp;
use crate::net::tls::{self, TlsError};
use crate::platform::config::CollectorUrl;

/// Spans that wait at most: some 2 MiB. Further ones are dropped, and counted.
const QUEUED_MAX: usize = 2048;
/// Spans in one message to the collector.
const BATCH_MAX: usize = 512;
/// How long a span waits for others to go with.
const BATCH_DELAY: Duration = Duration::from_secs(1);
/// From the connection to the collector's answer.
const SEND_TIME: Duration = Duration::from_secs(10);
/// At the end of the platform: so long may what waits take.
const FINISH_TIME: Duration = Duration::from_secs(2);
/// The largest answer of a collector that is read; it has a few numbers.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The way to the collector cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The file of certificates cannot be read.
    #[error("otlp_ca: {0}")]
    File(#[from] FileError),
    /// It holds none that can be used.
    #[error("otlp_ca: {}: {source}", path.display())]
    Certificates {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: TlsError,
    },
    /// This machine trusts nobody.
    #[error("this machine has no ca-certificates: name the collector's authority with otlp_ca")]
    NoRoots,
    /// The settings of OpenTelemetry do not do.
    #[error("otlp_endpoint: {0}")]
    Settings(#[from] ExporterBuildError),
}

/// What became of spans.
#[derive(Debug, Default)]
pub struct SpanCounts {
    exported: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

impl SpanCounts {
    /// By outcome: taken by the collector, not taken, and never sent.
    pub fn outcomes(&self) -> [(&'static str, u64); 3] {
        [
            ("exported", &self.exported),
            ("failed", &self.failed),
            ("dropped", &self.dropped),
        ]
        .map(|(outcome, count)| (outcome, count.load(Ordering::Relaxed)))
    }
}

/// The queue's far end, and what is behind it.
pub(super) struct Export {
    queue: mpsc::Sender<Item>,
    counts: Arc<SpanCounts>,
    state: State,
}

enum State {
    Prepared(Box<(SpanExporter, mpsc::Receiver<Item>)>),
    Running(JoinHandle<()>),
    /// Between the two.
    Starting,
}

enum Item {
    Span(Box<SpanData>),
    /// All before it are to be sent, and this told then.
    Finish(oneshot::Sender<()>),
}

impl Export {
    /// Prepares the way to this collector.
    pub(super) fn to(
        endpoint: &CollectorUrl,
        ca: Option<&Path>,
        resource: &Resource,
    ) -> Result<Self, ExportError> {
        let tls = if endpoint.is_https() {
            Some(trusting(ca)?)
        } else {
            None
        };
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client { tls })
            .with_endpoint(endpoint.traces())
            .with_protocol(Protocol::HttpBinary)
            // It would sleep on this thread between its tries. What fails is lost, and counted.
            .with_retry_policy(RetryPolicy::disabled())
            .build()?;
        exporter.set_resource(resource);
        let (queue, items) = mpsc::channel(QUEUED_MAX);
        Ok(Self {
            queue,
            counts: Arc::default(),
            state: State::Prepared(Box::new((exporter, items))),
        })
    }

    /// The near end, where spans come in.
    pub(super) fn queue(&self) -> Queue {
        Queue {
            items: self.queue.clone(),
            counts: self.counts.clone(),
        }
    }

    pub(super) fn counts(&self) -> Arc<SpanCounts> {
        self.counts.clone()
    }

    /// Begins to send, within a runtime.
    pub(super) fn start(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Starting) {
            State::Prepared(prepared) => {
                let (exporter, items) = *prepared;
                let sending = send_all(exporter, items, self.counts.clone());
                State::Running(tokio::spawn(sending))
            }
            other => other,
        };
    }

    /// Sends what waits, and ends.
    pub(super) async fn finish(self) {
        let State::Running(task) = self.state else {
            return;
        };
        let (sent, all_sent) = oneshot::channel();
        let finished = async {
            if self.queue.send(Item::Finish(sent)).await.is_ok() {
                // Where the task is gone there is nothing to wait for.
                let _ = all_sent.await;
            }
        };
        if timeout(FINISH_TIME, finished).await.is_err() {
            warn!("the collector did not take the last spans in time");
        }
        task.abort();
    }
}

/// What this machine trusts, or the one authority that is named.
fn trusting(ca: Option<&Path>) -> Result<Arc<ClientConfig>, ExportError> {
    let (path, roots) = match ca {
        Some(path) => (path.to_owned(), roots::read(path)?),
        None => roots::of_this_machine().ok_or(ExportError::NoRoots)?,
    };
    roots
        .and_then(|roots| tls::client_trusting(roots, false))
        .map_err(|source| ExportError::Certificates { path, source })
}

/// The queue's near end: takes a span or drops it, and never waits.
#[derive(Debug)]
pub(super) struct Queue {
    items: mpsc::Sender<Item>,
    counts: Arc<SpanCounts>,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &opentelemetry::Context) {}

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        if self.items.try_send(Item::Span(Box::new(span))).is_err() {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        // `Export::finish` does, without blocking.
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl std::fmt::Debug for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Item")
    }
}

/// Sends batch by batch. What a collector does not take is given up: the newest spans matter most.
async fn send_all(
    exporter: SpanExporter,
    mut items: mpsc::Receiver<Item>,
    counts: Arc<SpanCounts>,
) {
    let mut failing = false;
    while let Some(first) = items.recv().await {
        let until = Instant::now() + BATCH_DELAY;
        let (mut batch, mut finish) = (Vec::new(), None);
        let mut next = Some(first);
        while let Some(item) = next {
            match item {
                Item::Span(span) => batch.push(*span),
                Item::Finish(tell) => {
                    finish = Some(tell);
                    break;
                }
            }
            if batch.len() == BATCH_MAX {
                break;
            }
            next = timeout_at(until, items.recv()).await.ok().flatten();
        }
        if !batch.is_empty() {
            let spans = batch.len() as u64;
            // The client has a bound in time itself; this one is for whatever else may hang.
            let sent = timeout(SEND_TIME * 2, exporter.export(batch)).await;
            let why = match sent {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("no answer in time".to_owned()),
            };
            let fails = why.is_some();
            let count = if fails {
                &counts.failed
            } else {
                &counts.exported
            };
            count.fetch_add(spans, Ordering::Relaxed);
            // Told when it changes, and not with each batch.
            match (why, failing) {
                (Some(error), false) => warn!(error, "the collector takes no spans"),
                (None, true) => info!("the collector takes spans again"),
                _ => {}
            }
            failing = fails;
        }
        if let Some(finish) = finish {
            let _ = finish.send(());
        }
    }
}

/// One connection a batch, bounded in time and size. Redirects are not followed.
#[derive(Debug)]
struct Client {
    tls: Option<Arc<ClientConfig>>,
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        timeout(SEND_TIME, self.send(request)).await?
    }
}

impl Client {
    async fn send(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let uri = std::mem::take(request.uri_mut());
        let authority = uri.authority().ok_or("the address has no host")?;
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let port = authority.port_u16();
        let port = port.unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        request
            .headers_mut()
            .insert(header::HOST, HeaderValue::from_str(authority.as_str())?);
        if let Some(path) = uri.path_and_query() {
            *request.uri_mut() = Uri::from(path.clone());
        }
        let stream = tcp::connect(&host, port).await?;
        match &self.tls {
            Some(tls) => {
                let name = ServerName::try_from(host)?;
                let stream = TlsConnector::from(tls.clone())
                    .connect(name, stream)
                    .await?;
                over(stream, request).await
            }
            None => over(stream, request).await,
        }
    }
}

async fn over<S>(
    stream: S,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, Box<dyn Error + Send + Sync>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await?;
    let exchange = async {
        let answer = sender.send_request(request.map(Full::new)).await?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?;
        Ok(Response::from_parts(head, body.to_bytes()))
    };
    tokio::pin!(connection);
    tokio::pin!(exchange);
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        ended = &mut connection => {
            ended?;
            // What is whole by then may still be taken.
            exchange.await
        }
    }
}
