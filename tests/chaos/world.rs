//! One platform, one agent, and all that can be done to them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::api::{Caller, Place};
use super::books::Books;
use super::clock::Clock;
use super::disk::Disk;
use super::programs::{self, ANY, HOST, Platform, kill, start_agent, until};
use super::relay::Relay;
use super::support::Process;

/// Started again as soon as it has ended.
pub const AT_ONCE: Duration = Duration::ZERO;

const PAGE: usize = 1000;

/// The whole of it.
pub struct World {
    pub relay: Relay,
    pub disk: Disk,
    pub agent_clock: Clock,
    pub platform_clock: Clock,
    platform: Mutex<Platform>,
    agent: Mutex<Process>,
    agent_kills: AtomicUsize,
    /// Where the API is.
    place: Place,
    // Last, so that the processes end before their files go.
    dir: TempDir,
}

impl World {
    /// A platform, and an agent that is enrolled and online.
    pub fn begin() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let disk = Disk::mount();
        let platform_clock = Clock::new(dir.path().join("platform-clock"));
        let agent_clock = Clock::new(dir.path().join("agent-clock"));
        let relay = Relay::begin();
        let data = dir.path().join("data");
        let platform = Platform::start(&data, [ANY; 2], |command| platform_clock.give(command));
        relay.lead_to(platform.tls);
        let place = platform.place(&data);
        let mut caller = Caller::new(place.clone());
        programs::prepare_agent(dir.path(), &mut caller, relay.address);
        let state = disk.path().join("state");
        let agent = start_agent(dir.path(), &state, |command| agent_clock.give(command));
        programs::until_online(&mut caller);
        Self {
            relay,
            disk,
            agent_clock,
            platform_clock,
            platform: Mutex::new(platform),
            agent: Mutex::new(agent),
            agent_kills: AtomicUsize::new(0),
            place,
            dir,
        }
    }

    /// Somebody who calls the API.
    pub fn caller(&self) -> Caller {
        Caller::new(self.place.clone())
    }

    /// Where the platform keeps all.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Where the commands have their effect.
    pub fn effects_file(&self) -> PathBuf {
        self.dir.path().join("effects")
    }

    /// Every line of it.
    pub fn effects(&self) -> Vec<String> {
        let text = fs::read_to_string(self.effects_file()).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// How often the agent was killed: each time it may have been in the middle of as many commands as it
    /// runs at once.
    pub fn agent_kills(&self) -> usize {
        self.agent_kills.load(Ordering::SeqCst)
    }

    /// Signals the agent.
    pub fn signal_agent(&self, signal: &str) {
        self.agent.lock().unwrap().signal(signal);
    }

    /// The same with the platform.
    pub fn signal_platform(&self, signal: &str) {
        self.platform.lock().unwrap().process.signal(signal);
    }

    /// Kills the agent without a word, and starts it again after a while.
    pub fn kill_agent(&self, away: Duration) {
        let mut process = self.agent.lock().unwrap();
        kill(&mut process);
        let kills = self.agent_kills.fetch_add(1, Ordering::SeqCst);
        self.keep_words(&format!("agent-{kills}.log"), &process);
        thread::sleep(away);
        let state = self.disk.path().join("state");
        let give = |command: &mut _| self.agent_clock.give(command);
        *process = start_agent(self.dir.path(), &state, give);
    }

    /// Kills the platform without a word, and starts it again after a while.
    pub fn kill_platform(&self, away: Duration) {
        let mut platform = self.platform.lock().unwrap();
        kill(&mut platform.process);
        let name = format!("platform-{}.log", platform.process.id());
        self.keep_words(&name, &platform.process);
        thread::sleep(away);
        let http = platform.http.to_string();
        let give = |command: &mut _| self.platform_clock.give(command);
        *platform = Platform::start(&self.data(), [ANY, &http], give);
        self.relay.lead_to(platform.tls);
    }

    /// What a process said, for whoever looks for the cause of a fault.
    fn keep_words(&self, name: &str, process: &Process) {
        fs::write(self.dir.path().join(name), process.said()).expect("written");
    }

    /// Undoes all that was done. An agent that was cut off often waits for long before it comes back: it is
    /// started anew, which is the last of its ends.
    pub fn heal(&self) {
        self.disk.empty();
        for direction in 0..2 {
            self.relay.hold(direction, false);
        }
        self.agent_clock.set(0);
        self.platform_clock.set(0);
        self.signal_platform("CONT");
        self.kill_agent(AT_ONCE);
    }

    /// Every delivery, by its command, as the platform shows it.
    pub fn deliveries(&self) -> BTreeMap<String, Value> {
        let mut caller = self.caller();
        let mut deliveries = BTreeMap::new();
        let mut token = String::new();
        loop {
            let path = format!("/api/deliveries?page_size={PAGE}&page_token={token}");
            let (status, page) = caller.call("GET", &path, "", None);
            assert_eq!(status, 200, "{page}");
            for delivery in page["deliveries"].as_array().into_iter().flatten() {
                let command = delivery["command_id"].as_str().expect("an id");
                let before = deliveries.insert(command.to_owned(), delivery.clone());
                assert_eq!(before, None, "it is in the list twice");
            }
            match page["next_page_token"].as_str() {
                Some(next) if !next.is_empty() => token = next.to_owned(),
                _ => return deliveries,
            }
        }
    }

    /// Waits until every delivery has ended, and returns them.
    pub fn until_all_ended(&self, books: &Books) -> BTreeMap<String, Value> {
        until("the end of all deliveries", || {
            (books.open_deliveries() == 0).then_some(())
        });
        self.deliveries()
    }

    /// Waits until the platform counts nothing as under way, and nothing as yet to be written.
    pub fn until_nothing_is_in_memory(&self) {
        let names = ["under_way", "unwritten"].map(|name| format!("fleetwire_deliveries_{name} "));
        until("a platform with nothing in memory", || {
            let page = self.metrics();
            let number = |name: &String| page.lines().find_map(|line| line.strip_prefix(name));
            let numbers = names.each_ref().map(number);
            assert!(numbers.iter().all(Option::is_some), "{page}");
            numbers.iter().all(|it| *it == Some("0")).then_some(())
        });
    }

    fn metrics(&self) -> String {
        use std::io::Write as _;
        let address = self.platform.lock().unwrap().metrics;
        let mut socket = TcpStream::connect(address).expect("it listens");
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        socket.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("read");
        answer
    }

    /// Has one command more done, which appends this number, and returns its id.
    pub fn one_more(&self, number: usize) -> String {
        let body = json!({
            "targets": { "hosts": [HOST] },
            "script": {
                "content": "echo \"$1\" >> \"$2\"\n",
                "arguments": [number.to_string(), self.effects_file()],
            },
        });
        let mut caller = self.caller();
        let (status, made) = caller.call("POST", "/api/commands", "last", Some(&body));
        assert_eq!(status, 202, "{made}");
        let id = made["command_id"].as_str().expect("an id").to_owned();
        let path = format!("/api/commands/{id}");
        caller.follow(&format!("{path}/watch"));
        let (_, command) = caller.call("GET", &path, "", None);
        assert_eq!(command["state"], "finished", "{command}");
        id
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if thread::panicking() {
            self.dir.disable_cleanup(true);
            let state = self.disk.path().join("state");
            let kept = self.dir.path().join("agent-state");
            let copied = std::process::Command::new("cp")
                .arg("-r")
                .arg(state)
                .arg(kept)
                .status();
            eprintln!(
                "all of it is kept in {} ({copied:?})",
                self.dir.path().display()
            );
            // Another may have panicked with it in hand.
            if let Ok(agent) = self.agent.lock() {
                self.keep_words("agent-last.log", &agent);
            }
            if let Ok(platform) = self.platform.lock() {
                self.keep_words("platform-last.log", &platform.process);
            }
        }
    }
}
