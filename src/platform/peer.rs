//! Who is at the other end of a connection that a listener took.

use super::credential::HostCertificate;
use rustls::{ProtocolVersion, ServerConnection};
use std::{net::SocketAddr, sync::Arc};
use tokio::sync::OwnedSemaphorePermit;

/// From where a request comes, and by what.
#[derive(Clone)]
pub struct Peer {
    /// The other end's address.
    pub address: SocketAddr,
    /// Over which TLS it came; `None` where in plain.
    pub tls: Option<ProtocolVersion>,
    /// The host's certificate that it presented, if any: one that a CA of ours has issued, past its
    /// end perhaps, and of a host that may have been revoked since.
    pub certificate: Option<HostCertificate>,
    /// The connection's place among those allowed. What outlives the request on the connection
    /// (a WebSocket) keeps a clone.
    pub permit: Arc<OwnedSemaphorePermit>,
}

impl Peer {
    /// Notes what was agreed in TLS. Of a session that was resumed too: it brings the certificate of
    /// the one before along, for which nothing was verified now.
    pub(super) fn shook_hands(&mut self, session: &ServerConnection) {
        self.tls = session.protocol_version();
        let presented = session.peer_certificates().and_then(<[_]>::first);
        self.certificate = presented.and_then(HostCertificate::read);
    }
}
