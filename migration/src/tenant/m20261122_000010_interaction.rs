//! Interactions.

use sea_orm_migration::prelude::*;

use super::record::{Index, RecordTable, index};
use crate::columns::{integer_null, text, text_null, time, uuid, uuid_null};

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
            name: "interaction",
            columns: vec![
                text("type"),
                text_null("direction"),
                time("occurred_at"),
                integer_null("duration_seconds"),
                text("subject"),
                text("subject_folded"),
                text_null("body"),
                text_null("related_type"),
                uuid_null("related_id"),
                uuid("owner_id"),
                text_null("external_reference"),
            ],
            references: &[("owner_id", "user")],
            indexes: vec![
                index("occurred_at, id"),
                Index { columns: "related_id, occurred_at, id", unique: false, only: Some("related_id IS NOT NULL") },
                index("owner_id, occurred_at, id"),
            ],
        }
        .create(manager)
        .await
    }
}
