//! The opening handshake: which subprotocols are agreed, and that no token in it lets anybody in.

use fleetwire::wire::Encoding;
use fleetwire::wire::messages::{Heartbeat, PlatformToAgent};
use tokio_tungstenite::tungstenite::Error;

use super::beside::device_token;
use super::raw::{RawAgent, hello, subprotocol, upgrade};
use crate::support::{Platform, until_status};

const BOTH: [Encoding; 2] = [Encoding::Binary, Encoding::Json];

#[tokio::test]
async fn the_first_known_subprotocol_is_agreed_and_the_first_message_decides_without_one() {
    let platform = Platform::start(&[]);
    let token = device_token(&platform, "odd");
    for encoding in BOTH {
        let name = subprotocol(encoding);
        for offered in [
            name,
            &format!("other.v9, {name}"),
            &format!("{name},other.v9"),
        ] {
            let (socket, agreed) = upgrade(&platform, "", Some(offered), &[])
                .await
                .expect("upgraded");
            assert_eq!(agreed.as_deref(), Some(name), "{offered}");
            let mut agent = RawAgent::new(socket, encoding);
            agent.send(hello(&token)).await;
            agent.welcome().await;
        }
        let (socket, agreed) = upgrade(&platform, "", None, &[]).await.expect("upgraded");
        assert_eq!(agreed, None);
        let mut agent = RawAgent::new(socket, encoding);
        agent.send(hello(&token)).await;
        agent.welcome().await;
    }
}

#[tokio::test]
async fn unknown_subprotocols_alone_are_refused() {
    let platform = Platform::start(&[]);
    for offered in ["fleetwire.link.v2.proto", "mqtt, FLEETWIRE.LINK.V1.PROTO"] {
        match upgrade(&platform, "", Some(offered), &[]).await {
            Err(Error::Http(answer)) => {
                assert_eq!(answer.status(), 400);
                let body = answer.into_body().unwrap_or_default();
                let body = String::from_utf8(body).expect("text");
                assert!(body.contains("subprotocol_unknown"), "{body}");
            }
            other => panic!("{offered}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_contradicts_the_subprotocol_is_refused() {
    let platform = Platform::start(&[]);
    let token = device_token(&platform, "odd");
    for (agreed, sent) in [
        (Encoding::Binary, Encoding::Json),
        (Encoding::Json, Encoding::Binary),
    ] {
        let mut agent = RawAgent::connect(&platform, agreed).await;
        agent.encoding = sent;
        agent.send(hello(&token)).await;
        agent.encoding = agreed;
        agent.closed().await.assert(1002, "mixed_encodings");
    }
}

#[tokio::test]
async fn a_device_token_in_the_url_or_in_a_header_lets_nobody_in() {
    let platform = Platform::start(&[]);
    let token = device_token(&platform, "odd");
    let bearer = [("authorization", format!("Bearer {token}"))];
    let queries = [
        (format!("?auth_token={token}"), &[][..]),
        (format!("?token={token}"), &[]),
        (String::new(), &bearer),
    ];
    for (query, fields) in queries {
        let Ok((socket, _)) = upgrade(&platform, &query, None, fields).await else {
            // Refused at once: as good.
            continue;
        };
        let mut agent = RawAgent::new(socket, Encoding::Binary);
        agent.send(no_figures()).await;
        let closed = agent.closed().await.assert(1002, "unexpected_message");
        let none: &[PlatformToAgent] = &[];
        assert_eq!(closed.heard, none);
    }
    until_status(&platform, "odd", "offline");
    assert!(!platform.process.said().contains(&token), "it was logged");
}

fn no_figures() -> Heartbeat {
    Heartbeat {
        uptime_seconds: None,
        cpu_percent: None,
        memory_percent: None,
        disk_percent: None,
        load_1m: None,
        temperature_celsius: None,
        sent_us: None,
        round_trip_us: None,
    }
}
