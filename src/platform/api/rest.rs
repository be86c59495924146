//! The REST door: a request's path, query and body become one message, and an answer becomes JSON. Which
//! path is which method's is generated. The health checks stand here too.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts as _, RawPathParams, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderMap, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;

use super::problem::guard;
use super::{
    Allowed, Answer, ComesFrom, Context, Grpc, Method, Streaming, Unary, bearer, documents,
    grpc_routes, json, problem, rest_routes, standard,
};
use crate::platform::Platform;
use crate::platform::console_page;
use crate::platform::metrics::ApiDoor;
use crate::platform::service::{ErrorKind, ServiceError};
use crate::secret::Secret;
use crate::wire::json::{Fault, JsonMessage};

/// A store that takes longer to answer is not ready.
const READY_TIMEOUT: Duration = Duration::from_secs(2);
/// Makes it safe to try a request again.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Longest name of a state, as the schema has it.
const ETAG_BYTES_MAX: usize = 64;
/// Names no state of anything.
const NO_STATE: &str = "none";
/// Of a body that is too large so much is read and passed over: a client that writes it all before it reads
/// would otherwise see its connection break, and not the refusal.
const PASSED_OVER_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The routes of the API and the health checks.
pub(in crate::platform) fn router(platform: Arc<Platform>) -> Router {
    rest_routes()
        .merge(grpc_routes(&Grpc(platform.clone())))
        .merge(standard::routes(&platform))
        .merge(documents::routes())
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(elsewhere)
        .with_state(platform)
}

/// Serves a method that answers once.
pub(super) async fn unary<M: Unary>(
    State(platform): State<Arc<Platform>>,
    request: Request,
) -> Response {
    let call = call_unary::<M>(platform.clone(), request);
    let counted = platform.metrics.api_call(M::ABOUT, ApiDoor::Rest, call);
    match counted.await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn call_unary<M: Unary>(platform: Arc<Platform>, request: Request) -> Answer<Response> {
    let admitted = Allowed::<M>::new(&platform, context(&request))?;
    let (parts, wire) = read::<M>(request).await?;
    let answer = super::unary(platform, admitted, wire).await?;
    let etag = quoted(M::etag(&answer));
    let unchanged = M::ABOUT.reads
        && etag
            .as_ref()
            .is_some_and(|etag| matches(&parts.headers, &IF_NONE_MATCH, etag));
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else if M::WireAnswer::MEMBERS.is_empty() {
        StatusCode::NO_CONTENT.into_response()
    } else {
        let mut body = BytesMut::new();
        M::write(&answer, &mut body);
        let status = match M::ABOUT {
            about if about.begins => StatusCode::ACCEPTED,
            about if about.creates => StatusCode::CREATED,
            _ => StatusCode::OK,
        };
        let kind = [(CONTENT_TYPE, "application/json")];
        (status, kind, body.freeze()).into_response()
    };
    if let Some(etag) = etag {
        response.headers_mut().insert(ETAG, etag);
    }
    guard(response.headers_mut());
    Ok(response)
}

/// Serves a method that answers more than once.
pub(super) async fn streaming<M: Streaming>(
    State(platform): State<Arc<Platform>>,
    request: Request,
) -> Response {
    let call = call_streaming::<M>(platform.clone(), request);
    let counted = platform.metrics.api_call(M::ABOUT, ApiDoor::Rest, call);
    match counted.await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn call_streaming<M: Streaming>(
    platform: Arc<Platform>,
    request: Request,
) -> Answer<Response> {
    let admitted = Allowed::<M>::new(&platform, context(&request))?;
    let (_, wire) = read::<M>(request).await?;
    let answers = super::streaming(platform, admitted, wire).await?;
    // Piece by piece as the client takes them. What fails on the way breaks the connection off.
    let pieces = answers.map(|answer| {
        answer.map(|answer| {
            let answer = M::WireAnswer::from(answer);
            if M::RAW.is_some() {
                M::raw(answer)
            } else {
                server_sent_event(&answer)
            }
        })
    });
    let media_type = M::RAW.unwrap_or("text/event-stream");
    let kind = [(CONTENT_TYPE, media_type)];
    let mut response = (kind, Body::from_stream(pieces)).into_response();
    guard(response.headers_mut());
    Ok(response)
}

/// One event, whose data is the answer in one line: JSON has no line breaks of its own.
fn server_sent_event(answer: &impl JsonMessage) -> Bytes {
    let mut text = BytesMut::from(&b"data: "[..]);
    json::write(answer, &mut text);
    text.extend_from_slice(b"\n\n");
    text.freeze()
}

fn context(request: &Request) -> Context {
    let text = |name: HeaderName| request.headers().get(name)?.to_str().ok();
    Context {
        bearer: bearer(text(AUTHORIZATION)),
        address: ComesFrom::of(request.extensions()),
        idempotency_key: text(IDEMPOTENCY_KEY).map(|key| Secret::new(key.to_owned())),
    }
}

/// The request as the method's message.
async fn read<M: Method>(request: Request) -> Answer<(Parts, M::WireRequest)> {
    let (mut parts, body) = request.into_parts();
    let in_path = RawPathParams::from_request_parts(&mut parts, &())
        .await
        .map_err(|_| invalid("the path is not UTF-8", None))?;
    let query = parts.uri.query().unwrap_or_default();
    let in_query: Vec<(Cow<'_, str>, Cow<'_, str>)> = form_urlencoded::parse(query.as_bytes())
        .take(M::ABOUT.parameters_max + 1)
        .collect();
    if in_query.len() > M::ABOUT.parameters_max {
        let most = M::ABOUT.parameters_max;
        let detail = format!("the query of this path has at most {most} parameters");
        return Err(invalid(detail, None));
    }
    let mut parameters: Vec<(&str, &str)> = in_path.iter().collect();
    for (name, value) in &in_query {
        if in_path.iter().any(|(other, _)| other == name) {
            let detail = format!("{name} stands in the path, and may not in the query");
            return Err(invalid(detail, Some(name)));
        }
        if M::WireRequest::MEMBERS.contains(&&**name) {
            parameters.push((name, value));
        } else {
            let detail = format!("this path takes no parameter {name:?}");
            return Err(invalid(detail, Some(name)));
        }
    }
    let body = if M::ABOUT.body {
        let body = read_body(&parts.headers, body, M::ABOUT.request_bytes_max).await?;
        // A request without anything in it is as good as an empty object.
        (!body.is_empty()).then_some(body)
    } else {
        None
    };
    let mut wire = json::read_request(&parameters, body.as_ref()).map_err(|fault: Fault| {
        let path = fault.path();
        let place = if path.is_empty() { "the body" } else { &path };
        let detail = format!("{place}: {}", fault.what());
        invalid(detail, (!path.is_empty()).then_some(&*path))
    })?;
    if let Some(asked) = condition(&parts.headers)?
        && let Some(etag) = M::etag_mut(&mut wire)
    {
        ask_for(etag, asked);
    }
    Ok((parts, wire))
}

async fn read_body(headers: &HeaderMap, mut body: Body, bytes_max: usize) -> Answer<Bytes> {
    let (mut taken, mut length) = (BytesMut::new(), 0);
    while length <= PASSED_OVER_BYTES_MAX
        && let Some(frame) = body.frame().await
    {
        let frame = frame.map_err(|_| invalid("the body broke off", None))?;
        let data = frame.into_data().unwrap_or_default();
        length += data.len();
        if length <= bytes_max {
            taken.extend_from_slice(&data);
        }
    }
    if length > bytes_max {
        let detail = format!("a request has at most {bytes_max} bytes");
        let code = "request_too_large";
        return Err(ServiceError::new(ErrorKind::TooLarge, code, detail));
    }
    let body = taken.freeze();
    let media_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if !body.is_empty() && !media_type.is_some_and(is_json) {
        let detail = "a body is JSON, and says so: content-type: application/json";
        return Err(ServiceError::new(
            ErrorKind::MediaType,
            "media_type_unsupported",
            detail,
        ));
    }
    Ok(body)
}

fn is_json(media_type: &[u8]) -> bool {
    let essence = media_type.split(|byte| *byte == b';').next();
    essence.is_some_and(|essence| {
        essence
            .trim_ascii()
            .eq_ignore_ascii_case(b"application/json")
    })
}

fn invalid(detail: impl Into<String>, field: Option<&str>) -> ServiceError {
    let mut error = ServiceError::new(ErrorKind::Malformed, "request_invalid", detail);
    error.field = field.map(str::to_owned);
    error
}

/// What the state is called that a change asks for (RFC 9110 section 13.1.1); none where any will do.
fn condition(headers: &HeaderMap) -> Answer<Option<String>> {
    // Looked at also where the method does not: what is malformed is refused whatever it is for.
    check_entity_tags(headers, &IF_NONE_MATCH)?;
    check_entity_tags(headers, &IF_MATCH)?;
    let mut values = headers.get_all(IF_MATCH).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return match headers.contains_key(IF_MATCH) {
            true => Err(invalid("If-Match comes once", Some("If-Match"))),
            false => Ok(None),
        };
    };
    let value = value.as_bytes().trim_ascii();
    if value == b"*" {
        return Ok(None);
    }
    let opaque = opaque_tag(value).and_then(|tag| std::str::from_utf8(tag).ok());
    let one = || {
        invalid(
            "If-Match names one state, as its ETag does",
            Some("If-Match"),
        )
    };
    opaque.map(|tag| Some(tag.to_owned())).ok_or_else(one)
}

/// Refuses what is neither `*` nor an entity tag without its quotes nor a list of whole ones.
fn check_entity_tags(headers: &HeaderMap, name: &HeaderName) -> Answer<()> {
    let is_list = |value: &HeaderValue| {
        let value = value.as_bytes().trim_ascii();
        // Commas may stand within the quotes: every second part is within.
        let parts: Vec<_> = value.split(|byte| *byte == b'"').collect();
        let is_between = |(at, part): (usize, &&[u8])| {
            let (first, last) = (at == 0, at == parts.len() - 1);
            let part = part.trim_ascii();
            let weak = part.strip_suffix(b"W/").filter(|_| !last);
            let part = weak.unwrap_or(part).trim_ascii();
            part == if first || last { &b""[..] } else { b"," }
        };
        let is_within = |part: &&[u8]| is_opaque(part);
        let tags = parts.len() >= 3 && parts.len() % 2 == 1;
        let between = parts.iter().enumerate().step_by(2).all(is_between);
        is_opaque(value) || tags && between && parts.iter().skip(1).step_by(2).all(is_within)
    };
    if headers.get_all(name).iter().all(is_list) {
        return Ok(());
    }
    let detail = format!("{name} is no ETag: it looks like \"1\", with its quotes");
    Err(invalid(detail, Some(name.as_str())))
}

/// What an entity tag has between its quotes, which programs leave out now and then. That a proxy has
/// made it weak changes nothing.
fn opaque_tag(tag: &[u8]) -> Option<&[u8]> {
    let tag = tag.strip_prefix(b"W/").unwrap_or(tag);
    let tag = match tag.strip_prefix(b"\"") {
        Some(rest) => rest.strip_suffix(b"\"")?,
        None => tag,
    };
    is_opaque(tag).then_some(tag)
}

/// Whether it may stand between an entity tag's quotes.
fn is_opaque(tag: &[u8]) -> bool {
    let plain = tag
        .iter()
        .all(|byte| byte.is_ascii_graphic() && *byte != b'"');
    plain && (1..=ETAG_BYTES_MAX).contains(&tag.len())
}

/// Asks for a state beside what the message asks for. A thing is not in two states at once; a message
/// whose own is malformed stays so, to be refused for it.
fn ask_for(etag: &mut String, asked: String) {
    if etag.is_empty() {
        *etag = asked;
    } else if *etag != asked && etag.chars().count() <= ETAG_BYTES_MAX {
        NO_STATE.clone_into(etag);
    }
}

fn quoted(etag: &str) -> Option<HeaderValue> {
    if etag.is_empty() {
        return None;
    }
    HeaderValue::from_str(&format!("\"{etag}\"")).ok()
}

/// Whether a list of states names this one.
pub(in crate::platform) fn matches(
    headers: &HeaderMap,
    name: &HeaderName,
    etag: &HeaderValue,
) -> bool {
    headers.get_all(name).iter().any(|list| {
        list.as_bytes().split(|byte| *byte == b',').any(|item| {
            let item = item.trim_ascii();
            item == b"*" || item.strip_prefix(b"W/").unwrap_or(item) == etag.as_bytes()
        })
    })
}

async fn ready(State(platform): State<Arc<Platform>>) -> Response {
    match readiness(&platform).await {
        Ok(()) => "ready\n".into_response(),
        Err(why_not) => (StatusCode::SERVICE_UNAVAILABLE, why_not).into_response(),
    }
}

/// Whether the platform takes work, or why it does not.
pub(super) async fn readiness(platform: &Platform) -> Result<(), &'static str> {
    if platform.is_stopping() {
        return Err("stopping\n");
    }
    match tokio::time::timeout(READY_TIMEOUT, platform.store.check()).await {
        Ok(Ok(())) => Ok(()),
        _ => Err("the store does not answer\n"),
    }
}

/// What no route takes: the console's, or nobody's.
async fn elsewhere(request: Request) -> Response {
    let page = console_page::answer(request.method(), request.uri(), request.headers());
    page.unwrap_or_else(|| {
        let detail = "there is nothing at this path";
        ServiceError::new(ErrorKind::NotFound, "route_unknown", detail).into_response()
    })
}

async fn method_not_allowed() -> Response {
    let code = "method_not_allowed";
    problem(
        StatusCode::METHOD_NOT_ALLOWED,
        code,
        "this path does not take this method".to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: HeaderName, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.append(name, HeaderValue::from_str(value).expect("a value"));
        headers
    }

    #[test]
    fn a_condition_is_an_entity_tag_or_refused() {
        let asked = |value: &str| condition(&of(IF_MATCH, value));
        assert_eq!(condition(&HeaderMap::new()), Ok(None));
        assert_eq!(asked("*"), Ok(None));
        for one in ["\"7\"", " \"7\" ", "W/\"7\"", "7"] {
            assert_eq!(asked(one), Ok(Some("7".to_owned())), "{one}");
        }
        let long = format!("\"{}\"", "x".repeat(ETAG_BYTES_MAX + 1));
        for none in [
            "",
            "\"7",
            "\"\"",
            "\"7\", \"8\"",
            "\"7\",",
            "\"\"7\"\"",
            &long,
        ] {
            assert!(asked(none).is_err(), "{none}");
        }
        for list in ["\"7\"", "\"7\", W/\"8\"", "W/\"7\",\"8\"", "\"7,8\"", "*"] {
            assert!(condition(&of(IF_NONE_MATCH, list)).is_ok(), "{list}");
        }
        for none in [
            "",
            "\"7",
            "\"7\" \"8\"",
            "\"7\",",
            ",\"7\"",
            "X\"7\"",
            "\"\"",
            "\"7\"W/",
        ] {
            assert!(condition(&of(IF_NONE_MATCH, none)).is_err(), "{none}");
        }
        let mut twice = of(IF_MATCH, "\"7\"");
        twice.append(IF_MATCH, HeaderValue::from_static("\"7\""));
        assert!(condition(&twice).is_err());
    }

    #[test]
    fn a_thing_is_not_in_two_states_at_once() {
        let both = |message: &str, header: &str| {
            let mut etag = message.to_owned();
            ask_for(&mut etag, header.to_owned());
            etag
        };
        assert_eq!(both("", "7"), "7");
        assert_eq!(both("7", "7"), "7");
        assert_eq!(both("8", "7"), NO_STATE);
        let long = "x".repeat(ETAG_BYTES_MAX + 1);
        assert_eq!(both(&long, "7"), long, "the schema's rule refuses it");
    }
}
