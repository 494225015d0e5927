//! What a database says of itself: its version, its clock, its migrations, whose it is. For `rapport doctor`, which
//! judges it. Nothing is written, and nothing that is missing is made.

use chrono::{DateTime, Utc};
use entity::master::tenant;
use migration::{MasterMigrator, TenantMigrator};
use sea_orm::{
    ConnectionTrait, DatabaseConnection,
    sea_query::{Expr, Query},
};
use sea_orm_migration::MigratorTrait;
use uuid::Uuid;

use super::{
    engine::{dedicated, dialect_of},
    master::sqlite_path,
    provision,
    tenants::Tenants,
};
use crate::{
    clock::Clock,
    condition::sql::Dialect,
    error::{Error, Result},
};

/// What a database said of itself.
#[derive(Clone, Debug)]
pub struct Answer {
    /// `sqlite_version()`, or PostgreSQL's `server_version`.
    pub version: String,
    /// The database's own clock and ours, read together; none for SQLite, which has ours.
    pub clocks: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// Migrations that this program knows and this database has not had.
    pub pending_migrations: usize,
    /// Whether this SQLite was built with `SQLITE_ENABLE_QPSG`; none for PostgreSQL.
    pub qpsg: Option<bool>,
}

/// What the master database at this address says of itself; none where it is an SQLite file that is not there yet.
///
/// # Errors
/// When it cannot be opened or does not answer.
pub async fn master(url: &str, clock: &Clock) -> Result<Option<Answer>> {
    if let Some(file) = sqlite_path(url)
        && !tokio::fs::try_exists(file).await.map_err(Error::internal)?
    {
        return Ok(None);
    }
    let dialect = dialect_of(url)?;
    let connection = dedicated(url).await?;
    let pending = MasterMigrator::get_pending_migrations_read_only(&connection).await?.len();
    let answer = ask(&connection, dialect, pending, clock).await?;
    connection.close().await?;
    Ok(Some(answer))
}

impl Tenants {
    /// What the database of a tenant says of itself.
    ///
    /// # Errors
    /// When it cannot be opened or does not answer, and when it is another tenant's.
    pub async fn examine(&self, row: &tenant::Model, clock: &Clock) -> Result<Answer> {
        let url = self.url(row);
        let dialect = dialect_of(&url)?;
        let connection = dedicated(&url).await?;
        let pending = TenantMigrator::get_pending_migrations_read_only(&connection).await?.len();
        let owner: Option<Uuid> = provision::owner(&connection).await?;
        let answer = ask(&connection, dialect, pending, clock).await?;
        connection.close().await?;
        match owner {
            Some(owner) if owner == row.id => Ok(answer),
            Some(other) => Err(Error::BadInput(format!("it belongs to another tenant, {other}"))),
            None => Err(Error::BadInput("it belongs to no tenant".to_owned())),
        }
    }
}

async fn ask(connection: &DatabaseConnection, dialect: Dialect, pending: usize, clock: &Clock) -> Result<Answer> {
    let query = match dialect {
        Dialect::Sqlite => Query::select()
            .expr(Expr::cust("sqlite_version()"))
            .expr(Expr::cust("sqlite_compileoption_used('ENABLE_QPSG') <> 0"))
            .to_owned(),
        Dialect::Postgres => Query::select()
            .expr(Expr::cust("current_setting('server_version')"))
            .expr(Expr::cust("clock_timestamp()"))
            .to_owned(),
    };
    let row = connection.query_one(&query).await?.ok_or_else(|| Error::internal("the database answered nothing"))?;
    let (clocks, qpsg) = match dialect {
        Dialect::Sqlite => (None, Some(row.try_get_by_index(1)?)),
        Dialect::Postgres => (Some((row.try_get_by_index(1)?, clock.now())), None),
    };
    Ok(Answer { version: row.try_get_by_index(0)?, clocks, pending_migrations: pending, qpsg })
}
