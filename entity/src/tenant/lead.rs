//! A lead: somebody who may become a customer.

use sea_orm::entity::prelude::*;

use super::{activity, interaction, user};
use crate::record::{Record, Relation as Link, one, related};

crate::value_set! {
    /// How far a lead has come.
    LeadStatus {
        /// Nobody has spoken with them yet.
        New,
        /// Somebody has.
        Contacted,
        /// They fit and want to hear more.
        Qualified,
        /// They do not fit.
        Unqualified,
        /// They have become a customer.
        Converted,
    }
}

crate::value_set! {
    /// How promising a lead is.
    LeadRating {
        /// Very.
        Hot,
        /// Somewhat.
        Warm,
        /// Little.
        Cold,
    }
}

crate::tenant_table! {
    /// Somebody who may become a customer.
    "lead" {
        /// What it is about.
        #[sea_orm(column_type = "String(StringLen::N(200))", nullable)]
        pub title: Option<String>,
        /// `title` folded.
        pub title_folded: Option<String>,
        /// Given name.
        #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
        pub first_name: Option<String>,
        /// `first_name` folded.
        pub first_name_folded: Option<String>,
        /// Family name.
        #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
        pub last_name: Option<String>,
        /// `last_name` folded.
        pub last_name_folded: Option<String>,
        /// Where the person works.
        #[sea_orm(column_type = "String(StringLen::N(200))", nullable)]
        pub company_name: Option<String>,
        /// `company_name` folded.
        pub company_name_folded: Option<String>,
        /// The e-mail address.
        #[sea_orm(column_type = "String(StringLen::N(254))", nullable)]
        pub email: Option<String>,
        /// `email` folded.
        pub email_folded: Option<String>,
        /// The phone number, E.164.
        #[sea_orm(column_type = "String(StringLen::N(20))", nullable)]
        pub phone: Option<String>,
        /// What the person does.
        #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
        pub job_title: Option<String>,
        /// `job_title` folded.
        pub job_title_folded: Option<String>,
        /// The industry.
        #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
        pub industry: Option<String>,
        /// `industry` folded.
        pub industry_folded: Option<String>,
        /// The country.
        #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
        pub country: Option<String>,
        /// `country` folded.
        pub country_folded: Option<String>,
        /// Where the lead came from.
        #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
        pub source: Option<String>,
        /// `source` folded.
        pub source_folded: Option<String>,
        /// How far it has come.
        pub status: LeadStatus,
        /// Why it was disqualified.
        #[sea_orm(column_type = "String(StringLen::N(500))", nullable)]
        pub disqualified_reason: Option<String>,
        /// `disqualified_reason` folded.
        pub disqualified_reason_folded: Option<String>,
        /// How promising it is.
        pub rating: Option<LeadRating>,
        /// How promising it is, from 0 to 100.
        pub score: Option<i32>,
        /// What they can spend, in minor units of `currency`.
        #[sea_orm(column_type = "Money(None)", nullable)]
        pub budget: Option<i64>,
        /// The currency of the amounts, ISO 4217.
        #[sea_orm(column_type = "String(StringLen::N(3))", nullable)]
        pub currency: Option<String>,
        /// The user responsible.
        pub owner_id: Uuid,
        /// The id in the integrator's own system, unique where present.
        #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
        pub external_reference: Option<String>,
    }
}

impl Record for Entity {
    const NAME: &'static str = "lead";
    const MODULE: &'static str = "leads";

    fn relations() -> Vec<Link> {
        vec![
            one::<user::Entity>("owner", "owner_id"),
            related::<activity::Entity>("activities", "lead"),
            related::<interaction::Entity>("interactions", "lead"),
        ]
    }

    crate::record_meta!();
}
