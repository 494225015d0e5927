//! Recurring jobs, and the jobs of their ticks.
//!
//! Jobs are looked up by what waits or runs (a small part of them, with an index of its own), by the recurring job, and by
//! when they ended.

use sea_orm_migration::prelude::*;

use crate::columns::{
    big_integer, boolean, id, index, integer, json, text, text_null, time, time_null, timestamps, unique,
};

/// See the module.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut cron = Table::create()
            .table("cron")
            .col(text("name").primary_key().take())
            .col(text("schedule"))
            .col(text("time_zone"))
            .col(time_null("next_at"))
            .col(text("misfire"))
            .col(integer("catch_up"))
            .col(text("overlap"))
            .col(boolean("paused"))
            .col(integer("version"))
            .take();
        manager.create_table(timestamps(&mut cron).take()).await?;
        let of_cron =
            ForeignKey::create().from_col("cron").to("cron", "name").on_delete(ForeignKeyAction::Cascade).take();
        let job = Table::create()
            .table("job")
            .col(id())
            .col(text_null("cron"))
            .col(text("kind"))
            .col(time("scheduled_at"))
            .col(boolean("manual"))
            .col(text("status"))
            .col(integer("attempts"))
            .col(integer("max_attempts"))
            .col(time("run_after"))
            .col(time_null("lease_until"))
            .col(big_integer("lease_epoch"))
            .col(text_null("node"))
            .col(time("created_at"))
            .col(time_null("started_at"))
            .col(time_null("finished_at"))
            .col(text_null("last_error"))
            .col(json("summary"))
            .foreign_key(&mut of_cron.clone())
            .take();
        manager.create_table(job).await?;
        manager.create_index(unique("job", &["cron", "scheduled_at"])).await?;
        manager.create_index(index("job", &["finished_at"])).await?;
        manager
            .get_connection()
            .execute_unprepared(
                "CREATE INDEX job_open_idx ON job (run_after, id) WHERE status IN ('QUEUED', 'FAILED', 'RUNNING')",
            )
            .await?;
        Ok(())
    }
}
