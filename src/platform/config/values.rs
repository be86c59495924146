//! How a setting's value is written: durations with a unit, addresses or `off`, lists, a port.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::clock::parse_duration;

/// Scheme and port by which browsers reach a listener that is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PublicPort {
    /// Whether it is TLS.
    pub https: bool,
    /// The port.
    pub port: u16,
}

impl TryFrom<String> for PublicPort {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (https, port) = match text.split_once(':') {
            Some(("https", port)) => (true, port),
            Some(("http", port)) => (false, port),
            _ => return Err(format!("{text:?} is not like https:443")),
        };
        let port = port.parse().map_err(|_| format!("{text:?} has no port"))?;
        Ok(Self { https, port })
    }
}

pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).map_err(|error| serde::de::Error::custom(format!("{text:?}: {error}")))
}

pub(super) fn duration_if_any<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}

pub(super) fn address_or_off<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SocketAddr>, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "off" | "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| {
            serde::de::Error::custom(format!(
                "{text:?} is neither an address with a port nor off"
            ))
        }),
    }
}

/// A list, or a text with commas, as the environment has it.
pub(super) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        List(Vec<String>),
        Text(String),
    }
    Ok(match Either::deserialize(deserializer)? {
        Either::List(list) => list,
        Either::Text(text) => text
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect(),
    })
}
