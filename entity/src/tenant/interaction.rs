//! An interaction: something that happened between the tenant and the people it deals with.

use sea_orm::entity::prelude::*;

use super::user;
use crate::record::{Record, Relation as Link, one};

crate::value_set! {
    /// How people came together.
    InteractionType {
        /// A phone call.
        Call,
        /// An e-mail.
        Email,
        /// A meeting.
        Meeting,
        /// A chat.
        Chat,
        /// A note of what happened otherwise.
        Note,
        /// A post or message on a social network.
        Social,
    }
}

crate::value_set! {
    /// Who began an interaction.
    InteractionDirection {
        /// The other side.
        Inbound,
        /// The tenant.
        Outbound,
    }
}

crate::tenant_table! {
    /// Something that happened between the tenant and the people it deals with.
    "interaction" {
        /// CALL, EMAIL, MEETING, CHAT, NOTE or SOCIAL.
        pub r#type: InteractionType,
        /// Who began it, where somebody did.
        pub direction: Option<InteractionDirection>,
        /// When it happened.
        pub occurred_at: DateTimeUtc,
        /// How long it took.
        pub duration_seconds: Option<i32>,
        /// What it was about.
        #[sea_orm(column_type = "String(StringLen::N(200))")]
        pub subject: String,
        /// `subject` folded.
        pub subject_folded: String,
        /// What was said or written.
        #[sea_orm(column_type = "String(StringLen::N(20000))", nullable)]
        pub body: Option<String>,
        /// The record it was about: the stem of its type.
        #[sea_orm(column_type = "String(StringLen::N(32))", nullable)]
        pub related_type: Option<String>,
        /// The record it was about.
        pub related_id: Option<Uuid>,
        /// The user who took part.
        pub owner_id: Uuid,
        /// The id in the system that reported it, unique where present.
        #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
        pub external_reference: Option<String>,
    }
}

impl Record for Entity {
    const NAME: &'static str = "interaction";
    const MODULE: &'static str = "interactions";
    const ORDER: (&'static str, bool) = ("occurred_at", true);

    fn relations() -> Vec<Link> {
        vec![one::<user::Entity>("owner", "owner_id")]
    }

    crate::record_meta!();
}
