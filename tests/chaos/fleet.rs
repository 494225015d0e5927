//! The nodes, the databases under them, and what is done to both.

use std::{
    fmt, fs,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Mutex, atomic::Ordering},
    time::Duration,
};

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{Arguments, clients::Acknowledged, process::Process, proxy::Proxy, smtp::SmtpServer};

const PROGRAM: &str = env!("CARGO_BIN_EXE_rapport");
const SECRET: &str = "jV4cXq8P0sRz7LwY2nTb6KdGh1MfUa9EoQiCx3Ws5Zk";
const ADMIN: &str = "ada@acme.example";
const PASSWORD: &str = "correct horse battery staple";

/// Where a debug build can be told to die.
const FAILPOINTS: [&str; 6] = ["unit.marked", "unit.sealed", "unit.committed", "mail.begun", "mail.taken", "work.done"];

/// Where the databases are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    /// Files.
    Sqlite,
    /// A server.
    Postgres,
}

/// The nodes of an installation.
pub struct Fleet {
    /// Where mail goes.
    pub mail: SmtpServer,
    /// The token of the tenant's administrator.
    pub token: String,
    pub http: reqwest::Client,
    variables: Vec<(&'static str, String)>,
    databases: Databases,
    nodes: Vec<Mutex<Node>>,
}

enum Databases {
    Files(tempfile::TempDir),
    Server { admin_url: String, prefix: String, way: Proxy },
}

struct Node {
    process: Option<Process>,
    /// The failpoint that it was given.
    failpoint: Option<String>,
}

/// How nodes died.
#[derive(Default)]
pub struct Deaths {
    killed: usize,
    failpoints: Vec<String>,
    outage: u64,
}

impl fmt::Display for Deaths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} nodes killed with SIGKILL, {} at failpoints", self.killed, self.failpoints.len())?;
        let mut places: Vec<_> = self.failpoints.iter().filter_map(|set| set.split('=').next()).collect();
        places.sort_unstable();
        let mut counted: Vec<(&str, usize)> = Vec::new();
        for place in places {
            match counted.last_mut() {
                Some((last, count)) if *last == place => *count += 1,
                _ => counted.push((place, 1)),
            }
        }
        if !counted.is_empty() {
            let words: Vec<_> = counted.iter().map(|(place, count)| format!("{place} {count}")).collect();
            write!(f, " ({})", words.join(", "))?;
        }
        if self.outage > 0 {
            write!(f, "; PostgreSQL away for {} s", self.outage)?;
        }
        Ok(())
    }
}

impl Fleet {
    /// Makes the databases with a tenant, and starts the nodes.
    #[expect(clippy::disallowed_methods, reason = "it speaks to servers of its own")]
    pub async fn start(arguments: &Arguments) -> Self {
        let mail = SmtpServer::start().await;
        let mut variables = vec![
            ("RAPPORT_AUTH__SECRET", SECRET.to_owned()),
            ("RAPPORT_MAIL__URL", mail.url()),
            ("RAPPORT_MAIL__FROM", "crm@rapport.example".to_owned()),
            ("RAPPORT_LIMITS__TENANT_POINTS_PER_SECOND", "0".to_owned()),
            ("RAPPORT_LIMITS__LIVE_CONNECTIONS_PER_USER", "100000".to_owned()),
            ("RAPPORT_LIMITS__LIVE_CONNECTIONS_PER_TENANT", "100000".to_owned()),
            ("RAPPORT_SERVER__MAX_CONNECTIONS", "100000".to_owned()),
            ("RAPPORT_DATABASE__MASTER_CONNECTIONS", "4".to_owned()),
            ("RAPPORT_DATABASE__TENANT_CONNECTIONS", "5".to_owned()),
        ];
        let databases = match arguments.engine {
            Engine::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                variables.push(("RAPPORT_DATABASE__DATA_DIR", folder.path().display().to_string()));
                Databases::Files(folder)
            }
            Engine::Postgres => {
                let admin_url = std::env::var("RAPPORT_TEST_POSTGRES_URL")
                    .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".to_owned());
                let prefix = format!("rapport_chaos_{:012x}", rand::random::<u64>() >> 16);
                let admin = Database::connect(&admin_url).await.unwrap();
                admin.execute_unprepared(&format!("CREATE DATABASE {prefix}_master")).await.unwrap();
                admin.close().await.unwrap();
                let (login, server) =
                    admin_url.split_once("://").unwrap().1.rsplit_once('/').unwrap().0.rsplit_once('@').unwrap();
                let target = if server.contains(':') { server.to_owned() } else { format!("{server}:5432") };
                let way = Proxy::start(target).await;
                let base = format!("postgres://{login}@{}", way.address);
                variables.push(("RAPPORT_DATABASE__MASTER_URL", format!("{base}/{prefix}_master")));
                variables.push(("RAPPORT_DATABASE__TENANT_URL_TEMPLATE", format!("{base}/{prefix}_{{tenant_id}}")));
                let nats =
                    std::env::var("RAPPORT_TEST_NATS_URL").unwrap_or_else(|_| "nats://127.0.0.1:4222".to_owned());
                variables.push(("RAPPORT_BUS__URL", nats));
                variables.push(("RAPPORT_BUS__PREFIX", prefix.clone()));
                Databases::Server { admin_url, prefix, way }
            }
        };
        make_tenant(&variables).await;
        let count = if arguments.engine == Engine::Sqlite { 1 } else { arguments.nodes };
        let mut nodes = Vec::new();
        for _ in 0..count {
            let process = Process::start(PROGRAM, &variables, &[]).await;
            nodes.push(Mutex::new(Node { process: Some(process), failpoint: None }));
        }
        let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
        let mut fleet = Self { mail, token: String::new(), http, variables, databases, nodes };
        let login = "mutation($input: LoginInput!) { login(input: $input) { accessToken userErrors { code } } }";
        let input = json!({ "email": ADMIN, "password": PASSWORD, "tenant": "acme" });
        let answer = fleet.ask(0, login, json!({ "input": input }), None).await.unwrap();
        fleet.token = answer["data"]["login"]["accessToken"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
        fleet
    }

    /// Sends an operation to a node; nothing when it does not answer.
    pub async fn ask(&self, node: usize, query: &str, variables: Value, key: Option<&str>) -> Option<Value> {
        let url = self.url(node)?;
        let mut request = self.http.post(url).json(&json!({ "query": query, "variables": variables }));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        request.send().await.ok()?.json().await.ok()
    }

    /// Where a node's API is, when it runs.
    pub fn url(&self, node: usize) -> Option<String> {
        let node = self.nodes[node % self.nodes.len()].lock().unwrap();
        node.process.as_ref().map(|process| process.url("/graphql"))
    }

    /// The process of a node.
    pub fn process_id(&self, node: usize) -> u32 {
        self.nodes[node].lock().unwrap().process.as_ref().unwrap().child.id()
    }

    /// Kills nodes while clients work, evenly over their work, and starts them again, some with a failpoint.
    pub async fn torment(&self, acknowledged: &Acknowledged, arguments: &Arguments) -> Deaths {
        let mut dice = StdRng::seed_from_u64(arguments.seed);
        let (mut deaths, mut outage) = (Deaths::default(), arguments.outage);
        loop {
            let done = acknowledged.count.load(Ordering::Relaxed);
            if done >= arguments.mutations {
                return deaths;
            }
            for node in &self.nodes {
                let ended = {
                    let mut node = node.lock().unwrap();
                    let ended =
                        node.process.as_mut().is_some_and(|process| process.child.try_wait().unwrap().is_some());
                    ended.then(|| node.failpoint.take().unwrap_or_else(|| panic!("a node ended by itself")))
                };
                if let Some(failpoint) = ended {
                    deaths.failpoints.push(failpoint);
                    self.restart(node, None).await;
                }
            }
            if outage > 0
                && done >= arguments.mutations / 2
                && let Databases::Server { way, .. } = &self.databases
            {
                way.cut();
                sleep(Duration::from_secs(outage)).await;
                way.mend();
                deaths.outage = outage;
                outage = 0;
            }
            if deaths.killed < arguments.kills
                && done >= (deaths.killed + 1) * arguments.mutations / (arguments.kills + 1)
            {
                let victim = &self.nodes[dice.random_range(0..self.nodes.len())];
                sleep(Duration::from_micros(dice.random_range(0..20_000))).await;
                if let Some(process) = victim.lock().unwrap().process.as_mut() {
                    process.kill();
                }
                deaths.killed += 1;
                let failpoint = dice.random_bool(0.6).then(|| {
                    let place = FAILPOINTS[dice.random_range(0..FAILPOINTS.len())];
                    let most = if place.starts_with("unit") { 40 } else { 3 };
                    format!("{place}={}", 1 + dice.next_u64() % most)
                });
                self.restart(victim, failpoint).await;
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn restart(&self, node: &Mutex<Node>, failpoint: Option<String>) {
        // For a while it is not there.
        let gone = node.lock().unwrap().process.take();
        drop(gone);
        let mut variables = self.variables.clone();
        variables.extend(failpoint.clone().map(|failpoint| ("RAPPORT_FAILPOINT", failpoint)));
        let process = Process::start(PROGRAM, &variables, &[]).await;
        let mut node = node.lock().unwrap();
        (node.process, node.failpoint) = (Some(process), failpoint);
    }

    /// Starts every node again, without failpoints: what was left undone is to be done now.
    pub async fn revive(&self) {
        for node in &self.nodes {
            let wanting = {
                let mut node = node.lock().unwrap();
                let ended = node.process.as_mut().is_none_or(|process| process.child.try_wait().unwrap().is_some());
                ended || node.failpoint.is_some()
            };
            if wanting {
                self.restart(node, None).await;
            }
        }
    }

    /// The last that the nodes have logged.
    pub fn tell(&self) {
        for node in &self.nodes {
            let log = node.lock().unwrap().process.as_ref().map(Process::log).unwrap_or_default();
            let grave: Vec<_> = log.iter().filter(|line| !line.contains("\"INFO\"")).collect();
            for line in grave.iter().skip(grave.len().saturating_sub(20)) {
                println!("{line}");
            }
        }
    }

    /// A connection to the tenant's database past the product.
    #[expect(clippy::disallowed_methods, reason = "it looks at the tables themselves")]
    pub async fn raw(&self) -> DatabaseConnection {
        let url = match &self.databases {
            Databases::Files(folder) => {
                let mut files = fs::read_dir(folder.path().join("tenants")).unwrap();
                let file: PathBuf = files
                    .find_map(|file| {
                        // The template of new tenants lies beside them.
                        let of_tenant = |path: &PathBuf| {
                            let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
                            path.extension().is_some_and(|it| it == "db") && uuid::Uuid::parse_str(name).is_ok()
                        };
                        Some(file.unwrap().path()).filter(of_tenant)
                    })
                    .unwrap();
                format!("sqlite://{}", file.display())
            }
            Databases::Server { admin_url, prefix, .. } => {
                let admin = Database::connect(admin_url).await.unwrap();
                let names = format!(
                    "SELECT datname FROM pg_database WHERE datname LIKE '{prefix}%' AND datname <> '{prefix}_master'"
                );
                let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, names);
                let row = admin.query_one_raw(statement).await.unwrap().unwrap();
                admin.close().await.unwrap();
                let name: String = row.try_get_by_index(0).unwrap();
                format!("{}/{name}", admin_url.rsplit_once('/').unwrap().0)
            }
        };
        Database::connect(url).await.unwrap()
    }

    /// Ends the nodes and removes the databases.
    #[expect(clippy::disallowed_methods, reason = "it removes the databases that it made")]
    pub async fn end(&self) {
        for node in &self.nodes {
            node.lock().unwrap().process = None;
        }
        let Databases::Server { admin_url, prefix, .. } = &self.databases else { return };
        let admin = Database::connect(admin_url).await.unwrap();
        let names = format!("SELECT datname FROM pg_database WHERE datname LIKE '{prefix}%'");
        let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, names);
        for row in admin.query_all_raw(statement).await.unwrap() {
            let name: String = row.try_get_by_index(0).unwrap();
            // What cannot be removed is in nobody's way.
            let _ = admin.execute_unprepared(&format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)")).await;
        }
        admin.close().await.unwrap();
    }
}

/// Makes the tenant with its administrator, by the command line.
async fn make_tenant(variables: &[(&'static str, String)]) {
    let variables = variables.to_vec();
    let made = tokio::task::spawn_blocking(move || {
        let mut child = Command::new(PROGRAM)
            .args(["tenant", "create", "acme", "--name", "Acme Ltd", "--admin", ADMIN, "--password-file", "-"])
            .env_clear()
            .envs(variables)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(PASSWORD.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    });
    let made = made.await.unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}
