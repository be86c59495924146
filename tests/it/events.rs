//! Events by WebSocket over real sockets: what happens is told, over a restart of the platform too, and to
//! nobody who may not see it.

use std::net::SocketAddr;

use fleetwire::schema::api as pb;
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::Method;
use prost::Message as _;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use crate::support::{Agent, PATIENCE, Platform};

pub const JSON: &str = "fleetwire.events.v1.json";
const PROTO: &str = "fleetwire.events.v1.proto";

pub type Socket = WebSocketStream<TcpStream>;

pub async fn connect(
    http: SocketAddr,
    subprotocol: &str,
    token: Option<&str>,
) -> Result<Socket, Box<Error>> {
    let url = format!("ws://{http}/api/events");
    let mut request = url.into_client_request().expect("a request");
    let headers = request.headers_mut();
    let name = subprotocol.parse().expect("a value");
    headers.insert("Sec-WebSocket-Protocol", name);
    if let Some(token) = token {
        let value = format!("Bearer {token}").parse().expect("a value");
        headers.insert("Authorization", value);
    }
    let stream = TcpStream::connect(http).await.expect("it listens");
    let connected = tokio_tungstenite::client_async(request, stream).await;
    connected.map(|(socket, _)| socket).map_err(Box::new)
}

/// Follows events as JSON with this token.
pub async fn connect_json(platform: &Platform, token: &str) -> Socket {
    let socket = connect(platform.http, JSON, Some(token)).await;
    socket.expect("let in")
}

pub async fn say(socket: &mut Socket, value: &Value) {
    let said = socket.send(Message::text(value.to_string())).await;
    said.expect("taken");
}

/// What comes next that is no ping: text as JSON, or how the platform closes.
pub async fn hear(socket: &mut Socket) -> Result<Value, (u16, String)> {
    loop {
        let next = timeout(PATIENCE, socket.next()).await.expect("something");
        match next {
            Some(Ok(Message::Text(text))) => {
                return Ok(serde_json::from_str(&text).expect("JSON"));
            }
            Some(Ok(Message::Close(Some(frame)))) => {
                return Err((frame.code.into(), frame.reason.to_string()));
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            other => panic!("neither text nor a close: {other:?}"),
        }
    }
}

/// Waits for the event with this field.
pub async fn event(socket: &mut Socket, kind: &str) -> Value {
    loop {
        let heard = hear(socket).await.expect("it goes on");
        if heard["event"].get(kind).is_some() {
            return heard["event"].clone();
        }
    }
}

/// Follows what is asked for, as the administrator.
pub async fn follow(platform: &Platform, watch: Value) -> Socket {
    let token = platform.admin_token();
    let mut socket = connect_json(platform, &token).await;
    say(&mut socket, &json!({ "watch": watch })).await;
    socket
}

async fn create_host(platform: &Platform, name: &str) -> String {
    let body = json!({ "name": name });
    let created: Value = platform
        .client()
        .call(Method::POST, "/api/hosts", Some(&body))
        .await
        .expect("made");
    created["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_browser_authenticates_by_message_and_a_program_by_header() {
    let platform = Platform::start(&[]);
    let mut browser = connect(platform.http, JSON, None).await.expect("let in");
    let token = platform.admin_token();
    say(
        &mut browser,
        &json!({"authenticate": {"access_token": token}}),
    )
    .await;
    say(&mut browser, &json!({"watch": {"kinds": ["host_created"]}})).await;
    let mark = hear(&mut browser).await.expect("told");
    assert!(mark["mark"]["position"].is_string(), "{mark}");

    let mut program = connect(platform.http, PROTO, Some(&token))
        .await
        .expect("let in");
    let watch = pb::WatchEventsClientMessage {
        message: Some(pb::watch_events_client_message::Message::Watch(
            pb::WatchEventsRequest::default(),
        )),
    };
    let watch = Message::binary(watch.encode_to_vec());
    program.send(watch).await.expect("taken");

    // Whoever follows before it is made: the first message of each has come.
    let heard = async |program: &mut Socket| loop {
        let next = timeout(PATIENCE, program.next()).await.expect("something");
        if let Some(Ok(Message::Binary(bytes))) = next {
            let told = pb::WatchEventsResponse::decode(bytes).expect("a message");
            return told.message.expect("one that is known");
        }
    };
    let mark = heard(&mut program).await;
    assert!(matches!(mark, pb::watch_events_response::Message::Mark(_)));
    let host = create_host(&platform, "kvm").await;
    let told = hear(&mut browser).await.expect("told")["event"].clone();
    assert_eq!(told["host_id"], host.as_str());
    assert_eq!(told["host_created"]["name"], "kvm");
    assert_eq!(told["actor"], "admin");
    assert!(told["at"].as_str().expect("a time").ends_with('Z'));
    let pb::watch_events_response::Message::Event(binary) = heard(&mut program).await else {
        panic!("no event");
    };
    assert_eq!(Some(binary.position.as_str()), told["position"].as_str());
    assert_eq!(binary.host_id, host);
}

#[tokio::test]
async fn an_agents_life_is_told_and_whoever_comes_back_has_missed_nothing() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data = dir.path().join("data");
    let platform = Platform::start_on(&data, &[]);
    let mut socket = follow(&platform, json!({})).await;
    hear(&mut socket).await.expect("a mark");
    let mut agent = Agent::start(&platform, "kvm");
    let enrolled = event(&mut socket, "host_enrolled").await;
    assert_eq!(enrolled["host_enrolled"]["name"], "kvm");
    let online = event(&mut socket, "host_online").await;
    assert_eq!(online["host_id"], enrolled["host_id"]);
    let software = online["host_online"]["software"].as_str();
    assert!(software.is_some_and(|software| software.starts_with("fleetwire-agent/")));
    let health = event(&mut socket, "host_health").await;
    assert!(health["host_health"]["health"].is_object(), "{health}");
    let opened = platform.operate_json(&["session", "open", "kvm"]);
    let told = event(&mut socket, "session_opened").await;
    assert_eq!(told["session_opened"]["session_id"], opened["session_id"]);
    let position = told["position"].clone();

    // Away while the host goes, the platform restarts, and the host is back.
    drop(socket);
    agent.process.end();
    crate::support::until_status(&platform, "kvm", "offline");
    let id = opened["session_id"].as_str().expect("an id");
    assert!(platform.operate(&["session", "close", id]).status.success());
    drop(platform);
    let platform = Platform::start_on(&data, &[]);
    let kinds = [
        "host_offline",
        "session_closed",
        "host_online",
        "host_created",
    ];
    let mut socket = follow(&platform, json!({"position": position, "kinds": kinds})).await;
    let mark = hear(&mut socket).await.expect("a mark");
    assert_eq!(mark["mark"]["position"], position, "it is known");
    let offline = event(&mut socket, "host_offline").await;
    assert_eq!(offline["host_offline"]["reason"], "connection_ended");
    let closed = event(&mut socket, "session_closed").await;
    assert_eq!(closed["session_closed"]["reason"], "closed_by_user");
    agent.restart(&platform, "kvm");
    let online = event(&mut socket, "host_online").await;
    assert_eq!(online["host_id"], offline["host_id"]);
    // A platform that is killed has its hosts told offline when it is back.
    let mut platform = platform;
    platform.process.signal("KILL");
    platform.process.ended();
    agent.process.end();
    let platform = Platform::start_on(&data, &[]);
    let position = online["position"].clone();
    let mut socket = follow(&platform, json!({ "position": position })).await;
    let offline = event(&mut socket, "host_offline").await;
    assert_eq!(offline["host_offline"]["reason"], "platform_stopped");
    let wrong = json!({"position": "999999-0"});
    let mut socket = follow(&platform, wrong).await;
    let reload = hear(&mut socket).await.expect("told");
    assert_eq!(reload["reload"]["reason"], "position_unknown");
}

#[tokio::test]
async fn a_hostile_first_message_is_refused_with_a_reason() {
    let platform = Platform::start(&[]);
    let token = platform.admin_token();
    let authenticate = json!({"authenticate": {"access_token": token}}).to_string();
    let watch = json!({"watch": {}}).to_string();
    let refused = async |messages: Vec<Message>| {
        let mut socket = connect(platform.http, JSON, None).await.expect("upgraded");
        for message in messages {
            // It may have been closed by then.
            let _ = socket.send(message).await;
        }
        loop {
            match hear(&mut socket).await {
                Ok(_) => {}
                Err((code, _)) => return code,
            }
        }
    };
    let text = |text: &str| Message::text(text.to_owned());
    let wrong = r#"{"authenticate": {"access_token": "fwa_wrong"}}"#;
    assert_eq!(refused(vec![text(wrong)]).await, 1008);
    assert_eq!(refused(vec![text(&watch)]).await, 1008, "nobody yet");
    for malformed in ["", "{", "[]", "{}", r#"{"watch": {}, "more": 1}"#, "null"] {
        let code = refused(vec![text(&authenticate), text(malformed)]).await;
        assert_eq!(code, 1002, "{malformed}");
    }
    let binary = Message::binary(Bytes::from_static(&[8, 1]));
    assert_eq!(refused(vec![binary]).await, 1003);
    let long = text(&"x".repeat(20_000));
    assert_eq!(refused(vec![long]).await, 1009);
    for value in [json!({"kinds": ["host_gone"]}), json!({"position": "x"})] {
        let watch = json!({ "watch": value }).to_string();
        let code = refused(vec![text(&authenticate), text(&watch)]).await;
        assert!([1002, 1008].contains(&code), "{value}: {code}");
    }
    let twice = vec![text(&authenticate), text(&watch), text(&watch)];
    assert_eq!(refused(twice).await, 1002);
    let mut flood = vec![text(&authenticate), text(&watch)];
    flood.extend(std::iter::repeat_n(Message::Ping(Bytes::new()), 200));
    assert_eq!(refused(flood).await, 1008);

    // A token in the header is judged at once; one in the address counts for nothing.
    let status = async |subprotocol: &str, token| match connect(platform.http, subprotocol, token)
        .await
        .map_err(|error| *error)
    {
        Err(Error::Http(response)) => response.status().as_u16(),
        other => panic!("not refused: {other:?}"),
    };
    assert_eq!(status(JSON, Some("fwa_wrong")).await, 401);
    assert_eq!(status("fleetwire.link.v1.json", Some(&token)).await, 400);
}

#[tokio::test]
async fn a_caller_sees_its_hosts_only_and_no_longer_than_its_key_lasts() {
    let platform = Platform::start(&[]);
    let client = platform.client();
    let group = json!({"name": "rack"});
    let group: Value = client
        .call(Method::POST, "/api/groups", Some(&group))
        .await
        .expect("made");
    let group = group["group"]["id"].as_str().or(group["id"].as_str());
    let group = group.expect("an id").to_owned();
    let body = json!({
        "name": "events", "role": "viewer",
        "grants": {"all_hosts": false, "group_ids": [group]},
    });
    let key: Value = client
        .call(Method::POST, "/api/api-keys", Some(&body))
        .await
        .expect("made");
    let secret = key["secret"].as_str().expect("a secret").to_owned();
    let mut limited = connect(platform.http, JSON, Some(&secret))
        .await
        .expect("let in");
    say(&mut limited, &json!({"watch": {}})).await;
    hear(&mut limited).await.expect("a mark");
    let mut all = follow(&platform, json!({})).await;
    hear(&mut all).await.expect("a mark");
    create_host(&platform, "other").await;
    event(&mut all, "host_created").await;

    let id = key["api_key"]["id"].as_str().expect("an id");
    client
        .call::<(), Value>(Method::DELETE, &format!("/api/api-keys/{id}"), None)
        .await
        .map_or_else(|error| assert_eq!(error.code(), None), |_| ());
    let heard = hear(&mut limited).await;
    let (code, reason) = heard.expect_err("nothing is told before it is closed");
    assert_eq!(code, 1008, "{reason}");
}
