//! The application as the transports see it.

use async_graphql::{Request, Response};
use futures_util::stream::BoxStream;

use super::{
    backend::{Backend, Credentials},
    health::{Component, PartState, Readiness},
    settings::HttpSettings,
};
use crate::{
    app::App,
    auth::connections::Connection,
    config::Config,
    error::{Error, Result},
    graphql::{limits::Documents, request::Caller},
    integrations::nats::Link,
    services::identity::Client,
};

impl Backend for App {
    type Session = Caller;
    type Connection = Option<Connection>;

    fn documents(&self) -> &Documents {
        self.documents()
    }

    async fn authenticate(&self, credentials: Credentials) -> Result<Caller> {
        let client = Client { address: credentials.client_address, user_agent: credentials.user_agent };
        self.authenticate(credentials.token.as_deref(), client).await
    }

    fn charge(&self, session: &Caller, cost: u64) -> Result<Option<u64>> {
        self.charge(session, cost)
    }

    fn connect(&self, session: &Caller) -> Result<Option<Connection>> {
        self.connect(session)
    }

    async fn execute(&self, session: &Caller, request: Request) -> Response {
        self.execute(session, request).await
    }

    fn subscribe(&self, session: &Caller, request: Request) -> BoxStream<'static, Response> {
        self.subscribe(session, request)
    }

    async fn revoked(&self, session: &Caller) -> Error {
        self.revoked(session).await
    }
}

impl Readiness for App {
    async fn check(&self) -> Vec<Component> {
        let health = self.health().await;
        let migrated = health.pending_migrations == Some(0);
        let mut components = vec![
            Component { name: "master_database", status: PartState::of(health.master), detail: None },
            Component {
                name: "master_schema",
                status: PartState::of(migrated),
                detail: (!migrated).then(|| "run `rapport migrate`".to_owned()),
            },
            Component {
                name: "tenant_databases",
                status: PartState::Up,
                detail: Some(format!("{} open, {} connections free", health.open_tenants, health.free_connections)),
            },
        ];
        components.extend(health.loops.iter().map(|of| {
            let up = of.well();
            let why = if up { "" } else { "; the log says why" };
            let detail = Some(format!("last success {} s ago{why}", of.age.as_secs()));
            Component { name: of.name, status: PartState::of(up), detail }
        }));
        components.extend(health.bus.map(|link| Component {
            name: "bus",
            status: if link == Link::Up { PartState::Up } else { PartState::Degraded },
            detail: (link != Link::Up).then(|| "not connected; what other nodes do is seen within a second".to_owned()),
        }));
        components
    }
}

/// The settings of the server as the configuration gives them.
#[must_use]
pub fn http_settings(config: &Config) -> HttpSettings {
    let server = &config.server;
    HttpSettings {
        body_bytes: server.body_limit.bytes(),
        deadline: server.request_timeout,
        connections: server.max_connections,
        drain: server.drain_timeout,
        trusted_proxies: server.trusted_proxies,
        cors_origins: server.cors_origins.clone(),
        graphiql: server.graphiql,
        metrics: server.metrics.clone(),
        ..HttpSettings::default()
    }
}
