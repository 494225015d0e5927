//! Customers.

use sea_orm_migration::prelude::*;

use super::record::{RecordTable, index};
use crate::columns::{big_integer_null, integer_null, json, text, text_null, uuid, uuid_null};

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
            name: "customer",
            columns: vec![
                text("name"),
                text("name_folded"),
                text("type"),
                text("status"),
                text_null("source"),
                text_null("source_folded"),
                text_null("industry"),
                text_null("industry_folded"),
                text_null("website"),
                text_null("website_folded"),
                text_null("email"),
                text_null("email_folded"),
                text_null("phone"),
                big_integer_null("annual_revenue"),
                text_null("currency"),
                integer_null("employee_count"),
                integer_null("founded_year"),
                text_null("address_street"),
                text_null("address_street_folded"),
                text_null("address_city"),
                text_null("address_city_folded"),
                text_null("address_region"),
                text_null("address_region_folded"),
                text_null("address_postal_code"),
                text_null("address_country"),
                text_null("address_country_folded"),
                uuid_null("parent_id"),
                json("tags"),
                json("tags_folded"),
                uuid("owner_id"),
                text_null("external_reference"),
            ],
            references: &[("parent_id", "customer"), ("owner_id", "user")],
            indexes: vec![
                index("name_folded, id"),
                index("status, created_at, id"),
                index("parent_id, created_at, id"),
            ],
        }
        .create(manager)
        .await
    }
}
