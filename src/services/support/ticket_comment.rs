//! The rules of comments on tickets.
//!
//! Whether a comment is public and whose words it holds is said once and stays: what the requester has read cannot be
//! made internal, nor the other way round. A closed ticket takes no comments. What a public comment means for its
//! ticket is one of the ticket's rules.

use entity::tenant::{
    ticket::{self, TicketStatus},
    ticket_comment::{self, Entity},
};
use sea_orm::{
    ActiveValue::{self, Set},
    ColumnTrait,
    sea_query::Condition,
};
use uuid::Uuid;

use crate::{
    data::{Rules, Unit},
    error::{Error, Result, UserErrorCode},
};

impl Rules for Entity {
    async fn before_insert(unit: &mut Unit, new: &mut ticket_comment::ActiveModel) -> Result<()> {
        if matches!(new.contact_id, ActiveValue::Set(Some(_))) {
            if new.is_public == Set(false) {
                return Err(Error::user(
                    UserErrorCode::Invalid,
                    &["input", "isPublic"],
                    "what a contact wrote is public",
                ));
            }
            new.is_public = Set(true);
        }
        if let ActiveValue::Set(ticket) = new.ticket_id {
            // A ticket that the actor does not see is refused later, as a reference.
            let by_id = Condition::all().add(ticket::Column::Id.eq(ticket));
            let ticket = unit.find::<ticket::Entity>(by_id).await?;
            if ticket.is_some_and(|ticket| ticket.status == TicketStatus::Closed) {
                return Err(Error::user(
                    UserErrorCode::InvalidState,
                    &["input", "ticketId"],
                    "the ticket is CLOSED; reopen it first",
                ));
            }
        }
        Ok(())
    }

    async fn before_update(
        _: &mut Unit,
        before: &ticket_comment::Model,
        change: &mut ticket_comment::ActiveModel,
    ) -> Result<()> {
        let moved = matches!(change.ticket_id, ActiveValue::Set(ticket) if ticket != before.ticket_id);
        let turned = matches!(change.is_public, ActiveValue::Set(is_public) if is_public != before.is_public);
        let ascribed = matches!(change.contact_id, ActiveValue::Set(contact) if contact != before.contact_id);
        for (changed, field) in [(moved, "ticketId"), (turned, "isPublic"), (ascribed, "contactId")] {
            if changed {
                return Err(Error::user(
                    UserErrorCode::InvalidState,
                    &["input", field],
                    "only the text of a comment can be changed",
                ));
            }
        }
        Ok(())
    }

    async fn after_write(
        unit: &mut Unit,
        before: Option<&ticket_comment::Model>,
        after: &ticket_comment::Model,
    ) -> Result<()> {
        if before.is_none() && after.is_public {
            let by_contact = after.contact_id.is_some();
            super::ticket::after_public_comment(unit, after.ticket_id, by_contact, after.created_by).await?;
        }
        Ok(())
    }
}

/// Adds a comment to a ticket; `contact` is the person whose words these are, if not the actor's.
///
/// # Errors
/// Those of [`Unit::insert`].
pub async fn add(
    unit: &mut Unit,
    ticket: Uuid,
    body: String,
    is_public: bool,
    contact: Option<Uuid>,
) -> Result<ticket_comment::Model> {
    let comment = ticket_comment::ActiveModel {
        ticket_id: Set(ticket),
        body: Set(body),
        is_public: Set(is_public),
        contact_id: Set(contact),
        ..Default::default()
    };
    unit.insert::<Entity>(comment).await
}
