//! The API: what REST costs beside gRPC over the same implementation, and one host read by many at once
//! beside a bare handler that answers the same bytes.
//!
//! Leaves to others: everything that agents do.

use std::{
    fs,
    net::Ipv4Addr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, http::header::CONTENT_TYPE, routing::get};
use bytes::Bytes;
use fleetwire::{
    cli::connection::Target,
    schema::api::{ListHostsRequest, host_service_client::HostServiceClient},
    secret::Secret,
};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tower_service::Service as _;

use crate::{
    Options, Outcome,
    load::{self, Connection, Endpoint},
    processes::{Part, Place, Usage},
    progress,
    report::{Bound, Metric, Report, SUBJECT},
    tunnel::Platform,
};

/// The bare handler's name in the tables.
const BARE: &str = "axum";
/// The other door's.
const GRPC: &str = "grpc";
/// Hosts that there are, and that a list has.
const HOSTS: usize = 100;
/// Readers at once.
const AT_ONCE: usize = 32;
/// A list is asked for so long: the kernel counts CPU in hundredths of a second.
const LISTING: Duration = Duration::from_secs(2);

const LIST: Metric = Metric {
    section: "api",
    name: "list of 100 hosts, the server's CPU",
    unit: "us",
    base: GRPC,
    bound: Bound::AtMost(1.5),
};
const READ: Metric = Metric {
    section: "api",
    name: "one host, 32 at once",
    unit: "requests/s",
    base: BARE,
    bound: Bound::AtLeast(0.5),
};

/// Measures what is asked for.
pub(crate) async fn measure(options: &Options, report: &mut Report) -> Outcome<()> {
    if !options.wants("api") {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let place = Place::default();
    let platform = Platform::start(dir.path(), &place, Ipv4Addr::LOCALHOST).await?;
    platform.create_hosts(HOSTS).await?;
    let token = platform.administrator_token()?;
    let mut endpoint = Endpoint::plain(platform.plain);
    endpoint.fields = format!("Authorization: Bearer {token}\r\n");

    let mut rest = Connection::open(&endpoint).await?;
    let one = rest
        .call(&endpoint.head("GET", "/api/hosts/agent-7", ""))
        .await?;
    let path = format!("/api/hosts/{}", id(&one)?);
    let body_file = dir.path().join("body");
    fs::write(&body_file, &one)?;
    let bare_arguments = ["bare-axum", &path, &body_file.to_string_lossy()];
    let (_bare, address) = Part::start_server(&place, &bare_arguments)?;
    let bare = Endpoint::plain(address);

    let server = format!("http://{}", platform.plain).parse()?;
    let target = Target::plain(server).with_bearer(Secret::new(token));
    let connection = target.connect().await?;
    let origin = connection.origin();
    let mut grpc = HostServiceClient::with_origin(connection, origin);
    let list = endpoint.head("GET", "/api/hosts?page_size=100", "");
    for round in 1..=options.rounds {
        progress(&format!("api: round {round} of {}", options.rounds));
        let id = platform.running.id();
        let us = cpu_of_each(id, async || rest.exchange(&list).await.map(drop));
        report.record(LIST, SUBJECT, us.await?);
        let us = cpu_of_each(id, async || {
            let request = ListHostsRequest {
                page_size: HOSTS as u32,
                ..ListHostsRequest::default()
            };
            let answer = grpc.list_hosts(request).await?.into_inner();
            if answer.hosts.len() != HOSTS {
                return Err("a list lacks hosts".into());
            }
            Ok(())
        });
        report.record(LIST, GRPC, us.await?);
        for (name, endpoint) in [(BARE, &bare), (SUBJECT, &endpoint)] {
            let load = load::requests(endpoint, &path, AT_ONCE, options.run).await?;
            report.record(READ, name, load.rate);
        }
    }
    Ok(())
}

/// The microseconds of CPU that a server takes for each of many calls, one after the other.
async fn cpu_of_each(server: u32, mut call: impl AsyncFnMut() -> Outcome<()>) -> Outcome<f64> {
    call().await?;
    let before = Usage::of(server)?.cpu_s;
    let end = Instant::now() + LISTING;
    let mut calls = 0_u32;
    while Instant::now() < end {
        call().await?;
        calls += 1;
    }
    let spent = Usage::of(server)?.cpu_s - before;
    Ok(spent * 1e6 / f64::from(calls))
}

fn id(host: &[u8]) -> Outcome<String> {
    let host: serde_json::Value = serde_json::from_slice(host)?;
    let id = host["id"].as_str().ok_or("a host without an id")?;
    Ok(id.to_owned())
}

/// The bare handler, as a part of its own: prints its address and answers the file's bytes at one path until
/// it is killed.
pub(crate) async fn serve_bare(path: &str, body_file: &Path) -> Outcome<()> {
    let body: Arc<Bytes> = Arc::new(fs::read(body_file)?.into());
    let answer = move || {
        let body = Bytes::clone(&body);
        async move { ([(CONTENT_TYPE, "application/json")], body) }
    };
    let router = Router::new().route(path, get(answer));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    crate::say(&listener.local_addr()?.to_string());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let router = router.clone();
        let service = service_fn(move |request| router.clone().call(request));
        tokio::spawn(async move {
            // A connection that fails is the client's to notice.
            http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await
                .is_ok()
        });
    }
}
