//! The settings of traces: where spans go, and how many of them.

use axum::http::Uri;
use serde::Deserialize;

/// A collector's address, as in `http://127.0.0.1:4318`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct CollectorUrl(String);

impl CollectorUrl {
    /// Where it takes traces in (https://opentelemetry.io/docs/specs/otlp/#otlphttp-request).
    pub fn traces(&self) -> String {
        format!("{}/v1/traces", self.0)
    }

    /// Whether TLS is spoken.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https:")
    }
}

impl TryFrom<String> for CollectorUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is no collector's address; it looks like http://127.0.0.1:4318");
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let scheme = uri.scheme_str();
        let authority = uri.authority().ok_or_else(wrong)?;
        // A password in it would be in every log line that names it: headers are for that.
        let usable = matches!(scheme, Some("http" | "https"))
            && !authority.host().is_empty()
            && !authority.as_str().contains('@')
            && uri.query().is_none();
        if !usable {
            return Err(wrong());
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

impl std::fmt::Display for CollectorUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A share of a whole, in millionths, so that settings can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Ratio(u32);

impl Ratio {
    /// The whole.
    pub const ALL: Self = Self(1_000_000);

    /// Between 0 and 1.
    pub fn get(self) -> f64 {
        f64::from(self.0) / 1e6
    }
}

impl TryFrom<f64> for Ratio {
    type Error = String;

    fn try_from(ratio: f64) -> Result<Self, String> {
        if !(0.0..=1.0).contains(&ratio) {
            return Err(format!("{ratio} is not between 0 and 1"));
        }
        Ok(Self((ratio * 1e6).round() as u32))
    }
}
