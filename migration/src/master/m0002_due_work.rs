//! What is due in which tenant.
//!
//! It is looked up by what is due soonest. A tenant takes its rows along.

use sea_orm_migration::prelude::*;

use crate::columns::{big_integer, index, integer, text, text_null, time_null, uuid};

/// See the module.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let of_tenant =
            ForeignKey::create().from_col("tenant_id").to("tenant", "id").on_delete(ForeignKeyAction::Cascade).take();
        let due_work = Table::create()
            .table("due_work")
            .col(uuid("tenant_id"))
            .col(text("kind"))
            .col(time_null("due_at"))
            .col(big_integer("gen"))
            .col(time_null("marked_until"))
            .col(text_null("lease_owner"))
            .col(time_null("lease_until"))
            .col(big_integer("lease_epoch"))
            .col(integer("failures"))
            .col(text_null("last_error"))
            .primary_key(Index::create().col("tenant_id").col("kind"))
            .foreign_key(&mut of_tenant.clone())
            .take();
        manager.create_table(due_work).await?;
        manager.create_index(index("due_work", &["due_at"])).await
    }
}
