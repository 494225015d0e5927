//! An activity: something a user plans to do and then does.

use sea_orm::entity::prelude::*;

pub use super::priority::Priority;
use super::user;
use crate::record::{Record, Relation as Link, one};

crate::value_set! {
    /// What kind of activity it is.
    ActivityType {
        /// Something to do.
        Task,
        /// A phone call.
        Call,
        /// A meeting.
        Meeting,
        /// An e-mail to write.
        Email,
    }
}

crate::value_set! {
    /// How an activity stands.
    ActivityStatus {
        /// To be done.
        Planned,
        /// Begun.
        InProgress,
        /// Done.
        Completed,
        /// Will not be done.
        Cancelled,
    }
}

crate::tenant_table! {
    /// Something a user plans to do and then does.
    "activity" {
        /// TASK, CALL, MEETING or EMAIL.
        pub r#type: ActivityType,
        /// What it is about.
        #[sea_orm(column_type = "String(StringLen::N(200))")]
        pub subject: String,
        /// `subject` folded.
        pub subject_folded: String,
        /// More about it.
        #[sea_orm(column_type = "String(StringLen::N(10000))", nullable)]
        pub description: Option<String>,
        /// How it stands.
        pub status: ActivityStatus,
        /// How much it matters.
        pub priority: Priority,
        /// When it begins.
        pub start_at: Option<DateTimeUtc>,
        /// When it must be done.
        pub due_at: Option<DateTimeUtc>,
        /// When it was done.
        pub completed_at: Option<DateTimeUtc>,
        /// When the owner wants to be reminded.
        pub remind_at: Option<DateTimeUtc>,
        /// How it repeats: an RRULE of RFC 5545.
        #[sea_orm(column_type = "String(StringLen::N(500))", nullable)]
        pub recurrence: Option<String>,
        /// The record it is about: the stem of its type.
        #[sea_orm(column_type = "String(StringLen::N(32))", nullable)]
        pub related_type: Option<String>,
        /// The record it is about.
        pub related_id: Option<Uuid>,
        /// Who takes part: a JSON array of e-mail addresses.
        #[sea_orm(column_type = "Json")]
        pub attendees: Json,
        /// The user who is to do it.
        pub owner_id: Uuid,
        /// The id in the integrator's own system, unique where present.
        #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
        pub external_reference: Option<String>,
    }
}

impl Record for Entity {
    const NAME: &'static str = "activity";
    const MODULE: &'static str = "activities";

    fn relations() -> Vec<Link> {
        vec![one::<user::Entity>("owner", "owner_id")]
    }

    crate::record_meta!();
}
