//! Tickets.

use sea_orm_migration::prelude::*;

use super::record::{RecordTable, index, unique};
use crate::columns::{integer, json, text, text_null, time_null, uuid, uuid_null};

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
            name: "ticket",
            columns: vec![
                text("number"),
                text("number_folded"),
                uuid_null("customer_id"),
                uuid_null("contact_id"),
                text("title"),
                text("title_folded"),
                text_null("description"),
                text("status"),
                text("priority"),
                text("type"),
                text("channel"),
                uuid("owner_id"),
                time_null("first_responded_at"),
                time_null("resolved_at"),
                time_null("closed_at"),
                integer("reopened_count"),
                json("tags"),
                json("tags_folded"),
                text_null("external_reference"),
            ],
            references: &[("customer_id", "customer"), ("contact_id", "contact"), ("owner_id", "user")],
            indexes: vec![
                unique("number_folded"),
                index("customer_id, created_at, id"),
                index("contact_id, created_at, id"),
                index("status, created_at, id"),
            ],
        }
        .create(manager)
        .await
    }
}
