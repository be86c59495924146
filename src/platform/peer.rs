//! Who is at the other end of a connection that a listener took.

use rustls::ProtocolVersion;
use std::{net::SocketAddr, sync::Arc};
use tokio::sync::OwnedSemaphorePermit;

/// From where a request comes, and by what.
#[derive(Clone)]
pub struct Peer {
    /// The other end's address.
    pub address: SocketAddr,
    /// Over which TLS it came; `None` where in plain.
    pub tls: Option<ProtocolVersion>,
    /// The connection's place among those allowed. What outlives the request on the connection
    /// (a WebSocket) keeps a clone.
    pub permit: Arc<OwnedSemaphorePermit>,
}
