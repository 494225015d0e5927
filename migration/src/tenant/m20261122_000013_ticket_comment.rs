//! Comments on tickets.

use sea_orm_migration::prelude::*;

use super::record::{RecordTable, index};
use crate::columns::{boolean, text, uuid, uuid_null};

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
            name: "ticket_comment",
            columns: vec![uuid("ticket_id"), text("body"), boolean("is_public"), uuid_null("contact_id")],
            references: &[("ticket_id", "ticket"), ("contact_id", "contact")],
            indexes: vec![index("ticket_id, created_at, id"), index("contact_id, created_at, id")],
        }
        .create(manager)
        .await
    }
}
