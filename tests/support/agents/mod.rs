//! Simulated agents, for what takes a thousand of them: each has a connection of its own over TLS, with real
//! messages of the link, and keeps of a command what an agent keeps, before it says so: that it came, that
//! it begins, and what came of it. They have one journal, so that a sync is for whoever waits for one, and
//! nothing is run: a command succeeds at once.
//!
//! Leaves to others: what they are let in with, and what is made of what they hear.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    error::Error,
    fs::File,
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::mpsc,
    thread,
    time::Duration,
};

use fleetwire::schema::pb::{
    self, CommandStatus, agent_to_platform::Message as FromAgent,
    platform_to_agent::Message as ToAgent,
};
use futures_util::{SinkExt as _, StreamExt as _};
use prost::Message as _;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpSocket, TcpStream},
    sync::mpsc::{UnboundedSender, unbounded_channel},
    time::MissedTickBehavior,
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Message, client::IntoClientRequest, http::HeaderValue, protocol::WebSocketConfig,
    },
};

/// Whatever ends an agent.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Agents behind one address: nothing that counts by address sees a crowd, no address runs out of
/// ports.
const AGENTS_PER_ADDRESS: usize = 50;
/// tungstenite zero-fills its read buffer at each read and holds it while the connection lives.
const READ_BUFFER_BYTES: usize = 16 << 10;
/// Records that are synced together.
const BATCH_MAX: usize = 4096;

/// Connects from an address of the group that this one belongs to.
pub async fn dial(index: usize, address: SocketAddr) -> Result<TcpStream, Failure> {
    let group = u32::try_from(index / AGENTS_PER_ADDRESS)?;
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((
        Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 1)) + group),
        0,
    )))?;
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A connection that was let in.
pub struct Connection<S> {
    /// The WebSocket.
    pub socket: WebSocketStream<S>,
    /// How often it is to beat.
    pub interval: Duration,
}

/// Asks for a WebSocket, and is let in with this token.
pub async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
    index: usize,
    stream: S,
    address: SocketAddr,
    token: &str,
    capabilities: &[&str],
) -> Result<Connection<S>, Failure> {
    let mut request = format!("wss://{address}/v1/agent/ws").into_client_request()?;
    let protocol = HeaderValue::from_static("fleetwire.link.v1.proto");
    let fields = request.headers_mut();
    fields.insert("sec-websocket-protocol", protocol);
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES);
    let (mut socket, _) = client_async_with_config(request, stream, Some(config)).await?;
    let hello = pb::Hello {
        auth_token: token.to_owned(),
        protocol_versions: vec![1],
        // A version 4 UUID that counts.
        instance_id: format!("00000000-0000-4000-8000-{index:012x}"),
        software: "fleetwire-simulated".to_owned(),
        capabilities: capabilities.iter().map(|it| (*it).to_owned()).collect(),
        ..Default::default()
    };
    socket.send(envelope(FromAgent::Hello(hello))).await?;
    let answer = socket.next().await.ok_or("closed instead of a welcome")??;
    match pb::PlatformToAgent::decode(answer.into_data())?.message {
        Some(ToAgent::Welcome(welcome)) => Ok(Connection {
            socket,
            interval: Duration::from_millis(welcome.heartbeat_interval_ms.into()),
        }),
        other => Err(format!("no welcome but {other:?}").into()),
    }
}

/// A message as it goes over the WebSocket.
pub fn envelope(message: FromAgent) -> Message {
    let message = Some(message);
    Message::Binary(pb::AgentToPlatform { message }.encode_to_vec().into())
}

/// What agents keep, in one file that is appended to and synced.
#[derive(Clone)]
pub struct Journal(mpsc::Sender<Order>);

struct Order {
    record: Vec<u8>,
    step: (u64, Step),
    reply: UnboundedSender<(u64, Step)>,
}

#[derive(Clone, Copy)]
enum Step {
    Received,
    Started,
    Ended,
}

impl Journal {
    /// Makes it, and the thread that waits for the disk.
    pub fn start(file: &Path) -> Result<Self, Failure> {
        let mut file = File::create_new(file)?;
        let (orders, taken) = mpsc::channel::<Order>();
        thread::Builder::new()
            .name("simulated-journal".to_owned())
            .spawn(move || {
                let mut batch = Vec::new();
                let mut bytes = Vec::new();
                while let Ok(first) = taken.recv() {
                    batch.push(first);
                    batch.extend(taken.try_iter().take(BATCH_MAX));
                    for order in &batch {
                        bytes.extend_from_slice(&order.record);
                    }
                    if file
                        .write_all(&bytes)
                        .and_then(|()| file.sync_data())
                        .is_err()
                    {
                        // Nobody is told: they wait until their test gives up.
                        return;
                    }
                    bytes.clear();
                    for order in batch.drain(..) {
                        // An agent that was dropped does not ask any more.
                        let _ = order.reply.send(order.step);
                    }
                }
            })?;
        Ok(Self(orders))
    }
}

/// What an agent says of a command, by its id, to whoever plays it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is in the journal.
    Received,
    /// It runs.
    Ran,
    /// The platform has its response.
    Acknowledged,
}

/// An agent, over as many connections as it has.
pub struct Agent {
    journal: Journal,
    epoch: String,
    sequence: u64,
    commands: BTreeMap<u64, Known>,
}

/// A command that an agent knows.
struct Known {
    command: pb::Command,
    response: Option<pb::Response>,
    acknowledged: bool,
}

impl Agent {
    /// A new one, which knows nothing.
    pub fn new(journal: Journal) -> Self {
        Self {
            journal,
            epoch: String::new(),
            sequence: 0,
            commands: BTreeMap::new(),
        }
    }

    /// Does what is asked of it until its connection ends.
    pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        connection: &mut Connection<S>,
        mut told: impl FnMut(&str, Told),
    ) -> Result<Infallible, Failure> {
        let Connection { socket, interval } = connection;
        let (reply, mut written) = unbounded_channel();
        let mut beats = tokio::time::interval(*interval);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // As an agent that was just let in: the platform sends no command before.
        socket.feed(self.said_journal()).await?;
        loop {
            socket.flush().await?;
            tokio::select! {
                message = socket.next() => {
                    let message = message.ok_or("the platform closed an agent's connection")??;
                    if message.is_binary() {
                        let message = pb::PlatformToAgent::decode(message.into_data())?;
                        for answer in self.hear(message.message, &reply, &mut told)? {
                            socket.feed(envelope(answer)).await?;
                        }
                    }
                }
                Some((sequence, step)) = written.recv() => {
                    if let Some(message) = self.go_on(sequence, step, &reply, &mut told)? {
                        socket.feed(envelope(message)).await?;
                    }
                }
                _ = beats.tick() => {
                    let beat = pb::Heartbeat { cpu_percent: Some(12.5), ..Default::default() };
                    socket.feed(envelope(FromAgent::Heartbeat(beat))).await?;
                }
            }
        }
    }

    fn said_journal(&self) -> Message {
        envelope(FromAgent::Journal(pb::Journal {
            message_id: "journal".to_owned(),
            timestamp: None,
            epoch: self.epoch.clone(),
            sequence: self.sequence,
        }))
    }

    fn hear(
        &mut self,
        message: Option<ToAgent>,
        reply: &UnboundedSender<(u64, Step)>,
        told: &mut impl FnMut(&str, Told),
    ) -> Result<Vec<FromAgent>, Failure> {
        let mut answers = Vec::new();
        match message {
            Some(ToAgent::JournalSync(sync)) => {
                self.epoch = sync.epoch;
                if sync.report {
                    answers.extend(self.commands.values().map(Known::reported));
                    answers.push(FromAgent::Journal(pb::Journal {
                        message_id: "journal".to_owned(),
                        timestamp: None,
                        epoch: self.epoch.clone(),
                        sequence: self.sequence,
                    }));
                } else {
                    let unheard = self.commands.values().filter(|known| !known.acknowledged);
                    answers.extend(unheard.filter_map(Known::answered));
                }
            }
            Some(ToAgent::Command(command)) => {
                let (sequence, settled) = (command.sequence, command.settled_sequence);
                match self.commands.get(&sequence) {
                    Some(known) => {
                        let answered = known.answered();
                        answers.push(answered.unwrap_or_else(|| acknowledged(&known.command)));
                    }
                    None => {
                        self.sequence = self.sequence.max(sequence);
                        let record = command.encode_to_vec();
                        let known = Known {
                            command,
                            response: None,
                            acknowledged: false,
                        };
                        self.commands.insert(sequence, known);
                        self.write(record, sequence, Step::Received, reply)?;
                    }
                }
                while let Some(oldest) = self.commands.first_entry()
                    && *oldest.key() <= settled
                    && oldest.get().acknowledged
                {
                    oldest.remove();
                }
            }
            Some(ToAgent::ResponseAck(ack)) => {
                let response = ack.original_message_id;
                let mut known = self.commands.values_mut();
                let found = known.find(|known| {
                    let own = known.response.as_ref();
                    own.is_some_and(|own| own.message_id == response)
                });
                if let Some(known) = found {
                    known.acknowledged = true;
                    told(&known.command.message_id, Told::Acknowledged);
                }
            }
            _ => {}
        }
        Ok(answers)
    }

    /// What follows from what was written.
    fn go_on(
        &mut self,
        sequence: u64,
        step: Step,
        reply: &UnboundedSender<(u64, Step)>,
        told: &mut impl FnMut(&str, Told),
    ) -> Result<Option<FromAgent>, Failure> {
        let Some(known) = self.commands.get_mut(&sequence) else {
            return Ok(None);
        };
        let id = known.command.message_id.clone();
        match step {
            Step::Received => {
                told(&id, Told::Received);
                let answer = acknowledged(&known.command);
                self.write(id.into_bytes(), sequence, Step::Started, reply)?;
                Ok(Some(answer))
            }
            Step::Started => {
                told(&id, Told::Ran);
                let result = pb::ScriptResult {
                    exit_code: Some(0),
                    ..Default::default()
                };
                let response = pb::Response {
                    message_id: format!("r-{id}"),
                    original_message_id: id.clone(),
                    status: CommandStatus::Success.into(),
                    result: Some(pb::response::Result::Script(result)),
                    ..Default::default()
                };
                let record = response.encode_to_vec();
                known.response = Some(response);
                self.write(record, sequence, Step::Ended, reply)?;
                Ok(Some(FromAgent::StatusUpdate(pb::StatusUpdate {
                    message_id: format!("s-{id}"),
                    original_message_id: id,
                    status: CommandStatus::Running.into(),
                    ..Default::default()
                })))
            }
            Step::Ended => Ok(known.answered()),
        }
    }

    fn write(
        &self,
        record: Vec<u8>,
        sequence: u64,
        step: Step,
        reply: &UnboundedSender<(u64, Step)>,
    ) -> Result<(), Failure> {
        let order = Order {
            record,
            step: (sequence, step),
            reply: reply.clone(),
        };
        let told = self.journal.0.send(order);
        told.map_err(|_| "the journal cannot be written".into())
    }
}

impl Known {
    fn answered(&self) -> Option<FromAgent> {
        self.response.clone().map(FromAgent::Response)
    }

    fn reported(&self) -> FromAgent {
        let status = match &self.response {
            Some(_) => CommandStatus::Success,
            None => CommandStatus::Received,
        };
        FromAgent::CommandReport(pb::CommandReport {
            message_id: format!("k-{}", self.command.message_id),
            timestamp: None,
            command: Some(self.command.clone()),
            status: status.into(),
            response: self.response.clone(),
        })
    }
}

fn acknowledged(command: &pb::Command) -> FromAgent {
    FromAgent::CommandAck(pb::CommandAck {
        message_id: format!("a-{}", command.message_id),
        original_message_id: command.message_id.clone(),
        timestamp: None,
    })
}
