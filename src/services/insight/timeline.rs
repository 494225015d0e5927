//! What happened around a customer: with itself, its contacts, its deals and its tickets.
//!
//! Each actor's timeline is made of what the actor reaches: records of a module that may not be read contribute
//! nothing, nor do records that are only known through them.

use entity::{
    record::Record,
    tenant::{activity, contact, customer, interaction, opportunity, ticket},
};
use uuid::Uuid;

use crate::{
    condition::{Condition, Operator},
    data::{
        TenantDb,
        about::{About, Anchor},
        timeline::{Branch, Entry, Place},
    },
    error::Result,
};

/// What happened. The numbers stand in cursors: a new kind gets a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i32)]
pub enum Kind {
    /// An activity was planned.
    ActivityPlanned = 1,
    /// An activity was completed.
    ActivityCompleted = 2,
    /// A deal was begun.
    OpportunityCreated = 3,
    /// A deal was won.
    OpportunityWon = 4,
    /// A deal was lost.
    OpportunityLost = 5,
    /// A ticket was opened.
    TicketOpened = 6,
    /// A ticket was resolved.
    TicketResolved = 7,
    /// People came together.
    Interaction = 8,
}

/// The ways in which a row that names what it is about is about a customer.
pub(super) const AROUND_CUSTOMER: [fn() -> About; 4] = [
    || About::Related,
    || About::RelatedThrough(contact::Entity::meta(), "customer_id"),
    || About::RelatedThrough(opportunity::Entity::meta(), "customer_id"),
    || About::RelatedThrough(ticket::Entity::meta(), "customer_id"),
];

impl Kind {
    /// Every kind.
    pub const ALL: &[Self] = &[
        Self::ActivityPlanned,
        Self::ActivityCompleted,
        Self::OpportunityCreated,
        Self::OpportunityWon,
        Self::OpportunityLost,
        Self::TicketOpened,
        Self::TicketResolved,
        Self::Interaction,
    ];

    /// The kind with this number.
    #[must_use]
    pub fn of(number: i32) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| *kind as i32 == number)
    }

    /// Where its entries come from.
    fn branches(self) -> Vec<Branch> {
        fn all() -> Condition {
            Condition::All(Vec::new())
        }
        fn is(status: &str) -> Condition {
            Condition::test("status", Operator::Equals, status)
        }
        let around_customer = |record, at, actor, condition: fn() -> Condition| {
            AROUND_CUSTOMER
                .iter()
                .map(|about| Branch {
                    kind: self as i32,
                    record,
                    about: about(),
                    condition: condition(),
                    at,
                    title: "subject",
                    actor,
                })
                .collect()
        };
        let of_customer = |record, condition, at, actor| {
            let about = About::Column("customer_id");
            vec![Branch { kind: self as i32, record, about, condition, at, title: "title", actor }]
        };
        let (activity, deal, ticket) = (activity::Entity::meta(), opportunity::Entity::meta(), ticket::Entity::meta());
        match self {
            Self::ActivityPlanned => around_customer(activity, "created_at", "created_by", all),
            Self::ActivityCompleted => around_customer(activity, "completed_at", "owner_id", || is("COMPLETED")),
            Self::Interaction => around_customer(interaction::Entity::meta(), "occurred_at", "owner_id", all),
            Self::OpportunityCreated => of_customer(deal, all(), "created_at", "created_by"),
            Self::OpportunityWon => of_customer(deal, is("WON"), "closed_at", "owner_id"),
            Self::OpportunityLost => of_customer(deal, is("LOST"), "closed_at", "owner_id"),
            Self::TicketOpened => of_customer(ticket, all(), "created_at", "created_by"),
            Self::TicketResolved => of_customer(ticket, all(), "resolved_at", "owner_id"),
        }
    }
}

/// A page of the timeline of a customer that the actor sees, newest first, and whether there is more: one statement.
///
/// # Errors
/// When the database fails.
pub async fn page(
    db: &TenantDb,
    customer: Uuid,
    kinds: &[Kind],
    limit: u32,
    after: Option<Place>,
) -> Result<(Vec<Entry>, bool)> {
    let mut kinds = kinds.to_vec();
    kinds.sort_unstable();
    kinds.dedup();
    let branches: Vec<Branch> = kinds.into_iter().flat_map(Kind::branches).collect();
    db.timeline(Anchor { meta: customer::Entity::meta(), id: customer }, &branches, limit, after).await
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn every_kind_is_found_by_its_number() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of(*kind as i32), Some(*kind));
            for branch in kind.branches() {
                for column in [branch.at, branch.title, branch.actor] {
                    assert!(branch.record.column(column).is_some(), "{} has no {column}", branch.record.name);
                }
            }
        }
        assert_eq!(Kind::of(0), None);
    }
}
