//! A session: one login of one person, from the password to the logout. Its id is the `sid` of the access tokens, and
//! its refresh tokens are one family: they are revoked together, by revoking the session.
//!
//! `generation` and `used_token_id` say how far the family has come: the highest generation of which a token was used,
//! and which token of it that was. Moving them is one compare-and-set, so of two requests with the same token exactly
//! one moves the family on.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

/// One session.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "session")]
pub struct Model {
    /// The session's id, `sid` in its access tokens.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant, for a session of an account.
    pub tenant_id: Option<Uuid>,
    /// Whose session it is, if an account's.
    pub account_id: Option<Uuid>,
    /// Whose session it is, if a platform administrator's.
    pub platform_admin_id: Option<Uuid>,
    /// The highest generation of which a refresh token was used; 0 at login.
    pub generation: i32,
    /// The token of that generation that was used.
    pub used_token_id: Option<Uuid>,
    /// The browser or program, as it names itself, cut to 200 characters.
    #[sea_orm(column_type = "Text", nullable)]
    pub user_agent: Option<String>,
    /// The address from which the login came.
    #[sea_orm(column_type = "Text", nullable)]
    pub address: Option<String>,
    /// When the login was.
    pub created_at: DateTimeUtc,
    /// When a token was last issued.
    pub refreshed_at: DateTimeUtc,
    /// When the session ends, however often it is refreshed.
    pub expires_at: DateTimeUtc,
    /// When it was ended before that.
    pub revoked_at: Option<DateTimeUtc>,
    /// Why.
    pub revocation_reason: Option<RevocationReason>,
}

/// Why a session was ended early.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize, async_graphql::Enum,
)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RevocationReason {
    /// The person logged out.
    Logout,
    /// The password was changed or reset.
    PasswordChanged,
    /// The account was disabled or deleted.
    AccountDisabled,
    /// A refresh token was presented that had been replaced: it may be in a stranger's hands.
    TokenReused,
}

/// What a session refers to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// Whose session it is.
    #[sea_orm(belongs_to = "super::account::Entity", from = "Column::AccountId", to = "super::account::Column::Id")]
    Account,
    /// Whose session it is.
    #[sea_orm(
        belongs_to = "super::platform_admin::Entity",
        from = "Column::PlatformAdminId",
        to = "super::platform_admin::Column::Id"
    )]
    PlatformAdmin,
    /// The tokens that prolong it.
    #[sea_orm(has_many = "super::refresh_token::Entity")]
    RefreshToken,
}

impl Related<super::account::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Account.def()
    }
}

impl Related<super::platform_admin::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::PlatformAdmin.def()
    }
}

impl Related<super::refresh_token::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::RefreshToken.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
