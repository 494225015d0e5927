//! Contacts.

use sea_orm_migration::prelude::*;

use super::record::{Index, RecordTable, index};
use crate::columns::{boolean, text, text_null, time_null, uuid};

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
            name: "contact",
            columns: vec![
                uuid("customer_id"),
                text_null("first_name"),
                text_null("first_name_folded"),
                text("last_name"),
                text("last_name_folded"),
                text_null("job_title"),
                text_null("job_title_folded"),
                text_null("department"),
                text_null("department_folded"),
                text_null("email"),
                text_null("email_folded"),
                text_null("phone"),
                boolean("is_primary"),
                boolean("marketing_consent"),
                time_null("marketing_consent_at"),
                text_null("marketing_consent_source"),
                uuid("owner_id"),
                text_null("external_reference"),
            ],
            references: &[("customer_id", "customer"), ("owner_id", "user")],
            indexes: vec![
                index("customer_id, created_at, id"),
                index("last_name_folded, id"),
                index("email_folded"),
                Index { columns: "customer_id", unique: true, only: Some("is_primary = TRUE") },
            ],
        }
        .create(manager)
        .await
    }
}
