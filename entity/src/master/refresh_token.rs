//! A refresh token: prolongs a session once. Tokens stay until their session is purged, so that an old one that comes
//! back is recognised.

use sea_orm::entity::prelude::*;

/// One refresh token.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "refresh_token")]
pub struct Model {
    /// The token's id, which tells nothing of its secret.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The session that it prolongs.
    pub session_id: Uuid,
    /// 1 at login, and one more than the token for which it was given.
    pub generation: i32,
    /// The SHA-256 of the token.
    #[sea_orm(column_type = "Text", unique)]
    pub hash: String,
    /// When it was issued.
    pub created_at: DateTimeUtc,
    /// Until when it can be used.
    pub expires_at: DateTimeUtc,
    /// When it was first used.
    pub used_at: Option<DateTimeUtc>,
}

/// What a refresh token refers to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The session that it prolongs.
    #[sea_orm(belongs_to = "super::session::Entity", from = "Column::SessionId", to = "super::session::Column::Id")]
    Session,
}

impl Related<super::session::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Session.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
