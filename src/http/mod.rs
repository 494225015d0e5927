//! The way in: one GraphQL endpoint over HTTP, WebSocket and server-sent events, the health checks, the IDE, and the
//! page of the jobs.
//!
//! The transports know nothing of the application but the [`Backend`] trait. What they have in common stands in
//! `execution` (bound the document, run it within the deadline, survive a panic) and `answer` (every error has a code
//! and the request's id, nothing internal leaves), so that an operation is bounded and answered alike whatever brought
//! it.

mod answer;
mod app;
mod backend;
mod dashboard;
mod execution;
mod graphiql;
mod graphql;
mod health;
mod metrics;
mod middleware;
mod refusal;
mod router;
mod serve;
mod settings;
mod sse;
mod websocket;

pub use self::{
    app::http_settings,
    backend::{Backend, Credentials},
    health::{Component, PartState, Readiness},
    metrics::metrics,
    router::{router, without_api},
    serve::{Lifecycle, serve},
    settings::{DemoLogin, HttpSettings, WebSocketSettings},
};
