//! Activities.

use sea_orm_migration::prelude::*;

use super::record::{Index, RecordTable, index};
use crate::columns::{json, text, text_null, time_null, uuid, uuid_null};

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
            name: "activity",
            columns: vec![
                text("type"),
                text("subject"),
                text("subject_folded"),
                text_null("description"),
                text("status"),
                text("priority"),
                time_null("start_at"),
                time_null("due_at"),
                time_null("completed_at"),
                time_null("remind_at"),
                text_null("recurrence"),
                text_null("related_type"),
                uuid_null("related_id"),
                json("attendees"),
                uuid("owner_id"),
                text_null("external_reference"),
            ],
            references: &[("owner_id", "user")],
            indexes: vec![
                Index { columns: "related_id, created_at, id", unique: false, only: Some("related_id IS NOT NULL") },
                index("owner_id, due_at, id"),
                index("due_at, id"),
            ],
        }
        .create(manager)
        .await
    }
}
