//! `rapport migrate`: brings the master database and every tenant's up to date.

use std::fmt;

use serde::Serialize;

use super::{
    Exit, Failure,
    output::{Output, Progress, Table},
};
use crate::error::Result;

/// The arguments of `rapport migrate`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A tenant whose migration fails is left as it was and named; the others go on. Running it again is safe.\n\
                        Ends with 3 when a tenant was left behind.\n\n\
                        Examples:\n  rapport migrate\n  rapport migrate --tenant acme --tenant globex\n  rapport migrate --json"
)]
pub struct Args {
    /// Only the master database and this tenant (short name or id); may be given several times
    #[arg(long, value_name = "TENANT")]
    pub tenant: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What became of one database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Migrated {
    /// "master", or the tenant's short name.
    pub database: String,
    /// How many migrations it had now.
    pub applied: usize,
    /// Why it was left as it was.
    pub error: Option<String>,
}

/// What became of all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The master database first.
    pub databases: Vec<Migrated>,
}

impl fmt::Display for Summary {
    /// Names what changed and what failed; those that were up to date are counted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(["DATABASE", "MIGRATIONS", "OUTCOME"]);
        let (mut migrated, mut failed) = (0, 0);
        for Migrated { database, applied, error } in &self.databases {
            let outcome = match error {
                Some(error) => {
                    failed += 1;
                    format!("left as it was: {error}")
                }
                None if *applied == 0 => continue,
                None => {
                    migrated += 1;
                    "done".to_owned()
                }
            };
            table.row([database.clone(), applied.to_string(), outcome]);
        }
        if migrated + failed > 0 {
            writeln!(f, "{table}")?;
        }
        let current = self.databases.len() - migrated - failed;
        write!(f, "{migrated} migrated, {current} were up to date, {failed} failed")
    }
}

/// Lets `migrate` do the work for these tenants (none named: all) and shows what became of each.
///
/// # Errors
/// When the master database cannot be migrated.
pub async fn run(
    args: &Args,
    migrate: impl AsyncFnOnce(&[String], &Progress) -> Result<Summary>,
) -> Result<Exit, Failure> {
    let output = Output::new(args.json);
    let summary = {
        let progress = output.progress("migrating", None);
        migrate(&args.tenant, &progress).await?
    };
    output.show(&summary)?;
    let failed = summary.databases.iter().any(|database| database.error.is_some());
    Ok(if failed { Exit::Findings } else { Exit::Done })
}
