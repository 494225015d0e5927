//! `/metrics`, for Prometheus: on an address of its own, because whoever can reach it can read it.

use axum::{
    Router,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;

use super::serve::Lifecycle;
use crate::app::App;

const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers Prometheus until the server is told to stop.
pub async fn metrics(listener: TcpListener, app: App, lifecycle: Lifecycle) {
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "answering Prometheus");
    }
    let routes = Router::new().route("/metrics", get(figures)).with_state(app);
    let stop = async move { lifecycle.stopped().await };
    if let Err(error) = axum::serve(listener, routes).with_graceful_shutdown(stop).await {
        tracing::error!(%error, "Prometheus is answered no more");
    }
}

async fn figures(State(app): State<App>) -> Response {
    match app.figures().await {
        Ok(text) => ([(header::CONTENT_TYPE, HeaderValue::from_static(TEXT))], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the figures could not be read");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}
