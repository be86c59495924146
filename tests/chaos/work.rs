//! What is asked of the platform meanwhile: commands of several manners, by several callers at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

use super::api::Caller;
use super::ledger::{Ledger, Manner};
use super::lots::Lots;
use super::programs::HOST;
use super::world::World;

/// Callers at once.
const CALLERS: u64 = 6;
/// How many more than have ended are asked for: enough that many wait while the host is away.
const AHEAD: usize = 400;
const LOOK: Duration = Duration::from_millis(20);

/// Commands that are being asked for.
pub struct Work {
    threads: Vec<JoinHandle<()>>,
    /// So many may be asked for by now, and as many more as were refused.
    may: Arc<AtomicUsize>,
}

impl Work {
    /// Begins with so many.
    pub fn begin(world: &Arc<World>, ledger: &Arc<Ledger>, lots: &Lots, commands: usize) -> Self {
        let next = Arc::new(AtomicUsize::new(0));
        let may = Arc::new(AtomicUsize::new(AHEAD));
        let refused = Arc::new(AtomicUsize::new(0));
        let threads = (0..CALLERS).map(|number| {
            let (world, ledger) = (world.clone(), ledger.clone());
            let (next, may, refused) = (next.clone(), may.clone(), refused.clone());
            let lots = lots.branch(number + 1);
            thread::spawn(move || {
                let mut caller = world.caller();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= commands {
                        break;
                    }
                    let most = || may.load(Ordering::Relaxed) + refused.load(Ordering::Relaxed);
                    while number >= most() {
                        thread::sleep(LOOK);
                    }
                    if !ask(&world, &mut caller, &ledger, &lots, number) {
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        });
        Self {
            threads: threads.collect(),
            may,
        }
    }

    /// So many have ended.
    pub fn ended(&self, count: usize) {
        self.may.store(count + AHEAD, Ordering::Relaxed);
    }

    /// Whether all of them were asked for.
    pub fn is_done(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Waits for it.
    pub fn join(self) {
        for thread in self.threads {
            thread.join().expect("every call was answered");
        }
    }
}

/// Asks for a command, and says whether it was taken.
fn ask(world: &World, caller: &mut Caller, ledger: &Ledger, lots: &Lots, number: usize) -> bool {
    let manner = match lots.below(100) {
        0..80 => Manner::Plain,
        80..86 => Manner::Slow,
        86..92 => Manner::Brief,
        92..97 => Manner::Cancelled,
        _ => Manner::NotAllowed,
    };
    let body = body(world, manner, number, lots);
    let key = format!("n{number}");
    let (status, made) = caller.call("POST", "/api/commands", &key, Some(&body));
    if manner == Manner::Brief && status == 422 {
        // It was past its end by the platform's clock before it was taken: nothing may come of it.
        return false;
    }
    assert_eq!(status, 202, "{made}");
    let id = made["command_id"].as_str().expect("an id").to_owned();
    ledger.note(number, id.clone(), manner);
    if manner == Manner::Cancelled {
        // While it waits, on its way, as it runs, or when all is over.
        thread::sleep(lots.millis(0, 1000));
        let path = format!("/api/commands/{id}/cancel");
        let (status, said) = caller.call("POST", &path, "", Some(&json!({})));
        assert_eq!(status, 200, "{said}");
    }
    true
}

fn body(world: &World, manner: Manner, number: usize, lots: &Lots) -> Value {
    let mut body = json!({ "targets": { "hosts": [HOST] }, "timeout": 600 });
    let slowly = if matches!(manner, Manner::Slow | Manner::Cancelled) {
        "sleep 0.3\n"
    } else {
        ""
    };
    if manner == Manner::NotAllowed {
        body["service_operation"] = json!({ "operation": "restart", "service": "nginx" });
    } else {
        body["script"] = json!({
            "content": format!("{slowly}echo \"$1\" >> \"$2\"\n"),
            "arguments": [number.to_string(), world.effects_file()],
        });
    }
    if manner == Manner::Brief {
        let until = world.platform_clock.now().plus(lots.millis(500, 6000));
        body["expires_at"] = until.to_string().into();
    }
    let first = match manner {
        // So that some are cancelled as they run.
        Manner::Cancelled => lots.below(3) > 0,
        _ => lots.below(10) == 0,
    };
    if first {
        body["priority"] = "high".into();
    }
    body
}
