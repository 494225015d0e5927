//! Products.

use sea_orm_migration::prelude::*;

use super::record::{RecordTable, index, unique};
use crate::columns::{big_integer_null, boolean, text, text_null};

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
            name: "product",
            columns: vec![
                text("sku"),
                text("sku_folded"),
                text("name"),
                text("name_folded"),
                text_null("category"),
                text_null("category_folded"),
                text_null("description"),
                big_integer_null("unit_price"),
                text_null("currency"),
                big_integer_null("tax_rate"),
                boolean("is_active"),
                text_null("external_reference"),
            ],
            references: &[],
            indexes: vec![unique("sku_folded"), index("name_folded, id"), index("category_folded, id")],
        }
        .create(manager)
        .await
    }
}
