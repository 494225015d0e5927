//! Users, the tenant's side of them.

use sea_orm_migration::prelude::*;

use super::record::{RecordTable, index, unique};
use crate::columns::{text, text_null, uuid_null};

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
            name: "user",
            columns: vec![
                text("name"),
                text("name_folded"),
                text("email"),
                text("email_folded"),
                text_null("job_title"),
                text_null("job_title_folded"),
                uuid_null("manager_id"),
                text("status"),
                uuid_null("role_id"),
                text_null("role_name"),
                text_null("role_name_folded"),
                text_null("external_reference"),
            ],
            references: &[("manager_id", "user")],
            indexes: vec![unique("email_folded"), index("name_folded, id"), index("manager_id")],
        }
        .create(manager)
        .await
    }
}
