//! An event on its way to a webhook. It is made with the event's consumer and changed by whoever sends it; that is no
//! change of a record, so it raises no event and leaves no audit entry.

use sea_orm::entity::prelude::*;

use super::{webhook, webhook_attempt};
use crate::record::{Record, Relation as Link, Scope, many, one};

crate::value_set! {
    /// How far a delivery has come.
    WebhookDeliveryStatus {
        /// It is to be sent, or sent again.
        Pending,
        /// The receiver has taken it.
        Succeeded,
        /// It was given up after its last attempt.
        Failed,
        /// Its webhook was deleted before.
        Cancelled,
    }
}

/// One delivery.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_delivery")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant; every statement filters by it.
    pub tenant_id: Uuid,
    /// The webhook.
    pub webhook_id: Uuid,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// The number of the event; missing for a ping.
    pub sequence: Option<i64>,
    /// The event: what the receiver knows it by, however often it is sent.
    pub event_id: Uuid,
    /// The event's name.
    #[sea_orm(column_type = "String(StringLen::N(100))")]
    pub event: String,
    /// The stem of the type of the record that the event is about.
    #[sea_orm(column_type = "String(StringLen::N(64))")]
    pub record_type: String,
    /// The record.
    pub record_id: Uuid,
    /// What is sent: the same bytes each time.
    #[sea_orm(column_type = "Text")]
    pub body: String,
    /// How far it has come.
    pub status: WebhookDeliveryStatus,
    /// How many attempts were begun since it was last to be sent.
    pub attempt_count: i32,
    /// When the next attempt is due; missing when there is none.
    pub next_attempt_at: Option<DateTimeUtc>,
    /// When it came to its end.
    pub finished_at: Option<DateTimeUtc>,
    /// The status of the last answer.
    pub last_status_code: Option<i32>,
    /// Why the last attempt came to nothing.
    #[sea_orm(column_type = "String(StringLen::N(500))", nullable)]
    pub last_error: Option<String>,
}

/// SeaORM's own relations are not used: a record declares its relations in `Record::relations`.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Record for Entity {
    const NAME: &'static str = "webhook_delivery";
    const MODULE: &'static str = "webhooks";
    const SCOPE: Scope = Scope::Child { column: "webhook_id", parent: webhook::Entity::meta };

    fn relations() -> Vec<Link> {
        vec![
            one::<webhook::Entity>("webhook", "webhook_id"),
            many::<webhook_attempt::Entity>("attempts", "delivery_id"),
        ]
    }

    crate::record_meta!();
}
