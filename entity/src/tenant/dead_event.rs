//! An event that a consumer of the outbox could not take, however often it tried: a dead letter. The event itself stays
//! in the outbox for as long as any other.

use sea_orm::entity::prelude::*;

/// One event that was passed over.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "dead_event")]
pub struct Model {
    /// The consumer's name.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub consumer: String,
    /// The event's number.
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    /// The tenant; every statement filters by it.
    pub tenant_id: Uuid,
    /// The event's id.
    pub event_id: Uuid,
    /// The event's name.
    #[sea_orm(column_type = "Text")]
    pub name: String,
    /// The record that it tells of.
    pub record_id: Uuid,
    /// How often it was tried.
    pub attempts: i32,
    /// Why it failed last.
    #[sea_orm(column_type = "Text")]
    pub reason: String,
    /// When it was given up.
    pub created_at: DateTimeUtc,
}

/// A dead letter refers to nothing.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
