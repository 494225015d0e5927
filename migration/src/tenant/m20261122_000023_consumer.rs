//! How far each consumer of the outbox has come, and what it could not take.

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
        let cursor = Table::create()
            .table("event_cursor")
            .col(columns::text("consumer").primary_key().take())
            .col(columns::uuid("tenant_id"))
            .col(columns::big_integer("position"))
            .col(columns::integer("failures"))
            .col(columns::text_null("last_error"))
            .take();
        manager.create_table(cursor).await?;
        let dead = Table::create()
            .table("dead_event")
            .col(columns::text("consumer"))
            .col(columns::big_integer("seq"))
            .col(columns::uuid("tenant_id"))
            .col(columns::uuid("event_id"))
            .col(columns::text("name"))
            .col(columns::uuid("record_id"))
            .col(columns::integer("attempts"))
            .col(columns::text("reason"))
            .col(columns::time("created_at"))
            .primary_key(Index::create().col("consumer").col("seq"))
            .take();
        manager.create_table(dead).await
    }
}
