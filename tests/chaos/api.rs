//! Calls of the platform's API that are made until they are answered: the platform may be gone at any
//! moment, and a request with an `Idempotency-Key` is done once however often it is made.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long one answer is waited for: a platform may be frozen.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a call may take with all that happens meanwhile.
const PATIENCE: Duration = Duration::from_secs(300);
const AGAIN: Duration = Duration::from_millis(50);

/// Where the platform is at present, and who calls.
#[derive(Clone)]
pub struct Place {
    pub address: Arc<Mutex<SocketAddr>>,
    pub token: String,
}

impl Place {
    fn connect(&self, patience: Duration) -> io::Result<BufReader<TcpStream>> {
        let socket = TcpStream::connect(*self.address.lock().unwrap())?;
        socket.set_read_timeout(Some(patience))?;
        socket.set_nodelay(true)?;
        Ok(BufReader::new(socket))
    }

    /// A request's head, to be gone on with.
    fn head(&self, method: &str, path: &str) -> String {
        format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n",
            self.token
        )
    }
}

/// A caller with a connection of its own.
pub struct Caller {
    place: Place,
    connection: Option<BufReader<TcpStream>>,
}

impl Caller {
    pub const fn new(place: Place) -> Self {
        Self {
            place,
            connection: None,
        }
    }

    /// Makes a call until it is answered by anything but "not now": the status and the body.
    ///
    /// # Panics
    /// When it never is.
    pub fn call(
        &mut self,
        method: &str,
        path: &str,
        key: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.once(method, path, key, body) {
                Ok((429 | 500..=599, _)) => {}
                Ok(answer) => return answer,
                Err(_) => self.connection = None,
            }
            assert!(
                Instant::now() < deadline,
                "{method} {path} was never answered"
            );
            thread::sleep(AGAIN);
        }
    }

    /// Reads what is told on and on, over a connection of its own, until the platform has told all of it.
    ///
    /// # Panics
    /// When it is not there, or does not come to an end.
    pub fn follow(&self, path: &str) {
        let followed = || -> io::Result<String> {
            let mut connection = self.place.connect(PATIENCE)?;
            let head = format!("{}Connection: close\r\n\r\n", self.place.head("GET", path));
            connection.get_mut().write_all(head.as_bytes())?;
            let mut told = String::new();
            connection.read_to_string(&mut told)?;
            Ok(told)
        };
        let told = followed().unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(told.starts_with("HTTP/1.1 200"), "{path}: {told}");
    }

    fn once(
        &mut self,
        method: &str,
        path: &str,
        key: &str,
        body: Option<&Value>,
    ) -> io::Result<(u16, Value)> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.place.connect(ANSWER)?),
        };
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut head = format!(
            "{}Content-Length: {}\r\n",
            self.place.head(method, path),
            body.len()
        );
        if !key.is_empty() {
            head += &format!("Idempotency-Key: fleetwire-chaos-{key}\r\n");
        }
        if !body.is_empty() {
            head += "Content-Type: application/json\r\n";
        }
        connection
            .get_mut()
            .write_all(format!("{head}\r\n{body}").as_bytes())?;
        read_answer(connection)
    }
}

fn read_answer(connection: &mut BufReader<TcpStream>) -> io::Result<(u16, Value)> {
    let broken = || io::Error::other("no answer");
    let mut line = String::new();
    connection.read_line(&mut line)?;
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .ok_or_else(broken)?;
    let mut length = 0;
    loop {
        line.clear();
        if connection.read_line(&mut line)? == 0 {
            return Err(broken());
        }
        if line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().map_err(|_| broken())?;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body)?;
    Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}
