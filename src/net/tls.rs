//! TLS for both ends: rustls with the ring provider passed explicitly, so that nothing depends on a
//! process-wide default. The link speaks TLS 1.3 only; browsers may come with 1.2.
//! Certificates are made and kept elsewhere (`platform::ca`, `agent::identity`); which of the two
//! kinds of server settings a client meets is `platform::front`'s.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, OtherError,
    RootCertStore, ServerConfig, SignatureScheme,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use sha2::{Digest as _, Sha256};

/// HTTP/1.1, WebSockets included, as an application protocol (RFC 7301).
const ALPN_HTTP1: &[u8] = b"http/1.1";
/// HTTP/2, which gRPC is carried by.
pub const ALPN_HTTP2: &[u8] = b"h2";
/// What is spoken on the agents' names, to which the link's WebSocket is all.
const ALPN_AGENTS: &[&[u8]] = &[ALPN_HTTP1];
/// What is spoken on every other name. The server's order counts: HTTP/2 is for clients that offer
/// nothing else, which gRPC's do.
const ALPN_OTHERS: &[&[u8]] = &[ALPN_HTTP1, ALPN_HTTP2];

/// Certificates in one PEM file; ca-certificates of Debian has about 150.
const CERTIFICATES_MAX: usize = 1000;

/// Settings or certificates with which no TLS can be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The text holds no PEM certificate.
    #[error("there is no PEM certificate in it")]
    NoCertificate,
    /// The text holds no PEM private key.
    #[error("there is no PEM private key in it")]
    NoKey,
    /// The text is no name that a server can be asked for by.
    #[error("{0:?} is no server name")]
    ServerName(String),
    /// The PEM is damaged.
    #[error("the PEM is damaged: {0}")]
    Pem(String),
    /// rustls refuses the certificate, the key, or their being together.
    #[error("certificate or key refused: {0}")]
    Refused(#[from] rustls::Error),
}

/// SHA-256 of a certificate's DER, which is how a CA is pinned.
pub fn fingerprint(certificate: &CertificateDer<'_>) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

/// Reads the certificates of a PEM text, in its order.
///
/// # Errors
/// When there is none, or the PEM is damaged.
pub fn certificates_from_pem(pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .take(CERTIFICATES_MAX)
        .collect::<Result<_, _>>()
        .map_err(|error| TlsError::Pem(error.to_string()))?;
    if certificates.is_empty() {
        Err(TlsError::NoCertificate)
    } else {
        Ok(certificates)
    }
}

/// Reads a certificate chain and its key for a server.
///
/// # Errors
/// When one is missing or damaged, or they do not belong together.
pub fn certified_key_from_pem(chain: &str, key: &str) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain = certificates_from_pem(chain)?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| TlsError::NoKey)?;
    Ok(Arc::new(CertifiedKey::from_der(chain, key, &provider())?))
}

/// A certificate as PEM (RFC 7468).
pub fn to_pem(certificate: &CertificateDer<'_>) -> String {
    let base64 = BASE64_STANDARD.encode(certificate);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for line in base64.as_bytes().chunks(64) {
        pem.extend(line.iter().copied().map(char::from));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

/// Reads a server's name, as it is asked for in TLS.
///
/// # Errors
/// When it is none.
pub fn server_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(name.to_owned()).map_err(|_| TlsError::ServerName(name.to_owned()))
}

/// A client's settings that trust only the given roots. `link` allows TLS 1.3 alone, as the agent's
/// connection demands; otherwise 1.2 is taken as well.
///
/// # Errors
/// When rustls refuses a root.
pub fn client_trusting(
    roots: impl IntoIterator<Item = CertificateDer<'static>>,
    link: bool,
) -> Result<Arc<ClientConfig>, TlsError> {
    client_with(server_verifier(roots)?, link, None)
}

/// An agent's settings: those of [`client_trusting`] for the link, and the certificate that it
/// presents where it is asked for one.
///
/// # Errors
/// When rustls refuses a root.
pub fn client_presenting(
    roots: impl IntoIterator<Item = CertificateDer<'static>>,
    identity: Arc<CertifiedKey>,
) -> Result<Arc<ClientConfig>, TlsError> {
    client_with(server_verifier(roots)?, true, Some(identity))
}

/// A client's settings for the first contact: the server must present a chain whose CA certificate
/// has this fingerprint, valid and for the name asked for. TLS 1.3 only.
///
/// # Errors
/// When rustls refuses the settings.
pub fn client_pinned(ca_fingerprint: [u8; 32]) -> Result<Arc<ClientConfig>, TlsError> {
    client_with(
        Arc::new(PinnedCa {
            ca_fingerprint,
            provider: provider(),
        }),
        true,
        None,
    )
}

/// The same settings for a client that speaks HTTP/2 and nothing else.
pub fn over_http2(config: &ClientConfig) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.alpn_protocols = vec![ALPN_HTTP2.to_vec()];
    Arc::new(config)
}

/// A server's settings for browsers and programs: no certificate is asked for, so that no browser
/// prompts for one.
///
/// # Errors
/// When rustls refuses the settings.
pub fn server(certificates: Arc<dyn ResolvesServerCert>) -> Result<Arc<ServerConfig>, TlsError> {
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    served(config, ALPN_OTHERS)
}

/// A server's settings for agents: TLS 1.3 alone, and a client that presents a certificate has it
/// from one of `authorities` or is no client. One without is let through: it may enrol or renew,
/// and what else it may do is asked above TLS.
///
/// # Errors
/// When rustls refuses the settings or an authority.
pub fn server_for_agents(
    certificates: Arc<dyn ResolvesServerCert>,
    authorities: impl IntoIterator<Item = CertificateDer<'static>>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let inner = WebPkiClientVerifier::builder_with_provider(roots_of(authorities)?, provider())
        .allow_unauthenticated()
        .build()
        .map_err(|error| TlsError::Pem(error.to_string()))?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(AgentsCertificates { inner }))
        .with_cert_resolver(certificates);
    served(config, ALPN_AGENTS)
}

/// What both kinds of server settings have. Sessions resume by tickets whose keys rotate, so that a
/// fleet that comes back at once costs no memory a client and a cheap handshake each. The keys are
/// each settings' own: a ticket that was given on one name, or under an earlier trust, is none here.
fn served(mut config: ServerConfig, alpn: &[&[u8]]) -> Result<Arc<ServerConfig>, TlsError> {
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config.ticketer = rustls::crypto::ring::Ticketer::new()?;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    // One ticket is enough for an agent that holds one connection.
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

/// The certificates a server presents: the operator's to whoever asks for a name that it covers, else
/// its own CA's, which covers every other name of the server. Either can be replaced while connections
/// run.
#[derive(Debug)]
pub struct ServerCertificates {
    agents_names: Vec<String>,
    current: Mutex<Certificates>,
}

#[derive(Debug)]
struct Certificates {
    own: Arc<CertifiedKey>,
    operator: Option<Arc<CertifiedKey>>,
}

impl ServerCertificates {
    /// `own` is shown to agents, who ask for one of `agents_names` and trust no other, whatever the
    /// operator's covers.
    pub fn new(
        agents_names: Vec<String>,
        own: Arc<CertifiedKey>,
        operator: Option<Arc<CertifiedKey>>,
    ) -> Self {
        Self {
            agents_names,
            current: Mutex::new(Certificates { own, operator }),
        }
    }

    /// Whether this is a name that agents ask for.
    pub fn is_agents(&self, name: &str) -> bool {
        let mut names = self.agents_names.iter();
        names.any(|agents| agents.eq_ignore_ascii_case(name))
    }

    /// Presents another of our own from the next handshake on.
    pub fn replace_own(&self, own: Arc<CertifiedKey>) {
        self.current().own = own;
    }

    /// Presents another of the operator's, or none, from the next handshake on.
    pub fn replace_operator(&self, operator: Option<Arc<CertifiedKey>>) {
        self.current().operator = operator;
    }

    /// The operator's certificate, where there is one.
    pub fn operator(&self) -> Option<Arc<CertifiedKey>> {
        self.current().operator.clone()
    }

    fn current(&self) -> MutexGuard<'_, Certificates> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for ServerCertificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current();
        let operator = current.operator.as_ref().filter(|operator| {
            // No name: a client that dialled an address, which only our own certificate covers.
            hello
                .server_name()
                .is_some_and(|name| !self.is_agents(name) && covers(operator, name))
        });
        Some(operator.unwrap_or(&current.own).clone())
    }
}

/// Whether a client that asks for this name would take the certificate for it, as far as the name goes.
fn covers(certified: &CertifiedKey, name: &str) -> bool {
    let covered = || -> Result<(), rustls::Error> {
        let certificate = ParsedCertificate::try_from(certified.end_entity_cert()?)?;
        let name = ServerName::try_from(name).map_err(|_| CertificateError::NotValidForName)?;
        verify_server_name(&certificate, &name)
    };
    covered().is_ok()
}

/// Why a handshake failed, for people.
pub fn reason(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) => other.0.to_string(),
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "its certificate does not come from the CA that was given".to_owned()
        }
        error => error.to_string(),
    }
}

/// A socket's error for people: rustls says where its manual has a chapter on peers that are gone
/// without TLS's last word (close_notify), which helps nobody who runs this.
pub fn plain_words(error: &str) -> &str {
    if error.contains("close_notify") {
        "the peer closed without a word"
    } else {
        error
    }
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    // One provider a process: its tables are large enough to be worth sharing.
    static PROVIDER: std::sync::OnceLock<Arc<CryptoProvider>> = std::sync::OnceLock::new();
    PROVIDER
        .get_or_init(|| Arc::new(rustls::crypto::ring::default_provider()))
        .clone()
}

fn roots_of(
    roots: impl IntoIterator<Item = CertificateDer<'static>>,
) -> Result<Arc<RootCertStore>, TlsError> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root)?;
    }
    if store.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    Ok(Arc::new(store))
}

fn server_verifier(
    roots: impl IntoIterator<Item = CertificateDer<'static>>,
) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    let verifier = WebPkiServerVerifier::builder_with_provider(roots_of(roots)?, provider())
        .build()
        .map_err(|error| TlsError::Pem(error.to_string()))?;
    Ok(verifier)
}

pub(super) fn client_with(
    verifier: Arc<dyn ServerCertVerifier>,
    link: bool,
    identity: Option<Arc<CertifiedKey>>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let versions: &[_] = if link { &[&TLS13] } else { &[&TLS13, &TLS12] };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)?
        // "dangerous" is rustls's word for any verifier that is handed over; both of ours verify
        // chain, name and validity through webpki.
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        Some(identity) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity)))
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![ALPN_HTTP1.to_vec()];
    Ok(Arc::new(config))
}

/// Takes the certificates of the agents' authorities, those past their end as well. An agent whose
/// clock is wrong cannot tell that its own has ended, and in TLS 1.3 the alert that says so comes
/// after its handshake and may be lost with the connection. So it is let through here and told in
/// words to renew. Whether a certificate is good for anything is asked above, of resumed sessions too,
/// for which nothing here is called.
#[derive(Debug)]
struct AgentsCertificates {
    inner: Arc<dyn ClientCertVerifier>,
}

impl ClientCertVerifier for AgentsCertificates {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self
            .inner
            .verify_client_cert(end_entity, intermediates, now);
        match verified {
            Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext {
                not_after,
                ..
            })) => self
                .inner
                .verify_client_cert(end_entity, intermediates, not_after),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Trusts exactly one CA, known by its fingerprint only: the server must send its certificate.
#[derive(Debug)]
struct PinnedCa {
    ca_fingerprint: [u8; 32],
    provider: Arc<CryptoProvider>,
}

/// The server's chain holds no certificate with the pinned fingerprint.
#[derive(Debug, thiserror::Error)]
#[error("the server's certificate does not come from the CA that the enrolment token names")]
struct OtherCa;

impl ServerCertVerifier for PinnedCa {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let ca = intermediates
            .iter()
            .find(|certificate| fingerprint(certificate) == self.ca_fingerprint)
            .ok_or_else(|| CertificateError::Other(OtherError(Arc::new(OtherCa))))?;
        let mut roots = RootCertStore::empty();
        roots.add(ca.clone().into_owned())?;
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
