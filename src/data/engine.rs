//! One database, SQLite or PostgreSQL, chosen by its URL. The only place that opens a connection.
//!
//! SQLite: one writer and a few readers, WAL, `synchronous=FULL`, foreign keys on; every write begins IMMEDIATE, so that
//! writers wait their turn instead of failing half way. PostgreSQL: one pool, READ COMMITTED.

use std::time::Duration;

use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DatabaseTransaction, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
    sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous},
};
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    condition::sql::Dialect,
    error::{Error, Result},
};

/// How a database's pool is sized and how long it waits.
#[derive(Clone, Copy, Debug)]
pub struct PoolSettings {
    /// How many connections the database may use at most.
    pub connections: u32,
    /// How long a request waits for a free connection.
    pub acquire_timeout: Duration,
    /// How long an unused connection stays open.
    pub idle_timeout: Duration,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self { connections: 5, acquire_timeout: Duration::from_secs(5), idle_timeout: Duration::from_secs(300) }
    }
}

/// An open database.
pub(in crate::data) struct Engine {
    read: DatabaseConnection,
    write: DatabaseConnection,
    dialect: Dialect,
    /// The share of the connection budget that this database holds until its connections are closed.
    permit: Option<OwnedSemaphorePermit>,
}

/// The engine that a URL names.
///
/// # Errors
/// [`Error::BadInput`] when it names neither SQLite nor PostgreSQL.
pub fn dialect_of(url: &str) -> Result<Dialect> {
    if url.starts_with("sqlite:") {
        Ok(Dialect::Sqlite)
    } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        Ok(Dialect::Postgres)
    } else {
        Err(Error::BadInput("a database URL begins with sqlite: or postgres:".to_owned()))
    }
}

impl Engine {
    /// Opens a database that exists.
    pub(in crate::data) async fn open(
        url: &str,
        settings: PoolSettings,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Self> {
        let dialect = dialect_of(url)?;
        let (read, write) = match dialect {
            Dialect::Sqlite => (
                connect(url, settings.connections.saturating_sub(1).max(1), settings).await?,
                connect(url, 1, settings).await?,
            ),
            Dialect::Postgres => {
                let pool = connect(url, settings.connections.max(1), settings).await?;
                (pool.clone(), pool)
            }
        };
        Ok(Self { read, write, dialect, permit })
    }

    pub(in crate::data) const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The connection to read with.
    pub(in crate::data) const fn reader(&self) -> &DatabaseConnection {
        &self.read
    }

    /// The connection for single statements that write.
    pub(in crate::data) const fn writer(&self) -> &DatabaseConnection {
        &self.write
    }

    /// Begins a transaction that writes. Dropping it rolls it back.
    pub(in crate::data) async fn begin(&self) -> Result<DatabaseTransaction> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..Default::default()
        };
        Ok(self.write.begin_with_options(options).await?)
    }
}

impl Drop for Engine {
    /// Closes the connections, and only then gives their share of the budget back.
    fn drop(&mut self) {
        let (read, write, permit) = (self.read.clone(), self.write.clone(), self.permit.take());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                for connection in [read, write] {
                    if let Err(error) = connection.close().await {
                        tracing::debug!(%error, "a database connection did not close cleanly");
                    }
                }
                drop(permit);
            });
        }
    }
}

/// One connection of its own to run migrations on: others would keep a stale idea of the schema.
pub(in crate::data) async fn dedicated(url: &str) -> Result<DatabaseConnection> {
    connect(url, 1, PoolSettings::default()).await
}

#[expect(clippy::disallowed_methods, reason = "the one place that opens a connection")]
async fn connect(url: &str, connections: u32, settings: PoolSettings) -> Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(0)
        .acquire_timeout(settings.acquire_timeout)
        .idle_timeout(settings.idle_timeout)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(|options| {
            options
                .busy_timeout(Duration::from_secs(5))
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .statement_cache_capacity(400)
        })
        .map_sqlx_postgres_opts(|options| options.statement_cache_capacity(400));
    Ok(Database::connect(options).await?)
}
