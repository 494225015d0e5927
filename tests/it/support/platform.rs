//! The rules of identity over databases of the test's own, without an application around them: so a test can make a
//! second node over the same databases, plant what a crash leaves, and look at what is stored.
//!
//! The databases are SQLite files in a temporary folder or PostgreSQL databases with a unique prefix. Both go when the
//! test ends, however it ends.

use std::{net::IpAddr, sync::Arc};

use entity::tenant::email_message;
use rapport::{
    auth::{Actor, access_token::SigningKey, password::PasswordSettings, secret::random_bytes, throttle::Limit},
    clock::Clock,
    data::{MasterDb, PoolSettings, TenantDb, Tenants, TenantsSettings},
    services::identity::{
        Access, Client, FirstAdmin, Identity, IdentitySettings, Login, NewTenant, NewUser, Principal, Seed, Tokens,
    },
};
use sea_orm::{ConnectionTrait, DatabaseConnection, EntityTrait, QueryOrder, QueryResult};
use tempfile::TempDir;
use uuid::Uuid;

use super::app::{Engine, postgres_url};

/// The password of everybody in the tests.
pub const PASSWORD: &str = "correct-horse-9";

/// Runs each test over both kinds of database: `async fn name(platform) { … }`.
#[macro_export]
macro_rules! on_both_databases {
    ($($(#[$meta:meta])* async fn $name:ident($platform:ident) $body:block)*) => { $(
        async fn $name($platform: $crate::support::platform::Platform) $body

        $(#[$meta])*
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name($crate::support::platform::Platform::new($crate::support::Engine::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$name($crate::support::platform::Platform::new($crate::support::Engine::Postgres).await).await;
            }
        }
    )* };
}

/// The platform of one test.
pub struct Platform {
    pub engine: Engine,
    pub clock: Clock,
    pub master: MasterDb,
    pub tenants: Tenants,
    pub identity: Identity,
    pub master_url: String,
    pub tenant_url_template: String,
    /// Only the platform that made the databases removes them.
    _databases: Option<Databases>,
}

/// What goes at the end.
enum Databases {
    Folder(#[expect(dead_code, reason = "it removes itself when it is dropped")] TempDir),
    Prefix(String),
}

fn postgres_database(name: &str) -> String {
    let mut url = url::Url::parse(&postgres_url()).unwrap();
    url.set_path(name);
    url.to_string().replace("%7B", "{").replace("%7D", "}")
}

/// A connection beside the platform's own, to look at what is stored and to plant what must be found.
#[expect(clippy::disallowed_methods, reason = "tests look at the databases from outside")]
pub async fn connect(url: &str) -> DatabaseConnection {
    sea_orm::Database::connect(sea_orm::ConnectOptions::new(url).max_connections(1).sqlx_logging(false).to_owned())
        .await
        .unwrap_or_else(|error| panic!("{url} cannot be reached: {error}"))
}

/// Settings with which tests run fast: cheap hashes, generous budgets.
pub fn settings() -> IdentitySettings {
    let mut settings = IdentitySettings {
        passwords: PasswordSettings { memory_kib: 64, iterations: 1, ..PasswordSettings::default() },
        registrations: Limit { burst: 1000, interval_seconds: 0 },
        ..IdentitySettings::default()
    };
    settings.access_tokens.keys = vec![SigningKey::of_secret("a key for tests, of some forty characters")];
    settings
}

impl Platform {
    pub async fn new(engine: Engine) -> Self {
        Self::with(engine, settings(), Vec::new()).await
    }

    pub async fn with(engine: Engine, settings: IdentitySettings, seeds: Vec<Arc<dyn Seed>>) -> Self {
        let (databases, master_url, template) = match engine {
            Engine::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().display().to_string();
                let master = format!("sqlite://{path}/master.db");
                (Databases::Folder(folder), master, format!("sqlite://{path}/tenants/{{tenant_id}}.db"))
            }
            Engine::Postgres => {
                let bytes = random_bytes::<6>().unwrap();
                let prefix = format!("rt_{}", data_encoding::HEXLOWER.encode(&bytes));
                let name = format!("{prefix}_master");
                let server = connect(&postgres_url()).await;
                server.execute_unprepared(&format!("CREATE DATABASE \"{name}\"")).await.unwrap();
                server.close().await.unwrap();
                let template = postgres_database(&format!("{prefix}_{{tenant_id}}"));
                (Databases::Prefix(prefix), postgres_database(&name), template)
            }
        };
        let mut platform = Self::start(engine, Clock::system(), master_url, template, settings, seeds).await;
        platform._databases = Some(databases);
        platform
    }

    async fn start(
        engine: Engine,
        clock: Clock,
        master_url: String,
        tenant_url_template: String,
        settings: IdentitySettings,
        seeds: Vec<Arc<dyn Seed>>,
    ) -> Self {
        let pool = PoolSettings { connections: 4, ..PoolSettings::default() };
        let master = MasterDb::open(&master_url, pool, clock.clone()).await.unwrap();
        master.migrate(&master_url).await.unwrap();
        let tenants = Tenants::new(
            master.clone(),
            TenantsSettings { url_template: tenant_url_template.clone(), connection_budget: 40, pool },
        )
        .unwrap();
        let identity = Identity::new(settings, tenants.clone(), seeds).unwrap();
        Self { engine, clock, master, tenants, identity, master_url, tenant_url_template, _databases: None }
    }

    /// Another node over the same databases, or this one after a crash. It shares the clock.
    pub async fn node(&self, seeds: Vec<Arc<dyn Seed>>) -> Self {
        let (clock, master, template) = (self.clock.clone(), self.master_url.clone(), self.tenant_url_template.clone());
        Self::start(self.engine, clock, master, template, self.identity.settings().clone(), seeds).await
    }

    pub fn tenant_url(&self, id: Uuid) -> String {
        self.tenant_url_template.replace("{tenant_id}", &id.simple().to_string())
    }

    /// Runs SQL on the master database, from outside.
    pub async fn master_sql(&self, sql: &str) {
        let connection = connect(&self.master_url).await;
        connection.execute_unprepared(sql).await.unwrap();
        connection.close().await.unwrap();
    }

    /// Rows of a tenant's database, from outside.
    pub async fn tenant_rows(&self, id: Uuid, sql: &str) -> Vec<QueryResult> {
        let connection = connect(&self.tenant_url(id)).await;
        let rows =
            connection.query_all_raw(sea_orm::Statement::from_string(connection.get_database_backend(), sql)).await;
        connection.close().await.unwrap();
        rows.unwrap()
    }

    /// One number of a tenant's database.
    pub async fn tenant_number(&self, id: Uuid, sql: &str) -> i64 {
        self.tenant_rows(id, sql).await[0].try_get_by_index(0).unwrap()
    }

    /// Runs SQL on a tenant's database, from outside.
    pub async fn tenant_sql(&self, id: Uuid, sql: &str) {
        let connection = connect(&self.tenant_url(id)).await;
        connection.execute_unprepared(sql).await.unwrap();
        connection.close().await.unwrap();
    }

    /// The tenant's outgoing mail, oldest first.
    pub async fn mail(&self, id: Uuid) -> Vec<email_message::Model> {
        let connection = connect(&self.tenant_url(id)).await;
        let mail =
            email_message::Entity::find().order_by_asc(email_message::Column::Id).all(&connection).await.unwrap();
        connection.close().await.unwrap();
        mail
    }

    /// Registers a tenant; its administrator is ada@{slug}.example.
    pub async fn tenant(&self, slug: &str) -> Tokens {
        self.identity.register(new_tenant(slug), &client()).await.unwrap()
    }

    /// Logs in with the common password.
    pub async fn login(&self, email: &str) -> Tokens {
        self.identity.login(login(email, PASSWORD), &client()).await.unwrap()
    }

    /// The tenant's database for who logged in.
    pub async fn db(&self, tokens: &Tokens) -> TenantDb {
        let actor = tokens.principal.member().unwrap().actor.clone();
        self.tenants.open(actor.tenant_id).await.unwrap().for_actor(actor, None)
    }

    /// The tenant's database for the platform itself.
    pub async fn system_db(&self, tenant_id: Uuid) -> TenantDb {
        let actor = Actor::system(tenant_id).into();
        self.tenants.open(tenant_id).await.unwrap().for_actor(actor, None)
    }

    /// The id of a role of the tenant.
    pub async fn role(&self, tenant_id: Uuid, name: &str) -> Uuid {
        use entity::tenant::role;
        use sea_orm::ColumnTrait;
        let db = self.system_db(tenant_id).await;
        db.find::<role::Entity>().unwrap().filter(role::Column::Name.eq(name)).one().await.unwrap().unwrap().id
    }

    /// Makes a user with the common password and logs him in.
    pub async fn user(&self, tenant_id: Uuid, email: &str, role: &str) -> Tokens {
        self.user_with(tenant_id, email, role, PASSWORD).await;
        self.login(email).await
    }

    /// Makes a user with a password of his own; answers his id.
    pub async fn user_with(&self, tenant_id: Uuid, email: &str, role: &str, password: &str) -> Uuid {
        let db = self.system_db(tenant_id).await;
        let access = Access::Password(password.to_owned());
        let new = NewUser { access, ..invitation(email, self.role(tenant_id, role).await) };
        let (outcome, invitation) = self.identity.user_invite(&db, new).await.unwrap();
        assert!(invitation.is_none());
        let item = outcome.single();
        assert_eq!(item.errors, []);
        item.id.unwrap()
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        let Some(Databases::Prefix(prefix)) = self._databases.take() else { return };
        // The test's own runtime may be ending: the databases are dropped from another.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let server = connect(&postgres_url()).await;
                let names = format!("SELECT datname FROM pg_database WHERE datname LIKE '{prefix}\\_%'");
                let names = sea_orm::Statement::from_string(server.get_database_backend(), names);
                for row in server.query_all_raw(names).await.unwrap() {
                    let name: String = row.try_get_by_index(0).unwrap();
                    server.execute_unprepared(&format!("DROP DATABASE \"{name}\" WITH (FORCE)")).await.unwrap();
                }
                server.close().await.unwrap();
            });
        });
        if dropped.join().is_err() {
            eprintln!("the databases of a test were not dropped");
        }
    }
}

pub fn client() -> Client {
    Client { address: IpAddr::from([192, 0, 2, 1]), user_agent: Some("tests".to_owned()) }
}

pub fn client_at(last: u8) -> Client {
    Client { address: IpAddr::from([192, 0, 2, last]), user_agent: None }
}

pub fn login(email: &str, password: &str) -> Login {
    Login { email: email.to_owned(), password: password.to_owned(), tenant: None }
}

pub fn new_tenant(slug: &str) -> NewTenant {
    NewTenant {
        slug: slug.to_owned(),
        name: format!("{slug} Ltd"),
        base_currency: None,
        time_zone: None,
        locale: None,
        database_url: None,
        admin: FirstAdmin {
            name: "Ada Admin".to_owned(),
            email: format!("ada@{slug}.example"),
            password: Some(PASSWORD.to_owned()),
        },
    }
}

/// A user to be invited.
pub fn invitation(email: &str, role_id: Uuid) -> NewUser {
    NewUser {
        name: email.split('@').next().unwrap().to_owned(),
        email: email.to_owned(),
        role_id,
        job_title: None,
        manager_id: None,
        external_reference: None,
        access: Access::Invitation { send: true },
    }
}

pub fn tenant_of(tokens: &Tokens) -> Uuid {
    tokens.principal.tenant_id().unwrap()
}

pub fn user_of(tokens: &Tokens) -> Uuid {
    tokens.principal.member().unwrap().actor.user_id
}

/// Who a bearer token lets in, if anybody.
pub async fn authenticate(platform: &Platform, tokens: &Tokens) -> Result<Principal, &'static str> {
    platform.identity.authenticate(&tokens.access.token).await.map_err(|error| error.code())
}
