//! The way between agent and platform: a relay of TCP connections that counts what passes towards each end, and
//! can hold it at a count, or cut it.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use fleetwire::net::http_client::ServerUrl;

use crate::support::until;

/// A relay. Its threads end with the test's process.
pub struct Relay {
    address: SocketAddr,
    way: Arc<Way>,
}

struct Way {
    to: Mutex<SocketAddr>,
    open: Mutex<Vec<TcpStream>>,
    passed: AtomicU64,
    /// More than that does not pass.
    most: Mutex<u64>,
    changed: Condvar,
}

impl Relay {
    /// Begins one that leads to this platform.
    pub fn begin(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let way = Arc::new(Way {
            to: Mutex::new(to),
            open: Mutex::default(),
            passed: AtomicU64::new(0),
            most: Mutex::new(u64::MAX),
            changed: Condvar::new(),
        });
        let accepting = way.clone();
        thread::spawn(move || {
            for agent in listener.incoming().flatten() {
                accepting.carry(agent);
            }
        });
        Self { address, way }
    }

    /// Where agents dial it.
    pub fn url(&self) -> ServerUrl {
        format!("https://{}", self.address)
            .parse()
            .expect("an address")
    }

    /// New connections lead there from now on.
    pub fn lead_to(&self, platform: SocketAddr) {
        *self.way.to.lock().unwrap() = platform;
    }

    /// How many bytes have passed, both ways together.
    pub fn passed(&self) -> u64 {
        self.way.passed.load(SeqCst)
    }

    /// Holds everything once so many bytes more have passed.
    pub fn hold_after(&self, bytes: usize) {
        *self.way.most.lock().unwrap() = self.passed() + bytes as u64;
    }

    /// Waits until it holds.
    pub fn until_held(&self) {
        let most = *self.way.most.lock().unwrap();
        until("the hold", || (self.passed() >= most).then_some(()));
    }

    /// Ends every connection, and lets the next ones pass.
    pub fn cut(&self) {
        for socket in self.way.open.lock().unwrap().drain(..) {
            // It may have ended by itself.
            let _ = socket.shutdown(Shutdown::Both);
        }
        self.release();
    }

    /// Lets everything pass.
    pub fn release(&self) {
        *self.way.most.lock().unwrap() = u64::MAX;
        self.way.changed.notify_all();
    }
}

impl Way {
    fn carry(self: &Arc<Self>, agent: TcpStream) {
        let to = *self.to.lock().unwrap();
        let Ok(platform) = TcpStream::connect(to) else {
            return;
        };
        let mut open = self.open.lock().unwrap();
        for (from, to) in [(&agent, &platform), (&platform, &agent)] {
            let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            from.set_nodelay(true).unwrap();
            let way = self.clone();
            thread::spawn(move || way.pump(from, to));
        }
        open.extend([agent, platform]);
    }

    fn pump(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut space = vec![0; 64 << 10];
        while let Ok(read) = from.read(&mut space) {
            if read == 0 || to.write_all(&space[..read]).is_err() {
                break;
            }
            let passed = self.passed.fetch_add(read as u64, SeqCst) + read as u64;
            let most = self.most.lock().unwrap();
            drop(
                self.changed
                    .wait_while(most, |most| passed >= *most)
                    .unwrap(),
            );
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}
