//! A running application: its own databases, a real listener, a clock that the test moves.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use rapport::{
    app::App,
    auth::{Actor, DataScope},
    clock::Clock,
    config::{Config, DatabaseUrl, Secret},
    data::TenantDb,
    http::{HttpSettings, Lifecycle, http_settings, router, serve},
    services::identity::{Access, FirstAdmin, NewRole, NewTenant, NewUser},
};
use sea_orm::{ConnectionTrait, Database};
use uuid::Uuid;

use super::session::Session;

/// Where the databases of a test are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Files in a folder of the test's own.
    Sqlite,
    /// Databases of the test's own on the server that `RAPPORT_TEST_POSTGRES_URL` names.
    Postgres,
}

/// The password of every user that tests make.
pub const PASSWORD: &str = "correct horse battery staple";

/// A running application.
pub struct TestApp {
    /// The application behind the listener.
    pub app: App,
    /// The clock, which the test moves.
    pub clock: Clock,
    config: Config,
    address: SocketAddr,
    lifecycle: Lifecycle,
    /// Removed when the test ends.
    databases: Databases,
}

enum Databases {
    Files(tempfile::TempDir),
    Server { admin_url: String, prefix: String },
}

/// The administrative address of the PostgreSQL server for tests.
pub fn postgres_url() -> String {
    std::env::var("RAPPORT_TEST_POSTGRES_URL")
        .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".to_owned())
}

/// The applications of this process, by their addresses.
static STARTED: Mutex<BTreeMap<String, App>> = Mutex::new(BTreeMap::new());

impl TestApp {
    /// Starts an application on the engine.
    pub async fn start(engine: Engine) -> Self {
        Self::start_with(engine, |_| {}).await
    }

    /// Starts an application for the tests of a module. Those of insight move the clock by days, so their access
    /// tokens live long; how long a token lives is tested in `identity`. Those of policy ask for everything there is, so
    /// nothing limits what their tenants spend; that is tested in `protocol`. Webhooks of tests go to this machine, and wait
    /// for two seconds.
    pub async fn start_for(module: &str, engine: Engine) -> Self {
        Self::start_with(engine, |config| {
            if module.contains("::insight::") {
                config.auth.access_token_minutes = 60 * 24 * 60;
            }
            if module.contains("::webhook::") {
                config.outgoing.allow_loopback = true;
                config.outgoing.deadline = std::time::Duration::from_secs(2);
                config.auth.access_token_minutes = 60 * 24 * 60;
            }
            if module.contains("::policy::") {
                config.limits.tenant_points_per_second = 0;
            }
        })
        .await
    }

    /// Starts an application whose settings differ from those of other tests.
    pub async fn start_with(engine: Engine, change: impl FnOnce(&mut Config)) -> Self {
        let clock = Clock::system();
        let mut config = Config::defaults().unwrap();
        config.auth.secret = Some(Secret::new("a secret for tests that is long enough: 0123456789abcdef"));
        // Cheap passwords: what they cost is tested where they are made.
        config.auth.argon2_memory_kib = 64;
        config.auth.argon2_iterations = 1;
        config.server.show_statements = true;
        config.database.tenant_connections = 4;
        config.database.master_connections = 4;
        let databases = match engine {
            Engine::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                config.database.data_dir = folder.path().to_owned();
                Databases::Files(folder)
            }
            Engine::Postgres => {
                let admin_url = postgres_url();
                let prefix = format!("rapport_test_{}", &Uuid::from_u128(rand::random()).simple().to_string()[..12]);
                let server = admin_url.rsplit_once('/').unwrap().0;
                config.database.master_url = DatabaseUrl::new(format!("{server}/{prefix}_master"));
                config.database.tenant_url_template = DatabaseUrl::new(format!("{server}/{prefix}_{{tenant_id}}"));
                let admin = connect(&admin_url).await.expect("a PostgreSQL server for the tests");
                admin.execute_unprepared(&format!("CREATE DATABASE {prefix}_master")).await.unwrap();
                admin.close().await.unwrap();
                Databases::Server { admin_url, prefix }
            }
        };
        change(&mut config);
        let app = App::new(&config, clock.clone()).await.unwrap();
        app.migrate_master().await.unwrap();
        let (address, lifecycle) = listen(&app, &config).await;
        STARTED.lock().unwrap().insert(format!("http://{address}/graphql"), app.clone());
        Self { app, clock, config, address, lifecycle, databases }
    }

    /// The application that a session talks to, for worlds that need more than the API gives.
    pub fn behind(session: &Session) -> App {
        STARTED.lock().unwrap()[session.url()].clone()
    }

    /// Starts another node over the same databases.
    pub async fn node(&self) -> TestNode {
        let app = App::new(&self.config, self.clock.clone()).await.unwrap();
        let (address, lifecycle) = listen(&app, &self.config).await;
        TestNode { app, url: format!("http://{address}/graphql"), lifecycle }
    }

    /// A connection to a tenant's database past the product, to do to it what time does, or look at it.
    pub async fn raw(&self, tenant_id: Uuid) -> sea_orm::DatabaseConnection {
        connect(&self.tenant_url(tenant_id)).await.unwrap()
    }

    /// The settings by which another process of the program works on the same databases.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        match &self.databases {
            Databases::Files(folder) => vec![("RAPPORT_DATABASE__DATA_DIR", folder.path().display().to_string())],
            Databases::Server { admin_url, prefix } => {
                let server = admin_url.rsplit_once('/').unwrap().0;
                vec![
                    ("RAPPORT_DATABASE__MASTER_URL", format!("{server}/{prefix}_master")),
                    ("RAPPORT_DATABASE__TENANT_URL_TEMPLATE", format!("{server}/{prefix}_{{tenant_id}}")),
                ]
            }
        }
    }

    /// Where the master database is.
    pub fn master_url(&self) -> String {
        match &self.databases {
            Databases::Files(folder) => format!("sqlite://{}/master.db", folder.path().display()),
            Databases::Server { admin_url, prefix } => {
                format!("{}/{prefix}_master", admin_url.rsplit_once('/').unwrap().0)
            }
        }
    }

    /// Where a tenant's database is.
    pub fn tenant_url(&self, id: Uuid) -> String {
        let id = id.simple().to_string();
        match &self.databases {
            Databases::Files(folder) => format!("sqlite://{}/tenants/{id}.db", folder.path().display()),
            Databases::Server { admin_url, prefix } => {
                format!("{}/{prefix}_{id}", admin_url.rsplit_once('/').unwrap().0)
            }
        }
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A caller who has not logged in.
    pub fn anonymous(&self) -> Session {
        Session::new(self.url("/graphql"), None)
    }

    /// Makes a tenant with a user of each built-in role. The slug is its name.
    pub async fn tenant(&self, slug: &str) -> TestTenant {
        let admin_email = format!("admin@{slug}.example");
        let provisioned = self
            .app
            .identity()
            .tenant_create(NewTenant {
                slug: slug.to_owned(),
                name: format!("The company {slug}"),
                base_currency: None,
                time_zone: None,
                locale: None,
                database_url: None,
                admin: FirstAdmin {
                    name: "Ada Admin".to_owned(),
                    email: admin_email.clone(),
                    password: Some(PASSWORD.to_owned()),
                },
            })
            .await
            .unwrap();
        let id = provisioned.tenant.id;
        let mut tenant = TestTenant {
            id,
            slug: slug.to_owned(),
            admin: self.login(&admin_email, slug).await,
            manager: self.anonymous(),
            agent: self.anonymous(),
            colleague: self.anonymous(),
            viewer: self.anonymous(),
        };
        for (role, name) in
            [("Manager", "Max Manager"), ("Agent", "Ann Agent"), ("Agent", "Carl Colleague"), ("Viewer", "Vic Viewer")]
        {
            let session = self.user(&tenant, name, role).await;
            match name {
                "Max Manager" => tenant.manager = session,
                "Ann Agent" => tenant.agent = session,
                "Carl Colleague" => tenant.colleague = session,
                _ => tenant.viewer = session,
            }
        }
        tenant
    }

    /// Makes a user of a role and logs in.
    pub async fn user(&self, tenant: &TestTenant, name: &str, role: &str) -> Session {
        let system = self.system(tenant.id).await;
        let role = self.role(tenant.id, role).await;
        let email = format!("{}@{}.example", name.to_lowercase().replace(' ', "."), tenant.slug);
        let new = NewUser {
            name: name.to_owned(),
            email: email.clone(),
            role_id: role,
            job_title: None,
            manager_id: None,
            external_reference: None,
            access: Access::Password(PASSWORD.to_owned()),
        };
        let (outcome, _) = self.app.identity().user_invite(&system, new).await.unwrap();
        let item = outcome.single();
        assert!(item.errors.is_empty(), "{:?}", item.errors);
        self.login(&email, &tenant.slug).await
    }

    /// Makes a user who holds just these permissions, on all records, and logs in.
    pub async fn user_with(&self, tenant: &TestTenant, name: &str, permissions: &[&str]) -> Session {
        self.user_scoped(tenant, name, permissions, DataScope::All).await
    }

    /// Makes a user who holds just these permissions, on records in this scope, and logs in.
    pub async fn user_scoped(
        &self,
        tenant: &TestTenant,
        name: &str,
        permissions: &[&str],
        scope: DataScope,
    ) -> Session {
        let new = NewRole {
            name: format!("The role of {name}"),
            description: None,
            scope,
            permissions: permissions.iter().map(ToString::to_string).collect(),
        };
        let item = self.app.identity().role_create(&self.system(tenant.id).await, new).await.unwrap().single();
        assert!(item.errors.is_empty(), "{:?}", item.errors);
        self.user(tenant, name, &format!("The role of {name}")).await
    }

    async fn role(&self, tenant_id: Uuid, name: &str) -> Uuid {
        use entity::tenant::role;
        use sea_orm::ColumnTrait;
        let db = self.system(tenant_id).await;
        db.find::<role::Entity>().unwrap().filter(role::Column::Name.eq(name)).one().await.unwrap().unwrap().id
    }

    /// The tenant's database for the platform itself.
    pub async fn system(&self, tenant_id: Uuid) -> TenantDb {
        let tenant = self.app.identity().tenants().open(tenant_id).await.unwrap();
        tenant.for_actor(Arc::new(Actor::system(tenant_id)), None)
    }

    /// What was raised in a tenant while `work` ran, by name.
    pub async fn raised<T>(&self, tenant: &TestTenant, work: impl AsyncFnOnce() -> T) -> (T, Vec<String>) {
        let opened = self.app.identity().tenants().open(tenant.id).await.unwrap();
        let mut feed = opened.feed().listen();
        let done = work().await;
        let mut names = Vec::new();
        while let Ok(event) = feed.try_recv() {
            names.push(event.name.clone());
        }
        (done, names)
    }

    /// Makes a platform administrator and logs in.
    pub async fn platform_admin(&self, email: &str) -> Session {
        use rapport::services::identity::Client;
        self.app.identity().platform_admin_create(email, PASSWORD).await.unwrap();
        let client = Client { address: [127, 0, 0, 1].into(), user_agent: None };
        let tokens = self.app.identity().platform_login(email, PASSWORD, &client).await.unwrap();
        Session::new(self.url("/graphql"), Some(tokens.access.token))
    }

    /// Logs in.
    pub async fn login(&self, email: &str, tenant: &str) -> Session {
        use rapport::services::identity::{Client, Login};
        let login = Login { email: email.to_owned(), password: PASSWORD.to_owned(), tenant: Some(tenant.to_owned()) };
        let client = Client { address: [127, 0, 0, 1].into(), user_agent: None };
        let tokens = self.app.identity().login(login, &client).await.unwrap();
        let principal = self.app.identity().authenticate(&tokens.access.token).await.unwrap();
        let user_id = principal.member().unwrap().actor.user_id;
        let mut session = Session::new(self.url("/graphql"), Some(tokens.access.token.clone()));
        session.user_id = rapport::data::ids::encode("user", user_id);
        session
    }
}

/// Serves an application on a port of its own.
async fn listen(app: &App, config: &Config) -> (SocketAddr, Lifecycle) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let lifecycle = Lifecycle::new();
    let settings: HttpSettings = http_settings(config);
    let routes = router(app.clone(), app.clone(), settings.clone(), &lifecycle);
    let stop = lifecycle.clone();
    tokio::spawn(async move { serve(listener, routes, &settings, &stop).await });
    (address, lifecycle)
}

/// Another node over the databases of a [`TestApp`].
pub struct TestNode {
    /// The application behind it.
    pub app: App,
    /// Where its API is.
    pub url: String,
    lifecycle: Lifecycle,
}

impl Drop for TestNode {
    fn drop(&mut self) {
        self.lifecycle.stop();
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.lifecycle.stop();
        if let Databases::Server { admin_url, prefix } = &self.databases {
            let (admin_url, prefix) = (admin_url.clone(), prefix.clone());
            // A runtime of its own: the test's is about to end.
            let cleaner = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(remove_databases(&admin_url, &prefix));
            });
            let _ = cleaner.join();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "tests make and remove the databases around the product")]
async fn connect(url: &str) -> Result<sea_orm::DatabaseConnection, sea_orm::DbErr> {
    Database::connect(url).await
}

async fn remove_databases(admin_url: &str, prefix: &str) {
    let Ok(admin) = connect(admin_url).await else { return };
    let names = sea_orm::Statement::from_string(
        sea_orm::DbBackend::Postgres,
        format!("SELECT datname FROM pg_database WHERE datname LIKE '{prefix}%'"),
    );
    let rows = admin.query_all_raw(names).await.unwrap_or_default();
    for row in rows {
        let name: String = row.try_get_by_index(0).unwrap();
        let _ = admin.execute_unprepared(&format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)")).await;
    }
    let _ = admin.close().await;
}

/// A tenant with a user of each built-in role.
pub struct TestTenant {
    /// Its id.
    pub id: Uuid,
    /// Its slug.
    pub slug: String,
    /// Everything in the tenant.
    pub admin: Session,
    /// All business records.
    pub manager: Session,
    /// Own records only.
    pub agent: Session,
    /// Another agent.
    pub colleague: Session,
    /// Reads everything.
    pub viewer: Session,
}
