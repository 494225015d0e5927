//! Opportunities, their lines and their moves.

use sea_orm_migration::prelude::*;

use super::record::{RecordTable, index};
use crate::columns::{
    big_integer, big_integer_null, date_null, integer, text, text_null, time, time_null, uuid, uuid_null,
};

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
            name: "opportunity",
            columns: vec![
                text("title"),
                text("title_folded"),
                uuid_null("customer_id"),
                uuid_null("primary_contact_id"),
                uuid("pipeline_id"),
                uuid("stage_id"),
                time("stage_changed_at"),
                time_null("engaged_at"),
                big_integer_null("value"),
                text_null("currency"),
                integer("probability"),
                date_null("expected_close_date"),
                text("status"),
                time_null("closed_at"),
                text_null("lost_reason"),
                text_null("lost_reason_folded"),
                text_null("source"),
                text_null("source_folded"),
                text_null("next_step"),
                text_null("next_step_folded"),
                uuid("owner_id"),
                text_null("external_reference"),
            ],
            references: &[
                ("customer_id", "customer"),
                ("primary_contact_id", "contact"),
                ("pipeline_id", "pipeline"),
                ("stage_id", "pipeline_stage"),
                ("owner_id", "user"),
            ],
            indexes: vec![
                index("customer_id, created_at, id"),
                index("primary_contact_id"),
                index("status, created_at, id"),
                index("expected_close_date, id"),
                index("stage_id, created_at, id"),
                index("pipeline_id, created_at, id"),
            ],
        }
        .create(manager)
        .await?;
        RecordTable {
            name: "opportunity_line",
            columns: vec![
                uuid("opportunity_id"),
                uuid_null("product_id"),
                text("description"),
                text("description_folded"),
                big_integer("quantity"),
                big_integer("unit_price"),
                big_integer("discount_percent"),
                big_integer("total"),
                text("currency"),
                integer("position"),
            ],
            references: &[("opportunity_id", "opportunity"), ("product_id", "product")],
            indexes: vec![index("opportunity_id, position, id"), index("product_id, position, id")],
        }
        .create(manager)
        .await?;
        RecordTable {
            name: "opportunity_stage_change",
            columns: vec![
                uuid("opportunity_id"),
                uuid_null("from_stage_id"),
                text_null("from_stage_name"),
                uuid("to_stage_id"),
                text("to_stage_name"),
                big_integer_null("seconds_in_stage"),
            ],
            references: &[
                ("opportunity_id", "opportunity"),
                ("from_stage_id", "pipeline_stage"),
                ("to_stage_id", "pipeline_stage"),
            ],
            indexes: vec![
                index("opportunity_id, created_at, id"),
                index("to_stage_id, created_at, id"),
                index("from_stage_id, created_at, id"),
            ],
        }
        .create(manager)
        .await
    }
}
