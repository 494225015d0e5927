//! An outgoing e-mail: put here in the transaction of what it tells of, sent by the mailer afterwards.
//!
//! It is no record: its variables may hold a one-time link, which must get into no event and no audit entry. They
//! are emptied when the message has been sent.

use sea_orm::entity::prelude::*;

crate::value_set! {
    /// How far a message has come.
    EmailStatus {
        /// Waits to be sent.
        Queued,
        /// Was handed to the mail server.
        Sent,
        /// Was given up.
        Failed,
        /// The mail server refused the recipient.
        Bounced,
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "email_message")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant; every statement filters by it.
    pub tenant_id: Uuid,
    /// The address it goes to.
    #[sea_orm(column_type = "Text")]
    pub recipient: String,
    /// The name of the text to send, such as `invitation`.
    #[sea_orm(column_type = "Text")]
    pub template: String,
    /// What the text is filled with.
    #[sea_orm(column_type = "JsonBinary")]
    pub variables: Json,
    /// How far it has come.
    pub status: EmailStatus,
    /// How often it was tried.
    pub attempts: i32,
    /// When it was put here.
    pub created_at: DateTimeUtc,
    /// When it is to be tried next.
    pub next_attempt_at: DateTimeUtc,
    /// When it was sent.
    pub sent_at: Option<DateTimeUtc>,
    /// Why the last attempt failed.
    #[sea_orm(column_type = "Text", nullable)]
    pub last_error: Option<String>,
}

/// A message refers to nothing.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
