//! How a tenant's database comes to be, is brought up to date and goes.
//!
//! A new database is a copy of a migrated template: of a file on SQLite, of a template database on PostgreSQL. The
//! template is named after the migrations it holds, so that an upgrade makes a new one. Every step can be repeated:
//! after a crash, provisioning begins again and finds what is done.

use std::path::{Path, PathBuf};

use migration::TenantMigrator;
use sea_orm::{
    ConnectionTrait, DatabaseConnection,
    sea_query::{OnConflict, Query},
};
use sea_orm_migration::MigratorTrait;
use tokio::sync::Mutex;
use url::Url;
use uuid::Uuid;

use super::{
    engine::{dedicated, dialect_of},
    journal::digest,
    master::sqlite_path,
};
use crate::{
    condition::sql::Dialect,
    error::{Error, Result},
};

/// How many migrations a tenant's database of this release holds.
#[must_use]
pub fn schema_version() -> i32 {
    i32::try_from(TenantMigrator::migrations().len()).unwrap_or(i32::MAX)
}

/// Held while the template is looked for and made, so that of several tasks that need it at once one makes it.
static TEMPLATE: Mutex<()> = Mutex::const_new(());

/// The name of the template: it changes with the migrations.
fn template_name() -> String {
    let names: Vec<String> = TenantMigrator::migrations().iter().map(|m| m.name().to_owned()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    format!("rapport_template_{}", &digest(&names)[..12])
}

/// Makes the database of a tenant, migrated and marked as the tenant's. Does nothing when it is there.
///
/// # Errors
/// When the server or the disk refuses; [`Error::Conflict`] when the database belongs to another tenant.
pub(super) async fn create(url: &str, tenant_id: Uuid) -> Result<()> {
    match dialect_of(url)? {
        Dialect::Sqlite => create_file(url, tenant_id).await,
        Dialect::Postgres => create_database(url, tenant_id).await,
    }
}

async fn create_file(url: &str, tenant_id: Uuid) -> Result<()> {
    let path = sqlite_path(url).ok_or_else(|| Error::internal("an SQLite URL without a file"))?;
    if tokio::fs::try_exists(path).await.map_err(Error::internal)? {
        return mark(url, tenant_id).await;
    }
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    tokio::fs::create_dir_all(folder).await.map_err(Error::internal)?;
    let template = template_file(folder).await?;
    // The copy gets its name when it is complete, so a file of that name is always a whole database.
    let unfinished = path.with_extension(format!("{}.new", tenant_id.simple()));
    // What a crash left of an earlier attempt must not mix with this one.
    remove_file(&unfinished).await?;
    tokio::fs::copy(&template, &unfinished).await.map_err(Error::internal)?;
    mark(&format!("sqlite://{}?mode=rw", unfinished.display()), tenant_id).await?;
    for suffix in ["-wal", "-shm"] {
        let mut left_over = unfinished.clone().into_os_string();
        left_over.push(suffix);
        if tokio::fs::try_exists(&left_over).await.map_err(Error::internal)? {
            return Err(Error::internal("a new tenant database was not closed cleanly"));
        }
    }
    tokio::fs::rename(&unfinished, path).await.map_err(Error::internal)
}

/// The migrated template in this folder, made at first use.
async fn template_file(folder: &Path) -> Result<PathBuf> {
    let _one_at_a_time = TEMPLATE.lock().await;
    let path = folder.join(format!("{}.db", template_name()));
    if tokio::fs::try_exists(&path).await.map_err(Error::internal)? {
        return Ok(path);
    }
    let unfinished = folder.join(format!("{}.{}.new", template_name(), std::process::id()));
    let connection = dedicated(&format!("sqlite://{}?mode=rwc", unfinished.display())).await?;
    TenantMigrator::up(&connection, None).await?;
    close(connection).await?;
    tokio::fs::rename(&unfinished, &path).await.map_err(Error::internal)?;
    Ok(path)
}

async fn create_database(url: &str, tenant_id: Uuid) -> Result<()> {
    let name = database_name(url)?;
    let server = dedicated(&maintenance_url(url)?).await?;
    if !exists(&server, &name).await? {
        let template = template_name();
        {
            let _one_at_a_time = TEMPLATE.lock().await;
            if !exists(&server, &template).await? {
                make_template(&server, url, &template).await?;
            }
        }
        execute_unless_exists(&server, &format!("CREATE DATABASE \"{name}\" TEMPLATE \"{template}\"")).await?;
    }
    close(server).await?;
    mark(url, tenant_id).await
}

/// Makes the template under a name of its own and renames it when it is complete.
async fn make_template(server: &DatabaseConnection, url: &str, template: &str) -> Result<()> {
    let unfinished = format!("{template}_{}", std::process::id());
    server.execute_unprepared(&format!("DROP DATABASE IF EXISTS \"{unfinished}\"")).await?;
    // Text is compared by its bytes everywhere, so that both engines sort alike.
    server
        .execute_unprepared(&format!(
            "CREATE DATABASE \"{unfinished}\" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
        ))
        .await?;
    let connection = dedicated(&with_database(url, &unfinished)?).await?;
    TenantMigrator::up(&connection, None).await?;
    close(connection).await?;
    if execute_unless_exists(server, &format!("ALTER DATABASE \"{unfinished}\" RENAME TO \"{template}\"")).await? {
        return Ok(());
    }
    server.execute_unprepared(&format!("DROP DATABASE IF EXISTS \"{unfinished}\"")).await?;
    Ok(())
}

/// Runs a statement that makes a database; another node may have made it meanwhile. Answers whether this one did.
async fn execute_unless_exists(server: &DatabaseConnection, sql: &str) -> Result<bool> {
    match server.execute_unprepared(sql).await {
        Ok(_) => Ok(true),
        Err(error) if error.to_string().contains("already exists") => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn exists(server: &DatabaseConnection, name: &str) -> Result<bool> {
    use sea_orm::sea_query::{Expr, ExprTrait};
    let query =
        Query::select().expr(Expr::cust("1")).from("pg_database").and_where(Expr::col("datname").eq(name)).to_owned();
    Ok(server.query_one(&query).await?.is_some())
}

/// Writes into a database whose it is, unless it says so already.
async fn mark(url: &str, tenant_id: Uuid) -> Result<()> {
    let connection = dedicated(url).await?;
    let insert = Query::insert()
        .into_table("tenant_identity")
        .columns(["tenant_id"])
        .values_panic([tenant_id.into()])
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .to_owned();
    let owner = owner(&connection).await?;
    if owner.is_none() {
        connection.execute(&insert).await?;
    }
    close(connection).await?;
    match owner {
        Some(other) if other != tenant_id => Err(Error::Conflict("the database belongs to another tenant".to_owned())),
        _ => Ok(()),
    }
}

/// The tenant that a database says it belongs to.
pub(super) async fn owner(connection: &DatabaseConnection) -> Result<Option<Uuid>> {
    let query = Query::select().column("tenant_id").from("tenant_identity").limit(1).to_owned();
    match connection.query_one(&query).await? {
        Some(row) => Ok(Some(row.try_get_by_index(0)?)),
        None => Ok(None),
    }
}

/// Brings a tenant's database up to date; answers how many migrations ran.
pub(super) async fn migrate(url: &str) -> Result<usize> {
    let connection = dedicated(url).await?;
    let pending = TenantMigrator::get_pending_migrations(&connection).await?.len();
    if pending > 0 {
        TenantMigrator::up(&connection, None).await?;
    }
    close(connection).await?;
    Ok(pending)
}

/// Removes a tenant's database for good. Does nothing when it is gone.
pub(super) async fn remove(url: &str) -> Result<()> {
    match dialect_of(url)? {
        Dialect::Sqlite => {
            let path = sqlite_path(url).ok_or_else(|| Error::internal("an SQLite URL without a file"))?;
            remove_file(path).await
        }
        Dialect::Postgres => {
            let name = database_name(url)?;
            let server = dedicated(&maintenance_url(url)?).await?;
            server.execute_unprepared(&format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)")).await?;
            close(server).await
        }
    }
}

/// Removes an SQLite file and what belongs to it. Does nothing when it is gone.
async fn remove_file(path: &Path) -> Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        match tokio::fs::remove_file(&file).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Error::internal(error)),
            _ => {}
        }
    }
    Ok(())
}

async fn close(connection: DatabaseConnection) -> Result<()> {
    Ok(connection.close().await?)
}

fn parsed(url: &str) -> Result<Url> {
    Url::parse(url).map_err(|_| Error::internal("a database URL that does not parse"))
}

/// The name of the database in a PostgreSQL URL.
fn database_name(url: &str) -> Result<String> {
    let name = parsed(url)?.path().trim_start_matches('/').to_owned();
    let plain =
        !name.is_empty() && name.len() <= 63 && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    if plain { Ok(name) } else { Err(Error::internal("a database name may hold letters, digits, _ and -")) }
}

/// The same server, another database.
fn with_database(url: &str, name: &str) -> Result<String> {
    let mut url = parsed(url)?;
    url.set_path(name);
    Ok(url.into())
}

/// The database of the server from which others are made.
fn maintenance_url(url: &str) -> Result<String> {
    with_database(url, "postgres")
}
