//! The outbox as subscribers read it: every event of the tenant by its number, in order, without gaps.
//!
//! The truth is the table `event`. While a tenant has subscribers in this process, one task follows the table for all of
//! them: it looks when something is committed here, when another node tells of a commit there, and once a second
//! besides, since what another node tells may be lost. What it reads is handed to every subscriber, so that a batch of events is read once, whoever
//! listens. Without subscribers nothing runs.
//!
//! A subscriber knows the number it has come to and takes nothing but the next one. Whatever is missing between that and
//! what it is handed, because it resumes after an absence or was slow for a while, it reads from the table by itself; what
//! it had already, it passes over. So nothing is lost or repeated wherever the two meet. A subscriber that has once
//! caught up and then falls too far behind is sent away with its number, from which it can resume.

use std::sync::{Arc, Weak};

use sea_orm::{
    ConnectionTrait,
    sea_query::{Expr, ExprTrait, Order, Query},
};
use tokio::{
    sync::{
        Mutex,
        broadcast::{self, error::RecvError},
        watch,
    },
    time::{Duration, Interval, MissedTickBehavior, interval, sleep},
};
use tokio_util::task::AbortOnDropHandle;

use super::{Tenant, feed::Event};
use crate::error::{Error, Result};

/// How many events are read at a time.
const PAGE: usize = 500;

/// How many events wait for a subscriber before it has to read them from the table by itself.
const WAITING: usize = 1024;

/// How often the table is looked at when nothing is committed here.
const POLL: Duration = Duration::from_secs(1);

/// What follows the outbox of a tenant for the subscribers of this process, while there are any.
#[derive(Default)]
pub(super) struct Outbox {
    follower: Mutex<Weak<Follower>>,
    /// The newest number that another node has told of.
    told: watch::Sender<i64>,
}

impl Outbox {
    /// Another node tells that there are events up to this number.
    pub(super) fn told(&self, seq: i64) {
        self.told.send_modify(|newest| *newest = std::cmp::max(*newest, seq));
    }
}

/// The task that follows an outbox. It ends with the last subscriber.
struct Follower {
    events: broadcast::Sender<Arc<Event>>,
    _task: AbortOnDropHandle<()>,
}

impl Tenant {
    /// The events after the number `after`, or from now on: first those that are missed, then those that come. Nobody's
    /// rights are looked at. Once it has caught up, a reader that falls more than `backlog` events behind is sent away.
    ///
    /// # Errors
    /// [`Error::Resync`] when the outbox does not hold what follows `after`.
    pub async fn changes(self: &Arc<Self>, after: Option<i64>, backlog: u32) -> Result<Changes> {
        let follower = self.follower().await?;
        // Listening begins before the head is read: what is handed out before that is not newer than the head.
        let events = follower.events.subscribe();
        let (oldest, head) = self.outbox_bounds().await?;
        let position = after.unwrap_or(head);
        if position > head {
            return Err(resync(format!(
                "there is no event {position}, the newest is {head}: subscribe without `after` and read the lists again"
            )));
        }
        if position + 1 < oldest {
            return Err(no_longer_kept(position));
        }
        let backlog = i64::from(backlog);
        Ok(Changes { tenant: self.clone(), _follower: follower, events, position, target: head, live: false, backlog })
    }

    /// The task that follows the outbox, started if need be.
    async fn follower(self: &Arc<Self>) -> Result<Arc<Follower>> {
        let mut own = self.outbox.follower.lock().await;
        if let Some(follower) = own.upgrade() {
            return Ok(follower);
        }
        let (hints, told) = (self.feed.listen(), self.outbox.told.subscribe());
        let (_, head) = self.outbox_bounds().await?;
        let events = broadcast::Sender::new(WAITING);
        let task = tokio::spawn(follow(self.clone(), hints, told, events.clone(), head));
        let follower = Arc::new(Follower { events, _task: AbortOnDropHandle::new(task) });
        *own = Arc::downgrade(&follower);
        Ok(follower)
    }

    /// The number of the oldest event that is kept, or that the next one will have, and of the newest there ever was.
    pub(super) async fn outbox_bounds(&self) -> Result<(i64, i64)> {
        let query = Query::select()
            .expr(Expr::cust("(SELECT MIN(\"seq\") FROM \"event\")"))
            .column("event_seq")
            .from("event_head")
            .and_where(Expr::col("id").eq(1))
            .to_owned();
        let row = self.engine.reader().query_one(&query).await?;
        let row = row.ok_or_else(|| Error::internal("the event head is missing"))?;
        let (oldest, head): (Option<i64>, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        Ok((oldest.unwrap_or(head + 1), head))
    }

    /// The next events after a number, at most so many.
    pub(super) async fn outbox_page(&self, after: i64, limit: usize) -> Result<Vec<Arc<Event>>> {
        let query = Query::select()
            .columns([
                "seq",
                "id",
                "name",
                "record_type",
                "record_id",
                "actor_id",
                "occurred_at",
                "changed_fields",
                "data",
                "previous",
            ])
            .from("event")
            .and_where(Expr::col("tenant_id").eq(self.id))
            .and_where(Expr::col("seq").gt(after))
            .order_by("seq", Order::Asc)
            .limit(limit as u64)
            .to_owned();
        let rows = self.engine.reader().query_all(&query).await?;
        rows.iter()
            .map(|row| {
                let changed_fields: serde_json::Value = row.try_get_by_index(7)?;
                Ok(Arc::new(Event {
                    seq: row.try_get_by_index(0)?,
                    id: row.try_get_by_index(1)?,
                    name: row.try_get_by_index(2)?,
                    record_type: row.try_get_by_index::<String>(3)?.into(),
                    record_id: row.try_get_by_index(4)?,
                    actor_id: row.try_get_by_index(5)?,
                    occurred_at: row.try_get_by_index(6)?,
                    changed_fields: serde_json::from_value(changed_fields).map_err(Error::internal)?,
                    data: row.try_get_by_index(8)?,
                    previous: row.try_get_by_index(9)?,
                }))
            })
            .collect()
    }
}

/// Reads what comes after `position` and hands it to all who listen.
async fn follow(
    tenant: Arc<Tenant>,
    mut hints: broadcast::Receiver<Arc<Event>>,
    mut told: watch::Receiver<i64>,
    events: broadcast::Sender<Arc<Event>>,
    mut position: i64,
) {
    let mut poll = interval(POLL);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        news(&mut hints, &mut told, &mut poll, position).await;
        loop {
            match tenant.outbox_page(position, PAGE).await {
                Ok(page) => {
                    let more = page.len() == PAGE;
                    for event in page {
                        position = event.seq;
                        // An error means that the last subscriber has just gone, and this task is about to end.
                        let _ = events.send(event);
                    }
                    if !more {
                        break;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, tenant = %tenant.id, "the events of a tenant could not be read; trying again");
                    sleep(POLL).await;
                }
            }
        }
    }
}

/// Waits until there may be events after `position`.
async fn news(
    hints: &mut broadcast::Receiver<Arc<Event>>,
    told: &mut watch::Receiver<i64>,
    poll: &mut Interval,
    position: i64,
) {
    loop {
        tokio::select! {
            hint = hints.recv() => match hint {
                // It was read with others before its hint came.
                Ok(event) if event.seq <= position => {}
                Ok(_) | Err(RecvError::Lagged(_)) => return,
                // Never: the tenant holds the other end.
                Err(RecvError::Closed) => {
                    poll.tick().await;
                    return;
                }
            },
            // Each time it is told, not for as long as the number is ahead: nobody vouches for what comes by the bus.
            Ok(()) = told.changed() => {
                if *told.borrow_and_update() > position {
                    return;
                }
            }
            _ = poll.tick() => return,
        }
    }
}

/// The events of a tenant, for one reader. See [`Tenant::changes`].
pub struct Changes {
    tenant: Arc<Tenant>,
    _follower: Arc<Follower>,
    events: broadcast::Receiver<Arc<Event>>,
    /// The number of the last event that was read.
    position: i64,
    /// Up to here they are read from the table.
    target: i64,
    /// Whether it has caught up once.
    live: bool,
    backlog: i64,
}

impl Changes {
    /// The number of the last event that was read.
    #[must_use]
    pub const fn position(&self) -> i64 {
        self.position
    }

    /// The next events, at least one: waits until there are any. May be dropped while it waits; nothing is lost then.
    ///
    /// # Errors
    /// [`Error::Resync`] with the number to resume from when the reader was too slow, and without one when events are no
    /// longer kept; whatever the database says.
    pub async fn next(&mut self) -> Result<Vec<Arc<Event>>> {
        loop {
            if self.position < self.target {
                if self.live && self.target - self.position > self.backlog {
                    return Err(self.too_slow());
                }
                return self.read().await;
            }
            let mut next = match self.events.recv().await {
                Ok(event) => Some(event),
                // The number of the next event tells how many are missing.
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return Err(Error::internal("nobody follows the outbox")),
            };
            let mut batch = Vec::new();
            while let Some(event) = next.take() {
                if event.seq > self.position + 1 {
                    self.target = event.seq;
                    break;
                }
                if event.seq == self.position + 1 {
                    self.position = event.seq;
                    self.live = true;
                    batch.push(event);
                }
                if batch.len() < PAGE {
                    next = self.events.try_recv().ok();
                }
            }
            if !batch.is_empty() {
                return Ok(batch);
            }
        }
    }

    /// Reads a page from the table.
    async fn read(&mut self) -> Result<Vec<Arc<Event>>> {
        let page = self.tenant.outbox_page(self.position, PAGE).await?;
        let gapless = page.iter().zip(self.position + 1..).all(|(event, seq)| event.seq == seq);
        match page.last() {
            Some(last) if gapless => {
                self.position = last.seq;
                Ok(page)
            }
            _ => Err(no_longer_kept(self.position)),
        }
    }

    fn too_slow(&self) -> Error {
        let (position, backlog) = (self.position, self.backlog);
        let message = format!(
            "the reader fell more than {backlog} events behind: subscribe again with `after: \"{position}\"`, and read \
             faster or ask for less"
        );
        Error::Resync { message, cursor: Some(position) }
    }
}

fn no_longer_kept(after: i64) -> Error {
    resync(format!(
        "not all events after {after} are kept any more: subscribe without `after` and read the lists again"
    ))
}

fn resync(message: String) -> Error {
    Error::Resync { message, cursor: None }
}
