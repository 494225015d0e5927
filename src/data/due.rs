//! What is due in which tenant: an index in the master database, so that no database is opened that has nothing to do.
//!
//! The invariant: the `due_at` of a row is never later than the earliest due time of that kind in the tenant's own
//! database. [`DueWork::mark`] lowers it before the tenant's transaction commits, so a crash between the two costs one
//! look for nothing. Only who holds the lease raises it, and only when it was not lowered meanwhile (`gen`). A mark also
//! keeps the row from being raised beyond the next 30 seconds; the node remembers that for 20 of them, so a busy tenant
//! costs the master database one write in 20 seconds and not one for each transaction. The rest is for the transaction
//! that relies on the mark of another: it commits before that mark ends.
//!
//! A lease is for 15 seconds on the clock of the database server, which all nodes share, moved as the injected clock
//! is. Its epoch grows with each one, and whoever held an earlier lease changes nothing any more.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use chrono::{DateTime, Duration, Utc};
use entity::master::{TenantStatus, WorkKind, due_work, tenant};
use sea_orm::{
    ActiveEnum, ColumnTrait, Condition, EntityTrait, Iterable, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{CaseStatement, Expr, ExprTrait, LockBehavior, LockType, OnConflict, Query, SelectStatement},
};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    hints::{Hint, Hints},
    master::{MasterDb, MasterUnit},
};
use crate::error::Result;

/// For how long a mark holds: something that is due is looked at by then, whatever becomes of the hint.
pub const MARKED: Duration = Duration::seconds(30);
/// For how long the node that made a mark relies on it, and makes no other.
const RELIED_ON: Duration = Duration::seconds(20);
/// For how long a lease is.
pub const LEASE: Duration = Duration::seconds(15);
/// How long after its last sweep a tenant is swept again.
pub const SWEEP_EVERY: Duration = Duration::days(1);
/// The longest wait after failures in a row.
const LONGEST_PAUSE: i64 = 300;
/// How many marks are remembered before those that hold no more are forgotten.
const REMEMBERED: usize = 10_000;

/// The index of what is due. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct DueWork(Arc<Inner>);

struct Inner {
    master: MasterDb,
    /// For the workers of other nodes.
    others: Hints,
    /// Until when this node relies on the marks that it has made.
    marks: Mutex<HashMap<(Uuid, WorkKind), DateTime<Utc>>>,
    /// What was committed in this process since a worker last looked.
    hints: Mutex<HashSet<(Uuid, WorkKind)>>,
    hinted: Notify,
    /// Whether a worker of this process hears the hints.
    heard: AtomicBool,
}

/// Work of a tenant that this node may do until the lease ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The tenant.
    pub tenant_id: Uuid,
    /// What is to be done.
    pub kind: WorkKind,
    generation: i64,
    epoch: i64,
    /// How often in a row it has failed.
    pub failures: i32,
}

/// What the index knows of one kind of work of a tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// When it is due; none when nothing is to be done.
    pub due_at: Option<DateTime<Utc>>,
    /// Whether somebody is at it.
    pub leased: bool,
    /// Whether it waits after a failure, and is looked at later than it is due.
    pub failing: bool,
}

/// What is due of one kind of work, over all tenants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// The kind of work.
    pub kind: WorkKind,
    /// In how many tenants it is due.
    pub due: i64,
    /// In how many somebody is at it.
    pub leased: i64,
    /// In how many it waits after a failure.
    pub failing: i64,
    /// Since when the longest due is.
    pub oldest_due_at: Option<DateTime<Utc>>,
}

impl Queue {
    const fn of(kind: WorkKind) -> Self {
        Self { kind, due: 0, leased: 0, failing: 0, oldest_due_at: None }
    }
}

impl DueWork {
    /// The index in a master database; what is to be told to other nodes goes to `others`.
    #[must_use]
    pub fn new(master: MasterDb, others: Hints) -> Self {
        Self(Arc::new(Inner {
            master,
            others,
            marks: Mutex::default(),
            hints: Mutex::default(),
            hinted: Notify::new(),
            heard: AtomicBool::new(false),
        }))
    }

    /// Notes that a tenant has something to do at this time. Called before what it is about is committed, which must
    /// be within seconds.
    ///
    /// # Errors
    /// When the master database fails: then nothing may be committed.
    pub async fn mark(&self, tenant_id: Uuid, kind: WorkKind, at: DateTime<Utc>) -> Result<()> {
        self.mark_all(tenant_id, &[kind], at).await
    }

    /// Marks several kinds of work at once: one statement, or none where earlier marks hold.
    ///
    /// # Errors
    /// As [`DueWork::mark`].
    pub async fn mark_all(&self, tenant_id: Uuid, kinds: &[WorkKind], at: DateTime<Utc>) -> Result<()> {
        let now = self.0.master.clock().now();
        let heard = self.0.heard.load(Ordering::Relaxed);
        let mut kinds = kinds.to_vec();
        // Without a worker that hears the hint, a mark that is left out would be a wait of up to half a minute. Another
        // node's does not count: what it is told can be lost on the way.
        if heard && at <= now {
            let marks = self.marks();
            kinds.retain(|kind| marks.get(&(tenant_id, *kind)).is_none_or(|until| now >= *until));
        }
        if kinds.is_empty() {
            return Ok(());
        }
        self.lower(tenant_id, &kinds, at).await?;
        let mut marks = self.marks();
        if marks.len() >= REMEMBERED {
            marks.retain(|_, until| now < *until);
        }
        // A mark for later holds nobody who is due now.
        if at <= now {
            marks.extend(kinds.into_iter().map(|kind| ((tenant_id, kind), now + RELIED_ON)));
        }
        Ok(())
    }

    /// Notes that something is due at this time, whatever this node has noted before.
    ///
    /// # Errors
    /// When the master database fails.
    pub async fn lower(&self, tenant_id: Uuid, kinds: &[WorkKind], at: DateTime<Utc>) -> Result<()> {
        let until = self.0.master.clock().now() + MARKED;
        let own = |column: &'static str| Expr::col(("due_work", column));
        let earlier = Condition::any().add(own("due_at").is_null()).add(own("due_at").gt(at));
        let mut kinds: Vec<String> = kinds.iter().map(ActiveEnum::to_value).collect();
        // In one order, so that two who mark the same rows do not wait for each other.
        kinds.sort_unstable();
        kinds.dedup();
        let mut mark = Query::insert();
        mark.into_table("due_work").columns([
            "tenant_id",
            "kind",
            "due_at",
            "gen",
            "marked_until",
            "lease_epoch",
            "failures",
        ]);
        for kind in kinds {
            mark.values_panic([
                tenant_id.into(),
                kind.into(),
                at.into(),
                1i64.into(),
                until.into(),
                0i64.into(),
                0i32.into(),
            ]);
        }
        let mark = mark
            .on_conflict(
                OnConflict::columns(["tenant_id", "kind"])
                    .value("due_at", CaseStatement::new().case(earlier, Expr::val(at)).finally(own("due_at")))
                    .value("gen", own("gen").add(1))
                    .value("marked_until", until)
                    .to_owned(),
            )
            .to_owned();
        self.0.master.execute(&mark).await?;
        Ok(())
    }

    /// Now, from the injected clock.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.0.master.clock().now()
    }

    /// Tells this process's worker that what was marked is committed now; where this process has none, that of another
    /// node. The other one may miss it: it finds the mark with its next look, within a second.
    pub fn hint(&self, tenant_id: Uuid, kind: WorkKind) {
        if self.0.heard.load(Ordering::Relaxed) {
            self.told(tenant_id, kind);
        } else {
            self.0.others.tell(Hint::Work { tenant_id, kind });
        }
    }

    /// Tells this process's worker, if there is one, what was committed here or on another node.
    pub(super) fn told(&self, tenant_id: Uuid, kind: WorkKind) {
        if self.0.heard.load(Ordering::Relaxed) {
            self.0.hints.lock().unwrap_or_else(PoisonError::into_inner).insert((tenant_id, kind));
            self.0.hinted.notify_one();
        }
    }

    /// From now on this process has a worker that hears hints, or has none any more.
    pub fn hear(&self, heard: bool) {
        self.0.heard.store(heard, Ordering::Relaxed);
    }

    /// Resolves when something was committed.
    pub async fn hinted(&self) {
        self.0.hinted.notified().await;
    }

    /// What was committed since this was last asked.
    #[must_use]
    pub fn hints(&self) -> Vec<(Uuid, WorkKind)> {
        self.0.hints.lock().unwrap_or_else(PoisonError::into_inner).drain().collect()
    }

    /// Takes leases of what is due, the longest due first, for active tenants: at most `limit` of them.
    ///
    /// # Errors
    /// When the master database fails.
    pub async fn claim(&self, owner: &str, kinds: &[WorkKind], limit: u64) -> Result<Vec<Lease>> {
        let now = self.0.master.clock().now();
        let kinds = due_work::Column::Kind.is_in(kinds.iter().copied());
        let due = Condition::all().add(kinds).add(due_work::Column::DueAt.lte(now));
        // Mostly nothing is: that costs one read and no transaction.
        let any = due_work::Entity::find().filter(due.clone()).limit(1);
        if limit == 0 || self.0.master.one(any).await?.is_none() {
            return Ok(Vec::new());
        }
        self.take(owner, due, limit).await
    }

    /// Takes the lease of one kind of work of a tenant, due or not: there is a hint that it is. What waits after a
    /// failure goes on waiting, so that a tenant which commits all the time does not fail all the time.
    ///
    /// # Errors
    /// When the master database fails.
    pub async fn claim_hinted(&self, owner: &str, tenant_id: Uuid, kind: WorkKind) -> Result<Option<Lease>> {
        let now = self.0.master.clock().now();
        let well = Condition::any().add(due_work::Column::Failures.eq(0)).add(due_work::Column::DueAt.lte(now));
        let this = Condition::all()
            .add(due_work::Column::TenantId.eq(tenant_id))
            .add(due_work::Column::Kind.eq(kind))
            .add(well);
        Ok(self.take(owner, this, 1).await?.pop())
    }

    async fn take(&self, owner: &str, which: Condition, limit: u64) -> Result<Vec<Lease>> {
        self.0
            .master
            .write(async |master| {
                let server = master.server_time().await?;
                let free = Condition::any()
                    .add(due_work::Column::LeaseUntil.is_null())
                    .add(due_work::Column::LeaseUntil.lte(server));
                let active = due_work::Column::TenantId.in_subquery(
                    Query::select()
                        .column("id")
                        .from("tenant")
                        .and_where(tenant::Column::Status.eq(TenantStatus::Active))
                        .to_owned(),
                );
                let rows = due_work::Entity::find()
                    .filter(which)
                    .filter(free)
                    .filter(active)
                    .order_by_asc(due_work::Column::DueAt)
                    .limit(limit)
                    .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
                let mut leases = Vec::new();
                for row in master.all(rows).await? {
                    let epoch = row.lease_epoch + 1;
                    let lease = due_work::Entity::update_many()
                        .col_expr(due_work::Column::LeaseOwner, Expr::value(owner))
                        .col_expr(due_work::Column::LeaseUntil, Expr::value(server + LEASE))
                        .col_expr(due_work::Column::LeaseEpoch, Expr::value(epoch))
                        .filter(due_work::Column::TenantId.eq(row.tenant_id))
                        .filter(due_work::Column::Kind.eq(row.kind));
                    master.update_many(lease).await?;
                    let due_work::Model { tenant_id, kind, generation, failures, .. } = row;
                    leases.push(Lease { tenant_id, kind, generation, epoch, failures });
                }
                Ok(leases)
            })
            .await
    }

    /// Prolongs a lease; answers whether it was still this node's.
    ///
    /// # Errors
    /// When the master database fails.
    pub async fn renew(&self, lease: &Lease) -> Result<bool> {
        let renewed = self.0.master.write(async |master| {
            let until = master.server_time().await? + LEASE;
            let renew = held(lease).col_expr(due_work::Column::LeaseUntil, Expr::value(until));
            master.update_many(renew).await
        });
        Ok(renewed.await? == 1)
    }

    /// Gives a lease back when the work is done. `next` is when the tenant has the next to do; what was marked
    /// meanwhile is due all the same. Answers whether the lease was still this node's.
    ///
    /// # Errors
    /// When the master database fails; the lease then ends by itself.
    pub async fn finish(&self, lease: &Lease, next: Option<DateTime<Utc>>) -> Result<bool> {
        self.give_back(lease, next, 0, None).await
    }

    /// Gives a lease back after a failure: it is tried again after a pause, longer each time.
    ///
    /// # Errors
    /// As [`DueWork::finish`].
    pub async fn failed(&self, lease: &Lease, reason: &str) -> Result<bool> {
        let failures = lease.failures.saturating_add(1);
        let doubled = 1i64.checked_shl(failures.unsigned_abs()).filter(|pause| *pause > 0).unwrap_or(LONGEST_PAUSE);
        let next = self.0.master.clock().now() + Duration::seconds(std::cmp::min(doubled, LONGEST_PAUSE));
        self.give_back(lease, Some(next), failures, Some(reason)).await
    }

    async fn give_back(
        &self,
        lease: &Lease,
        next: Option<DateTime<Utc>>,
        failures: i32,
        reason: Option<&str>,
    ) -> Result<bool> {
        let now = self.0.master.clock().now();
        let own = |column: &'static str| Expr::col(column);
        let marked = || own("marked_until").gt(now);
        let mut due = CaseStatement::new();
        if failures == 0 {
            due = due.case(own("gen").ne(lease.generation), own("due_at"));
        }
        // Whoever trusts in his mark must find it looked at again.
        let due = match next {
            Some(next) => due
                .case(Condition::all().add(marked()).add(own("marked_until").lt(next)), own("marked_until"))
                .finally(Expr::val(next)),
            None => due.case(marked(), own("marked_until")).finally(Expr::val(None::<DateTime<Utc>>)),
        };
        let finish = held(lease)
            .col_expr(due_work::Column::DueAt, due.into())
            .col_expr(due_work::Column::LeaseOwner, Expr::value(None::<String>))
            .col_expr(due_work::Column::LeaseUntil, Expr::value(None::<DateTime<Utc>>))
            .col_expr(due_work::Column::Failures, Expr::value(failures))
            .col_expr(due_work::Column::LastError, Expr::value(reason.map(str::to_owned)));
        let finished = self.0.master.write(async |master: &mut MasterUnit| master.update_many(finish).await);
        Ok(finished.await? == 1)
    }

    /// Makes sure that every active tenant is swept: a tenant that never was is due now. Answers how many were new.
    ///
    /// # Errors
    /// When the master database fails.
    pub async fn enrol_for_sweep(&self) -> Result<u64> {
        self.enrol(WorkKind::Sweep, self.0.master.clock().now(), None).await
    }

    async fn enrol(&self, kind: WorkKind, at: DateTime<Utc>, which: Option<Expr>) -> Result<u64> {
        let new = Query::select()
            .column("id")
            .expr(Expr::val(kind.to_value()))
            .expr(Expr::val(at))
            .expr(Expr::val(0i64))
            .expr(Expr::val(0i64))
            .expr(Expr::val(0i32))
            .from("tenant")
            .and_where(tenant::Column::Status.eq(TenantStatus::Active))
            .and_where(Expr::col("id").not_in_subquery(having(kind)))
            .and_where_option(which)
            .to_owned();
        let enrol = Query::insert()
            .into_table("due_work")
            .columns(["tenant_id", "kind", "due_at", "gen", "lease_epoch", "failures"])
            .select_from(new)
            .map_err(crate::error::Error::internal)?
            .on_conflict(OnConflict::columns(["tenant_id", "kind"]).do_nothing().to_owned())
            .to_owned();
        self.0.master.execute(&enrol).await
    }

    /// Makes sure that every active tenant of a time zone has this work once a day: one that never had it is due at this
    /// time, and says itself when it is due again. Answers how many were new.
    ///
    /// # Errors
    /// When the master database fails.
    pub async fn enrol_daily(&self, kind: WorkKind, time_zone: &str, at: DateTime<Utc>) -> Result<u64> {
        self.enrol(kind, at, Some(Expr::col("time_zone").eq(time_zone))).await
    }

    /// The time zones of active tenants that never had this work.
    ///
    /// # Errors
    /// When the master database fails.
    pub async fn zones_without(&self, kind: WorkKind) -> Result<Vec<String>> {
        let zones = Query::select()
            .distinct()
            .column("time_zone")
            .from("tenant")
            .and_where(tenant::Column::Status.eq(TenantStatus::Active))
            .and_where(Expr::col("id").not_in_subquery(having(kind)))
            .to_owned();
        let rows = self.0.master.rows(&zones).await?;
        rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
    }

    /// The tenants in which this kind of work is due and nobody is at it, the longest due first: at most `limit`.
    ///
    /// # Errors
    /// When the master database fails.
    pub async fn waiting(&self, kind: WorkKind, limit: u64) -> Result<Vec<due_work::Model>> {
        let query = due_work::Entity::find()
            .filter(due_work::Column::Kind.eq(kind))
            .filter(due_work::Column::DueAt.lte(self.0.master.clock().now()))
            .filter(due_work::Column::LeaseUntil.is_null())
            .order_by_asc(due_work::Column::DueAt)
            .limit(limit);
        self.0.master.all(query).await
    }

    /// What is due over all tenants, by kind of work; those kinds of which nothing is due as well.
    ///
    /// # Errors
    /// When the master database fails.
    pub async fn queues(&self) -> Result<Vec<Queue>> {
        let now = self.0.master.clock().now();
        let count = |which: Condition| {
            let one = CaseStatement::new().case(which, Expr::val(1i64)).finally(Expr::val(0i64));
            Expr::expr(one).sum().cast_as("bigint")
        };
        let due = || Condition::all().add(Expr::col("due_at").lte(now));
        let earliest = CaseStatement::new().case(due(), Expr::col("due_at")).finally(Expr::val(None::<DateTime<Utc>>));
        let query = Query::select()
            .column("kind")
            .expr(count(due()))
            .expr(count(Condition::all().add(Expr::col("lease_until").is_not_null())))
            .expr(count(Condition::all().add(Expr::col("failures").gt(0))))
            .expr(Expr::expr(earliest).min())
            .from("due_work")
            .group_by_col("kind")
            .to_owned();
        let mut queues: Vec<Queue> = WorkKind::iter().map(Queue::of).collect();
        for row in self.0.master.rows(&query).await? {
            let kind: WorkKind = row.try_get_by_index(0)?;
            if let Some(queue) = queues.iter_mut().find(|queue| queue.kind == kind) {
                queue.due = row.try_get_by_index(1)?;
                queue.leased = row.try_get_by_index(2)?;
                queue.failing = row.try_get_by_index(3)?;
                queue.oldest_due_at = row.try_get_by_index(4)?;
            }
        }
        Ok(queues)
    }

    /// What the index knows of this kind of work of a tenant.
    ///
    /// # Errors
    /// When the master database fails.
    pub async fn known(&self, tenant_id: Uuid, kind: WorkKind) -> Result<Known> {
        let row = self.0.master.one(due_work::Entity::find_by_id((tenant_id, kind))).await?;
        Ok(row.map_or(Known::default(), |row| Known {
            due_at: row.due_at,
            leased: row.lease_until.is_some(),
            failing: row.failures > 0,
        }))
    }

    fn marks(&self) -> std::sync::MutexGuard<'_, HashMap<(Uuid, WorkKind), DateTime<Utc>>> {
        self.0.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tenants of which the index knows something about this kind of work.
fn having(kind: WorkKind) -> SelectStatement {
    Query::select().column("tenant_id").from("due_work").and_where(Expr::col("kind").eq(kind.to_value())).to_owned()
}

/// The row of a lease, while it is this node's.
fn held(lease: &Lease) -> sea_orm::UpdateMany<due_work::Entity> {
    due_work::Entity::update_many()
        .filter(due_work::Column::TenantId.eq(lease.tenant_id))
        .filter(due_work::Column::Kind.eq(lease.kind))
        .filter(due_work::Column::LeaseEpoch.eq(lease.epoch))
}
