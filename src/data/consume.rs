//! Consumers of the outbox: each takes every event of the tenant once, in order, and notes how far it has come.
//!
//! What follows from events is written in one transaction with the consumer's cursor (`event_cursor`), so that nothing is
//! lost or done twice, wherever a crash comes between. Consumers do not wait for each other.
//!
//! An event that a consumer cannot take is tried again, at longer and longer intervals, and holds up what comes after it.
//! After six attempts it is passed over: it becomes a dead letter with its cause (`dead_event`), and the consumer goes on.

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc};

use chrono::{DateTime, Utc};
use entity::tenant::{dead_event, event_cursor};
use futures_util::FutureExt;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, OnConflict},
};

use super::{TenantDb, Unit, feed::Event};
use crate::error::{Error, Result};

/// How many events are taken in one transaction.
const PAGE: usize = 200;
/// How often an event is tried.
const ATTEMPTS: i32 = 6;

/// Who takes events.
pub trait Consumer: Send + Sync {
    /// Its name in the database, which never changes.
    fn name(&self) -> &'static str;

    /// Writes what follows from these events. Nothing of it stays when this fails, and it may be called again with fewer
    /// of them.
    fn take(&self, unit: &mut Unit, events: &[Arc<Event>]) -> impl Future<Output = Result<()>> + Send;
}

impl TenantDb {
    /// Hands the next events to a consumer; answers whether there are more.
    ///
    /// # Errors
    /// When the consumer could not take an event that is not given up yet, and when the database fails.
    pub async fn consume(&self, consumer: &impl Consumer) -> Result<bool> {
        let cursor = self.cursor(consumer.name()).await?;
        let position = cursor.position;
        let mut events = self.tenant.outbox_page(position, PAGE).await?;
        self.counted();
        // A consumer that was away for longer than events are kept goes on with those that are.
        let Some(last) = events.last() else { return Ok(false) };
        let (last, more) = (last.seq, events.len() == PAGE);
        if cursor.failures == 0 {
            match self.take(consumer, position, &events, last).await {
                Ok(()) => return Ok(more),
                Err(error) if events.len() == 1 => return self.failed(consumer, &cursor, &events[0], error).await,
                Err(error) => tracing::debug!(%error, consumer = consumer.name(), "events are taken one by one"),
            }
        }
        // One of them fails: those before it count, each by itself.
        let mut cursor = cursor;
        for event in events.drain(..) {
            match self.take(consumer, cursor.position, std::slice::from_ref(&event), event.seq).await {
                Ok(()) => {
                    cursor.position = event.seq;
                    cursor.failures = 0;
                }
                Err(error) => return self.failed(consumer, &cursor, &event, error).await,
            }
        }
        Ok(more)
    }

    /// When there is something for a consumer to do: now, where events wait for it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn events_wait(&self, consumer: &'static str) -> Result<Option<DateTime<Utc>>> {
        let cursor = self.cursor(consumer).await?;
        self.counted();
        let (_, head) = self.tenant.outbox_bounds().await?;
        Ok((head > cursor.position).then(|| self.clock().now()))
    }

    async fn cursor(&self, consumer: &'static str) -> Result<event_cursor::Model> {
        let query =
            event_cursor::Entity::find_by_id(consumer).filter(event_cursor::Column::TenantId.eq(self.tenant.id));
        self.counted();
        let cursor = query.one(self.tenant.engine.reader()).await?;
        Ok(cursor.unwrap_or_else(|| event_cursor::Model {
            consumer: consumer.to_owned(),
            tenant_id: self.tenant.id,
            position: 0,
            failures: 0,
            last_error: None,
        }))
    }

    /// One transaction: what follows from the events, and how far the consumer has come.
    async fn take(&self, consumer: &impl Consumer, position: i64, events: &[Arc<Event>], last: i64) -> Result<()> {
        let mut unit = Unit::begin(self).await?;
        let work = async {
            // First, so that whoever else takes the same events waits here, and then finds them taken.
            unit.move_cursor(consumer.name(), position, last).await?;
            match AssertUnwindSafe(consumer.take(&mut unit, events)).catch_unwind().await {
                Ok(taken) => taken,
                Err(_) => Err(Error::internal("the consumer panicked")),
            }
        };
        match work.await {
            Ok(()) => unit.commit().await,
            Err(error) => {
                unit.tx.rollback().await?;
                Err(error)
            }
        }
    }

    /// Notes that an event could not be taken; passes it over when that was the last attempt, and answers then that
    /// there is more to do.
    async fn failed(
        &self,
        consumer: &impl Consumer,
        cursor: &event_cursor::Model,
        event: &Event,
        error: Error,
    ) -> Result<bool> {
        let name = consumer.name();
        let reason = match &error {
            Error::Internal(cause) => cause.to_string(),
            other => other.to_string(),
        };
        let attempts = cursor.failures + 1;
        let unit = Unit::begin(self).await?;
        let noted = async {
            if attempts < ATTEMPTS {
                unit.note_failure(name, cursor.position, attempts, &reason).await
            } else {
                unit.move_cursor(name, cursor.position, event.seq).await?;
                unit.bury(name, event, attempts, &reason).await
            }
        };
        match noted.await {
            Ok(()) => unit.commit().await?,
            Err(error) => {
                unit.tx.rollback().await?;
                return Err(error);
            }
        }
        if attempts < ATTEMPTS {
            return Err(error);
        }
        tracing::error!(
            consumer = name,
            seq = event.seq,
            event = event.name,
            attempts,
            reason,
            "an event was given up"
        );
        Ok(true)
    }
}

impl Unit {
    /// Moves a cursor on.
    async fn move_cursor(&self, consumer: &str, from: i64, to: i64) -> Result<()> {
        self.make_cursor(consumer, from).await?;
        let moved = event_cursor::Entity::update_many()
            .col_expr(event_cursor::Column::Position, Expr::value(to))
            .col_expr(event_cursor::Column::Failures, Expr::value(0))
            .col_expr(event_cursor::Column::LastError, Expr::value(None::<String>))
            .filter(event_cursor::Column::Consumer.eq(consumer))
            .filter(event_cursor::Column::TenantId.eq(self.actor().tenant_id))
            .filter(event_cursor::Column::Position.eq(from));
        self.db.counted();
        match moved.exec(&self.tx).await?.rows_affected {
            1 => Ok(()),
            _ => Err(Error::Conflict("somebody else has taken these events".to_owned())),
        }
    }

    async fn note_failure(&self, consumer: &str, position: i64, failures: i32, reason: &str) -> Result<()> {
        self.make_cursor(consumer, position).await?;
        let note = event_cursor::Entity::update_many()
            .col_expr(event_cursor::Column::Failures, Expr::value(failures))
            .col_expr(event_cursor::Column::LastError, Expr::value(reason))
            .filter(event_cursor::Column::Consumer.eq(consumer))
            .filter(event_cursor::Column::TenantId.eq(self.actor().tenant_id))
            .filter(event_cursor::Column::Position.eq(position));
        self.db.counted();
        note.exec(&self.tx).await?;
        Ok(())
    }

    /// Makes the cursor of a consumer that has taken nothing yet.
    async fn make_cursor(&self, consumer: &str, position: i64) -> Result<()> {
        if position > 0 {
            return Ok(());
        }
        let cursor = event_cursor::ActiveModel {
            consumer: Set(consumer.to_owned()),
            tenant_id: Set(self.actor().tenant_id),
            position: Set(0),
            failures: Set(0),
            last_error: Set(None),
        };
        self.db.counted();
        event_cursor::Entity::insert(cursor)
            .on_conflict(OnConflict::column(event_cursor::Column::Consumer).do_nothing().to_owned())
            .exec_without_returning(&self.tx)
            .await?;
        Ok(())
    }

    async fn bury(&self, consumer: &str, event: &Event, attempts: i32, reason: &str) -> Result<()> {
        let dead = dead_event::ActiveModel {
            consumer: Set(consumer.to_owned()),
            seq: Set(event.seq),
            tenant_id: Set(self.actor().tenant_id),
            event_id: Set(event.id),
            name: Set(event.name.clone()),
            record_id: Set(event.record_id),
            attempts: Set(attempts),
            reason: Set(reason.to_owned()),
            created_at: Set(self.now()),
        };
        self.db.counted();
        dead_event::Entity::insert(dead).exec_without_returning(&self.tx).await?;
        Ok(())
    }
}
