//! A TCP connection to a name: its addresses are tried side by side, a little apart (RFC 8305), so
//! that one that swallows packets does not hide those that answer. Bounding the whole is left to the
//! caller.

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::{
    net::{TcpStream, lookup_host},
    time::sleep,
};

/// How long an attempt has before the next address is tried beside it (RFC 8305 section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// Most addresses of a name that are tried: more than a device or a platform has, and as many
/// sockets as one connection may cost at once.
const ADDRESSES_MAX: usize = 16;

/// Connects to the first address of a host that answers.
///
/// # Errors
/// The last failure, where no address can be reached or none is known.
pub async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    connect_where(host, port, |_| true).await
}

/// Connects to the first address of a host that answers, of those alone that are allowed.
///
/// # Errors
/// As [`connect`]; [`io::ErrorKind::PermissionDenied`] where it has addresses, and none is allowed.
pub async fn connect_where(
    host: &str,
    port: u16,
    allowed: impl Fn(IpAddr) -> bool,
) -> io::Result<TcpStream> {
    let found: Vec<_> = lookup_host((host, port)).await?.collect();
    let may = found.iter().filter(|address| allowed(address.ip()));
    let addresses = alternating(may.copied());
    if addresses.is_empty() && !found.is_empty() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    first(addresses, TcpStream::connect).await
}

/// Addresses in the resolver's order, but the families in turn (RFC 8305 section 4).
fn alternating(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut addresses = addresses.take(ADDRESSES_MAX).peekable();
    let preferred = addresses.peek().is_some_and(SocketAddr::is_ipv4);
    let (these, those): (Vec<_>, Vec<_>) =
        addresses.partition(|address| address.is_ipv4() == preferred);
    let mut those = those.into_iter();
    let mut ordered = Vec::with_capacity(ADDRESSES_MAX);
    for address in these {
        ordered.push(address);
        ordered.extend(those.next());
    }
    ordered.extend(those);
    ordered
}

/// The first success of attempts that begin one after the other: once the one before has failed, or
/// has had its time.
async fn first<F, T>(addresses: Vec<SocketAddr>, attempt: impl Fn(SocketAddr) -> F) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let mut waiting = addresses.into_iter();
    let mut running = FuturesUnordered::new();
    let mut fault = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        running.extend(waiting.next().map(&attempt));
        tokio::select! {
            biased;
            ended = running.next() => match ended {
                Some(Ok(connected)) => return Ok(connected),
                Some(Err(error)) => fault = error,
                None => return Err(fault),
            },
            () = sleep(ATTEMPT_DELAY), if waiting.len() > 0 => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{net::TcpListener, time::Instant};

    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts
            .iter()
            .map(|text| text.parse().expect("an address"))
            .collect()
    }

    #[test]
    fn families_take_turns_and_the_resolvers_first_leads() {
        for (given, ordered) in [
            (
                &["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"][..],
                &["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"][..],
            ),
            (
                &["1.1.1.1:1", "[::1]:1", "[::2]:1"],
                &["1.1.1.1:1", "[::1]:1", "[::2]:1"],
            ),
            (&["1.1.1.1:1"], &["1.1.1.1:1"]),
            (&[], &[]),
        ] {
            assert_eq!(
                alternating(addresses(given).into_iter()),
                addresses(ordered)
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_swallows_packets_hides_no_other() {
        let dead: SocketAddr = "[2001:db8::1]:1".parse().expect("an address");
        let refusing: SocketAddr = "192.0.2.1:1".parse().expect("an address");
        let live: SocketAddr = "192.0.2.2:1".parse().expect("an address");
        let attempt = |address| async move {
            if address == dead {
                std::future::pending::<()>().await;
            }
            if address == refusing {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            Ok(address)
        };
        let started = Instant::now();
        let connected = first(vec![dead, refusing, live], attempt).await;
        assert_eq!(connected.expect("one lives"), live);
        assert_eq!(
            started.elapsed(),
            ATTEMPT_DELAY,
            "one wait for the dead one, none for the one that refuses"
        );
        let refused = first(vec![refusing, refusing], attempt).await;
        assert_eq!(
            refused.expect_err("refused").kind(),
            io::ErrorKind::ConnectionRefused
        );
        assert!(first(Vec::new(), attempt).await.is_err());
        // A slow one that others overtook may still be the one that answers.
        let slow = |address| async move {
            if address == refusing {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            sleep(10 * ATTEMPT_DELAY).await;
            Ok(address)
        };
        let connected = first(vec![dead, refusing], slow).await;
        assert_eq!(connected.expect("in the end"), dead);
    }

    #[tokio::test]
    async fn a_name_leads_to_whoever_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("bound");
        let stream = connect("localhost", address.port())
            .await
            .expect("it listens");
        assert_eq!(stream.peer_addr().expect("connected"), address);
    }
}
