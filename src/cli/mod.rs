//! The command line.
//!
//! One file a command: its arguments (a clap type called `Args`, whose comments are the help text), and a `run` that
//! reads them, calls one service and shows what came back. A command that needs the platform takes it as a closure,
//! so that this module knows how people are spoken to and nothing of how the work is done.
//!
//! Rules: results go to the standard output through [`output`], everything else (errors, progress, logs) to the
//! standard error output. Passwords are never arguments: they come from a file or the standard input. The exit
//! codes are [`Exit`]'s, and `docs/operations.md` lists them.

pub mod admin;
pub mod demo;
pub mod doctor;
pub mod failure;
pub mod health;
pub mod import;
pub mod migrate;
pub mod output;
pub mod platform;
pub mod schema;
pub mod serve;
pub mod tenant;
pub mod user;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

pub use self::failure::{Exit, Failure};
use crate::{
    config::{Config, Sources},
    graphql,
};

/// What the program was asked to do.
#[derive(Debug, Parser)]
#[command(
    name = "rapport",
    version,
    about = "Rapport: a multi-tenant CRM behind one GraphQL API",
    after_help = "Settings come from rapport.toml and RAPPORT_* variables; docs/operations.md lists them.\n\
                  Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but with findings, 4 wrong configuration."
)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Global {
    /// Read settings from this file instead of rapport.toml
    #[arg(long, global = true, value_name = "FILE", env = "RAPPORT_CONFIG", help_heading = "Global options")]
    pub config: Option<PathBuf>,
    /// What to log, such as `warn` or `info,rapport::data=debug`; goes before the setting logging.filter
    #[arg(long, global = true, value_name = "FILTER", env = "RAPPORT_LOG", help_heading = "Global options")]
    pub log: Option<String>,
}

impl Global {
    /// Where settings are read from.
    #[must_use]
    pub fn sources(&self) -> Sources {
        let mut sources = Sources::process(self.config.as_deref());
        if let Some(filter) = &self.log {
            // The last one of the same name counts.
            sources.environment.push(("RAPPORT_LOGGING__FILTER".to_owned(), filter.clone()));
        }
        sources
    }

    /// The settings, read and checked.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn load(&self) -> Result<Config, Failure> {
        Ok(Config::load(&self.sources())?)
    }
}

/// The commands. A command stands here from the day it works.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server
    Serve(serve::Args),
    /// Run a server with two tenants full of made-up data, to try things out
    Demo(demo::Args),
    /// Bring the master database and every tenant's up to date
    Migrate(migrate::Args),
    /// Make, list, suspend, resume and delete tenants
    Tenant(tenant::Args),
    /// Make users of a tenant
    User(user::Args),
    /// Make platform administrators, who manage tenants through the API
    Admin(admin::Args),
    /// Read records from a CSV file of any size
    Import(Box<import::Args>),
    /// Check the settings and this machine, and say how to mend what is wrong
    Doctor(doctor::Args),
    /// Print the schema of the API (SDL)
    Schema(schema::Args),
    /// Ask a running server whether it is well (for containers and scripts)
    Health(health::Args),
}

/// Runs the program: reads the command line, does what it says, tells how it ended.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(run(cli)),
        Err(error) => Err(Failure::new(format!("the runtime did not start: {error}"))),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::error(&failure);
            failure.exit().into()
        }
    }
}

/// Does what the command line says.
///
/// # Errors
/// Why it could not be done.
pub async fn run(cli: Cli) -> Result<Exit, Failure> {
    let global = &cli.global;
    match cli.command {
        Command::Serve(args) => {
            let config = logged(global)?;
            serve::run(&args, config, async |config| {
                // A database that does not answer must not keep the process from stopping.
                let app = tokio::select! {
                    app = platform::open(&config) => app?,
                    () = platform::told_to_stop() => return Ok(()),
                };
                platform::run_server(app, &config, || Ok(())).await
            })
            .await
        }
        Command::Demo(args) => {
            let config = logged(global)?;
            demo::run(&args, config, platform::demo).await
        }
        Command::Migrate(args) => {
            let config = logged(global)?;
            migrate::run(&args, async |tenants, progress| platform::migrate(&config, tenants, progress).await).await
        }
        Command::Tenant(args) => {
            let config = logged(global)?;
            tenant::run(&args, &platform::TenantService::open(&config).await?).await
        }
        Command::User(args) => {
            let config = logged(global)?;
            user::run(&args, async |args, password| platform::create_user(&config, args, password).await).await
        }
        Command::Admin(args) => {
            let config = logged(global)?;
            admin::run(&args, async |args, password| platform::create_admin(&config, args, &password).await).await
        }
        Command::Import(args) => {
            let config = logged(global)?;
            import::run(&args, async |args, progress| platform::import(&config, args, progress).await).await
        }
        Command::Doctor(args) => doctor::run(&args, &cli.global).await,
        Command::Schema(args) => {
            schema::run(
                &args,
                |federation| {
                    if federation { graphql::schema::sdl(true) } else { graphql::schema::client_sdl() }
                },
            )
        }
        Command::Health(args) => health::run(&args, &cli.global).await,
    }
}

/// The settings, with the log set up as they say.
fn logged(global: &Global) -> Result<Config, Failure> {
    let config = global.load()?;
    crate::logging::init(&config.logging)
        .map_err(|error| Failure::new(format!("the log cannot be written: {error}")))?;
    Ok(config)
}

#[cfg(test)]
mod tests;
