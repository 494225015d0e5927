//! A comment on a ticket: an answer to the requester, a note among colleagues, or the requester's own words.

use sea_orm::entity::prelude::*;

use super::{contact, ticket};
use crate::record::{Record, Relation as Link, Scope, one};

crate::tenant_table! {
    /// A comment on a ticket.
    "ticket_comment" {
        /// The ticket.
        pub ticket_id: Uuid,
        /// The text.
        #[sea_orm(column_type = "String(StringLen::N(20000))")]
        pub body: String,
        /// Whether the requester may read it; otherwise it is a note among colleagues.
        pub is_public: bool,
        /// The person at the customer whose words these are; empty when the user who made the comment wrote it.
        pub contact_id: Option<Uuid>,
    }
}

impl Record for Entity {
    const NAME: &'static str = "ticket_comment";
    const MODULE: &'static str = "tickets";
    const SCOPE: Scope = Scope::Child { column: "ticket_id", parent: <ticket::Entity as Record>::meta };

    fn relations() -> Vec<Link> {
        vec![one::<ticket::Entity>("ticket", "ticket_id"), one::<contact::Entity>("contact", "contact_id")]
    }

    crate::record_meta!();
}
