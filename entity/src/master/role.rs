//! A role: a named set of permissions in one tenant, and which records they reach.
//!
//! Built-in roles exist in every tenant from the start and cannot be changed or deleted.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

/// One role.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "role")]
pub struct Model {
    /// The role's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant whose role it is.
    pub tenant_id: Uuid,
    /// The role's name.
    #[sea_orm(column_type = "Text")]
    pub name: String,
    /// The name folded for comparison; unique in the tenant.
    #[sea_orm(column_type = "Text")]
    pub name_folded: String,
    /// What it is for.
    #[sea_orm(column_type = "Text", nullable)]
    pub description: Option<String>,
    /// Which records its permissions reach.
    pub scope: DataScope,
    /// Whether the platform defines it.
    pub is_built_in: bool,
    /// True until the tenant's own database knows of the latest change.
    pub mirror_pending: bool,
    /// Since when it is being deleted: the row goes as soon as the tenant's own database knows of it.
    pub deleted_at: Option<DateTimeUtc>,
    /// Grows by one with each change of the role or of its permissions.
    pub version: i32,
    /// When the role was made.
    pub created_at: DateTimeUtc,
    /// When the row last changed.
    pub updated_at: DateTimeUtc,
}

/// Which records a permission reaches.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    EnumIter,
    DeriveActiveEnum,
    Serialize,
    Deserialize,
    async_graphql::Enum,
)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DataScope {
    /// The records that the user created or owns.
    #[default]
    Own,
    /// Every record of the tenant.
    All,
}

impl DataScope {
    /// How the scope is stored.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "OWN",
            Self::All => "ALL",
        }
    }

    /// What both scopes reach.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, Self::All) => Self::All,
            _ => Self::Own,
        }
    }
}

/// What a role refers to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The tenant whose role it is.
    #[sea_orm(belongs_to = "super::tenant::Entity", from = "Column::TenantId", to = "super::tenant::Column::Id")]
    Tenant,
    /// The accounts that have the role.
    #[sea_orm(has_many = "super::account::Entity")]
    Account,
    /// The permissions in it.
    #[sea_orm(has_many = "super::role_permission::Entity")]
    Permission,
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

impl Related<super::role_permission::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Permission.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
