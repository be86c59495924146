//! How deliveries end that were not simply run: cancelled, expired, or answered with more than fits.

use fleetwire::wire::messages::{CommandStatus, Error, ErrorCode, PlatformToAgent};
use hyper::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::scripted::{Scripted, acknowledged, command, response};
use crate::peers::raw::RawAgent;

async fn cancel(host: &Scripted, id: &str) -> Value {
    let client = host.platform.client();
    let path = format!("/api/commands/{id}/cancel");
    let answer = client.call(Method::POST, &path, Some(&json!({}))).await;
    answer.expect("cancelled")
}

async fn cancellation(agent: &mut RawAgent) -> String {
    let pick = |message| match message {
        PlatformToAgent::CommandCancel(cancel) => Some(cancel.original_message_id),
        _ => None,
    };
    agent.until(pick).await
}

#[tokio::test]
async fn what_waits_is_cancelled_and_what_was_sent_is_its_agents_to_end() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let host = Scripted::start(dir.path());
    let waiting = host.install().await;
    cancel(&host, &waiting).await;
    assert_eq!(host.stands(&waiting), ("cancelled", "cancelled".to_owned()));
    let (mut agent, epoch) = host.first().await;
    let id = host.install().await;
    assert_eq!(
        command(&mut agent).await.message_id,
        id,
        "what was cancelled is not sent"
    );
    cancel(&host, &id).await;
    assert_eq!(cancellation(&mut agent).await, id);
    assert_eq!(host.stands(&id).0, "sent");
    drop(agent);
    // Said again, behind the command.
    let mut agent = host.synced(epoch, 2).await;
    assert_eq!(command(&mut agent).await.message_id, id);
    assert_eq!(cancellation(&mut agent).await, id);
    agent.send(response(&id, CommandStatus::Cancelled)).await;
    acknowledged(&mut agent).await;
    assert_eq!(host.stands(&id).0, "cancelled");
}

#[tokio::test]
async fn what_an_agent_could_not_take_is_cancelled_again_behind_the_command() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let host = Scripted::start(dir.path());
    let (mut agent, _) = host.first().await;
    let id = host.install().await;
    command(&mut agent).await;
    cancel(&host, &id).await;
    assert_eq!(cancellation(&mut agent).await, id);
    let full = Error {
        message_id: "error".to_owned(),
        original_message_id: id.clone(),
        timestamp: None,
        code: ErrorCode::Overloaded,
        message: "the disk is full".to_owned(),
    };
    agent.send(full).await;
    // It has kept nothing of either.
    assert_eq!(command(&mut agent).await.message_id, id);
    assert_eq!(cancellation(&mut agent).await, id);
    agent.send(response(&id, CommandStatus::Cancelled)).await;
    acknowledged(&mut agent).await;
    assert_eq!(host.stands(&id).0, "cancelled");
}

#[tokio::test]
async fn what_is_not_begun_in_time_expires() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let host = Scripted::start(dir.path());
    let soon = std::time::SystemTime::now() + std::time::Duration::from_secs(2);
    let seconds = soon
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    let expires_at = fleetwire::clock::UnixMillis(seconds.as_millis() as u64).to_string();
    let body = json!({"packages": ["nginx"], "expires_at": expires_at});
    let client = host.platform.client();
    let path = "/api/hosts/kvm/packages/install";
    let made: Value = client
        .call(Method::POST, path, Some(&body))
        .await
        .expect("accepted");
    let id = made["command_id"].as_str().expect("an id");
    host.until_stands(id, "expired");
    let (mut agent, _) = host.first().await;
    let next = host.install().await;
    assert_eq!(command(&mut agent).await.message_id, next);
}

#[tokio::test]
async fn a_result_that_is_too_long_costs_its_connection_and_no_more() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let host = Scripted::start(dir.path());
    let (mut agent, epoch) = host.first().await;
    let id = host.install().await;
    command(&mut agent).await;
    // 200 MB: refused by its first frame's length, before anything of it is taken in.
    let long = vec![0x5a; 200 << 20];
    let heard = agent.flood(Message::binary(long)).await;
    heard.assert(1009, "message_too_big");
    assert_eq!(host.stands(&id).0, "sent");
    let mut agent = host.synced(epoch, 1).await;
    assert_eq!(command(&mut agent).await.message_id, id);
    agent.send(response(&id, CommandStatus::Success)).await;
    acknowledged(&mut agent).await;
    assert_eq!(host.stands(&id).0, "succeeded");
}
