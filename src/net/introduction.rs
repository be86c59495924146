//! Whose certificate a server shows, for a person who has to decide whether to trust it. The handshake
//! ends with that: nothing is said to whoever answers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::http_client::{HttpError, ServerUrl};
use super::{tcp, tls};

/// A server that takes longer is to nobody.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The CA's certificate that a server sends after its own.
///
/// # Errors
/// When it is not reached, or sends none.
pub async fn ca_of(server: &ServerUrl) -> Result<CertificateDer<'static>, HttpError> {
    let shown = timeout(TIMEOUT, chain_of(server)).await;
    let shown = shown.map_err(|_| HttpError::Timeout(server.clone()))??;
    let broken = |reason: &str| HttpError::Protocol {
        server: server.clone(),
        reason: reason.to_owned(),
    };
    // Its own comes first, and is no CA's.
    match shown.into_iter().skip(1).last() {
        Some(ca) => Ok(ca),
        None => Err(broken("it shows no CA beside its own certificate")),
    }
}

async fn chain_of(server: &ServerUrl) -> Result<Vec<CertificateDer<'static>>, HttpError> {
    let broken = |reason: String| HttpError::Protocol {
        server: server.clone(),
        reason,
    };
    let connected = tcp::connect(server.host(), server.port()).await;
    let tcp = connected.map_err(|source| HttpError::Connect {
        server: server.clone(),
        source,
    })?;
    let name = ServerName::try_from(server.host().to_owned());
    let name = name.map_err(|error| broken(error.to_string()))?;
    let seen = Arc::new(Seen::default());
    let config =
        tls::client_with(seen.clone(), false, None).map_err(|error| broken(error.to_string()))?;
    let handshake = TlsConnector::from(config).connect(name, tcp).await;
    let chain = std::mem::take(&mut *seen.0.lock().unwrap_or_else(PoisonError::into_inner));
    match handshake {
        Err(error) if chain.is_empty() => {
            Err(broken(tls::plain_words(&error.to_string()).to_owned()))
        }
        // It was refused for its certificate, as it had to be.
        _ => Ok(chain),
    }
}

/// Trusts nobody, and keeps what it is shown.
#[derive(Debug, Default)]
struct Seen(Mutex<Vec<CertificateDer<'static>>>);

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let shown = [end_entity].into_iter().chain(intermediates);
        let shown = shown.map(|certificate| certificate.clone().into_owned());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = shown.collect();
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        tls::provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
