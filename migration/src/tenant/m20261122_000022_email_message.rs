//! Outgoing e-mail.

use sea_orm_migration::prelude::*;

use crate::columns;

/// This migration.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let email_message = Table::create()
            .table("email_message")
            .col(columns::id())
            .col(columns::uuid("tenant_id"))
            .col(columns::text("recipient"))
            .col(columns::text("template"))
            .col(columns::json("variables"))
            .col(columns::text("status"))
            .col(columns::integer("attempts"))
            .col(columns::time("created_at"))
            .col(columns::time("next_attempt_at"))
            .col(columns::time_null("sent_at"))
            .col(columns::text_null("last_error"))
            .take();
        manager.create_table(email_message).await?;
        // What is due, for the mailer.
        let due = "CREATE INDEX ix_email_message_due ON email_message (next_attempt_at, id) WHERE status = 'QUEUED'";
        manager.get_connection().execute_unprepared(due).await?;
        Ok(())
    }
}
