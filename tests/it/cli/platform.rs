//! The commands of those who run the platform, as the shell sees them: tenants from their making to their end, users,
//! migrations and the doctor, over databases of the test's own.

use std::{path::Path, process::Command};

use serde_json::Value;

use super::text;
use crate::support::{Engine, app::postgres_url, platform::connect};
use sea_orm::ConnectionTrait;

const SECRET: &str = "jV4cXq8P0sRz7LwY2nTb6KdGh1MfUa9EoQiCx3Ws5Zk";

/// The program over databases of one test.
struct Shell {
    folder: tempfile::TempDir,
    /// On PostgreSQL, what the names of the databases begin with.
    prefix: Option<String>,
}

impl Shell {
    async fn new(engine: Engine) -> Self {
        let prefix = (engine == Engine::Postgres).then(|| format!("rapport_cli_{:08x}", rand::random::<u32>()));
        if let Some(prefix) = &prefix {
            let server = connect(&postgres_url()).await;
            server.execute_unprepared(&format!("CREATE DATABASE {prefix}_master")).await.unwrap();
            server.close().await.unwrap();
        }
        Self { folder: tempfile::tempdir().unwrap(), prefix }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a command; answers its exit code and what it said on the two outputs.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rapport"));
        command.args(arguments).current_dir(self.path()).env_clear();
        command.env("RAPPORT_SERVER__PORT", "0");
        if arguments[0] == "doctor" {
            command.env("RAPPORT_AUTH__SECRET", SECRET);
        } else {
            // No command but `serve` needs the secret. Cheap passwords, of which the doctor would complain.
            command.env("RAPPORT_AUTH__ARGON2_MEMORY_KIB", "64").env("RAPPORT_AUTH__ARGON2_ITERATIONS", "1");
        }
        if let Some(prefix) = &self.prefix {
            let url = postgres_url();
            let server = url.rsplit_once('/').unwrap().0;
            command.env("RAPPORT_DATABASE__MASTER_URL", format!("{server}/{prefix}_master"));
            command.env("RAPPORT_DATABASE__TENANT_URL_TEMPLATE", format!("{server}/{prefix}_{{tenant_id}}"));
        }
        let output = command.output().unwrap();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    /// Runs a command that succeeds, with `--json`; answers what it said.
    fn json(&self, arguments: &[&str]) -> Value {
        let (code, said, complained) = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(code, 0, "{arguments:?}: {said}{complained}");
        serde_json::from_str(&said).unwrap()
    }

    /// The checks of the doctor that begin with these words, as verdict and detail.
    fn doctor(&self, exit: i32, about: &str) -> Vec<(String, String)> {
        let (code, said, complained) = self.run(&["doctor", "--json"]);
        assert_eq!(code, exit, "{said}{complained}");
        let report: Value = serde_json::from_str(&said).unwrap();
        let checks = report["checks"].as_array().unwrap().iter();
        let text = |check: &Value, part: &str| check[part].as_str().unwrap().to_owned();
        let of = checks.filter(|check| check["name"].as_str().unwrap().starts_with(about));
        of.map(|check| (text(check, "verdict"), text(check, "detail"))).collect()
    }

    async fn tidy(self) {
        if let Some(prefix) = &self.prefix {
            let server = connect(&postgres_url()).await;
            let names = format!("SELECT datname FROM pg_database WHERE datname LIKE '{prefix}%'");
            let statement = sea_orm::Statement::from_string(server.get_database_backend(), names);
            for row in server.query_all_raw(statement).await.unwrap() {
                let name: String = row.try_get_by_index(0).unwrap();
                server.execute_unprepared(&format!("DROP DATABASE \"{name}\" WITH (FORCE)")).await.unwrap();
            }
            server.close().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_platform_is_run_from_the_shell_on_sqlite() {
    lifetime(Engine::Sqlite).await;
}

#[tokio::test]
async fn a_platform_is_run_from_the_shell_on_postgres() {
    lifetime(Engine::Postgres).await;
}

async fn lifetime(engine: Engine) {
    let shell = Shell::new(engine).await;

    // Before the first start: SQLite's master is still to be made, PostgreSQL's is there and empty.
    match engine {
        Engine::Sqlite => {
            assert!(shell.doctor(0, "master")[0].1.ends_with("will be made at the first start"));
            assert!(!shell.path().join("data").exists(), "the doctor changes nothing");
        }
        Engine::Postgres => assert_eq!(shell.doctor(3, "master")[1].0, "problem"),
    }
    // Nodes of one platform start together, and one of them migrates.
    let nodes = if engine == Engine::Postgres { 3 } else { 1 };
    let migrated: Vec<u64> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..nodes).map(|_| scope.spawn(|| shell.json(&["migrate"]))).collect();
        let applied = |summary: Value| summary["databases"][0]["applied"].as_u64().unwrap();
        runs.into_iter().map(|run| applied(run.join().unwrap())).collect()
    });
    assert_eq!(migrated.iter().filter(|applied| **applied > 0).count(), 1, "{migrated:?}");

    let made = shell.json(&["tenant", "create", "acme", "--name", "Acme Ltd", "--admin", "ada@acme.example"]);
    let id = made["tenant"]["id"].as_str().unwrap().to_owned();
    assert_eq!((&made["done"], &made["tenant"]["status"]), (&"created".into(), &"ACTIVE".into()));
    assert!(made["invitation"]["link"].as_str().unwrap().contains("/invitation?token="), "{made}");
    // Again: the same tenant.
    let again = shell.json(&["tenant", "create", "acme", "--name", "Acme Ltd", "--admin", "ada@acme.example"]);
    assert_eq!(again["tenant"]["id"], id.as_str());
    // Somebody else's administrator: taken.
    let (code, _, said) = shell.run(&["tenant", "create", "acme", "--name", "Acme", "--admin", "eve@evil.example"]);
    assert_eq!(code, 1);
    assert!(said.contains("taken"), "{said}");

    std::fs::write(shell.path().join("password"), "correct horse battery staple\n").unwrap();
    let user = ["user", "create", "bob@acme.example", "--tenant", &id, "--password-file", "password"];
    assert_eq!(shell.json(&user)["status"], "ACTIVE");
    let invited = shell.json(&["user", "create", "eve@acme.example", "--tenant", "acme", "--role", "Viewer"]);
    assert_eq!((&invited["status"], &invited["role"]), (&"INVITED".into(), &"Viewer".into()));
    let link = invited["invitation"]["link"].as_str().unwrap();
    assert!(link.contains("/invitation?token="), "{link}");
    let (code, said, _) = shell.run(&["user", "create", "max@acme.example", "--tenant", "acme"]);
    assert!(code == 0 && said.contains("good once and until") && said.contains("/invitation?token="), "{said}");
    let (code, _, said) = shell.run(&["user", "create", "bob@acme.example", "--tenant", "nobody"]);
    assert_eq!(code, 1);
    assert!(said.contains("there is no tenant nobody"), "{said}");

    // Who manages tenants through the API.
    let admin = ["admin", "create", "ops@example.com", "--password-file", "password"];
    assert!(shell.json(&admin)["id"].as_str().unwrap().starts_with("platform_admin_"));
    let (code, _, said) = shell.run(&admin);
    assert!(code == 1 && said.contains("this email is taken"), "{code} {said}");

    // A tenant that is placed elsewhere.
    let elsewhere = format!("sqlite://{}/elsewhere.db", shell.path().display());
    let placed = ["tenant", "create", "globex", "--name", "Globex", "--admin", "g@globex.example", "--database-url"];
    shell.json(&[&placed[..], &[&elsewhere]].concat());
    assert!(shell.path().join("elsewhere.db").exists());

    let tenants = shell.json(&["tenant", "list"]);
    let slugs: Vec<_> = tenants["tenants"].as_array().unwrap().iter().map(|tenant| &tenant["slug"]).collect();
    assert_eq!(slugs, ["acme", "globex"]);
    assert_eq!(shell.json(&["migrate", "--tenant", "acme"])["databases"].as_array().unwrap().len(), 2);
    assert_eq!(shell.doctor(0, "tenant databases"), [("well".to_owned(), "2 of 2 are well".to_owned())]);

    assert_eq!(shell.json(&["tenant", "suspend", "acme"])["tenant"]["status"], "SUSPENDED");
    assert_eq!(shell.json(&["tenant", "resume", &id])["tenant"]["status"], "ACTIVE");

    // A database that is gone.
    std::fs::rename(shell.path().join("elsewhere.db"), shell.path().join("away.db")).unwrap();
    let found = shell.doctor(3, "tenant globex");
    assert_eq!((found.len(), found[0].0.as_str()), (1, "problem"), "{found:?}");
    assert_eq!(shell.doctor(3, "tenant databases")[0].1, "1 of 2 are well");
    let (code, said, _) = shell.run(&["migrate"]);
    assert_eq!(code, 3);
    assert!(said.contains("globex") && said.contains("1 failed"), "{said}");
    std::fs::rename(shell.path().join("away.db"), shell.path().join("elsewhere.db")).unwrap();

    let (code, _, said) = shell.run(&["tenant", "delete", "acme", "--confirm", "globex"]);
    assert_eq!(code, 2);
    assert!(said.contains("nothing was deleted"), "{said}");
    for slug in ["acme", "globex"] {
        shell.json(&["tenant", "delete", slug, "--confirm", slug]);
    }
    assert_eq!(shell.json(&["tenant", "list"])["tenants"], Value::Array(Vec::new()));
    assert!(!shell.path().join("elsewhere.db").exists(), "its data is gone");
    shell.tidy().await;
}
