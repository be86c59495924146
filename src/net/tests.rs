//! Two connections over a socket: what a program sees of the other end.

use super::{
    connection::{Connection, Ending},
    driver, socket,
    stream::{RecvHalf, SendHalf, StreamError, Tunnel},
};
use crate::{
    ids::{StreamId, random_uuid},
    link::{Admission, Agent, AgentEvent, Link, Platform, PlatformEvent, Time},
    wire::{
        Encoding,
        fields::FieldLines,
        messages::{
            AgentToPlatform, ErrorCode, Hello, HttpRequest, HttpResponse, PlatformToAgent, Refuse,
            SessionClose, SessionCloseReason,
        },
        values::{Method, RequestTarget, Secret, Text, Timestamp},
    },
};
use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use std::{
    future::{Future, poll_fn},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Waker},
    thread,
    time::{Duration, SystemTime},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::yield_now,
    time::Instant,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{CloseFrame, Role, frame::coding::CloseCode},
    },
};

/// The interval of heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// What a pipe in memory holds: the sockets of tests whose clock stands still until all wait, which
/// a kernel's sockets do not tell.
const PIPE_BYTES: usize = 64 << 10;
/// A task that is polled so often turns in circles: here it has no more than dozens of things to do.
/// The pings of one test are thousands.
const POLLS_MAX: usize = 20_000;

type Stream = (HttpRequest, SendHalf<Agent>, RecvHalf<Agent>);

/// A platform and an agent that it has let in.
struct Pair {
    tunnel: Tunnel,
    agent: Connection<Agent>,
    streams: mpsc::UnboundedReceiver<Stream>,
}

fn hello() -> Hello {
    Hello::new(Secret::new("agt_test".into()), vec![1])
}

fn admission(heartbeat: Duration) -> Admission {
    Admission {
        session_id: random_uuid([1; 16]),
        host_id: random_uuid([2; 16]),
        heartbeat,
        platform_time: Timestamp::from_system_time(SystemTime::now()),
        capabilities: Vec::new(),
    }
}

async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (near, far) = (near.unwrap(), far.unwrap().0);
    socket::tune(&near).unwrap();
    socket::tune(&far).unwrap();
    (near, far)
}

impl Pair {
    async fn new(encoding: Encoding) -> Self {
        let (near, far) = sockets().await;
        let (streams_in, streams) = mpsc::unbounded_channel();
        let link = Link::<Agent>::connect(hello(), Time::default());
        let on_event = move |event, connection: &Connection<Agent>| {
            if let AgentEvent::Opened { key, request } = event {
                let (send, recv) = connection.halves(key);
                let _ = streams_in.send((request, send, recv));
            }
        };
        let socket = socket::connected(near, &[]);
        let (agent, driver) = driver::start(socket, link, Some(encoding), on_event);
        tokio::spawn(driver);
        let (admitted, mut wait) = mpsc::unbounded_channel();
        let on_event = move |event, connection: &Connection<Platform>| {
            if let PlatformEvent::Hello(_) = event {
                connection.admit(admission(HEARTBEAT));
                let _ = admitted.send(());
            }
        };
        let socket = socket::accepted(far, &[]);
        let link = Link::<Platform>::accept(Time::default());
        let (tunnel, driver) = driver::start(socket, link, None, on_event);
        tokio::spawn(driver);
        wait.recv().await.unwrap();
        Self {
            tunnel,
            agent,
            streams,
        }
    }
}

fn request(body: &'static [u8], body_follows: bool) -> HttpRequest {
    HttpRequest {
        id: StreamId::from_number(0),
        method: Method::parse("POST".into()).unwrap(),
        path: RequestTarget::parse("/".into()).unwrap(),
        headers: FieldLines::default(),
        body: Bytes::from_static(body),
        body_follows,
        origin: None,
    }
}

fn response(status: u32, body: &'static [u8], body_follows: bool) -> HttpResponse {
    HttpResponse {
        id: StreamId::from_number(0),
        status,
        headers: FieldLines::default(),
        body: Bytes::from_static(body),
        body_follows,
    }
}

async fn read_all<S: crate::link::Side>(recv: &mut RecvHalf<S>) -> Result<u64, StreamError> {
    let mut bytes = 0;
    while let Some(data) = recv.data().await {
        bytes += data?.len() as u64;
    }
    Ok(bytes)
}

#[tokio::test]
async fn a_small_exchange_goes_there_and_back() {
    for encoding in [Encoding::Binary, Encoding::Json] {
        let mut pair = Pair::new(encoding).await;
        let (_send, mut recv) = pair.tunnel.open(request(b"ping", false)).unwrap();
        let (got, mut answer, mut body) = pair.streams.recv().await.unwrap();
        assert_eq!(got.method.as_str(), "POST");
        assert_eq!(read_all(&mut body).await, Ok(4));
        answer.send_head(response(200, b"pong", false)).unwrap();
        let head = recv.head().await.unwrap();
        assert_eq!((head.status, head.id), (200, got.id));
        assert_eq!(recv.data().await, Some(Ok(Bytes::from_static(b"pong"))));
        assert_eq!(recv.data().await, None);
    }
}

#[tokio::test]
async fn long_bodies_stream_both_ways_at_once() {
    const PIECES: u64 = 2000;
    const PIECE: &[u8] = &[7; 30_000];
    let mut pair = Pair::new(Encoding::Binary).await;
    let (mut send, mut recv) = pair.tunnel.open(request(b"", true)).unwrap();
    let (_, mut answer, mut body) = pair.streams.recv().await.unwrap();
    answer.send_head(response(200, b"", true)).unwrap();
    let up = async {
        for _ in 0..PIECES {
            send.write(Bytes::from_static(PIECE)).await.unwrap();
        }
        send.finish(FieldLines::default());
    };
    let down = async {
        for _ in 0..PIECES {
            answer.write(Bytes::from_static(PIECE)).await.unwrap();
        }
        answer.finish(FieldLines::default());
    };
    assert_eq!(recv.head().await.unwrap().status, 200);
    let (uploaded, downloaded, (), ()) =
        tokio::join!(read_all(&mut body), read_all(&mut recv), up, down);
    assert_eq!(uploaded, Ok(PIECES * PIECE.len() as u64));
    assert_eq!(downloaded, uploaded);
}

#[tokio::test]
async fn a_reader_that_leaves_stops_the_sender() {
    let mut pair = Pair::new(Encoding::Binary).await;
    let (send, recv) = pair.tunnel.open(request(b"", true)).unwrap();
    let (_, mut answer, mut body) = pair.streams.recv().await.unwrap();
    answer.send_head(response(200, b"", true)).unwrap();
    drop(recv);
    assert_eq!(
        answer.stopped().await,
        StreamError::Stopped {
            code: ErrorCode::Cancelled
        }
    );
    drop(send);
    let reset = StreamError::Reset {
        code: ErrorCode::Cancelled,
        message: String::new(),
    };
    assert_eq!(body.data().await, Some(Err(reset)));
}

#[tokio::test]
async fn a_closed_connection_ends_its_streams_on_both_sides() {
    let mut pair = Pair::new(Encoding::Binary).await;
    let (_send, mut recv) = pair.tunnel.open(request(b"", true)).unwrap();
    let (_, _answer, mut body) = pair.streams.recv().await.unwrap();
    pair.tunnel.close(ErrorCode::PlatformStopping, "a test");
    assert_eq!(recv.head().await, Err(StreamError::ConnectionLost));
    assert_eq!(body.data().await, Some(Err(StreamError::ConnectionLost)));
    let text = "platform_stopping: a test".to_owned();
    assert_eq!(
        pair.agent.ended().await,
        Ending::Peer {
            close_code: 1012,
            text: text.clone()
        }
    );
    assert_eq!(pair.tunnel.ended().await, Ending::Local(text));
}

#[tokio::test]
async fn a_task_that_panics_takes_its_connection_and_streams_with_it() {
    let (near, far) = sockets().await;
    let (tell, mut told) = mpsc::unbounded_channel();
    let on_event = move |event, connection: &Connection<Agent>| match event {
        AgentEvent::Opened { key, .. } => {
            let _ = tell.send(connection.halves(key));
        }
        AgentEvent::SessionClose(_) => panic!("as the test wants"),
        _ => {}
    };
    let link = Link::<Agent>::connect(hello(), Time::default());
    let socket = socket::connected(near, &[]);
    let (agent, driver) = driver::start(socket, link, Some(Encoding::Binary), on_event);
    let task = tokio::spawn(driver);
    let mut open = Vec::new();
    let on_event = move |event, connection: &Connection<Platform>| {
        if let PlatformEvent::Hello(_) = event {
            connection.admit(admission(HEARTBEAT));
            open.push(connection.open(request(b"", true)));
        }
    };
    let link = Link::<Platform>::accept(Time::default());
    let socket = socket::accepted(far, &[]);
    let (tunnel, driver) = driver::start(socket, link, None, on_event);
    tokio::spawn(driver);
    let (_send, mut recv) = told.recv().await.unwrap();
    let close = SessionClose {
        session_id: random_uuid([3; 16]),
        reason: SessionCloseReason::Unspecified,
    };
    let ends = async { tokio::join!(agent.ended(), recv.data()) };
    tunnel.send(close).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(60), ends).await;
    let (ending, read) = ended.expect("nobody waits for ever");
    assert!(matches!(ending, Ending::Lost(_)), "{ending:?}");
    assert_eq!(read, Some(Err(StreamError::ConnectionLost)));
    assert!(task.await.unwrap_err().is_panic());
}

/// A platform, and the bare WebSocket of an agent that it has let in.
async fn bare_agent<IO>(near: IO, far: IO) -> (WebSocketStream<IO>, Tunnel)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut raw, tunnel, _) = counted_agent(near, far, hello()).await;
    assert!(raw.next().await.unwrap().unwrap().is_binary());
    (raw, tunnel)
}

/// The same, before the agent has read anything, and how often the platform's task was polled. One
/// that knows no versions speaks JSON.
async fn counted_agent<IO>(
    near: IO,
    far: IO,
    hello: Hello,
) -> (WebSocketStream<IO>, Tunnel, Arc<AtomicUsize>)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut raw = WebSocketStream::from_raw_socket(near, Role::Client, None).await;
    let link = Link::<Platform>::accept(Time::default());
    let (admitted, mut wait) = mpsc::unbounded_channel();
    let on_event = move |event, connection: &Connection<Platform>| {
        if let PlatformEvent::Hello(_) = event {
            connection.admit(admission(HEARTBEAT));
            let _ = admitted.send(());
        }
    };
    let socket = socket::accepted(far, &[]);
    let (tunnel, driver) = driver::start(socket, link, None, on_event);
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = polls.clone();
    let mut driver = Box::pin(driver);
    tokio::spawn(poll_fn(move |cx| {
        let polls = counted.fetch_add(1, Ordering::Relaxed);
        assert!(polls < POLLS_MAX, "it turns in circles");
        driver.as_mut().poll(cx)
    }));
    raw.send(whole(hello)).await.unwrap();
    wait.recv().await.unwrap();
    (raw, tunnel, polls)
}

/// A message as a bare agent sends it: in JSON where it is the hello of one that knows no versions.
fn whole(message: impl Into<AgentToPlatform>) -> Message {
    let message = message.into();
    let mut bytes = BytesMut::new();
    if matches!(&message, AgentToPlatform::Hello(hello) if hello.protocol_versions.is_empty()) {
        Encoding::Json.encode(message, &mut bytes);
        Message::Text(bytes.freeze().try_into().unwrap())
    } else {
        Encoding::Binary.encode(message, &mut bytes);
        Message::Binary(bytes.freeze())
    }
}

/// The task may have a turn at any moment, on another thread: it sees both, or neither.
#[tokio::test]
async fn a_refusal_is_said_before_the_close_frame() {
    for _ in 0..300 {
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        let mut raw = WebSocketStream::from_raw_socket(near, Role::Client, None).await;
        raw.send(whole(hello())).await.unwrap();
        let link = Link::<Platform>::accept(Time::default());
        let (tunnel, driver) = driver::start(socket::accepted(far, &[]), link, None, |_, _| {});
        let mut driver = Box::pin(driver);
        let mut over = false;
        let mut turn = || {
            let mut cx = Context::from_waker(Waker::noop());
            over = over || driver.as_mut().poll(&mut cx).is_ready();
        };
        turn();
        let refusing = thread::spawn(move || {
            tunnel.refuse(Refuse {
                code: ErrorCode::TokenUnknown,
                message: "a test".into(),
                permanent: true,
                retry_after_ms: 0,
            });
        });
        while !refusing.is_finished() {
            turn();
        }
        // Turns without end use up what a task may do at once.
        yield_now().await;
        turn();
        let said = raw.next().await.unwrap().unwrap();
        assert!(said.is_binary(), "{said:?}");
        assert!(raw.next().await.unwrap().unwrap().is_close());
    }
}

async fn violation_of(tunnel: &Tunnel) -> ErrorCode {
    let Ending::Violation(violation) = tunnel.ended().await else {
        panic!("it was survived")
    };
    violation.code
}

#[tokio::test]
async fn text_after_binary_ends_the_connection_with_its_code() {
    let (near, far) = sockets().await;
    let (mut raw, tunnel) = bare_agent(near, far).await;
    raw.send(Message::text("{}")).await.unwrap();
    assert_eq!(violation_of(&tunnel).await, ErrorCode::MixedEncodings);
}

#[tokio::test(start_paused = true)]
async fn pings_without_end_are_abuse() {
    let (near, far) = tokio::io::duplex(PIPE_BYTES);
    let (mut raw, tunnel) = bare_agent(near, far).await;
    // A few do no harm, and are answered.
    raw.send(Message::Ping(Bytes::from_static(b"there?")))
        .await
        .unwrap();
    let answer = raw.next().await.unwrap().unwrap();
    assert_eq!(answer, Message::Pong(Bytes::from_static(b"there?")));
    for _ in 0..6000 {
        raw.feed(Message::Ping(Bytes::new())).await.unwrap();
    }
    raw.flush().await.unwrap();
    assert_eq!(violation_of(&tunnel).await, ErrorCode::Abuse);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_no_messages_is_left() {
    let (near, far) = tokio::io::duplex(PIPE_BYTES);
    let (raw, tunnel) = bare_agent(near, far).await;
    let close = SessionClose {
        session_id: random_uuid([3; 16]),
        reason: SessionCloseReason::Idle,
    };
    // Its task has no turn meanwhile; nor would the peer's end take what it writes.
    let refused = loop {
        if let Err(error) = tunnel.send(close.clone()) {
            break error;
        }
    };
    assert_eq!(refused, StreamError::Backlog);
    let Ending::Local(text) = tunnel.ended().await else {
        panic!("it goes on")
    };
    assert_eq!(text, "overloaded: the peer takes no messages");
    drop(raw);
}

#[tokio::test]
async fn a_stranger_is_given_no_more_than_a_hello() {
    let (near, far) = sockets().await;
    let mut raw = WebSocketStream::from_raw_socket(near, Role::Client, None).await;
    let link = Link::<Platform>::accept(Time::default());
    let (tunnel, driver) = driver::start(socket::accepted(far, &[]), link, None, |_, _| {});
    tokio::spawn(driver);
    raw.send(Message::Binary(vec![0; 20_000].into()))
        .await
        .unwrap();
    assert_eq!(violation_of(&tunnel).await, ErrorCode::MessageTooBig);
}

#[tokio::test(start_paused = true)]
async fn a_stranger_who_says_nothing_is_given_up() {
    let (near, far) = tokio::io::duplex(PIPE_BYTES);
    let link = Link::<Platform>::accept(Time::default());
    let (tunnel, driver) = driver::start(socket::accepted(far, &[]), link, None, |_, _| {});
    tokio::spawn(driver);
    assert_eq!(violation_of(&tunnel).await, ErrorCode::HelloTimeout);
    drop(near);
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_given_up_after_three_intervals() {
    let (near, far) = tokio::io::duplex(PIPE_BYTES);
    let (mut raw, tunnel) = bare_agent(near, far).await;
    // Bytes count as a sign of life, though they be no message of the protocol's.
    tokio::time::advance(2 * HEARTBEAT).await;
    raw.send(Message::Ping(Bytes::new())).await.unwrap();
    assert!(raw.next().await.unwrap().unwrap().is_pong());
    let silent = Instant::now();
    assert!(raw.next().await.unwrap().unwrap().is_close());
    // The clock is the runtime's, and moves only when everything waits.
    assert_eq!(silent.elapsed().as_secs(), (3 * HEARTBEAT).as_secs());
    drop(raw);
    assert_eq!(violation_of(&tunnel).await, ErrorCode::PeerSilent);
}

/// Who reads nothing must cost nothing but its memory until it is given up: what was done meanwhile
/// waits for the socket, and so does an acknowledgement that is due.
#[tokio::test(start_paused = true)]
async fn a_task_whose_socket_takes_nothing_rests() {
    let (near, far) = tokio::io::duplex(PIPE_BYTES);
    let (mut raw, tunnel, polls) = counted_agent(near, far, hello()).await;
    assert!(raw.next().await.unwrap().unwrap().is_binary());
    let (mut send, mut recv) = tunnel.open(request(b"", true)).unwrap();
    let opening = raw.next().await.unwrap().unwrap().into_data();
    let Ok(PlatformToAgent::HttpRequest(opened)) = Encoding::Binary.decode(opening) else {
        panic!("another message")
    };
    // From here on the agent reads nothing. The pipe is full long before the window is.
    send.send(Bytes::from_static(&[0; 2 * PIPE_BYTES])).unwrap();
    let answer = HttpResponse {
        id: opened.id,
        ..response(200, &[0; 1024], true)
    };
    raw.send(whole(answer)).await.unwrap();
    assert_eq!(recv.head().await.unwrap().status, 200);
    assert_eq!(recv.data().await.unwrap().unwrap().len(), 1024);
    let _other = tunnel.open(request(b"", false)).unwrap();
    let silent = Instant::now();
    assert_eq!(violation_of(&tunnel).await, ErrorCode::PeerSilent);
    // The close frame is not taken either, which is waited for a little.
    let waited = silent.elapsed();
    assert!(waited >= 3 * HEARTBEAT && waited < 4 * HEARTBEAT);
    let polls = polls.load(Ordering::Relaxed);
    assert!(polls < 100, "{polls}");
}

/// Nothing is sent of it, and nothing comes that would give the task another turn.
#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_before_it_began_wakes_its_reader() {
    for versions in [vec![1], vec![]] {
        let hello = Hello {
            protocol_versions: versions,
            ..hello()
        };
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        let (raw, tunnel, _) = counted_agent(near, far, hello).await;
        let (send, mut recv) = tunnel.open(request(b"", true)).unwrap();
        let began = Instant::now();
        send.reset(ErrorCode::Cancelled, "a test");
        let reset = StreamError::Reset {
            code: ErrorCode::Cancelled,
            message: "a test".into(),
        };
        assert_eq!(recv.head().await, Err(reset));
        // The clock is the runtime's, and moves only when everything waits.
        assert_eq!(began.elapsed(), Duration::ZERO);
        drop(raw);
    }
}

#[tokio::test]
async fn a_close_frame_is_answered_with_its_code() {
    // Also where something is queued that can no longer be sent: the answer to an unknown message.
    for before in [None, Some(Message::Binary(vec![0xa2, 0x1f, 0].into()))] {
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        let (mut raw, tunnel) = bare_agent(near, far).await;
        if let Some(message) = before {
            raw.feed(message).await.unwrap();
        }
        let close = CloseFrame {
            code: CloseCode::Restart,
            reason: "a test".into(),
        };
        raw.send(Message::Close(Some(close))).await.unwrap();
        let answer = raw.next().await.unwrap().unwrap();
        let Message::Close(Some(frame)) = answer else {
            panic!("another answer: {answer:?}")
        };
        assert_eq!(frame.code, CloseCode::Restart);
        let ending = Ending::Peer {
            close_code: 1012,
            text: "a test".into(),
        };
        assert_eq!(tunnel.ended().await, ending);
    }
}
