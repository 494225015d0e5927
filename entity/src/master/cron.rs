//! A job that recurs: when it is to run, and what becomes of ticks that were missed or come too early.
//!
//! `next_at` is stored, so that a restart loses no tick, and is moved by compare-and-set: of all nodes that see a tick due,
//! one moves it on and puts the job of the tick beside it, in one transaction.

use sea_orm::entity::prelude::*;

/// A job that recurs.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "cron")]
pub struct Model {
    /// The name of the job that it runs, such as `ProcessEmailQueueJob`.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub name: String,
    /// When, as a cron text of five fields: minute, hour, day of the month, month, day of the week.
    #[sea_orm(column_type = "Text")]
    pub schedule: String,
    /// The time zone of the schedule, by its IANA name.
    #[sea_orm(column_type = "Text")]
    pub time_zone: String,
    /// The next tick; missing when there is none any more.
    pub next_at: Option<DateTimeUtc>,
    /// What becomes of ticks that were missed.
    pub misfire: MisfirePolicy,
    /// How many of them are made up for, where the policy is to catch up.
    pub catch_up: i32,
    /// What becomes of a tick while the job of an earlier one is not done.
    pub overlap: OverlapPolicy,
    /// Whether its ticks are left out for now.
    pub paused: bool,
    /// Grows by one with each change of what people set.
    pub version: i32,
    /// When it was first declared.
    pub created_at: DateTimeUtc,
    /// When people last changed it.
    pub updated_at: DateTimeUtc,
}

/// What becomes of ticks that were missed because no node was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, async_graphql::Enum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MisfirePolicy {
    /// The last one stands for all of them.
    Coalesce,
    /// The last few are made up for, as many as `catchUp` says.
    CatchUp,
    /// They are left out.
    Skip,
}

/// What becomes of a tick while the job of an earlier one waits or runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, async_graphql::Enum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OverlapPolicy {
    /// It is left out; its job is on record as SKIPPED.
    Skip,
    /// Its job waits until the earlier one is done.
    Queue,
}

/// What a recurring job refers to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The jobs of its ticks.
    #[sea_orm(has_many = "super::job::Entity")]
    Job,
}

impl Related<super::job::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Job.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
