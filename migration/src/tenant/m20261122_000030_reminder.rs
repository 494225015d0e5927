//! Reminders that are still to come.

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
        let of_activity = ForeignKey::create()
            .from_col("activity_id")
            .to("activity", "id")
            .on_delete(ForeignKeyAction::Cascade)
            .take();
        let reminder = Table::create()
            .table("reminder")
            .col(columns::uuid("activity_id").primary_key().take())
            .col(columns::uuid("tenant_id"))
            .col(columns::time("due_at"))
            .foreign_key(&mut of_activity.clone())
            .take();
        manager.create_table(reminder).await?;
        manager.create_index(columns::index("reminder", &["due_at"])).await
    }
}
