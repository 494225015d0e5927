//! An opportunity: a deal that may be won.

use sea_orm::entity::prelude::*;

use super::{
    activity, contact, customer, interaction, opportunity_line, opportunity_stage_change, pipeline, pipeline_stage,
    user,
};
use crate::record::{Record, Relation as Link, many, one, related};

crate::value_set! {
    /// How an opportunity stands.
    OpportunityStatus {
        /// Still being worked on.
        Open,
        /// The customer bought.
        Won,
        /// The customer did not buy.
        Lost,
    }
}

crate::tenant_table! {
    /// A deal that may be won.
    "opportunity" {
        /// What the deal is about.
        #[sea_orm(column_type = "String(StringLen::N(200))")]
        pub title: String,
        /// `title` folded.
        pub title_folded: String,
        /// Who may buy; an opportunity can start without one.
        pub customer_id: Option<Uuid>,
        /// The person to talk to.
        pub primary_contact_id: Option<Uuid>,
        /// The way it takes.
        pub pipeline_id: Uuid,
        /// How far it has come on it.
        pub stage_id: Uuid,
        /// Since when it has been there.
        pub stage_changed_at: DateTimeUtc,
        /// When work on it began.
        pub engaged_at: Option<DateTimeUtc>,
        /// What it is worth, in minor units of `currency`: the sum of its lines where it has any.
        #[sea_orm(column_type = "Money(None)", nullable)]
        pub value: Option<i64>,
        /// The currency of the amounts, ISO 4217.
        #[sea_orm(column_type = "String(StringLen::N(3))", nullable)]
        pub currency: Option<String>,
        /// How likely it is to be won, in percent.
        pub probability: i32,
        /// When it should be decided.
        pub expected_close_date: Option<Date>,
        /// OPEN, WON or LOST.
        pub status: OpportunityStatus,
        /// When it was won or lost.
        pub closed_at: Option<DateTimeUtc>,
        /// Why it was lost.
        #[sea_orm(column_type = "String(StringLen::N(500))", nullable)]
        pub lost_reason: Option<String>,
        /// `lost_reason` folded.
        pub lost_reason_folded: Option<String>,
        /// Where it came from.
        #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
        pub source: Option<String>,
        /// `source` folded.
        pub source_folded: Option<String>,
        /// What to do next.
        #[sea_orm(column_type = "String(StringLen::N(500))", nullable)]
        pub next_step: Option<String>,
        /// `next_step` folded.
        pub next_step_folded: Option<String>,
        /// The user responsible.
        pub owner_id: Uuid,
        /// The id in the integrator's own system, unique where present.
        #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
        pub external_reference: Option<String>,
    }
}

impl Record for Entity {
    const NAME: &'static str = "opportunity";
    const MODULE: &'static str = "opportunities";

    fn relations() -> Vec<Link> {
        vec![
            one::<customer::Entity>("customer", "customer_id"),
            one::<contact::Entity>("primaryContact", "primary_contact_id"),
            one::<pipeline::Entity>("pipeline", "pipeline_id"),
            one::<pipeline_stage::Entity>("stage", "stage_id"),
            one::<user::Entity>("owner", "owner_id"),
            many::<opportunity_line::Entity>("lines", "opportunity_id"),
            many::<opportunity_stage_change::Entity>("stageChanges", "opportunity_id"),
            related::<activity::Entity>("activities", "opportunity"),
            related::<interaction::Entity>("interactions", "opportunity"),
        ]
    }

    crate::record_meta!();
}
