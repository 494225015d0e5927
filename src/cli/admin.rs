//! `rapport admin`: makes platform administrators, who make, suspend and remove tenants through the API and read no
//! tenant's data. Nobody makes them through the API.

use std::{fmt, path::PathBuf};

use clap::Subcommand;
use serde::Serialize;

use super::{Exit, Failure, output::Output, user};
use crate::{config::Secret, error::Result};

/// The arguments of `rapport admin`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do with platform administrators.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a platform administrator, who logs in with the mutation platformLogin
    Create(Create),
}

/// The arguments of `rapport admin create`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  rapport admin create ops@example.com --password-file - < secret.txt\n  \
                        openssl rand -base64 24 | tee secret.txt | rapport admin create ops@example.com --password-file -")]
pub struct Create {
    /// The e-mail address to log in with
    pub email: String,
    /// Read the password from this file (- for the standard input)
    #[arg(long, value_name = "FILE")]
    pub password_file: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// The answer of `rapport admin create`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Admin {
    /// Its id.
    pub id: String,
    /// The e-mail address.
    pub email: String,
}

impl fmt::Display for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "created: {} ({}), who logs in with the mutation platformLogin", self.email, self.id)
    }
}

/// Lets `create` make the administrator and shows it.
///
/// # Errors
/// Why it could not be done.
pub async fn run(args: &Args, create: impl AsyncFnOnce(&Create, Secret) -> Result<Admin>) -> Result<Exit, Failure> {
    let Command::Create(args) = &args.command;
    let admin = create(args, user::password(&args.password_file)?).await?;
    Output::new(args.json).show(&admin)?;
    Ok(Exit::Done)
}
