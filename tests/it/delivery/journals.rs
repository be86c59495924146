//! Agents whose journal is not what the platform's store remembers, and the other way about.

use fleetwire::ids::Uuid;
use fleetwire::wire::messages::{Command, CommandReport, CommandStatus};

use super::scripted::{Scripted, ack, command, journal, response};

#[tokio::test]
async fn what_a_lost_journal_had_is_interrupted() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let host = Scripted::start(dir.path());
    let early = host.install().await;
    let (mut agent, epoch) = host.first().await;
    let sent = command(&mut agent).await;
    assert_eq!(sent.message_id, early);
    agent.send(ack(&early)).await;
    host.until_stands(&early, "received");
    drop(agent);

    let mut agent = host.connect().await;
    assert!(journal(&mut agent, None, 0).await.report);
    assert_eq!(
        host.stands(&early),
        ("interrupted", "journal_lost".to_owned())
    );
    assert!(!journal(&mut agent, Some(epoch), 0).await.report);
    let next = host.install().await;
    let sent = command(&mut agent).await;
    assert_eq!(
        (&*sent.message_id, sent.sequence),
        (&*next, 2),
        "no place is given twice"
    );
    agent.send(ack(&next)).await;
    host.until_stands(&next, "received");
    drop(agent);

    // A snapshot of before that.
    let _agent = host.synced(epoch, 1).await;
    assert_eq!(
        host.stands(&next),
        ("interrupted", "journal_rolled_back".to_owned())
    );
}

#[tokio::test]
async fn a_store_that_was_put_back_learns_what_agents_know() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let host = Scripted::start(dir.path());
    let made = host.install().await;
    // Its agent has seen seven places of an epoch that this store does not know.
    let mut agent = host.connect().await;
    let before = Some(Uuid::from_u128(7 << 64 | 4 << 76));
    let sync = journal(&mut agent, before, 7).await;
    assert!(sync.report);
    let forgotten = "0b9c7a3e-3f0e-4b52-8a55-6f6b1d2c9e01";
    let waiting = "0b9c7a3e-3f0e-4b52-8a55-6f6b1d2c9e02";
    for (id, sequence, ended) in [(forgotten, 6, true), (waiting, 7, false)] {
        let command = Command {
            message_id: id.to_owned(),
            timestamp: None,
            target_host: "host".to_owned(),
            expires_at: None,
            sequence,
            settled_sequence: 0,
            timeout: 9,
            priority: fleetwire::wire::messages::CommandPriority::Normal,
            parameters: Some(package()),
        };
        agent
            .send(CommandReport {
                message_id: "report".to_owned(),
                timestamp: None,
                command: Some(command),
                status: CommandStatus::Received,
                response: ended.then(|| response(id, CommandStatus::Success)),
            })
            .await;
    }
    assert!(!journal(&mut agent, Some(sync.epoch), 7).await.report);
    assert_eq!(host.stands(forgotten).0, "succeeded");
    assert_eq!(host.stands(waiting).0, "received");
    let sent = command(&mut agent).await;
    assert_eq!((&*sent.message_id, sent.sequence), (waiting, 7));
    let sent = command(&mut agent).await;
    assert_eq!((sent.message_id, sent.sequence), (made, 8));
}

fn package() -> fleetwire::wire::messages::CommandParameters {
    use fleetwire::wire::messages::{CommandParameters, PackageAction, PackageOperation};
    CommandParameters::PackageOperation(PackageOperation {
        operation: PackageAction::Remove,
        packages: vec!["nginx".to_owned()],
        options: None,
    })
}
