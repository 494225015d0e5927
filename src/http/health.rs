//! `/health/live`: the process answers. `/health/ready`: it can serve. `/health`: how each part of it is.

use std::future::Future;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Json, Response},
};
use serde::Serialize;
use serde_json::json;

/// Says how the parts of the application are.
pub trait Readiness: Clone + Send + Sync + 'static {
    /// The state of every part, now. Should answer within a second: who asks does not wait long.
    fn check(&self) -> impl Future<Output = Vec<Component>> + Send;
}

/// A part of the application, such as the master database.
#[derive(Clone, Debug, Serialize)]
pub struct Component {
    /// What it is called.
    pub name: &'static str,
    /// Whether it works. One that does not makes the server not ready.
    #[serde(rename = "status", serialize_with = "status")]
    pub up: bool,
    /// What the people who run the server should know. Everybody can read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

fn word(up: bool) -> &'static str {
    if up { "up" } else { "down" }
}

fn status<S: serde::Serializer>(up: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(word(*up))
}

fn code(up: bool) -> StatusCode {
    if up { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

pub(super) async fn live() -> Response {
    Json(json!({ "status": "up" })).into_response()
}

pub(super) async fn ready<R: Readiness>(State(readiness): State<R>) -> Response {
    let up = readiness.check().await.iter().all(|component| component.up);
    (code(up), Json(json!({ "status": word(up) }))).into_response()
}

pub(super) async fn all<R: Readiness>(State(readiness): State<R>) -> Response {
    let components = readiness.check().await;
    let up = components.iter().all(|component| component.up);
    let version = env!("CARGO_PKG_VERSION");
    (code(up), Json(json!({ "status": word(up), "version": version, "components": components }))).into_response()
}
