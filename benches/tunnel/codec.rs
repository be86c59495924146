//! The codec: bytes to a checked message of the program's own and back, beside bare prost.
//!
//! Leaves to others: what the messages mean, and the JSON form.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use fleetwire::{
    schema::pb::{
        self, agent_to_platform::Message as FromAgent, platform_to_agent::Message as ToAgent,
    },
    wire::{
        Codec, Envelope,
        binary::Binary,
        messages::{AgentToPlatform, PlatformToAgent},
    },
};
use prost::Message;

use crate::{
    Options, Outcome,
    report::{Bound, Metric, Report, SUBJECT},
};

/// Bare prost's name in the table.
const PROST: &str = "prost";

/// How long one codec runs over one message in a round; the two take turns.
const RUN: Duration = Duration::from_millis(20);
/// Messages between two looks at the clock.
const BATCH: u32 = 64;

/// Field lines as a browser sends them.
const REQUEST_FIELDS: &[u8] = b"host: 127.0.0.1:8000\r\nuser-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) \
Gecko/20100101 Firefox/140.0\r\naccept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
accept-language: en-US,en;q=0.5\r\naccept-encoding: gzip, deflate, br, zstd\r\n\
cookie: session=0123456789abcdef0123456789abcdef\r\nsec-fetch-site: same-origin\r\n";

/// Field lines as nginx sends them.
const RESPONSE_FIELDS: &[u8] = b"server: nginx/1.22.1\r\ndate: Sat, 21 Nov 2026 12:00:00 GMT\r\n\
content-type: application/octet-stream\r\ncontent-length: 1024\r\n\
last-modified: Sat, 21 Nov 2026 11:00:00 GMT\r\netag: \"6920-400\"\r\naccept-ranges: bytes\r\n";

/// Measures every kind of message that a tunnel is made of.
pub(crate) fn measure(options: &Options, report: &mut Report) -> Outcome<()> {
    if !options.wants("codec") {
        return Ok(());
    }
    let request = pb::HttpRequest {
        id: "123456".into(),
        method: "GET".into(),
        path: "/assets/page.js?v=17".into(),
        headers: Bytes::from_static(REQUEST_FIELDS),
        origin: "http://k3v9.localhost:8080".into(),
        ..Default::default()
    };
    let response = pb::HttpResponse {
        id: "123456".into(),
        status: 200,
        headers: Bytes::from_static(RESPONSE_FIELDS),
        body: vec![b'r'; 1024].into(),
        ..Default::default()
    };
    let data = pb::StreamData {
        id: "123456".into(),
        offset: 1 << 30,
        data: vec![b'd'; 31 * 1024].into(),
        ..Default::default()
    };
    let heartbeat = pb::Heartbeat {
        uptime_seconds: Some(86_400),
        cpu_percent: Some(12.5),
        memory_percent: Some(48.0),
        disk_percent: Some(71.0),
        load_1m: Some(0.3),
        sent_us: Some(1 << 40),
        round_trip_us: None,
        ..Default::default()
    };
    let ack = pb::Ack {
        messages: 1 << 20,
        bytes: 1 << 40,
        delay_us: 250,
        max_bytes: 1 << 41,
    };
    let from_agent = |message| pb::AgentToPlatform {
        message: Some(message),
    };
    let to_agent = |message| pb::PlatformToAgent {
        message: Some(message),
    };
    for _ in 0..options.rounds {
        one::<PlatformToAgent>(
            report,
            "http_request, head 0.4 KiB",
            &to_agent(ToAgent::HttpRequest(request.clone())),
        )?;
        one::<AgentToPlatform>(
            report,
            "http_response, body 1 KiB",
            &from_agent(FromAgent::HttpResponse(response.clone())),
        )?;
        one::<AgentToPlatform>(
            report,
            "stream_data, 31 KiB",
            &from_agent(FromAgent::StreamData(data.clone())),
        )?;
        one::<AgentToPlatform>(
            report,
            "heartbeat",
            &from_agent(FromAgent::Heartbeat(heartbeat)),
        )?;
        one::<AgentToPlatform>(report, "ack", &from_agent(FromAgent::Ack(ack)))?;
    }
    Ok(())
}

/// One message through both, there and back.
fn one<E: Envelope>(report: &mut Report, name: &'static str, wire: &E::Wire) -> Outcome<()> {
    let input = Bytes::from(wire.encode_to_vec());
    let mut out = BytesMut::with_capacity(input.len() * 2);
    let bare = nanoseconds(|| {
        let message = <E::Wire as Message>::decode(black_box(input.clone()))?;
        out.clear();
        out.reserve(message.encoded_len());
        message.encode(&mut out)?;
        black_box(&out);
        Ok(())
    })?;
    let checked = nanoseconds(|| {
        let message: E = Binary.decode(black_box(input.clone()))?;
        out.clear();
        Binary.encode(message, &mut out);
        black_box(&out);
        Ok(())
    })?;
    let metric = Metric {
        section: "codec",
        name,
        unit: "ns",
        base: PROST,
        bound: Bound::AtMost(2.0),
    };
    report.record(metric, PROST, bare);
    report.record(metric, SUBJECT, checked);
    Ok(())
}

/// How long one call takes, on average over [`RUN`] after a warm-up of a tenth of it.
fn nanoseconds(mut call: impl FnMut() -> Outcome<()>) -> Outcome<f64> {
    let mut run = |length: Duration| {
        let start = Instant::now();
        let mut calls = 0;
        while start.elapsed() < length {
            for _ in 0..BATCH {
                call()?;
            }
            calls += BATCH;
        }
        Outcome::Ok(start.elapsed().as_nanos() as f64 / f64::from(calls))
    };
    run(RUN / 10)?;
    run(RUN)
}
