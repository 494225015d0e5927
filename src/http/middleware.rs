//! Around every request: its id, a line in the log, the headers every answer carries, CORS, and the last catch for a
//! panic.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};
use futures_util::FutureExt;
use tracing::{Instrument, field::Empty};

use super::{execution::panic_message, graphql::accept::JSON, refusal::Refusal, settings::HttpSettings};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Names a request in the log and in its answer.
#[derive(Clone)]
pub(crate) struct RequestId(Arc<str>);

impl RequestId {
    /// The id that the outermost layer gave the request.
    pub(crate) fn of(extensions: &Extensions) -> Arc<str> {
        extensions.get::<Self>().map_or_else(|| Self::new().0, |id| Arc::clone(&id.0))
    }

    /// The caller's own id when it is harmless in a log, else a new one.
    fn for_request(headers: &HeaderMap) -> Self {
        let harmless = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/');
        let given = headers.get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
        let given = given.filter(|id| (1..=128).contains(&id.len()) && id.bytes().all(harmless));
        given.map_or_else(Self::new, |id| Self(id.into()))
    }

    fn new() -> Self {
        Self(format!("{:032x}", rand::random::<u128>()).into())
    }
}

/// The outermost layer: gives the request its id, logs it, and turns a panic into an answer.
pub(super) async fn observe(mut request: Request, next: Next) -> Response {
    let id = RequestId::for_request(request.headers());
    request.extensions_mut().insert(id.clone());
    let RequestId(id) = id;
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let started = Instant::now();
    // The tenant and the operation are filled in by who finds them out.
    let span = tracing::info_span!("request", request_id = %id, tenant = Empty, operation = Empty);
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span.clone()).await;
    let mut response = answered.unwrap_or_else(|panic| {
        tracing::error!(parent: &span, panic = panic_message(&*panic), "a request panicked");
        let refusal = Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_SERVER_ERROR", "internal error");
        refusal.into_response(JSON, &id)
    });
    let (status, elapsed) = (response.status().as_u16(), started.elapsed());
    tracing::info!(parent: &span, %method, path, status, ?elapsed, "answered");
    // Visible ASCII by construction.
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    response
}

/// Headers against what a browser might otherwise do with an answer. A handler's own stand.
pub(super) async fn protect(request: Request, next: Next) -> Response {
    const HEADERS: [(HeaderName, &str); 5] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Whether pages of this origin may call the API.
pub(super) fn allows(settings: &HttpSettings, origin: &HeaderValue) -> bool {
    settings.cors_origins.iter().any(|allowed| allowed == "*" || allowed.as_bytes() == origin.as_bytes())
}

/// Lets pages of the allowed origins call the API, and answers a browser that asks beforehand.
pub(super) async fn cors(State(settings): State<Arc<HttpSettings>>, request: Request, next: Next) -> Response {
    if settings.cors_origins.is_empty() {
        return next.run(request).await;
    }
    let origin = request.headers().get(header::ORIGIN).filter(|origin| allows(&settings, origin)).cloned();
    let preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match (&origin, preflight) {
        (Some(_), true) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let mut allow = |name, value| headers.insert(name, HeaderValue::from_static(value));
        if preflight {
            allow(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST");
            allow(header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, idempotency-key, x-request-id");
            allow(header::ACCESS_CONTROL_MAX_AGE, "86400");
        } else {
            allow(header::ACCESS_CONTROL_EXPOSE_HEADERS, "x-request-id, retry-after");
        }
    }
    response
}
