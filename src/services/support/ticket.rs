//! The rules of tickets.
//!
//! Which status may follow which stands in `follows`; it holds for whoever writes. A ticket is resolved before it is
//! closed, and a ticket that was resolved or closed can be reopened:
//!
//! ```text
//! NEW → OPEN ⇄ PENDING (waits for the customer), ON_HOLD (waits for somebody else) → RESOLVED → CLOSED
//!         ↑                                                                            │         │
//!         └────────────────────────────── reopened ───────────────────────────────────┴─────────┘
//! ```
//!
//! Its number is given at creation, without gaps within the tenant, and never changes. Its contact belongs to its
//! customer. When it was resolved and closed follows from its status.

use entity::tenant::{
    contact,
    ticket::{self, Entity, Priority, TicketChannel, TicketStatus, TicketType},
};
use sea_orm::{
    ActiveValue::{self, Set},
    ColumnTrait,
    sea_query::Condition,
};
use uuid::Uuid;

use super::ticket_comment;
use crate::{
    auth::Action,
    data::{Rules, Unit},
    error::{Error, Result, UserErrorCode},
};

/// The status that can follow a status.
const fn follows(status: TicketStatus) -> &'static [TicketStatus] {
    use TicketStatus::{Closed, New, OnHold, Open, Pending, Resolved};
    match status {
        New => &[Open, Pending, OnHold, Resolved],
        Open => &[Pending, OnHold, Resolved],
        Pending => &[Open, OnHold, Resolved],
        OnHold => &[Open, Pending, Resolved],
        Resolved => &[Closed, Open],
        Closed => &[Open],
    }
}

impl Rules for Entity {
    async fn before_insert(unit: &mut Unit, new: &mut ticket::ActiveModel) -> Result<()> {
        match new.status {
            ActiveValue::Set(TicketStatus::New | TicketStatus::Open) => {}
            ActiveValue::Set(_) => {
                return Err(Error::user(
                    UserErrorCode::InvalidState,
                    &["input", "status"],
                    "a ticket begins as NEW or OPEN",
                ));
            }
            _ => new.status = Set(TicketStatus::New),
        }
        if new.priority.is_not_set() {
            new.priority = Set(Priority::Normal);
        }
        if new.r#type.is_not_set() {
            new.r#type = Set(TicketType::Question);
        }
        if new.channel.is_not_set() {
            new.channel = Set(TicketChannel::Web);
        }
        new.reopened_count = Set(0);
        let (contact, customer) = (given(&new.contact_id).flatten(), given(&new.customer_id).flatten());
        if let Some(contact) = contact
            && let Some(employer) = employer(unit, contact).await?
        {
            match customer {
                Some(customer) if customer != employer => return Err(stranger()),
                Some(_) => {}
                None => new.customer_id = Set(Some(employer)),
            }
        }
        new.number = Set(format!("TKT-{:06}", unit.next_number("ticket").await?));
        Ok(())
    }

    async fn before_update(unit: &mut Unit, before: &ticket::Model, change: &mut ticket::ActiveModel) -> Result<()> {
        if given(&change.number).is_some_and(|number| number != before.number) {
            return Err(Error::user(
                UserErrorCode::InvalidState,
                &["input", "number"],
                "a ticket's number never changes",
            ));
        }
        if let Some(status) = given(&change.status).filter(|status| *status != before.status) {
            check_transition(before.status, status, &["input", "status"])?;
            enter(unit, before, status, change);
        }
        settle_requester(unit, before, change).await
    }

    async fn after_write(unit: &mut Unit, before: Option<&ticket::Model>, after: &ticket::Model) -> Result<()> {
        match before {
            None => {
                if after.owner_id != after.created_by {
                    unit.raise::<Self>("assigned", after.id);
                }
            }
            Some(before) => raise_changes(unit, before, after),
        }
        Ok(())
    }
}

fn given<T: Clone + Into<sea_orm::Value>>(value: &ActiveValue<T>) -> Option<T> {
    match value {
        ActiveValue::Set(value) => Some(value.clone()),
        _ => None,
    }
}

/// The customer that a contact belongs to, if the actor sees the contact: what is out of sight is refused later, like
/// what is not there.
async fn employer(unit: &Unit, contact: Uuid) -> Result<Option<Uuid>> {
    let by_id = Condition::all().add(contact::Column::Id.eq(contact));
    match unit.find::<contact::Entity>(by_id).await {
        Ok(contact) => Ok(contact.map(|contact| contact.customer_id)),
        Err(Error::Forbidden { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn stranger() -> Error {
    Error::user(UserErrorCode::Invalid, &["input", "contactId"], "this contact belongs to another customer")
}

/// Keeps customer and contact together: a contact that is given alone brings its customer along.
async fn settle_requester(unit: &Unit, before: &ticket::Model, change: &mut ticket::ActiveModel) -> Result<()> {
    let contact = given(&change.contact_id).filter(|contact| *contact != before.contact_id);
    let customer = given(&change.customer_id).filter(|customer| *customer != before.customer_id);
    let Some(after) = contact.unwrap_or(before.contact_id).filter(|_| contact.is_some() || customer.is_some()) else {
        return Ok(());
    };
    let Some(employer) = employer(unit, after).await? else {
        // A contact that is newly given and not to be seen is refused as a reference; one that was there stays only
        // with its customer, which cannot be checked.
        return if contact.is_some() { Ok(()) } else { Err(stranger()) };
    };
    match given(&change.customer_id) {
        Some(customer) if customer != Some(employer) => Err(stranger()),
        Some(_) => Ok(()),
        None => {
            change.customer_id = Set(Some(employer));
            Ok(())
        }
    }
}

/// A status as the API names it.
const fn name(status: TicketStatus) -> &'static str {
    match status {
        TicketStatus::New => "NEW",
        TicketStatus::Open => "OPEN",
        TicketStatus::Pending => "PENDING",
        TicketStatus::OnHold => "ON_HOLD",
        TicketStatus::Resolved => "RESOLVED",
        TicketStatus::Closed => "CLOSED",
    }
}

fn check_transition(from: TicketStatus, to: TicketStatus, field: &[&str]) -> Result<()> {
    if follows(from).contains(&to) {
        return Ok(());
    }
    let message = if from == to {
        format!("the ticket is {} already", name(from))
    } else {
        let next: Vec<_> = follows(from).iter().map(|status| name(*status)).collect();
        format!("a ticket that is {} cannot become {}, only {}", name(from), name(to), next.join(", "))
    };
    Err(Error::user(UserErrorCode::InvalidState, field, message))
}

/// Sets what follows from a status that is about to be entered.
fn enter(unit: &Unit, before: &ticket::Model, status: TicketStatus, change: &mut ticket::ActiveModel) {
    match status {
        TicketStatus::Resolved => change.resolved_at = Set(Some(unit.now())),
        TicketStatus::Closed => change.closed_at = Set(Some(unit.now())),
        TicketStatus::Open if is_done(before.status) => {
            change.resolved_at = Set(None);
            change.closed_at = Set(None);
            change.reopened_count = Set(before.reopened_count + 1);
        }
        _ => {}
    }
}

const fn is_done(status: TicketStatus) -> bool {
    matches!(status, TicketStatus::Resolved | TicketStatus::Closed)
}

fn raise_changes(unit: &mut Unit, before: &ticket::Model, after: &ticket::Model) {
    if before.owner_id != after.owner_id {
        unit.raise::<Entity>("assigned", after.id);
    }
    if before.status != after.status {
        unit.raise::<Entity>("status_changed", after.id);
        if after.status == TicketStatus::Resolved {
            unit.raise::<Entity>("resolved", after.id);
        }
        if is_done(before.status) && after.status == TicketStatus::Open {
            unit.raise::<Entity>("reopened", after.id);
        }
    }
}

/// Takes a ticket to another status: NEW, PENDING and ON_HOLD tickets are opened, put off and resolved here.
///
/// # Errors
/// [`Error::User`] with INVALID_STATE when that status cannot follow; those of [`Unit::update`].
pub async fn advance(unit: &mut Unit, id: Uuid, expected: Option<i32>, to: TicketStatus) -> Result<Uuid> {
    let ticket = unit.claim::<Entity>(id, expected, Action::Write).await?;
    check_transition(ticket.status, to, &["id"])?;
    if to == TicketStatus::Open && is_done(ticket.status) {
        return Err(Error::user(
            UserErrorCode::InvalidState,
            &["id"],
            format!("the ticket is {}; reopen it", name(ticket.status)),
        ));
    }
    set_status(unit, id, expected, to).await
}

/// Opens a ticket again that was resolved or closed.
///
/// # Errors
/// As [`advance`].
pub async fn reopen(unit: &mut Unit, id: Uuid, expected: Option<i32>) -> Result<Uuid> {
    let ticket = unit.claim::<Entity>(id, expected, Action::Write).await?;
    if !is_done(ticket.status) {
        return Err(Error::user(
            UserErrorCode::InvalidState,
            &["id"],
            format!("the ticket is {}; only a RESOLVED or CLOSED one is reopened", name(ticket.status)),
        ));
    }
    set_status(unit, id, expected, TicketStatus::Open).await
}

async fn set_status(unit: &mut Unit, id: Uuid, expected: Option<i32>, to: TicketStatus) -> Result<Uuid> {
    let change = ticket::ActiveModel { status: Set(to), ..Default::default() };
    unit.update::<Entity>(id, expected, change).await?;
    Ok(id)
}

/// Gives a ticket to a user. A NEW ticket is thereby taken up: it becomes OPEN.
///
/// # Errors
/// Those of [`Unit::update`].
pub async fn assign(unit: &mut Unit, id: Uuid, expected: Option<i32>, owner: Uuid) -> Result<Uuid> {
    let ticket = unit.claim::<Entity>(id, expected, Action::Write).await?;
    let mut change = ticket::ActiveModel { owner_id: Set(owner), ..Default::default() };
    if ticket.status == TicketStatus::New {
        change.status = Set(TicketStatus::Open);
    }
    unit.update::<Entity>(id, expected, change).await?;
    Ok(id)
}

/// Answers the requester with a public comment. A NEW ticket is thereby taken up: it becomes OPEN.
///
/// # Errors
/// Those of [`Unit::insert`] and [`Unit::update`].
pub async fn respond(unit: &mut Unit, id: Uuid, body: String) -> Result<Uuid> {
    let ticket = unit.claim::<Entity>(id, None, Action::Write).await?;
    if ticket.status == TicketStatus::Closed {
        return Err(Error::user(UserErrorCode::InvalidState, &["id"], "the ticket is CLOSED; reopen it first"));
    }
    ticket_comment::add(unit, id, body, true, None).await?;
    if ticket.status == TicketStatus::New {
        set_status(unit, id, None, TicketStatus::Open).await?;
    }
    Ok(id)
}

/// What follows for a ticket from a public comment: the first answer of somebody else than the requester is noted, and
/// a PENDING ticket is open again when the requester has written. These are rules, so no permission is asked for.
pub(super) async fn after_public_comment(unit: &mut Unit, id: Uuid, by_contact: bool, author: Uuid) -> Result<()> {
    let Some(before) = unit.lock_row::<Entity>(id).await? else { return Ok(()) };
    let mut change = ticket::ActiveModel::default();
    // Where nobody outside is named, the user who made the ticket asks.
    let asked_from_outside = before.contact_id.is_some() || before.customer_id.is_some();
    let by_requester = by_contact || (!asked_from_outside && author == before.created_by);
    let first_answer = before.first_responded_at.is_none() && !by_requester;
    if first_answer {
        change.first_responded_at = Set(Some(unit.now()));
    }
    if by_contact && before.status == TicketStatus::Pending {
        change.status = Set(TicketStatus::Open);
    }
    let after = unit.update_by_rule::<Entity>(&before, change).await?;
    raise_changes(unit, &before, &after);
    if first_answer {
        unit.raise::<Entity>("responded", id);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sea_orm::Iterable;

    use super::*;

    #[test]
    fn every_status_leads_on_and_none_to_itself() {
        for from in TicketStatus::iter() {
            assert!(!follows(from).is_empty(), "{from:?} is a dead end");
            assert!(!follows(from).contains(&from) && !follows(from).contains(&TicketStatus::New), "{from:?}");
        }
    }

    #[test]
    fn only_what_was_resolved_is_closed() {
        let before_closed: Vec<_> =
            TicketStatus::iter().filter(|from| follows(*from).contains(&TicketStatus::Closed)).collect();
        assert_eq!(before_closed, [TicketStatus::Resolved]);
    }
}
