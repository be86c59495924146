//! Two network namespaces with a shaped path between them, and nothing else: the only way out of
//! either is the other.
//!
//! The packets are carried by `forwarder.c`, compiled when first needed (it needs `ioctl`, which
//! this crate, without `unsafe`, cannot call). Needs root, `ip` and `cc`. Leaves to others: what
//! runs in the namespaces.

use std::{
    fmt, fs,
    io::{self, BufRead, BufReader, Read},
    net::Ipv4Addr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

/// The program that carries the packets.
const FORWARDER_SOURCE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/support/path/forwarder.c"
);

/// The address of the near end, in the block that RFC 2544 sets aside for benchmarks.
pub(crate) const NEAR: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// The address of the far end.
pub(crate) const FAR: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);

/// The largest socket buffer that TCP may choose by itself: several times the largest path's
/// product of rate and delay.
const SOCKET_BUFFER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A path's properties, the same in both directions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Profile {
    /// What the link carries, IP headers included.
    pub(crate) bits_per_second: u64,
    /// The round trip of a small packet on the empty path.
    pub(crate) round_trip_ms: u64,
    /// Bytes that wait at the most; what comes then is dropped.
    pub(crate) queue_bytes: u64,
    /// Packets lost at random, of a million, in each direction.
    pub(crate) loss_ppm: u64,
    /// The largest packet.
    pub(crate) mtu: u32,
    /// Makes the losses repeatable.
    pub(crate) seed: u64,
    /// TCP's congestion control in both namespaces, for sockets that choose none.
    pub(crate) congestion_control: &'static str,
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rate, queue) = (self.bits_per_second / 1_000_000, self.queue_bytes / 1024);
        let loss = self.loss_ppm as f64 / 1e4;
        let Self {
            round_trip_ms,
            mtu,
            seed,
            congestion_control,
            ..
        } = self;
        write!(
            f,
            "{rate} Mbit/s, {round_trip_ms} ms, queue {queue} KiB, loss {loss} %, MTU {mtu}, \
             seed {seed}, {congestion_control}"
        )
    }
}

/// Two joined namespaces; they and the forwarder are gone when it is dropped.
pub(crate) struct ShapedPath {
    near: Namespace,
    far: Namespace,
    forwarder: Child,
}

impl ShapedPath {
    /// Builds the namespaces and the path; `dir` takes the compiled forwarder, which ends with the
    /// calling thread.
    pub(crate) fn open(dir: &Path, profile: &Profile) -> io::Result<Self> {
        let program = compile(dir)?;
        // Names are the whole machine's: the process and a count keep runs apart.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let id = format!(
            "{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let near = Namespace::create(format!("fw-near-{id}"))?;
        let far = Namespace::create(format!("fw-far-{id}"))?;
        let (near_device, far_device) = (format!("fwn{id}"), format!("fwf{id}"));
        let mut forwarder = Command::new(program)
            .args([&near_device, &far_device])
            .arg(profile.bits_per_second.to_string())
            .arg((profile.round_trip_ms * 500).to_string())
            .arg(profile.queue_bytes.to_string())
            .arg(profile.loss_ppm.to_string())
            .arg(profile.mtu.to_string())
            .arg(profile.seed.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut ready = String::new();
        if let Some(output) = forwarder.stdout.take() {
            BufReader::new(output.take(64)).read_line(&mut ready)?;
        }
        let path = Self {
            near,
            far,
            forwarder,
        };
        if ready.trim() != "ready" {
            return Err(io::Error::other(
                "the forwarder did not start: it needs root and /dev/net/tun",
            ));
        }
        path.near.attach(&near_device, NEAR, FAR, profile)?;
        path.far.attach(&far_device, FAR, NEAR, profile)?;
        Ok(path)
    }

    /// The namespace of the end whose address is [`NEAR`].
    pub(crate) fn near(&self) -> &str {
        &self.near.name
    }

    /// The namespace of the end whose address is [`FAR`].
    pub(crate) fn far(&self) -> &str {
        &self.far.name
    }
}

impl Drop for ShapedPath {
    fn drop(&mut self) {
        // Either fails only for a process that has ended already, which is what is wanted.
        let _ = self.forwarder.kill();
        let _ = self.forwarder.wait();
    }
}

/// A network namespace, removed when dropped.
struct Namespace {
    name: String,
}

impl Namespace {
    fn create(name: String) -> io::Result<Self> {
        run(Command::new("ip").args(["netns", "add", &name]))?;
        Ok(Self { name })
    }

    /// Moves a device in, with its address, and lets TCP use buffers as large as the path asks for.
    fn attach(
        &self,
        device: &str,
        own: Ipv4Addr,
        peer: Ipv4Addr,
        profile: &Profile,
    ) -> io::Result<()> {
        run(Command::new("ip").args(["link", "set", device, "netns", &self.name]))?;
        let inside =
            |arguments: &[&str]| run(Command::new("ip").args(["-n", &self.name]).args(arguments));
        inside(&["link", "set", "lo", "up"])?;
        inside(&[
            "address",
            "add",
            &own.to_string(),
            "peer",
            &peer.to_string(),
            "dev",
            device,
        ])?;
        // The sender's device must never be the path's queue.
        inside(&[
            "link",
            "set",
            device,
            "mtu",
            &profile.mtu.to_string(),
            "txqueuelen",
            "20000",
            "up",
        ])?;
        let settings = [
            ("tcp_rmem", format!("4096 131072 {SOCKET_BUFFER_BYTES_MAX}")),
            ("tcp_wmem", format!("4096 16384 {SOCKET_BUFFER_BYTES_MAX}")),
            // A connection must not begin with what the last one learned.
            ("tcp_no_metrics_save", "1".to_owned()),
            (
                "tcp_congestion_control",
                profile.congestion_control.to_owned(),
            ),
        ];
        for (name, value) in settings {
            let script = format!("echo {value} > /proc/sys/net/ipv4/{name}");
            run(Command::new("ip").args(["netns", "exec", &self.name, "sh", "-c", &script]))?;
        }
        Ok(())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Nothing is left to do about a namespace that cannot be removed.
        let _ = run(Command::new("ip").args(["netns", "delete", &self.name]));
    }
}

/// Compiles the forwarder, unless `dir` has it already.
fn compile(dir: &Path) -> io::Result<std::path::PathBuf> {
    let program = dir.join("forwarder");
    if !program.exists() {
        fs::create_dir_all(dir)?;
        let arguments = [
            "-O2",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-pthread",
            FORWARDER_SOURCE,
            "-o",
        ];
        run(Command::new("cc").args(arguments).arg(&program))?;
    }
    Ok(program)
}

/// Runs a command to its end; its failure is an error that says what it printed.
fn run(command: &mut Command) -> io::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|fault| {
        io::Error::new(
            fault.kind(),
            format!("{program} (is it installed?): {fault}"),
        )
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!("{command:?}: {}", said.trim())))
}
