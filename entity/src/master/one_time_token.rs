//! A one-time link: whoever holds it may set the account's password, once, until it expires. It is marked as used in
//! the transaction that sets the password.

use sea_orm::entity::prelude::*;

/// One link.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "one_time_token")]
pub struct Model {
    /// The link's id, which tells nothing of its secret.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The account whose password it sets.
    pub account_id: Uuid,
    /// What it was sent for.
    pub purpose: OneTimePurpose,
    /// The SHA-256 of the token in the link.
    #[sea_orm(column_type = "Text", unique)]
    pub hash: String,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// Until when it can be used.
    pub expires_at: DateTimeUtc,
    /// When it was used, or replaced by a later one.
    pub used_at: Option<DateTimeUtc>,
}

/// What a one-time link was sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OneTimePurpose {
    /// A forgotten password.
    Reset,
    /// An invitation.
    Invite,
}

/// What a one-time link refers to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The account whose password it sets.
    #[sea_orm(belongs_to = "super::account::Entity", from = "Column::AccountId", to = "super::account::Column::Id")]
    Account,
}

impl Related<super::account::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Account.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
