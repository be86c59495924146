//! The API's doors, REST and gRPC, to one implementation of each service. The traits of the services,
//! the table of their methods and the routes are generated from `proto/` by `build/api.rs`; this file has
//! what both doors do with a call: who makes it, whether that role may, whether the request holds to the
//! schema. `rest` and `grpc` have the two forms, `service` what the methods do.

#![allow(
    clippy::doc_markdown,
    clippy::needless_pass_by_value,
    reason = "partly generated"
)]

mod documents;
mod grpc;
mod once;
mod problem;
mod rest;
mod standard;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;

use axum::http::Extensions;
use axum::{Router, routing};
use bytes::{Bytes, BytesMut};
use tracing::{Instrument as _, error};

use super::Platform;
use super::identity::{Caller, Role};
use super::service::{ErrorKind, ServiceError};
use super::store::Change;
use crate::audit::Entry;
use crate::clock::UnixMillis;
use crate::schema::api as pb;
use crate::secret::Secret;
use crate::wire::FieldInvalid;
use crate::wire::api as messages;
use crate::wire::json::{JsonMessage, api as json};
pub(super) use documents::etag;
pub use documents::{ASYNCAPI, OPENAPI};
use grpc::Grpc;
use once::Once;
pub(super) use problem::problem;
pub(super) use rest::{matches, router};

include!(concat!(env!("OUT_DIR"), "/api.rs"));

/// Largest request of a service that has none of the API's methods; the schema says that of a method.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// What a method answers.
pub type Answer<T> = Result<T, ServiceError>;

/// What a method answers that answers more than once.
pub type Stream<T> = Pin<Box<dyn futures_util::Stream<Item = Answer<T>> + Send>>;

/// What the schema says of a method.
#[derive(Debug)]
pub struct About {
    /// Its service's name.
    pub service: &'static str,
    /// Its own name.
    pub name: &'static str,
    /// Its HTTP method.
    pub verb: &'static str,
    /// Its path, with `{name}` where a field stands.
    pub path: &'static str,
    /// The least role that may call it; `None` where nobody has to say who they are.
    pub role: Option<Role>,
    /// Whether it makes something new.
    pub creates: bool,
    /// Whether what it answers of has only begun.
    pub begins: bool,
    /// Whether it changes nothing.
    pub reads: bool,
    /// Whether REST takes a body.
    pub body: bool,
    /// Its largest request, in bytes.
    pub request_bytes_max: usize,
    /// Most parameters of its query: as many as its request has values.
    pub parameters_max: usize,
}

/// One call of a method by somebody who is known.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who, and what they may do.
    pub caller: Caller,
    /// From where.
    pub address: IpAddr,
    /// How it is answered when it comes again.
    once: Option<Once>,
}

/// One call of a method by anyone.
#[derive(Clone, Copy, Debug)]
pub struct Guest {
    /// From where.
    pub address: IpAddr,
}

impl Call {
    /// What goes with a change that makes something, in its transaction: its audit entry, and the answer,
    /// where the caller may ask again.
    ///
    /// # Errors
    /// When the answer cannot be kept.
    pub fn change<M: Method>(&self, audit: Entry, answer: &M::Answer) -> Answer<Change> {
        match &self.once {
            Some(once) => once.change::<M>(audit, &answer.clone().into()),
            None => Ok(audit.into()),
        }
    }

    /// Who acts, as the audit log names it.
    pub fn actor(&self) -> &str {
        self.caller.name.as_str()
    }
}

/// What a door knows of a request beside its message.
pub struct Context {
    /// The token that it carries.
    bearer: Option<Secret>,
    /// Its `Idempotency-Key`.
    idempotency_key: Option<Secret>,
    /// From where it comes.
    address: IpAddr,
}

/// From where a request comes: put into its extensions by the door that took it.
#[derive(Clone, Copy)]
pub(super) struct ComesFrom(pub IpAddr);

impl ComesFrom {
    fn of(extensions: &Extensions) -> IpAddr {
        // Every door puts it in; a request that came by none comes from nowhere.
        let nowhere = Self(Ipv4Addr::UNSPECIFIED.into());
        extensions.get().copied().unwrap_or(nowhere).0
    }
}

/// Who calls, once they are let in.
pub trait Admitted: Sized + Send {
    /// Lets the caller in, who may call the method.
    ///
    /// # Errors
    /// Where they may not, or are not known.
    fn admit(platform: &Platform, about: &About, context: &Context) -> Answer<Self>;
    /// Has the call answered again in the same way, where it is to be.
    fn set_once(&mut self, once: Once);
    /// Whose idempotency keys it uses.
    fn owner(&self) -> String;
}

impl Admitted for Call {
    fn admit(platform: &Platform, about: &About, context: &Context) -> Answer<Self> {
        let anonymous = Secret::new(String::new());
        let bearer = context.bearer.as_ref().unwrap_or(&anonymous);
        let caller = platform.identity.authenticate(UnixMillis::now(), bearer)?;
        if let Some(role) = about.role {
            caller.needs(role)?;
        }
        Ok(Self {
            caller,
            address: context.address,
            once: None,
        })
    }

    fn set_once(&mut self, once: Once) {
        self.once = Some(once);
    }

    fn owner(&self) -> String {
        self.caller.user.to_string()
    }
}

impl Admitted for Guest {
    fn admit(_: &Platform, _: &About, context: &Context) -> Answer<Self> {
        Ok(Self {
            address: context.address,
        })
    }

    // Nobody's keys are kept.
    fn set_once(&mut self, _: Once) {}

    fn owner(&self) -> String {
        String::new()
    }
}

/// A method, with its messages as they come and as they are checked.
pub trait Method: 'static {
    /// What the schema says of it.
    const ABOUT: &'static About;
    /// Who calls it.
    type Call: Admitted;
    /// The request as it comes.
    type WireRequest: prost::Message + JsonMessage + Send;
    /// The request as it is taken.
    type Request: TryFrom<Self::WireRequest, Error = FieldInvalid> + Send;
    /// The answer as it goes.
    type WireAnswer: From<Self::Answer> + prost::Message + JsonMessage + Send;
    /// The answer as it is given.
    type Answer: Clone + Send;
    /// The state that a change asks for; `None` of a method that asks for none.
    fn etag_mut(_request: &mut Self::WireRequest) -> Option<&mut String> {
        None
    }
}

/// A method that answers once.
pub trait Unary: Method {
    /// Calls it.
    fn call(
        platform: Arc<Platform>,
        call: Self::Call,
        request: Self::Request,
    ) -> impl Future<Output = Answer<Self::Answer>> + Send;
    /// Writes what REST shows of the answer.
    fn write(answer: &Self::WireAnswer, out: &mut BytesMut) {
        json::write(answer, out);
    }
    /// Names the state of what was answered; empty where it has none.
    fn etag(_answer: &Self::WireAnswer) -> &str {
        ""
    }
}

/// A method that answers more than once.
pub trait Streaming: Method {
    /// The media type of what REST hands on as it is; `None` for server-sent events.
    const RAW: Option<&'static str> = None;
    /// Calls it.
    fn call(
        platform: Arc<Platform>,
        call: Self::Call,
        request: Self::Request,
    ) -> impl Future<Output = Answer<Stream<Self::Answer>>> + Send;
    /// What REST hands on as it is.
    fn raw(_answer: Self::WireAnswer) -> Bytes {
        Bytes::new()
    }
}

/// A call by somebody who may make it. That is settled before anything of the request is looked at.
struct Allowed<M: Method> {
    call: M::Call,
    context: Context,
}

impl<M: Method> Allowed<M> {
    fn new(platform: &Platform, context: Context) -> Answer<Self> {
        let call = M::Call::admit(platform, M::ABOUT, &context)?;
        Ok(Self { call, context })
    }
}

/// Calls a method that answers once.
async fn unary<M: Unary>(
    platform: Arc<Platform>,
    Allowed { mut call, context }: Allowed<M>,
    request: M::WireRequest,
) -> Answer<M::WireAnswer> {
    match context.idempotency_key {
        // Whoever is nobody has no keys.
        Some(key) if M::ABOUT.creates && M::ABOUT.role.is_some() => {
            let once = Once::of::<M>(&call.owner(), &key, &request)?;
            if let Some(answer) = answered::<M>(&platform, &once).await? {
                return Ok(answer);
            }
            call.set_once(once.clone());
            match run::<M>(platform.clone(), call, request).await {
                // Where the same request was made while this one was, its answer is there now; what this
                // one failed at may be what that one made.
                Err(error) => {
                    let answer = answered::<M>(&platform, &once).await?;
                    answer.ok_or(error)
                }
                answer => answer,
            }
        }
        _ => run::<M>(platform, call, request).await,
    }
}

/// The answer that a request was given before.
async fn answered<M: Unary>(platform: &Platform, once: &Once) -> Answer<Option<M::WireAnswer>> {
    let kept = platform.store.answered(once.key(), UnixMillis::now());
    kept.await?.map(|kept| once.open::<M>(kept)).transpose()
}

/// Checks a request and has it done. What changes something is run to its end, in a task of its own: a
/// handler is dropped when its caller leaves, and what was committed by then must not lack what
/// follows from it.
async fn run<M: Unary>(
    platform: Arc<Platform>,
    call: M::Call,
    request: M::WireRequest,
) -> Answer<M::WireAnswer> {
    let request = M::Request::try_from(request)?;
    let answer = M::call(platform, call, request);
    if M::ABOUT.reads {
        return answer.await.map(Into::into);
    }
    let answer = tokio::spawn(answer.in_current_span());
    let answer = answer.await.unwrap_or_else(|error| {
        error!(%error, "an operation broke off");
        let detail = "the operation failed; the platform's log says why";
        Err(ServiceError::new(ErrorKind::Internal, "internal", detail))
    });
    answer.map(Into::into)
}

/// Calls a method that answers more than once.
async fn streaming<M: Streaming>(
    platform: Arc<Platform>,
    Allowed { call, .. }: Allowed<M>,
    request: M::WireRequest,
) -> Answer<Stream<M::Answer>> {
    let request = M::Request::try_from(request)?;
    M::call(platform, call, request).await
}

/// The token of an `Authorization` value. The scheme's case does not matter (RFC 9110 section 11.1).
pub(super) fn bearer(value: Option<&str>) -> Option<Secret> {
    let (scheme, token) = value?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| Secret::new(token.trim().to_owned()))
}
