//! `rapport doctor`: checks settings, this machine and the databases, and says how to mend what is wrong.
//!
//! Every check is a function that takes what it looks at, so that each verdict can be tested. What the databases say
//! of themselves is gathered by `data` and judged here ([`database_checks`]).

use std::{
    fmt, fs, io,
    net::TcpListener,
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{Exit, Failure, Global, health, output::Output, platform};
use crate::{
    clock::Clock,
    config::{Config, ConfigError, DatabaseUrl, Engine, Mail, Problem},
    data::examine::Answer,
    integrations::nats::Nats,
};

/// The oldest SQLite that has what the statements use (RETURNING).
const OLDEST_SQLITE: (u32, u32) = (3, 35);
/// The oldest PostgreSQL that the tests run on.
const OLDEST_POSTGRES: (u32, u32) = (15, 0);
/// No clock can be right that is before this program was written.
const WRITTEN: &str = "2026-01-01T00:00:00Z";
/// How far this machine's clock and a database's may be apart.
const CLOCKS_APART: Duration = Duration::from_secs(2);
/// Files that the program opens besides databases and clients' connections: logs, timers, the program itself.
const OTHER_FILES: u64 = 64;

/// The arguments of `rapport doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Ends with 3 when something must be mended before `rapport serve` can work.\n\n\
                        Examples:\n  rapport doctor\n  rapport doctor --config /etc/rapport.toml --json")]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All is well.
    Well,
    /// It works, but somebody should know.
    Warning,
    /// `rapport serve` would not work, or not safely.
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// Whether it is well.
    pub verdict: Verdict,
    /// What was seen.
    pub detail: String,
    /// What to do about it; empty when all is well.
    pub mend: String,
}

impl Check {
    fn well(name: &str, detail: impl Into<String>) -> Self {
        Self { name: name.to_owned(), verdict: Verdict::Well, detail: detail.into(), mend: String::new() }
    }

    fn warning(name: &str, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { name: name.to_owned(), verdict: Verdict::Warning, detail: detail.into(), mend: mend.into() }
    }

    fn problem(name: &str, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { name: name.to_owned(), verdict: Verdict::Problem, detail: detail.into(), mend: mend.into() }
    }
}

/// Everything that was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// In the order of looking.
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether anything must be mended.
    #[must_use]
    pub fn exit(&self) -> Exit {
        let problem = self.checks.iter().any(|check| check.verdict == Verdict::Problem);
        if problem { Exit::Findings } else { Exit::Done }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Check { name, verdict, detail, mend } in &self.checks {
            let mark = match verdict {
                Verdict::Well => "ok",
                Verdict::Warning => "warning",
                Verdict::Problem => "PROBLEM",
            };
            writeln!(f, "{mark:<8} {name}: {detail}")?;
            if !mend.is_empty() {
                writeln!(f, "         {}", mend.replace('\n', "\n         "))?;
            }
        }
        let count = |wanted| self.checks.iter().filter(|check| check.verdict == wanted).count();
        let (well, warnings, problems) = (count(Verdict::Well), count(Verdict::Warning), count(Verdict::Problem));
        write!(f, "\n{well} ok, {warnings} warnings, {problems} problems")
    }
}

/// Looks at everything and reports.
///
/// # Errors
/// When the report cannot be shown. What is wrong with the machine is no error, but a finding.
pub async fn run(args: &Args, global: &Global) -> Result<Exit, Failure> {
    let output = Output::new(args.json);
    let loaded = Config::load(&global.sources());
    let config = loaded.as_ref().ok().cloned();
    let mut report = match tokio::task::spawn_blocking(move || examine(&loaded, &Clock::system())).await {
        Ok(report) => report,
        Err(error) => return Err(Failure::new(format!("the examination was cut off: {error}"))),
    };
    if let Some(config) = config {
        report.checks.push(bus_check(&config).await);
        report.checks.extend(databases(&config, output).await);
    }
    output.show(&report)?;
    Ok(report.exit())
}

/// The checks that need no database: settings, secret, data folder, port, open files, clock.
#[must_use]
pub fn examine(loaded: &Result<Config, ConfigError>, clock: &Clock) -> Report {
    let mut checks = Vec::new();
    match loaded {
        Err(error) => {
            checks.extend(error.problems.iter().map(problem_check));
            checks.push(Check::warning(
                "rest",
                "the checks that need the settings were left out",
                "Mend the settings first, then run the doctor again.",
            ));
        }
        Ok(config) => {
            checks.push(settings_check(config));
            match config.check_serving() {
                Ok(()) => checks.push(Check::well("secret", "it is long and varied enough")),
                Err(error) => checks.extend(error.problems.iter().map(problem_check)),
            }
            checks.extend(secret_file_check(config.auth.secret_file.as_deref()));
            if config.database.uses_data_dir() {
                checks.push(folder_check(&config.database.data_dir));
            }
            checks.push(port_check(config));
            checks.push(mail_check(&config.mail));
            checks.extend(exposure_check(config));
            checks.extend(open_files_check(config, fs::read_to_string("/proc/self/limits").ok().as_deref()));
        }
    }
    checks.push(clock_check(clock.now()));
    Report { checks }
}

fn problem_check(problem: &Problem) -> Check {
    let name = if problem.setting.is_empty() { "settings" } else { &problem.setting };
    let mut mend = problem.mend.clone();
    if problem.setting.contains('.') {
        mend = format!("{mend}\nVariable: {}", Problem::variable(&problem.setting)).trim_start().to_owned();
    }
    Check::problem(name, problem.message.clone(), mend)
}

fn settings_check(config: &Config) -> Check {
    let file = match &config.file {
        Some(file) => format!("defaults, {}", file.display()),
        None => "defaults".to_owned(),
    };
    Check::well("settings", format!("read from {file} and the environment"))
}

/// Where e-mail goes, if it goes anywhere.
fn mail_check(mail: &Mail) -> Check {
    match (mail.server(), &mail.folder) {
        (Ok(Some(server)), _) => Check::well("mail", format!("it leaves by {}:{}", server.host, server.port)),
        (_, Some(folder)) => Check::warning(
            "mail",
            format!("it is written into {} and reaches nobody", folder.display()),
            "Set mail.url (RAPPORT_MAIL__URL) where others rely on it.",
        ),
        _ => Check::warning(
            "mail",
            "none leaves: invitations and links to reset a password wait in the queue",
            "Set mail.url (RAPPORT_MAIL__URL) and mail.from, or mail.folder for development.",
        ),
    }
}

/// Whether the bus is there, where one is set. A server serves without it too, so that its absence is no problem.
async fn bus_check(config: &Config) -> Check {
    const NAME: &str = "bus";
    if config.bus.url.is_none() {
        return Check::well(NAME, "none is set: several nodes would see within a second what the others do");
    }
    match Nats::try_once(&config.bus).await {
        Ok(server) => Check::well(NAME, format!("{server}, subjects {}.*", config.bus.prefix)),
        Err(why) => Check::warning(
            NAME,
            format!("it cannot be reached: {why}"),
            "Check bus.url (RAPPORT_BUS__URL), its login, and that NATS runs. Until then nodes see within a second what \
             others do.",
        ),
    }
}

/// A secret's file must be readable by its owner alone.
fn secret_file_check(file: Option<&Path>) -> Option<Check> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let file = file?;
        let mode = fs::metadata(file).ok()?.permissions().mode() & 0o777;
        (mode & 0o007 != 0).then(|| {
            Check::warning(
                "auth.secret_file",
                format!("every user of this machine can reach {} (mode {mode:03o})", file.display()),
                format!("chmod 600 {}", file.display()),
            )
        })
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        None
    }
}

fn folder_check(folder: &Path) -> Check {
    const NAME: &str = "data folder";
    // The folder is made at the first start; until then the nearest one above it must let us.
    let Some(existing) = folder.ancestors().map(or_here).find(|ancestor| ancestor.exists()) else {
        return Check::problem(NAME, format!("{} cannot be made", folder.display()), "Set database.data_dir.");
    };
    let probe = existing.join(format!(".rapport-doctor-{}", std::process::id()));
    let written =
        fs::write(&probe, b"written by `rapport doctor`, to see whether it can").and_then(|()| fs::remove_file(&probe));
    match written {
        Ok(()) if existing == or_here(folder) => Check::well(NAME, format!("{} can be written", folder.display())),
        Ok(()) => Check::well(NAME, format!("{} will be made at the first start", folder.display())),
        Err(error) => Check::problem(
            NAME,
            format!("{} cannot be written: {error}", existing.display()),
            "Give the user that runs rapport the right to write there, or set database.data_dir to another folder.",
        ),
    }
}

fn or_here(folder: &Path) -> PathBuf {
    if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() }
}

fn port_check(config: &Config) -> Check {
    const NAME: &str = "port";
    let (host, port) = (config.server.host.as_str(), config.server.port);
    match TcpListener::bind((host, port)) {
        Ok(_) => Check::well(NAME, format!("{port} on {host} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            match health::ask(&config.server.local_authority(), "/health/live") {
                Ok(health::Answer { status: 200, .. }) => {
                    Check::well(NAME, format!("a server that is well answers on {port}"))
                }
                _ => Check::problem(
                    NAME,
                    format!("{port} on {host} is taken by another program"),
                    "Stop that program, or set server.port.",
                ),
            }
        }
        Err(error) => Check::problem(
            NAME,
            format!("cannot listen on {host} port {port}: {error}"),
            "Set server.host to an address of this machine and server.port to a port above 1023.",
        ),
    }
}

/// A server that others reach should be reached by TLS, and know its own address.
fn exposure_check(config: &Config) -> Option<Check> {
    let local = matches!(config.server.host.as_str(), "127.0.0.1" | "::1" | "localhost");
    match &config.server.public_url {
        None if !local => Some(Check::warning(
            "server.public_url",
            format!("is not set, so that links would name {}", config.server.base_url()),
            "Set it to the address that users type, such as https://crm.example.com.",
        )),
        Some(url) if url.starts_with("http://") => Some(Check::warning(
            "server.public_url",
            format!("{url} is not encrypted: passwords and tokens can be read on the way"),
            "Put a proxy with TLS in front, and set the https address.",
        )),
        _ => None,
    }
}

/// SQLite needs three open files a connection, PostgreSQL one.
fn open_files_check(config: &Config, limits: Option<&str>) -> Option<Check> {
    let line = limits?.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let allowed: u64 = match line.split_whitespace().next()? {
        "unlimited" => return None,
        number => number.parse().ok()?,
    };
    let files = |url: &DatabaseUrl, connections: u32| {
        let each = if url.engine() == Some(Engine::Sqlite) { 3 } else { 1 };
        u64::from(connections) * each
    };
    let database = &config.database;
    let needed = OTHER_FILES
        + u64::try_from(config.server.max_connections).unwrap_or(u64::MAX / 2)
        + files(&database.master_url, database.master_connections)
        + files(&database.tenant_url_template, database.connection_budget);
    Some(if needed <= allowed {
        Check::well("open files", format!("{allowed} allowed, up to {needed} needed"))
    } else {
        // It is needed only when everything is used to the full, so the server does work until then.
        Check::warning(
            "open files",
            format!("{allowed} allowed, up to {needed} needed"),
            format!(
                "Raise the limit (ulimit -n {needed}; LimitNOFILE= in systemd), or lower server.max_connections or \
                 database.connection_budget."
            ),
        )
    })
}

fn clock_check(now: DateTime<Utc>) -> Check {
    let shown = now.format("%Y-%m-%dT%H:%M:%SZ");
    if WRITTEN.parse::<DateTime<Utc>>().is_ok_and(|written| now < written) {
        Check::problem(
            "clock",
            format!("it says {shown}, which is past"),
            "Set the time of this machine, by NTP for example.",
        )
    } else {
        Check::well("clock", shown.to_string())
    }
}

/// Asks the master database and every tenant's; of tenants whose databases are well only the number is told.
async fn databases(config: &Config, output: Output) -> Vec<Check> {
    const MASTER: &str = "master database";
    let clock = Clock::system();
    let url = config.database.master();
    let answer = match platform::examine_master(config, &clock).await {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => return vec![Check::well(MASTER, format!("{url} will be made at the first start"))],
        Err(error) => Err(platform::cause(&error)),
    };
    let readable = answer.as_ref().is_ok_and(|answer| answer.pending_migrations == 0);
    let mut checks = database_checks(&[DatabaseFacts { name: MASTER.to_owned(), url: url.clone(), answer }]);
    if !readable {
        return checks;
    }
    let progress = output.progress("tenants", None);
    let facts = platform::examine_tenants(config, &clock, &progress).await;
    drop(progress);
    match facts {
        Ok(facts) => {
            let found: Vec<Check> =
                facts.iter().flat_map(|fact| wanting(database_checks(std::slice::from_ref(fact)))).collect();
            let of = facts.len();
            let names: std::collections::BTreeSet<_> = found.iter().map(|check| check.name.as_str()).collect();
            checks.push(Check::well("tenant databases", format!("{} of {of} are well", of - names.len())));
            checks.extend(found);
        }
        Err(error) => checks.push(Check::problem(
            "tenant databases",
            format!("they could not be looked at: {}", platform::cause(&error)),
            "Mend what is said above, then run the doctor again.",
        )),
    }
    checks
}

/// What is not well of these checks.
fn wanting(checks: Vec<Check>) -> impl Iterator<Item = Check> {
    checks.into_iter().filter(|check| check.verdict != Verdict::Well)
}

/// What a database said of itself, or why it said nothing.
#[derive(Clone, Debug)]
pub struct DatabaseFacts {
    /// Which one, in words: "master database", "tenant acme".
    pub name: String,
    /// Its address.
    pub url: DatabaseUrl,
    /// The answer.
    pub answer: Result<Answer, String>,
}

/// Judges what the databases said of themselves.
#[must_use]
pub fn database_checks(facts: &[DatabaseFacts]) -> Vec<Check> {
    let mut checks = Vec::new();
    for DatabaseFacts { name, url, answer } in facts {
        let answer = match answer {
            Ok(answer) => answer,
            Err(why) => {
                let mend = "Check the address, that the database runs, and that its user may log in.";
                checks.push(Check::problem(name, format!("{url} cannot be opened: {why}"), mend));
                continue;
            }
        };
        let sqlite = url.engine() == Some(Engine::Sqlite);
        let (engine, oldest) =
            if sqlite { (Engine::Sqlite, OLDEST_SQLITE) } else { (Engine::Postgres, OLDEST_POSTGRES) };
        checks.push(match numbers(&answer.version) {
            Some(version) if version >= oldest => Check::well(name, format!("{engine} {} at {url}", answer.version)),
            Some(_) => Check::problem(
                name,
                format!("{engine} {} at {url} is too old", answer.version),
                format!("Use {engine} {}.{} or later.", oldest.0, oldest.1),
            ),
            None => Check::warning(
                name,
                format!("{url} calls itself {}, which is no version of {engine}", answer.version),
                format!("Use {engine} {}.{} or later.", oldest.0, oldest.1),
            ),
        });
        if let Some((theirs, ours)) = answer.clocks {
            let apart = (theirs - ours).abs();
            if apart.to_std().is_ok_and(|apart| apart > CLOCKS_APART) {
                checks.push(Check::problem(
                    name,
                    format!("its clock and this machine's are {} s apart", apart.num_seconds()),
                    "Let both take their time from NTP: leases and tokens rely on it.",
                ));
            }
        }
        if answer.pending_migrations > 0 {
            checks.push(Check::problem(
                name,
                format!("{} migrations are missing", answer.pending_migrations),
                "Run `rapport migrate`.",
            ));
        }
        if answer.qpsg == Some(false) {
            checks.push(Check::warning(
                name,
                "this SQLite was built without SQLITE_ENABLE_QPSG, so that lists take twice as long",
                "Build with LIBSQLITE3_FLAGS=-DSQLITE_ENABLE_QPSG, as .cargo/config.toml does.",
            ));
        }
    }
    checks
}

/// The first two numbers of a version such as `15.20 (Debian 15.20-0+deb12u1)` or `3.51.1`.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let first = version.split_whitespace().next()?;
    let mut parts = first.split('.').map(|part| {
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        part.get(..digits).unwrap_or_default().parse().ok()
    });
    Some((parts.next()??, parts.next().flatten().unwrap_or(0)))
}

#[cfg(test)]
mod tests;
