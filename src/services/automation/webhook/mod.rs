//! Webhooks: addresses that are told of the tenant's events.
//!
//! A webhook is ENABLED, DISABLED by a user, or AUTO_DISABLED by the platform, with the reason; only one that is enabled is
//! told of events and sends. What is on its way while it is switched off waits. Module `webhooks`; events
//! `webhook.created`, `.updated`, `.deleted`, `.restored`, `.disabled`.
//!
//! It sends what its creator may see. So that nobody learns through another's webhook what he may not see himself, where
//! it goes and what it sends is changed only by its creator and by those who may do all that the creator may; and a
//! program with an API key makes webhooks only when its key may do all that its owner may.
//!
//! | file | what it holds |
//! |---|---|
//! | `events` | which events there are, and the patterns that name them |
//! | `fan_out` | from events to deliveries |
//! | `send`, `schedule`, `lanes` | from deliveries to requests: how, when again, and who first |
//! | `sign` | secrets and signatures |

pub mod events;
mod fan_out;
mod lanes;
mod schedule;
mod send;
mod sign;

use std::{collections::HashMap, sync::Arc};

use entity::{
    record::RecordMeta,
    tenant::{
        webhook::{self, RetrySchedule, WebhookStatus},
        webhook_attempt, webhook_delivery,
    },
};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    Condition,
};
use serde_json::Value;
use uuid::Uuid;

use self::events::Catalogue;
pub use self::{send::Sending, sign::WebhookSecret};
use super::super::identity::Identity;
use crate::{
    auth::{
        Action, Actor, DataScope, Permission,
        seal::{Place, Sealer},
    },
    condition,
    data::{Rules, TenantDb, Unit, ids, webhook::Again},
    error::{Error, Result, UserError, UserErrorCode},
    integrations::http::HttpClient,
    metrics::Metrics,
};

const WRITE: Permission = Permission::new("webhooks", Action::Write);
/// How many webhooks a tenant has.
const MOST: usize = 250;
/// How many names and patterns a webhook has.
const MOST_EVENTS: usize = 100;
/// How many events are replayed at a time.
pub const MOST_REPLAYED: i64 = 1000;

impl Rules for webhook::Entity {
    async fn before_delete(unit: &mut Unit, row: &Self::Model) -> Result<()> {
        unit.webhook_cancel(row.id).await
    }
}

impl Rules for webhook_delivery::Entity {}

impl Rules for webhook_attempt::Entity {}

/// The rules of webhooks and what they need. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Webhooks(Arc<Inner>);

struct Inner {
    http: HttpClient,
    sealer: Sealer,
    identity: Identity,
    catalogue: Catalogue,
    read_condition: ReadCondition,
    metrics: Metrics,
}

/// Reads a condition as the API has it: what it means for each record type, by the record's name; or why it means nothing.
pub type ReadCondition = fn(&Value) -> Result<HashMap<&'static str, condition::Condition>, String>;

/// A new webhook.
pub struct NewWebhook {
    /// What it is for.
    pub name: String,
    /// Where deliveries go.
    pub url: String,
    /// Which events it is told of.
    pub events: Vec<String>,
    /// What their records must meet besides, as the API has it.
    pub condition: Option<Value>,
    /// When a delivery that came to nothing is tried again.
    pub retry_schedule: Option<RetrySchedule>,
    /// A secret of the user's own.
    pub secret: Option<String>,
}

/// A change of a webhook: what is missing stays.
pub struct WebhookChange {
    /// What it is for.
    pub name: Option<String>,
    /// Where deliveries go.
    pub url: Option<String>,
    /// Which events it is told of.
    pub events: Option<Vec<String>>,
    /// What their records must meet besides: missing stays, none clears.
    pub condition: Option<Option<Value>>,
    /// When a delivery that came to nothing is tried again.
    pub retry_schedule: Option<RetrySchedule>,
}

impl Webhooks {
    /// Over these records, sending through this client.
    #[must_use]
    pub fn new(
        http: HttpClient,
        sealer: Sealer,
        identity: Identity,
        records: Vec<&'static RecordMeta>,
        read_condition: ReadCondition,
        metrics: Metrics,
    ) -> Self {
        let catalogue = Catalogue::new(records);
        Self(Arc::new(Inner { http, sealer, identity, catalogue, read_condition, metrics }))
    }

    /// The events that there are.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.0.catalogue
    }

    fn http(&self) -> &HttpClient {
        &self.0.http
    }

    fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// Makes a webhook, which gets a ping at once. Answers its secret, which is shown now and never again.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the permission, [`Error::User`] for what a user can mend.
    pub async fn create(&self, unit: &mut Unit, new: NewWebhook) -> Result<(Uuid, WebhookSecret)> {
        let NewWebhook { name, url, events, condition, retry_schedule, secret } = new;
        unit.actor().require(WRITE)?;
        self.covers(unit, unit.actor().user_id, &[]).await?;
        let mut errors = Vec::new();
        let url = self.address(&url).map_err(|error| errors.push(error)).ok();
        let events = self.patterns(events).map_err(|error| errors.push(error)).ok();
        let secret = made(secret, &["input", "secret"])?.map_err(|error| errors.push(error)).ok();
        if let Some(error) = condition.as_ref().and_then(|condition| self.meaning(condition).err()) {
            errors.push(error);
            return Err(Error::User(errors));
        }
        let (Some(url), Some(events), Some(secret)) = (url, events, secret) else { return Err(Error::User(errors)) };
        unit.one_at_a_time("webhook").await?;
        if unit.all_rows::<webhook::Entity>(Condition::all()).await?.len() >= MOST {
            return Err(Error::user(
                UserErrorCode::LimitReached,
                &["input"],
                format!("there are {MOST} webhooks already"),
            ));
        }
        let row = webhook::ActiveModel {
            name: Set(name),
            url: Set(url),
            events: Set(events),
            condition: Set(condition),
            retry_schedule: Set(retry_schedule.unwrap_or_default()),
            status: Set(WebhookStatus::Enabled),
            secret_changed_at: Set(unit.now()),
            ..Default::default()
        };
        let row = unit.insert::<webhook::Entity>(row).await?;
        self.keep_secret(unit, row.id, &secret).await?;
        let ping = fan_out::ping(unit, &row);
        unit.webhook_deliver(vec![ping]).await?;
        Ok((row.id, secret))
    }

    /// Changes a webhook.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`], [`Error::User`] for what a user can mend.
    pub async fn update(
        &self,
        unit: &mut Unit,
        id: Uuid,
        expected: Option<i32>,
        change: WebhookChange,
    ) -> Result<Uuid> {
        let WebhookChange { name, url, events, condition, retry_schedule } = change;
        let before = unit.claim::<webhook::Entity>(id, expected, Action::Write).await?;
        if url.is_some() || events.is_some() || condition.is_some() {
            self.covers(unit, before.created_by, &["id"]).await?;
        }
        let mut errors = Vec::new();
        let url = url.and_then(|url| self.address(&url).map_err(|error| errors.push(error)).ok());
        let events = events.and_then(|events| self.patterns(events).map_err(|error| errors.push(error)).ok());
        errors.extend(condition.iter().flatten().filter_map(|condition| self.meaning(condition).err()));
        if !errors.is_empty() {
            return Err(Error::User(errors));
        }
        let moved = url.as_ref().is_some_and(|url| *url != before.url);
        let row = webhook::ActiveModel {
            name: name.map_or(NotSet, Set),
            url: url.map_or(NotSet, Set),
            events: events.map_or(NotSet, Set),
            condition: condition.map_or(NotSet, Set),
            retry_schedule: retry_schedule.map_or(NotSet, Set),
            // Another address begins anew.
            failing_since: if moved { Set(None) } else { NotSet },
            ..Default::default()
        };
        unit.update::<webhook::Entity>(id, expected, row).await.map(|row| row.id)
    }

    /// Switches a webhook on or off. What waits for it is sent when it is on again.
    ///
    /// # Errors
    /// As [`Webhooks::update`].
    pub async fn switch(&self, unit: &mut Unit, id: Uuid, on: bool) -> Result<Uuid> {
        let status = if on { WebhookStatus::Enabled } else { WebhookStatus::Disabled };
        let mut row = webhook::ActiveModel { status: Set(status), disabled_reason: Set(None), ..Default::default() };
        if on {
            row.failing_since = Set(None);
            unit.webhooks_wake();
        }
        unit.update::<webhook::Entity>(id, None, row).await.map(|row| row.id)
    }

    /// Gives a webhook a new secret, which is shown now and never again. The one before counts for another day: until then
    /// deliveries are signed with both.
    ///
    /// # Errors
    /// As [`Webhooks::update`].
    pub async fn rotate(&self, unit: &mut Unit, id: Uuid, secret: Option<String>) -> Result<WebhookSecret> {
        let before = unit.claim::<webhook::Entity>(id, None, Action::Write).await?;
        let secret = made(secret, &["secret"])?.map_err(|error| Error::User(vec![error]))?;
        self.keep_secret(unit, id, &secret).await?;
        let changed = webhook::ActiveModel { secret_changed_at: Set(unit.now()), ..Default::default() };
        unit.update_by_rule::<webhook::Entity>(&before, changed).await?;
        Ok(secret)
    }

    /// Puts a ping on its way to a webhook; answers the delivery.
    ///
    /// # Errors
    /// As [`Webhooks::update`].
    pub async fn ping(&self, unit: &mut Unit, id: Uuid) -> Result<Uuid> {
        let webhook = unit.claim::<webhook::Entity>(id, None, Action::Write).await?;
        on(&webhook)?;
        let ping = fan_out::ping(unit, &webhook);
        let delivery = ping.id;
        unit.webhook_deliver(vec![ping]).await?;
        Ok(delivery)
    }

    /// Sends a delivery again, as if it had never been tried.
    ///
    /// # Errors
    /// As [`Webhooks::update`].
    pub async fn retry(&self, unit: &mut Unit, id: Uuid) -> Result<Uuid> {
        unit.actor().require(WRITE)?;
        let delivery = unit.get::<webhook_delivery::Entity>(id).await?;
        on(&unit.claim::<webhook::Entity>(delivery.webhook_id, None, Action::Write).await?)?;
        unit.webhook_again(id).await?;
        Ok(id)
    }

    /// Sends the events with these numbers to a webhook, both ends included: those whose delivery was given up, those that
    /// it was never sent although it names them, and with `all` those that it has taken. Answers how many.
    ///
    /// # Errors
    /// As [`Webhooks::update`].
    pub async fn replay(
        &self,
        db: &TenantDb,
        unit: &mut Unit,
        id: Uuid,
        (from, to): (i64, i64),
        all: bool,
    ) -> Result<u64> {
        let webhook = unit.claim::<webhook::Entity>(id, None, Action::Write).await?;
        on(&webhook)?;
        let wrong = |field: &str, message: String| Err(Error::user(UserErrorCode::Invalid, &[field], message));
        if from < 1 {
            return wrong("fromSequence", "the first event has the number 1".to_owned());
        }
        if to < from || to - from >= MOST_REPLAYED {
            return wrong("toSequence", format!("at least 1 and at most {MOST_REPLAYED} events at a time"));
        }
        let events = db.events_between(from, to, usize::try_from(MOST_REPLAYED).unwrap_or(usize::MAX)).await?;
        let which = if all { Again::All } else { Again::Failed };
        let again = unit.webhook_replay(id, from, to, which).await?;
        let webhook = [webhook];
        Ok(again + self.fan_out(unit, &webhook, &events, true).await?)
    }

    /// The secrets of a webhook that count now, the newest first.
    async fn secrets(&self, db: &TenantDb, webhook_id: Uuid) -> Result<Vec<WebhookSecret>> {
        let rows = db.webhook_secrets(webhook_id).await?;
        let open = |row: entity::tenant::webhook_secret::Model| {
            let bytes = self.0.sealer.open(place(row.tenant_id, row.id), &row.sealed)?;
            WebhookSecret::of_bytes(bytes).map_err(Error::internal)
        };
        rows.into_iter().map(open).collect()
    }

    async fn keep_secret(&self, unit: &mut Unit, webhook_id: Uuid, secret: &WebhookSecret) -> Result<()> {
        let id = ids::new(unit.now());
        let sealed = self.0.sealer.seal(place(unit.actor().tenant_id, id), secret.bytes())?;
        unit.webhook_secret_put(id, webhook_id, sealed).await
    }

    /// Refuses an actor who may not do all that the creator of a webhook may.
    async fn covers(&self, unit: &Unit, creator: Uuid, field: &[&str]) -> Result<()> {
        let actor = unit.actor();
        let Some((rights, _)) = self.0.identity.rights_of(actor.tenant_id, creator).await? else { return Ok(()) };
        if covers(actor, &rights) {
            return Ok(());
        }
        let message = "a webhook sends what its creator may see, and that is more than you may";
        Err(Error::user(UserErrorCode::InvalidState, field, message))
    }

    fn address(&self, url: &str) -> Result<String, UserError> {
        match self.0.http.check(url) {
            Ok(url) => Ok(url.into()),
            Err(reason) => Err(UserError::new(UserErrorCode::Invalid, &["input", "url"], reason)),
        }
    }

    /// What a condition means for each record type.
    fn meaning(&self, condition: &Value) -> Result<HashMap<&'static str, condition::Condition>, UserError> {
        let refused = |reason| UserError::new(UserErrorCode::Invalid, &["input", "condition"], reason);
        (self.0.read_condition)(condition).map_err(refused)
    }

    fn patterns(&self, events: Vec<String>) -> Result<Value, UserError> {
        let at = &["input", "events"];
        let mut kept: Vec<String> = Vec::with_capacity(events.len());
        for pattern in events {
            let pattern = pattern.trim().to_owned();
            if !self.0.catalogue.knows(&pattern) {
                let shown: String = pattern.chars().take(100).collect();
                let message = format!("there is no event `{shown}`; `webhookEventTypes` names all of them");
                return Err(UserError::new(UserErrorCode::Invalid, at, message));
            }
            if !kept.contains(&pattern) {
                kept.push(pattern);
            }
        }
        match kept.len() {
            0 => Err(UserError::new(UserErrorCode::Blank, at, "events is required")),
            1..=MOST_EVENTS => Ok(kept.into()),
            _ => Err(UserError::new(UserErrorCode::TooLong, at, format!("at most {MOST_EVENTS} names and patterns"))),
        }
    }
}

/// Whether the one may do all that the other may, with all the records that the other reaches. A user covers himself.
fn covers(actor: &Actor, other: &Actor) -> bool {
    other.permissions.beyond(&actor.permissions).is_none()
        && (actor.scope == DataScope::All || (actor.user_id == other.user_id && other.scope == actor.scope))
}

const fn place(tenant_id: Uuid, row: Uuid) -> Place {
    Place { tenant_id, table: "webhook_secret", row }
}

/// The user's own secret, or a new one.
fn made(secret: Option<String>, field: &[&str]) -> Result<Result<WebhookSecret, UserError>> {
    let Some(secret) = secret else { return WebhookSecret::generate().map(Ok) };
    Ok(WebhookSecret::parse(&secret).map_err(|reason| UserError::new(UserErrorCode::Invalid, field, reason)))
}

fn on(webhook: &webhook::Model) -> Result<()> {
    if webhook.status == WebhookStatus::Enabled {
        return Ok(());
    }
    Err(Error::user(UserErrorCode::InvalidState, &["id"], "this webhook is switched off; switch it on first"))
}

/// What is sent by a delivery, for one who sees the record that it is about.
///
/// # Errors
/// [`Error::Forbidden`] without the permission to read webhooks, [`Error::NotFound`] for what is not seen.
pub async fn body(webhooks: &Webhooks, db: &TenantDb, id: Uuid) -> Result<String> {
    let delivery = db.find::<webhook_delivery::Entity>()?.id(id).one().await?.ok_or(Error::NotFound)?;
    let meta = webhooks.catalogue().record(&delivery.record_type).ok_or(Error::NotFound)?;
    let seen = db.seen(meta, &[delivery.record_id]).await?;
    if seen.contains(&delivery.record_id) { Ok(delivery.body) } else { Err(Error::NotFound) }
}
