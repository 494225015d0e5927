//! The routes.

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    http::StatusCode,
    middleware::{from_fn, from_fn_with_state},
    response::Response,
    routing::{any, get},
};

use super::{
    backend::Backend,
    dashboard,
    graphiql::Page,
    graphql::{self, accept::JSON},
    health::{self, Readiness},
    middleware::{self, RequestId},
    refusal::Refusal,
    serve::Lifecycle,
    settings::HttpSettings,
};

/// What the GraphQL endpoint works with.
#[derive(Clone)]
pub(crate) struct Shared<B> {
    pub(crate) backend: B,
    pub(crate) settings: Arc<HttpSettings>,
    pub(crate) lifecycle: Lifecycle,
    /// The IDE, where it is served.
    pub(crate) page: Option<Page>,
}

/// All routes of the server.
pub fn router<B: Backend, R: Readiness>(
    backend: B,
    readiness: R,
    settings: HttpSettings,
    lifecycle: &Lifecycle,
) -> Router {
    let settings = Arc::new(settings);
    let page = settings.graphiql.then(|| Page::new(&settings));
    let ide = page.clone().map_or_else(Router::new, Page::routes);
    let shared = Shared { backend, settings: Arc::clone(&settings), lifecycle: lifecycle.clone(), page };
    let endpoint = Router::new().route("/graphql", any(graphql::handle::<B>)).with_state(shared);
    finished(endpoint.merge(health(readiness)).merge(ide).merge(dashboard::routes()).fallback(not_found), settings)
}

/// The routes of a node that serves no API: how it is, and nothing else.
pub fn without_api<R: Readiness>(readiness: R, settings: HttpSettings) -> Router {
    finished(health(readiness).fallback(no_api), Arc::new(settings))
}

fn health<R: Readiness>(readiness: R) -> Router {
    Router::new()
        .route("/health", get(health::all::<R>))
        .route("/health/ready", get(health::ready::<R>))
        .with_state(readiness)
        .route("/health/live", get(health::live))
}

fn finished(routes: Router, settings: Arc<HttpSettings>) -> Router {
    routes
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(settings, middleware::cors))
        .layer(from_fn(middleware::protect))
        .layer(from_fn(middleware::observe))
}

async fn no_api(request: Request) -> Response {
    let refusal = Refusal::new(StatusCode::NOT_FOUND, "NOT_FOUND", "this node serves no API, only /health");
    refusal.into_response(JSON, &RequestId::of(request.extensions()))
}

async fn not_found(request: Request) -> Response {
    let refusal = Refusal::new(StatusCode::NOT_FOUND, "NOT_FOUND", "there is nothing here; the API is at /graphql");
    refusal.into_response(JSON, &RequestId::of(request.extensions()))
}

async fn method_not_allowed(request: Request) -> Response {
    let refusal = Refusal::method_not_allowed("GET, HEAD", "this can only be read");
    refusal.into_response(JSON, &RequestId::of(request.extensions()))
}
