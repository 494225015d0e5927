//! An API key: a program that acts for the account that made it, within the key's scopes and never beyond what that
//! account may do at the time of the request.

use sea_orm::{FromJsonQueryResult, entity::prelude::*};
use serde::{Deserialize, Serialize};

use super::role::DataScope;

/// One API key.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_key")]
pub struct Model {
    /// The key's id, which tells nothing of its secret.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant in which it acts.
    pub tenant_id: Uuid,
    /// The account that made it and for which it acts.
    pub account_id: Uuid,
    /// What it is for.
    #[sea_orm(column_type = "Text")]
    pub name: String,
    /// The eight characters by which the key is found and shown.
    #[sea_orm(column_type = "Text", unique)]
    pub prefix: String,
    /// The SHA-256 of the key.
    #[sea_orm(column_type = "Text")]
    pub hash: String,
    /// What it may do at most.
    #[sea_orm(column_type = "JsonBinary")]
    pub scopes: Scopes,
    /// Which records it reaches at most.
    pub data_scope: DataScope,
    /// Until when it can be used; missing: until it is revoked.
    pub expires_at: Option<DateTimeUtc>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTimeUtc>,
    /// When it was revoked.
    pub revoked_at: Option<DateTimeUtc>,
    /// True until the tenant's own database knows of the latest change.
    pub mirror_pending: bool,
    /// Grows by one with each change, uses not counted.
    pub version: i32,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// When the row last changed, uses not counted.
    pub updated_at: DateTimeUtc,
}

/// The names of the permissions of an API key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
#[serde(transparent)]
pub struct Scopes(pub Vec<String>);

/// What an API key refers to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The tenant in which it acts.
    #[sea_orm(belongs_to = "super::tenant::Entity", from = "Column::TenantId", to = "super::tenant::Column::Id")]
    Tenant,
    /// The account that made it.
    #[sea_orm(belongs_to = "super::account::Entity", from = "Column::AccountId", to = "super::account::Column::Id")]
    Account,
}

impl Related<super::tenant::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Tenant.def()
    }
}

impl Related<super::account::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Account.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
