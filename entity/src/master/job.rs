//! A job: one run of a recurring job, with what became of it.
//!
//! QUEUED → RUNNING → SUCCEEDED, or FAILED until its next attempt, or DEAD after the last one; a tick that came while an
//! earlier job was not done is SKIPPED. An attempt is counted when the job is claimed, so one that kills its process ends
//! as DEAD, too. There is one job for each tick: the recurring job and `scheduled_at` are unique together.

use sea_orm::entity::prelude::*;

/// One run of a job.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "job")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The recurring job whose tick it is; missing for one that somebody asked for by itself.
    #[sea_orm(column_type = "Text", nullable)]
    pub cron: Option<String>,
    /// What is to be done: the name of a job in the program.
    #[sea_orm(column_type = "Text")]
    pub kind: String,
    /// The tick, or when a person asked for it.
    pub scheduled_at: DateTimeUtc,
    /// Whether a person asked for it.
    pub manual: bool,
    /// How it stands.
    pub status: JobStatus,
    /// How many attempts have begun.
    pub attempts: i32,
    /// After how many it is given up.
    pub max_attempts: i32,
    /// When the next attempt may begin.
    pub run_after: DateTimeUtc,
    /// Until when its node may work on it, on the clock of the database server; it is renewed.
    pub lease_until: Option<DateTimeUtc>,
    /// Grows by one with each attempt: whoever began an earlier one can write nothing here any more.
    pub lease_epoch: i64,
    /// The node that works on it, or did last.
    #[sea_orm(column_type = "Text", nullable)]
    pub node: Option<String>,
    /// When it was put here.
    pub created_at: DateTimeUtc,
    /// When the last attempt began.
    pub started_at: Option<DateTimeUtc>,
    /// When it was done, given up or left out.
    pub finished_at: Option<DateTimeUtc>,
    /// Why the last attempt failed.
    #[sea_orm(column_type = "Text", nullable)]
    pub last_error: Option<String>,
    /// What it did, as counts by name.
    #[sea_orm(column_type = "JsonBinary")]
    pub summary: Json,
}

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, async_graphql::Enum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum JobStatus {
    /// Waits for a node.
    Queued,
    /// A node works on it.
    Running,
    /// Done.
    Succeeded,
    /// The last attempt failed; there will be another.
    Failed,
    /// Given up after the last attempt: a dead letter.
    Dead,
    /// Left out, because the job of an earlier tick was not done.
    Skipped,
}

/// What a job refers to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The recurring job.
    #[sea_orm(belongs_to = "super::cron::Entity", from = "Column::Cron", to = "super::cron::Column::Name")]
    Cron,
}

impl Related<super::cron::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Cron.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
