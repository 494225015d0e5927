//! The secrets that sign a webhook's deliveries, sealed. A webhook has one; while it is changed, the earlier one counts as
//! well until `expires_at`.
//!
//! It is no record: a secret gets into no event, no audit entry and no answer.

use sea_orm::entity::prelude::*;

/// One secret.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_secret")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant; every statement filters by it.
    pub tenant_id: Uuid,
    /// The webhook.
    pub webhook_id: Uuid,
    /// The secret, sealed for this row.
    #[sea_orm(column_type = "Text")]
    pub sealed: String,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// Until when it counts; missing for the newest.
    pub expires_at: Option<DateTimeUtc>,
}

/// SeaORM's own relations are not used.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
