//! The sending of what is on its way to a tenant's webhooks.
//!
//! A delivery is PENDING until the receiver has taken it (SUCCEEDED: any 2xx), or its last attempt came to nothing
//! (FAILED). Each attempt is counted, and the next one set, before the request leaves: what is cut off by a crash is sent
//! again half a minute later, with the same id and the same bytes. Each webhook has a queue of its own, in the order of
//! the events, with up to four requests on their way; see [`super::lanes`] for who may send. One that waits for its next
//! attempt does not hold up those behind it.
//!
//! While requests are on their way this goes on looking for new events and deliveries, so that a receiver that hangs
//! delays neither other receivers nor what comes after. A run ends when nothing is left to do, or after a minute, so that
//! other tenants have their turn.
//!
//! A webhook is switched off when its receiver answers 410, and when nothing but failures came back for five days. That
//! raises `webhook.disabled`.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use entity::{
    master::WorkKind,
    tenant::{
        webhook::{self, WebhookStatus},
        webhook_attempt::{self, WebhookFailure},
        webhook_delivery,
    },
};
use futures_util::{FutureExt, future::BoxFuture};
use sea_orm::ActiveValue::Set;
use serde_json::{Map, Value};
use tokio::{
    sync::{broadcast::error::RecvError, watch},
    task::JoinSet,
    time::MissedTickBehavior,
};
use url::Url;
use uuid::Uuid;

use super::{
    Webhooks,
    fan_out::CONSUMER,
    lanes::{Lanes, Slot, Standing},
    schedule::{self, retry_after},
    sign,
};
use crate::{
    data::{TenantDb, ids, webhook::Delivered},
    error::{Error, Result},
    integrations::http::{Exchange, Failure, Request},
    jobs::Work,
};

/// After how long an attempt that was cut off is made again. Longer than any request may take.
const CUT_OFF: chrono::Duration = chrono::Duration::seconds(30);
/// From when on a request is slow.
const SLOW: Duration = Duration::from_secs(1);
/// How often it is looked what is due while requests are on their way.
const POLL: Duration = Duration::from_secs(1);
/// After how long other tenants have their turn.
const TURN: Duration = Duration::from_secs(60);
/// After how long with nothing but failures a webhook is switched off.
const PATIENCE: chrono::Duration = chrono::Duration::days(5);
/// How many tenants are served at the same time.
const TENANTS: usize = 128;
/// How much is kept of what a receiver answers.
const KEPT_BODY: usize = 4096;
/// How many headers of an answer are kept, and how much of each.
const KEPT_HEADERS: (usize, usize) = (40, 500);
/// How much is kept of what went wrong.
const KEPT_ERROR: usize = 400;

/// Sends what is on its way.
pub struct Sending {
    webhooks: Webhooks,
    lanes: Lanes,
    closing: watch::Sender<bool>,
}

impl Sending {
    /// With so many slots.
    #[must_use]
    pub fn new(webhooks: Webhooks, slots: usize) -> Self {
        Self { webhooks, lanes: Lanes::new(slots), closing: watch::Sender::new(false) }
    }

    async fn send_due(&self, db: &TenantDb) -> Result<Option<DateTime<Utc>>> {
        let begin = Instant::now();
        let mut feed = db.tenant().feed().listen();
        let mut closing = self.closing.subscribe();
        let mut poll = tokio::time::interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut run =
            Run { db, lanes: &self.lanes, webhooks: &self.webhooks, flying: JoinSet::new(), ids: HashMap::new() };
        let mut unread = true;
        let mut poisoned = None;
        loop {
            let more = !*closing.borrow_and_update() && begin.elapsed() < TURN;
            // What cannot be taken from the outbox holds up what comes after it there, but nothing that is on its way.
            while more && unread && poisoned.is_none() {
                match db.consume(&self.webhooks).await {
                    Ok(again) => unread = again,
                    Err(error) => poisoned = Some(error),
                }
            }
            let starved = more && run.start().await?;
            if run.flying.is_empty() && !starved {
                break;
            }
            tokio::select! {
                Some(done) = run.flying.join_next(), if !run.flying.is_empty() => run.landed(done),
                news = feed.recv() => unread = !matches!(news, Err(RecvError::Closed)),
                _ = poll.tick() => unread = true,
                () = self.lanes.freed(), if starved => {}
                _ = closing.changed() => {}
            }
            while let Some(done) = run.flying.try_join_next() {
                run.landed(done);
            }
            while feed.try_recv().is_ok() {
                unread = true;
            }
        }
        match poisoned {
            Some(error) => Err(error),
            None => self.next_due(db).await,
        }
    }

    async fn next_due(&self, db: &TenantDb) -> Result<Option<DateTime<Utc>>> {
        let (events, delivery) = (db.events_wait(CONSUMER).await?, db.webhook_next().await?);
        Ok(events.into_iter().chain(delivery).min())
    }
}

impl Work for Sending {
    fn kind(&self) -> WorkKind {
        WorkKind::Webhook
    }

    fn slots(&self) -> Option<usize> {
        Some(TENANTS)
    }

    fn closing(&self, closing: bool) {
        self.closing.send_replace(closing);
    }

    fn run<'a>(&'a self, db: &'a TenantDb) -> BoxFuture<'a, Result<Option<DateTime<Utc>>>> {
        self.send_due(db).boxed()
    }

    fn next<'a>(&'a self, db: &'a TenantDb) -> BoxFuture<'a, Result<Option<DateTime<Utc>>>> {
        self.next_due(db).boxed()
    }
}

/// What is on its way for a tenant. When it is dropped, its requests are cut off.
struct Run<'a> {
    db: &'a TenantDb,
    lanes: &'a Lanes,
    webhooks: &'a Webhooks,
    flying: JoinSet<(Uuid, Uuid)>,
    /// The deliveries that are on their way, by webhook.
    ids: HashMap<Uuid, HashSet<Uuid>>,
}

impl Run<'_> {
    /// Starts what is due and may leave. Answers whether something had to stay because no slot was free.
    async fn start(&mut self) -> Result<bool> {
        let mut starved = false;
        let tenant_id = self.db.tenant().id();
        let mut webhooks: Vec<_> =
            self.db.webhooks_due().await?.into_iter().map(|of| (self.standing(&of), of)).collect();
        // Those that answer well do not wait until the others have been looked through.
        webhooks.sort_by_key(|(standing, _)| *standing);
        for (standing, webhook) in webhooks {
            let flying = self.ids.get(&webhook.id).map_or(0, HashSet::len);
            let room = standing.in_flight().saturating_sub(flying);
            if room == 0 {
                continue;
            }
            if !self.lanes.has_room(tenant_id, standing) {
                starved = true;
                continue;
            }
            let webhook = Arc::new(webhook);
            // Those that are on their way may not have noted it yet.
            let due = self.db.webhook_due(webhook.id, (room + flying) as u64).await?;
            let waiting = due.into_iter().filter(|delivery| !self.is_flying(delivery)).take(room);
            for delivery in waiting.collect::<Vec<_>>() {
                let Some(slot) = self.lanes.take(tenant_id, standing) else {
                    starved = true;
                    break;
                };
                self.ids.entry(webhook.id).or_default().insert(delivery.id);
                let ids = (webhook.id, delivery.id);
                let attempt = Attempt {
                    webhooks: self.webhooks.clone(),
                    db: self.db.clone(),
                    webhook: webhook.clone(),
                    delivery,
                    slot,
                };
                self.flying.spawn(async move {
                    attempt.make().await;
                    ids
                });
            }
        }
        Ok(starved && self.flying.is_empty())
    }

    fn standing(&self, webhook: &webhook::Model) -> Standing {
        let otherwise = match (webhook.failing_since, webhook.last_success_at) {
            (Some(_), _) => Standing::Suspect,
            (None, Some(_)) => Standing::Well,
            (None, None) => Standing::Unknown,
        };
        self.lanes.standing(webhook.id, otherwise)
    }

    fn is_flying(&self, delivery: &webhook_delivery::Model) -> bool {
        self.ids.get(&delivery.webhook_id).is_some_and(|ids| ids.contains(&delivery.id))
    }

    fn landed(&mut self, done: Result<(Uuid, Uuid), tokio::task::JoinError>) {
        match done {
            Ok((webhook_id, delivery_id)) => {
                if let Some(ids) = self.ids.get_mut(&webhook_id) {
                    ids.remove(&delivery_id);
                }
            }
            // Nobody knows which it was; it is sent again when its attempt counts as cut off.
            Err(error) => {
                tracing::error!(%error, "an attempt at a delivery panicked");
                self.ids.clear();
            }
        }
    }
}

/// One attempt at one delivery.
struct Attempt {
    webhooks: Webhooks,
    db: TenantDb,
    webhook: Arc<webhook::Model>,
    delivery: webhook_delivery::Model,
    slot: Slot,
}

impl Attempt {
    async fn make(mut self) {
        if let Err(error) = self.attempt().await {
            let reason = match &error {
                Error::Internal(cause) => cause.to_string(),
                other => other.to_string(),
            };
            let delivery = ids::encode("webhook_delivery", self.delivery.id);
            tracing::error!(reason, delivery, "an attempt at a delivery could not be noted; it is made again");
        }
    }

    async fn attempt(&mut self) -> Result<()> {
        let began = self.db.clock().now();
        let begun = usize::try_from(self.delivery.attempt_count).unwrap_or(0);
        if !self.db.webhook_begin(&self.delivery, began + CUT_OFF).await? {
            return Ok(());
        }
        let schedule = self.webhook.retry_schedule;
        let outcome = if begun >= schedule::attempts(schedule) {
            Outcome::not_sent("the last attempt was cut off".to_owned())
        } else {
            match self.request(began).await {
                Ok(request) => Outcome::of(self.send(request).await),
                Err(reason) => Outcome::not_sent(reason),
            }
        };
        let well = outcome.failure.is_none() && outcome.exchange.duration < SLOW;
        self.slot.lanes().remember(self.webhook.id, if well { Standing::Well } else { Standing::Suspect });
        let now = self.db.clock().now();
        let delivered = match outcome.failure {
            None => Delivered::Taken,
            Some((WebhookFailure::Gone, _)) => Delivered::Never,
            Some(_) => {
                let asked = outcome.header("retry-after").and_then(|header| retry_after(header, now));
                let pause = schedule::pause(schedule, begun + 1, rand::random(), asked);
                pause.map_or(Delivered::Never, |pause| Delivered::Later(now + pause))
            }
        };
        outcome.told(&self.delivery, &delivered);
        self.webhooks.metrics().delivery(match delivered {
            Delivered::Taken => "taken",
            Delivered::Later(_) => "later",
            Delivered::Never => "failed",
        });
        let gone = matches!(outcome.failure, Some((WebhookFailure::Gone, _)));
        let row = outcome.row(&self.delivery, began);
        let failing_since = self.db.webhook_end(self.webhook.id, row, &delivered).await?;
        if gone {
            self.switch_off("the receiver answered 410 Gone").await?;
        } else if failing_since.is_some_and(|since| now - since >= PATIENCE) {
            self.switch_off("nothing but failures came back for five days").await?;
        }
        Ok(())
    }

    /// Sends it. Who takes long leaves the lane of those that answer.
    async fn send(&mut self, request: Request) -> Exchange {
        let http = self.webhooks.http().clone();
        let mut sending = std::pin::pin!(http.send(request));
        tokio::select! {
            biased;
            exchange = &mut sending => return exchange,
            () = tokio::time::sleep(SLOW) => {}
        }
        self.slot.slow();
        self.slot.lanes().remember(self.webhook.id, Standing::Suspect);
        sending.await
    }

    async fn request(&self, at: DateTime<Utc>) -> Result<Request, String> {
        let secrets = self.webhooks.secrets(&self.db, self.webhook.id).await.map_err(|error| {
            tracing::error!(%error, webhook = ids::encode("webhook", self.webhook.id), "a secret could not be opened");
            "its secret could not be opened".to_owned()
        })?;
        if secrets.is_empty() {
            return Err("the webhook has no secret".to_owned());
        }
        let id = ids::encode("event", self.delivery.event_id);
        let mut headers = sign::headers(&secrets, &id, at, self.delivery.body.as_bytes());
        headers.push(("content-type", "application/json".to_owned()));
        headers.push(("user-agent", concat!("Rapport/", env!("CARGO_PKG_VERSION")).to_owned()));
        let url = Url::parse(&self.webhook.url).map_err(|error| error.to_string())?;
        Ok(Request { url, headers, body: self.delivery.body.clone().into_bytes().into() })
    }

    async fn switch_off(&self, reason: &str) -> Result<()> {
        switch_off(&self.db, self.webhook.id, reason).await?;
        tracing::warn!(webhook = ids::encode("webhook", self.webhook.id), reason, "a webhook was switched off");
        Ok(())
    }
}

/// Switches a webhook off on behalf of the platform, and says so.
async fn switch_off(db: &TenantDb, webhook_id: Uuid, reason: &str) -> Result<()> {
    let reason = reason.to_owned();
    db.write(async move |unit| {
        let Some(row) = unit.lock_row::<webhook::Entity>(webhook_id).await? else { return Ok(()) };
        if row.status != WebhookStatus::Enabled {
            return Ok(());
        }
        let off = webhook::ActiveModel {
            status: Set(WebhookStatus::AutoDisabled),
            disabled_reason: Set(Some(reason)),
            ..Default::default()
        };
        unit.update_by_rule::<webhook::Entity>(&row, off).await?;
        unit.raise::<webhook::Entity>("disabled", webhook_id);
        Ok(())
    })
    .await
}

/// What came of an attempt.
struct Outcome {
    exchange: Exchange,
    failure: Option<(WebhookFailure, String)>,
}

impl Outcome {
    fn of(exchange: Exchange) -> Self {
        let failure = match (&exchange.failure, exchange.status) {
            (Some(failure), _) => Some((kind(failure), failure.to_string())),
            (None, Some(200..=299)) => None,
            (None, Some(410)) => Some((WebhookFailure::Gone, "the receiver answered 410 Gone".to_owned())),
            (None, Some(status @ 300..=399)) => Some((
                WebhookFailure::Redirected,
                format!("the receiver answered {status}; redirects are not followed: change the webhook's address"),
            )),
            (None, Some(status)) => Some((WebhookFailure::BadStatus, format!("the receiver answered {status}"))),
            (None, None) => Some((WebhookFailure::Broken, "no answer came".to_owned())),
        };
        Self { exchange, failure }
    }

    fn not_sent(reason: String) -> Self {
        let exchange = Exchange {
            status: None,
            headers: Vec::new(),
            body: Vec::new(),
            truncated: false,
            failure: None,
            duration: Duration::ZERO,
        };
        Self { exchange, failure: Some((WebhookFailure::NotSent, reason)) }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.exchange.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The log names no address: it may hold a secret.
    fn told(&self, delivery: &webhook_delivery::Model, delivered: &Delivered) {
        let (id, webhook) = (ids::encode("webhook_delivery", delivery.id), ids::encode("webhook", delivery.webhook_id));
        let (event, attempt, status) = (delivery.event.as_str(), delivery.attempt_count + 1, self.exchange.status);
        let milliseconds = self.exchange.duration.as_millis();
        let failure = self.failure.as_ref().map(|(failure, _)| failure);
        match delivered {
            Delivered::Taken => {
                tracing::debug!(id, webhook, event, attempt, status, milliseconds, "a delivery was taken");
            }
            Delivered::Later(_) => {
                tracing::info!(
                    id,
                    webhook,
                    event,
                    attempt,
                    status,
                    milliseconds,
                    ?failure,
                    "a delivery is tried again"
                );
            }
            Delivered::Never => {
                tracing::warn!(id, webhook, event, attempt, status, milliseconds, ?failure, "a delivery was given up");
            }
        }
    }

    fn row(self, delivery: &webhook_delivery::Model, began: DateTime<Utc>) -> webhook_attempt::Model {
        let Exchange { status, headers, body, truncated, duration, .. } = self.exchange;
        let (failure, error) = self.failure.unzip();
        let kept = body.get(..KEPT_BODY).unwrap_or(&body);
        let text = printable(&String::from_utf8_lossy(kept));
        let headers: Map<String, Value> = headers
            .into_iter()
            .filter(|(name, _)| name != "set-cookie")
            .take(KEPT_HEADERS.0)
            .map(|(name, value)| (name, Value::from(shortened(&printable(&value), KEPT_HEADERS.1))))
            .collect();
        webhook_attempt::Model {
            id: ids::new(began),
            tenant_id: delivery.tenant_id,
            delivery_id: delivery.id,
            created_at: began,
            number: delivery.attempt_count + 1,
            duration_ms: i32::try_from(duration.as_millis()).unwrap_or(i32::MAX),
            status_code: status.map(i32::from),
            failure,
            error: error.map(|error| shortened(&printable(&error), KEPT_ERROR)),
            response_headers: Value::Object(headers),
            response_body: (!text.is_empty()).then_some(text),
            response_truncated: truncated || body.len() > KEPT_BODY,
        }
    }
}

const fn kind(failure: &Failure) -> WebhookFailure {
    match failure {
        Failure::Forbidden(_) => WebhookFailure::AddressForbidden,
        Failure::Name(_) => WebhookFailure::NameNotResolved,
        Failure::Connection(_) => WebhookFailure::NoConnection,
        Failure::Tls(_) => WebhookFailure::NoTls,
        Failure::Timeout(_) => WebhookFailure::TimedOut,
        Failure::Broken(_) => WebhookFailure::Broken,
    }
}

/// PostgreSQL stores no NUL, and nobody wants the rest.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t')).collect()
}

fn shortened(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}
