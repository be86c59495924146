//! Calls of the platform over REST, with JSON as a test writes it down.

use bytes::Bytes;
use fleetwire::net::http_client::{HttpClient, HttpError};
use fleetwire::secret::Secret;
use hyper::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A client of one platform.
#[derive(Clone)]
pub struct Client(pub HttpClient);

impl Client {
    /// The same with a credential.
    pub fn with_bearer(self, token: Secret) -> Self {
        Self(self.0.with_bearer(token))
    }

    /// Makes a call with a JSON body and reads a JSON answer. An empty answer reads as `null`.
    pub async fn call<Q, A>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Q>,
    ) -> Result<A, HttpError>
    where
        Q: Serialize + ?Sized,
        A: DeserializeOwned,
    {
        let body = body.map(|body| serde_json::to_vec(body).expect("JSON"));
        let body = body.map(Bytes::from).unwrap_or_default();
        let answer = self.0.call(method, path, body).await?;
        let answer = if answer.is_empty() {
            b"null"
        } else {
            &answer[..]
        };
        Ok(serde_json::from_slice(answer).expect("the answer that the test expects"))
    }
}
