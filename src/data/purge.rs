//! What is kept long enough goes: a batch at a time, each in a statement of its own, so that nobody waits long for it.
//!
//! What a user could bring back is not touched: deleted records stay, and so does the audit log.

use chrono::{DateTime, Utc};
use entity::{
    master::tenant,
    tenant::{email_message, webhook_delivery::WebhookDeliveryStatus},
};
use sea_orm::{
    ConnectionTrait, EntityTrait,
    sea_query::{Condition, Expr, ExprTrait, Order, Query, SelectStatement},
};
use uuid::Uuid;

use super::{MasterDb, TenantDb};
use crate::error::{Error, Result};

/// How many rows go at a time.
pub const BATCH: u64 = 500;

/// The smallest id of a moment: ids begin with their time.
fn first_id(of: DateTime<Utc>) -> Uuid {
    Uuid::from_u128(u128::from(u64::try_from(of.timestamp_millis()).unwrap_or(0)) << 80)
}

impl TenantDb {
    /// Removes messages that were sent or given up, of the time before. Answers how many: as many as a batch when there are
    /// perhaps more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn purge_mail(&self, before: DateTime<Utc>) -> Result<u64> {
        let old = Query::select()
            .column("id")
            .from("email_message")
            .and_where(Expr::col("tenant_id").eq(self.tenant.id))
            .and_where(Expr::col("id").lt(first_id(before)))
            .and_where(Expr::col("status").ne(email_message::EmailStatus::Queued))
            .order_by("id", Order::Asc)
            .limit(BATCH)
            .to_owned();
        self.remove("email_message", Expr::col("id").in_subquery(old).into()).await
    }

    /// Removes deliveries of webhooks that were taken or given up, of the time before, with their attempts. Answers how many
    /// deliveries.
    ///
    /// # Errors
    /// As [`TenantDb::purge_mail`].
    pub async fn purge_deliveries(&self, before: DateTime<Utc>) -> Result<u64> {
        let old = Query::select()
            .column("id")
            .from("webhook_delivery")
            .and_where(Expr::col("tenant_id").eq(self.tenant.id))
            .and_where(Expr::col("id").lt(first_id(before)))
            .and_where(Expr::col("status").ne(WebhookDeliveryStatus::Pending))
            .order_by("id", Order::Asc)
            .limit(BATCH)
            .to_owned();
        let old = self.rows(&old).await?;
        let old: Vec<Uuid> = old.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?;
        if old.is_empty() {
            return Ok(0);
        }
        // Of one that is sent again at this moment both stay, for another day.
        let waits = Query::select()
            .column("id")
            .from("webhook_delivery")
            .and_where(Expr::col("id").is_in(old.iter().copied()))
            .and_where(Expr::col("status").eq(WebhookDeliveryStatus::Pending))
            .to_owned();
        let attempts = Expr::col("delivery_id").is_in(old.iter().copied());
        let attempts = Condition::all().add(attempts).add(Expr::col("delivery_id").not_in_subquery(waits));
        self.remove("webhook_attempt", attempts).await?;
        let without_attempts = Expr::col("id").not_in_subquery(
            Query::select()
                .column("delivery_id")
                .from("webhook_attempt")
                .and_where(Expr::col("delivery_id").is_in(old.iter().copied()))
                .to_owned(),
        );
        let done = Expr::col("status").ne(WebhookDeliveryStatus::Pending);
        let which = Condition::all().add(Expr::col("id").is_in(old)).add(done).add(without_attempts);
        self.remove("webhook_delivery", which).await
    }

    /// Removes notifications of the time before.
    ///
    /// # Errors
    /// As [`TenantDb::purge_mail`].
    pub async fn purge_notifications(&self, before: DateTime<Utc>) -> Result<u64> {
        let old = Query::select()
            .column("id")
            .from("notification")
            .and_where(Expr::col("tenant_id").eq(self.tenant.id))
            .and_where(Expr::col("id").lt(first_id(before)))
            .order_by("id", Order::Asc)
            .limit(BATCH)
            .to_owned();
        self.remove("notification", Expr::col("id").in_subquery(old).into()).await
    }

    /// Removes the outcomes of requests that came with an idempotency key before.
    ///
    /// # Errors
    /// As [`TenantDb::purge_mail`].
    pub async fn purge_outcomes(&self, before: DateTime<Utc>) -> Result<u64> {
        let of_tenant = || Expr::col("tenant_id").eq(self.tenant.id);
        let last = Query::select()
            .column("created_at")
            .from("idempotency_key")
            .and_where(of_tenant())
            .and_where(Expr::col("created_at").lt(before))
            .order_by("created_at", Order::Asc)
            .limit(1)
            .offset(BATCH - 1)
            .to_owned();
        let last: Option<DateTime<Utc>> = match self.rows(&last).await?.first() {
            Some(row) => row.try_get_by_index(0)?,
            None => None,
        };
        let old = match last {
            Some(last) => Expr::col("created_at").lte(last),
            None => Expr::col("created_at").lt(before),
        };
        self.remove("idempotency_key", Condition::all().add(of_tenant()).add(old)).await
    }

    /// Removes events of the time before from the old end of the outbox: gapless, so that who resumes after one that is gone
    /// is told so.
    ///
    /// # Errors
    /// As [`TenantDb::purge_mail`].
    pub async fn purge_events(&self, before: DateTime<Utc>) -> Result<u64> {
        let oldest = self.number(Query::select().expr(Expr::col("seq").min()).from("event").to_owned()).await?;
        let Some(oldest) = oldest else { return Ok(0) };
        let kept = Query::select()
            .column("seq")
            .from("event")
            .and_where(Expr::col("occurred_at").gte(before))
            .order_by("seq", Order::Asc)
            .limit(1)
            .to_owned();
        let head = Query::select().column("event_seq").from("event_head").to_owned();
        let end = match self.number(kept).await? {
            Some(kept) => kept,
            None => self.number(head).await?.ok_or_else(|| Error::internal("the event head is missing"))? + 1,
        };
        let taken = Query::select().expr(Expr::col("position").min()).from("event_cursor").to_owned();
        // What a consumer has not taken stays for as long as that takes.
        let end = self.number(taken).await?.map_or(end, |taken| std::cmp::min(end, taken + 1));
        let batch = oldest + i64::try_from(BATCH).unwrap_or(i64::MAX);
        self.remove("event", Condition::all().add(Expr::col("seq").lt(std::cmp::min(end, batch)))).await
    }

    /// Removes what is kept of events that consumers gave up before.
    ///
    /// # Errors
    /// As [`TenantDb::purge_mail`].
    pub async fn purge_dead_events(&self, before: DateTime<Utc>) -> Result<u64> {
        let of_tenant = Expr::col("tenant_id").eq(self.tenant.id);
        self.remove("dead_event", Condition::all().add(of_tenant).add(Expr::col("created_at").lt(before))).await
    }

    async fn number(&self, query: SelectStatement) -> Result<Option<i64>> {
        match self.rows(&query).await?.first() {
            Some(row) => Ok(row.try_get_by_index(0)?),
            None => Ok(None),
        }
    }

    async fn remove(&self, table: &'static str, which: Condition) -> Result<u64> {
        self.counted();
        let remove = Query::delete().from_table(table).cond_where(which).to_owned();
        Ok(self.tenant.engine.writer().execute(&remove).await?.rows_affected())
    }
}

/// Removes from the master database what nobody can use any more: expired refresh tokens, sessions that ended before or
/// have no token left, and expired one-time links. Answers how many rows.
///
/// A refresh token that was used and has not expired stays: that it comes back is how a theft is noticed.
///
/// # Errors
/// When the database fails; what went stays gone.
pub async fn sessions(master: &MasterDb, before: DateTime<Utc>) -> Result<u64> {
    let expired = || Expr::col("expires_at").lt(before);
    let mut gone = 0;
    let without_tokens =
        Expr::col("id").not_in_subquery(Query::select().column("session_id").from("refresh_token").to_owned());
    let unused = Condition::all().add(Expr::col("refreshed_at").lt(before)).add(without_tokens);
    for (table, which) in [
        ("refresh_token", Condition::all().add(expired())),
        ("session", Condition::any().add(expired()).add(Expr::col("revoked_at").lt(before)).add(unused)),
        ("one_time_token", Condition::all().add(expired())),
    ] {
        loop {
            let ids = Query::select().column("id").from(table).cond_where(which.clone()).limit(BATCH).to_owned();
            let remove = Query::delete().from_table(table).and_where(Expr::col("id").in_subquery(ids)).to_owned();
            let removed = master.execute(&remove).await?;
            gone += removed;
            if removed < BATCH {
                break;
            }
        }
    }
    Ok(gone)
}

/// The time zone of a tenant.
///
/// # Errors
/// When there is no such tenant.
pub async fn time_zone(master: &MasterDb, tenant_id: Uuid) -> Result<String> {
    let tenant = master.one(tenant::Entity::find_by_id(tenant_id)).await?;
    Ok(tenant.ok_or(Error::NotFound)?.time_zone)
}
