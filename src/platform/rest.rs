//! The HTTP form of the service: convert in, call, convert out. Refusals are RFC 9457 problem
//! details with a stable `code`.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Path, Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use futures_util::stream::try_unfold;
use tracing::error;

use super::Platform;
use super::service::{Actor, ErrorKind, ServiceError};
use crate::api::{self, Problem};
use crate::net::enrolment::ENROL_PATH;

/// Largest request: an enrolment with its token, or a few names.
const REQUEST_BYTES_MAX: usize = 64 * 1024;
/// A store that takes longer to answer is not ready.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

type Shared = State<Arc<Platform>>;

/// The routes of the API, the enrolment and the health checks.
pub(super) fn router(platform: Arc<Platform>) -> Router {
    Router::new()
        .route("/api/tokens", post(create_token))
        .route("/api/hosts", post(create_host).get(list_hosts))
        .route("/api/sessions", post(open_session).get(list_sessions))
        .route("/api/sessions/{id}", delete(close_session))
        .route("/api/audit", get(export_audit))
        .route(ENROL_PATH, post(enrol))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .with_state(platform)
}

async fn create_token(
    State(platform): Shared,
    actor: Actor,
    JsonBody(request): JsonBody<api::CreateToken>,
) -> Result<Response, ServiceError> {
    let token = whole(async move { platform.create_token(&actor, request).await });
    Ok(created(token.await?))
}

async fn create_host(
    State(platform): Shared,
    actor: Actor,
    JsonBody(request): JsonBody<api::CreateHost>,
) -> Result<Response, ServiceError> {
    let host = whole(async move { platform.create_host(&actor, request).await });
    Ok(created(host.await?))
}

async fn list_hosts(State(platform): Shared, _: Actor) -> Result<Json<api::Hosts>, ServiceError> {
    Ok(Json(platform.list_hosts().await?))
}

async fn open_session(
    State(platform): Shared,
    actor: Actor,
    JsonBody(request): JsonBody<api::OpenSession>,
) -> Result<Response, ServiceError> {
    let session = whole(async move { platform.open_session(&actor, request).await });
    Ok(created(session.await?))
}

async fn list_sessions(State(platform): Shared, _: Actor) -> Json<api::Sessions> {
    Json(platform.list_sessions())
}

async fn close_session(
    State(platform): Shared,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<StatusCode, ServiceError> {
    whole(async move { platform.close_session(&actor, &id).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn export_audit(
    State(platform): Shared,
    _: Actor,
    uri: Uri,
) -> Result<Response, ServiceError> {
    let after = match uri.query() {
        None => Some(0),
        Some(query) => query
            .strip_prefix("after=")
            .and_then(|after| after.parse().ok()),
    };
    let after = after.ok_or_else(|| {
        let detail = "it takes one parameter, after, the number of an entry";
        ServiceError::new(ErrorKind::Invalid, "request_invalid", detail)
    })?;
    let export = platform.export_audit(after).await?;
    // Piece by piece as the client takes them. What fails on the way breaks the connection off.
    let lines = try_unfold(export, |mut export| async move {
        let lines = export.next().await?;
        Ok::<_, ServiceError>(lines.map(|lines| (lines, export)))
    });
    let headers = [
        (CONTENT_TYPE, "application/x-ndjson"),
        (CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}

async fn enrol(
    State(platform): Shared,
    JsonBody(request): JsonBody<api::Enrol>,
) -> Result<Response, ServiceError> {
    let enrolled = whole(async move { platform.enrol(request).await });
    Ok(created(enrolled.await?))
}

/// Runs an operation that changes something to its end, in a task of its own: a handler is dropped
/// when its caller leaves, and what was committed by then must not lack what follows from it.
async fn whole<T: Send + 'static>(
    operation: impl Future<Output = Result<T, ServiceError>> + Send + 'static,
) -> Result<T, ServiceError> {
    tokio::spawn(operation).await.unwrap_or_else(|error| {
        error!(%error, "an operation broke off");
        let detail = "the operation failed; the platform's log says why";
        Err(ServiceError::new(ErrorKind::Internal, "internal", detail))
    })
}

async fn ready(State(platform): Shared) -> Response {
    let why_not = if platform.is_stopping() {
        "stopping\n"
    } else {
        match tokio::time::timeout(READY_TIMEOUT, platform.store.check()).await {
            Ok(Ok(())) => return "ready\n".into_response(),
            _ => "the store does not answer\n",
        }
    };
    (StatusCode::SERVICE_UNAVAILABLE, why_not).into_response()
}

async fn not_found() -> ServiceError {
    ServiceError::new(
        ErrorKind::NotFound,
        "route_unknown",
        "there is nothing at this path",
    )
}

async fn method_not_allowed() -> Response {
    let code = "method_not_allowed";
    problem(
        StatusCode::METHOD_NOT_ALLOWED,
        code,
        "this path does not take this method".to_owned(),
    )
}

/// What is created may hold a secret that is shown once: no cache keeps it.
fn created(body: impl serde::Serialize) -> Response {
    (
        StatusCode::CREATED,
        [(CACHE_CONTROL, "no-store")],
        Json(body),
    )
        .into_response()
}

impl FromRequestParts<Arc<Platform>> for Actor {
    type Rejection = ServiceError;

    async fn from_request_parts(
        parts: &mut Parts,
        platform: &Arc<Platform>,
    ) -> Result<Self, ServiceError> {
        let value = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        // The scheme's case does not matter (RFC 9110 section 11.1).
        let token = value.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        token.and_then(|token| platform.operator(token)).ok_or_else(|| {
            ServiceError::new(
                ErrorKind::Unauthenticated,
                "token_invalid",
                "this needs an API token: the administrator's is in admin-token in the data directory",
            )
        })
    }
}

/// A JSON body, whose refusal is a problem like any other.
struct JsonBody<T>(T);

impl<T: serde::de::DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ServiceError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ServiceError> {
        let Json(body) = Json::from_request(request, state)
            .await
            .map_err(|rejection| {
                if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                    let detail = format!("a request has at most {REQUEST_BYTES_MAX} bytes");
                    ServiceError::new(ErrorKind::TooLarge, "request_too_large", detail)
                } else {
                    ServiceError::new(ErrorKind::Invalid, "request_invalid", rejection.body_text())
                }
            })?;
        Ok(Self(body))
    }
}

impl IntoResponse for ServiceError {
    fn into_response(self) -> Response {
        let status = match self.kind {
            ErrorKind::Invalid => StatusCode::BAD_REQUEST,
            ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::Exhausted | ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        problem(status, self.code, self.detail)
    }
}

/// A refusal as RFC 9457 problem details.
pub(super) fn problem(status: StatusCode, code: &str, detail: String) -> Response {
    let problem = Problem {
        kind: "about:blank".to_owned(),
        title: status.canonical_reason().unwrap_or_default().to_owned(),
        status: status.as_u16(),
        detail,
        code: code.to_owned(),
    };
    // A struct of texts and a number always serialises; an empty body would still carry the status.
    let mut response = Response::new(Body::from(serde_json::to_vec(&problem).unwrap_or_default()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
