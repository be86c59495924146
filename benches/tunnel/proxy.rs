//! The yardstick: a bare reverse proxy of hyper's, one hop, no TLS, with a pool of origin
//! connections.
//!
//! It is as good as hyper allows (most recently used connection first, one current-thread runtime,
//! nothing copied) and does nothing a proxy need not do. Leaves to others: everything a real proxy
//! must (rewriting, limits).

use std::{
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use hyper::{
    Request, Response, StatusCode,
    body::{Body, Bytes, Frame, Incoming, SizeHint},
    client::conn::http1::{SendRequest, handshake},
    header,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::{Failure, Outcome};

/// Idle connections to the origin, the most recently used last.
#[derive(Clone)]
struct Pool {
    origin: SocketAddr,
    idle: Arc<Mutex<Vec<SendRequest<Incoming>>>>,
}

/// Serves as a part of its own: prints its address and forwards to `origin` until it is killed.
pub(crate) async fn serve(origin: SocketAddr) -> Outcome<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    crate::say(&listener.local_addr()?.to_string());
    let pool = Pool {
        origin,
        idle: Arc::default(),
    };
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let pool = pool.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| forward(pool.clone(), request));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A connection that fails is the client's to notice.
            connection.with_upgrades().await.is_ok()
        });
    }
}

impl Pool {
    /// The connection used last that is still open, else a new one.
    async fn take(&self) -> Outcome<SendRequest<Incoming>> {
        loop {
            let Some(mut sender) = self
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop()
            else {
                break;
            };
            if sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
        let stream = TcpStream::connect(self.origin).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move { connection.with_upgrades().await.is_ok() });
        Ok(sender)
    }
}

/// Forwards one request; an upgrade becomes a pipe between the two connections.
async fn forward(pool: Pool, mut request: Request<Incoming>) -> Outcome<Response<Leased>> {
    let upgrading = request
        .headers()
        .contains_key(header::UPGRADE)
        .then(|| hyper::upgrade::on(&mut request));
    let mut sender = pool.take().await?;
    let mut response = sender.send_request(request).await?;
    if let Some(browser) =
        upgrading.filter(|_| response.status() == StatusCode::SWITCHING_PROTOCOLS)
    {
        let device = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            let (mut browser, mut device) =
                (TokioIo::new(browser.await?), TokioIo::new(device.await?));
            tokio::io::copy_bidirectional(&mut browser, &mut device).await?;
            Outcome::Ok(())
        });
        return Ok(response.map(|body| Leased { body, lease: None }));
    }
    Ok(response.map(|body| Leased {
        body,
        lease: Some((sender, pool)),
    }))
}

/// An answer's body that gives its connection back when it has ended.
struct Leased {
    body: Incoming,
    lease: Option<(SendRequest<Incoming>, Pool)>,
}

impl Body for Leased {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let frame = Pin::new(&mut self.body)
            .poll_frame(cx)
            .map_err(Failure::from);
        if self.body.is_end_stream() || matches!(frame, Poll::Ready(None)) {
            self.release();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Leased {
    fn release(&mut self) {
        if let Some((sender, pool)) = self.lease.take() {
            pool.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(sender);
        }
    }
}

impl Drop for Leased {
    /// A body that is empty is never polled. One that is given up has its connection closed by
    /// hyper instead.
    fn drop(&mut self) {
        if self.body.is_end_stream() {
            self.release();
        }
    }
}
