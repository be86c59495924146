//! A delivery's way, in order and out of it, over connections and platforms that end.

use fleetwire::wire::messages::{CommandCancel, CommandStatus, Error, ErrorCode, PlatformToAgent};
use fleetwire::wire::values::{Name, Text as _};

use super::scripted::{Scripted, ack, acknowledged, command, response, status};

/// What a platform that has nothing more to send leaves unsaid: so many more would fit.
const WINDOW: usize = 64;

#[tokio::test]
async fn a_command_goes_its_way_and_only_forward() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let host = Scripted::start(dir.path());
    let waiting = host.install().await;
    let (mut agent, _) = host.first().await;
    let sent = command(&mut agent).await;
    assert_eq!((&*sent.message_id, sent.sequence), (&*waiting, 1));
    assert_eq!((sent.settled_sequence, sent.timeout), (0, 900));

    let id = host.install().await;
    let sent = command(&mut agent).await;
    assert_eq!((&*sent.message_id, sent.sequence), (&*id, 2));
    for update in [CommandStatus::Running, CommandStatus::Received] {
        agent.send(status(&id, update)).await;
    }
    agent.send(ack(&id)).await;
    host.until_stands(&id, "running");
    // What is not under way, or none of ours, harms nothing.
    agent
        .send(ack("00000000-0000-4000-8000-000000000000"))
        .await;
    agent.send(status("no id", CommandStatus::Running)).await;
    agent.send(response(&id, CommandStatus::Success)).await;
    let expected = format!("response to {id}");
    assert_eq!(acknowledged(&mut agent).await, expected);
    // Committed before it was said.
    assert_eq!(host.stands(&id).0, "succeeded");
    // Its end stands, and whoever says otherwise need not say it again.
    for late in [CommandStatus::Failed, CommandStatus::Success] {
        agent.send(response(&id, late)).await;
        assert_eq!(acknowledged(&mut agent).await, expected);
    }
    for unknown in ["00000000-0000-4000-8000-000000000000", "no id"] {
        agent.send(response(unknown, CommandStatus::Success)).await;
        assert_eq!(
            acknowledged(&mut agent).await,
            format!("response to {unknown}")
        );
    }
    let history: Vec<_> = host
        .history(&id)
        .into_iter()
        .map(|(state, _)| state)
        .collect();
    assert_eq!(history, ["sent", "running", "succeeded"]);

    // One that its owner does not allow is a dead letter, with the reason.
    let mut refused = response(&waiting, CommandStatus::Refused);
    refused.reason = Name::parse("not_allowed".to_owned());
    agent.send(refused).await;
    acknowledged(&mut agent).await;
    assert_eq!(host.stands(&waiting), ("dead", "not_allowed".to_owned()));
    let next = host.install().await;
    let sent = command(&mut agent).await;
    assert_eq!(
        (&*sent.message_id, sent.sequence, sent.settled_sequence),
        (&*next, 3, 2)
    );
}

#[tokio::test]
async fn a_connection_that_ends_is_no_attempt() {
    // More than the attempts after which it would be given up.
    const CONNECTIONS: usize = 12;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let host = Scripted::start(dir.path());
    let (mut agent, epoch) = host.first().await;
    let id = host.install().await;
    assert_eq!(command(&mut agent).await.message_id, id);
    for _ in 0..CONNECTIONS {
        drop(agent);
        agent = host.synced(epoch, 0).await;
        assert_eq!(command(&mut agent).await.message_id, id);
    }
    assert_eq!(host.history(&id), [("sent", String::new())]);
    agent.send(ack(&id)).await;
    agent.send(response(&id, CommandStatus::Success)).await;
    acknowledged(&mut agent).await;
    assert_eq!(host.stands(&id).0, "succeeded");
}

#[tokio::test]
async fn a_platform_that_is_killed_knows_where_everything_stands() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut host = Scripted::start(dir.path());
    let (mut agent, epoch) = host.first().await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(host.install().await);
        command(&mut agent).await;
    }
    agent.send(ack(&ids[1])).await;
    agent.send(ack(&ids[2])).await;
    agent.send(status(&ids[2], CommandStatus::Running)).await;
    agent.send(response(&ids[3], CommandStatus::Success)).await;
    acknowledged(&mut agent).await;
    host.until_stands(&ids[2], "running");
    host = host.restart();
    ids.push(host.install().await);

    // It has them all; they are sent again all the same, and with the numbers that they had.
    let mut agent = host.synced(epoch, 4).await;
    let mut again = Vec::new();
    for _ in 0..4 {
        let sent = command(&mut agent).await;
        again.push((sent.message_id, sent.sequence));
    }
    let expected = [(0, 1), (1, 2), (2, 3), (4, 5)];
    let expected = expected.map(|(n, sequence)| (ids[n].clone(), sequence));
    assert_eq!(again, expected);
    assert_eq!(host.stands(&ids[1]).0, "received");
    assert_eq!(host.stands(&ids[3]).0, "succeeded");
    agent.send(response(&ids[0], CommandStatus::Expired)).await;
    agent
        .send(response(&ids[2], CommandStatus::Interrupted))
        .await;
    agent.send(response(&ids[1], CommandStatus::Failed)).await;
    for _ in 0..3 {
        acknowledged(&mut agent).await;
    }
    // Killed once more, before the agent knew that its response was kept: it says it again.
    agent.send(response(&ids[4], CommandStatus::Success)).await;
    host.until_stands(&ids[4], "succeeded");
    host = host.restart();
    let mut agent = host.synced(epoch, 5).await;
    agent.send(response(&ids[4], CommandStatus::Success)).await;
    acknowledged(&mut agent).await;
    let stand: Vec<_> = ids.iter().map(|id| host.stands(id).0).collect();
    assert_eq!(
        stand,
        ["expired", "failed", "interrupted", "succeeded", "succeeded"]
    );
}

#[tokio::test]
async fn a_host_is_sent_as_much_as_its_window_holds() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let host = Scripted::start(dir.path());
    let mut ids = Vec::new();
    for _ in 0..WINDOW + 2 {
        ids.push(host.install().await);
    }
    let (mut agent, epoch) = host.first().await;
    for (n, id) in ids[..WINDOW].iter().enumerate() {
        let sent = command(&mut agent).await;
        assert_eq!((&sent.message_id, sent.sequence), (id, n as u64 + 1));
    }
    assert_eq!(host.stands(&ids[WINDOW]).0, "queued");
    for n in 0..2 {
        agent.send(response(&ids[n], CommandStatus::Success)).await;
        let sent = command(&mut agent).await;
        assert_eq!(sent.message_id, ids[WINDOW + n]);
    }
    // A connection that ends changes nothing but the connection.
    drop(agent);
    let mut agent = host.synced(epoch, WINDOW as u64).await;
    for id in &ids[2..] {
        assert_eq!(command(&mut agent).await.message_id, *id);
    }
}

#[tokio::test]
async fn an_agent_that_cannot_take_a_command_now_is_asked_again() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let host = Scripted::start(dir.path());
    let (mut agent, _) = host.first().await;
    let id = host.install().await;
    let full = |code| Error {
        message_id: "error".to_owned(),
        original_message_id: id.clone(),
        timestamp: None,
        code,
        message: "the disk is full".to_owned(),
    };
    for _ in 0..2 {
        assert_eq!(command(&mut agent).await.message_id, id);
        agent.send(full(ErrorCode::Overloaded)).await;
    }
    assert_eq!(command(&mut agent).await.message_id, id);
    agent.send(ack(&id)).await;
    host.until_stands(&id, "received");
    let history = host.history(&id);
    let reasons: Vec<_> = history.iter().map(|(_, reason)| &**reason).collect();
    assert_eq!(reasons, ["", "overloaded", "overloaded", ""]);
}

/// A platform never asks an agent for what it was not asked itself.
#[tokio::test]
async fn nothing_is_cancelled_that_nobody_cancelled() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let host = Scripted::start(dir.path());
    let (mut agent, epoch) = host.first().await;
    let id = host.install().await;
    command(&mut agent).await;
    drop(agent);
    let mut agent = host.synced(epoch, 1).await;
    command(&mut agent).await;
    agent.send(response(&id, CommandStatus::Success)).await;
    let pick = |message| match message {
        PlatformToAgent::CommandCancel(CommandCancel { .. }) => panic!("nobody asked"),
        PlatformToAgent::ResponseAck(_) => Some(()),
        _ => None,
    };
    agent.until(pick).await;
}
