//! Which TLS a client meets at the one port, by the name that it asks for: agents 1.3 and a request
//! for their certificate, everybody else neither, so that no browser prompts for one. Both change
//! while connections run, which are left alone.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::ServerConfig;
use rustls::server::{Acceptor, ClientHello};
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::net::tls::{self, ServerCertificates, TlsError};

/// What the TLS listener shows, to whom.
pub(super) struct Front {
    certificates: Arc<ServerCertificates>,
    others: Arc<ServerConfig>,
    agents: Mutex<Agents>,
}

struct Agents {
    authorities: Vec<CertificateDer<'static>>,
    config: Arc<ServerConfig>,
}

impl Front {
    /// A front that shows these certificates, and takes certificates of these authorities from whoever
    /// asks for one of the agents' names.
    pub fn new(
        certificates: ServerCertificates,
        authorities: &[CertificateDer<'static>],
    ) -> Result<Self, TlsError> {
        let certificates = Arc::new(certificates);
        Ok(Self {
            others: tls::server(certificates.clone())?,
            agents: Mutex::new(Agents::new(certificates.clone(), authorities)?),
            certificates,
        })
    }

    /// Takes certificates of these authorities from the next handshake on.
    pub fn trust(&self, authorities: &[CertificateDer<'static>]) -> Result<(), TlsError> {
        // The same ones leave everything as it is, the tickets that were given out too.
        if self.agents().authorities != authorities {
            *self.agents() = Agents::new(self.certificates.clone(), authorities)?;
        }
        Ok(())
    }

    /// Shows another certificate of our own from the next handshake on.
    pub fn replace_own(&self, own: Arc<CertifiedKey>) {
        self.certificates.replace_own(own);
    }

    /// Shows another of the operator's, or none, from the next handshake on.
    pub fn replace_operator(&self, operator: Option<Arc<CertifiedKey>>) {
        self.certificates.replace_operator(operator);
    }

    /// The operator's certificate, where one is shown.
    pub fn operator(&self) -> Option<Arc<CertifiedKey>> {
        self.certificates.operator()
    }

    /// Shakes hands with a client, in as long as it takes.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let config = self.config(&start.client_hello());
        start.into_stream(config).await
    }

    fn config(&self, hello: &ClientHello<'_>) -> Arc<ServerConfig> {
        match hello.server_name() {
            Some(name) if self.certificates.is_agents(name) => self.agents().config.clone(),
            // No name: a client that dialled an address.
            _ => self.others.clone(),
        }
    }

    fn agents(&self) -> MutexGuard<'_, Agents> {
        // It is replaced as a whole.
        self.agents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Agents {
    fn new(
        certificates: Arc<ServerCertificates>,
        authorities: &[CertificateDer<'static>],
    ) -> Result<Self, TlsError> {
        let config = tls::server_for_agents(certificates, authorities.iter().cloned())?;
        Ok(Self {
            authorities: authorities.to_vec(),
            config,
        })
    }
}
