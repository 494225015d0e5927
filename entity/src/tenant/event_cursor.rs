//! How far a consumer of the outbox has come in this tenant.

use sea_orm::entity::prelude::*;

/// One consumer.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event_cursor")]
pub struct Model {
    /// Its name, such as `notification`.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub consumer: String,
    /// The tenant; every statement filters by it.
    pub tenant_id: Uuid,
    /// The number of the last event that it has dealt with.
    pub position: i64,
    /// How often the next one has failed.
    pub failures: i32,
    /// Why it failed last.
    #[sea_orm(column_type = "Text", nullable)]
    pub last_error: Option<String>,
}

/// A cursor refers to nothing.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
