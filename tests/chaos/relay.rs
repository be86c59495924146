//! The way between agent and platform: a relay of TCP connections that can be cut, or pass one way only.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How often a direction that waits looks whether it may go on.
const LOOK: Duration = Duration::from_millis(20);

/// A relay. Its threads end with the test's process.
pub struct Relay {
    /// Where it listens.
    pub address: SocketAddr,
    way: Arc<Way>,
}

#[derive(Default)]
struct Way {
    /// Where it leads; nowhere while there is no platform.
    to: Mutex<Option<SocketAddr>>,
    open: Mutex<Vec<TcpStream>>,
    /// Nothing passes towards the platform, or towards the agent.
    held: [AtomicBool; 2],
}

impl Relay {
    /// Begins one that leads nowhere yet.
    pub fn begin() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let way = Arc::new(Way::default());
        let accepting = way.clone();
        thread::spawn(move || {
            for agent in listener.incoming().flatten() {
                accepting.carry(agent);
            }
        });
        Self { address, way }
    }

    /// New connections lead there from now on.
    pub fn lead_to(&self, platform: SocketAddr) {
        *self.way.to.lock().unwrap() = Some(platform);
    }

    /// Ends every connection.
    pub fn cut(&self) {
        for socket in self.way.open.lock().unwrap().drain(..) {
            // It may have ended by itself.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Holds what goes one way, without a word to either end, or lets it pass again.
    pub fn hold(&self, direction: usize, held: bool) {
        self.way.held[direction].store(held, Ordering::SeqCst);
    }
}

impl Way {
    fn carry(self: &Arc<Self>, agent: TcpStream) {
        let to = *self.to.lock().unwrap();
        let Some(platform) = to.and_then(|to| TcpStream::connect(to).ok()) else {
            return;
        };
        let mut open = self.open.lock().unwrap();
        for (direction, (from, to)) in [(&agent, &platform), (&platform, &agent)]
            .into_iter()
            .enumerate()
        {
            let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            from.set_nodelay(true).unwrap();
            from.set_read_timeout(Some(LOOK)).unwrap();
            let way = self.clone();
            thread::spawn(move || way.pump(direction, from, to));
        }
        open.extend([agent, platform]);
    }

    fn pump(&self, direction: usize, mut from: TcpStream, mut to: TcpStream) {
        let mut space = vec![0; 64 << 10];
        loop {
            while self.held[direction].load(Ordering::SeqCst) {
                thread::sleep(LOOK);
            }
            match from.read(&mut space) {
                Ok(0) => break,
                Ok(read) => {
                    if to.write_all(&space[..read]).is_err() {
                        break;
                    }
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => break,
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}
