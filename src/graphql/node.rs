//! Records by their ids, whatever their type (Relay's Global Object Identification).
//!
//! An id says which record it is of, so `node` needs nothing else. What may not be seen and what is not there are both
//! null, without an error. Records of one type are read in one statement, planned for the fields that the query asks
//! of that type.
//!
//! A record takes one line in `nodes!`.

use async_graphql::{Context, Enum, ID, Interface};
use entity::record::RecordMeta;
use futures_util::future::join_all;
use uuid::Uuid;

use super::{
    automation::{
        notification::Notification,
        webhook::Webhook,
        webhook_delivery::{WebhookAttempt, WebhookDelivery},
    },
    identity::{api_key::ApiKey, audit_log::AuditLog, role::Role, user::User},
    kit::{
        db,
        error::{null_with, to_graphql},
        id::{AnyId, Identified},
        relation,
        shape::{Object, Shape},
    },
    sales::{
        activity::Activity, contact::Contact, customer::Customer, interaction::Interaction, lead::Lead,
        opportunity::Opportunity, opportunity_line::OpportunityLine, opportunity_stage_change::OpportunityStageChange,
        pipeline::Pipeline, pipeline_stage::PipelineStage, product::Product,
    },
    support::{ticket::Ticket, ticket_comment::TicketComment},
};
use crate::error::Error;

/// How many records `nodes` answers at most.
const MOST_IDS: usize = 100;

macro_rules! nodes {
    ($($(#[$doc:meta])* $object:ident),* $(,)?) => {
        /// The types of records.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
        pub enum RecordType {
            $($(#[$doc])* $object),*
        }

        /// The types of records, with what the platform knows of each.
        pub fn record_types() -> impl Iterator<Item = (RecordType, &'static RecordMeta)> {
            [$((RecordType::$object, <$object as Object>::shape().meta)),*].into_iter()
        }

        /// The types of records, with the shapes of their objects.
        pub fn record_shapes() -> impl Iterator<Item = (RecordType, &'static Shape)> {
            [$((RecordType::$object, <$object as Object>::shape())),*].into_iter()
        }

        /// A record, of whatever type.
        #[derive(Interface)]
        #[graphql(field(name = "id", ty = "ID", desc = "Its id."))]
        pub enum Node {
            $(
                $(#[$doc])*
                $object(Box<$object>),
            )*
        }

        /// The record with this id, asked for together with others of its type.
        async fn load(ctx: &Context<'_>, name: &str, id: Uuid) -> Option<Node> {
            match name {
                $(<$object as Identified>::PREFIX => {
                    relation::entity::<$object>(ctx, id).await.map(|record| Node::$object(Box::new(record)))
                })*
                _ => None,
            }
        }
    };
}

nodes! {
    /// A person who works in the tenant.
    User,
    /// A named set of permissions.
    Role,
    /// A program that acts for a user.
    ApiKey,
    /// What was done to a record.
    AuditLog,
    /// A company or a person that the tenant does or wants to do business with.
    Customer,
    /// A person at a customer.
    Contact,
    /// Somebody who may become a customer.
    Lead,
    /// A deal that may be won.
    Opportunity,
    /// A line of a deal.
    OpportunityLine,
    /// A move of a deal from one stage to another.
    OpportunityStageChange,
    /// A way in which deals are won, stage by stage.
    Pipeline,
    /// A step of a pipeline.
    PipelineStage,
    /// Something that is sold.
    Product,
    /// Something a user plans to do and then does.
    Activity,
    /// Something that happened between the tenant and the people it deals with.
    Interaction,
    /// A customer's question or trouble.
    Ticket,
    /// What was written about a ticket.
    TicketComment,
    /// What a user is told of.
    Notification,
    /// An address that is told of events.
    Webhook,
    /// An event on its way to a webhook.
    WebhookDelivery,
    /// An attempt to send a delivery.
    WebhookAttempt,
}

impl Node {
    /// The record with this id, as this field's selection wants it; null when there is none that the actor sees.
    /// Records that are asked for from one place of the query are read in one statement a type.
    pub async fn load(ctx: &Context<'_>, id: &AnyId) -> Option<Self> {
        load(ctx, &id.name, id.id).await
    }
}

/// The queries of nodes.
#[derive(Default)]
pub struct NodeQuery;

#[async_graphql::Object]
impl NodeQuery {
    /// The record with this id, whatever its type. Null when there is none that the actor sees, or the actor may not
    /// read records of its type.
    async fn node(&self, ctx: &Context<'_>, #[graphql(desc = "Its id.")] id: AnyId) -> Option<Node> {
        if let Err(error) = db(ctx) {
            return null_with(ctx, error);
        }
        Node::load(ctx, &id).await
    }

    /// The records with these ids, in their order; null in the place of each that the actor does not see.
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Their ids, at most 100.")] ids: Vec<AnyId>,
    ) -> async_graphql::Result<Vec<Option<Node>>> {
        db(ctx).map_err(to_graphql)?;
        if ids.len() > MOST_IDS {
            return Err(to_graphql(Error::BadInput(format!("at most {MOST_IDS} ids at a time"))));
        }
        Ok(join_all(ids.iter().map(|id| Node::load(ctx, id))).await)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_record_of_the_schema_is_a_node() {
        let sdl = crate::graphql::schema::build().finish().sdl();
        for record in sdl.split("\ntype ").skip(1).filter(|record| record.contains("\n\tversion: Int!")) {
            let head = record.lines().next().unwrap_or_default();
            // A recurring job is the platform's and no record of a tenant.
            if head.starts_with("Cron ") {
                continue;
            }
            assert!(head.contains("implements Node"), "{head}: add it to nodes! in graphql/node.rs");
        }
    }
}
