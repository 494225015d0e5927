//! A reminder that is still to come: when the owner of an activity wants to be reminded of it. It goes when that has
//! happened, so that it happens once.

use sea_orm::entity::prelude::*;

/// One reminder.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "reminder")]
pub struct Model {
    /// The activity.
    #[sea_orm(primary_key, auto_increment = false)]
    pub activity_id: Uuid,
    /// The tenant; every statement filters by it.
    pub tenant_id: Uuid,
    /// When.
    pub due_at: DateTimeUtc,
}

/// It is looked up from its activity's side alone.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
