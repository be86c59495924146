//! The platform: what agents dial out to, and where operators and browsers come in. This file owns
//! its state, one [`Platform`] that everything shares, and its start; `server` has the listeners,
//! `door` what comes in there, `service` the operations, `api` the doors to them.

mod accept;
pub mod agent_link;
pub mod alerts;
pub mod api;
pub mod audit_key;
mod backup;
pub mod blobs;
pub mod ca;
pub mod config;
pub mod console_page;
pub mod credential;
pub mod delivery;
mod door;
mod drift;
pub mod events;
pub mod fetch;
mod front;
pub mod health;
mod http2;
pub mod identity;
pub mod ingress;
pub mod mail;
pub mod metrics;
pub mod peer;
pub mod progress;
pub mod registry;
pub mod request_id;
pub mod server;
pub mod service;
pub mod sessions;
pub mod store;
pub mod traces;
mod track;
pub mod windows;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::audit::Entry;
use crate::audit::seal::AuditKey;
use crate::clock::{Now, UnixMillis};
use crate::files::{self, FileError};
use crate::ids::{ConsoleSessionId, HostId};
use crate::net::tls::{self, ServerCertificates, TlsError};
use crate::secret::Secret;
use agent_link::AgentLink;
use alerts::{Alerts, Webhooks};
use audit_key::AuditKeyError;
use blobs::{Blobs, Turns};
use ca::{CaError, CertificateAuthority};
use config::Config;
use delivery::{Carrier, Delivery};
use events::Bus;
use front::Front;
use health::History;
use identity::oidc::{Oidc, OidcStartError};
use identity::{Identity, KeyFileError};
use mail::{Mail, MailStartError};
use metrics::Metrics;
use progress::Progress;
use registry::Registry;
use sessions::{ENTRY_PATH, Sessions};
use store::{SqliteStore, Store, StoreError, StoreFigures};
use track::Track;

/// Largest token or certificate file.
const FILE_BYTES_MAX: usize = 1024 * 1024;

/// The platform cannot start; the text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file or directory cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another process has the data directory.
    #[error("{} is in use by another fleetwire-platform: stop that one first", .0.display())]
    InUse(PathBuf),
    /// The CA or the server certificate cannot be used.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// A key of sign-in cannot be used.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The audit log's key cannot be used.
    #[error(transparent)]
    AuditKey(#[from] AuditKeyError),
    /// The operator's certificate cannot be used.
    #[error("certificate {}: {source}", path.display())]
    Certificate {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: TlsError,
    },
    /// The store cannot be used.
    #[error("{}: {source}", path.display())]
    Store {
        /// The database's file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: StoreError,
    },
    /// Sign-in over an OpenID provider cannot be set up.
    #[error("oidc: {0}")]
    Oidc(#[from] OidcStartError),
    /// E-mail cannot be set up.
    #[error("mail: {0}")]
    Mail(#[from] MailStartError),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] TlsError),
    /// An address cannot be listened on.
    #[error(
        "cannot listen on {address}: {source}; is it in use? --listen and --http choose others"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// Everything that a running platform shares.
pub struct Platform {
    /// The settings.
    pub config: Config,
    /// What is kept.
    pub store: Arc<dyn Store>,
    /// Who is connected.
    pub registry: Registry<AgentLink>,
    /// Sign-in over an OpenID provider, if that is set up.
    pub oidc: Option<Oidc>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    store_figures: Arc<StoreFigures>,
    /// What happens.
    pub events: Arc<Bus>,
    /// What is going on at hosts that run a command.
    pub progress: Arc<Progress>,
    /// What hosts are to do.
    pub delivery: Arc<Delivery>,
    /// The bytes of files that commands bring or take.
    pub blobs: Blobs,
    sessions: Mutex<Sessions>,
    seen: Mutex<Seen>,
    unwritten_ends: Mutex<UnwrittenEnds>,
    audit_key: Arc<AuditKey>,
    /// Who may come in, and what they may do.
    pub identity: Identity,
    authority: Mutex<Arc<CertificateAuthority>>,
    front: Front,
    /// When a refusal of a host's key was last noted in the audit log.
    refusals: Mutex<HashMap<HostId, UnixMillis>>,
    /// `https` or `http`, and the port by which browsers reach a session.
    console: config::PublicPort,
    stopping: watch::Sender<bool>,
    /// What passed between agents and this platform.
    pub track: Arc<Track>,
    /// How hosts have been.
    pub health: Arc<History>,
    /// What wakes those who look after alerts.
    pub alerts: Arc<Alerts>,
    /// How e-mail about them goes out, if that is set up.
    mail: Option<Mail>,
    /// What messages about them go out with to webhooks; `None` where this machine trusts nobody's certificates.
    webhooks: Option<Webhooks>,
    /// Held, not read: what writes, tells and delivers ends with the platform.
    _running: [Running; 4],
    /// Who writes pieces of files, one a file at a time.
    writing_files: Turns,
    /// Held while a backup is made or deleted.
    backing_up: Arc<tokio::sync::Mutex<()>>,
    /// Held, not read: the lock on the data directory.
    _lock: files::Lock,
}

/// A task that ends when this is dropped.
struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// When hosts were last heard of, as far as the store has not been told.
#[derive(Default)]
struct Seen {
    hosts: HashMap<HostId, UnixMillis>,
    /// When all that were connected were last put in.
    all_at: UnixMillis,
}

/// Sessions that have ended, as far as the store has not been told, with what the audit log is to
/// say. While the store fails no session can be opened, so these are no more than were open.
type UnwrittenEnds = BTreeMap<ConsoleSessionId, Entry>;

impl Platform {
    /// Opens the data directory, or makes what it lacks: database, CA, server certificate, the
    /// audit log's key, and the administrator's token. `console` is the way browsers reach a session's origin.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn open(
        config: Config,
        console: config::PublicPort,
    ) -> Result<Arc<Self>, StartError> {
        let dir = config.data_dir.clone();
        files::private_dir(&dir)?;
        let lock = files::lock(&dir.join("lock"))?.ok_or_else(|| StartError::InUse(dir.clone()))?;
        let ca = CertificateAuthority::open(&dir, &config.certificate_names(), SystemTime::now())?;
        let operator = operator_certificate(&config)?;
        let oidc = config.oidc.as_ref().map(Oidc::open).transpose()?;
        let mail = open_mail(&config)?;
        let certificates = ServerCertificates::new(config.agents_names(), ca.server(), operator);
        let front = Front::new(certificates, ca.trusted())?;

        let audit_key = audit_key::open(&dir)?;
        let path = dir.join("platform.db");
        let failed = |source| StartError::Store {
            path: path.clone(),
            source,
        };
        let store = SqliteStore::open(&path, audit_key.clone()).map_err(failed)?;
        let store_figures = store.figures();
        let store: Arc<dyn Store> = Arc::new(store);
        let identity = Identity::open(UnixMillis::now(), &dir, store.clone()).await?;
        alerts::seal_secrets(&*store, &identity)
            .await
            .map_err(failed)?;
        let sessions = open_sessions(&config, &*store).await.map_err(failed)?;
        let events = Bus::open(store.clone()).await.map_err(failed)?;
        let tracked = track::Settings {
            requests: config.track_requests,
            heartbeats: config.track_heartbeats,
        };
        let track = Track::new(tracked, store.clone());
        let health = History::new(config.health, store.clone());
        let progress = Arc::<Progress>::default();
        let blobs = Blobs::open(&dir)?;
        let metrics = Arc::<Metrics>::default();
        let kept = config.files.clone();
        let carrier = Carrier::new(store.clone(), blobs.clone(), kept, metrics.clone());
        let (delivery, deliveries) = Delivery::new(store.clone(), progress.clone(), carrier);
        let alerts = Arc::<Alerts>::default();
        let (watched, noticed) = (events.clone(), alerts.clone());
        let registry = Registry::watched(Box::new(move |host, what| {
            noticed.happened(Now::of_clocks(), host, &what);
            watched.tell(host, what);
        }));

        Ok(Arc::new(Self {
            store,
            oidc,
            metrics,
            store_figures,
            registry,
            _running: [
                Running(tokio::spawn(events.clone().run())),
                Running(tokio::spawn(track.clone().run())),
                Running(tokio::spawn(health.clone().run())),
                Running(tokio::spawn(deliveries)),
            ],
            events,
            delivery,
            blobs,
            track,
            health,
            alerts,
            mail,
            webhooks: Webhooks::open(config.alerts.private_webhooks),
            progress,
            sessions: Mutex::new(sessions),
            seen: Mutex::default(),
            unwritten_ends: Mutex::default(),
            audit_key,
            identity,
            authority: Mutex::new(Arc::new(ca)),
            front,
            refusals: Mutex::default(),
            console,
            stopping: watch::Sender::new(false),
            writing_files: Turns::default(),
            backing_up: Arc::default(),
            config,
            _lock: lock,
        }))
    }

    /// The table of console sessions, locked: never across an await.
    pub fn sessions(&self) -> MutexGuard<'_, Sessions> {
        // The table is whole at every step that could panic.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The public origin of a session, such as `http://<label>.localhost:8080`.
    pub fn console_origin(&self, label: &str) -> String {
        let config::PublicPort { https, port } = self.console;
        let scheme = if https { "https" } else { "http" };
        let domain = &self.config.console_domain;
        if port == if https { 443 } else { 80 } {
            format!("{scheme}://{label}.{domain}")
        } else {
            format!("{scheme}://{label}.{domain}:{port}")
        }
    }

    /// Whether browsers reach sessions over TLS.
    pub const fn console_is_https(&self) -> bool {
        self.console.https
    }

    /// Checks what a start would read beside the settings, and makes nothing.
    ///
    /// # Errors
    /// When the operator's certificate, or a file for the OpenID provider or the mail server, cannot be used.
    pub fn check(config: &Config) -> Result<(), StartError> {
        operator_certificate(config)?;
        config.oidc.as_ref().map(Oidc::open).transpose()?;
        open_mail(config)?;
        Ok(())
    }

    /// Reads the certificates anew, those of the CAs that are trusted too; connections that stand are
    /// left alone.
    ///
    /// # Errors
    /// When one cannot be used: then it stays as it is. The operator's does not hold up the renewal
    /// of ours, which agents need.
    pub fn reload_certificates(&self) -> Result<(), StartError> {
        let names = self.config.certificate_names();
        let ca = CertificateAuthority::open(&self.config.data_dir, &names, SystemTime::now())?;
        self.front.trust(ca.trusted())?;
        self.front.replace_own(ca.server());
        // Each value is whole: nothing can panic while it is replaced.
        *self
            .authority
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(ca);
        let operator = operator_certificate(&self.config)?;
        self.front.replace_operator(operator);
        Ok(())
    }

    /// The CA, as it was last read.
    pub fn authority(&self) -> Arc<CertificateAuthority> {
        self.authority
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether the platform is about to stop.
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    fn console_url(&self, label: &str, ticket: &Secret) -> Secret {
        let origin = self.console_origin(label);
        Secret::new(format!("{origin}{ENTRY_PATH}#{}", ticket.expose()))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refusals(&self) -> MutexGuard<'_, HashMap<HostId, UnixMillis>> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unwritten_ends(&self) -> MutexGuard<'_, UnwrittenEnds> {
        let ends = self.unwritten_ends.lock();
        ends.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until the platform is about to stop.
async fn stop_told(stopping: &mut watch::Receiver<bool>) {
    // The sender lives as long as the platform, which outlives every connection.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// Takes up the sessions again that were entered before the last stop.
async fn open_sessions(config: &Config, store: &dyn Store) -> Result<Sessions, StoreError> {
    let mut sessions = Sessions::new(config.session_idle, config.session_max);
    let names: HashMap<_, _> = store
        .hosts()
        .await?
        .into_iter()
        .map(|host| (host.id, host.name))
        .collect();
    for record in store.open_sessions().await? {
        match names.get(&record.host) {
            Some(name) if record.cookie.is_some() => {
                sessions.restore(UnixMillis::now(), &record, name);
            }
            _ => {
                let target = format!("session:{}", record.id);
                let audit = Entry::new(UnixMillis::now(), "platform", "session.close", target)
                    .host(record.host)
                    .session(record.id)
                    .detail("user", record.user)
                    .detail("reason", sessions::CloseReason::NeverEntered.code());
                store.session_ended(record.id, audit).await?;
            }
        }
    }
    Ok(sessions)
}

fn open_mail(config: &Config) -> Result<Option<Mail>, MailStartError> {
    let open = |settings| Mail::open(settings, config::machine_name());
    config.mail.as_ref().map(open).transpose()
}

fn operator_certificate(
    config: &Config,
) -> Result<Option<Arc<rustls::sign::CertifiedKey>>, StartError> {
    let (Some(chain), Some(key)) = (&config.certificate, &config.certificate_key) else {
        return Ok(None);
    };
    let pair = tls::certified_key_from_pem(
        &files::read_text(chain, FILE_BYTES_MAX)?,
        &files::read_text(key, FILE_BYTES_MAX)?,
    );
    pair.map(Some).map_err(|source| StartError::Certificate {
        path: chain.clone(),
        source,
    })
}

#[cfg(test)]
impl Platform {
    /// A platform in an empty directory, with everything at its default, whose sessions are at plain
    /// names on port 80.
    async fn fresh(dir: &std::path::Path) -> Arc<Self> {
        let args = config::Args {
            data_dir: Some(dir.to_owned()),
            ..config::Args::default()
        };
        let config = Config::load(&args, []).expect("usable");
        let console = config::PublicPort {
            https: false,
            port: 80,
        };
        Self::open(config, console).await.expect("opened")
    }
}
