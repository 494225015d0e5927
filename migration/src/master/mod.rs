//! The migrations of the master database.

use sea_orm_migration::prelude::*;

mod m0001_identity;
mod m0002_due_work;
mod m0003_jobs;
#[cfg(test)]
mod tests;

/// Brings the master database up to date.
pub struct MasterMigrator;

#[async_trait::async_trait]
impl MigratorTrait for MasterMigrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_identity::Migration), Box::new(m0002_due_work::Migration), Box::new(m0003_jobs::Migration)]
    }
}
