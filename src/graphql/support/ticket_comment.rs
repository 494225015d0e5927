//! Comments on tickets in the API. Module `tickets`; events `ticket_comment.created`, `.updated`, `.deleted`,
//! `.restored`.

use async_graphql::{InputObject, SimpleObject};
use chrono::{DateTime, Utc};
use entity::tenant::ticket_comment;
use sea_orm::ActiveValue::Set;
use serde::Deserialize;

use super::ticket::Ticket;
use crate::{
    data::plan::Children,
    error::Result,
    graphql::{
        identity::user::User,
        kit::{
            crud::{Input, set},
            id::Id,
        },
        sales::contact::Contact,
    },
};

/// A comment on a ticket: an answer to the requester, a note among colleagues, or the requester's own words. Needs
/// `tickets.read`; who sees the ticket sees its comments.
#[derive(SimpleObject, Deserialize, Default)]
#[graphql(complex)]
#[serde(default)]
pub struct TicketComment {
    /// Its id.
    pub id: Id<Self>,
    /// The text.
    pub body: String,
    /// Whether the requester may read it; otherwise it is a note among colleagues.
    pub is_public: bool,
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
    TicketComment for ticket_comment;
    relations {
        /// The ticket.
        one ticket: Ticket,
        /// The person at the customer whose words these are; null when the user who made the comment wrote it. Needs
        /// `contacts.read`.
        one contact: Contact,
        /// Who created it.
        one created_by: User,
        /// Who changed it last.
        one updated_by: User,
    }
}

crate::crud! {
    TicketComment as ticket_comment;
    query TicketCommentQuery {
        /// A comment on a ticket. Null when there is none that the actor sees. Needs `tickets.read`.
        one ticket_comment;
        /// The comments on the tickets that the actor sees. Needs `tickets.read`.
        many ticket_comments;
    }
    mutation TicketCommentMutation {
        /// Adds a comment to a ticket that is not CLOSED. The first public one by somebody other than the requester is
        /// the ticket's first response. Needs `tickets.write`. Raises `ticket_comment.created`, and `ticket.responded`
        /// with the first response.
        create ticket_comment_add(TicketCommentAddInput);
        /// Changes the text of a comment. Needs `tickets.write`. Raises `ticket_comment.updated`.
        update ticket_comment_update(TicketCommentUpdateInput);
        /// Deletes a comment. Needs `tickets.delete`. Raises `ticket_comment.deleted`.
        delete ticket_comment_delete;
        /// Brings a deleted comment back. Needs `tickets.restore`. Raises `ticket_comment.restored`.
        restore ticket_comment_restore;
        /// Adds or changes up to 250 comments in one transaction; comments have no external reference. Needs
        /// `tickets.write`.
        upsert ticket_comment_bulk_upsert(TicketCommentUpsertInput) by id;
    }
    payloads TicketCommentPayload, TicketCommentBulkUpsertPayload, TicketCommentBulkUpsertResult;
}

/// A new comment.
#[derive(InputObject)]
pub struct TicketCommentAddInput {
    /// The ticket.
    ticket_id: Id<Ticket>,
    /// The text, at most 20,000 characters.
    body: String,
    /// Whether the requester may read it; internal when left out.
    is_public: Option<bool>,
    /// The person at the customer whose words these are, such as an answer by e-mail; it is public then. The actor
    /// when left out.
    contact_id: Option<Id<Contact>>,
}

impl Input<ticket_comment::Entity> for TicketCommentAddInput {
    fn into_row(self) -> Result<ticket_comment::ActiveModel> {
        let Self { ticket_id, body, is_public, contact_id } = self;
        Ok(ticket_comment::ActiveModel {
            ticket_id: Set(ticket_id.0),
            body: Set(body),
            is_public: set(is_public),
            contact_id: Set(contact_id.map(|id| id.0)),
            ..Default::default()
        })
    }
}

/// A change of a comment. Only the text changes; the other fields are for the comments that a bulk upsert adds.
#[derive(InputObject)]
pub struct TicketCommentUpdateInput {
    /// The ticket, of a new comment.
    ticket_id: Option<Id<Ticket>>,
    /// The text, at most 20,000 characters.
    body: Option<String>,
    /// Whether the requester may read it, of a new comment.
    is_public: Option<bool>,
    /// The person at the customer whose words these are, of a new comment.
    contact_id: Option<Id<Contact>>,
}

impl Input<ticket_comment::Entity> for TicketCommentUpdateInput {
    fn into_row(self) -> Result<ticket_comment::ActiveModel> {
        let Self { ticket_id, body, is_public, contact_id } = self;
        Ok(ticket_comment::ActiveModel {
            ticket_id: set(ticket_id.map(|id| id.0)),
            body: set(body),
            is_public: set(is_public),
            contact_id: set(contact_id.map(|id| Some(id.0))),
            ..Default::default()
        })
    }
}
