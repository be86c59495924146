//! An agent that knows only the messages of the first JSON agents: hello with a token and no more,
//! heartbeat and http_response. It hears nothing that it does not know.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use fleetwire::wire::Encoding;

use super::beside::{Beside, HOST};
use super::raw::{RawAgent, upgrade};
use crate::console::viewer::Session;
use crate::support::until_status;

/// Without the crate's codec: JSON as such an agent has it.
struct Seed(RawAgent);

impl Seed {
    async fn connect(beside: &Beside, hello: Value) -> Self {
        let (socket, _) = upgrade(beside.platform(), "", None, &[])
            .await
            .expect("upgraded");
        let mut seed = Self(RawAgent::new(socket, Encoding::Json));
        seed.send(&hello).await;
        seed
    }

    async fn send(&mut self, message: &Value) {
        self.0.send_raw(Message::text(message.to_string())).await;
    }

    async fn next(&mut self) -> Value {
        match self.0.next_raw().await {
            Message::Text(text) => serde_json::from_str(&text).expect("JSON"),
            other => panic!("no text: {other:?}"),
        }
    }

    /// The next request; nothing but sessions may come before it.
    async fn request(&mut self) -> Value {
        loop {
            let message = self.next().await;
            match message["type"].as_str() {
                Some("http_request") => return message,
                Some("session_open" | "session_close") => {}
                _ => panic!("not asked for: {message}"),
            }
        }
    }
}

#[tokio::test]
async fn an_agent_of_the_first_messages_serves_pages_and_hears_nothing_else() {
    let mut beside = Beside::start().await;
    let token = beside.token.clone();
    for hello in [
        json!({"type": "hello", "auth_token": token}),
        json!({"auth_token": token}),
    ] {
        let mut seed = Seed::connect(&beside, hello).await;
        let heartbeat = json!({"type": "heartbeat", "uptime_seconds": 5, "cpu_percent": 1.5});
        seed.send(&heartbeat).await;
        let session: Session = beside.session().await;

        let mut viewer = session.send("GET /page?a=b", "").await;
        let request = seed.request().await;
        assert_eq!(
            (&request["method"], &request["path"]),
            (&"GET".into(), &"/page?a=b".into())
        );
        seed.send(&json!({
            "type": "http_response", "id": request["id"], "status": 200,
            "headers": {"content-type": "text/plain"}, "body": "a page",
        }))
        .await;
        let answer = viewer.answer().await;
        assert_eq!((answer.status, answer.text()), (200, "a page".to_owned()));

        // A body comes whole, answers may come in any order, and one to nobody does no harm.
        let fields = format!(
            "origin: http://{}\r\ncontent-length: 5\r\n\r\nhello",
            session.host
        );
        let mut posting = session.viewer().await;
        let head = session.head("POST /form");
        posting.write(format!("{head}{fields}").as_bytes()).await;
        let post = seed.request().await;
        assert_eq!(post["body"], "hello");
        let mut getting = session.send("GET /other", "").await;
        let get = seed.request().await;
        for (id, body) in [
            (&json!("nobody"), "nothing"),
            (&get["id"], "second"),
            (&post["id"], "first"),
        ] {
            let answer = json!({"type": "http_response", "id": id, "status": 200, "body": body});
            seed.send(&answer).await;
        }
        assert_eq!(getting.answer().await.text(), "second");
        assert_eq!(posting.answer().await.text(), "first");
    }
    beside.settled().await;
}

#[tokio::test]
async fn an_answer_that_is_too_long_costs_only_its_agent() {
    let mut beside = Beside::start().await;
    let hello = json!({"type": "hello", "auth_token": beside.token});
    let mut seed = Seed::connect(&beside, hello.clone()).await;
    let session = beside.session().await;
    let mut viewer = session.send("GET /long", "").await;
    let id = seed.request().await["id"].clone();
    let body = "x".repeat((1 << 20) + 1);
    let answer = json!({"type": "http_response", "id": id, "status": 200, "body": body});
    seed.send(&answer).await;
    seed.0.closed().await.assert(1009, "message_too_big");
    let answer = viewer.answer().await;
    assert_eq!(
        (answer.status, answer.code()),
        (502, Some("connection_lost"))
    );
    beside.settled().await;

    // It may come back.
    let mut seed = Seed::connect(&beside, hello).await;
    let mut viewer = beside.session().await.send("GET /short", "").await;
    let id = seed.request().await["id"].clone();
    let answer = json!({"type": "http_response", "id": id, "status": 200, "body": "short"});
    seed.send(&answer).await;
    assert_eq!(viewer.answer().await.text(), "short");
}

#[tokio::test]
async fn a_body_that_is_too_long_as_json_costs_only_its_request() {
    let mut beside = Beside::start().await;
    let hello = json!({"type": "hello", "auth_token": beside.token});
    let mut seed = Seed::connect(&beside, hello).await;
    let session = beside.session().await;
    let mut other = session.send("GET /other", "").await;
    let waiting = seed.request().await["id"].clone();
    let post = async |bytes: usize| {
        let mut viewer = session.viewer().await;
        let head = session.head("POST /zeros");
        let fields = format!("origin: http://{}\r\ncontent-length: {bytes}", session.host);
        viewer
            .write(format!("{head}{fields}\r\n\r\n").as_bytes())
            .await;
        viewer.write(&vec![0; bytes]).await;
        viewer
    };

    // Each zero takes six characters of JSON.
    let answer = post(300_000).await.answer().await;
    assert_eq!(
        (answer.status, answer.code()),
        (413, Some("request_body_too_long"))
    );
    let mut viewer = post(170_000).await;
    let request = seed.request().await;
    assert_eq!(request["body"].as_str().map(str::len), Some(170_000));
    for (id, body) in [(request["id"].clone(), "long"), (waiting, "other")] {
        let answer = json!({"type": "http_response", "id": id, "status": 200, "body": body});
        seed.send(&answer).await;
    }
    assert_eq!(viewer.answer().await.text(), "long");
    assert_eq!(other.answer().await.text(), "other");
    drop(seed);
    beside.settled().await;
}

#[tokio::test]
async fn a_platform_that_stops_sends_it_off_without_a_word_that_it_does_not_know() {
    let beside = Beside::start().await;
    let hello = json!({"type": "hello", "auth_token": beside.token});
    let seed = Seed::connect(&beside, hello).await;
    until_status(beside.platform(), HOST, "online");
    beside.platform().process.signal("TERM");
    let closed = seed.0.closed().await.assert(1012, "platform_stopping");
    assert_eq!(closed.heard.len(), 0, "{:?}", closed.heard);
}
