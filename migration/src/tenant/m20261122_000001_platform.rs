//! What the platform keeps beside the records: whose database this is, the outbox with its head, the audit log, the
//! idempotency keys and the number series.

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
        // One row: the tenant that the database belongs to; checked whenever it is opened.
        let identity =
            Table::create().table("tenant_identity").col(columns::uuid("tenant_id").primary_key().take()).take();
        manager.create_table(identity).await?;

        // One row: the numbers of the newest event and audit entry, and the newest hash of the audit chain. It is
        // updated when all other work of a transaction is done, so that numbers are gapless and in commit order.
        let head = Table::create()
            .table("event_head")
            .col(columns::integer("id").primary_key().take())
            .col(columns::big_integer("event_seq"))
            .col(columns::big_integer("audit_seq"))
            .col(columns::text("audit_hash"))
            .take();
        manager.create_table(head).await?;
        manager
            .get_connection()
            .execute_unprepared("INSERT INTO event_head (id, event_seq, audit_seq, audit_hash) VALUES (1, 0, 0, '')")
            .await?;

        let event = Table::create()
            .table("event")
            .col(columns::big_integer("seq").primary_key().take())
            .col(columns::uuid("id"))
            .col(columns::uuid("tenant_id"))
            .col(columns::text("name"))
            .col(columns::text("record_type"))
            .col(columns::uuid("record_id"))
            .col(columns::uuid("actor_id"))
            .col(columns::time("occurred_at"))
            .col(columns::json("changed_fields"))
            .col(columns::json("data"))
            .col(columns::json("previous"))
            .take();
        manager.create_table(event).await?;

        let audit_log = Table::create()
            .table("audit_log")
            .col(columns::id())
            .col(columns::uuid("tenant_id"))
            .col(columns::big_integer("seq"))
            .col(columns::time("created_at"))
            .col(columns::uuid("actor_id"))
            .col(columns::text("actor_kind"))
            .col(columns::text("action"))
            .col(columns::text("record_type"))
            .col(columns::uuid("record_id"))
            .col(columns::integer("record_version"))
            .col(columns::json("changes"))
            .col(columns::text("salt"))
            .col(columns::text("commitment"))
            .col(columns::text("hash"))
            .take();
        manager.create_table(audit_log).await?;

        let idempotency_key = Table::create()
            .table("idempotency_key")
            .col(columns::uuid("tenant_id"))
            .col(columns::uuid("actor_id"))
            .col(columns::text("key"))
            .col(columns::integer("step"))
            .col(columns::text("body_hash"))
            .col(columns::json("outcome"))
            .col(columns::time("created_at"))
            .primary_key(Index::create().col("actor_id").col("key").col("step"))
            .take();
        manager.create_table(idempotency_key).await?;

        let number_series = Table::create()
            .table("number_series")
            .col(columns::text("name").primary_key().take())
            .col(columns::uuid("tenant_id"))
            .col(columns::big_integer("last"))
            .take();
        manager.create_table(number_series).await?;

        for sql in [
            "CREATE UNIQUE INDEX uq_audit_log_seq ON audit_log (seq)",
            "CREATE INDEX ix_audit_log_record ON audit_log (record_id, seq)",
            "CREATE INDEX ix_audit_log_actor ON audit_log (actor_id, created_at, id)",
            "CREATE INDEX ix_audit_log_created_at ON audit_log (created_at, id)",
            "CREATE INDEX ix_idempotency_key_created_at ON idempotency_key (created_at)",
        ] {
            manager.get_connection().execute_unprepared(sql).await?;
        }
        Ok(())
    }
}
