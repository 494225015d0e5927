//! The Customer-360: all that there is to know of a customer in one answer.
//!
//! Its records are one planned statement, however the query nests: the blocks are relations of the customer, and the
//! customer itself, as one of them, is the relation of a customer to itself. The chain of ancestors, the figures and the
//! timeline are a statement each. Every block is checked by itself: without its permission it is null, with FORBIDDEN
//! at its path, and the rest of the answer stands.

use std::sync::{Arc, OnceLock};

use async_graphql::{Context, InputType, Object};
use entity::{
    record::{Link, Record, Relation},
    tenant::customer,
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    metrics::CustomerMetrics,
    timeline::{self, TimelineEntryConnection, TimelineEntryKind},
};
use crate::{
    condition::{Condition, Operator},
    data::plan::{Children, Planned},
    error::Result,
    graphql::{
        identity::user::User,
        kit::{
            connection::Connection,
            db,
            error::nullable,
            filter::Where,
            id::{Id, Identified},
            order::OrderBy,
            relation, select,
            shape::{Object as RecordObject, RelationField, Shape, Usual},
        },
        sales::{
            activity::Activity, contact::Contact, customer::Customer, interaction::Interaction,
            opportunity::Opportunity,
        },
        support::ticket::Ticket,
    },
    services::insight::customer_360,
};

/// A customer as its own relation: what is asked of it is planned like any other block.
static ITSELF: Relation =
    Relation { name: "customer", target: <customer::Entity as Record>::meta, link: Link::One { column: "id" } };

/// All that there is to know of a customer. Every block is null, with FORBIDDEN at its path, when the actor may not read
/// its records; the others stand.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Customer360 {
    id: Id<Customer>,
    #[serde(skip)]
    children: Children,
}

/// Where a customer stands among others.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct CustomerHierarchy {
    id: Id<Customer>,
    #[serde(skip)]
    children: Children,
}

/// A block of the kind that every record's relations are.
fn block<T: RecordObject>(name: &'static str, relation: &'static Relation, usual: Usual) -> RelationField {
    RelationField {
        name: name.to_owned(),
        relation,
        target: T::shape,
        register_where: <Where<T> as InputType>::create_type_info,
        usual,
    }
}

/// A block that is a relation of the customer.
#[expect(clippy::panic, reason = "a block that leads nowhere must not start; a test builds the shape")]
fn own<T: RecordObject>(name: &'static str, usual: Usual) -> RelationField {
    let Some(relation) = customer::Entity::meta().relation(name) else { panic!("a customer has no {name}") };
    block::<T>(name, relation, usual)
}

macro_rules! shaped {
    ($object:ident, $name:literal, [$($block:expr),* $(,)?]) => {
        impl Identified for $object {
            const PREFIX: &'static str = <customer::Entity as Record>::NAME;
        }

        impl Planned for $object {
            fn adopt(&mut self, children: Children) {
                self.children = children;
            }
        }

        impl RecordObject for $object {
            type Record = customer::Entity;

            fn shape() -> &'static Shape {
                static SHAPE: OnceLock<Shape> = OnceLock::new();
                SHAPE.get_or_init(|| Shape {
                    name: $name,
                    meta: customer::Entity::meta(),
                    fields: Vec::new(),
                    needs: Vec::new(),
                    relations: vec![$($block),*],
                    type_id: std::any::TypeId::of::<Self>(),
                })
            }

            fn id(&self) -> Uuid {
                self.id.0
            }

            fn children(&self) -> &Children {
                &self.children
            }
        }
    };
}

shaped!(
    Customer360,
    "Customer360",
    [
        block::<Customer>("customer", &ITSELF, Usual::default()),
        block::<CustomerHierarchy>("hierarchy", &ITSELF, Usual::default()),
        own::<User>("owner", Usual::default()),
        own::<Contact>("contacts", Usual { order: &[("is_primary", true), ("last_name", false)], only: None }),
        own::<Opportunity>("opportunities", Usual::default()),
        own::<Ticket>("tickets", Usual::default()),
        own::<Activity>("activities", Usual { order: &[("due_at", false)], only: Some(still_open) }),
        own::<Interaction>("interactions", Usual::default()),
    ]
);

shaped!(CustomerHierarchy, "CustomerHierarchy", [own::<Customer>("children", Usual::default())]);

/// Activities that are still to be done.
fn still_open() -> Condition {
    Condition::Test { column: "status", operator: Operator::In, values: vec!["PLANNED".into(), "IN_PROGRESS".into()] }
}

/// All that there is to know of a customer. Every block is null, with FORBIDDEN at its path, when the actor may not read
/// its records; the others stand.
#[Object]
impl Customer360 {
    /// The customer itself: every field and every relation of it can be asked for here. Needs `customers.read`.
    async fn customer(&self, ctx: &Context<'_>) -> Option<Customer> {
        relation::one(ctx, self).await
    }

    /// The user responsible. Needs `users.read`.
    async fn owner(&self, ctx: &Context<'_>) -> Option<User> {
        relation::one(ctx, self).await
    }

    /// Where the customer stands among others. Needs `customers.read`.
    async fn hierarchy(&self, ctx: &Context<'_>) -> Option<CustomerHierarchy> {
        relation::one(ctx, self).await
    }

    /// The people there. Needs `contacts.read`.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a Relay connection")]
    async fn contacts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start: 0 to 100. Without first and last: 20.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor; goes with first.")] after: Option<String>,
        #[graphql(desc = "How many from the end: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor; goes with last.")] before: Option<String>,
        #[graphql(name = "where", desc = "Which to choose.")] filter: Option<Where<Contact>>,
        #[graphql(desc = "In which order; without it the primary one first, then by family name.")] order_by: Option<
            Vec<OrderBy<Contact>>,
        >,
    ) -> Option<Connection<Contact>> {
        // The plan has read the arguments from the selection, here and below.
        let _ = (first, after, last, before, filter, order_by);
        relation::many(ctx, self).await
    }

    /// The deals with the customer. Needs `opportunities.read`.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a Relay connection")]
    async fn opportunities(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start: 0 to 100. Without first and last: 20.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor; goes with first.")] after: Option<String>,
        #[graphql(desc = "How many from the end: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor; goes with last.")] before: Option<String>,
        #[graphql(name = "where", desc = "Which to choose.")] filter: Option<Where<Opportunity>>,
        #[graphql(desc = "In which order; without it the newest first.")] order_by: Option<Vec<OrderBy<Opportunity>>>,
    ) -> Option<Connection<Opportunity>> {
        let _ = (first, after, last, before, filter, order_by);
        relation::many(ctx, self).await
    }

    /// What the customer asked for or complained about. Needs `tickets.read`.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a Relay connection")]
    async fn tickets(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start: 0 to 100. Without first and last: 20.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor; goes with first.")] after: Option<String>,
        #[graphql(desc = "How many from the end: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor; goes with last.")] before: Option<String>,
        #[graphql(name = "where", desc = "Which to choose.")] filter: Option<Where<Ticket>>,
        #[graphql(desc = "In which order; without it the newest first.")] order_by: Option<Vec<OrderBy<Ticket>>>,
    ) -> Option<Connection<Ticket>> {
        let _ = (first, after, last, before, filter, order_by);
        relation::many(ctx, self).await
    }

    /// What is still to be done about the customer itself: its activities that are PLANNED or IN_PROGRESS. Those of its
    /// deals and contacts stand with these. Needs `activities.read`.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a Relay connection")]
    async fn activities(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start: 0 to 100. Without first and last: 20.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor; goes with first.")] after: Option<String>,
        #[graphql(desc = "How many from the end: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor; goes with last.")] before: Option<String>,
        #[graphql(name = "where", desc = "Which of them to choose.")] filter: Option<Where<Activity>>,
        #[graphql(desc = "In which order; without it what is due first, and what is never due last.")] order_by: Option<
            Vec<OrderBy<Activity>>,
        >,
    ) -> Option<Connection<Activity>> {
        let _ = (first, after, last, before, filter, order_by);
        relation::many(ctx, self).await
    }

    /// What happened with the customer itself. What happened with its contacts, and about its deals and tickets, stands
    /// with these, and all of it in the timeline. Needs `interactions.read`.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a Relay connection")]
    async fn interactions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start: 0 to 100. Without first and last: 20.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor; goes with first.")] after: Option<String>,
        #[graphql(desc = "How many from the end: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor; goes with last.")] before: Option<String>,
        #[graphql(name = "where", desc = "Which to choose.")] filter: Option<Where<Interaction>>,
        #[graphql(desc = "In which order; without it the last first.")] order_by: Option<Vec<OrderBy<Interaction>>>,
    ) -> Option<Connection<Interaction>> {
        let _ = (first, after, last, before, filter, order_by);
        relation::many(ctx, self).await
    }

    /// Figures about the customer. All that are selected are read in one statement.
    async fn metrics(&self, ctx: &Context<'_>) -> Option<CustomerMetrics> {
        let metrics = async { customer_360::metrics(db(ctx)?, self.id.0, &CustomerMetrics::wanted(ctx)).await };
        nullable(ctx, metrics.await).map(CustomerMetrics)
    }

    /// What happened around the customer, newest first: with itself, its contacts, its deals and its tickets, as far as
    /// the actor sees these. Records that the actor may not read contribute nothing.
    async fn timeline(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many: 0 to 100; without it 20.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor, which are older.")] after: Option<String>,
        #[graphql(desc = "Only entries of these kinds; without it all.")] types: Option<Vec<TimelineEntryKind>>,
    ) -> Option<TimelineEntryConnection> {
        nullable(ctx, timeline::page(ctx, self.id.0, first, after.as_deref(), types).await)
    }
}

/// Where a customer stands among others.
#[Object]
impl CustomerHierarchy {
    /// The customers above this one, from its parent up. The chain ends at a customer that the actor does not see.
    async fn ancestors(&self, ctx: &Context<'_>) -> Option<Vec<Customer>> {
        nullable(ctx, ancestors(ctx, self.id.0).await)
    }

    /// The customers below this one.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a Relay connection")]
    async fn children(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many from the start: 0 to 100. Without first and last: 20.")] first: Option<i32>,
        #[graphql(desc = "Only those after this cursor; goes with first.")] after: Option<String>,
        #[graphql(desc = "How many from the end: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only those before this cursor; goes with last.")] before: Option<String>,
        #[graphql(name = "where", desc = "Which to choose.")] filter: Option<Where<Customer>>,
        #[graphql(desc = "In which order; without it the newest first.")] order_by: Option<Vec<OrderBy<Customer>>>,
    ) -> Option<Connection<Customer>> {
        let _ = (first, after, last, before, filter, order_by);
        relation::many(ctx, self).await
    }
}

/// The chain of customers above one, as this field's selection wants them: one statement.
async fn ancestors(ctx: &Context<'_>, id: Uuid) -> Result<Vec<Customer>> {
    let db = db(ctx)?;
    let selections: Vec<_> = ctx.field().selection_set().collect();
    let plan = Arc::new(select::plan(Customer::shape(), &selections, db.actor(), true)?);
    db.plan_chain(id, "parent_id", &plan).await
}

/// The queries of the Customer-360.
#[derive(Default)]
pub struct Customer360Query;

#[Object]
impl Customer360Query {
    /// All that there is to know of a customer, as far as the actor may. Null when there is no customer with this id that
    /// the actor sees. Needs `customers.read`; every block needs what it says.
    #[graphql(name = "customer360")]
    async fn customer_360(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The customer.")] id: Id<Customer>,
    ) -> Option<Customer360> {
        relation::get(ctx, Id::new(id.0)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_leads_somewhere() {
        assert_eq!(Customer360::shape().relations.len(), 8);
        assert_eq!(CustomerHierarchy::shape().relations.len(), 1);
    }
}
