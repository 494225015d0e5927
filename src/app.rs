//! The application: everything built once from the configuration, for production, the demo and the tests alike.
//!
//! It knows no transport: `http` hands it credentials and operations, and asks how its parts are.

mod background;
mod figures;

use std::{
    any::TypeId,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use async_graphql::{Request, Response, ServerError, parser::types::DocumentOperations};
use futures_util::{StreamExt, stream::BoxStream};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub use self::{
    background::Background,
    figures::{Health, Loop},
};
use crate::{
    auth::{
        access_token::{AccessTokenSettings, SigningKey},
        connections::{Connection, Connections},
        password::PasswordSettings,
        seal::Sealer,
        throttle::{Limit, RateLimiter, ThrottleSettings},
    },
    clock::Clock,
    config::{self, Config, Secret},
    data::{MasterDb, PoolSettings, TenantDb, Tenants, TenantsSettings, hints::Hint, idempotency::RequestKey, ids},
    error::{Error, Result},
    events::Bus,
    graphql::{
        automation::webhook::read_condition,
        identity::api_key,
        kit::{error::to_graphql, loader},
        limits::{Documents, Limits},
        live::LiveSettings,
        node::record_types,
        request::{Caller, RequestInfo},
        schema::{self, Schema},
    },
    integrations::{
        http::{HttpClient, HttpSettings, SystemResolver},
        mail::Mailer,
        nats::Link,
    },
    jobs::{Job, Jobs, Work, Worker},
    metrics::Metrics,
    services::{
        automation::{
            cleanup::{Cleaning, CleanupOldData},
            email::Sending,
            notification::Notifying,
            recurring::Net,
            reminders::Reminders,
            webhook::{self, Webhooks},
        },
        identity::{Client, Identity, IdentitySettings, Principal, Seed},
        sales::pipeline::DefaultPipeline,
    },
};

/// How often databases that nobody uses are looked for.
const SWEEP: Duration = Duration::from_secs(30);

/// How many tenants' spending is remembered; who has spent nothing for longest is forgotten first.
const TENANTS_COUNTED: usize = 100_000;

/// The application. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    identity: Identity,
    schema: Schema,
    documents: Documents,
    worker: Worker,
    jobs: Jobs,
    metrics: Metrics,
    /// What each tenant may spend over time, in points of cost.
    points: RateLimiter,
    connections: Connections,
    /// How the connection to the other nodes is, where there is to be one.
    link: OnceLock<watch::Receiver<Link>>,
    master_url: String,
    show_statements: bool,
}

impl App {
    /// Builds the application and opens the master database. Nothing is migrated: see [`App::migrate_master`].
    ///
    /// # Errors
    /// When the master database cannot be reached or a setting cannot be used.
    pub async fn new(config: &Config, clock: Clock) -> Result<Self> {
        let clock_of_points = clock.clone();
        let tenants = tenants(config, clock).await?;
        let metrics = Metrics::default();
        let identity = Identity::new(identity_settings(config), tenants.clone(), seeds())?;
        let webhooks = webhooks(config, &identity, &metrics)?;
        let works = works(config, &identity, &webhooks, &metrics)?;
        let worker = Worker::counted(tenants.clone(), works, metrics.clone())?;
        let (master, due) = (tenants.master().clone(), tenants.due().clone());
        let jobs = Jobs::new(master, due, recurring(config, &tenants), metrics.clone())?;
        let documents = Documents::new(&schema::sdl(false), limits(config))?;
        let live = LiveSettings { backlog: config.limits.live_backlog };
        let builder = schema::build()
            .data(identity.clone())
            .data(api_key::last_uses(identity.clone()))
            .data(webhooks)
            .data(live)
            .data(jobs.clone());
        Ok(Self(Arc::new(Inner {
            identity,
            schema: builder.finish(),
            documents,
            worker,
            jobs,
            metrics,
            points: RateLimiter::of_points(
                clock_of_points,
                config.limits.tenant_points,
                config.limits.tenant_points_per_second,
                TENANTS_COUNTED,
            ),
            connections: Connections::new(
                config.limits.live_connections_per_user,
                config.limits.live_connections_per_tenant,
            ),
            link: OnceLock::new(),
            master_url: config.database.master().expose().to_owned(),
            show_statements: config.server.show_statements,
        })))
    }

    /// Brings the master database up to date; answers how many migrations ran.
    ///
    /// # Errors
    /// When a migration fails.
    pub async fn migrate_master(&self) -> Result<usize> {
        self.master().migrate(&self.0.master_url).await
    }

    /// The master database.
    #[must_use]
    pub fn master(&self) -> &MasterDb {
        self.0.identity.tenants().master()
    }

    /// The rules of identity.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// The gate that every document passes before it is executed.
    #[must_use]
    pub fn documents(&self) -> &Documents {
        &self.0.documents
    }

    /// Who does what nobody waits for. It does nothing until it is run: see [`Worker::run`].
    #[must_use]
    pub fn worker(&self) -> &Worker {
        &self.0.worker
    }

    /// What recurs for the platform. Nothing does until it is run: see [`App::begin_background`].
    #[must_use]
    pub fn jobs(&self) -> &Jobs {
        &self.0.jobs
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// How the connection to the other nodes is.
    fn link(&self) -> Option<Link> {
        self.0.link.get().map(|link| link.borrow().clone())
    }

    fn connections(&self) -> &Connections {
        &self.0.connections
    }

    /// Closes the databases that nobody uses, for as long as the application lives.
    pub fn sweep(&self) {
        let tenants = self.0.identity.tenants().clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(SWEEP).await;
                tenants.close_idle();
            }
        });
    }

    /// Joins the other nodes, where the settings name a bus: tells them what is committed here and looks where they
    /// tell to, until it is told to stop. With `works` it is told of work too. Answers what then ends.
    ///
    /// # Errors
    /// When the settings cannot be used. A bus that is not there is no error: it is waited for.
    pub async fn join(
        &self,
        settings: &config::Bus,
        works: bool,
        stop: CancellationToken,
    ) -> Result<Option<JoinHandle<()>>> {
        let identity = self.0.identity.clone();
        let Some(bus) = Bus::open(settings, identity.tenants().hints().clone(), works).await? else {
            return Ok(None);
        };
        let _ = self.0.link.set(bus.link());
        let look = move |hint: Hint| {
            if let Hint::Identity { tenant_id } = hint {
                identity.changed_elsewhere(tenant_id);
            }
            identity.tenants().told(hint);
        };
        Ok(Some(tokio::spawn(bus.run(stop, Arc::new(look)))))
    }

    /// Waits for what was begun in the background. For a graceful stop.
    pub async fn settle(&self) {
        self.0.identity.settle().await;
    }

    /// Who presents these credentials; a caller without a token is somebody who may log in.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when the token does not count, [`Error::TenantSuspended`] and the like for its tenant.
    pub async fn authenticate(&self, token: Option<&str>, client: Client) -> Result<Caller> {
        let principal = match token {
            Some(token) => Some(self.0.identity.authenticate(token).await?),
            None => None,
        };
        Ok(Caller { principal, client })
    }

    /// Ends when the caller's credentials no longer count, with the reason.
    pub async fn revoked(&self, caller: &Caller) -> Error {
        match &caller.principal {
            Some(principal) => self.0.identity.revoked(principal.clone()).await,
            None => std::future::pending().await,
        }
    }

    /// Takes the cost of an operation from what the caller's tenant may spend; answers what is left, where that is
    /// bounded. Each node counts for itself.
    ///
    /// # Errors
    /// [`Error::Throttled`] when it does not suffice.
    pub fn charge(&self, caller: &Caller, cost: u64) -> Result<Option<u64>> {
        match &caller.principal {
            Some(Principal::Member(member)) => {
                self.0.points.take_many(member.actor.tenant_id, u32::try_from(cost).unwrap_or(u32::MAX))
            }
            _ => Ok(None),
        }
    }

    /// Counts a socket or an event stream of the caller, for as long as the answer lives; of those who have not logged in
    /// to a tenant, none.
    ///
    /// # Errors
    /// [`Error::Throttled`] when the caller or the tenant holds as many as allowed.
    pub fn connect(&self, caller: &Caller) -> Result<Option<Connection>> {
        let Some(Principal::Member(member)) = &caller.principal else { return Ok(None) };
        self.0.connections.open(member.actor.tenant_id, member.actor.user_id).map(Some)
    }

    /// Runs a query or a mutation.
    pub async fn execute(&self, caller: &Caller, request: Request) -> Response {
        let mut request = request;
        let (begun, name) = (Instant::now(), operation_name(&mut request));
        let response = self.answer(caller, request).await;
        self.0.metrics.operation(name.as_deref(), response.is_ok(), begun.elapsed());
        response
    }

    async fn answer(&self, caller: &Caller, request: Request) -> Response {
        let (request, db) = match self.prepare(caller, request).await {
            Ok(prepared) => prepared,
            Err(error) => return refused(error),
        };
        let mut response = self.0.schema.execute(request).await;
        if let Some(db) = db.filter(|_| self.0.show_statements) {
            let timing = format!("sql;desc=\"{} statements\"", db.statements());
            if let Ok(timing) = timing.parse() {
                response.http_headers.insert("server-timing", timing);
            }
        }
        response
    }

    /// Starts a subscription.
    #[must_use]
    pub fn subscribe(&self, caller: &Caller, request: Request) -> BoxStream<'static, Response> {
        let (app, caller) = (self.clone(), caller.clone());
        let responses = async move {
            match app.prepare(&caller, request).await {
                Ok((request, _)) => app.0.schema.execute_stream(request).boxed(),
                Err(error) => futures_util::stream::once(async move { refused(error) }).boxed(),
            }
        };
        futures_util::stream::once(responses).flatten().boxed()
    }

    /// Puts into the request what resolvers need: the caller with the rights of now, the tenant's database, a loader.
    async fn prepare(&self, caller: &Caller, request: Request) -> Result<(Request, Option<TenantDb>)> {
        let principal = match &caller.principal {
            Some(principal) => Some(self.0.identity.renew(principal).await?),
            None => None,
        };
        let db = match &principal {
            Some(Principal::Member(member)) => {
                let named = ids::encode("tenant", member.actor.tenant_id);
                tracing::Span::current().record("tenant", named);
                let tenant = self.0.identity.tenants().open(member.actor.tenant_id).await?;
                Some(tenant.for_actor(member.actor.clone(), idempotency_key(&request)?))
            }
            _ => None,
        };
        let mut request = request.data(Caller { principal, client: caller.client.clone() });
        if let Some(db) = &db {
            request = request.data(loader::loader(db.clone())).data(db.clone());
        }
        Ok((request, db))
    }
}

fn refused(error: Error) -> Response {
    let error: ServerError = to_graphql(error).into_server_error(async_graphql::Pos::default());
    Response::from_errors(vec![error])
}

/// The name of the operation that a request asks for.
fn operation_name(request: &mut Request) -> Option<String> {
    if request.operation_name.is_some() {
        return request.operation_name.clone();
    }
    match &request.parsed_query().ok()?.operations {
        DocumentOperations::Multiple(named) => named.keys().next().map(ToString::to_string),
        DocumentOperations::Single(_) => None,
    }
}

/// The idempotency key of a request, with what tells its body from another: the text and the variables.
fn idempotency_key(request: &Request) -> Result<Option<RequestKey>> {
    let info = request.data.get(&TypeId::of::<RequestInfo>()).and_then(|info| info.downcast_ref::<RequestInfo>());
    let Some(key) = info.and_then(|info| info.idempotency_key.as_deref()) else { return Ok(None) };
    let variables = serde_json::to_string(&request.variables).map_err(Error::internal)?;
    let operation = request.operation_name.as_deref().unwrap_or_default();
    RequestKey::of_body(key, &[&request.query, &variables, operation]).map(Some)
}

/// The registry of tenants over the master database that the settings name.
///
/// # Errors
/// When the master database cannot be reached or a setting cannot be used.
pub async fn tenants(config: &Config, clock: Clock) -> Result<Tenants> {
    let database = &config.database;
    let pool = |connections| PoolSettings {
        connections,
        acquire_timeout: database.acquire_timeout,
        idle_timeout: database.idle_timeout,
    };
    let master = MasterDb::open(database.master().expose(), pool(database.master_connections), clock).await?;
    let settings = TenantsSettings {
        url_template: database.tenant_template().expose().to_owned(),
        connection_budget: database.connection_budget,
        pool: pool(database.tenant_connections),
    };
    Tenants::new(master, settings)
}

/// What fills the database of a new tenant.
fn seeds() -> Vec<Arc<dyn Seed>> {
    vec![Arc::new(DefaultPipeline)]
}

/// The rules of webhooks, over all records of the API.
fn webhooks(config: &Config, identity: &Identity, metrics: &Metrics) -> Result<Webhooks> {
    let settings = HttpSettings { allow_loopback: config.outgoing.allow_loopback, deadline: config.outgoing.deadline };
    let http = HttpClient::new(settings, SystemResolver)?;
    let sealer = Sealer::new(config.auth.sealing().map(Secret::expose))?;
    let records = record_types().map(|(_, meta)| meta).collect();
    Ok(Webhooks::new(http, sealer, identity.clone(), records, read_condition, metrics.clone()))
}

/// What the worker does.
fn works(config: &Config, identity: &Identity, webhooks: &Webhooks, metrics: &Metrics) -> Result<Vec<Arc<dyn Work>>> {
    let record_link = format!("{}/open/{{id}}", config.server.base_url());
    let records = record_types().map(|(_, meta)| meta);
    let master = identity.tenants().master().clone();
    let slots = config.outgoing.webhook_slots as usize;
    let mut works: Vec<Arc<dyn Work>> = vec![
        Arc::new(Notifying::new(identity.clone(), record_link, records)),
        Arc::new(webhook::Sending::new(webhooks.clone(), slots)),
        Arc::new(Reminders),
        Arc::new(Cleaning::new(master, config.retention)),
    ];
    // Without a way out, mail waits in the queue.
    if let Some(mailer) = Mailer::new(&config.mail)? {
        works.push(Arc::new(Sending::new(mailer, metrics.clone())?));
    }
    Ok(works)
}

/// What recurs for the platform.
fn recurring(config: &Config, tenants: &Tenants) -> Vec<Arc<dyn Job>> {
    let due = || tenants.due().clone();
    vec![
        Arc::new(Net::email(due())),
        Arc::new(Net::webhooks(due())),
        Arc::new(Net::reminders(due())),
        Arc::new(CleanupOldData::new(tenants.master().clone(), due(), config.retention)),
    ]
}

fn identity_settings(config: &Config) -> IdentitySettings {
    let auth = &config.auth;
    let base_url = config.server.base_url();
    let limit = |burst: u32| Limit {
        burst,
        interval_seconds: u32::try_from(auth.throttle_window.as_secs()).unwrap_or(u32::MAX) / burst.max(1),
    };
    IdentitySettings {
        access_tokens: AccessTokenSettings {
            issuer: auth.issuer.clone(),
            audience: auth.audience.clone(),
            lifetime_minutes: auth.access_token_minutes,
            keys: auth.secret.iter().map(|secret| SigningKey::of_secret(secret.expose())).collect(),
            ..AccessTokenSettings::default()
        },
        passwords: PasswordSettings {
            memory_kib: auth.argon2_memory_kib,
            iterations: auth.argon2_iterations,
            parallelism: auth.argon2_parallelism,
            concurrency: auth.max_concurrent_hashes,
            ..PasswordSettings::default()
        },
        throttle: ThrottleSettings {
            account: limit(auth.throttle_attempts_per_account),
            address: limit(auth.throttle_attempts_per_address),
            ..ThrottleSettings::default()
        },
        refresh_token_days: auth.refresh_token_days,
        registration: auth.registration,
        invitation_link: format!("{base_url}/invitation?token={{token}}"),
        reset_link: format!("{base_url}/password-reset?token={{token}}"),
        base_currency: config.tenants.base_currency.clone(),
        time_zone: config.tenants.time_zone.clone(),
        locale: config.tenants.locale.clone(),
        ..IdentitySettings::default()
    }
}

fn limits(config: &Config) -> Limits {
    let limits = &config.limits;
    Limits {
        depth: limits.depth,
        cost: limits.complexity,
        aliases: limits.aliases as usize,
        root_fields: u64::from(limits.root_fields),
        tokens: limits.tokens as usize,
        directives: limits.directives as usize,
        introspection: config.server.introspection,
        ..Limits::default()
    }
}
