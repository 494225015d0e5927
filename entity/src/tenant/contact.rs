//! A contact: a person at a customer.

use sea_orm::entity::prelude::*;

use super::{activity, customer, interaction, opportunity, ticket, ticket_comment, user};
use crate::record::{Record, Relation as Link, many, one, related};

crate::tenant_table! {
    /// A person at a customer.
    "contact" {
        /// The customer the person belongs to.
        pub customer_id: Uuid,
        /// Given name.
        #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
        pub first_name: Option<String>,
        /// `first_name` folded.
        pub first_name_folded: Option<String>,
        /// Family name.
        #[sea_orm(column_type = "String(StringLen::N(100))")]
        pub last_name: String,
        /// `last_name` folded.
        pub last_name_folded: String,
        /// What the person does.
        #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
        pub job_title: Option<String>,
        /// `job_title` folded.
        pub job_title_folded: Option<String>,
        /// The part of the organisation.
        #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
        pub department: Option<String>,
        /// `department` folded.
        pub department_folded: Option<String>,
        /// The e-mail address.
        #[sea_orm(column_type = "String(StringLen::N(254))", nullable)]
        pub email: Option<String>,
        /// `email` folded.
        pub email_folded: Option<String>,
        /// The phone number, E.164.
        #[sea_orm(column_type = "String(StringLen::N(20))", nullable)]
        pub phone: Option<String>,
        /// Whether this is the customer's primary contact; each customer with contacts has exactly one.
        pub is_primary: bool,
        /// Whether the person agreed to marketing.
        pub marketing_consent: bool,
        /// When the person said so.
        pub marketing_consent_at: Option<DateTimeUtc>,
        /// How the person said so, such as `web form`.
        #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
        pub marketing_consent_source: Option<String>,
        /// The user responsible.
        pub owner_id: Uuid,
        /// The id in the integrator's own system, unique where present.
        #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
        pub external_reference: Option<String>,
    }
}

impl Record for Entity {
    const NAME: &'static str = "contact";
    const MODULE: &'static str = "contacts";

    fn relations() -> Vec<Link> {
        vec![
            one::<customer::Entity>("customer", "customer_id"),
            one::<user::Entity>("owner", "owner_id"),
            many::<opportunity::Entity>("opportunities", "primary_contact_id"),
            many::<ticket::Entity>("tickets", "contact_id"),
            many::<ticket_comment::Entity>("ticketComments", "contact_id"),
            related::<activity::Entity>("activities", "contact"),
            related::<interaction::Entity>("interactions", "contact"),
        ]
    }

    crate::record_meta!();
}
