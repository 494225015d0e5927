//! A permission in a role. A row each, and not a list inside the role, so that a migration which renames or splits a
//! permission is one plain statement on both engines.
//!
//! Which permissions there are is said in code, once; a row that names none of them grants nothing.

use sea_orm::entity::prelude::*;

/// One permission in one role.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "role_permission")]
pub struct Model {
    /// The role.
    #[sea_orm(primary_key, auto_increment = false)]
    pub role_id: Uuid,
    /// The permission's name, such as `customers.write`.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub permission: String,
}

/// What a role's permission refers to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The role.
    #[sea_orm(belongs_to = "super::role::Entity", from = "Column::RoleId", to = "super::role::Column::Id")]
    Role,
}

impl Related<super::role::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Role.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
