//! Imports that are not finished.

use sea_orm_migration::prelude::*;

use crate::columns;

/// This migration.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let progress = Table::create()
            .table("import_progress")
            .col(columns::text("key").primary_key().take())
            .col(columns::uuid("tenant_id"))
            .col(columns::text("record"))
            .col(columns::integer("pass"))
            .col(columns::big_integer("byte"))
            .col(columns::big_integer("line"))
            .col(columns::big_integer("row"))
            .col(columns::big_integer("errors_length"))
            .col(columns::json("tally"))
            .col(columns::time("started_at"))
            .col(columns::time("updated_at"))
            .take();
        manager.create_table(progress).await?;
        let deferred = Table::create()
            .table("import_deferred")
            .col(columns::text("key"))
            .col(columns::big_integer("line"))
            .col(columns::uuid("tenant_id"))
            .col(columns::uuid("record_id"))
            .primary_key(Index::create().col("key").col("line"))
            .take();
        manager.create_table(deferred).await
    }
}
