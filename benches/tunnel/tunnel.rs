//! Fleetwire itself as a path: a platform, an agent a target, a session each, all by the documented
//! command forms.
//!
//! Leaves to others: the load, and everything inside the programs.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    Outcome,
    load::{Connection, Endpoint},
    loopback::{Origins, UnderTest},
    mutual::{self, Fleet, Proof},
    processes::{Place, Running, free_port, wait_until},
    report::SUBJECT,
};

/// The programs under test, as Cargo built them beside this one.
pub(crate) const PLATFORM: &str = env!("CARGO_BIN_EXE_fleetwire-platform");
const AGENT: &str = env!("CARGO_BIN_EXE_fleetwire-agent");
const OPERATOR: &str = env!("CARGO_BIN_EXE_fleetwire");

/// No answer to a command or to entering is longer.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;

/// A platform that runs, and what is needed to speak with it.
pub(crate) struct Platform {
    /// Its process.
    pub(crate) running: Running,
    /// Where agents connect, over TLS.
    pub(crate) secure: SocketAddr,
    /// Where browsers connect, plain.
    pub(crate) plain: SocketAddr,
    dir: PathBuf,
    place: Place,
}

impl Platform {
    /// Starts a platform on `address` in `place`, and waits until it is ready.
    pub(crate) async fn start(dir: &Path, place: &Place, address: Ipv4Addr) -> Outcome<Self> {
        let secure = SocketAddr::from((address, free_port()?));
        let plain = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let data = dir.join("platform");
        let mut running = Running::start(
            "platform",
            dir,
            place,
            PLATFORM,
            &[
                "--data-dir",
                &data.to_string_lossy(),
                "--listen",
                &secure.to_string(),
                "--http",
                &plain.to_string(),
            ],
        )?;
        wait_until("the platform", &mut running, async || {
            let answer = get(
                plain,
                &format!("GET /readyz HTTP/1.1\r\nHost: {plain}\r\nConnection: close\r\n\r\n"),
            )
            .await;
            answer.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
        })
        .await?;
        Ok(Self {
            running,
            secure,
            plain,
            dir: dir.to_owned(),
            place: place.clone(),
        })
    }

    /// Runs one of the operator's commands and returns its JSON.
    pub(crate) fn operate(&self, arguments: &[&str]) -> Outcome<Value> {
        let output = self
            .place
            .command(OPERATOR)
            .args(arguments)
            .arg("--json")
            .env("FLEETWIRE_SERVER", format!("https://{}", self.secure))
            .env("FLEETWIRE_TOKEN", self.administrator_token()?)
            .env("FLEETWIRE_CA", self.ca_file())
            .output()?;
        if !output.status.success() {
            return Err(format!(
                "fleetwire {arguments:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            )
            .into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Enrols and starts an agent whose target is `origin`, and waits until the platform lists it
    /// as online.
    pub(crate) async fn start_agent(
        &self,
        name: &str,
        place: &Place,
        origin: SocketAddr,
    ) -> Outcome<Running> {
        let token = self.operate(&["token", "create", "--name", name])?;
        let token_file = self.dir.join(format!("{name}.token"));
        std::fs::write(&token_file, text(&token, "token")?)?;
        let mut agent = Running::start(
            name,
            &self.dir,
            place,
            AGENT,
            &[
                "--platform",
                &format!("https://{}", self.secure),
                "--token-file",
                &token_file.to_string_lossy(),
                "--state-dir",
                &self.dir.join(format!("{name}-state")).to_string_lossy(),
                "--target",
                &format!("http://{origin}"),
                "--name",
                name,
            ],
        )?;
        wait_until("the agent", &mut agent, async || {
            let hosts = self.operate(&["hosts", "list"]).unwrap_or_default();
            let online = |host: &Value| host["name"] == name && host["status"] == "online";
            hosts["hosts"]
                .as_array()
                .is_some_and(|hosts| hosts.iter().any(online))
        })
        .await?;
        Ok(agent)
    }

    /// Where it keeps everything.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.join("platform")
    }

    /// Where the platform's CA certificate is.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.data_dir().join("ca.pem")
    }

    /// Makes `count` hosts by the API, as `fleetwire host create` does, and returns their
    /// credentials.
    pub(crate) async fn create_hosts(&self, count: usize) -> Outcome<Vec<String>> {
        let token = self.administrator_token()?;
        let mut connection = Connection::open(&Endpoint::plain(self.plain)).await?;
        let mut tokens = Vec::with_capacity(count);
        for index in 0..count {
            let body = json!({ "name": format!("agent-{index}") }).to_string();
            let request = format!(
                "POST /api/hosts HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                self.plain,
                body.len()
            );
            let answer: Value =
                serde_json::from_slice(&connection.call(request.as_bytes()).await?)?;
            tokens.push(text(&answer, "auth_token")?.to_owned());
        }
        Ok(tokens)
    }

    /// Enrols `count` agents, as they and `fleetwire token create` do, and returns what they have.
    pub(crate) async fn enrol(&self, count: usize) -> Outcome<Fleet> {
        let authorization = format!("Authorization: Bearer {}\r\n", self.administrator_token()?);
        let endpoint = Endpoint::plain(self.plain);
        let mut connection = Connection::open(&endpoint).await?;
        let mut post = async |path: &str, fields: &str, body: Value| -> Outcome<Value> {
            let body = body.to_string();
            let length = body.len();
            let fields =
                format!("{fields}Content-Type: application/json\r\nContent-Length: {length}\r\n");
            let mut request = endpoint.head("POST", path, &fields);
            request.extend_from_slice(body.as_bytes());
            Ok(serde_json::from_slice(&connection.call(&request).await?)?)
        };
        let (mut server_name, mut ca_pem) = (String::new(), String::new());
        let mut agents = Vec::with_capacity(count);
        for index in 0..count {
            let name = format!("agent-{index}");
            let made = post(
                "/api/enrolment-tokens",
                &authorization,
                json!({ "name": name }),
            )
            .await?;
            let (key, csr) = mutual::key_and_request()?;
            let token = text(&made, "token")?;
            let enrol = json!({ "token": token, "name": name, "csr": csr });
            let enrolled = post("/v1/agent/enroll", "", enrol).await?;
            server_name = text(&enrolled, "server_name")?.to_owned();
            ca_pem = text(&enrolled, "ca_pem")?.to_owned();
            agents.push(Proof {
                token: Some(text(&enrolled, "auth_token")?.to_owned()),
                certificate: text(&enrolled, "certificate")?.to_owned(),
                key,
            });
        }
        Ok(Fleet {
            server_name,
            ca_pem,
            agents,
        })
    }

    /// The administrator's API key.
    pub(crate) fn administrator_token(&self) -> Outcome<String> {
        let token = std::fs::read_to_string(self.dir.join("platform/admin-token"))?;
        Ok(token.trim().to_owned())
    }

    /// Opens a session with the host and enters it.
    pub(crate) async fn enter(&self, host: &str) -> Outcome<Endpoint> {
        let session = self.operate(&["session", "open", host])?;
        let console_url = text(&session, "console_url")?.to_owned();
        let host = authority(&console_url)?.to_owned();
        let cookie = enter_session(self.plain, &console_url).await?;
        Ok(Endpoint {
            address: self.plain,
            host,
            cookie: Some(cookie),
            fields: String::new(),
        })
    }
}

/// Starts the platform and one agent for each origin, and enters a session with each.
pub(crate) async fn start(dir: &Path, origins: Origins) -> Outcome<UnderTest> {
    let place = Place::default();
    let platform = Platform::start(dir, &place, Ipv4Addr::LOCALHOST).await?;
    let files_agent = platform.start_agent("files", &place, origins.files).await?;
    let live_agent = platform.start_agent("live", &place, origins.live).await?;
    let files = platform.enter("files").await?;
    let live = platform.enter("live").await?;
    Ok(UnderTest {
        name: SUBJECT.to_owned(),
        files,
        live,
        processes: vec![platform.running.id(), files_agent.id()],
        running: vec![platform.running, files_agent, live_agent],
    })
}

/// Trades the one-time ticket in the URL's fragment for the session's cookie, as the entering page
/// does: the page gives a state cookie, which is posted back together with the ticket.
async fn enter_session(platform: SocketAddr, console_url: &str) -> Outcome<String> {
    let host = authority(console_url)?;
    let (page, ticket) = console_url
        .split_once('#')
        .ok_or("the console's URL carries no ticket")?;
    let path = page.splitn(4, '/').nth(3).unwrap_or_default();
    let fields = format!("Host: {host}\r\nConnection: close\r\n");
    let page = get(platform, &format!("GET /{path} HTTP/1.1\r\n{fields}\r\n")).await?;
    let state_cookie = cookies(&page)
        .next()
        .ok_or("the entering page gave no state")?;
    let state = state_cookie
        .split_once('=')
        .ok_or("a cookie without a value")?
        .1;
    let body = json!({ "ticket": ticket, "state": state }).to_string();
    let request = format!(
        "POST /{path} HTTP/1.1\r\n{fields}Cookie: {state_cookie}\r\nOrigin: http://{host}\r\n\
         Sec-Fetch-Site: same-origin\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = get(platform, &request).await?;
    let refused = || {
        format!(
            "entering the session gave no cookie: {}",
            answer.lines().next().unwrap_or_default()
        )
    };
    Ok(cookies(&answer).next().ok_or_else(refused)?.to_owned())
}

/// The cookies that an answer sets, each as `name=value`.
fn cookies(answer: &str) -> impl Iterator<Item = &str> {
    answer
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))
        .filter_map(|(_, value)| value.split(';').next())
        .map(str::trim)
}

/// Sends one request that closes its connection, and returns everything that came back.
async fn get(address: SocketAddr, request: &str) -> Outcome<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream
        .take(ANSWER_BYTES_MAX)
        .read_to_end(&mut answer)
        .await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The host and port of a URL.
fn authority(url: &str) -> Outcome<&str> {
    let rest = url.split_once("://").ok_or("a URL without a scheme")?.1;
    Ok(rest.split(['/', '#', '?']).next().unwrap_or_default())
}

/// A text field of an answer.
fn text<'a>(value: &'a Value, field: &str) -> Outcome<&'a str> {
    value[field]
        .as_str()
        .ok_or_else(|| format!("the answer lacks {field}").into())
}
