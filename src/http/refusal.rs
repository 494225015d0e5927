//! Answers to requests that never become an operation. They have the form of a GraphQL answer with one error, so that a
//! client needs to understand one form only.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use serde_json::json;

use crate::error::{Error, whole_seconds};

/// Why a request is not served.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), header: None }
    }

    /// A request that is not what this endpoint understands.
    pub(crate) fn bad(status: StatusCode, message: impl Into<String>) -> Self {
        Self::new(status, "BAD_USER_INPUT", message)
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::bad(StatusCode::BAD_REQUEST, message)
    }

    pub(crate) fn method_not_allowed(allow: &'static str, message: impl Into<String>) -> Self {
        Self::bad(StatusCode::METHOD_NOT_ALLOWED, message).with(header::ALLOW, HeaderValue::from_static(allow))
    }

    fn with(self, name: HeaderName, value: HeaderValue) -> Self {
        Self { header: Some((name, value)), ..self }
    }

    fn retry_after(self, after: Duration) -> Self {
        self.with(header::RETRY_AFTER, HeaderValue::from(whole_seconds(after)))
    }

    /// The answer, in the given media type.
    pub(crate) fn into_response(self, content_type: &'static str, request_id: &str) -> Response {
        let error = json!({ "message": self.message, "extensions": { "code": self.code, "requestId": request_id } });
        let mut response = Response::new(Body::from(json!({ "errors": [error] }).to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some((name, value)) = self.header {
            headers.insert(name, value);
        }
        response
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Error::Forbidden { .. } | Error::TenantSuspended => StatusCode::FORBIDDEN,
            Error::NotFound => StatusCode::NOT_FOUND,
            Error::BadInput(_) | Error::User(_) => StatusCode::BAD_REQUEST,
            Error::Conflict(_) | Error::IdempotencyKeyReused | Error::Resync { .. } => StatusCode::CONFLICT,
            Error::Throttled { .. } => StatusCode::TOO_MANY_REQUESTS,
            Error::TenantMigrating | Error::Timeout => StatusCode::SERVICE_UNAVAILABLE,
            Error::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if let Error::Internal(cause) = &error {
            tracing::error!(%cause, "a request failed before its operation ran");
        }
        let refusal = Self::new(status, error.code(), error.to_string());
        match error {
            Error::Unauthenticated(_) => {
                refusal.with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"rapport\""))
            }
            Error::Throttled { retry_after } => refusal.retry_after(retry_after),
            Error::TenantMigrating => refusal.retry_after(Duration::from_secs(5)),
            _ => refusal,
        }
    }
}
