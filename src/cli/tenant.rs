//! `rapport tenant`: makes tenants, lists, suspends, resumes and deletes them.

use std::{fmt, path::PathBuf};

use clap::Subcommand;
use serde::Serialize;

use super::{
    Exit, Failure,
    output::{Output, Table},
    user::{Invitation, password},
};
use crate::{
    config::{DatabaseUrl, Secret},
    error::Result,
};

/// The arguments of `rapport tenant`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do with tenants.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a tenant: its database, built-in roles, default pipeline and first administrator
    Create(Create),
    /// List the tenants
    List(List),
    /// Shut a tenant out: its users and API keys are refused, its data stays
    Suspend(Named),
    /// Let a suspended tenant in again
    Resume(Named),
    /// Delete a tenant with all of its data
    Delete(Delete),
}

/// The arguments of `rapport tenant create`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Running it again for a tenant that was half made finishes it.\n\n\
                        Examples:\n  rapport tenant create acme --name 'Acme Ltd' --admin ada@acme.example\n  \
                        rapport tenant create acme --name 'Acme Ltd' --admin ada@acme.example --password-file - < secret.txt")]
pub struct Create {
    /// The short name, as in addresses: small letters, digits and hyphens
    pub slug: String,
    /// The name for people
    #[arg(long)]
    pub name: String,
    /// The e-mail address of the first administrator
    #[arg(long, value_name = "E-MAIL")]
    pub admin: String,
    /// The name of the first administrator; the e-mail address where it is not given
    #[arg(long, value_name = "NAME")]
    pub admin_name: Option<String>,
    /// Read the administrator's password from this file (- for the standard input); without it, an invitation is printed
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// The base currency; the setting tenants.base_currency where it is not given
    #[arg(long, value_name = "CODE")]
    pub currency: Option<String>,
    /// The time zone; the setting tenants.time_zone where it is not given
    #[arg(long, value_name = "ZONE")]
    pub time_zone: Option<String>,
    /// The language, such as de-AT; the setting tenants.locale where it is not given
    #[arg(long, value_name = "TAG")]
    pub locale: Option<String>,
    /// Where the database is to be, when not where database.tenant_url_template says: sqlite: or postgres:
    #[arg(long, value_name = "URL", env = "RAPPORT_TENANT_DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<DatabaseUrl>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// The arguments of `rapport tenant list`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  rapport tenant list\n  rapport tenant list --json | jq -r '.tenants[].slug'")]
pub struct List {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// The arguments of `rapport tenant suspend` and `resume`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Running it again changes nothing.\n\nExamples:\n  rapport tenant suspend acme\n  rapport tenant resume acme"
)]
pub struct Named {
    /// The tenant's short name or id
    pub tenant: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// The arguments of `rapport tenant delete`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Nothing brings the data back. The short name is asked for twice, so that the wrong tenant is not deleted.\n\n\
                        Example:\n  rapport tenant delete acme --confirm acme"
)]
pub struct Delete {
    /// The tenant's short name or id
    pub tenant: String,
    /// The same again
    #[arg(long, value_name = "TENANT")]
    pub confirm: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl Delete {
    /// The tenant, when it was named twice alike.
    ///
    /// # Errors
    /// When the two names differ.
    pub fn confirmed(&self) -> Result<&str, Failure> {
        if self.tenant == self.confirm {
            Ok(&self.tenant)
        } else {
            Err(Failure::Usage(format!(
                "--confirm says {}, but the tenant to delete is {}; nothing was deleted",
                self.confirm, self.tenant
            )))
        }
    }
}

impl Create {
    /// The first administrator's password, read from where the arguments say.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn password(&self) -> Result<Option<Secret>, Failure> {
        self.password_file.as_deref().map(password).transpose()
    }
}

/// A tenant, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tenant {
    /// Its id.
    pub id: String,
    /// Its short name.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// Its status, such as `ACTIVE`.
    pub status: String,
    /// When it was made, in RFC 3339.
    pub created_at: String,
}

/// The answer of `rapport tenant list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tenants {
    /// By short name.
    pub tenants: Vec<Tenant>,
}

impl fmt::Display for Tenants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(["TENANT", "NAME", "STATUS", "CREATED", "ID"]);
        for Tenant { id, slug, name, status, created_at } in &self.tenants {
            table.row([slug.clone(), name.clone(), status.clone(), created_at.clone(), id.clone()]);
        }
        table.fmt(f)
    }
}

/// The answer of the other commands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The tenant as it is now, or as it last was.
    pub tenant: Tenant,
    /// How the first administrator gets in, where no password was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invitation: Option<Invitation>,
    /// What was done, such as "created".
    pub done: &'static str,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.done, self.tenant.slug, self.tenant.id)?;
        match &self.invitation {
            Some(invitation) => write!(f, "\n{invitation}"),
            None => Ok(()),
        }
    }
}

/// What the platform does for `rapport tenant`.
pub trait Service {
    /// Makes a tenant; without a password its administrator is invited.
    fn create(
        &self,
        args: &Create,
        password: Option<Secret>,
    ) -> impl Future<Output = Result<(Tenant, Option<Invitation>)>>;
    /// All tenants, by short name.
    fn list(&self) -> impl Future<Output = Result<Vec<Tenant>>>;
    /// Shuts a tenant out.
    fn suspend(&self, tenant: &str) -> impl Future<Output = Result<Tenant>>;
    /// Lets a tenant in again.
    fn resume(&self, tenant: &str) -> impl Future<Output = Result<Tenant>>;
    /// Deletes a tenant and its database.
    fn delete(&self, tenant: &str) -> impl Future<Output = Result<Tenant>>;
}

/// Does what the arguments say and shows what came of it.
///
/// # Errors
/// Why it could not be done.
pub async fn run(args: &Args, service: &impl Service) -> Result<Exit, Failure> {
    let outcome = |tenant, invitation, done| Outcome { tenant, invitation, done };
    match &args.command {
        Command::Create(args) => {
            let (tenant, invitation) = service.create(args, args.password()?).await?;
            Output::new(args.json).show(&outcome(tenant, invitation, "created"))?;
        }
        Command::List(args) => Output::new(args.json).show(&Tenants { tenants: service.list().await? })?,
        Command::Suspend(args) => {
            Output::new(args.json).show(&outcome(service.suspend(&args.tenant).await?, None, "suspended"))?;
        }
        Command::Resume(args) => {
            Output::new(args.json).show(&outcome(service.resume(&args.tenant).await?, None, "resumed"))?;
        }
        Command::Delete(args) => {
            let tenant = service.delete(args.confirmed()?).await?;
            Output::new(args.json).show(&outcome(tenant, None, "deleted"))?;
        }
    }
    Ok(Exit::Done)
}
