//! An answer that is lost on its way: what was asked for is asked for again, and is there once.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use super::fleet::{hosts, made, said};
use crate::support::{Platform, command, until};

/// A way to a platform whose first connection brings what is asked, and no answer. Its threads end with the
/// test's process.
struct Way {
    address: SocketAddr,
    first: Arc<Mutex<Option<TcpStream>>>,
}

impl Way {
    fn to(platform: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let first = Arc::new(Mutex::new(None));
        let kept = first.clone();
        thread::spawn(move || {
            for (index, client) in listener.incoming().flatten().enumerate() {
                let server = TcpStream::connect(platform).expect("it listens");
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || carry(from, Some(to)));
                let back = (index > 0).then(|| client.try_clone().unwrap());
                if index == 0 {
                    *kept.lock().unwrap() = Some(client);
                }
                thread::spawn(move || carry(server, back));
            }
        });
        Self { address, first }
    }

    /// Ends the first connection.
    fn cut(&self) {
        let first = self.first.lock().unwrap().take().expect("it came");
        first.shutdown(Shutdown::Both).expect("cut");
    }
}

/// Carries what comes, or takes it away.
fn carry(mut from: TcpStream, mut to: Option<TcpStream>) {
    let mut some = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut some) {
        if let Some(to) = &mut to
            && to.write_all(&some[..count]).is_err()
        {
            break;
        }
    }
    if let Some(to) = to {
        let _ = to.shutdown(Shutdown::Write);
    }
}

/// Runs the command over a way that loses its answer once the platform has what was asked for.
fn ran(platform: &Platform, arguments: &[&str], there: impl Fn() -> Option<()>) -> Output {
    let way = Way::to(platform.http);
    let asking = command("fleetwire")
        .env("FLEETWIRE_SERVER", format!("http://{}", way.address))
        .env("FLEETWIRE_TOKEN", platform.admin_token())
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    until("what was asked for", there);
    way.cut();
    asking.wait_with_output().expect("ended")
}

fn listed(platform: &Platform, what: &str, list: &str) -> Vec<Value> {
    let found = platform.operate_json(&[what, "list"]);
    found[list].as_array().expect("a list").clone()
}

#[test]
fn what_is_asked_for_twice_is_there_once() {
    let platform = Platform::start(&[]);
    hosts(&platform, &["kvm"]);
    let commands = || listed(&platform, "command", "commands");
    let output = ran(&platform, &["run", "kvm", "--", "true"], || {
        (!commands().is_empty()).then_some(())
    });
    let id = made(&output);
    assert!(said(&output).contains("asking again"), "{}", said(&output));
    let commands = commands();
    assert_eq!(commands.len(), 1);
    assert_eq!(commands[0]["id"], *id);

    // A generated command likewise: the answer holds a secret, and is the same.
    let tokens = || listed(&platform, "token", "enrolment_tokens");
    let line = ["token", "create", "--name", "kvm-2"];
    let output = ran(&platform, &line, || (!tokens().is_empty()).then_some(()));
    assert!(made(&output).starts_with("fwe_"), "{output:?}");
    assert_eq!(tokens().len(), 1);
}
