//! Notifications, and which of them a user wants where.

use sea_orm_migration::prelude::*;

use super::record::{Index, RecordTable, index, unique};
use crate::columns::{boolean, json, text, text_null, time_null, uuid, uuid_null};

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
            name: "notification",
            columns: vec![
                uuid("user_id"),
                text("kind"),
                text("title"),
                text_null("body"),
                uuid_null("actor_id"),
                text_null("related_type"),
                uuid_null("related_id"),
                json("channels"),
                time_null("read_at"),
            ],
            references: &[("user_id", "user"), ("actor_id", "user")],
            indexes: vec![
                index("user_id, created_at, id"),
                Index { columns: "user_id, id", unique: false, only: Some("read_at IS NULL") },
            ],
        }
        .create(manager)
        .await?;
        RecordTable {
            name: "notification_preference",
            columns: vec![uuid("user_id"), text("kind"), boolean("in_app"), boolean("email")],
            references: &[("user_id", "user")],
            indexes: vec![unique("user_id, kind")],
        }
        .create(manager)
        .await
    }
}
