//! Other tunnels as paths, each where its programs are on PATH, configured as their documents
//! advise: one TLS connection from the device's side where the peer can, a port on the public side
//! for each origin.
//!
//! Leaves to others: the load. A peer that does not start is noted and left out.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Options, Outcome,
    load::Endpoint,
    loopback::{Origins, UnderTest},
    processes::{Place, Running, free_port, on_path, wait_for_listener},
    report::Report,
};

/// What a peer is given: a directory, its own port, the public ports, the origins, a certificate.
struct Setting {
    dir: PathBuf,
    control: u16,
    files: u16,
    live: u16,
    origins: Origins,
}

/// One peer: its name in the tables, the programs it needs, and how its two ends are started.
struct Peer {
    name: &'static str,
    programs: &'static [&'static str],
    start: fn(&Setting) -> Outcome<Vec<Running>>,
}

const PEERS: [Peer; 6] = [
    Peer {
        name: "rathole",
        programs: &["rathole"],
        start: rathole,
    },
    Peer {
        name: "penguin",
        programs: &["penguin"],
        start: penguin,
    },
    Peer {
        name: "ssh -R",
        programs: &["ssh", "sshd", "ssh-keygen"],
        start: ssh,
    },
    Peer {
        name: "chisel",
        programs: &["chisel"],
        start: chisel,
    },
    Peer {
        name: "frp",
        programs: &["frps", "frpc"],
        start: frp,
    },
    Peer {
        name: "wstunnel",
        programs: &["wstunnel"],
        start: wstunnel,
    },
];

/// Starts every peer that is installed, and says which are not.
pub(crate) async fn start_all(
    options: &Options,
    report: &mut Report,
    dir: &Path,
    origins: Origins,
) -> Outcome<Vec<UnderTest>> {
    let mut paths = Vec::new();
    let mut absent = Vec::new();
    for peer in PEERS.iter().filter(|peer| options.takes(peer.name)) {
        if !peer.programs.iter().all(|program| on_path(program)) {
            absent.push(peer.name);
            continue;
        }
        match start(peer, dir, origins).await {
            Ok(path) => paths.push(path),
            Err(fault) => report.note(format!("{} was left out: {fault}", peer.name)),
        }
    }
    if !absent.is_empty() {
        report.note(format!("not on PATH: {}", absent.join(", ")));
    }
    Ok(paths)
}

/// Starts one peer and waits until its public ports are there.
async fn start(peer: &Peer, dir: &Path, origins: Origins) -> Outcome<UnderTest> {
    let dir = dir.join(peer.name.replace(' ', ""));
    fs::create_dir_all(&dir)?;
    certificate(&dir)?;
    let setting = Setting {
        dir,
        control: free_port()?,
        files: free_port()?,
        live: free_port()?,
        origins,
    };
    let mut running = (peer.start)(&setting)?;
    let public = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    for port in [setting.files, setting.live] {
        let client = running.last_mut().ok_or("a peer without a process")?;
        wait_for_listener(client, public(port)).await?;
    }
    Ok(UnderTest {
        name: peer.name.to_owned(),
        files: Endpoint::plain(public(setting.files)),
        live: Endpoint::plain(public(setting.live)),
        processes: running.iter().map(Running::id).collect(),
        running,
    })
}

impl Setting {
    fn run(&self, name: &str, program: &str, arguments: &[&str]) -> Outcome<Running> {
        Running::start(name, &self.dir, &Place::default(), program, arguments)
    }

    fn file(&self, name: &str) -> String {
        self.dir.join(name).to_string_lossy().into_owned()
    }

    fn write(&self, name: &str, text: &str) -> Outcome<String> {
        fs::write(self.dir.join(name), text)?;
        Ok(self.file(name))
    }
}

/// A self-signed certificate for localhost: `tls.pem` and `tls.key`.
fn certificate(dir: &Path) -> Outcome<()> {
    let made =
        rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    fs::write(dir.join("tls.pem"), made.cert.pem())?;
    fs::write(dir.join("tls.key"), made.signing_key.serialize_pem())?;
    Ok(())
}

/// TLS WebSocket; rathole wants its identity as PKCS #12, which openssl makes.
fn rathole(setting: &Setting) -> Outcome<Vec<Running>> {
    let (identity, pem, key) = (
        setting.file("tls.p12"),
        setting.file("tls.pem"),
        setting.file("tls.key"),
    );
    let made = Command::new("openssl")
        .args([
            "pkcs12",
            "-export",
            "-out",
            &identity,
            "-in",
            &pem,
            "-inkey",
            &key,
            "-passout",
            "pass:bench",
        ])
        .output()?;
    if !made.status.success() {
        return Err("openssl pkcs12 failed".into());
    }
    let Setting {
        control,
        files,
        live,
        origins,
        ..
    } = setting;
    let server = setting.write(
        "server.toml",
        &format!(
            "[server]\nbind_addr = \"127.0.0.1:{control}\"\ndefault_token = \"bench\"\n\
             [server.transport]\ntype = \"websocket\"\n[server.transport.websocket]\ntls = true\n\
             [server.transport.tls]\npkcs12 = \"{identity}\"\npkcs12_password = \"bench\"\n\
             [server.services.files]\nbind_addr = \"127.0.0.1:{files}\"\n\
             [server.services.live]\nbind_addr = \"127.0.0.1:{live}\"\n"
        ),
    )?;
    let client = setting.write(
        "client.toml",
        &format!(
            "[client]\nremote_addr = \"localhost:{control}\"\ndefault_token = \"bench\"\n\
             [client.transport]\ntype = \"websocket\"\n[client.transport.websocket]\ntls = true\n\
             [client.transport.tls]\ntrusted_root = \"{pem}\"\nhostname = \"localhost\"\n\
             [client.services.files]\nlocal_addr = \"{}\"\n[client.services.live]\nlocal_addr = \"{}\"\n",
            origins.files, origins.live
        ),
    )?;
    Ok(vec![
        setting.run("server", "rathole", &["--server", &server])?,
        setting.run("client", "rathole", &["--client", &client])?,
    ])
}

/// One TLS WebSocket for everything. It forwards from its client's side only, so the public ports are
/// the client's and the origins the server's: the same hops the other way round.
fn penguin(setting: &Setting) -> Outcome<Vec<Running>> {
    let port = setting.control.to_string();
    let server = setting.run(
        "server",
        "penguin",
        &[
            "server",
            "--host",
            "127.0.0.1",
            "--port",
            &port,
            "--tls-cert",
            &setting.file("tls.pem"),
            "--tls-key",
            &setting.file("tls.key"),
        ],
    )?;
    let remote = |port: u16, origin: SocketAddr| format!("127.0.0.1:{port}:{origin}");
    let client = setting.run(
        "client",
        "penguin",
        &[
            "client",
            &format!("wss://localhost:{port}/ws"),
            &remote(setting.files, setting.origins.files),
            &remote(setting.live, setting.origins.live),
            "--tls-ca",
            &setting.file("tls.pem"),
        ],
    )?;
    Ok(vec![server, client])
}

/// A private sshd with keys of its own.
fn ssh(setting: &Setting) -> Outcome<Vec<Running>> {
    for key in ["host", "user"] {
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f", &setting.file(key)])
            .status()?;
        if !made.success() {
            return Err("ssh-keygen failed".into());
        }
    }
    fs::create_dir_all("/run/sshd")?;
    let config = setting.write(
        "sshd_config",
        &format!(
            "ListenAddress 127.0.0.1:{}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
             PermitRootLogin prohibit-password\nUsePAM no\nAllowTcpForwarding yes\n",
            setting.control,
            setting.file("host"),
            setting.file("user.pub")
        ),
    )?;
    let server = setting.run("sshd", "/usr/sbin/sshd", &["-D", "-e", "-f", &config])?;
    let remote = |port: u16, origin: SocketAddr| format!("127.0.0.1:{port}:{origin}");
    let client = setting.run(
        "ssh",
        "ssh",
        &[
            "-N",
            "-p",
            &setting.control.to_string(),
            "-i",
            &setting.file("user"),
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "ExitOnForwardFailure=yes",
            "-o",
            "ConnectionAttempts=20",
            "-R",
            &remote(setting.files, setting.origins.files),
            "-R",
            &remote(setting.live, setting.origins.live),
            "127.0.0.1",
        ],
    )?;
    Ok(vec![server, client])
}

/// SSH inside one TLS WebSocket.
fn chisel(setting: &Setting) -> Outcome<Vec<Running>> {
    let port = setting.control.to_string();
    let (pem, key) = (setting.file("tls.pem"), setting.file("tls.key"));
    let server = setting.run(
        "server",
        "chisel",
        &[
            "server",
            "--host",
            "127.0.0.1",
            "--port",
            &port,
            "--reverse",
            "--tls-cert",
            &pem,
            "--tls-key",
            &key,
        ],
    )?;
    let remote = |port: u16, origin: SocketAddr| format!("R:127.0.0.1:{port}:{origin}");
    let client = setting.run(
        "client",
        "chisel",
        &[
            "client",
            "--tls-ca",
            &pem,
            &format!("https://localhost:{port}"),
            &remote(setting.files, setting.origins.files),
            &remote(setting.live, setting.origins.live),
        ],
    )?;
    Ok(vec![server, client])
}

/// TLS over TCP, its default.
fn frp(setting: &Setting) -> Outcome<Vec<Running>> {
    let port = setting.control;
    let server = setting.write(
        "frps.toml",
        &format!("bindAddr = \"127.0.0.1\"\nbindPort = {port}\nproxyBindAddr = \"127.0.0.1\"\n"),
    )?;
    let proxy = |name: &str, port: u16, origin: SocketAddr| {
        format!(
            "[[proxies]]\nname = \"{name}\"\ntype = \"tcp\"\nlocalIP = \"{}\"\nlocalPort = {}\nremotePort = {port}\n",
            origin.ip(),
            origin.port()
        )
    };
    let client = setting.write(
        "frpc.toml",
        &format!(
            "serverAddr = \"127.0.0.1\"\nserverPort = {port}\nloginFailExit = false\n{}{}",
            proxy("files", setting.files, setting.origins.files),
            proxy("live", setting.live, setting.origins.live)
        ),
    )?;
    Ok(vec![
        setting.run("frps", "frps", &["-c", &server])?,
        setting.run("frpc", "frpc", &["-c", &client])?,
    ])
}

/// A TLS WebSocket a connection.
fn wstunnel(setting: &Setting) -> Outcome<Vec<Running>> {
    let url = format!("wss://127.0.0.1:{}", setting.control);
    let (pem, key) = (setting.file("tls.pem"), setting.file("tls.key"));
    let server = setting.run(
        "server",
        "wstunnel",
        &[
            "server",
            &url,
            "--tls-certificate",
            &pem,
            "--tls-private-key",
            &key,
        ],
    )?;
    let remote = |port: u16, origin: SocketAddr| format!("tcp://127.0.0.1:{port}:{origin}");
    let client = setting.run(
        "client",
        "wstunnel",
        &[
            "client",
            "-R",
            &remote(setting.files, setting.origins.files),
            "-R",
            &remote(setting.live, setting.origins.live),
            &url,
        ],
    )?;
    Ok(vec![server, client])
}
