//! The processes a benchmark starts: each ends with it, however it ends, and each is accounted for
//! by the kernel.
//!
//! Every child is started under `setpriv --pdeathsig KILL` (util-linux, on every Debian), so that a
//! benchmark that is killed leaves nothing behind; in the ordinary way a dropped [`Running`] kills
//! and reaps its child. Leaves to others: what the children are for.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use crate::Outcome;

/// The kernel's unit of process times in `/proc`, the same on every Linux architecture that Rust
/// supports.
const CLOCK_TICKS_PER_SECOND: f64 = 100.0;

/// How long a child may take to become ready: a first start makes keys and a database.
pub(crate) const READY_WITHIN: Duration = Duration::from_secs(20);

/// A child process, killed and reaped when dropped.
pub(crate) struct Running {
    name: String,
    child: Child,
}

impl Running {
    /// Starts `program` with `arguments`; what it prints goes to `<log_dir>/<name>.log`.
    pub(crate) fn start(
        name: &str,
        log_dir: &Path,
        place: &Place,
        program: &str,
        arguments: &[&str],
    ) -> Outcome<Self> {
        let log = File::create(log_dir.join(format!("{name}.log")))?;
        let child = place
            .command(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|fault| format!("{name}: {program} does not start: {fault}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
        })
    }

    /// The process's id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Fails if the process has ended.
    pub(crate) fn check(&mut self) -> Outcome<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("{} ended early, {status}", self.name).into()),
        }
    }
}

/// A part of this same program, run as a process of its own, that says things line by line.
pub(crate) struct Part {
    /// The process.
    pub(crate) running: Running,
    output: BufReader<ChildStdout>,
}

impl Part {
    /// Starts the part that the first argument names.
    pub(crate) fn start(place: &Place, arguments: &[&str]) -> Outcome<Self> {
        let program = std::env::current_exe()?;
        let mut child = place
            .command(&program.to_string_lossy())
            .arg("part")
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child
            .stdout
            .take()
            .ok_or("a child without the pipe it was given")?;
        let running = Running {
            name: arguments.join(" "),
            child,
        };
        Ok(Self {
            running,
            output: BufReader::new(output),
        })
    }

    /// Starts a part whose first line is the address at which it is ready.
    pub(crate) fn start_server(place: &Place, arguments: &[&str]) -> Outcome<(Self, SocketAddr)> {
        let mut part = Self::start(place, arguments)?;
        let line = part.line()?;
        let address = line
            .parse()
            .map_err(|_| format!("{}: said no address but {line:?}", part.running.name))?;
        Ok((part, address))
    }

    /// The next line that it says; waits for it, however long it takes. Empty once the part has
    /// ended.
    pub(crate) fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Either fails only for a process that has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where a process runs: on the host's loopback or in a network namespace of the benchmark's own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    namespace: Option<String>,
}

impl Place {
    /// The named network namespace.
    pub(crate) fn namespace(name: &str) -> Self {
        Self {
            namespace: Some(name.to_owned()),
        }
    }

    /// A command that runs here and does not outlive the benchmark.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if let Some(namespace) = &self.namespace {
            command.args(["ip", "netns", "exec", namespace]);
        }
        command.arg(program);
        command
    }
}

/// What a process has cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Seconds of CPU, user and kernel.
    pub(crate) cpu_s: f64,
    /// Resident memory now, in bytes.
    pub(crate) resident: u64,
}

impl Usage {
    /// Reads a process's account. Fails once it has ended.
    pub(crate) fn of(id: u32) -> Outcome<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
        // The second field is the program's name in parentheses and may hold anything; fields count
        // after it.
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let ticks = |at: usize| {
            fields
                .get(at)
                .and_then(|field| field.parse::<f64>().ok())
                .ok_or("stat: a field lacks")
        };
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let resident_kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
            .ok_or("status: VmRSS lacks")?;
        Ok(Self {
            cpu_s: (ticks(11)? + ticks(12)?) / CLOCK_TICKS_PER_SECOND,
            resident: resident_kib * 1024,
        })
    }

    /// The sum over several processes.
    pub(crate) fn sum<'a>(ids: impl IntoIterator<Item = &'a u32>) -> Outcome<Self> {
        ids.into_iter().try_fold(Self::default(), |sum, id| {
            let one = Self::of(*id)?;
            Ok(Self {
                cpu_s: sum.cpu_s + one.cpu_s,
                resident: sum.resident + one.resident,
            })
        })
    }
}

/// A loopback port that nothing listened at a moment ago.
pub(crate) fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

/// Waits until `ready` says so, asking every 20 ms and watching that `running` still runs.
pub(crate) async fn wait_until(
    what: &str,
    running: &mut Running,
    mut ready: impl AsyncFnMut() -> bool,
) -> Outcome<()> {
    let deadline = Instant::now() + READY_WITHIN;
    while Instant::now() < deadline {
        running.check()?;
        if ready().await {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(format!("{what}: not ready within {READY_WITHIN:?}").into())
}

/// Waits until something listens at the address.
pub(crate) async fn wait_for_listener(running: &mut Running, address: SocketAddr) -> Outcome<()> {
    let name = running.name.clone();
    wait_until(&name, running, async || {
        tokio::net::TcpStream::connect(address).await.is_ok()
    })
    .await
}

/// Whether a program is on PATH.
pub(crate) fn on_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}
