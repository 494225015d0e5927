//! From events to deliveries.
//!
//! For each event of the tenant, and each webhook that names it, one delivery is made, in the transaction that notes how
//! far the outbox was read: so an event goes to a webhook once, and none is lost. What is sent is fixed here; however
//! often it is sent, its bytes are the same.
//!
//! A webhook sends what its creator may see at this moment: the permission to read the record, and DataScope, by the same
//! rule as lists; of deleted records, too. A creator who may not come in any more sends nothing. Events from before the
//! webhook was made, and events while it was off, are not sent; they can be replayed.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use entity::tenant::webhook::{self, WebhookStatus};
use sea_orm::ColumnTrait;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Webhooks, events::matches};
use crate::{
    condition::Condition,
    data::{Unit, consume::Consumer, feed::Event, ids, value::moment, webhook::NewDelivery},
    error::Result,
};

/// The consumer's name in the database.
pub const CONSUMER: &str = "webhook";

impl Consumer for Webhooks {
    fn name(&self) -> &'static str {
        CONSUMER
    }

    async fn take(&self, unit: &mut Unit, events: &[Arc<Event>]) -> Result<()> {
        let on = sea_orm::Condition::all().add(webhook::Column::Status.eq(WebhookStatus::Enabled));
        let webhooks = unit.all_rows::<webhook::Entity>(on).await?;
        if webhooks.is_empty() {
            return Ok(());
        }
        self.fan_out(unit, &webhooks, events, false).await.map(|_| ())
    }
}

impl Webhooks {
    /// Puts the events on their way to the webhooks that name them; answers how many deliveries were made. `replay`: also
    /// those from before a webhook was made.
    pub(super) async fn fan_out(
        &self,
        unit: &mut Unit,
        webhooks: &[webhook::Model],
        events: &[Arc<Event>],
        replay: bool,
    ) -> Result<u64> {
        let mut creators: HashMap<Uuid, Vec<&webhook::Model>> = HashMap::new();
        for webhook in webhooks {
            creators.entry(webhook.created_by).or_default().push(webhook);
        }
        let mut deliveries = Vec::new();
        for (creator, webhooks) in creators {
            let mut wanted: Vec<(&webhook::Model, &Event)> = Vec::new();
            for webhook in webhooks {
                let condition = self.condition_of(webhook);
                for event in events {
                    let in_time = replay || event.occurred_at > webhook.created_at;
                    if in_time && wants(webhook, event) && self.meets(condition.as_ref(), event)? {
                        wanted.push((webhook, event));
                    }
                }
            }
            if !wanted.is_empty() {
                let wanted = self.seen(unit, creator, wanted).await?;
                deliveries.extend(wanted.into_iter().map(|(webhook, event)| delivery(unit, webhook, event)));
            }
        }
        // In the order of the events, whoever made the webhook.
        deliveries.sort_by_key(|delivery| delivery.sequence);
        unit.webhook_deliver(deliveries).await
    }

    /// What the condition of a webhook means; none where it has none. One that an earlier release has saved and that means
    /// nothing any more is met by nothing.
    fn condition_of(&self, webhook: &webhook::Model) -> Option<HashMap<&'static str, Condition>> {
        let meaning = self.meaning(webhook.condition.as_ref()?);
        Some(meaning.unwrap_or_else(|error| {
            let id = ids::encode("webhook", webhook.id);
            tracing::error!(webhook = id, reason = error.message, "the condition of a webhook means nothing any more");
            HashMap::new()
        }))
    }

    fn meets(&self, condition: Option<&HashMap<&'static str, Condition>>, event: &Event) -> Result<bool> {
        let Some(condition) = condition else { return Ok(true) };
        let Some(meta) = self.catalogue().record(&event.record_type) else { return Ok(false) };
        condition.get(meta.name).map_or(Ok(false), |condition| event.meets(condition, meta))
    }

    /// Those of them that the creator may see now: one statement for each type of records.
    async fn seen<'a>(
        &self,
        unit: &Unit,
        creator: Uuid,
        wanted: Vec<(&'a webhook::Model, &'a Event)>,
    ) -> Result<Vec<(&'a webhook::Model, &'a Event)>> {
        let Some(actor) = self.identity().actor_of(unit.actor().tenant_id, creator).await? else {
            return Ok(Vec::new());
        };
        let mut records: HashMap<&str, HashSet<Uuid>> = HashMap::new();
        for (_, event) in &wanted {
            records.entry(&event.record_type).or_default().insert(event.record_id);
        }
        let mut seen = HashSet::new();
        for (record, ids) in records {
            if let Some(meta) = self.catalogue().record(record) {
                let ids: Vec<Uuid> = ids.into_iter().collect();
                seen.extend(unit.seen_by(&actor, meta, &ids).await?.into_iter().map(|id| (meta.name, id)));
            }
        }
        Ok(wanted.into_iter().filter(|(_, event)| seen.contains(&(&*event.record_type, event.record_id))).collect())
    }
}

/// The patterns of a webhook.
pub fn patterns(webhook: &webhook::Model) -> impl Iterator<Item = &str> {
    webhook.events.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn wants(webhook: &webhook::Model, event: &Event) -> bool {
    patterns(webhook).any(|pattern| matches(pattern, &event.name))
}

fn delivery(unit: &Unit, webhook: &webhook::Model, event: &Event) -> NewDelivery {
    let body = json!({
        "id": ids::encode("event", event.id),
        "event": event.name,
        "timestamp": moment(event.occurred_at),
        "sequence": event.seq,
        "tenantId": ids::encode("tenant", unit.actor().tenant_id),
        "actor": actor(event.actor_id),
        "data": event.data,
        "changedFields": event.changed_fields,
        "previous": event.previous,
    });
    NewDelivery {
        id: ids::new(unit.now()),
        webhook_id: webhook.id,
        sequence: Some(event.seq),
        event_id: event.id,
        event: event.name.clone(),
        record_type: event.record_type.clone().into_owned(),
        record_id: event.record_id,
        body: body.to_string(),
    }
}

/// Who did it; null is the platform.
fn actor(id: Uuid) -> Value {
    if id.is_nil() { Value::Null } else { json!({ "id": ids::encode("user", id) }) }
}

/// The ping of a webhook: an event of its own, which has no number.
pub(super) fn ping(unit: &Unit, webhook: &webhook::Model) -> NewDelivery {
    let event_id = ids::new(unit.now());
    let body = json!({
        "id": ids::encode("event", event_id),
        "event": super::events::PING,
        "timestamp": moment(unit.now()),
        "sequence": null,
        "tenantId": ids::encode("tenant", unit.actor().tenant_id),
        "actor": actor(unit.actor().user_id),
        "data": {
            "id": ids::encode("webhook", webhook.id),
            "name": webhook.name,
            "events": webhook.events,
        },
        "changedFields": [],
        "previous": {},
    });
    NewDelivery {
        id: ids::new(unit.now()),
        webhook_id: webhook.id,
        sequence: None,
        event_id,
        event: super::events::PING.to_owned(),
        record_type: "webhook".to_owned(),
        record_id: webhook.id,
        body: body.to_string(),
    }
}
