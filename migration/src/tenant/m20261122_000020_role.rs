//! Roles, the tenant's side of them.

use sea_orm_migration::prelude::*;

use super::record::{RecordTable, unique};
use crate::columns::{boolean, json, text, text_null};

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
            name: "role",
            columns: vec![
                text("name"),
                text("name_folded"),
                text_null("description"),
                text("scope"),
                boolean("is_built_in"),
                json("permissions"),
            ],
            references: &[],
            indexes: vec![unique("name_folded")],
        }
        .create(manager)
        .await?;
        // The users of a role.
        let users = "CREATE INDEX ix_user_role_id ON \"user\" (\"role_id\", created_at, id) WHERE is_deleted = FALSE";
        manager.get_connection().execute_unprepared(users).await?;
        Ok(())
    }
}
