//! Webhooks in the API. Module `webhooks`; events `webhook.created`, `.updated`, `.deleted`, `.restored`, `.disabled`.

use async_graphql::{Context, InputObject, Json, MaybeUndefined, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::tenant::webhook::{RetrySchedule, WebhookStatus};
use serde::Deserialize;
use serde_json::Value;

use super::webhook_delivery::WebhookDelivery;
use crate::{
    auth::{Action, Permission},
    data::{idempotency::Outcome, plan::Children},
    error::Result,
    graphql::{
        identity::user::User,
        kit::{
            condition::{ConditionInput, Conditions},
            crud::{self, answer},
            db,
            error::nullable,
            id::Id,
            payload::{DeletePayload, UserError},
        },
        node::record_shapes,
    },
    services::automation::webhook::{NewWebhook, WebhookChange, Webhooks},
};

/// The rules of webhooks that the application was started with.
pub(super) fn webhooks<'a>(ctx: &Context<'a>) -> &'a Webhooks {
    ctx.data_unchecked::<Webhooks>()
}

/// An address that is told of events. It sends what its creator may see, signed with its secret. Needs `webhooks.read`;
/// with the scope OWN one sees those that one has made.
#[derive(SimpleObject, Deserialize, Default)]
#[graphql(complex)]
#[serde(default)]
pub struct Webhook {
    /// Its id.
    pub id: Id<Self>,
    /// What it is for.
    pub name: String,
    /// Where deliveries go.
    pub url: String,
    /// Which events it is told of: their names, all of a record (`customer.*`), one of all records (`*.deleted`), all
    /// (`*`).
    pub events: Vec<String>,
    /// When a delivery that came to nothing is tried again.
    pub retry_schedule: RetrySchedule,
    /// Whether it is told of events.
    pub status: WebhookStatus,
    /// When it got the newest of its secrets; the one before counts for 24 hours from then.
    pub secret_changed_at: DateTime<Utc>,
    /// Why the platform has switched it off.
    pub disabled_reason: Option<String>,
    /// When a delivery was last taken, to the minute.
    pub last_success_at: Option<DateTime<Utc>>,
    /// Since when deliveries have come to nothing; null while the last one was taken.
    pub failing_since: Option<DateTime<Utc>>,
    /// 1 at creation, one more with each change.
    pub version: i32,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
    #[graphql(skip)]
    condition: Option<Value>,
    #[graphql(skip)]
    #[serde(skip)]
    children: Children,
}

crate::object! {
    Webhook for webhook;
    values { retry_schedule: RetrySchedule, status: WebhookStatus }
    needs { condition: ["condition"] }
    relations {
        /// What was and is on its way to it.
        many deliveries: WebhookDelivery,
        /// Who created it: it sends what this user may see.
        one created_by: User,
        /// Who changed it last.
        one updated_by: User,
    }
    methods {
        /// What the records of the events must meet besides, in the form of ConditionInput; null when nothing.
        async fn condition(&self) -> Option<Json<Value>> {
            self.condition.clone().map(Json)
        }
    }
}

/// What a stored condition means for each record type.
///
/// # Errors
/// A message for people when it means nothing.
pub fn read_condition(stored: &Value) -> Result<Conditions, String> {
    let condition = ConditionInput::read(stored)?;
    let shapes: Vec<_> = record_shapes().map(|(_, shape)| shape).collect();
    condition.compile(&shapes)
}

/// An event that webhooks can be told of.
#[derive(SimpleObject)]
pub struct WebhookEvent {
    /// Its name, such as `opportunity.won`.
    pub name: String,
    /// What happened.
    pub description: String,
}

crate::payload! { Webhook as webhook; WebhookPayload }

crate::queries! {
    Webhook;
    query WebhookQuery {
        /// A webhook. Null when there is none that the actor sees. Needs `webhooks.read`.
        one webhook;
        /// The webhooks that the actor sees. Needs `webhooks.read`.
        many webhooks;

        /// The events that webhooks can be told of, in the order of their names. Needs `webhooks.read`.
        async fn webhook_event_types(&self, ctx: &Context<'_>) -> Option<Vec<WebhookEvent>> {
            let types = || {
                db(ctx)?.actor().require(Permission::new("webhooks", Action::Read))?;
                let events = webhooks(ctx).catalogue().events().iter().cloned();
                Ok(events.map(|event| WebhookEvent { name: event.name, description: event.description }).collect())
            };
            nullable(ctx, types())
        }
    }
}

/// A webhook with its secret.
#[derive(SimpleObject)]
pub struct WebhookSecretPayload {
    /// The webhook; null when nothing was done.
    pub webhook: Option<Webhook>,
    /// The secret that signs its deliveries, `whsec_` and base64. It is shown now and never again; null when nothing was
    /// done, and when the answer is repeated for an idempotency key.
    pub secret: Option<String>,
    /// What a user can mend; empty when all went well.
    pub user_errors: Vec<UserError>,
    /// What the client sent along, so that it recognises the answer.
    pub client_mutation_id: Option<String>,
}

/// What a replay answers.
#[derive(SimpleObject)]
pub struct WebhookReplayPayload {
    /// The webhook; null when nothing was done.
    pub webhook: Option<Webhook>,
    /// How many deliveries are on their way; null when nothing was done, and when the answer is repeated for an
    /// idempotency key.
    pub count: Option<i32>,
    /// What a user can mend; empty when all went well.
    pub user_errors: Vec<UserError>,
    /// What the client sent along, so that it recognises the answer.
    pub client_mutation_id: Option<String>,
}

/// A new webhook.
#[derive(InputObject)]
pub struct WebhookCreateInput {
    /// What it is for, at most 200 characters.
    name: String,
    /// Where deliveries go: an `https://` address that is reached from the internet.
    url: String,
    /// Which events it is told of: their names, all of a record (`customer.*`), one of all records (`*.deleted`), all
    /// (`*`). `webhookEventTypes` names them.
    events: Vec<String>,
    /// What the records of the events must meet besides, by what the event tells of the record after it and before it. A
    /// field that a record type does not have has no value there.
    condition: Option<ConditionInput>,
    /// When a delivery that came to nothing is tried again; DEFAULT when left out.
    retry_schedule: Option<RetrySchedule>,
    /// The secret that signs its deliveries: `whsec_` and the base64 of 24 to 64 random bytes; a new one is made when left
    /// out.
    secret: Option<String>,
}

/// A change of a webhook: what is left out stays.
#[derive(InputObject)]
pub struct WebhookUpdateInput {
    /// What it is for, at most 200 characters.
    name: Option<String>,
    /// Where deliveries go: an `https://` address that is reached from the internet.
    url: Option<String>,
    /// Which events it is told of: these and no others.
    events: Option<Vec<String>>,
    /// What the records of the events must meet besides; null clears it.
    condition: MaybeUndefined<ConditionInput>,
    /// When a delivery that came to nothing is tried again.
    retry_schedule: Option<RetrySchedule>,
}

/// The mutations of webhooks.
#[derive(Default)]
pub struct WebhookMutation;

#[Object]
impl WebhookMutation {
    /// Makes a webhook and sends it a ping. What it sends is what the actor may see at the time of each event; an API key
    /// makes webhooks only when it may do all that its owner may. Needs `webhooks.write`. Raises `webhook.created`.
    async fn webhook_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What it shall be.")] input: WebhookCreateInput,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<WebhookSecretPayload> {
        let WebhookCreateInput { name, url, events, condition, retry_schedule, secret } = input;
        let condition = condition.as_ref().map(ConditionInput::stored);
        let new = NewWebhook { name, url, events, condition, retry_schedule, secret };
        let mut made = None;
        let outcome: Result<Outcome> = async {
            db(ctx)?
                .mutate(async |unit| {
                    let (id, secret) = webhooks(ctx).create(unit, new).await?;
                    made = Some(secret.expose());
                    Ok(Outcome::written(id))
                })
                .await
        }
        .await;
        with_secret(ctx, outcome, made, client_mutation_id).await
    }

    /// Changes a webhook. Where it goes and what it is told of is changed by its creator, and by those who may do all that
    /// the creator may. Needs `webhooks.write`. Raises `webhook.updated`.
    async fn webhook_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Id<Webhook>,
        #[graphql(desc = "What to change: what is left out stays.")] input: WebhookUpdateInput,
        #[graphql(desc = "The version that the client has seen; another one is STALE_VERSION.")]
        expected_version: Option<i32>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<WebhookPayload> {
        let WebhookUpdateInput { name, url, events, condition, retry_schedule } = input;
        let condition = match condition {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(None),
            MaybeUndefined::Value(condition) => Some(Some(condition.stored())),
        };
        let change = WebhookChange { name, url, events, condition, retry_schedule };
        crud::run(ctx, client_mutation_id, async |unit| {
            webhooks(ctx).update(unit, id.0, expected_version, change).await
        })
        .await
    }

    /// Deletes a webhook; what is on its way to it is cancelled. Needs `webhooks.delete`. Raises `webhook.deleted`.
    async fn webhook_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Id<Webhook>,
        #[graphql(desc = "The version that the client has seen; another one is STALE_VERSION.")]
        expected_version: Option<i32>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<DeletePayload> {
        crud::delete(ctx, id, expected_version, client_mutation_id).await
    }

    /// Brings a deleted webhook back, with its secret; what was cancelled stays so. Needs `webhooks.restore`. Raises
    /// `webhook.restored`.
    async fn webhook_restore(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Id<Webhook>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<WebhookPayload> {
        crud::restore(ctx, id, client_mutation_id).await
    }

    /// Switches a webhook on, whoever has switched it off. What waited for it is sent; what happened meanwhile is not, but
    /// can be replayed. Needs `webhooks.write`. Raises `webhook.updated`.
    async fn webhook_enable(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Id<Webhook>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<WebhookPayload> {
        crud::run(ctx, client_mutation_id, async |unit| webhooks(ctx).switch(unit, id.0, true).await).await
    }

    /// Switches a webhook off: it is told of no more events, and what is on its way to it waits. Needs `webhooks.write`.
    /// Raises `webhook.updated`.
    async fn webhook_disable(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Id<Webhook>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<WebhookPayload> {
        crud::run(ctx, client_mutation_id, async |unit| webhooks(ctx).switch(unit, id.0, false).await).await
    }

    /// Gives a webhook a new secret. For 24 hours deliveries are signed with both, so that the receiver can change over
    /// without missing any; X-Webhook-Signature takes the new one at once. A secret before those two counts no more. Needs
    /// `webhooks.write`. Raises `webhook.updated`.
    async fn webhook_rotate_secret(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Id<Webhook>,
        #[graphql(
            desc = "The new secret: `whsec_` and the base64 of 24 to 64 random bytes; one is made when left out."
        )]
        secret: Option<String>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<WebhookSecretPayload> {
        let mut made = None;
        let outcome: Result<Outcome> = async {
            db(ctx)?
                .mutate(async |unit| {
                    made = Some(webhooks(ctx).rotate(unit, id.0, secret).await?.expose());
                    Ok(Outcome::written(id.0))
                })
                .await
        }
        .await;
        with_secret(ctx, outcome, made, client_mutation_id).await
    }

    /// Sends the events with these numbers to a webhook once more: those whose delivery was given up, and those that it
    /// names and was never sent. Whoever receives one again knows it by its id. Needs `webhooks.write`.
    async fn webhook_replay(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Id<Webhook>,
        #[graphql(desc = "The `sequence` of the first event.")] from_sequence: i64,
        #[graphql(desc = "The `sequence` of the last event; at most 1,000 events at a time.")] to_sequence: i64,
        #[graphql(desc = "Also those that it has taken; false when left out.")] all: Option<bool>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<WebhookReplayPayload> {
        let mut count = None;
        let range = (from_sequence, to_sequence);
        let outcome: Result<Outcome> = async {
            let db = db(ctx)?;
            db.mutate(async |unit| {
                let sent = webhooks(ctx).replay(db, unit, id.0, range, all.unwrap_or(false)).await?;
                count = i32::try_from(sent).ok();
                Ok(Outcome::written(id.0))
            })
            .await
        }
        .await;
        let WebhookPayload { webhook, user_errors, client_mutation_id } =
            answer::<WebhookPayload>(ctx, outcome, client_mutation_id).await?;
        Some(WebhookReplayPayload { webhook, count, user_errors, client_mutation_id })
    }
}

async fn with_secret(
    ctx: &Context<'_>,
    outcome: Result<Outcome>,
    secret: Option<String>,
    client_mutation_id: Option<String>,
) -> Option<WebhookSecretPayload> {
    let WebhookPayload { webhook, user_errors, client_mutation_id } =
        answer::<WebhookPayload>(ctx, outcome, client_mutation_id).await?;
    // What was refused after it was made is no secret.
    let secret = secret.filter(|_| user_errors.is_empty());
    Some(WebhookSecretPayload { webhook, secret, user_errors, client_mutation_id })
}
