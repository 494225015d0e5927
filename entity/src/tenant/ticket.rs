//! A ticket: something that a customer asks for or complains about.

use sea_orm::entity::prelude::*;

pub use super::priority::Priority;
use super::{activity, contact, customer, interaction, ticket_comment, user};
use crate::record::{Record, Relation as Link, many, one, related};

crate::value_set! {
    /// How a ticket stands.
    TicketStatus {
        /// Nobody has taken it up yet.
        New,
        /// It is being worked on.
        Open,
        /// It waits for the customer.
        Pending,
        /// It waits for somebody else.
        OnHold,
        /// The answer was given; the customer may still object.
        Resolved,
        /// It is over.
        Closed,
    }
}

crate::value_set! {
    /// What kind of ticket it is.
    TicketType {
        /// Somebody wants to know something.
        Question,
        /// Something does not work for somebody.
        Incident,
        /// The cause of one or more incidents.
        Problem,
        /// Somebody wants something to be done.
        Request,
    }
}

crate::value_set! {
    /// How a ticket came in.
    TicketChannel {
        /// By e-mail.
        Email,
        /// By phone.
        Phone,
        /// Through a form or a portal.
        Web,
        /// In a chat.
        Chat,
        /// Through a social network.
        Social,
        /// Face to face.
        InPerson,
        /// From another program.
        Api,
    }
}

crate::tenant_table! {
    /// Something that a customer asks for or complains about.
    "ticket" {
        /// The number that people name it by, `TKT-000001`: given once, in the order of creation and without gaps.
        #[sea_orm(column_type = "String(StringLen::N(32))")]
        pub number: String,
        /// `number` folded.
        pub number_folded: String,
        /// The customer it concerns.
        pub customer_id: Option<Uuid>,
        /// The person who asks, one of the customer's contacts.
        pub contact_id: Option<Uuid>,
        /// What it is about.
        #[sea_orm(column_type = "String(StringLen::N(200))")]
        pub title: String,
        /// `title` folded.
        pub title_folded: String,
        /// More about it.
        #[sea_orm(column_type = "String(StringLen::N(20000))", nullable)]
        pub description: Option<String>,
        /// How it stands.
        pub status: TicketStatus,
        /// How much it matters.
        pub priority: Priority,
        /// What kind of ticket it is.
        pub r#type: TicketType,
        /// How it came in.
        pub channel: TicketChannel,
        /// The user who works on it.
        pub owner_id: Uuid,
        /// When it was first answered in public.
        pub first_responded_at: Option<DateTimeUtc>,
        /// When it was resolved; empty again once it is reopened.
        pub resolved_at: Option<DateTimeUtc>,
        /// When it was closed; empty again once it is reopened.
        pub closed_at: Option<DateTimeUtc>,
        /// How often it was reopened.
        pub reopened_count: i32,
        /// Free labels: a JSON array of strings.
        #[sea_orm(column_type = "Json")]
        pub tags: Json,
        /// `tags` folded.
        #[sea_orm(column_type = "Json")]
        pub tags_folded: Json,
        /// The id in the integrator's own system, unique where present.
        #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
        pub external_reference: Option<String>,
    }
}

impl Record for Entity {
    const NAME: &'static str = "ticket";
    const MODULE: &'static str = "tickets";

    fn relations() -> Vec<Link> {
        vec![
            one::<customer::Entity>("customer", "customer_id"),
            one::<contact::Entity>("contact", "contact_id"),
            one::<user::Entity>("owner", "owner_id"),
            many::<ticket_comment::Entity>("comments", "ticket_id"),
            related::<activity::Entity>("activities", "ticket"),
            related::<interaction::Entity>("interactions", "ticket"),
        ]
    }

    crate::record_meta!();
}
