//! `[database]`: where the master database and the tenants' databases are, and how many connections they may take.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;
use uuid::Uuid;

use super::{
    problem::Problem,
    value::{DatabaseUrl, Engine, duration, url_path},
};

const DATA_DIR: &str = "{data_dir}";
const TENANT_ID: &str = "{tenant_id}";

/// Where the databases are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// The folder of the SQLite files.
    pub data_dir: PathBuf,
    /// The master database as it was set; [`Database::master`] gives the address to open.
    pub master_url: DatabaseUrl,
    /// The pattern of the tenants' addresses; [`Database::tenant`] gives the address of one.
    pub tenant_url_template: DatabaseUrl,
    /// The most connections to the master database.
    pub master_connections: u32,
    /// The most connections to tenant databases, over all tenants together.
    pub connection_budget: u32,
    /// The most connections of that budget that one tenant may hold.
    pub tenant_connections: u32,
    /// A tenant's connections are closed when they were not used for this long.
    #[serde(deserialize_with = "duration")]
    pub idle_timeout: Duration,
    /// How long a request waits for a free connection.
    #[serde(deserialize_with = "duration")]
    pub acquire_timeout: Duration,
}

impl Database {
    /// The address of the master database.
    #[must_use]
    pub fn master(&self) -> DatabaseUrl {
        self.master_url.filled(DATA_DIR, &url_path(&self.data_dir))
    }

    /// The address of tenants' databases, with `{tenant_id}` still in it.
    #[must_use]
    pub fn tenant_template(&self) -> DatabaseUrl {
        self.tenant_url_template.filled(DATA_DIR, &url_path(&self.data_dir))
    }

    /// The address of a tenant's database, unless the tenant is placed elsewhere. The id has no hyphens in it, so
    /// that it can be a part of a database's name without quotes.
    #[must_use]
    pub fn tenant(&self, id: Uuid) -> DatabaseUrl {
        self.tenant_template().filled(TENANT_ID, &id.simple().to_string())
    }

    /// Whether any database of this configuration is a file below [`Database::data_dir`].
    #[must_use]
    pub fn uses_data_dir(&self) -> bool {
        [&self.master_url, &self.tenant_url_template].iter().any(|url| url.expose().contains(DATA_DIR))
    }

    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        check_url("database.master_url", &self.master_url, "sqlite://data/master.db", problems);
        check_url(
            "database.tenant_url_template",
            &self.tenant_url_template,
            "sqlite://data/tenants/{tenant_id}.db",
            problems,
        );
        if self.master_url.expose().contains(TENANT_ID) {
            problems.push(Problem::new(
                "database.master_url",
                "has {tenant_id} in it, but there is one master database for all tenants",
                "Take {tenant_id} out; it belongs into database.tenant_url_template.",
            ));
        }
        if !self.tenant_url_template.path().contains(TENANT_ID) {
            problems.push(Problem::new(
                "database.tenant_url_template",
                "has no {tenant_id} in the name of the database, so that all tenants would share one",
                "Write for example postgres://user@host/rapport_{tenant_id}.",
            ));
        }
        if self.uses_data_dir() && self.data_dir.as_os_str().is_empty() {
            problems.push(Problem::new(
                "database.data_dir",
                "is empty, but an address has {data_dir} in it",
                "Name a folder, such as \"data\" or \"/var/lib/rapport\".",
            ));
        }
        for (setting, value) in [
            ("database.master_connections", self.master_connections),
            ("database.connection_budget", self.connection_budget),
            ("database.tenant_connections", self.tenant_connections),
        ] {
            if value == 0 {
                problems.push(Problem::new(setting, "must be at least 1", "Take the default by leaving it out."));
            }
        }
        if self.tenant_connections > self.connection_budget {
            problems.push(Problem::new(
                "database.tenant_connections",
                format!("is {}, more than the whole database.connection_budget", self.tenant_connections),
                format!("Lower it to at most {}, or raise the budget.", self.connection_budget),
            ));
        }
        for (setting, value) in
            [("database.idle_timeout", self.idle_timeout), ("database.acquire_timeout", self.acquire_timeout)]
        {
            if value.is_zero() {
                problems.push(Problem::new(setting, "must be more than nothing", "Write for example \"5s\"."));
            }
        }
    }
}

fn check_url(setting: &str, url: &DatabaseUrl, example: &str, problems: &mut Vec<Problem>) {
    let mend = format!("Write for example {example} or postgres://user:password@host/name.");
    let message = match url.engine() {
        None if url.expose().is_empty() => "is empty".to_owned(),
        None => "must begin with sqlite: or postgres:".to_owned(),
        Some(Engine::Sqlite) if url.expose().contains(":memory:") || url.expose().contains("mode=memory") => {
            "is a database in memory, which is gone when its connection closes".to_owned()
        }
        Some(Engine::Postgres) if !url.expose().contains("://") => "has no `//` after postgres:".to_owned(),
        Some(_) if url.path().is_empty() => "does not name a database".to_owned(),
        Some(_) => return,
    };
    problems.push(Problem::new(setting, message, mend));
}
