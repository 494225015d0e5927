//! `rapport user`: makes users of a tenant, when nobody can do it through the API.

use std::{fmt, fs, io::Read, path::Path, path::PathBuf};

use clap::Subcommand;
use serde::Serialize;

use super::{Exit, Failure, output::Output};
use crate::{config::Secret, error::Result};

/// The arguments of `rapport user`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do with users.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a user of a tenant
    Create(Create),
}

/// The arguments of `rapport user create`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  rapport user create ada@acme.example --tenant acme --name 'Ada Byron' --role Admin\n  \
                        rapport user create bob@acme.example --tenant acme --password-file - < secret.txt"
)]
pub struct Create {
    /// The e-mail address
    pub email: String,
    /// The tenant's short name or id
    #[arg(long)]
    pub tenant: String,
    /// The name for people; the e-mail address where it is not given
    #[arg(long)]
    pub name: Option<String>,
    /// A role of the tenant
    #[arg(long, default_value = "Agent")]
    pub role: String,
    /// Read the password from this file (- for the standard input); without it, an invitation is printed
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// A one-time link by which a user sets the first password.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Invitation {
    /// Whoever opens it first sets the password.
    pub link: String,
    /// Until when it works, in RFC 3339.
    pub expires_at: String,
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invitation").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

impl fmt::Display for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invitation, good once and until {}:\n  {}", self.expires_at, self.link)
    }
}

/// The answer of `rapport user create`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Its id.
    pub id: String,
    /// The e-mail address.
    pub email: String,
    /// The role.
    pub role: String,
    /// The status, such as `INVITED`.
    pub status: String,
    /// How the user gets in, where no password was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invitation: Option<Invitation>,
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "created: {} ({}, {}, {})", self.email, self.role, self.status, self.id)?;
        match &self.invitation {
            Some(invitation) => write!(f, "\n{invitation}"),
            None => Ok(()),
        }
    }
}

/// Reads a password from a file, or from the standard input for `-`. A line's end after it is not a part of it.
///
/// # Errors
/// When it cannot be read, or nothing is there.
pub fn password(file: &Path) -> Result<Secret, Failure> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().take(64 * 1024).read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(file)
    };
    let text = text.map_err(|error| Failure::new(format!("no password from {}: {error}", file.display())))?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() {
        return Err(Failure::new(format!("no password from {}: it is empty", file.display())));
    }
    Ok(Secret::new(text))
}

/// Lets `create` make the user and shows it.
///
/// # Errors
/// Why it could not be done.
pub async fn run(
    args: &Args,
    create: impl AsyncFnOnce(&Create, Option<Secret>) -> Result<User>,
) -> Result<Exit, Failure> {
    let Command::Create(args) = &args.command;
    let password = args.password_file.as_deref().map(password).transpose()?;
    let user = create(args, password).await?;
    Output::new(args.json).show(&user)?;
    Ok(Exit::Done)
}
