//! A platform's requests through a link to a command that waits for them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::*;
use crate::ids::random_uuid;
use crate::link::{Admission, AgentEvent, Link, Platform, PlatformEvent, Time};
use crate::net::connection::Connection;
use crate::net::own_origin::{CONTENT_LENGTH, CONTENT_RANGE, RANGE, REPR_DIGEST};
use crate::net::stream::Tunnel;
use crate::net::{driver, socket};
use crate::wire::Encoding;
use crate::wire::messages::Hello;
use crate::wire::values::{Secret, Timestamp};

const ID: &str = "c-1";

async fn tunnel(transfers: Transfers) -> Tunnel {
    let (near, far) = tokio::io::duplex(1 << 20);
    let hello = Hello::new(Secret::new("agt_test".into()), vec![1]);
    let on_event = move |event, connection: &Connection<Agent>| {
        if let AgentEvent::Opened { key, request } = event {
            let (send, recv) = connection.halves(key);
            transfers.serve(request, send, recv);
        }
    };
    let link = Link::<Agent>::connect(hello, Time::default());
    let near = socket::connected(near, &[]);
    let (_, agent) = driver::start(near, link, Some(Encoding::Binary), on_event);
    tokio::spawn(agent);
    let (admitted, mut wait) = mpsc::unbounded_channel();
    let on_event = move |event, connection: &Connection<Platform>| {
        if let PlatformEvent::Hello(_) = event {
            connection.admit(Admission {
                session_id: random_uuid([1; 16]),
                host_id: random_uuid([2; 16]),
                heartbeat: Duration::from_secs(15),
                platform_time: Timestamp::from_system_time(SystemTime::now()),
                capabilities: Vec::new(),
            });
            admitted.send(()).expect("the test waits");
        }
    };
    let link = Link::<Platform>::accept(Time::default());
    let far = socket::accepted(far, &[]);
    let (tunnel, platform) = driver::start(far, link, None, on_event);
    tokio::spawn(platform);
    wait.recv().await.expect("a hello");
    tunnel
}

/// Status, fields, body and trailers of an answer.
struct Answered {
    status: u32,
    fields: FieldLines,
    body: Vec<u8>,
    trailers: FieldLines,
}

impl Answered {
    fn field(&self, name: &str) -> &str {
        let value = self.fields.get(name).unwrap_or_default();
        str::from_utf8(value).expect("text")
    }
}

async fn ask(
    tunnel: &Tunnel,
    method: &str,
    fields: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Answered {
    let request = own_origin::request(method, ID, fields, body.is_some()).expect("a request");
    let (mut send, mut recv) = tunnel.open(request).expect("open");
    if let Some(body) = body {
        for piece in body.chunks(100_000) {
            if send.write(Bytes::copy_from_slice(piece)).await.is_err() {
                break;
            }
        }
        send.finish(FieldLines::default());
    }
    let head = recv.head().await.expect("an answer");
    let mut read = Vec::new();
    while let Some(piece) = recv.data().await {
        read.extend_from_slice(&piece.expect("whole"));
    }
    Answered {
        status: head.status,
        fields: head.headers,
        body: read,
        trailers: recv.trailers(),
    }
}

fn sample(length: usize) -> (Vec<u8>, Wanted) {
    let bytes: Vec<u8> = (0..length).map(|n| (n * 7 + n / 251) as u8).collect();
    let sha256 = Sha256::digest(&bytes).into();
    let size = bytes.len() as u64;
    (bytes, Wanted { size, sha256 })
}

type Received = tokio::task::JoinHandle<Result<std::path::PathBuf, Fault>>;

/// A command that waits for a file, and the link to it.
async fn waiting(transfers: &Transfers, wanted: Wanted, folder: &Path) -> Received {
    let (reports, mut said) = Reports::channel(16);
    let (transfers, folder) = (transfers.clone(), folder.to_owned());
    let task = tokio::spawn(async move { transfers.receive(ID, wanted, &folder, &reports).await });
    // It says that it waits before it does.
    said.recv().await;
    task
}

#[tokio::test]
async fn a_file_goes_on_where_it_broke_off_and_is_verified() {
    let folder = tempfile::tempdir().expect("a folder");
    let transfers = Transfers::default();
    let tunnel = tunnel(transfers.clone()).await;
    let (bytes, wanted) = sample(3_000_000);
    let received = waiting(&transfers, wanted, folder.path()).await;
    assert_eq!(
        ask(&tunnel, "HEAD", &[], None).await.field(CONTENT_LENGTH),
        "0"
    );
    // One that breaks off.
    let range = own_origin::content_range(0, wanted.size);
    let request = own_origin::request("PUT", ID, &[(CONTENT_RANGE, &range)], true);
    let (mut send, recv) = tunnel.open(request.expect("a request")).expect("open");
    send.write(Bytes::copy_from_slice(&bytes[..1_200_000]))
        .await
        .expect("sent");
    send.reset(ErrorCode::Cancelled, "cut");
    drop(recv);
    // How much of it arrived before the reset is not known here.
    let have: u64 = ask(&tunnel, "HEAD", &[], None)
        .await
        .field(CONTENT_LENGTH)
        .parse()
        .expect("a number");
    assert!(have <= 1_200_000);
    let wrong = own_origin::content_range(have + 1, wanted.size);
    let refused = ask(&tunnel, "PUT", &[(CONTENT_RANGE, &wrong)], Some(b"x")).await;
    assert_eq!(refused.status, 416);
    assert_eq!(refused.field(CONTENT_RANGE), format!("bytes */{have}"));
    let range = own_origin::content_range(have, wanted.size);
    let rest = &bytes[have as usize..];
    let taken = ask(&tunnel, "PUT", &[(CONTENT_RANGE, &range)], Some(rest)).await;
    assert_eq!(taken.status, 204);
    let path = received.await.expect("run").expect("received");
    assert_eq!(std::fs::read(path).expect("read"), bytes);
    let left = std::fs::read_dir(folder.path()).expect("read").count();
    assert_eq!(left, 1, "nothing is left beside it");
}

#[tokio::test]
async fn a_later_command_takes_up_what_an_earlier_one_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let transfers = Transfers::default();
    let tunnel = tunnel(transfers.clone()).await;
    let (bytes, wanted) = sample(2_500_000);
    let first = waiting(&transfers, wanted, folder.path()).await;
    let range = own_origin::content_range(0, wanted.size);
    let short = ask(
        &tunnel,
        "PUT",
        &[(CONTENT_RANGE, &range)],
        Some(&bytes[..2_000_000]),
    )
    .await;
    assert_eq!(short.status, 400);
    first.abort();
    let _ = first.await;
    let second = waiting(&transfers, wanted, folder.path()).await;
    let have = ask(&tunnel, "HEAD", &[], None).await;
    assert_eq!(have.field(CONTENT_LENGTH), "2000000");
    let range = own_origin::content_range(2_000_000, wanted.size);
    let taken = ask(
        &tunnel,
        "PUT",
        &[(CONTENT_RANGE, &range)],
        Some(&bytes[2_000_000..]),
    )
    .await;
    assert_eq!(taken.status, 204);
    let path = second.await.expect("run").expect("received");
    assert_eq!(std::fs::read(path).expect("read"), bytes);
}

#[tokio::test]
async fn another_file_than_was_asked_for_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let transfers = Transfers::default();
    let tunnel = tunnel(transfers.clone()).await;
    let (mut bytes, wanted) = sample(200_000);
    let received = waiting(&transfers, wanted, folder.path()).await;
    bytes[100_000] ^= 1;
    ask(&tunnel, "PUT", &[], Some(&bytes)).await;
    let fault = received.await.expect("run").expect_err("another");
    assert_eq!(fault.reason, "hash_mismatch");
    let received = waiting(&transfers, wanted, folder.path()).await;
    bytes.push(0);
    assert_eq!(ask(&tunnel, "PUT", &[], Some(&bytes)).await.status, 413);
    let fault = received.await.expect("run").expect_err("too long");
    assert_eq!(fault.reason, "size_mismatch");
    let received = waiting(&transfers, wanted, folder.path()).await;
    ask(&tunnel, "DELETE", &[], Some(b"it is not kept any more")).await;
    let fault = received.await.expect("run").expect_err("given up");
    assert_eq!(fault.reason, "platform_refused");
    assert!(
        fault.detail.ends_with("it is not kept any more"),
        "{}",
        fault.detail
    );
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .expect("read")
        .flatten()
        .collect();
    assert!(
        left.iter()
            .all(|entry| entry.metadata().is_ok_and(|file| file.len() == 0))
    );
}

#[tokio::test]
async fn what_no_command_waits_for_comes_to_nothing() {
    let tunnel = tunnel(Transfers::default()).await;
    let request = own_origin::request("HEAD", ID, &[], false).expect("a request");
    let (_send, mut recv) = tunnel.open(request).expect("open");
    let answer = recv.head().await;
    assert!(answer.is_ok_and(|head| head.status == 404));
}

#[tokio::test]
async fn a_file_is_given_from_anywhere_until_the_platform_has_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let transfers = Transfers::default();
    let tunnel = tunnel(transfers.clone()).await;
    let (bytes, wanted) = sample(1_000_000);
    let path = folder.path().join("file");
    std::fs::write(&path, &bytes).expect("written");
    let offer = |path: &Path| {
        let file = std::fs::File::open(path).expect("opened");
        let mut streams = transfers.of(ID).expect("free");
        let offered = Offered::new(file).expect("looked at").expect("regular");
        let (reports, said) = Reports::channel(16);
        tokio::spawn(async move {
            let _said = said;
            streams.offer(offered, &reports).await
        })
    };
    let offered = offer(&path);
    let head = ask(&tunnel, "HEAD", &[], None).await;
    assert_eq!(
        (head.field(CONTENT_LENGTH), head.field(REPR_DIGEST)),
        ("1000000", "")
    );
    let early = ask(&tunnel, "GET", &[(RANGE, "bytes=5-")], None).await;
    assert_eq!(early.status, 416, "nothing of it was read");
    let all = ask(&tunnel, "GET", &[], None).await;
    assert_eq!((all.status, &all.body), (200, &bytes));
    let digest = own_origin::digest(&wanted.sha256);
    assert_eq!(all.trailers.get(REPR_DIGEST), Some(digest.as_bytes()));
    let rest = ask(&tunnel, "GET", &[(RANGE, "bytes=999990-")], None).await;
    assert_eq!((rest.status, &rest.body[..]), (206, &bytes[999_990..]));
    assert_eq!(rest.field(CONTENT_RANGE), "bytes 999990-999999/1000000");
    let head = ask(&tunnel, "HEAD", &[], None).await;
    assert_eq!(head.field(REPR_DIGEST), digest);
    assert_eq!(
        ask(&tunnel, "DELETE", &[(REPR_DIGEST, &digest)], None)
            .await
            .status,
        204
    );
    assert_eq!(offered.await.expect("run"), Ok(wanted.sha256));

    let offered = offer(&path);
    let request = own_origin::request("GET", ID, &[], false).expect("a request");
    let (_send, mut recv) = tunnel.open(request).expect("open");
    assert!(recv.head().await.is_ok());
    std::fs::write(&path, b"shorter").expect("written");
    while let Some(Ok(_)) = recv.data().await {}
    let fault = offered.await.expect("run").expect_err("changed");
    assert_eq!(fault.reason, "file_changed");
    let _keep = Arc::new(folder);
}

#[tokio::test]
async fn a_file_for_which_there_is_no_room_is_not_begun() {
    let folder = tempfile::tempdir().expect("a folder");
    let wanted = Wanted {
        size: 1 << 60,
        sha256: [0; 32],
    };
    let (reports, _said) = Reports::channel(16);
    let transfers = Transfers::default();
    let received = transfers.receive(ID, wanted, folder.path(), &reports);
    assert_eq!(received.await.expect_err("no room").reason, "disk_full");
    // The id is free again.
    transfers.of(ID).expect("free");
}

#[tokio::test]
async fn one_command_at_a_time_writes_a_file_and_no_other_file_is_taken_for_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let transfers = Transfers::default();
    let (bytes, wanted) = sample(1000);
    let name = partial::name_for(&own_origin::hash_text(&wanted.sha256), &wanted);
    let victim = folder.path().join("victim");
    std::fs::write(&victim, "as it was").expect("written");
    // What somebody else has put in its place goes: a link, a hard link, and what others may write.
    let place = folder.path().join(&name);
    std::os::unix::fs::symlink(&victim, &place).expect("linked");
    let first = waiting(&transfers, wanted, folder.path()).await;
    first.abort();
    let _ = first.await;
    std::fs::remove_file(&place).expect("its own by now");
    std::fs::hard_link(&victim, &place).expect("linked");
    let tunnel = tunnel(transfers.clone()).await;
    let received = waiting(&transfers, wanted, folder.path()).await;
    let (reports, _said) = Reports::channel(16);
    let other = Transfers::default();
    let busy = other.receive(ID, wanted, folder.path(), &reports).await;
    assert_eq!(busy.expect_err("busy").reason, "busy");
    assert_eq!(ask(&tunnel, "PUT", &[], Some(&bytes)).await.status, 204);
    let path = received.await.expect("run").expect("received");
    assert_eq!(std::fs::read(path).expect("read"), bytes);
    assert_eq!(std::fs::read(&victim).expect("read"), b"as it was");
}

#[test]
fn what_nobody_comes_back_for_is_removed() {
    use rustix::fs::{Mode, OFlags, open};

    let (state, folder) = (tempfile::tempdir(), tempfile::tempdir());
    let (state, folder) = (state.expect("a folder"), folder.expect("a folder"));
    let notes = leftovers::Leftovers::in_state(state.path());
    let open = |folder: &Path| {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        open(folder, flags, Mode::empty()).ok()
    };
    let name = |n: u32| format!(".fleetwire-{n:040x}.part");
    for n in 0..66 {
        notes.note(folder.path(), &name(n)).expect("noted");
        std::fs::write(folder.path().join(name(n)), "some").expect("written");
    }
    std::fs::write(folder.path().join("other"), "not ours").expect("written");
    notes.clean(open);
    let left = || std::fs::read_dir(folder.path()).expect("read").count();
    assert_eq!(left(), 65, "64, and what is not ours");
    // A day later.
    for note in std::fs::read_dir(state.path().join("partial-files")).expect("read") {
        let note = std::fs::File::open(note.expect("read").path()).expect("opened");
        let before = SystemTime::now() - Duration::from_secs(25 * 60 * 60);
        note.set_modified(before).expect("set");
    }
    notes.clean(open);
    assert_eq!(left(), 1);
}
