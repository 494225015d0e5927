//! The deliveries of webhooks and the attempts at them in the API. Module `webhooks`. They come to be with events, and are
//! changed by whoever sends them, which raises nothing.

use async_graphql::{Context, ID, Json, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::tenant::{webhook_attempt::WebhookFailure, webhook_delivery::WebhookDeliveryStatus};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::webhook::{Webhook, webhooks};
use crate::{
    data::{ids, plan::Children},
    graphql::kit::{crud, db, error::nullable, id::Id},
    services::automation::webhook::body,
};

/// An event on its way to a webhook. Needs `webhooks.read`.
#[derive(SimpleObject, Deserialize, Default)]
#[graphql(complex)]
#[serde(default)]
pub struct WebhookDelivery {
    /// Its id.
    pub id: Id<Self>,
    /// The event's name.
    pub event: String,
    /// The stem of the type of the record that the event is about, such as `customer`.
    pub record_type: String,
    /// How far it has come.
    pub status: WebhookDeliveryStatus,
    /// How many attempts were begun since it was last to be sent.
    pub attempt_count: i32,
    /// When the next attempt is due; null when there is none.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When it came to its end.
    pub finished_at: Option<DateTime<Utc>>,
    /// The HTTP status of the last answer.
    pub last_status_code: Option<i32>,
    /// Why the last attempt came to nothing.
    pub last_error: Option<String>,
    /// When it was put on its way first.
    pub created_at: DateTime<Utc>,
    #[graphql(skip)]
    sequence: Option<i64>,
    #[graphql(skip)]
    event_id: Uuid,
    #[graphql(skip)]
    record_id: Uuid,
    #[graphql(skip)]
    #[serde(skip)]
    children: Children,
}

crate::object! {
    WebhookDelivery for webhook_delivery;
    values { status: WebhookDeliveryStatus }
    needs { sequence: ["sequence"], event_id: ["event_id"], record_id: ["record_type", "record_id"] }
    relations {
        /// The webhook.
        one webhook: Webhook,
        /// The attempts, the last first. One that a crash has cut off is counted and not listed.
        many attempts: WebhookAttempt,
    }
    methods {
        /// The event's number in the tenant, for `webhookReplay`; null for a ping. As text, since it may outgrow `Int`.
        async fn sequence(&self) -> Option<String> {
            self.sequence.map(|sequence| sequence.to_string())
        }

        /// The event's id: what the receiver finds in `webhook-id` and in `id`, however often it is sent.
        async fn event_id(&self) -> String {
            ids::encode("event", self.event_id)
        }

        /// The id of the record that the event is about; `node` answers what it is now.
        async fn record_id(&self) -> ID {
            ID(ids::encode(&self.record_type, self.record_id))
        }
    }
}

/// One attempt to send a delivery. Needs `webhooks.read`.
#[derive(SimpleObject, Deserialize, Default)]
#[graphql(complex)]
#[serde(default)]
pub struct WebhookAttempt {
    /// Its id.
    pub id: Id<Self>,
    /// Which attempt it was, counted since the delivery was last to be sent.
    pub number: i32,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// How long it took, in milliseconds.
    pub duration_ms: i32,
    /// The HTTP status of the answer, if one came.
    pub status_code: Option<i32>,
    /// Why it came to nothing; null when the delivery was taken.
    pub failure: Option<WebhookFailure>,
    /// The same in words.
    pub error: Option<String>,
    /// The first 4 KiB of the answer's body, as far as it is text.
    pub response_body: Option<String>,
    /// Whether there was more of it.
    pub response_truncated: bool,
    #[graphql(skip)]
    response_headers: Value,
    #[graphql(skip)]
    #[serde(skip)]
    children: Children,
}

crate::object! {
    WebhookAttempt for webhook_attempt;
    values { failure: WebhookFailure }
    needs { response_headers: ["response_headers"] }
    relations {
        /// The delivery.
        one delivery: WebhookDelivery,
    }
    methods {
        /// The headers of the answer: `{"content-type": "text/plain"}`, without those that set cookies.
        async fn response_headers(&self) -> Json<Value> {
            Json(self.response_headers.clone())
        }
    }
}

crate::payload! { WebhookDelivery as webhook_delivery; WebhookDeliveryPayload }

crate::queries! {
    WebhookDelivery;
    query WebhookDeliveryQuery {
        /// A delivery. Null when there is none that the actor sees. Needs `webhooks.read`.
        one webhook_delivery;
        /// What was and is on its way to the webhooks that the actor sees, the newest first. Needs `webhooks.read`.
        many webhook_deliveries;

        /// What a delivery sends, byte for byte. Needs `webhooks.read`, and that the actor sees the record that the event is
        /// about.
        async fn webhook_delivery_body(
            &self,
            ctx: &Context<'_>,
            #[graphql(desc = "The delivery's id.")] id: Id<WebhookDelivery>,
        ) -> Option<String> {
            nullable(ctx, async { body(webhooks(ctx), db(ctx)?, id.0).await }.await)
        }
    }
}

/// The mutations of deliveries.
#[derive(Default)]
pub struct WebhookDeliveryMutation;

#[Object]
impl WebhookDeliveryMutation {
    /// Sends a webhook a ping: an event `webhook.ping` for it alone. Answers the delivery. Needs `webhooks.write`.
    async fn webhook_ping(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The webhook's id.")] id: Id<Webhook>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<WebhookDeliveryPayload> {
        crud::run(ctx, client_mutation_id, async |unit| webhooks(ctx).ping(unit, id.0).await).await
    }

    /// Sends a delivery again at once, as if it had never been tried: with the same id and the same bytes. Needs
    /// `webhooks.write`.
    async fn webhook_delivery_retry(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The delivery's id.")] id: Id<WebhookDelivery>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<WebhookDeliveryPayload> {
        crud::run(ctx, client_mutation_id, async |unit| webhooks(ctx).retry(unit, id.0).await).await
    }
}
