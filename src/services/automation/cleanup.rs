//! What is kept long enough goes, as the settings in `[retention]` say.
//!
//! In each tenant this is done daily at 02:00 in the tenant's own time zone, as work that is in no hurry: messages that were
//! sent or given up, deliveries of webhooks that are done, old notifications, events that every consumer has taken, what is
//! kept of events that were given up, and the outcomes of requests with an idempotency key. It goes in batches of 500 rows, each in a statement of its own, and a tenant with much
//! to remove gives others their turn.
//!
//! The recurring job is hourly, in UTC. It gives tenants that are new their first 02:00, without opening their databases, and
//! cleans the master database: sessions, tokens and links that have ended, and jobs that are done.
//!
//! Records that users have deleted stay, since they can be restored, and so does the audit log.

use chrono::{DateTime, Duration, Utc};
use entity::master::WorkKind;
use futures_util::{FutureExt, future::BoxFuture};

use crate::{
    config::Retention,
    data::{
        MasterDb, TenantDb,
        due::DueWork,
        job,
        purge::{self, BATCH},
    },
    error::Result,
    jobs::{Declared, Job, Summary, Work, schedule::Schedule},
};

/// When a tenant is cleaned, in its time zone.
const DAILY: &str = "0 2 * * *";
/// How many batches of one thing go before others have their turn.
const BATCHES: u32 = 10;
/// For how long the outcome of a request with an idempotency key counts, and a little more.
const OUTCOMES: Duration = Duration::hours(25);

/// The next 02:00 in a time zone; in UTC where its name is not known.
fn next_time(zone: &str, now: DateTime<Utc>) -> DateTime<Utc> {
    let schedule = Schedule::parse(DAILY, zone).or_else(|_| Schedule::parse(DAILY, "UTC"));
    schedule.ok().and_then(|schedule| schedule.after(now)).unwrap_or(now + Duration::days(1))
}

/// What goes in batches.
#[derive(Clone, Copy)]
enum Old {
    Mail,
    Deliveries,
    Notifications,
    Events,
    Outcomes,
}

/// Removes what is older than this, a batch at a time; answers whether there may be more.
async fn remove(db: &TenantDb, old: Old, before: DateTime<Utc>) -> Result<bool> {
    for _ in 0..BATCHES {
        let removed = match old {
            Old::Mail => db.purge_mail(before).await?,
            Old::Deliveries => db.purge_deliveries(before).await?,
            Old::Notifications => db.purge_notifications(before).await?,
            Old::Events => db.purge_events(before).await?,
            Old::Outcomes => db.purge_outcomes(before).await?,
        };
        if removed < BATCH {
            return Ok(false);
        }
        // Writers that wait have their turn.
        tokio::task::yield_now().await;
    }
    Ok(true)
}

/// Cleans the database of a tenant.
pub struct Cleaning {
    master: MasterDb,
    retention: Retention,
}

impl Cleaning {
    /// As the settings say.
    #[must_use]
    pub const fn new(master: MasterDb, retention: Retention) -> Self {
        Self { master, retention }
    }

    async fn clean(&self, db: &TenantDb) -> Result<Option<DateTime<Utc>>> {
        let now = db.clock().now();
        let Retention { email, events, webhook_deliveries, notifications, dead_letters, .. } = self.retention;
        let mut more = false;
        for (old, before) in [
            (Old::Mail, now - email),
            (Old::Deliveries, now - webhook_deliveries),
            (Old::Notifications, now - notifications),
            (Old::Events, now - events),
            (Old::Outcomes, now - OUTCOMES),
        ] {
            more |= remove(db, old, before).await?;
        }
        db.purge_dead_events(now - dead_letters).await?;
        if more {
            return Ok(Some(now));
        }
        let zone = purge::time_zone(&self.master, db.tenant().id()).await?;
        Ok(Some(next_time(&zone, now)))
    }
}

impl Work for Cleaning {
    fn kind(&self) -> WorkKind {
        WorkKind::Cleanup
    }

    fn run<'a>(&'a self, db: &'a TenantDb) -> BoxFuture<'a, Result<Option<DateTime<Utc>>>> {
        self.clean(db).boxed()
    }

    fn patient(&self) -> bool {
        true
    }

    /// Nothing in the tenant's database says when: the index alone does.
    fn next<'a>(&'a self, _db: &'a TenantDb) -> BoxFuture<'a, Result<Option<DateTime<Utc>>>> {
        async { Ok(None) }.boxed()
    }
}

/// The recurring job.
pub struct CleanupOldData {
    master: MasterDb,
    due: DueWork,
    retention: Retention,
}

impl CleanupOldData {
    /// As the settings say.
    #[must_use]
    pub const fn new(master: MasterDb, due: DueWork, retention: Retention) -> Self {
        Self { master, due, retention }
    }

    async fn clean(&self) -> Result<Summary> {
        let now = self.master.clock().now();
        let mut enrolled = 0;
        for zone in self.due.zones_without(WorkKind::Cleanup).await? {
            enrolled += self.due.enrol_daily(WorkKind::Cleanup, &zone, next_time(&zone, now)).await?;
        }
        let Retention { sessions, jobs, dead_letters, .. } = self.retention;
        let sessions = purge::sessions(&self.master, now - sessions).await?;
        let (done, dead) = (now - jobs, now - dead_letters);
        let mut old = 0;
        loop {
            let removed = job::purge(&self.master, done, dead, BATCH).await?;
            old += removed;
            if removed < BATCH {
                break;
            }
        }
        Ok(Summary::default()
            .with("tenantsEnrolled", enrolled)
            .with("sessionsRemoved", sessions)
            .with("jobsRemoved", old))
    }
}

impl Job for CleanupOldData {
    fn name(&self) -> &'static str {
        "CleanupOldDataJob"
    }

    fn description(&self) -> &'static str {
        "Removes ended sessions and old jobs, and sees to it that each tenant is cleaned at 02:00 in its time zone."
    }

    fn declared(&self) -> Declared {
        Declared::sweep("0 * * * *")
    }

    fn run(&self, _tick: DateTime<Utc>) -> BoxFuture<'_, Result<Summary>> {
        self.clean().boxed()
    }
}
