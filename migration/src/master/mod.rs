//! The migrations of the master database.

use sea_orm_migration::prelude::*;

mod m0001_identity;
#[cfg(test)]
mod tests;

/// Brings the master database up to date.
pub struct MasterMigrator;

#[async_trait::async_trait]
impl MigratorTrait for MasterMigrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_identity::Migration)]
    }
}
