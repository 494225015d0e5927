//! Tickets in the API. Module `tickets`; events `ticket.created`, `.updated`, `.deleted`, `.restored`, `.assigned`,
//! `.status_changed`, `.responded`, `.resolved`, `.reopened`.

use async_graphql::{Context, InputObject, MaybeUndefined, SimpleObject};
use chrono::{DateTime, Utc};
use entity::tenant::ticket::{self, Priority, TicketChannel, TicketStatus, TicketType};
use sea_orm::ActiveValue::Set;
use serde::Deserialize;
use serde_json::json;

use super::ticket_comment::TicketComment;
use crate::{
    data::plan::Children,
    error::Result,
    graphql::{
        identity::user::User,
        kit::{
            crud::{self, Input, patch, set},
            id::Id,
        },
        sales::{activity::Activity, contact::Contact, customer::Customer, interaction::Interaction},
    },
    services::support::ticket as rules,
};

/// Something that a customer asks for or complains about. Needs `tickets.read`.
#[derive(SimpleObject, Deserialize, Default)]
#[graphql(complex)]
#[serde(default)]
pub struct Ticket {
    /// Its id.
    pub id: Id<Self>,
    /// The number that people name it by, such as `TKT-000001`: given in the order of creation and without gaps.
    pub number: String,
    /// What it is about.
    pub title: String,
    /// More about it.
    pub description: Option<String>,
    /// How it stands.
    pub status: TicketStatus,
    /// How much it matters.
    pub priority: Priority,
    /// What kind of ticket it is.
    pub r#type: TicketType,
    /// How it came in.
    pub channel: TicketChannel,
    /// When it was first answered in public by somebody other than the requester.
    pub first_responded_at: Option<DateTime<Utc>>,
    /// When it was resolved; null again once it is reopened.
    pub resolved_at: Option<DateTime<Utc>>,
    /// When it was closed; null again once it is reopened.
    pub closed_at: Option<DateTime<Utc>>,
    /// How often it was reopened.
    pub reopened_count: i32,
    /// Free labels.
    pub tags: Vec<String>,
    /// The id in the integrator's own system, unique where present.
    pub external_reference: Option<String>,
    /// 1 at creation, one more with each change.
    pub version: i32,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
    #[graphql(skip)]
    #[serde(skip)]
    children: Children,
}

crate::object! {
    Ticket for ticket;
    values { status: TicketStatus, priority: Priority, r#type: TicketType, channel: TicketChannel }
    relations {
        /// The customer it concerns. Needs `customers.read`.
        one customer: Customer,
        /// The person who asks. Needs `contacts.read`.
        one contact: Contact,
        /// The user who works on it. Needs `users.read`.
        one owner: User,
        /// What was said about it.
        many comments: TicketComment,
        /// What is planned and done about it. Needs `activities.read`.
        many activities: Activity,
        /// What happened around the ticket, the last first. Needs `interactions.read`.
        many interactions: Interaction,
        /// Who created it.
        one created_by: User,
        /// Who changed it last.
        one updated_by: User,
    }
}

crate::crud! {
    Ticket as ticket;
    query TicketQuery {
        keys { external_reference }
        /// A ticket. Null when there is none that the actor sees. Needs `tickets.read`.
        one ticket;
        /// The tickets that the actor sees. Needs `tickets.read`.
        many tickets;
    }
    mutation TicketMutation {
        /// Creates a ticket and gives it the next number; its owner is the actor unless another is given. Needs
        /// `tickets.write`, and `tickets.assign` for another owner. Raises `ticket.created`, and `ticket.assigned` for
        /// another owner.
        create ticket_create(TicketCreateInput);
        /// Changes a ticket. Needs `tickets.write`, and `tickets.assign` for another owner. Raises `ticket.updated`, and
        /// with a change of these `ticket.assigned`, `ticket.status_changed`, `ticket.resolved`, `ticket.reopened`.
        update ticket_update(TicketUpdateInput);
        /// Deletes a ticket; its number is not given again. Needs `tickets.delete`. Raises `ticket.deleted`.
        delete ticket_delete;
        /// Brings a deleted ticket back. Needs `tickets.restore`. Raises `ticket.restored`.
        restore ticket_restore;
        /// Creates or changes up to 250 tickets in one transaction. Needs `tickets.write`.
        upsert ticket_bulk_upsert(TicketUpsertInput);

        /// Gives a ticket to a user; a NEW one becomes OPEN. Needs `tickets.write` and `tickets.assign`. Raises
        /// `ticket.assigned`, and `ticket.status_changed` when it was NEW.
        async fn ticket_assign(
            &self,
            ctx: &Context<'_>,
            #[graphql(desc = "Its id.")] id: Id<Ticket>,
            #[graphql(desc = "To whom.")] input: TicketAssignInput,
            #[graphql(desc = "The version that the client has seen; another one is STALE_VERSION.")]
            expected_version: Option<i32>,
            #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
        ) -> Option<TicketPayload> {
            crud::run(ctx, client_mutation_id, async |unit| {
                rules::assign(unit, id.0, expected_version, input.owner_id.0).await
            })
            .await
        }

        /// Answers the requester with a public comment; a NEW ticket becomes OPEN. Needs `tickets.write`. Raises
        /// `ticket_comment.created`, `ticket.responded` with the first response, and `ticket.status_changed` when the
        /// ticket was NEW.
        async fn ticket_respond(
            &self,
            ctx: &Context<'_>,
            #[graphql(desc = "Its id.")] id: Id<Ticket>,
            #[graphql(desc = "What to answer.")] input: TicketRespondInput,
            #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
        ) -> Option<TicketPayload> {
            crud::run(ctx, client_mutation_id, async |unit| rules::respond(unit, id.0, input.body).await).await
        }

        /// Takes up a ticket that is NEW, PENDING or ON_HOLD: it becomes OPEN. Needs `tickets.write`. Raises
        /// `ticket.status_changed`.
        async fn ticket_open(
            &self,
            ctx: &Context<'_>,
            #[graphql(desc = "Its id.")] id: Id<Ticket>,
            #[graphql(desc = "The version that the client has seen; another one is STALE_VERSION.")]
            expected_version: Option<i32>,
            #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
        ) -> Option<TicketPayload> {
            advance(ctx, id, expected_version, TicketStatus::Open, client_mutation_id).await
        }

        /// Lets a ticket wait for the customer: it becomes PENDING, until the customer writes or it is opened. Needs
        /// `tickets.write`. Raises `ticket.status_changed`.
        async fn ticket_pend(
            &self,
            ctx: &Context<'_>,
            #[graphql(desc = "Its id.")] id: Id<Ticket>,
            #[graphql(desc = "The version that the client has seen; another one is STALE_VERSION.")]
            expected_version: Option<i32>,
            #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
        ) -> Option<TicketPayload> {
            advance(ctx, id, expected_version, TicketStatus::Pending, client_mutation_id).await
        }

        /// Lets a ticket wait for somebody other than the customer: it becomes ON_HOLD. Needs `tickets.write`. Raises
        /// `ticket.status_changed`.
        async fn ticket_hold(
            &self,
            ctx: &Context<'_>,
            #[graphql(desc = "Its id.")] id: Id<Ticket>,
            #[graphql(desc = "The version that the client has seen; another one is STALE_VERSION.")]
            expected_version: Option<i32>,
            #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
        ) -> Option<TicketPayload> {
            advance(ctx, id, expected_version, TicketStatus::OnHold, client_mutation_id).await
        }

        /// Resolves a ticket that is not RESOLVED or CLOSED. Needs `tickets.write`. Raises `ticket.status_changed` and
        /// `ticket.resolved`.
        async fn ticket_resolve(
            &self,
            ctx: &Context<'_>,
            #[graphql(desc = "Its id.")] id: Id<Ticket>,
            #[graphql(desc = "The version that the client has seen; another one is STALE_VERSION.")]
            expected_version: Option<i32>,
            #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
        ) -> Option<TicketPayload> {
            advance(ctx, id, expected_version, TicketStatus::Resolved, client_mutation_id).await
        }

        /// Closes a ticket that is RESOLVED. Needs `tickets.write`. Raises `ticket.status_changed`.
        async fn ticket_close(
            &self,
            ctx: &Context<'_>,
            #[graphql(desc = "Its id.")] id: Id<Ticket>,
            #[graphql(desc = "The version that the client has seen; another one is STALE_VERSION.")]
            expected_version: Option<i32>,
            #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
        ) -> Option<TicketPayload> {
            advance(ctx, id, expected_version, TicketStatus::Closed, client_mutation_id).await
        }

        /// Opens a ticket again that is RESOLVED or CLOSED, and counts that. Needs `tickets.write`. Raises
        /// `ticket.status_changed` and `ticket.reopened`.
        async fn ticket_reopen(
            &self,
            ctx: &Context<'_>,
            #[graphql(desc = "Its id.")] id: Id<Ticket>,
            #[graphql(desc = "The version that the client has seen; another one is STALE_VERSION.")]
            expected_version: Option<i32>,
            #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
        ) -> Option<TicketPayload> {
            crud::run(ctx, client_mutation_id, async |unit| rules::reopen(unit, id.0, expected_version).await).await
        }
    }
    payloads TicketPayload, TicketBulkUpsertPayload, TicketBulkUpsertResult;
}

/// Takes a ticket to another status.
async fn advance(
    ctx: &Context<'_>,
    id: Id<Ticket>,
    expected_version: Option<i32>,
    to: TicketStatus,
    client_mutation_id: Option<String>,
) -> Option<TicketPayload> {
    crud::run(ctx, client_mutation_id, async |unit| rules::advance(unit, id.0, expected_version, to).await).await
}

/// To whom to give a ticket.
#[derive(InputObject)]
pub struct TicketAssignInput {
    /// The user who is to work on it.
    owner_id: Id<User>,
}

/// An answer to the requester of a ticket.
#[derive(InputObject)]
pub struct TicketRespondInput {
    /// The text, at most 20,000 characters.
    body: String,
}

/// A new ticket.
#[derive(InputObject)]
pub struct TicketCreateInput {
    /// What it is about, at most 200 characters.
    title: String,
    /// More about it, at most 20,000 characters.
    description: Option<String>,
    /// The customer it concerns; the contact's when left out.
    customer_id: Option<Id<Customer>>,
    /// The person who asks, one of the customer's contacts.
    contact_id: Option<Id<Contact>>,
    /// NEW or OPEN; NEW when left out.
    status: Option<TicketStatus>,
    /// How much it matters; NORMAL when left out.
    priority: Option<Priority>,
    /// What kind of ticket it is; QUESTION when left out.
    r#type: Option<TicketType>,
    /// How it came in; WEB when left out.
    channel: Option<TicketChannel>,
    /// Free labels, at most 100.
    tags: Option<Vec<String>>,
    /// The user who is to work on it; the actor when left out.
    owner_id: Option<Id<User>>,
    /// The id in the integrator's own system.
    external_reference: Option<String>,
}

impl Input<ticket::Entity> for TicketCreateInput {
    fn into_row(self) -> Result<ticket::ActiveModel> {
        let Self {
            title,
            description,
            customer_id,
            contact_id,
            status,
            priority,
            r#type,
            channel,
            tags,
            owner_id,
            external_reference,
        } = self;
        Ok(ticket::ActiveModel {
            title: Set(title),
            description: Set(description),
            customer_id: set(customer_id.map(|id| Some(id.0))),
            contact_id: set(contact_id.map(|id| Some(id.0))),
            status: set(status),
            priority: set(priority),
            r#type: set(r#type),
            channel: set(channel),
            tags: set(tags.map(|tags| json!(tags))),
            owner_id: set(owner_id.map(|id| id.0)),
            external_reference: Set(external_reference),
            ..Default::default()
        })
    }
}

/// A change of a ticket: what is left out stays, null clears.
#[derive(InputObject)]
pub struct TicketUpdateInput {
    /// What it is about, at most 200 characters.
    title: Option<String>,
    /// More about it, at most 20,000 characters.
    description: MaybeUndefined<String>,
    /// The customer it concerns.
    customer_id: MaybeUndefined<Id<Customer>>,
    /// The person who asks, one of the customer's contacts; given alone, its customer comes with it.
    contact_id: MaybeUndefined<Id<Contact>>,
    /// How it stands; it must be able to follow the present status.
    status: Option<TicketStatus>,
    /// How much it matters.
    priority: Option<Priority>,
    /// What kind of ticket it is.
    r#type: Option<TicketType>,
    /// How it came in.
    channel: Option<TicketChannel>,
    /// Free labels, at most 100; they replace those that are there.
    tags: Option<Vec<String>>,
    /// The user who is to work on it.
    owner_id: Option<Id<User>>,
    /// The id in the integrator's own system.
    external_reference: MaybeUndefined<String>,
}

impl Input<ticket::Entity> for TicketUpdateInput {
    fn into_row(self) -> Result<ticket::ActiveModel> {
        let Self {
            title,
            description,
            customer_id,
            contact_id,
            status,
            priority,
            r#type,
            channel,
            tags,
            owner_id,
            external_reference,
        } = self;
        Ok(ticket::ActiveModel {
            title: set(title),
            description: patch(description),
            customer_id: patch(customer_id.map_value(|id| id.0)),
            contact_id: patch(contact_id.map_value(|id| id.0)),
            status: set(status),
            priority: set(priority),
            r#type: set(r#type),
            channel: set(channel),
            tags: set(tags.map(|tags| json!(tags))),
            owner_id: set(owner_id.map(|id| id.0)),
            external_reference: patch(external_reference),
            ..Default::default()
        })
    }
}
