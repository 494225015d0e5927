//! What is on its way to the tenant's webhooks, for those who put it there and for the sender. The record `webhook` itself
//! is written like any other; its secrets, deliveries and attempts are no changes of a record, so they leave no audit
//! entry and no event.
//!
//! An attempt is counted, and the next one set, before the request leaves: what a crash interrupts is sent again, and what
//! crashes the process is given up in the end.

use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use entity::{
    master::WorkKind,
    tenant::{
        webhook::{self, WebhookStatus},
        webhook_attempt,
        webhook_delivery::{self, WebhookDeliveryStatus},
        webhook_secret,
    },
};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, ExprTrait, OnConflict, Query, SelectStatement},
};
use uuid::Uuid;

use super::{TenantDb, Unit, feed::Event};
use crate::error::Result;

/// For how long an earlier secret counts beside its successor.
pub const OVERLAP: Duration = Duration::hours(24);

/// How many deliveries one INSERT takes, within the parameters of SQLite.
const CHUNK: usize = 500;

/// What becomes of a delivery after an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// The receiver has taken it.
    Taken,
    /// It is tried again.
    Later(DateTime<Utc>),
    /// It is given up.
    Never,
}

/// Which deliveries of a range are sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Those that were given up.
    Failed,
    /// All of them.
    All,
}

/// A delivery that waits. Said in the statement itself: an index over those serves no status that is a parameter.
fn pending() -> Expr {
    Expr::cust("\"webhook_delivery\".\"status\" = 'PENDING'")
}

impl TenantDb {
    /// The webhooks that are on and have something due.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn webhooks_due(&self) -> Result<Vec<webhook::Model>> {
        let due = Query::select()
            .expr(Expr::cust("1"))
            .from("webhook_delivery")
            .and_where(Expr::col(("webhook_delivery", "webhook_id")).equals(("webhook", "id")))
            .and_where(pending())
            .and_where(Expr::col(("webhook_delivery", "next_attempt_at")).lte(self.clock().now()))
            .to_owned();
        self.counted();
        let webhooks = self.webhooks_on().filter(Expr::exists(due)).order_by_asc(webhook::Column::Id);
        Ok(webhooks.all(self.tenant.engine.reader()).await?)
    }

    /// What is due for a webhook, in the order of the events: at most `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn webhook_due(&self, webhook_id: Uuid, limit: u64) -> Result<Vec<webhook_delivery::Model>> {
        let query = webhook_delivery::Entity::find()
            .filter(webhook_delivery::Column::TenantId.eq(self.tenant.id))
            .filter(webhook_delivery::Column::WebhookId.eq(webhook_id))
            .filter(pending())
            .filter(webhook_delivery::Column::NextAttemptAt.lte(self.clock().now()))
            .order_by_asc(webhook_delivery::Column::NextAttemptAt)
            .order_by_asc(webhook_delivery::Column::Sequence)
            .order_by_asc(webhook_delivery::Column::Id)
            .limit(limit);
        self.counted();
        Ok(query.all(self.tenant.engine.reader()).await?)
    }

    /// When the next delivery is due; none when none waits for a webhook that is on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn webhook_next(&self) -> Result<Option<DateTime<Utc>>> {
        let on: SelectStatement =
            sea_orm::QueryTrait::into_query(self.webhooks_on().select_only().column(webhook::Column::Id));
        let query = Query::select()
            .expr(Expr::col(("webhook_delivery", "next_attempt_at")).min())
            .from("webhook_delivery")
            .and_where(Expr::col(("webhook_delivery", "tenant_id")).eq(self.tenant.id))
            .and_where(pending())
            .and_where(Expr::col(("webhook_delivery", "webhook_id")).in_subquery(on))
            .to_owned();
        match self.rows(&query).await?.first() {
            Some(row) => Ok(row.try_get_by_index(0)?),
            None => Ok(None),
        }
    }

    /// Events of the tenant by their numbers, both ends included: at most `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn events_between(&self, from: i64, to: i64, limit: usize) -> Result<Vec<Arc<Event>>> {
        self.counted();
        let mut events = self.tenant.outbox_page(from - 1, limit).await?;
        events.retain(|event| event.seq <= to);
        Ok(events)
    }

    fn webhooks_on(&self) -> Select<webhook::Entity> {
        webhook::Entity::find()
            .filter(webhook::Column::TenantId.eq(self.tenant.id))
            .filter(webhook::Column::IsDeleted.eq(false))
            .filter(webhook::Column::Status.eq(WebhookStatus::Enabled))
    }

    /// The sealed secrets of a webhook that count now, the newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn webhook_secrets(&self, webhook_id: Uuid) -> Result<Vec<webhook_secret::Model>> {
        let counts = Condition::any()
            .add(webhook_secret::Column::ExpiresAt.is_null())
            .add(webhook_secret::Column::ExpiresAt.gt(self.clock().now()));
        let query = webhook_secret::Entity::find()
            .filter(webhook_secret::Column::TenantId.eq(self.tenant.id))
            .filter(webhook_secret::Column::WebhookId.eq(webhook_id))
            .filter(counts)
            .order_by_desc(webhook_secret::Column::CreatedAt)
            .order_by_desc(webhook_secret::Column::Id);
        self.counted();
        Ok(query.all(self.tenant.engine.reader()).await?)
    }

    /// Begins an attempt: counts it, and sets when the next one is, should this one be cut off. Answers false when somebody
    /// else has begun it meanwhile.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn webhook_begin(&self, delivery: &webhook_delivery::Model, next: DateTime<Utc>) -> Result<bool> {
        let begin = webhook_delivery::Entity::update_many()
            .col_expr(webhook_delivery::Column::AttemptCount, Expr::value(delivery.attempt_count + 1))
            .col_expr(webhook_delivery::Column::NextAttemptAt, Expr::value(Some(next)))
            .filter(webhook_delivery::Column::Id.eq(delivery.id))
            .filter(webhook_delivery::Column::TenantId.eq(self.tenant.id))
            .filter(webhook_delivery::Column::Status.eq(WebhookDeliveryStatus::Pending))
            .filter(webhook_delivery::Column::AttemptCount.eq(delivery.attempt_count));
        self.counted();
        Ok(begin.exec(self.tenant.engine.writer()).await?.rows_affected == 1)
    }

    /// Ends an attempt at this delivery of this webhook. Answers since when the webhook's deliveries have come to nothing,
    /// where this one has.
    ///
    /// # Errors
    /// When the database fails; the delivery is then sent once more.
    pub async fn webhook_end(
        &self,
        webhook_id: Uuid,
        attempt: webhook_attempt::Model,
        delivered: &Delivered,
    ) -> Result<Option<DateTime<Utc>>> {
        let now = self.clock().now();
        let (status, next, finished) = match delivered {
            Delivered::Taken => (WebhookDeliveryStatus::Succeeded, None, Some(now)),
            Delivered::Later(next) => (WebhookDeliveryStatus::Pending, Some(*next), None),
            Delivered::Never => (WebhookDeliveryStatus::Failed, None, Some(now)),
        };
        let end = webhook_delivery::Entity::update_many()
            .col_expr(webhook_delivery::Column::Status, Expr::value(status))
            .col_expr(webhook_delivery::Column::NextAttemptAt, Expr::value(next))
            .col_expr(webhook_delivery::Column::FinishedAt, Expr::value(finished))
            .col_expr(webhook_delivery::Column::LastStatusCode, Expr::value(attempt.status_code))
            .col_expr(webhook_delivery::Column::LastError, Expr::value(attempt.error.clone()))
            .filter(webhook_delivery::Column::Id.eq(attempt.delivery_id))
            .filter(webhook_delivery::Column::TenantId.eq(self.tenant.id))
            .filter(webhook_delivery::Column::Status.eq(WebhookDeliveryStatus::Pending))
            // Who was told meanwhile to send it anew does so.
            .filter(webhook_delivery::Column::AttemptCount.eq(attempt.number));
        let of_webhook = || {
            webhook::Entity::update_many()
                .filter(webhook::Column::Id.eq(webhook_id))
                .filter(webhook::Column::TenantId.eq(self.tenant.id))
        };
        let failed = attempt.failure.is_some();
        let health = if failed {
            of_webhook()
                .col_expr(webhook::Column::FailingSince, Expr::value(Some(attempt.created_at)))
                .filter(webhook::Column::FailingSince.is_null())
        } else {
            let stale = Condition::any()
                .add(webhook::Column::FailingSince.is_not_null())
                .add(webhook::Column::LastSuccessAt.is_null())
                .add(webhook::Column::LastSuccessAt.lt(now - Duration::minutes(1)));
            of_webhook()
                .col_expr(webhook::Column::FailingSince, Expr::value(None::<DateTime<Utc>>))
                .col_expr(webhook::Column::LastSuccessAt, Expr::value(Some(now)))
                .filter(stale)
        };
        let tx = self.tenant.engine.begin().await?;
        webhook_attempt::Entity::insert(attempt.into_active_model()).exec_without_returning(&tx).await?;
        end.exec(&tx).await?;
        health.exec(&tx).await?;
        let since = match failed {
            true => webhook::Entity::find_by_id(webhook_id).one(&tx).await?.and_then(|webhook| webhook.failing_since),
            false => None,
        };
        tx.commit().await?;
        Ok(since)
    }
}

/// A delivery that is about to be made.
pub struct NewDelivery {
    /// Its id.
    pub id: Uuid,
    /// The webhook.
    pub webhook_id: Uuid,
    /// The number of the event; none for a ping.
    pub sequence: Option<i64>,
    /// The event.
    pub event_id: Uuid,
    /// Its name.
    pub event: String,
    /// The stem of the type of the record that it is about.
    pub record_type: String,
    /// The record.
    pub record_id: Uuid,
    /// What is sent.
    pub body: String,
}

impl Unit {
    /// Puts deliveries on their way when this unit has been committed. One of an event that is on its way to the webhook
    /// already, or was, is left out. Answers how many were put.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn webhook_deliver(&mut self, deliveries: Vec<NewDelivery>) -> Result<u64> {
        let (tenant_id, now) = (self.actor().tenant_id, self.now());
        let row = |new: NewDelivery| {
            let NewDelivery { id, webhook_id, sequence, event_id, event, record_type, record_id, body } = new;
            webhook_delivery::ActiveModel {
                id: Set(id),
                tenant_id: Set(tenant_id),
                webhook_id: Set(webhook_id),
                created_at: Set(now),
                sequence: Set(sequence),
                event_id: Set(event_id),
                event: Set(event),
                record_type: Set(record_type),
                record_id: Set(record_id),
                body: Set(body),
                status: Set(WebhookDeliveryStatus::Pending),
                attempt_count: Set(0),
                next_attempt_at: Set(Some(now)),
                finished_at: Set(None),
                last_status_code: Set(None),
                last_error: Set(None),
            }
        };
        let mut rows: Vec<_> = deliveries.into_iter().map(row).collect();
        let mut put = 0;
        let once = OnConflict::columns([webhook_delivery::Column::WebhookId, webhook_delivery::Column::EventId])
            .do_nothing()
            .to_owned();
        while !rows.is_empty() {
            let rest = rows.split_off(rows.len().min(CHUNK));
            self.db.counted();
            let insert = webhook_delivery::Entity::insert_many(std::mem::replace(&mut rows, rest));
            put += insert.on_conflict(once.clone()).exec_without_returning(&self.tx).await?;
            self.make_due(WorkKind::Webhook, now);
        }
        Ok(put)
    }

    /// Sends one delivery of a webhook again, as if it had never been tried.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn webhook_again(&mut self, delivery_id: Uuid) -> Result<()> {
        self.again(Condition::all().add(webhook_delivery::Column::Id.eq(delivery_id))).await.map(|_| ())
    }

    /// Sends the deliveries of a webhook whose events have these numbers again; those that wait anyway are left alone.
    /// Answers how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn webhook_replay(&mut self, webhook_id: Uuid, from: i64, to: i64, which: Again) -> Result<u64> {
        let range = Condition::all()
            .add(webhook_delivery::Column::WebhookId.eq(webhook_id))
            .add(webhook_delivery::Column::Sequence.between(from, to));
        let which = match which {
            Again::Failed => webhook_delivery::Column::Status.eq(WebhookDeliveryStatus::Failed),
            Again::All => webhook_delivery::Column::Status.ne(WebhookDeliveryStatus::Pending),
        };
        self.again(range.add(which)).await
    }

    async fn again(&mut self, which: Condition) -> Result<u64> {
        let again = webhook_delivery::Entity::update_many()
            .set(webhook_delivery::ActiveModel {
                status: Set(WebhookDeliveryStatus::Pending),
                attempt_count: Set(0),
                next_attempt_at: Set(Some(self.now())),
                finished_at: Set(None),
                body: NotSet,
                ..Default::default()
            })
            .filter(webhook_delivery::Column::TenantId.eq(self.actor().tenant_id))
            .filter(which);
        self.db.counted();
        self.make_due(WorkKind::Webhook, self.now());
        Ok(again.exec(&self.tx).await?.rows_affected)
    }

    /// Takes back what is on its way to a webhook.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn webhook_cancel(&mut self, webhook_id: Uuid) -> Result<()> {
        let cancel = webhook_delivery::Entity::update_many()
            .set(webhook_delivery::ActiveModel {
                status: Set(WebhookDeliveryStatus::Cancelled),
                next_attempt_at: Set(None),
                finished_at: Set(Some(self.now())),
                ..Default::default()
            })
            .filter(webhook_delivery::Column::TenantId.eq(self.actor().tenant_id))
            .filter(webhook_delivery::Column::WebhookId.eq(webhook_id))
            .filter(webhook_delivery::Column::Status.eq(WebhookDeliveryStatus::Pending));
        self.db.counted();
        cancel.exec(&self.tx).await?;
        Ok(())
    }

    /// Looks for what is due for webhooks when this unit has been committed: one was switched on.
    pub fn webhooks_wake(&mut self) {
        self.make_due(WorkKind::Webhook, self.now());
    }

    /// Gives a webhook a new secret, sealed under this id. The one before counts for another day, those before it no more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn webhook_secret_put(&mut self, id: Uuid, webhook_id: Uuid, sealed: String) -> Result<()> {
        let tenant_id = self.actor().tenant_id;
        let past = webhook_secret::Entity::delete_many()
            .filter(webhook_secret::Column::TenantId.eq(tenant_id))
            .filter(webhook_secret::Column::WebhookId.eq(webhook_id))
            .filter(webhook_secret::Column::ExpiresAt.is_not_null());
        let earlier = webhook_secret::Entity::update_many()
            .col_expr(webhook_secret::Column::ExpiresAt, Expr::value(Some(self.now() + OVERLAP)))
            .filter(webhook_secret::Column::TenantId.eq(tenant_id))
            .filter(webhook_secret::Column::WebhookId.eq(webhook_id));
        let new = webhook_secret::ActiveModel {
            id: Set(id),
            tenant_id: Set(tenant_id),
            webhook_id: Set(webhook_id),
            sealed: Set(sealed),
            created_at: Set(self.now()),
            expires_at: Set(None),
        };
        for _ in 0..3 {
            self.db.counted();
        }
        past.exec(&self.tx).await?;
        earlier.exec(&self.tx).await?;
        webhook_secret::Entity::insert(new).exec_without_returning(&self.tx).await?;
        Ok(())
    }
}
