//! The last look at an answer before it leaves.
//!
//! Every error gets a code and the request's id, and is told once. An error that carries no code was not written for
//! callers: if it is one of the executor's own complaints about the caller's input it gets the code for it, otherwise it
//! goes to the log and the caller reads "internal error".

use std::{borrow::Cow, collections::HashSet};

use async_graphql::{PathSegment, Response, ServerError, Value};
use axum::http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::{
    error::{Error, whole_seconds},
    graphql::{
        kit::error::to_graphql,
        limits::{Cost, Refusal},
    },
};

/// The most errors of a request that could not run.
const MAX_REQUEST_ERRORS: usize = 100;

/// What an operation came to.
#[derive(Debug)]
pub(crate) struct Answer {
    response: Box<Response>,
    /// Whether the operation could not be run, so that there is no `data`, not even null.
    pub(crate) refused: bool,
}

/// An answer as it is written.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [ServerError],
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extensions: Option<&'a std::collections::BTreeMap<String, Value>>,
}

impl Answer {
    /// What the executor answered.
    pub(crate) fn executed(mut response: Response, request_id: &str, cost: Cost) -> Self {
        // An error outside of any field means that the operation was not run.
        let refused = response.data == Value::Null
            && !response.errors.is_empty()
            && response.errors.iter().all(|error| error.path.is_empty());
        response.extensions.insert("cost".to_owned(), cost.into());
        let mut answer = Self { response: Box::new(response), refused };
        answer.finish(request_id);
        answer
    }

    /// The document was not admitted.
    pub(crate) fn not_admitted(refusal: Refusal, request_id: &str) -> Self {
        let cost = refusal.cost;
        let mut response = Response::from_errors(vec![refusal.into()]);
        if let Some(cost) = cost {
            response.extensions.insert("cost".to_owned(), cost.into());
        }
        let mut answer = Self { response: Box::new(response), refused: true };
        answer.finish(request_id);
        answer
    }

    /// The operation was not run, or not to its end.
    pub(crate) fn failed(code: &'static str, message: impl Into<String>, request_id: &str) -> Self {
        let mut error = ServerError::new(message, None);
        set(&mut error, "code", code);
        let response = Box::new(Response::from_errors(vec![error]));
        let mut answer = Self { response, refused: true };
        answer.finish(request_id);
        answer
    }

    /// The tenant has spent its budget; `cost` is what the operation would have taken from it.
    pub(crate) fn throttled(error: Error, request_id: &str, cost: Cost) -> Self {
        let after = match &error {
            Error::Throttled { retry_after } => whole_seconds(*retry_after),
            _ => 1,
        };
        let error = to_graphql(error).into_server_error(async_graphql::Pos::default());
        let mut response = Response::from_errors(vec![ServerError { locations: Vec::new(), ..error }]);
        response.extensions.insert("cost".to_owned(), cost.into());
        response.http_headers.insert(header::RETRY_AFTER, HeaderValue::from(after));
        let mut answer = Self { response: Box::new(response), refused: true };
        answer.finish(request_id);
        answer
    }

    fn finish(&mut self, request_id: &str) {
        let errors = &mut self.response.errors;
        if self.refused {
            errors.truncate(MAX_REQUEST_ERRORS);
        }
        for error in errors.iter_mut() {
            if code(error).is_none() {
                assign_code(error, self.refused, request_id);
            }
            set(error, "requestId", request_id);
        }
        // Fields that share a response key are resolved once for each, and fail once for each.
        let mut seen = HashSet::new();
        errors.retain(|error| {
            let place = match error.path.as_slice() {
                [] => format!("{} {:?}", error.message, error.locations),
                path => written(path),
            };
            seen.insert((code(error).unwrap_or_default().to_owned(), place))
        });
    }

    /// The errors, for transports that tell them apart from the answer.
    pub(crate) fn errors(&self) -> &[ServerError] {
        &self.response.errors
    }

    /// Whether the answer holds errors and nothing else.
    pub(crate) fn has_no_data(&self) -> bool {
        self.response.data == Value::Null && !self.response.errors.is_empty()
    }

    /// The headers that resolvers added.
    pub(crate) fn take_headers(&mut self) -> axum::http::HeaderMap {
        std::mem::take(&mut self.response.http_headers)
    }

    /// The status under `application/graphql-response+json`, where it says whether the operation was run.
    pub(crate) fn status(&self) -> StatusCode {
        if !self.refused {
            return StatusCode::OK;
        }
        match self.response.errors.first().and_then(code) {
            Some("UNAUTHENTICATED") => StatusCode::UNAUTHORIZED,
            Some("FORBIDDEN") => StatusCode::FORBIDDEN,
            Some("THROTTLED") => StatusCode::TOO_MANY_REQUESTS,
            Some("TIMEOUT") => StatusCode::SERVICE_UNAVAILABLE,
            Some("INTERNAL_SERVER_ERROR") => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The status under `application/json`: 200 for whatever was understood, except that who must wait is told so by
    /// the status that proxies and clients know.
    pub(crate) fn plain_status(&self) -> StatusCode {
        match self.status() {
            StatusCode::TOO_MANY_REQUESTS => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::OK,
        }
    }

    /// The answer as JSON.
    pub(crate) fn json(&self) -> String {
        let Response { errors, data, extensions, .. } = &*self.response;
        let extensions = Some(extensions).filter(|extensions| !extensions.is_empty());
        let body = Body { errors, data: Some(data).filter(|_| !self.refused), extensions };
        serde_json::to_string(&body).unwrap_or_else(|error| {
            tracing::error!(%error, "an answer could not be written");
            r#"{"errors":[{"message":"internal error","extensions":{"code":"INTERNAL_SERVER_ERROR"}}]}"#.to_owned()
        })
    }
}

fn code(error: &ServerError) -> Option<&str> {
    match error.extensions.as_ref()?.get("code")? {
        Value::String(code) => Some(code),
        Value::Enum(code) => Some(code.as_str()),
        _ => None,
    }
}

fn set(error: &mut ServerError, key: &str, value: &str) {
    error.extensions.get_or_insert_default().set(key, value);
}

fn assign_code(error: &mut ServerError, refused: bool, request_id: &str) {
    const ABOUT_INPUT: [&str; 5] = [
        "Failed to parse \"",
        "Expected input type \"",
        "Invalid value for argument",
        // What `_entities` says to references of no type or without a key.
        "Entity not found.",
        "\"__typename\" must be an existing string.",
    ];
    let about_input = ABOUT_INPUT.iter().any(|start| error.message.starts_with(start));
    if about_input || (!refused && error.message.starts_with("Variable ")) {
        set(error, "code", "BAD_USER_INPUT");
    } else if refused {
        set(error, "code", "GRAPHQL_VALIDATION_FAILED");
    } else {
        tracing::error!(request_id, path = written(&error.path), message = error.message, "an error without a code");
        error.message = "internal error".to_owned();
        error.extensions = None;
        set(error, "code", "INTERNAL_SERVER_ERROR");
    }
}

/// A path for the log and for comparison, such as `customers.nodes.3.name`.
fn written(path: &[PathSegment]) -> String {
    let segments = path.iter().map(|segment| match segment {
        PathSegment::Field(name) => Cow::Borrowed(name.as_str()),
        PathSegment::Index(index) => Cow::Owned(index.to_string()),
    });
    segments.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use async_graphql::{Pos, value};
    use serde_json::json;

    use super::*;

    const COST: Cost = Cost { requested: 3, max: 10, left: None };

    fn failing(message: &str, path: &[&str], code: Option<&str>) -> ServerError {
        let mut error = ServerError::new(message, Some(Pos { line: 1, column: 2 }));
        error.path = path.iter().map(|name| PathSegment::Field((*name).to_owned())).collect();
        if let Some(code) = code {
            set(&mut error, "code", code);
        }
        error
    }

    fn written_answer(response: Response) -> serde_json::Value {
        serde_json::from_str(&Answer::executed(response, "r1", COST).json()).unwrap()
    }

    #[test]
    fn an_error_without_a_code_tells_nothing() {
        let mut response = Response::new(value!({ "a": null }));
        response.errors.push(failing("no such table: customer", &["a"], None));
        let error = &written_answer(response)["errors"][0];
        assert_eq!(error["message"], "internal error");
        assert_eq!(error["path"], json!(["a"]));
        assert_eq!(error["extensions"], json!({ "code": "INTERNAL_SERVER_ERROR", "requestId": "r1" }));
    }

    #[test]
    fn the_same_failure_is_told_once() {
        let mut response = Response::new(value!({ "a": null }));
        for (path, code) in [("a", "FORBIDDEN"), ("a", "FORBIDDEN"), ("b", "FORBIDDEN"), ("a", "NOT_FOUND")] {
            response.errors.push(failing("no", &[path], Some(code)));
        }
        assert_eq!(written_answer(response)["errors"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn data_stands_in_the_answer_exactly_when_the_operation_ran() {
        let ran = |response| Answer::executed(response, "r1", COST);
        let invalid = ran(Response::from_errors(vec![failing("Unknown field", &[], None)]));
        assert_eq!((invalid.refused, invalid.status()), (true, StatusCode::BAD_REQUEST));
        assert!(!invalid.json().contains("\"data\""));
        assert!(invalid.json().contains("GRAPHQL_VALIDATION_FAILED"));

        let nulled = ran(Response::from_errors(vec![failing("not found", &["a"], Some("NOT_FOUND"))]));
        assert_eq!((nulled.refused, nulled.status()), (false, StatusCode::OK));
        assert!(nulled.json().contains("\"data\":null"));
    }
}
