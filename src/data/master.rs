//! The master database: tenants, accounts, roles, sessions, API keys. It holds no tenant's records.
//!
//! Identity services read and write it here. What is changed for a tenant is audited in that tenant's own database,
//! where the record that mirrors the change is written.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use migration::MasterMigrator;
use sea_orm::{
    ActiveModelBehavior, ActiveModelTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, IntoActiveModel,
    QueryResult, Select, StatementBuilder, UpdateMany,
    sea_query::{Expr, SelectStatement},
};
use sea_orm_migration::MigratorTrait;

use super::engine::{Engine, PoolSettings, dedicated, dialect_of};
use crate::{
    clock::Clock,
    condition::sql::Dialect,
    error::{Error, Result},
};

/// The advisory lock that PostgreSQL holds for whoever migrates the master database: any number that is ours alone.
const MIGRATING: i64 = 0x5241_5050_4f52_5401;

/// The open master database. Cheap to clone.
#[derive(Clone)]
pub struct MasterDb {
    engine: Arc<Engine>,
    clock: Clock,
}

impl MasterDb {
    /// Opens the master database; an SQLite file that does not exist is made.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn open(url: &str, pool: PoolSettings, clock: Clock) -> Result<Self> {
        if let Some(folder) = sqlite_path(url).and_then(Path::parent) {
            tokio::fs::create_dir_all(folder).await.map_err(Error::internal)?;
        }
        let creating = match dialect_of(url)? {
            Dialect::Sqlite if !url.contains("mode=") => {
                format!("{url}{}mode=rwc", if url.contains('?') { '&' } else { '?' })
            }
            _ => url.to_owned(),
        };
        Ok(Self { engine: Arc::new(Engine::open(&creating, pool, None).await?), clock })
    }

    /// Brings the master database up to date. Answers how many migrations ran. Nodes that start together take turns.
    ///
    /// # Errors
    /// When a migration fails; what ran before it stays.
    pub async fn migrate(&self, url: &str) -> Result<usize> {
        let connection = dedicated(url).await?;
        // The connection's end releases it. An SQLite file belongs to one machine, where one program starts.
        if self.dialect() == Dialect::Postgres {
            connection.execute_unprepared(&format!("SELECT pg_advisory_lock({MIGRATING})")).await?;
        }
        let pending = MasterMigrator::get_pending_migrations(&connection).await?.len();
        MasterMigrator::up(&connection, None).await?;
        connection.close().await?;
        Ok(pending)
    }

    /// How many migrations the master database still lacks.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pending_migrations(&self) -> Result<usize> {
        Ok(MasterMigrator::get_pending_migrations(self.engine.writer()).await?.len())
    }

    /// The engine.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.engine.dialect()
    }

    /// The injected clock.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Answers how long a round trip to the database takes.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn ping(&self) -> Result<Duration> {
        let start = Instant::now();
        let query = sea_orm::sea_query::Query::select().expr(Expr::cust("1")).to_owned();
        self.engine.reader().query_one(&query).await?;
        Ok(start.elapsed())
    }

    /// The version of the database server.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn server_version(&self) -> Result<String> {
        let version = match self.dialect() {
            Dialect::Sqlite => "sqlite_version()",
            Dialect::Postgres => "current_setting('server_version')",
        };
        let query = sea_orm::sea_query::Query::select().expr(Expr::cust(version)).to_owned();
        let row = self.engine.reader().query_one(&query).await?.ok_or_else(|| Error::internal("no version"))?;
        Ok(row.try_get_by_index(0)?)
    }

    /// The first row of a query.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn one<E: EntityTrait>(&self, query: Select<E>) -> Result<Option<E::Model>> {
        Ok(query.one(self.engine.reader()).await?)
    }

    /// All rows of a query.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn all<E: EntityTrait>(&self, query: Select<E>) -> Result<Vec<E::Model>> {
        Ok(query.all(self.engine.reader()).await?)
    }

    /// Runs one statement that writes; answers how many rows it touched.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn execute(&self, statement: &impl StatementBuilder) -> Result<u64> {
        Ok(self.engine.writer().execute(statement).await?.rows_affected())
    }

    /// The rows of a query that are no rows of one table.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn rows(&self, query: &SelectStatement) -> Result<Vec<QueryResult>> {
        Ok(self.engine.reader().query_all(query).await?)
    }

    /// Runs `work` in one transaction: committed when it answers `Ok`, rolled back otherwise.
    ///
    /// # Errors
    /// Those of `work`, and those of the database.
    pub async fn write<T>(&self, work: impl AsyncFnOnce(&mut MasterUnit) -> Result<T>) -> Result<T> {
        let dialect = self.dialect();
        let mut unit = MasterUnit { tx: self.engine.begin().await?, clock: self.clock.clone(), dialect };
        match work(&mut unit).await {
            Ok(done) => {
                unit.tx.commit().await?;
                Ok(done)
            }
            Err(error) => {
                unit.tx.rollback().await?;
                Err(error)
            }
        }
    }
}

/// One transaction on the master database.
pub struct MasterUnit {
    tx: DatabaseTransaction,
    clock: Clock,
    dialect: Dialect,
}

impl MasterUnit {
    /// Now, from the injected clock.
    #[must_use]
    pub fn now(&self) -> chrono::DateTime<chrono::Utc> {
        self.clock.now()
    }

    /// Now on the clock of the database server, which all nodes share, moved as the injected clock is. For leases alone.
    /// An SQLite file belongs to one machine, whose clock it is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn server_time(&mut self) -> Result<chrono::DateTime<chrono::Utc>> {
        if self.dialect == Dialect::Sqlite {
            return Ok(self.clock.now());
        }
        let query = sea_orm::sea_query::Query::select().expr(Expr::cust("clock_timestamp()")).to_owned();
        let row = self.tx.query_one(&query).await?.ok_or_else(|| Error::internal("no time"))?;
        Ok(row.try_get_by_index::<chrono::DateTime<chrono::Utc>>(0)? + self.clock.offset())
    }

    /// The first row of a query.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn one<E: EntityTrait>(&mut self, query: Select<E>) -> Result<Option<E::Model>> {
        Ok(query.one(&self.tx).await?)
    }

    /// All rows of a query.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn all<E: EntityTrait>(&mut self, query: Select<E>) -> Result<Vec<E::Model>> {
        Ok(query.all(&self.tx).await?)
    }

    /// Inserts a row. A violated unique index is [`Error::Conflict`].
    ///
    /// # Errors
    /// When the database refuses it.
    pub async fn insert<A>(&mut self, row: A) -> Result<<A::Entity as EntityTrait>::Model>
    where
        A: ActiveModelTrait + ActiveModelBehavior + Send,
        <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
    {
        row.insert(&self.tx).await.map_err(clash)
    }

    /// Inserts rows with one statement. A violated unique index is [`Error::Conflict`].
    ///
    /// # Errors
    /// When the database refuses them.
    pub async fn insert_many<A>(&mut self, rows: Vec<A>) -> Result<()>
    where
        A: ActiveModelTrait + ActiveModelBehavior + Send,
    {
        if !rows.is_empty() {
            A::Entity::insert_many(rows).exec_without_returning(&self.tx).await.map_err(clash)?;
        }
        Ok(())
    }

    /// Runs one statement that writes; answers how many rows it touched.
    ///
    /// # Errors
    /// When the database refuses it.
    pub(super) async fn execute(&mut self, statement: &impl StatementBuilder) -> Result<u64> {
        Ok(self.tx.execute(statement).await?.rows_affected())
    }

    /// Changes a row. A violated unique index is [`Error::Conflict`].
    ///
    /// # Errors
    /// When the database refuses it.
    pub async fn update<A>(&mut self, row: A) -> Result<<A::Entity as EntityTrait>::Model>
    where
        A: ActiveModelTrait + ActiveModelBehavior + Send,
        <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
    {
        row.update(&self.tx).await.map_err(clash)
    }

    /// Changes all rows that a statement names; answers how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn update_many<E: EntityTrait>(&mut self, statement: UpdateMany<E>) -> Result<u64> {
        Ok(statement.exec(&self.tx).await?.rows_affected)
    }

    /// Deletes all rows that a statement names; answers how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_many<E: EntityTrait>(&mut self, statement: sea_orm::DeleteMany<E>) -> Result<u64> {
        Ok(statement.exec(&self.tx).await?.rows_affected)
    }
}

fn clash(error: sea_orm::DbErr) -> Error {
    match error.sql_err() {
        Some(sea_orm::SqlErr::UniqueConstraintViolation(_)) => Error::Conflict("this is taken".to_owned()),
        _ => error.into(),
    }
}

/// The file that an SQLite URL names.
pub(super) fn sqlite_path(url: &str) -> Option<&Path> {
    let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"))?;
    Some(Path::new(path.split('?').next().unwrap_or(path)))
}
