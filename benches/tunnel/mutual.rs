//! Mutual TLS: what simulated agents prove themselves with, and the settings of the bare servers that ask
//! for it as the platform does.
//!
//! The bare servers have a CA, a server's chain and agents' certificates of the same make as the
//! platform's, and their settings are written out here with nothing of Fleetwire's in them. Leaves to
//! others: every connection.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use fleetwire::{
    clock::UnixMillis,
    ids::HostId,
    net::tls,
    platform::{
        ca::{CertificateAuthority, Serial},
        credential::ProvenKey,
    },
    secret::random,
};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, client::Resumption, crypto::ring,
    server::WebPkiClientVerifier, version::TLS13,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use serde::{Deserialize, Serialize};

use crate::Outcome;

/// The name that agents ask for where nothing else is set.
const SERVER_NAME: &str = "platform.fleetwire.internal";
/// How long certificates that are made here are good for.
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// What agents connect with, as the part that plays them reads it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Fleet {
    /// The name that they ask for.
    pub(crate) server_name: String,
    /// Whom they trust.
    pub(crate) ca_pem: String,
    /// One each.
    pub(crate) agents: Vec<Proof>,
}

/// What one agent has.
#[derive(Serialize, Deserialize)]
pub(crate) struct Proof {
    /// Its device token; `None` towards a bare server, which asks for none.
    pub(crate) token: Option<String>,
    /// Its certificate, in PEM.
    pub(crate) certificate: String,
    /// Its key, in PEM.
    pub(crate) key: String,
}

impl Fleet {
    /// Agents with certificates of the CA under `dir`, which is made where there is none, with a server's
    /// chain beside it. No platform knows their hosts.
    pub(crate) fn made_by(dir: &Path, count: usize) -> Outcome<Self> {
        let authority =
            CertificateAuthority::open(dir, &[SERVER_NAME.to_owned()], SystemTime::now())?;
        let now = UnixMillis::now();
        let agents = (0..count).map(|_| {
            let (key, request) = key_and_request()?;
            let proven = ProvenKey::of_request(&request)?;
            let (host, serial) = (HostId::random(random()), Serial::random(random()));
            Ok(Proof {
                token: None,
                certificate: authority.issue(host, &proven, serial, now, now.plus(LIFE))?,
                key,
            })
        });
        Ok(Self {
            server_name: SERVER_NAME.to_owned(),
            ca_pem: authority.trusted_pem().to_owned(),
            agents: agents.collect::<Outcome<_>>()?,
        })
    }

    /// Reads what [`Self::write`] has written.
    pub(crate) fn read(file: &Path) -> Outcome<Self> {
        Ok(serde_json::from_slice(&fs::read(file)?)?)
    }

    /// Writes it for the part that plays these agents.
    pub(crate) fn write(&self, file: &Path) -> Outcome<()> {
        Ok(fs::write(file, serde_json::to_vec(self)?)?)
    }

    /// The name that they ask for, as TLS has it.
    pub(crate) fn asks_for(&self) -> Outcome<ServerName<'static>> {
        Ok(tls::server_name(&self.server_name)?)
    }

    /// The settings of each, in turn. Agents are machines apart: none can resume what another began, and
    /// each handshake is whole.
    pub(crate) fn settings(&self) -> impl Iterator<Item = Outcome<Arc<ClientConfig>>> {
        let roots = tls::certificates_from_pem(&self.ca_pem);
        let roots = roots.map_err(|fault| fault.to_string());
        self.agents.iter().map(move |agent| {
            let identity = tls::certified_key_from_pem(&agent.certificate, &agent.key)?;
            let config = tls::client_presenting(roots.clone()?, identity)?;
            let mut config = ClientConfig::clone(&config);
            config.resumption = Resumption::disabled();
            Ok(Arc::new(config))
        })
    }
}

/// A new agent's key and its request for a certificate, both in PEM.
pub(crate) fn key_and_request() -> Outcome<(String, String)> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let request = CertificateParams::default().serialize_request(&key)?;
    Ok((key.serialize_pem(), request.pem()?))
}

/// A bare server's settings, with what stands under `dir`: TLS 1.3, a client's certificate of the CA,
/// one ticket that no memory is kept for.
pub(crate) fn bare_settings(dir: &Path) -> Outcome<Arc<ServerConfig>> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(dir.join("ca.pem"))?)?;
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()?;
    let chain = CertificateDer::pem_file_iter(dir.join("server.pem"))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            chain.collect::<Result<_, _>>()?,
            PrivateKeyDer::from_pem_file(dir.join("server.key"))?,
        )?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ticketer = ring::Ticketer::new()?;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}
