//! API keys, the tenant's side of them.

use sea_orm_migration::prelude::*;

use super::record::{RecordTable, index};
use crate::columns::{json, text, time_null, uuid};

/// This migration.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        RecordTable {
            name: "api_key",
            columns: vec![
                text("name"),
                text("name_folded"),
                text("prefix"),
                uuid("owner_id"),
                json("permissions"),
                text("data_scope"),
                time_null("expires_at"),
                time_null("revoked_at"),
            ],
            references: &[("owner_id", "user")],
            indexes: vec![index("name_folded, id")],
        }
        .create(manager)
        .await
    }
}
