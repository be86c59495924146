//! `demo`: the whole way on one machine. It starts a demo device, a platform and an agent as
//! processes of their own, waits until the device can be reached, and prints the address to open.
//! Everything ends with it: its parts also when it is killed, as each holds a pipe from it. Without
//! `--dir` nothing is left behind, but a directory where it was killed.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader, Lines};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::connection::{CallError, Connection, Target};
use super::output;
use crate::files::{self, FileError, MODE_SECRET};
use crate::net::http_client::{ServerUrl, ServerUrlError};
use crate::net::tls::{self, TlsError};
use crate::schema::api::enrolment_token_service_client::EnrolmentTokenServiceClient;
use crate::schema::api::host_service_client::HostServiceClient;
use crate::schema::api::session_service_client::SessionServiceClient;
use crate::schema::api::{
    CreateEnrolmentTokenRequest, GetHostRequest, HostStatus, OpenSessionRequest,
};
use crate::secret::Secret;

/// How long each part has to come up; they take a second on a small machine.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two looks at whether the agent has connected.
const POLL: Duration = Duration::from_millis(50);
/// How long a part has to end after SIGTERM.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// The host's name.
const HOST: &str = "demo";
/// How settings of platforms and agents begin in the environment.
const SETTINGS_PREFIXES: [&str; 2] = ["FLEETWIRE_PLATFORM_", "FLEETWIRE_AGENT_"];
const TOKEN_BYTES_MAX: usize = 4096;
const CA_BYTES_MAX: usize = 64 * 1024;

/// Arguments of `fleetwire demo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Keep everything here in place of a temporary directory
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Where the platform listens with TLS; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where the platform listens in plain HTTP, for the browser
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    http: SocketAddr,
    /// Let the demo device ask for its sign-in
    #[arg(long)]
    sign_in: bool,
}

/// The demonstration does not run.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A file or directory cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The system refused something.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A program cannot be started.
    #[error("cannot start {}: {source}; build all programs: cargo build --release", path.display())]
    Start {
        /// Which program.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A part has ended, or did not come up.
    #[error("{name} {what}; its last words:\n{log}")]
    Part {
        /// Which part.
        name: &'static str,
        /// What is wrong.
        what: String,
        /// The end of its log.
        log: String,
    },
    /// The platform refused, or was not reached.
    #[error(transparent)]
    Call(#[from] CallError),
    /// An address is none.
    #[error(transparent)]
    Url(#[from] ServerUrlError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address could not be printed.
    #[error("cannot write the address")]
    Output,
}

/// Runs until it is told to end, or a part ends by itself.
///
/// # Errors
/// See [`DemoError`].
pub(super) async fn run(args: Args) -> Result<(), DemoError> {
    let system = |what| move |source| DemoError::System { what, source };
    let mut terminate = signal(SignalKind::terminate()).map_err(system("signals"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system("signals"))?;
    let (dir, _temporary) = match &args.dir {
        Some(dir) => (dir.clone(), None),
        None => {
            let dir = tempfile::Builder::new().prefix("fleetwire-demo-").tempdir();
            let dir = dir.map_err(system("a temporary directory"))?;
            (dir.path().to_owned(), Some(dir))
        }
    };
    files::private_dir(&dir)?;

    let mut parts = Parts {
        dir,
        running: Vec::new(),
    };
    let done = tokio::select! {
        done = demonstrate(&args, &mut parts) => done,
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    };
    parts.end().await;
    done
}

async fn demonstrate(args: &Args, parts: &mut Parts) -> Result<(), DemoError> {
    let device = parts.start_device(args.sign_in).await?;
    let (platform, page) = parts.start_platform(args).await?;
    let calls = parts.connect(platform).await?;
    parts.start_agent(&calls, platform, &device).await?;
    parts.until_online(&calls).await?;

    let mut people = entered_lines();
    say(&format!(
        "platform   https://{platform} and http://{page}, kept in {}",
        parts.dir.display()
    ))?;
    say(&format!(
        "console    http://{page}, with the API key in {}",
        parts.dir.join("platform/admin-token").display()
    ))?;
    say(&format!(
        "device     {device}, reached only through the agent's one connection"
    ))?;
    loop {
        let request = OpenSessionRequest {
            host: HOST.to_owned(),
        };
        let mut sessions = SessionServiceClient::with_origin(calls.clone(), calls.origin());
        let opened = calls.answer(sessions.open_session(request)).await?;
        output::line(&opened.console_url).map_err(|_| DemoError::Output)?;
        say(
            "Open it in a browser on this machine, within a minute; it works once. Enter prints another, Ctrl-C ends.",
        )?;
        tokio::select! {
            Some(()) = people.recv() => {}
            ended = parts.ended() => return Err(ended),
        }
    }
}

/// The processes of the demonstration.
struct Parts {
    dir: PathBuf,
    running: Vec<Part>,
}

struct Part {
    name: &'static str,
    log: PathBuf,
    child: Child,
}

impl Parts {
    async fn start_device(&mut self, sign_in: bool) -> Result<String, DemoError> {
        let mut command = program("fleetwire")?;
        command.args(["demo-device", "--listen", "127.0.0.1:0"]);
        if !sign_in {
            command.arg("--open");
        }
        let mut lines = self.start("demo-device", command, Output::Standard)?;
        let line = self.wait(&mut lines, |line| {
            Some(line.strip_prefix("demo device on ")?.trim().to_owned())
        });
        line.await
    }

    async fn start_platform(&mut self, args: &Args) -> Result<(SocketAddr, SocketAddr), DemoError> {
        let mut command = program("fleetwire-platform")?;
        command.arg("--data-dir").arg(self.dir.join("platform"));
        command.args([
            "--listen",
            &args.listen.to_string(),
            "--http",
            &args.http.to_string(),
        ]);
        // A demonstration ends at once, and is read by its log's JSON lines.
        command
            .args(["--log-format", "json"])
            .env("FLEETWIRE_PLATFORM_DRAIN", "0s");
        let mut lines = self.start("fleetwire-platform", command, Output::Error)?;
        let tls = self
            .wait(&mut lines, |line| listening(line, "listening with TLS"))
            .await?;
        let http = self
            .wait(&mut lines, |line| {
                listening(line, "listening in plain HTTP")
            })
            .await?;
        // The rest of the log goes to its file alone.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next().await {} });
        Ok((tls, http))
    }

    async fn start_agent(
        &mut self,
        calls: &Connection,
        platform: SocketAddr,
        device: &str,
    ) -> Result<(), DemoError> {
        let request = CreateEnrolmentTokenRequest {
            name: Some(HOST.to_owned()),
            ..Default::default()
        };
        let mut tokens = EnrolmentTokenServiceClient::with_origin(calls.clone(), calls.origin());
        let created = calls.answer(tokens.create_enrolment_token(request)).await?;
        let token_file = self.dir.join("enrolment-token");
        files::write_atomic(&token_file, created.token.as_bytes(), MODE_SECRET)?;
        let mut command = program("fleetwire-agent")?;
        command.args(["--platform", &format!("https://{platform}")]);
        command.arg("--token-file").arg(token_file);
        command.arg("--state-dir").arg(self.dir.join("agent"));
        command.args(["--target", device, "--name", HOST]);
        let mut lines = self.start("fleetwire-agent", command, Output::Error)?;
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next().await {} });
        Ok(())
    }

    /// A connection to the platform, as its administrator.
    async fn connect(&self, platform: SocketAddr) -> Result<Connection, DemoError> {
        let data = self.dir.join("platform");
        let token = files::read_text(&data.join("admin-token"), TOKEN_BYTES_MAX)?;
        let ca = files::read_text(&data.join("ca.pem"), CA_BYTES_MAX)?;
        let server: ServerUrl = format!("https://{platform}").parse()?;
        let config = tls::client_trusting(tls::certificates_from_pem(&ca)?, true)?;
        let target = Target::secured(server, &config)?;
        let target = target.with_bearer(Secret::new(token.trim().to_owned()));
        Ok(target.connect().await?)
    }

    async fn until_online(&mut self, calls: &Connection) -> Result<(), DemoError> {
        let online = async {
            loop {
                let mut hosts = HostServiceClient::with_origin(calls.clone(), calls.origin());
                let request = GetHostRequest {
                    host_id: HOST.to_owned(),
                };
                match calls.answer(hosts.get_host(request)).await {
                    Ok(answer) => {
                        let status = answer.host.map(|host| host.status());
                        if status == Some(HostStatus::Online) {
                            return Ok(());
                        }
                    }
                    // The agent has not enrolled yet.
                    Err(error) if error.code() == Some("host_unknown") => {}
                    Err(error) => return Err(error.into()),
                }
                sleep(POLL).await;
            }
        };
        let waited = tokio::select! {
            online = timeout(START_TIMEOUT, online) => online,
            ended = self.ended() => return Err(ended),
        };
        match waited {
            Ok(online) => online,
            Err(_) => Err(self.late("fleetwire-agent")),
        }
    }

    fn start(
        &mut self,
        name: &'static str,
        mut command: Command,
        output: Output,
    ) -> Result<Logged, DemoError> {
        let log = self.dir.join(format!("{name}.log"));
        let file = std::fs::File::create(&log).map_err(FileError::on("write", &log))?;
        command
            .arg("--end-with-stdin")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        match output {
            Output::Standard => command.stdout(Stdio::piped()),
            Output::Error => command.stderr(Stdio::piped()),
        };
        let path = PathBuf::from(command.as_std().get_program());
        let mut child = command
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| DemoError::Start { path, source })?;
        let output: Box<dyn AsyncRead + Send + Unpin> =
            match (child.stdout.take(), child.stderr.take()) {
                (Some(output), _) => Box::new(output),
                (None, Some(output)) => Box::new(output),
                (None, None) => Box::new(tokio::io::empty()),
            };
        self.running.push(Part { name, log, child });
        Ok(Logged {
            lines: BufReader::new(output).lines(),
            file,
        })
    }

    /// Reads the last started part's output until a line has what is looked for.
    async fn wait<T>(
        &mut self,
        lines: &mut Logged,
        find: impl Fn(&str) -> Option<T>,
    ) -> Result<T, DemoError> {
        let found = timeout(START_TIMEOUT, async {
            while let Ok(Some(line)) = lines.next().await {
                if let Some(found) = find(&line) {
                    return Some(found);
                }
            }
            None
        });
        match found.await {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(self.ended().await),
            Err(_) => Err(self.late(self.running.last().map_or("a part", |part| part.name))),
        }
    }

    /// Waits until any part has ended by itself, which is an error here.
    async fn ended(&mut self) -> DemoError {
        loop {
            for part in &mut self.running {
                if let Ok(Some(status)) = part.child.try_wait() {
                    return part.gone(status);
                }
            }
            sleep(POLL).await;
        }
    }

    fn late(&self, name: &'static str) -> DemoError {
        let log = self.running.iter().find(|part| part.name == name);
        let log = log.map(|part| last_words(&part.log)).unwrap_or_default();
        DemoError::Part {
            name,
            what: "did not come up".to_owned(),
            log,
        }
    }

    /// Ends all parts, the newest first.
    async fn end(&mut self) {
        for part in self.running.iter_mut().rev() {
            let pid = part
                .child
                .id()
                .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
            if let Some(pid) = pid {
                // It may have ended in this moment; then there is nothing to do.
                let _ = kill_process(pid, Signal::TERM);
            }
            if timeout(END_TIMEOUT, part.child.wait()).await.is_err() {
                let _ = part.child.kill().await;
            }
        }
    }
}

impl Part {
    fn gone(&self, status: ExitStatus) -> DemoError {
        let what = format!("has ended ({status})");
        DemoError::Part {
            name: self.name,
            what,
            log: last_words(&self.log),
        }
    }
}

/// Which of its outputs a part says things on.
enum Output {
    Standard,
    Error,
}

/// A part's output: read line by line, and written to its log file.
struct Logged {
    lines: Lines<BufReader<Box<dyn AsyncRead + Send + Unpin>>>,
    file: std::fs::File,
}

impl Logged {
    async fn next(&mut self) -> std::io::Result<Option<String>> {
        let line = self.lines.next_line().await?;
        if let Some(line) = &line {
            writeln!(self.file, "{line}")?;
        }
        Ok(line)
    }
}

/// Another program of this project, which lies beside this one, without the settings that the caller
/// may have in the environment for an agent or a platform of their own.
fn program(name: &str) -> Result<Command, DemoError> {
    let own = std::env::current_exe().map_err(|source| DemoError::System {
        what: "this program's path",
        source,
    })?;
    let mut command = Command::new(own.with_file_name(name));
    for (variable, _) in std::env::vars_os() {
        let text = variable.to_string_lossy();
        if SETTINGS_PREFIXES
            .iter()
            .any(|prefix| text.starts_with(prefix))
        {
            command.env_remove(&variable);
        }
    }
    Ok(command)
}

fn listening(line: &str, message: &str) -> Option<SocketAddr> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    (line["message"] == message).then(|| line["address"].as_str()?.parse().ok())?
}

fn last_words(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// Says something beside the result, to the person at the terminal.
fn say(text: &str) -> Result<(), DemoError> {
    match writeln!(std::io::stderr(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(DemoError::Output),
        _ => Ok(()),
    }
}

/// A mark for each line that a person enters. Where there is no terminal none ever comes.
fn entered_lines() -> mpsc::Receiver<()> {
    let (sender, receiver) = mpsc::channel(1);
    if std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        // Reading a terminal blocks: on a thread, which ends with the process.
        std::thread::spawn(move || {
            for _line in std::io::stdin().lines().map_while(Result::ok) {
                if sender.blocking_send(()).is_err() {
                    return;
                }
            }
        });
    }
    receiver
}
