//! GraphQL over HTTP, to the letter of the specification of that name.
//!
//! - POST with `application/json` in UTF-8, nothing else: not the types that a page of another origin may send without
//!   asking (`text/plain`, forms), so that such a page cannot act in a user's name. No batches.
//! - GET for queries, with the parameters in the URL; a mutation by GET is 405.
//! - `application/json` unless the caller accepts `application/graphql-response+json` as gladly. Under the former every
//!   well-formed request is answered with 200; under the latter 200 means that the operation ran.
//! - `text/event-stream` for an answer as a stream ([`sse`](super::sse)), an `Upgrade` for a socket
//!   ([`websocket`](super::websocket)).
//! - What is not a well-formed request is refused with its proper status, under both.

pub(crate) mod accept;
pub(crate) mod params;

use std::{net::IpAddr, sync::Arc};

use async_graphql::parser::types::OperationType;
use axum::{
    body::Body,
    extract::{ConnectInfo, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    response::Response,
};
use futures_util::StreamExt;

use self::{
    accept::{Accepted, Media, is_utf8, negotiate},
    params::Params,
};
use super::{
    answer::Answer, backend::Backend, backend::Credentials, execution::Operation, middleware::RequestId,
    refusal::Refusal, router::Shared, settings::HttpSettings, sse, websocket,
};
use crate::{
    error::Error,
    graphql::request::{RequestInfo, Transport},
};

const METHODS: &str = "GET, HEAD, POST, OPTIONS";

/// How much more than allowed of a body is read and thrown away, so that its sender comes to read the refusal.
const DISCARDED: usize = 16;

/// Everything that comes to `/graphql`.
pub(crate) async fn handle<B: Backend>(State(shared): State<Shared<B>>, request: axum::extract::Request) -> Response {
    let (parts, body) = request.into_parts();
    let request_id = RequestId::of(&parts.extensions);
    let accepted = negotiate(&parts.headers);
    let content_type = accepted.media.unwrap_or(Media::Json).content_type();
    let served = match parts.method {
        Method::POST => post(&shared, &parts, body, accepted, &request_id).await,
        Method::GET | Method::HEAD => get(&shared, parts, accepted, &request_id).await,
        // A socket over HTTP/2.
        Method::CONNECT if websocket::is_upgrade(&parts) => websocket::upgrade(&shared, parts, &request_id).await,
        Method::OPTIONS => Ok(allowed_methods()),
        _ => Err(Refusal::method_not_allowed(METHODS, "use POST, or GET for queries")),
    };
    let mut response = served.unwrap_or_else(|refusal| refusal.into_response(content_type, &request_id));
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept"));
    response
}

fn allowed_methods() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(METHODS));
    response
}

async fn post<B: Backend>(
    shared: &Shared<B>,
    parts: &Parts,
    body: Body,
    accepted: Accepted,
    request_id: &Arc<str>,
) -> Result<Response, Refusal> {
    check_content(&parts.headers)?;
    acceptable(accepted)?;
    let body = read(&parts.headers, body, &shared.settings).await?;
    let params = Params::from_json(&body).map_err(Refusal::bad_request)?;
    serve(shared, parts, params, accepted, request_id).await
}

async fn get<B: Backend>(
    shared: &Shared<B>,
    parts: Parts,
    accepted: Accepted,
    request_id: &Arc<str>,
) -> Result<Response, Refusal> {
    if websocket::is_upgrade(&parts) {
        return websocket::upgrade(shared, parts, request_id).await;
    }
    if let Some(page) = shared.page.as_ref().filter(|_| accepted.prefers_html) {
        return Ok(page.response());
    }
    let query = parts.uri.query().unwrap_or_default();
    acceptable(accepted)?;
    let params = Params::from_url(query).map_err(Refusal::bad_request)?;
    serve(shared, &parts, params, accepted, request_id).await
}

/// Runs the operation of a well-formed request.
async fn serve<B: Backend>(
    shared: &Shared<B>,
    parts: &Parts,
    params: Params,
    accepted: Accepted,
    request_id: &Arc<str>,
) -> Result<Response, Refusal> {
    let info = RequestInfo {
        request_id: Arc::clone(request_id),
        client_address: client_address(parts, &shared.settings),
        idempotency_key: idempotency_key(&parts.headers, &params)?,
        transport: if accepted.prefers_event_stream { Transport::EventStream } else { Transport::Http },
    };
    let credentials = credentials(&parts.headers, info.client_address, request_id)?;
    let session = tokio::time::timeout(shared.settings.deadline, shared.backend.authenticate(credentials))
        .await
        .unwrap_or(Err(Error::Timeout))?;
    let operation = Operation::admit(&shared.backend, &session, params, info);
    let kind = operation.as_ref().map(|operation| operation.kind).ok();
    if kind == Some(OperationType::Mutation) && parts.method != Method::POST {
        return Err(Refusal::method_not_allowed("POST", "mutations are sent by POST"));
    }
    // A caller that takes either gets its events as a stream, and everything else at once.
    let streams = accepted.prefers_event_stream || kind == Some(OperationType::Subscription);
    if accepted.event_stream && streams {
        let counted = match kind {
            Some(OperationType::Subscription) => Some(shared.backend.connect(&session)?),
            _ => None,
        };
        return Ok(sse::respond(shared, session, operation, counted, request_id));
    }
    let media = accepted.media.ok_or_else(not_acceptable)?;
    let operation = match operation {
        Ok(operation) => operation,
        Err(answer) => return respond(answer, media),
    };
    if operation.kind == OperationType::Subscription {
        let message = "a subscription is answered over a WebSocket or as text/event-stream";
        return respond(Answer::failed("GRAPHQL_VALIDATION_FAILED", message, request_id), media);
    }
    let answer = operation.execute(&shared.backend, &session, shared.settings.deadline).await;
    respond(answer, media)
}

fn respond(mut answer: Answer, media: Media) -> Result<Response, Refusal> {
    let mut response = Response::new(Body::from(answer.json()));
    *response.status_mut() = match media {
        Media::Json => answer.plain_status(),
        Media::GraphqlResponse => answer.status(),
    };
    let headers = response.headers_mut();
    headers.extend(answer.take_headers());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media.content_type()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn acceptable(accepted: Accepted) -> Result<(), Refusal> {
    if accepted.media.is_some() || accepted.event_stream { Ok(()) } else { Err(not_acceptable()) }
}

fn not_acceptable() -> Refusal {
    let forms = "application/json, application/graphql-response+json and, in UTF-8, text/event-stream";
    Refusal::bad(StatusCode::NOT_ACCEPTABLE, format!("answers come as {forms}"))
}

/// A body is JSON in UTF-8, and not compressed.
fn check_content(headers: &HeaderMap) -> Result<(), Refusal> {
    let unsupported = |message: &str| Refusal::bad(StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
    let wrong_type = || unsupported("send the request as application/json");
    let content_type = headers.get(header::CONTENT_TYPE).ok_or_else(wrong_type)?.to_str().map_err(|_| wrong_type())?;
    let mut parts = content_type.split(';').map(str::trim);
    if !parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/json")) {
        return Err(wrong_type());
    }
    for parameter in parts {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if name.trim().eq_ignore_ascii_case("charset") && !is_utf8(value.trim().trim_matches('"')) {
            return Err(unsupported("send the request in UTF-8"));
        }
    }
    match headers.get(header::CONTENT_ENCODING) {
        Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            Err(unsupported("send the request without compression"))
        }
        _ => Ok(()),
    }
}

/// Reads the body up to the limit, within its time.
async fn read(headers: &HeaderMap, body: Body, settings: &HttpSettings) -> Result<Vec<u8>, Refusal> {
    let limit = settings.body_bytes;
    let too_large = || Refusal::bad(StatusCode::PAYLOAD_TOO_LARGE, format!("the request is larger than {limit} bytes"));
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    // Who asks before sending is told at once.
    if announced.is_some_and(|length: usize| length > limit)
        && (headers.contains_key(header::EXPECT) || announced > Some(limit * DISCARDED))
    {
        return Err(too_large());
    }
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::with_capacity(announced.unwrap_or(0).min(limit));
    let mut received = 0;
    let reading = async {
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| Refusal::bad_request("the request broke off"))?;
            received += chunk.len();
            if received > limit * DISCARDED {
                break;
            }
            if received <= limit {
                bytes.extend_from_slice(&chunk);
            }
        }
        Ok::<(), Refusal>(())
    };
    let timed_out = || Refusal::new(StatusCode::REQUEST_TIMEOUT, "TIMEOUT", "the request came too slowly");
    tokio::time::timeout(settings.body_timeout, reading).await.map_err(|_| timed_out())??;
    if received > limit { Err(too_large()) } else { Ok(bytes) }
}

/// The caller's address: the connection's, or what the trusted proxies say of it.
pub(crate) fn client_address(parts: &Parts, settings: &HttpSettings) -> IpAddr {
    let unknown = IpAddr::from([0, 0, 0, 0]);
    let peer = parts.extensions.get::<ConnectInfo<std::net::SocketAddr>>().map_or(unknown, |info| info.0.ip());
    if settings.trusted_proxies == 0 {
        return peer;
    }
    // Each proxy appends whom it heard from; what stands before those was written by the caller itself.
    let forwarded = parts.headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let addresses: Vec<&str> = forwarded.flat_map(|value| value.split(',')).map(str::trim).collect();
    let first_trusted = addresses.len().checked_sub(settings.trusted_proxies);
    first_trusted.and_then(|index| addresses[index].parse().ok()).unwrap_or(peer)
}

/// What the headers say of the caller: the bearer token of `Authorization`, and `User-Agent`.
pub(crate) fn credentials(
    headers: &HeaderMap,
    client_address: IpAddr,
    request_id: &Arc<str>,
) -> Result<Credentials, Refusal> {
    let token = match headers.get(header::AUTHORIZATION) {
        None => None,
        Some(value) => {
            let token = value.to_str().ok().and_then(bearer);
            Some(token.ok_or_else(|| Error::Unauthenticated("the Authorization header is not a bearer token".into()))?)
        }
    };
    let user_agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Ok(Credentials { token, client_address, user_agent, request_id: Arc::clone(request_id) })
}

/// The token in `Bearer …`.
pub(crate) fn bearer(value: &str) -> Option<String> {
    let (scheme, token) = value.trim().split_once(' ')?;
    let token = token.trim();
    let sane = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    (scheme.eq_ignore_ascii_case("bearer") && sane).then(|| token.to_owned())
}

/// The key under which a mutation may be repeated, from its header or from the operation's extensions.
pub(crate) fn idempotency_key(headers: &HeaderMap, params: &Params) -> Result<Option<Arc<str>>, Refusal> {
    let malformed = || Refusal::bad_request("an idempotency key is 1 to 255 visible ASCII characters");
    let key = match headers.get("idempotency-key") {
        Some(key) => key.to_str().map_err(|_| malformed())?,
        None => match params.extension("idempotencyKey") {
            Some(key) => key,
            None => return Ok(None),
        },
    };
    let sane = (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if sane { Ok(Some(key.into())) } else { Err(malformed()) }
}
