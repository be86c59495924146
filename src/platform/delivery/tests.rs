//! What takes longer than a test may: an agent that is connected and never says that it has a command. The
//! clock is the test's, and stands still but where all wait.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::*;
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::ids::{GroupId, Uuid};
use crate::link::{
    Admission, Agent, AgentEvent, Link, Platform as PlatformSide, PlatformEvent, Time,
};
use crate::net::connection::Connection;
use crate::net::{driver, socket};
use crate::platform::Platform;
use crate::platform::events::{Filter, News, Viewer};
use crate::platform::registry::{Arrival as RegistryArrival, HostLink, LinkEnd, Registry};
use crate::platform::sessions::{CloseReason, Session};
use crate::platform::store::NewHost;
use crate::platform::store::commands::Priority;
use crate::schema::pb;
use crate::secret::{SecretHash, random};
use crate::wire::Encoding;
use crate::wire::messages::{Hello, Journal};
use crate::wire::values::{Secret, Timestamp};

/// One who may see every change.
struct All;

impl Viewer for All {
    fn sees(&self, _: HostId) -> bool {
        true
    }
    fn sees_group(&self, _: GroupId) -> bool {
        true
    }
    fn sees_all(&self) -> bool {
        true
    }
    fn is_in(&self, _: HostId, _: &HashSet<GroupId>) -> bool {
        true
    }
}

/// A registry gives out the names of connections.
struct NoLink;

impl HostLink for NoLink {
    fn session_open(&self, _: &Session) {}
    fn session_close(&self, _: crate::ids::ConsoleSessionId, _: CloseReason) {}
    fn end(&self, _: LinkEnd) {}
    fn round_trip(&self) -> Option<std::time::Duration> {
        None
    }
}

pub(super) fn connection_id(host: HostId) -> ConnectionId {
    let registry = Registry::<NoLink>::new();
    let arrival = RegistryArrival {
        host,
        known_at: registry.moment(),
        instance: None,
        software: String::new(),
        address: std::net::SocketAddr::from(([127, 0, 0, 1], 1)),
        link: Arc::new(NoLink),
    };
    match registry.admit(UnixMillis(0), arrival) {
        crate::platform::registry::Admission::Admitted { connection, .. } => connection,
        other => panic!("not let in: {other:?}"),
    }
}

/// An agent that is connected to this delivery over a pipe, and what it is told.
async fn agent(
    delivery: &Arc<Delivery>,
    host: HostId,
) -> (Connection<Agent>, mpsc::UnboundedReceiver<AgentEvent>) {
    let (near, far) = tokio::io::duplex(64 << 10);
    let hello = Hello::new(Secret::new("agt_test".into()), vec![1]);
    let (told, events) = mpsc::unbounded_channel();
    let link = Link::<Agent>::connect(hello, Time::default());
    let on_event = move |event, _: &Connection<Agent>| {
        let _ = told.send(event);
    };
    let encoding = Some(Encoding::Binary);
    let (agent, task) = driver::start(socket::connected(near, &[]), link, encoding, on_event);
    tokio::spawn(task);
    let link = Link::<PlatformSide>::accept(Time::default());
    let (delivery, mut inlet) = (delivery.clone(), None);
    let on_event = move |event, tunnel: &Tunnel| match event {
        PlatformEvent::Hello(_) => {
            tunnel.admit(Admission {
                session_id: Uuid::from_u128(1),
                host_id: host.0,
                heartbeat: std::time::Duration::from_secs(15),
                platform_time: Timestamp::from_system_time(std::time::SystemTime::now()),
                capabilities: Vec::new(),
            });
            let connection = connection_id(host);
            let announced: Vec<_> = capability().into_iter().collect();
            inlet = Some(delivery.host_connected(host, connection, tunnel, &announced));
        }
        PlatformEvent::Journal(journal) => {
            if let Some(inlet) = &inlet {
                delivery.said(inlet, Said::Journal(journal));
            }
        }
        _ => {}
    };
    let (_, task) = driver::start(socket::accepted(far, &[]), link, encoding, on_event);
    tokio::spawn(task);
    (agent, events)
}

#[tokio::test(start_paused = true)]
async fn of_what_is_never_answered_nobody_knows() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let platform = Platform::fresh(dir.path()).await;
    let (store, delivery) = (platform.store.clone(), &platform.delivery);
    let audit = |action: &str| Entry::new(UnixMillis(1), "ada", action, "test");
    let host = HostId::random(random());
    let new = NewHost {
        id: host,
        name: "kvm".to_owned(),
        auth_token: SecretHash::of(&random::<32>()),
        at: UnixMillis(1),
    };
    let made = store.create_host(new, audit("host.create").into()).await;
    made.expect("made");
    let (agent, mut events) = agent(delivery, host).await;
    let mut epoch = None;
    for _ in 0..2 {
        let journal = Journal {
            message_id: "j".to_owned(),
            timestamp: None,
            epoch,
            sequence: 0,
        };
        // It is not open before the welcome has come.
        while agent.send(journal.clone()).is_err() {
            tokio::task::yield_now().await;
        }
        epoch = loop {
            match events.recv().await {
                Some(AgentEvent::JournalSync(sync)) => break Some(sync.epoch),
                Some(_) => {}
                None => panic!("it has ended"),
            }
        };
    }
    let command = NewCommand {
        id: CommandId::random(random()),
        kind: "inventory".to_owned(),
        parameters: prost::Message::encode_to_vec(&pb::Inventory::default()),
        timeout_seconds: 60,
        priority: Priority::Normal,
        user: "ada".to_owned(),
        created: UnixMillis::now(),
        expires: None,
        not_before: None,
        plan: Default::default(),
        targets: String::new(),
        redrive_of: None,
        hosts: vec![host.into()],
    };
    let id = command.id;
    let mut changes = platform
        .events
        .follow("ada", All, Filter::of_command(id), None)
        .expect("a place");
    let made = delivery
        .create(command, audit("command.create").into())
        .await;
    made.expect("made");
    let (mut sent, mut cancelled) = (0, false);
    let detail = loop {
        tokio::select! {
            event = events.recv() => {
                sent += usize::from(matches!(event, Some(AgentEvent::Command(_))));
                cancelled |= matches!(event, Some(AgentEvent::CommandCancel(_)));
                continue;
            }
            news = changes.next() => assert!(!matches!(news, News::End(_)), "told no more"),
        }
        let found = store.delivery(id, host).await.expect("read");
        let detail = found.expect("there");
        if detail.record.state.is_final() {
            break detail;
        }
    };
    // It may have it, on a disk that hangs or a link that is slow, and may run it: it is no dead letter.
    while !cancelled {
        let event = events
            .recv()
            .await
            .expect("it is told before its end is kept");
        cancelled = matches!(event, AgentEvent::CommandCancel(_));
    }
    assert_eq!(sent, 10);
    let record = &detail.record;
    assert_eq!(record.state, DeliveryState::Interrupted);
    assert_eq!(record.reason, "attempts_exhausted");
    let reasons: Vec<_> = detail.history.iter().map(|step| &*step.reason).collect();
    assert_eq!(reasons[0], "");
    assert_eq!(reasons[1..10], ["not_acknowledged"; 9]);
    assert_eq!(reasons[10..], ["attempts_exhausted"]);
}
