//! `host create` and `hosts list`.

use hyper::Method;

use super::{Error, output};
use crate::api::{CreateHost, CreatedHost, HostStatus, Hosts};
use crate::net::http_client::HttpClient;

#[derive(Debug, clap::Subcommand)]
pub(super) enum HostCommand {
    /// Make a host and print the credential that its agent authenticates with
    Create {
        /// Its name
        name: String,
    },
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum HostsCommand {
    /// List every host and whether it is connected
    List,
}

pub(super) async fn run_host(
    command: HostCommand,
    client: &HttpClient,
    json: bool,
) -> Result<(), Error> {
    let HostCommand::Create { name } = command;
    let request = CreateHost { name };
    let created: CreatedHost = client
        .call(Method::POST, "/api/hosts", Some(&request))
        .await?;
    if json {
        output::json(&created)
    } else {
        output::line(created.auth_token.expose())
    }
}

pub(super) async fn run_hosts(
    command: HostsCommand,
    client: &HttpClient,
    json: bool,
) -> Result<(), Error> {
    let HostsCommand::List = command;
    let Hosts { hosts } = client
        .call::<(), _>(Method::GET, "/api/hosts", None)
        .await?;
    if json {
        return output::json(&hosts);
    }
    let dash = || "-".to_owned();
    let percent = |value: Option<f64>| value.map_or_else(dash, |value| format!("{value:.0} %"));
    let rows = hosts.into_iter().map(|host| {
        let status = match host.status {
            HostStatus::Online => "online",
            HostStatus::Offline => "offline",
        };
        let health = host.health.unwrap_or_default();
        [
            host.name,
            match host.detail {
                Some(detail) => format!("{status} ({detail})"),
                None => status.to_owned(),
            },
            host.connected_since
                .or(host.last_seen_at)
                .unwrap_or_else(dash),
            host.round_trip_ms
                .map_or_else(dash, |ms| format!("{ms:.1} ms")),
            percent(health.cpu_percent),
            percent(health.memory_percent),
            host.id,
        ]
    });
    output::table(
        [
            "NAME",
            "STATUS",
            "SINCE",
            "ROUND TRIP",
            "CPU",
            "MEMORY",
            "ID",
        ],
        rows,
    )
}
