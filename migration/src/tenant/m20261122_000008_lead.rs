//! Leads.

use sea_orm_migration::prelude::*;

use super::record::{RecordTable, index};
use crate::columns::{big_integer_null, integer_null, text, text_null, uuid};

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
            name: "lead",
            columns: vec![
                text_null("title"),
                text_null("title_folded"),
                text_null("first_name"),
                text_null("first_name_folded"),
                text_null("last_name"),
                text_null("last_name_folded"),
                text_null("company_name"),
                text_null("company_name_folded"),
                text_null("email"),
                text_null("email_folded"),
                text_null("phone"),
                text_null("job_title"),
                text_null("job_title_folded"),
                text_null("industry"),
                text_null("industry_folded"),
                text_null("country"),
                text_null("country_folded"),
                text_null("source"),
                text_null("source_folded"),
                text("status"),
                text_null("disqualified_reason"),
                text_null("disqualified_reason_folded"),
                text_null("rating"),
                integer_null("score"),
                big_integer_null("budget"),
                text_null("currency"),
                uuid("owner_id"),
                text_null("external_reference"),
            ],
            references: &[("owner_id", "user")],
            indexes: vec![
                index("status, created_at, id"),
                index("last_name_folded, id"),
                index("company_name_folded, id"),
                index("email_folded"),
                index("score, id"),
            ],
        }
        .create(manager)
        .await
    }
}
