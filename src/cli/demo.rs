//! `rapport demo`: a server with two tenants full of made-up data, for trying things out.
//!
//! It runs on SQLite in a folder of its own, signs with a secret that it makes once and keeps there, and shows its
//! logins to everyone who can reach it. It listens to this machine alone unless `server.host` says otherwise.

pub mod folder;

use std::{
    fmt, fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use data_encoding::BASE64URL_NOPAD;
use rand::Rng;
use serde::Serialize;

use super::{Exit, Failure, output::Output};
use crate::{
    config::{Config, DatabaseUrl, Mail, Secret},
    services::demo::{self, BUSINESSES, Growth},
};

/// The file in the data folder that holds the demo's secret.
const SECRET_FILE: &str = "demo.secret";

/// The folder in the data folder that the demo's mail goes to.
const MAIL_FOLDER: &str = "mail";

/// The first query: a Customer-360 of the customer that both tenants have under one id.
const FIRST_QUERY: &str = include_str!("demo/first_query.graphql");

/// The arguments of `rapport demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "The same seed makes the same data. A folder that has the data already is served as it is.\n\n\
                        Examples:\n  rapport demo\n  rapport demo --data-dir /tmp/rapport --port 9000 --customers 5000")]
pub struct Args {
    /// The folder for the databases; delete it to begin anew
    #[arg(long, value_name = "FOLDER", default_value = "data/demo")]
    pub data_dir: PathBuf,
    /// The port, where it is not the one of the settings
    #[arg(long)]
    pub port: Option<u16>,
    /// The number that the made-up data is grown from
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How many customers each tenant gets; everything else grows with them
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub customers: u32,
    /// Print addresses and logins as JSON
    #[arg(long)]
    pub json: bool,
}

impl Args {
    /// The settings of the demo: SQLite in the folder, a secret made once, GraphiQL.
    ///
    /// # Errors
    /// When the folder or the secret cannot be written, or the settings are wrong.
    pub fn settle(&self, mut config: Config) -> Result<Config, Failure> {
        config.database.data_dir.clone_from(&self.data_dir);
        config.database.master_url = DatabaseUrl::new("sqlite://{data_dir}/master.db");
        config.database.tenant_url_template = DatabaseUrl::new("sqlite://{data_dir}/tenants/{tenant_id}.db");
        config.server.port = self.port.unwrap_or(config.server.port);
        config.server.graphiql = true;
        config.server.introspection = true;
        config.server.show_statements = true;
        config.server.demo = true;
        // Nobody outside gets mail of people who are made up.
        config.mail.url = None;
        config.mail.folder = Some(self.data_dir.join(MAIL_FOLDER));
        config.mail.from.get_or_insert_with(|| "Rapport <rapport@localhost>".to_owned());
        // Who tries webhooks out has the receiver on this machine.
        config.outgoing.allow_loopback = true;
        config.auth.secret = Some(secret(&self.data_dir).map_err(|error| {
            Failure::new(format!("the demo cannot use the folder {}: {error}", self.data_dir.display()))
        })?);
        config.check()?;
        Ok(config)
    }
}

/// The secret of this demo: made at the first start, so that logins outlive a restart, and readable by its owner alone.
fn secret(folder: &Path) -> io::Result<Secret> {
    fs::create_dir_all(folder)?;
    let file = folder.join(SECRET_FILE);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(&file) {
        Ok(mut new) => {
            let mut bytes = [0; 32];
            rand::rng().fill_bytes(&mut bytes);
            let text = BASE64URL_NOPAD.encode(&bytes);
            new.write_all(text.as_bytes())?;
            new.sync_all()?;
            Ok(Secret::new(text))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let text = fs::read_to_string(&file)?;
            if text.len() < 32 {
                let message = format!("{} holds no secret; delete it, and a new one is made", file.display());
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            Ok(Secret::new(text))
        }
        Err(error) => Err(error),
    }
}

/// One login of the demo.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Login {
    /// The tenant's short name.
    pub tenant: String,
    /// The built-in role.
    pub role: String,
    /// The user's name.
    pub name: String,
    /// The e-mail address.
    pub email: String,
    /// The password. It is made up and known to everyone.
    pub password: String,
}

/// What the demo says once it answers.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Welcome {
    /// The GraphQL endpoint.
    pub url: String,
    /// The page for trying out queries.
    pub graphiql: String,
    /// The folder that e-mail is written into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail: Option<PathBuf>,
    /// A login of every role.
    pub logins: Vec<Login>,
    /// A first query to try, with any of the logins.
    pub query: String,
    /// What the data was grown from.
    pub seed: u64,
    /// How many customers each tenant began with.
    pub customers: u32,
}

impl Welcome {
    /// What is said of a demo at this address, grown from that.
    #[must_use]
    pub fn new(base_url: &str, growth: Growth, mail: &Mail) -> Self {
        let logins = BUSINESSES.into_iter().flat_map(|business| demo::logins(business, growth.seed));
        Self {
            url: format!("{base_url}/graphql"),
            graphiql: format!("{base_url}/"),
            mail: mail.folder.clone(),
            logins: logins
                .map(|login| Login {
                    tenant: login.tenant.to_owned(),
                    role: login.role.to_owned(),
                    name: login.name.to_owned(),
                    email: login.email,
                    password: login.password,
                })
                .collect(),
            query: FIRST_QUERY.replace("{id}", &demo::first_customer(growth.seed)),
            seed: growth.seed,
            customers: growth.customers,
        }
    }
}

impl fmt::Display for Welcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = super::output::Table::new(["TENANT", "ROLE", "NAME", "E-MAIL", "PASSWORD"]);
        for Login { tenant, role, name, email, password } in &self.logins {
            table.row([tenant.clone(), role.clone(), name.clone(), email.clone(), password.clone()]);
        }
        writeln!(f, "GraphQL   {}\nGraphiQL  {}", self.url, self.graphiql)?;
        if let Some(folder) = &self.mail {
            writeln!(f, "E-mail    {} (one file a message; none is sent)", folder.display())?;
        }
        writeln!(f, "\n{table}")?;
        writeln!(f, "A first query:\n\n{}\n", self.query.trim_end())?;
        write!(f, "Ctrl-C stops the demo. What was changed stays in its folder.")
    }
}

/// Hands the demo's settings to `demo`, which grows the data, calls its last argument once the server answers, and
/// returns when the server has stopped.
///
/// # Errors
/// When the settings are wrong, or the data cannot be made, or the server cannot start.
pub async fn run(
    args: &Args,
    config: Config,
    demo: impl AsyncFnOnce(Config, Growth, Output, &dyn Fn(&Welcome) -> Result<(), Failure>) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    let output = Output::new(args.json);
    let growth = Growth { seed: args.seed, customers: args.customers };
    demo(args.settle(config)?, growth, output, &|welcome| output.show(welcome)).await?;
    Ok(Exit::Done)
}
