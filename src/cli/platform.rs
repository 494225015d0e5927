//! What the commands ask of the platform: the application opened from the configuration, and the services behind each
//! command.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use entity::{
    master::{ProvisioningStep, TenantStatus, tenant as tenant_row},
    tenant::role,
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    Failure, admin,
    demo::{
        self,
        folder::{Folder, Found},
    },
    doctor::DatabaseFacts,
    import,
    migrate::{Migrated, Summary},
    output::{Output, Progress},
    tenant, user,
};
use crate::{
    app::{App, tenants},
    auth::{Actor, secret::random_bytes},
    clock::Clock,
    config::{Config, DatabaseUrl, Secret},
    data::{
        TenantDb,
        examine::{self, Answer},
        ids, value,
    },
    error::{Error, Result, UserErrorCode},
    http::{DemoLogin, HttpSettings, Lifecycle, http_settings, metrics, router, serve, without_api},
    services::{
        demo::{Growth, grow as grow_data},
        identity::{self, Access, FirstAdmin, NewTenant, NewUser, TenantPage},
        insight::exchange::{self, Report, Request},
    },
};

/// What the worker gets to finish what it has begun, however long the requests took.
const LEAST_DRAIN: Duration = Duration::from_secs(1);

/// The application over these settings, its master database up to date.
///
/// # Errors
/// When the master database cannot be reached or migrated.
pub async fn open(config: &Config) -> Result<App> {
    let app = unmigrated(config).await?;
    let ran = app.migrate_master().await?;
    if ran > 0 {
        tracing::info!(migrations = ran, "the master database was brought up to date");
    }
    Ok(app)
}

/// The application over these settings, its master database as it is.
async fn unmigrated(config: &Config) -> Result<App> {
    let mut config = config.clone();
    if config.auth.secret.is_none() {
        // A server has its own, or does not start. Commands beside it sign nothing that anybody is to keep.
        config.auth.secret = Some(Secret::new(data_encoding::BASE64.encode(&random_bytes::<48>()?)));
    }
    App::new(&config, Clock::system()).await
}

/// Listens where the settings say.
///
/// # Errors
/// When the address cannot be used.
pub async fn listen(config: &Config) -> Result<TcpListener, Failure> {
    let address = (config.server.host.as_str(), config.server.port);
    TcpListener::bind(address).await.map_err(|error| {
        Failure::new(format!(
            "cannot listen on {}:{}: {error}; choose another server.port or stop what uses it",
            address.0, address.1
        ))
    })
}

/// Listens at an address that a setting gives.
async fn listen_at(address: &str, setting: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::new(format!("cannot listen on {address}: {error}; choose another {setting} or stop what uses it"))
    })
}

/// Serves until the process is told to stop (SIGTERM, Ctrl-C); calls `ready` once the server answers.
///
/// # Errors
/// When the server cannot listen.
pub async fn run_server(app: App, config: &Config, ready: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    let listener = listen(config).await?;
    if config.server.role.works() && !config.mail.leaves() {
        tracing::warn!("no mail leaves: messages wait until mail.url (RAPPORT_MAIL__URL) or mail.folder is set");
    }
    serve_on(listener, app, config, http_settings(config), ready).await
}

/// Does what the node's role says: the API, what nobody waits for, or both.
async fn serve_on(
    listener: TcpListener,
    app: App,
    config: &Config,
    settings: HttpSettings,
    ready: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    let lifecycle = Lifecycle::new();
    let role = config.server.role;
    let routes = if role.serves() {
        router(app.clone(), app.clone(), settings.clone(), &lifecycle)
    } else {
        without_api(app.clone(), settings.clone())
    };
    let parted = CancellationToken::new();
    let bus = app.join(&config.bus, role.works(), parted.clone()).await?;
    app.sweep();
    let stop = lifecycle.clone();
    let told = tokio::spawn(async move {
        told_to_stop().await;
        tracing::info!("stopping: running requests are finished first");
        stop.stop();
        Instant::now()
    });
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, ?role, "serving");
    }
    if let Some(address) = &settings.metrics {
        let listener = listen_at(address, "server.metrics").await?;
        let metrics = metrics(listener, app.clone(), lifecycle.clone());
        tokio::spawn(metrics);
    }
    let background = role.works().then(|| app.begin_background());
    ready()?;
    let served = serve(listener, routes, &settings, &lifecycle).await;
    app.settle().await;
    let since = if told.is_finished() { told.await.ok() } else { None };
    let left = settings.drain.saturating_sub(since.map_or(Duration::ZERO, |since| since.elapsed()));
    // After the requests, so that what they have caused is not left to the next start.
    if let Some(background) = background {
        background.end(left.max(LEAST_DRAIN)).await;
    }
    // Last, so that others are told of all that was done here.
    parted.cancel();
    if let Some(bus) = bus {
        let _ = bus.await;
    }
    served.map_err(|error| Failure::new(format!("the server failed: {error}")))
}

/// Runs the demo: makes its data unless the folder holds it already, and serves it until the process is told to stop.
///
/// # Errors
/// When the folder cannot be used, the data cannot be made or the server cannot listen.
pub async fn demo(
    mut config: Config,
    wanted: Growth,
    output: Output,
    ready: &dyn Fn(&demo::Welcome) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let folder = Folder::take(&config.database.data_dir)?;
    // Whoever waits for the data should not learn after it that the port is taken.
    let listener = listen(&config).await?;
    config.server.port = listener.local_addr().map_or(config.server.port, |address| address.port());
    let growth = match folder.look()? {
        Found::Data(growth) => {
            if growth != wanted {
                tracing::warn!(
                    seed = growth.seed,
                    customers = growth.customers,
                    "the folder holds data that was made of this already; delete it, or name another one, for other data"
                );
            }
            growth
        }
        Found::Nothing => {
            folder.note(wanted, false)?;
            grow(&config, wanted, output).await?;
            folder.note(wanted, true)?;
            wanted
        }
    };
    let app = open(&config).await?;
    // A folder of an earlier release.
    app.identity().tenants_migrate(|_| true, |_| {}).await?;
    let welcome = demo::Welcome::new(&config.server.base_url(), growth, &config.mail);
    let mut settings = http_settings(&config);
    settings.first_query = Some(welcome.query.clone());
    settings.demo_logins = welcome.logins.iter().map(button).collect();
    serve_on(listener, app, &config, settings, || ready(&welcome)).await
}

/// The button of a login in GraphiQL.
fn button(login: &demo::Login) -> DemoLogin {
    DemoLogin {
        label: format!("{}: {} ({})", login.tenant, login.role, login.name),
        email: login.email.clone(),
        password: login.password.clone(),
        tenant: Some(login.tenant.clone()),
    }
}

/// Makes the demo's data with an application of its own, whose clock lives through the past.
async fn grow(config: &Config, growth: Growth, output: Output) -> Result<()> {
    let clock = Clock::system();
    let app = App::new(config, clock.clone()).await?;
    app.migrate_master().await?;
    let mut bar: Option<Progress> = None;
    grow_data(app.identity(), &clock, growth, |progress| {
        let bar = bar.get_or_insert_with(|| output.progress("", u64::try_from(progress.total).ok()));
        bar.message(progress.business.name);
        bar.at(u64::try_from(progress.done).unwrap_or(0));
    })
    .await?;
    app.settle().await;
    Ok(())
}

/// Resolves when the process is told to stop (SIGTERM, Ctrl-C).
pub async fn told_to_stop() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = interrupt.await;
}

/// Brings the tenants of these short names or ids (none named: all) up to date.
///
/// # Errors
/// When the master database fails.
pub async fn migrate(config: &Config, names: &[String], progress: &Progress) -> Result<Summary> {
    let app = unmigrated(config).await?;
    let applied = app.migrate_master().await?;
    let mut summary = Summary { databases: vec![Migrated { database: "master".to_owned(), applied, error: None }] };
    let mut chosen = Vec::new();
    for name in names {
        // A name that does not exist is told before any other is touched.
        chosen.push(named(&app, name).await?.id);
    }
    let wanted = |tenant: &tenant_row::Model| names.is_empty() || chosen.contains(&tenant.id);
    app.identity()
        .tenants_migrate(wanted, |migration| {
            progress.message(&format!("{} of {}", migration.done, migration.total));
            let (applied, error) = match migration.outcome {
                Ok(applied) => (applied, None),
                Err(error) => (0, Some(cause(error))),
            };
            summary.databases.push(Migrated { database: migration.tenant.slug.clone(), applied, error });
        })
        .await?;
    Ok(summary)
}

/// What the master database says of itself; none where it is still to be made.
///
/// # Errors
/// When it cannot be opened or does not answer.
pub async fn examine_master(config: &Config, clock: &Clock) -> Result<Option<Answer>> {
    examine::master(config.database.master().expose(), clock).await
}

/// What the databases of all tenants say of themselves, those apart whose making never came so far.
///
/// # Errors
/// When the master database fails.
pub async fn examine_tenants(config: &Config, clock: &Clock, progress: &Progress) -> Result<Vec<DatabaseFacts>> {
    let registry = tenants(config, clock.clone()).await?;
    let query = tenant_row::Entity::find()
        .filter(tenant_row::Column::Status.ne(TenantStatus::Deleted))
        .filter(tenant_row::Column::ProvisioningStep.ne(ProvisioningStep::Registered))
        .order_by_asc(tenant_row::Column::Slug);
    let all = registry.master().all(query).await?;
    progress.total(u64::try_from(all.len()).unwrap_or(u64::MAX));
    let mut facts = Vec::with_capacity(all.len());
    for tenant in all {
        let answer = registry.examine(&tenant, clock).await.map_err(|error| cause(&error));
        let url = tenant.database_url.map_or_else(|| config.database.tenant(tenant.id), DatabaseUrl::new);
        facts.push(DatabaseFacts { name: format!("tenant {}", tenant.slug), url, answer });
        progress.step(1);
    }
    Ok(facts)
}

/// What went wrong, for the person who runs the platform.
pub fn cause(error: &Error) -> String {
    match error {
        Error::Internal(cause) => cause.to_string(),
        other => other.to_string(),
    }
}

/// The tenant that a command names, by its short name or its id.
async fn named(app: &App, name: &str) -> Result<tenant_row::Model> {
    let found = match ids::decode(name) {
        Some(("tenant", id)) => app.identity().tenant_by_id(id).await,
        _ => app.identity().tenant_by_slug(name).await,
    };
    found.map_err(|error| match error {
        Error::NotFound => Error::BadInput(format!("there is no tenant {name}; `rapport tenant list` names them")),
        other => other,
    })
}

/// What `rapport tenant` does.
pub struct TenantService {
    app: App,
}

impl TenantService {
    /// Over these settings.
    ///
    /// # Errors
    /// When the master database cannot be reached.
    pub async fn open(config: &Config) -> Result<Self> {
        Ok(Self { app: open(config).await? })
    }

    async fn named(&self, name: &str) -> Result<tenant_row::Model> {
        named(&self.app, name).await
    }
}

fn shown(tenant: &tenant_row::Model) -> tenant::Tenant {
    let status = match tenant.status {
        TenantStatus::Provisioning => "PROVISIONING",
        TenantStatus::Active => "ACTIVE",
        TenantStatus::Suspended => "SUSPENDED",
        TenantStatus::Deleted => "DELETED",
    };
    tenant::Tenant {
        id: ids::encode("tenant", tenant.id),
        slug: tenant.slug.clone(),
        name: tenant.name.clone(),
        status: status.to_owned(),
        created_at: value::moment(tenant.created_at),
    }
}

fn invitation(invitation: identity::Invitation) -> user::Invitation {
    user::Invitation { link: invitation.link.clone(), expires_at: value::moment(invitation.expires_at) }
}

impl tenant::Service for TenantService {
    async fn create(
        &self,
        args: &tenant::Create,
        password: Option<Secret>,
    ) -> Result<(tenant::Tenant, Option<user::Invitation>)> {
        let new = NewTenant {
            slug: args.slug.clone(),
            name: args.name.clone(),
            base_currency: args.currency.clone(),
            time_zone: args.time_zone.clone(),
            locale: args.locale.clone(),
            database_url: args.database_url.as_ref().map(|url| url.expose().to_owned()),
            admin: FirstAdmin {
                name: args.admin_name.clone().unwrap_or_else(|| args.admin.clone()),
                email: args.admin.clone(),
                password: password.map(|password| password.expose().to_owned()),
            },
        };
        let provisioned = self.app.identity().tenant_create(new).await?;
        Ok((shown(&provisioned.tenant), provisioned.invitation.map(invitation)))
    }

    async fn list(&self) -> Result<Vec<tenant::Tenant>> {
        let page = TenantPage::default();
        Ok(self.app.identity().tenant_list(&page).await?.iter().map(shown).collect())
    }

    async fn suspend(&self, name: &str) -> Result<tenant::Tenant> {
        let tenant = self.named(name).await?;
        Ok(shown(&self.app.identity().tenant_suspend(tenant.id).await?))
    }

    async fn resume(&self, name: &str) -> Result<tenant::Tenant> {
        let tenant = self.named(name).await?;
        Ok(shown(&self.app.identity().tenant_resume(tenant.id).await?))
    }

    async fn delete(&self, name: &str) -> Result<tenant::Tenant> {
        let tenant = self.named(name).await?;
        Ok(shown(&self.app.identity().tenant_delete(tenant.id).await?))
    }
}

/// The database of a tenant for the platform itself.
///
/// # Errors
/// When there is no such tenant, or it cannot be opened.
pub async fn system(app: &App, name: &str) -> Result<TenantDb> {
    let tenant = named(app, name).await?;
    let open = app.identity().tenants().open(tenant.id).await?;
    Ok(open.for_actor(Arc::new(Actor::system(tenant.id)), None))
}

/// Makes a user of a tenant.
///
/// # Errors
/// When there is no such tenant or role, or the user cannot be.
pub async fn create_user(config: &Config, args: &user::Create, password: Option<Secret>) -> Result<user::User> {
    let app = open(config).await?;
    let db = system(&app, &args.tenant).await?;
    let role = db
        .find::<role::Entity>()?
        .filter(role::Column::NameFolded.eq(crate::condition::fold::fold(&args.role)))
        .one()
        .await?
        .ok_or_else(|| {
            Error::user(UserErrorCode::NotFound, &["role"], format!("the tenant has no role {}", args.role))
        })?;
    let access = match password {
        Some(password) => Access::Password(password.expose().to_owned()),
        None => Access::Invitation { send: false },
    };
    let status = if matches!(access, Access::Password(_)) { "ACTIVE" } else { "INVITED" };
    let new = NewUser {
        name: args.name.clone().unwrap_or_else(|| args.email.clone()),
        email: args.email.clone(),
        role_id: role.id,
        job_title: None,
        manager_id: None,
        external_reference: None,
        access,
    };
    let (outcome, link) = app.identity().user_invite(&db, new).await?;
    let item = outcome.single();
    let Some(id) = item.id else { return Err(Error::User(item.errors)) };
    Ok(user::User {
        id: ids::encode("user", id),
        email: args.email.clone(),
        role: role.name,
        status: status.to_owned(),
        invitation: link.map(invitation),
    })
}

/// Makes a platform administrator.
///
/// # Errors
/// When the address is taken, or it or the password cannot be used.
pub async fn create_admin(config: &Config, args: &admin::Create, password: &Secret) -> Result<admin::Admin> {
    let app = open(config).await?;
    let id = app.identity().platform_admin_create(&args.email, password.expose()).await?;
    Ok(admin::Admin { id: ids::encode("platform_admin", id), email: args.email.trim().to_owned() })
}

/// Imports a file into a tenant, as the platform.
///
/// # Errors
/// When there is no such tenant, or the file or the mapping cannot be used at all.
pub async fn import(config: &Config, args: &import::Args, progress: &Progress) -> Result<Report, Failure> {
    let mapping = args.mapping()?;
    let app = open(config).await?;
    let tenant = named(&app, &args.tenant).await?;
    let db = system(&app, &args.tenant).await?;
    let request = Request {
        record: args.record.clone(),
        file: args.file.clone(),
        errors: args.errors_file(),
        mapping,
        currency: Some(tenant.base_currency),
        rehearsal: args.dry_run,
        restart: args.restart,
    };
    let report = exchange::import(app.identity(), &db, &request, |at| {
        progress.total(at.of);
        progress.at(at.rows);
        progress.message(if at.linking { "linking" } else { "importing" });
    })
    .await?;
    app.settle().await;
    Ok(report)
}
