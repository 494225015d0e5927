//! Pipelines and their stages.

use sea_orm_migration::prelude::*;

use super::record::{Index, RecordTable, index, unique};
use crate::columns::{boolean, integer, integer_null, text, text_null, uuid};

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
            name: "pipeline",
            columns: vec![text("name"), text("name_folded"), boolean("is_default"), text_null("external_reference")],
            references: &[],
            indexes: vec![
                unique("name_folded"),
                Index { columns: "is_default", unique: true, only: Some("is_default = TRUE") },
            ],
        }
        .create(manager)
        .await?;
        RecordTable {
            name: "pipeline_stage",
            columns: vec![
                uuid("pipeline_id"),
                text("name"),
                text("name_folded"),
                integer("position"),
                integer("probability"),
                text("kind"),
                integer_null("rot_after_days"),
            ],
            references: &[("pipeline_id", "pipeline")],
            indexes: vec![index("pipeline_id, position, id")],
        }
        .create(manager)
        .await
    }
}
