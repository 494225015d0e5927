//! Webhooks, their secrets, their deliveries and the attempts at them.

use sea_orm_migration::prelude::*;

use super::record::{RecordTable, index};
use crate::columns::{
    self, big_integer_null, boolean, id, integer, integer_null, json, json_null, text, text_null, time, time_null, uuid,
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
            name: "webhook",
            columns: vec![
                text("name"),
                text("name_folded"),
                text("url"),
                json("events"),
                json_null("condition"),
                text("retry_schedule"),
                text("status"),
                time("secret_changed_at"),
                text_null("disabled_reason"),
                time_null("last_success_at"),
                time_null("failing_since"),
            ],
            references: &[],
            indexes: vec![index("name_folded, id"), index("created_by, created_at, id")],
        }
        .create(manager)
        .await?;
        let secret = Table::create()
            .table("webhook_secret")
            .col(id())
            .col(uuid("tenant_id"))
            .col(uuid("webhook_id"))
            .col(text("sealed"))
            .col(time("created_at"))
            .col(time_null("expires_at"))
            .foreign_key(ForeignKey::create().from("webhook_secret", "webhook_id").to("webhook", "id"))
            .take();
        manager.create_table(secret).await?;
        manager.create_index(columns::index("webhook_secret", &["webhook_id"])).await?;
        let delivery = Table::create()
            .table("webhook_delivery")
            .col(id())
            .col(uuid("tenant_id"))
            .col(uuid("webhook_id"))
            .col(time("created_at"))
            .col(big_integer_null("sequence"))
            .col(uuid("event_id"))
            .col(text("event"))
            .col(text("record_type"))
            .col(uuid("record_id"))
            .col(text("body"))
            .col(text("status"))
            .col(integer("attempt_count"))
            .col(time_null("next_attempt_at"))
            .col(time_null("finished_at"))
            .col(integer_null("last_status_code"))
            .col(text_null("last_error"))
            .foreign_key(ForeignKey::create().from("webhook_delivery", "webhook_id").to("webhook", "id"))
            .take();
        manager.create_table(delivery).await?;
        // An event goes to a webhook once, however often it is consumed.
        manager.create_index(columns::unique("webhook_delivery", &["webhook_id", "event_id"])).await?;
        manager.create_index(columns::index("webhook_delivery", &["created_at", "id"])).await?;
        manager.create_index(columns::index("webhook_delivery", &["webhook_id", "created_at", "id"])).await?;
        manager.create_index(columns::index("webhook_delivery", &["webhook_id", "sequence"])).await?;
        let attempt = Table::create()
            .table("webhook_attempt")
            .col(id())
            .col(uuid("tenant_id"))
            .col(uuid("delivery_id"))
            .col(time("created_at"))
            .col(integer("number"))
            .col(integer("duration_ms"))
            .col(integer_null("status_code"))
            .col(text_null("failure"))
            .col(text_null("error"))
            .col(json("response_headers"))
            .col(text_null("response_body"))
            .col(boolean("response_truncated"))
            .foreign_key(ForeignKey::create().from("webhook_attempt", "delivery_id").to("webhook_delivery", "id"))
            .take();
        manager.create_table(attempt).await?;
        manager.create_index(columns::index("webhook_attempt", &["delivery_id", "created_at", "id"])).await?;
        // What is due, for the sender.
        let due = "CREATE INDEX ix_webhook_delivery_due ON webhook_delivery (webhook_id, next_attempt_at, sequence, id) \
                   WHERE status = 'PENDING'";
        manager.get_connection().execute_unprepared(due).await?;
        Ok(())
    }
}
