//! The gRPC door: tonic has the protocol, the generated code its traits, and here a call becomes the same
//! call as over REST.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::StreamExt as _;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{Allowed, ComesFrom, Context, Streaming, Unary, bearer};
use crate::platform::Platform;
use crate::platform::metrics::ApiDoor;
use crate::platform::service::{ErrorKind, ServiceError};
use crate::secret::Secret;

/// Where the codes of `google.rpc.ErrorInfo` are this API's.
const DOMAIN: &str = "fleetwire";

/// What a streaming method answers.
pub type Stream<T> = Pin<Box<dyn futures_util::Stream<Item = Result<T, Status>> + Send>>;

/// The services, as tonic takes them.
#[derive(Clone)]
pub struct Grpc(pub Arc<Platform>);

impl Grpc {
    pub(super) async fn unary<M: Unary>(
        &self,
        request: Request<M::WireRequest>,
    ) -> Result<Response<M::WireAnswer>, Status> {
        let context = context(&request);
        let call = async {
            let admitted = Allowed::<M>::new(&self.0, context)?;
            super::unary(self.0.clone(), admitted, request.into_inner()).await
        };
        let answer = self.0.metrics.api_call(M::ABOUT, ApiDoor::Grpc, call).await;
        answer.map(Response::new).map_err(status)
    }

    pub(super) async fn streaming<M: Streaming>(
        &self,
        request: Request<M::WireRequest>,
    ) -> Result<Response<Stream<M::WireAnswer>>, Status> {
        let context = context(&request);
        let call = async {
            let admitted = Allowed::<M>::new(&self.0, context)?;
            super::streaming(self.0.clone(), admitted, request.into_inner()).await
        };
        let answers = self.0.metrics.api_call(M::ABOUT, ApiDoor::Grpc, call).await;
        let answers = answers.map_err(status)?;
        let answers = answers.map(|answer| answer.map(Into::into).map_err(status));
        Ok(Response::new(answers.boxed()))
    }
}

fn context<T>(request: &Request<T>) -> Context {
    let text = |name| request.metadata().get(name)?.to_str().ok();
    Context {
        bearer: bearer(text("authorization")),
        address: ComesFrom::of(request.extensions()),
        idempotency_key: text("idempotency-key").map(|key| Secret::new(key.to_owned())),
    }
}

/// A refusal as gRPC has it: its code as the reason of a `google.rpc.ErrorInfo`.
fn status(error: ServiceError) -> Status {
    let code = match error.kind {
        ErrorKind::Malformed | ErrorKind::Invalid | ErrorKind::MediaType => Code::InvalidArgument,
        ErrorKind::Unauthenticated => Code::Unauthenticated,
        ErrorKind::Forbidden => Code::PermissionDenied,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Conflict => Code::FailedPrecondition,
        ErrorKind::Changed => Code::Aborted,
        ErrorKind::TooLarge | ErrorKind::TooMany | ErrorKind::Exhausted => Code::ResourceExhausted,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Internal => Code::Internal,
    };
    let mut details = ErrorDetails::new();
    details.set_error_info(error.code, DOMAIN, []);
    if let Some(field) = error.field {
        details.add_bad_request_violation(field, error.detail.clone());
    }
    if let Some(wait) = error.retry_after {
        details.set_retry_info(Some(wait));
    }
    Status::with_error_details(code, error.detail, details)
}
