//! Keeps one connection to the platform: dials, says hello, stays until it ends, waits, dials again.
//! What comes over the connection is handed on; only a refusal for good ends this.

use super::{
    commands::{Commands, Flood},
    credential::Credential,
    enrol::{AgentState, EnrolError, StateDir},
    health::Sampler,
    update::{SOFTWARE, Updates},
};
use crate::{
    clock::UnixMillis,
    ids::{Uuid, random_uuid},
    link::{Agent, AgentEvent, Link, Time},
    net::{
        backoff::{self, Backoff, DIAL_TIMEOUT},
        capability::{self, COMMAND_ACK, FILE_STREAMS},
        connection::{Connection, Ending, shown},
        driver,
        enrolment::{CERTIFICATE_RENEWAL, certificate_renewal},
        handshake::{self, HandshakeError},
        http_client::ServerUrl,
        socket::{self, SUBPROTOCOL_PROTO, Socket},
        stream::{RecvHalf, SendHalf},
        tcp,
        tls::{self, TlsError},
    },
    secret,
    wire::{
        Encoding,
        api::RenewCertificateResponse,
        messages::{
            Certificate, CertificateRequest, ErrorCode, GoAway, Heartbeat, Hello, HttpRequest,
            Refuse, Welcome,
        },
    },
};
use std::{
    io,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};
use tokio::{
    net::TcpStream,
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tracing::field::{Empty, display};
use tracing::{Instrument as _, Span, error, info, info_span, warn};

/// How long a heartbeat waits for fresh figures: it takes milliseconds where nothing hangs.
const SAMPLE_TIMEOUT: Duration = Duration::from_secs(1);

/// The agent cannot go on until somebody has changed something.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// The platform refuses this agent for good.
    #[error("the platform refuses this agent for good: {message} ({code})")]
    Refused {
        /// Why, for programs.
        code: ErrorCode,
        /// Why, for people.
        message: String,
    },
    /// Enrolment failed for good, or the state cannot be used.
    #[error(transparent)]
    Enrol(#[from] EnrolError),
    /// The platform's CA or name, as enrolment left them, cannot be used.
    #[error("the state directory cannot be used: {0}")]
    Tls(#[from] TlsError),
    /// The journal of commands in the state directory cannot be used.
    #[error("the journal of commands cannot be used: {0}")]
    Journal(#[from] io::Error),
}

/// Finds out who this agent is; enrols where it does not know, for as long as that takes.
pub async fn identify(
    dir: &StateDir,
    token_file: Option<&Path>,
    platform: &ServerUrl,
    name: &str,
) -> Result<AgentState, Fatal> {
    let mut backoff = Backoff::default();
    loop {
        match dir.state_or_enrol(token_file, platform, name).await {
            Ok(state) => return Ok(state),
            Err(error) if error.is_transient() => {
                let (wait, _) = backoff.next_wait(entropy());
                warn!(%error, retry_in_ms = wait.as_millis(), "not enrolled yet");
                sleep(wait).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The agent's side of the connection to its platform, from one connection to the next.
pub struct Dialer {
    platform: ServerUrl,
    directory: Arc<StateDir>,
    state: AgentState,
    credential: Credential,
    /// Names this run of the process.
    instance_id: Uuid,
    sampler: Arc<Mutex<Sampler>>,
    health: Heartbeat,
    commands: Commands,
    current: CurrentConnection,
    updates: Option<Updates>,
}

/// The connection that an agent has, or had last; `None` before the first.
pub type CurrentConnection = watch::Sender<Option<Connection<Agent>>>;

/// What the platform says of the connection itself.
enum Notice {
    Welcome(Welcome),
    Refuse(Refuse),
    GoAway(GoAway),
    Certificate(Certificate),
}

/// What to do after a connection.
enum Next {
    /// Dial again after the backoff's wait.
    Backoff,
    /// Dial again after this.
    Wait(Duration),
}

impl Dialer {
    /// A dialer for an agent that is enrolled; `current` is told of each connection.
    pub fn new(
        platform: ServerUrl,
        directory: Arc<StateDir>,
        state: AgentState,
        commands: Commands,
        current: CurrentConnection,
    ) -> Result<Self, Fatal> {
        Ok(Self {
            credential: Credential::new(&directory, &state, &platform)?,
            directory,
            instance_id: random_uuid(secret::random()),
            platform,
            state,
            sampler: Arc::new(Mutex::new(Sampler::new())),
            health: Heartbeat {
                uptime_seconds: None,
                cpu_percent: None,
                memory_percent: None,
                disk_percent: None,
                load_1m: None,
                temperature_celsius: None,
                sent_us: None,
                round_trip_us: None,
            },
            commands,
            current,
            updates: None,
        })
    }

    /// The same, for an agent that another may take the place of.
    #[must_use]
    pub fn updating_by(mut self, updates: Updates) -> Self {
        self.instance_id = updates.instance();
        self.updates = Some(updates);
        self
    }

    fn is_away(&self) -> bool {
        self.updates.as_ref().is_some_and(Updates::is_away)
    }

    /// Stays connected for as long as the platform lets it. `on_stream` is called for each request,
    /// in the connection's own task: it spawns what takes time.
    pub async fn run<F>(mut self, on_stream: F) -> Fatal
    where
        F: Fn(HttpRequest, SendHalf<Agent>, RecvHalf<Agent>) + Clone + Send + Unpin + 'static,
    {
        let mut backoff = Backoff::default();
        loop {
            if let Some(updates) = &self.updates {
                updates.may_connect().await;
            }
            self.sample().await;
            if self.credential.has_ended(UnixMillis::now()) {
                match self.renew_by_request().await {
                    Ok(()) => {}
                    Err(error) if error.is_transient() => {
                        let (wait, _) = backoff.next_wait(entropy());
                        warn!(%error, retry_in_ms = wait.as_millis(), "the certificate has ended");
                        sleep(wait).await;
                        continue;
                    }
                    Err(error) => return error,
                }
            }
            let next = match timeout(DIAL_TIMEOUT, reach(&self.platform, &self.credential)).await {
                // Somebody has asked for that while it was dialled.
                Ok(Ok(_)) if self.is_away() => continue,
                Ok(Ok(socket)) => {
                    let span = info_span!("connection", connection_id = Empty);
                    let stay = self.stay(socket, on_stream.clone(), &mut backoff);
                    match stay.instrument(span).await {
                        Ok(next) => next,
                        Err(fatal) => return fatal,
                    }
                }
                Ok(Err(error)) => {
                    let text = error.to_string();
                    let error = tls::plain_words(&text);
                    warn!(platform = %self.platform, %error, "cannot reach the platform");
                    Next::Backoff
                }
                Err(_) => {
                    warn!(platform = %self.platform, "the platform does not answer");
                    Next::Backoff
                }
            };
            if self.is_away() {
                continue;
            }
            let wait = match next {
                Next::Backoff => {
                    let (wait, ceiling) = backoff.next_wait(entropy());
                    let (wait_ms, ceiling_s) = (wait.as_millis(), ceiling.as_secs());
                    info!(wait_ms, ceiling_s, "dialling again after a wait");
                    wait
                }
                Next::Wait(wait) => {
                    info!(
                        wait_ms = wait.as_millis(),
                        "dialling again when the platform said"
                    );
                    wait
                }
            };
            sleep(wait).await;
        }
    }

    async fn stay<F>(
        &mut self,
        socket: Socket<TlsStream<TcpStream>>,
        on_stream: F,
        backoff: &mut Backoff,
    ) -> Result<Next, Fatal>
    where
        F: Fn(HttpRequest, SendHalf<Agent>, RecvHalf<Agent>) + Send + Unpin + 'static,
    {
        let (notices_in, mut notices) = mpsc::channel(8);
        let span = Span::current();
        let mut visit = self.commands.visit();
        let on_event = move |event, connection: &Connection<Agent>| match event {
            AgentEvent::Opened { key, request } => {
                let (send, recv) = connection.halves(key);
                on_stream(request, send, recv);
            }
            // A platform that says one thing so often that this is full is not listened to.
            AgentEvent::Welcome(welcome) => {
                close_on_flood(visit.welcome(&welcome, connection), connection);
                drop(notices_in.try_send(Notice::Welcome(welcome)));
            }
            AgentEvent::Refuse(refuse) => drop(notices_in.try_send(Notice::Refuse(refuse))),
            AgentEvent::GoAway(go_away) => drop(notices_in.try_send(Notice::GoAway(go_away))),
            AgentEvent::SessionOpen(session) => {
                let _in = span.enter();
                info!(session = %session.session_id, user = %shown(&session.user), "console session opened");
            }
            AgentEvent::SessionClose(session) => {
                let _in = span.enter();
                info!(session = %session.session_id, reason = %session.reason, "console session closed");
            }
            AgentEvent::Certificate(certificate) => {
                drop(notices_in.try_send(Notice::Certificate(certificate)));
            }
            AgentEvent::Command(_)
            | AgentEvent::CommandCancel(_)
            | AgentEvent::ResponseAck(_)
            | AgentEvent::JournalSync(_) => {
                let _in = span.enter();
                close_on_flood(visit.take(event, connection), connection);
            }
            AgentEvent::Error(error) => {
                let _in = span.enter();
                warn!(code = %error.code, "the platform reports: {:?}", error.message);
            }
        };
        let mut link = Link::<Agent>::connect(
            hello(&self.state, &self.credential, self.instance_id),
            Time::default(),
        );
        link.set_health(self.health.clone());
        let (connection, driver) = driver::start(socket, link, Some(Encoding::Binary), on_event);
        tokio::spawn(driver);
        self.current.send_replace(Some(connection.clone()));

        let mut welcomed: Option<(Instant, Duration)> = None;
        let mut next = Next::Backoff;
        let mut leave_at: Option<Instant> = None;
        let mut sample_at = Instant::now();
        // Set once the platform has said that it can.
        let mut renew_at: Option<Instant> = None;
        let mut renewal_asked = false;
        let ending = loop {
            let leave = async {
                match leave_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let renew = async {
                match renew_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Some(notice) = notices.recv() => match notice {
                    Notice::Welcome(welcome) => {
                        let interval =
                            Duration::from_millis(u64::from(welcome.heartbeat_interval_ms));
                        // Just before the next heartbeat, so that its figures are fresh.
                        sample_at = Instant::now() + interval.mul_f64(0.9);
                        welcomed = Some((Instant::now(), interval));
                        // As the platform's log has it.
                        Span::current().record("connection_id", display(welcome.session_id));
                        let names = &welcome.capabilities;
                        if names.iter().any(|name| name.as_str() == CERTIFICATE_RENEWAL) {
                            renew_at = self.renewal_due();
                        }
                        let skew_ms = skew_ms(&welcome);
                        info!(platform = %self.platform, name = %self.state.name, skew_ms, "connected");
                        if let Some(updates) = &self.updates {
                            updates.welcomed();
                        }
                    }
                    Notice::Certificate(certificate) => {
                        match self.renewed(certificate) {
                            Ok(()) => info!("certificate renewed"),
                            Err(error) => warn!(%error, "the certificate that came cannot be kept"),
                        }
                        renew_at = self.renewal_due().or(renew_at);
                        renewal_asked = false;
                    }
                    Notice::Refuse(refuse) if refuse.code == ErrorCode::CertificateExpired => {
                        self.certificate_ended(&connection);
                    }
                    Notice::Refuse(refuse) => {
                        if refuse.permanent {
                            return Err(fatal(refuse.code, &refuse.message));
                        }
                        let wait = Duration::from_millis(u64::from(refuse.retry_after_ms));
                        warn!(code = %refuse.code, wait_ms = wait.as_millis(), "the platform says to come back later: {}", shown(&refuse.message));
                        // It should close, and need not: nothing is read of it any more.
                        connection.close(ErrorCode::Unspecified, "refused");
                        if !wait.is_zero() {
                            next = Next::Wait(wait + backoff::share(wait / 4, entropy()));
                        }
                    }
                    Notice::GoAway(go_away) if go_away.code == ErrorCode::CertificateExpired => {
                        self.certificate_ended(&connection);
                    }
                    Notice::GoAway(go_away) => {
                        if is_for_good(go_away.code) {
                            return Err(fatal(go_away.code, &go_away.message));
                        }
                        let window = Duration::from_millis(u64::from(go_away.reconnect_window_ms));
                        let wait = backoff::share(window, entropy());
                        info!(code = %go_away.code, wait_ms = wait.as_millis(), "the platform sends its agents away: {}", shown(&go_away.message));
                        if !window.is_zero() {
                            leave_at = Some(Instant::now() + wait);
                        }
                    }
                },
                () = renew => {
                    self.ask_to_renew(&connection);
                    renewal_asked = true;
                    renew_at = Some(Instant::now() + self.credential.retry_after());
                }
                () = leave => {
                    connection.close(ErrorCode::Unspecified, "as the platform asked");
                    leave_at = None;
                    next = Next::Wait(Duration::ZERO);
                }
                ending = connection.ended() => break ending,
                () = sleep_until(sample_at), if welcomed.is_some() => {
                    self.sample().await;
                    connection.set_health(self.health.clone());
                    let interval = welcomed.map_or(Duration::from_secs(15), |(_, interval)| interval);
                    sample_at += interval;
                    if !renewal_asked && renew_at.is_some() {
                        // Timers stand still while a machine sleeps, and its clock may be set.
                        renew_at = self.renewal_due();
                    }
                }
            }
        };
        if let Some(at) = leave_at {
            // The platform was quicker: the moment that was chosen in its window still holds.
            next = Next::Wait(at.saturating_duration_since(Instant::now()));
        }
        if let Some((since, _)) = welcomed {
            backoff.connected_for(since.elapsed());
        }
        match &ending {
            Ending::Violation(violation) => error!(%violation, "connection ended"),
            ending => warn!(%ending, "connection ended"),
        }
        Ok(next)
    }

    /// Takes the platform's word for the end of the certificate, whatever this machine's clock says of it:
    /// it is renewed before the next connection.
    fn certificate_ended(&mut self, connection: &Connection<Agent>) {
        warn!("the platform says that the certificate has ended");
        self.credential.ended = true;
        connection.close(ErrorCode::Unspecified, "the certificate has ended");
    }

    /// When the certificate is to be renewed, on this connection's clock.
    fn renewal_due(&self) -> Option<Instant> {
        self.credential.identity.as_ref()?;
        let due = UnixMillis(self.state.renew_at_unix_ms.unwrap_or_default());
        Some(Instant::now() + due.since(UnixMillis::now()))
    }

    /// Asks for another certificate over the connection. One that does not come is asked for again.
    fn ask_to_renew(&self, connection: &Connection<Agent>) {
        let Some(identity) = &self.credential.identity else {
            return;
        };
        match identity.request() {
            Ok(csr) => {
                // Where the connection is gone, the next one asks.
                let _ = connection.send(CertificateRequest {
                    auth_token: self.state.auth_token.clone(),
                    csr,
                });
            }
            Err(error) => error!(%error, "no certificate can be asked for"),
        }
    }

    /// Takes over a certificate that came over the connection, for the next one.
    fn renewed(&mut self, certificate: Certificate) -> Result<(), Fatal> {
        let renewed = RenewCertificateResponse {
            auth_token: certificate.auth_token,
            server_name: certificate.server_name,
            ca_pem: certificate.ca_pem,
            certificate: certificate.certificate,
            renew_after_seconds: certificate.renew_after_seconds,
        };
        let Some(identity) = &self.credential.identity else {
            return Ok(());
        };
        let state = self.directory.take(identity, &self.state, renewed)?;
        self.adopt(state)
    }

    /// Renews a certificate that has ended, which is all that it is still good for.
    async fn renew_by_request(&mut self) -> Result<(), Fatal> {
        let Some(identity) = &self.credential.identity else {
            return Ok(());
        };
        let renewed = self.directory.renew(identity, &self.state, &self.platform);
        let state = renewed.await?;
        info!("certificate renewed after its end");
        self.adopt(state)
    }

    fn adopt(&mut self, state: AgentState) -> Result<(), Fatal> {
        self.credential = Credential::new(&self.directory, &state, &self.platform)?;
        self.state = state;
        Ok(())
    }

    /// Reads the host's health, off this thread: it opens files. A file system that hangs costs the
    /// figures, not the connection.
    async fn sample(&mut self) {
        let sampler = self.sampler.clone();
        let sampled = tokio::task::spawn_blocking(move || Some(sampler.try_lock().ok()?.sample()));
        let Ok(Ok(Some(health))) = timeout(SAMPLE_TIMEOUT, sampled).await else {
            return;
        };
        self.health = Heartbeat {
            uptime_seconds: health.uptime_s,
            cpu_percent: health.cpu_percent,
            memory_percent: health.memory_percent,
            disk_percent: health.disk_percent,
            load_1m: health.load_1m,
            temperature_celsius: health.temperature_celsius,
            sent_us: None,
            round_trip_us: None,
        };
    }
}

/// Goes to the platform as far as the upgrade.
pub(super) async fn reach(
    platform: &ServerUrl,
    credential: &Credential,
) -> Result<Socket<TlsStream<TcpStream>>, DialError> {
    let tcp = tcp::connect(platform.host(), platform.port()).await?;
    socket::tune(&tcp)?;
    let connector = TlsConnector::from(credential.tls.clone());
    let name = credential.server_name.clone();
    let tls = connector.connect(name, tcp).await?;
    Ok(handshake::connect(platform, SUBPROTOCOL_PROTO, tls).await?)
}

/// How an agent presents itself.
pub(super) fn hello(state: &AgentState, credential: &Credential, instance: Uuid) -> Hello {
    let own = [COMMAND_ACK, FILE_STREAMS]
        .into_iter()
        .filter_map(capability::name);
    Hello {
        capabilities: match credential.identity {
            Some(_) => own.chain(certificate_renewal()).collect(),
            None => own.collect(),
        },
        host_id: state.host_id.parse().ok(),
        instance_id: Some(instance),
        software: SOFTWARE.to_owned(),
        ..Hello::new(state.auth_token.clone(), vec![1])
    }
}

impl Fatal {
    /// Whether it is none yet: trying again may help.
    fn is_transient(&self) -> bool {
        matches!(self, Self::Enrol(error) if error.is_transient())
    }
}

/// Why the platform could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The network, or TLS.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The platform's answer.
    #[error(transparent)]
    Upgrade(#[from] HandshakeError),
}

/// Whether nothing but somebody's hand helps after the platform has said this.
const fn is_for_good(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::DuplicateInstance | ErrorCode::HostRevoked | ErrorCode::TokenUnknown
    )
}

fn fatal(code: ErrorCode, message: &str) -> Fatal {
    let message = shown(message);
    Fatal::Refused { code, message }
}

/// How far this host's clock is ahead of the platform's, in milliseconds.
fn skew_ms(welcome: &Welcome) -> Option<i128> {
    let theirs = welcome.platform_time?.to_system_time()?;
    Some(match SystemTime::now().duration_since(theirs) {
        Ok(ahead) => i128::try_from(ahead.as_millis()).ok()?,
        Err(behind) => -i128::try_from(behind.duration().as_millis()).ok()?,
    })
}

/// Ends a connection over which more comes of commands than anybody takes.
fn close_on_flood(taken: Result<(), Flood>, connection: &Connection<Agent>) {
    if taken == Err(Flood) {
        connection.close(ErrorCode::Overloaded, "too much about commands at once");
    }
}

fn entropy() -> u64 {
    u64::from_ne_bytes(secret::random())
}
