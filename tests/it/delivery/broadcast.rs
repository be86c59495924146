//! A command for a thousand hosts, a fifth of which are not there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use fleetwire::cli::connection::Target;
use fleetwire::schema::api::CreateHostRequest;
use fleetwire::schema::api::host_service_client::HostServiceClient;
use fleetwire::secret::Secret;
use hyper::Method;
use rustls_pki_types::ServerName;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::agents::{self, Agent, Journal, Told};
use crate::peers::raw::trusting;
use crate::support::{Platform, until_true};

const HOSTS: usize = 1000;
/// Those that are not there when they are asked.
const AWAY: usize = 200;
/// Agents that connect at the same time.
const CONNECTING: usize = 32;
/// Long enough for the command to be kept; it is waited for to go by.
const SOON: Duration = Duration::from_secs(3);

/// How often each command has run at each agent.
type Runs = Arc<Mutex<HashMap<(String, usize), usize>>>;

struct Fleet {
    platform: Platform,
    tokens: Vec<String>,
    journal: Journal,
    runs: Runs,
    serving: JoinSet<()>,
}

impl Fleet {
    /// Has the agents with these numbers connected; they serve until it is dropped.
    async fn connect(&mut self, indices: std::ops::Range<usize>) {
        let connector = TlsConnector::from(trusting(&self.platform));
        let connecting = Arc::new(Semaphore::new(CONNECTING));
        let address = self.platform.tls;
        let mut opening = JoinSet::new();
        for index in indices {
            let (connector, permits) = (connector.clone(), connecting.clone());
            let token = self.tokens[index].clone();
            opening.spawn(async move {
                let _permit = permits.acquire_owned().await.expect("open");
                let name = ServerName::try_from("localhost").expect("a name");
                let stream = agents::dial(index, address).await.expect("dialled");
                let stream = connector.connect(name, stream).await.expect("trusted");
                let journalled = ["command_ack"];
                let opened = agents::connect(index, stream, address, &token, &journalled).await;
                (index, opened.expect("let in"))
            });
        }
        while let Some(opened) = opening.join_next().await {
            let (index, mut connection) = opened.expect("no panic");
            let (runs, mut agent) = (self.runs.clone(), Agent::new(self.journal.clone()));
            self.serving.spawn(async move {
                let told = |id: &str, told| {
                    if told == Told::Ran {
                        let mut runs = runs.lock().expect("not poisoned");
                        *runs.entry((id.to_owned(), index)).or_default() += 1;
                    }
                };
                let Err(fault) = agent.serve(&mut connection, told).await;
                panic!("agent {index} ended: {fault}");
            });
        }
    }

    /// Asks every host; the command's id.
    async fn ask(&self, expires: Option<Duration>) -> String {
        let mut body = json!({"targets": {"all": true}, "script": {"content": "true"}});
        if let Some(expires) = expires {
            let at = prost_types::Timestamp::from(SystemTime::now() + expires);
            body["expires_at"] = at.to_string().into();
        }
        let client = self.platform.client();
        let made: Result<Value, _> = client
            .call(Method::POST, "/api/commands", Some(&body))
            .await;
        let made = made.expect("accepted");
        assert_eq!(made["total"], HOSTS, "{made}");
        made["command_id"].as_str().expect("an id").to_owned()
    }

    async fn get(&self, path: &str) -> Value {
        let client = self.platform.client();
        let got = client.call::<(), _>(Method::GET, path, None).await;
        got.expect("there")
    }

    /// Waits until a command's summary is this and nothing else.
    async fn until_stands(&self, command: &str, expected: &[(&str, usize)]) -> Value {
        let path = format!("/api/commands/{command}");
        let stands = |command: &Value| {
            let counts = command["summary"].as_object().expect("a summary").iter();
            counts
                .map(|(state, value)| (&**state, value.as_u64().expect("a number")))
                .filter(|(state, count)| *count > 0 && *state != "total")
                .all(|(state, count)| expected.contains(&(state, count as usize)))
        };
        until_true(&format!("{expected:?}"), async || {
            stands(&self.get(&path).await)
        })
        .await;
        self.get(&path).await
    }

    /// At how many agents a command has run; at none more than once.
    fn ran(&self, command: &str) -> usize {
        let runs = self.runs.lock().expect("not poisoned");
        let of = runs.iter().filter(|((id, _), _)| id == command);
        of.inspect(|(at, count)| assert_eq!(**count, 1, "{at:?}"))
            .count()
    }
}

#[tokio::test]
async fn a_broadcast_is_run_once_by_all_that_come_in_time() {
    let platform = Platform::start(&[]);
    let tls = trusting(&platform);
    let target = Target::secured(platform.url(), &tls).expect("an address");
    let target = target.with_bearer(Secret::new(platform.admin_token()));
    let connection = target.connect().await.expect("connected");
    let origin = connection.origin();
    let mut hosts = HostServiceClient::with_origin(connection, origin);
    let mut tokens = Vec::with_capacity(HOSTS);
    for index in 0..HOSTS {
        let name = format!("host-{index}");
        let made = hosts.create_host(CreateHostRequest { name }).await;
        tokens.push(made.expect("made").into_inner().auth_token);
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut fleet = Fleet {
        platform,
        tokens,
        journal: Journal::start(&dir.path().join("journal")).expect("made"),
        runs: Runs::default(),
        serving: JoinSet::new(),
    };
    fleet.connect(AWAY..HOSTS).await;

    let lasting = fleet.ask(None).await;
    let short = fleet.ask(Some(SOON)).await;
    let there = HOSTS - AWAY;
    let expected = [("succeeded", there), ("queued", AWAY)];
    let stands = fleet.until_stands(&lasting, &expected).await;
    assert_eq!(stands["state"], "running", "{stands}");
    assert_eq!(stands["finished_at"], Value::Null, "{stands}");
    let expected = [("succeeded", there), ("expired", AWAY)];
    let stands = fleet.until_stands(&short, &expected).await;
    assert_eq!(stands["state"], "finished", "{stands}");
    assert!(stands["finished_at"].is_string(), "{stands}");
    let path = format!("/api/deliveries?command_id={short}&states=expired&page_size={AWAY}");
    let expired = fleet.get(&path).await;
    let expired = expired["deliveries"].as_array().expect("a list");
    assert_eq!(expired.len(), AWAY);
    assert!(
        expired
            .iter()
            .all(|delivery| delivery["reason"] == "expired")
    );

    // Those that were away have what lasted, and nothing of what did not.
    fleet.connect(0..AWAY).await;
    let stands = fleet.until_stands(&lasting, &[("succeeded", HOSTS)]).await;
    assert_eq!(stands["state"], "finished", "{stands}");
    assert_eq!((fleet.ran(&lasting), fleet.ran(&short)), (HOSTS, there));
    while let Some(ended) = fleet.serving.try_join_next() {
        ended.expect("it serves");
    }
}
