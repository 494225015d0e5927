//! A platform administrator: provisions, suspends and removes tenants, and reads no tenant's data. It is a table of
//! its own and not a flag of an account, so that no mistake with accounts can make one.

use sea_orm::entity::prelude::*;

/// One platform administrator.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "platform_admin")]
pub struct Model {
    /// The administrator's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The e-mail address as the person wrote it.
    #[sea_orm(column_type = "Text")]
    pub email: String,
    /// The address folded for comparison, by which it is found.
    #[sea_orm(column_type = "Text", unique)]
    pub email_folded: String,
    /// The password as an Argon2id PHC string.
    #[sea_orm(column_type = "Text")]
    pub password_hash: String,
    /// Whether the administrator may come in.
    pub status: PlatformAdminStatus,
    /// Access tokens of an earlier epoch are refused.
    pub epoch: i32,
    /// When the administrator last logged in.
    pub last_login_at: Option<DateTimeUtc>,
    /// When the row was made.
    pub created_at: DateTimeUtc,
    /// When the row last changed.
    pub updated_at: DateTimeUtc,
}

/// Whether a platform administrator may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PlatformAdminStatus {
    /// May come in.
    Active,
    /// May not come in.
    Disabled,
}

/// What a platform administrator refers to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The administrator's logins.
    #[sea_orm(has_many = "super::session::Entity")]
    Session,
}

impl Related<super::session::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Session.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
