//! A notification: what a user is told of, because it concerns him. It is his alone, whatever the DataScope of others.

use sea_orm::entity::prelude::*;

use super::user;
use crate::record::{Record, Relation as Link, Scope, one};

crate::value_set! {
    /// What a notification is about.
    NotificationKind {
        /// A record was given to the user.
        Assigned,
        /// Somebody named the user in a text.
        Mentioned,
        /// The reminder of an activity is due.
        Reminder,
        /// The requester has answered on a ticket of the user.
        TicketReply,
        /// A ticket of the user comes close to missing its target.
        SlaWarning,
        /// A ticket of the user has missed its target.
        SlaBreached,
        /// A webhook of the user was switched off, because nothing but failures came of it.
        WebhookDisabled,
    }
}

crate::value_set! {
    /// How a user hears of something.
    NotificationChannel {
        /// In the application: in the list of notifications, and live.
        InApp,
        /// By e-mail.
        Email,
    }
}

crate::tenant_table! {
    /// What a user is told of.
    "notification" {
        /// Who is told.
        pub user_id: Uuid,
        /// What it is about.
        pub kind: NotificationKind,
        /// What happened, in one line.
        #[sea_orm(column_type = "String(StringLen::N(300))")]
        pub title: String,
        /// More of it.
        #[sea_orm(column_type = "String(StringLen::N(1000))", nullable)]
        pub body: Option<String>,
        /// The user who did it; empty for the platform.
        pub actor_id: Option<Uuid>,
        /// The record it is about: the stem of its type.
        #[sea_orm(column_type = "String(StringLen::N(32))", nullable)]
        pub related_type: Option<String>,
        /// The record it is about.
        pub related_id: Option<Uuid>,
        /// How the user heard of it: a JSON array of channels.
        #[sea_orm(column_type = "Json")]
        pub channels: Json,
        /// When the user read it.
        pub read_at: Option<DateTimeUtc>,
    }
}

impl Record for Entity {
    const NAME: &'static str = "notification";
    const MODULE: &'static str = "notifications";
    const SCOPE: Scope = Scope::Personal { column: "user_id" };
    // What somebody was told, and whether he has read it, is his own business.
    const AUDITED: bool = false;

    fn relations() -> Vec<Link> {
        vec![one::<user::Entity>("user", "user_id"), one::<user::Entity>("actor", "actor_id")]
    }

    crate::record_meta!();
}
