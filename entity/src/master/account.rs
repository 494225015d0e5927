//! An account: one person's way into one tenant. What others see of the person (name, job title, manager) is the
//! tenant's `user` record of the same id.
//!
//! An e-mail address may have an account in several tenants, and at most one in each.

use sea_orm::entity::prelude::*;

/// One account.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "account")]
pub struct Model {
    /// The account's id, which is the user's id in the tenant too.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant into which the account leads.
    pub tenant_id: Uuid,
    /// The e-mail address as the person wrote it.
    #[sea_orm(column_type = "Text")]
    pub email: String,
    /// The address folded for comparison, by which it is found.
    #[sea_orm(column_type = "Text")]
    pub email_folded: String,
    /// The password as an Argon2id PHC string; missing until an invitation is accepted.
    #[sea_orm(column_type = "Text", nullable)]
    pub password_hash: Option<String>,
    /// When the password was last set.
    pub password_changed_at: Option<DateTimeUtc>,
    /// Whether the account may come in.
    pub status: AccountStatus,
    /// What it may do.
    pub role_id: Uuid,
    /// Access tokens of an earlier epoch are refused.
    pub epoch: i32,
    /// When the account last logged in.
    pub last_login_at: Option<DateTimeUtc>,
    /// True until the tenant's `user` record agrees with this row.
    pub mirror_pending: bool,
    /// Grows by one with each change.
    pub version: i32,
    /// When the account was made.
    pub created_at: DateTimeUtc,
    /// When the row last changed.
    pub updated_at: DateTimeUtc,
}

/// Whether an account may come in: INVITED → ACTIVE ⇄ DISABLED, and DELETED until the tenant knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AccountStatus {
    /// Has not yet chosen a password.
    Invited,
    /// May come in.
    Active,
    /// May not come in; its sessions and keys are refused.
    Disabled,
    /// Is being deleted: the row goes as soon as the tenant's `user` record is marked as deleted.
    Deleted,
}

/// What an account refers to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The tenant into which it leads.
    #[sea_orm(belongs_to = "super::tenant::Entity", from = "Column::TenantId", to = "super::tenant::Column::Id")]
    Tenant,
    /// What it may do.
    #[sea_orm(belongs_to = "super::role::Entity", from = "Column::RoleId", to = "super::role::Column::Id")]
    Role,
    /// Its logins.
    #[sea_orm(has_many = "super::session::Entity")]
    Session,
}

impl Related<super::tenant::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Tenant.def()
    }
}

impl Related<super::role::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Role.def()
    }
}

impl Related<super::session::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Session.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
