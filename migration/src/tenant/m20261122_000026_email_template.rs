//! The texts of e-mails that a tenant has changed.

use sea_orm_migration::prelude::*;

use super::record::{RecordTable, unique};
use crate::columns::text;

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
            name: "email_template",
            columns: vec![text("name"), text("subject"), text("text"), text("html")],
            references: &[],
            indexes: vec![unique("name")],
        }
        .create(manager)
        .await
    }
}
