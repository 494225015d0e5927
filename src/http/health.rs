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
    /// How it is.
    pub status: PartState,
    /// What the people who run the server should know. Everybody can read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// How a part is, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PartState {
    /// It works.
    Up,
    /// It does not, and the server serves all the same, somewhat worse.
    Degraded,
    /// It does not, and the server is not ready.
    Down,
}

impl PartState {
    /// The state of a part that the server cannot do without.
    #[must_use]
    pub const fn of(up: bool) -> Self {
        if up { Self::Up } else { Self::Down }
    }

    fn worst(components: &[Component]) -> Self {
        components.iter().map(|component| component.status).max().unwrap_or(Self::Up)
    }

    fn code(self) -> StatusCode {
        if self == Self::Down { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
    }
}

pub(super) async fn live() -> Response {
    Json(json!({ "status": "up" })).into_response()
}

pub(super) async fn ready<R: Readiness>(State(readiness): State<R>) -> Response {
    let code = PartState::worst(&readiness.check().await).code();
    (code, Json(json!({ "status": PartState::of(code == StatusCode::OK) }))).into_response()
}

pub(super) async fn all<R: Readiness>(State(readiness): State<R>) -> Response {
    let components = readiness.check().await;
    let status = PartState::worst(&components);
    let version = env!("CARGO_PKG_VERSION");
    (status.code(), Json(json!({ "status": status, "version": version, "components": components }))).into_response()
}
