//! Jobs as they are stored: who may work on one, and what becomes of it.
//!
//! A job is claimed for 15 seconds on the clock of the database server, renewed while it runs, and ended under the epoch
//! of the claim: whoever held an earlier one changes nothing any more. The attempt is counted when it is claimed, so a job
//! that kills its process is given up in the end. Of the jobs of one recurring job only one runs at a time.

use chrono::{DateTime, Duration, Utc};
use entity::master::{JobStatus, cron, job};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, UpdateMany,
    sea_query::{Expr, ExprTrait, LockBehavior, LockType, Query},
};
use serde_json::Value;
use uuid::Uuid;

use super::{due::LEASE, master::MasterDb};
use crate::error::{Error, Result, UserErrorCode};

/// How many jobs are looked at for one that can be claimed.
const LOOKED_AT: u64 = 200;
/// How far the clocks of a node and of the database server may be apart without a transaction for nothing.
const SLACK: Duration = Duration::seconds(5);
/// The pauses after attempts that failed; the last one repeats.
const PAUSES: [Duration; 4] =
    [Duration::seconds(30), Duration::minutes(2), Duration::minutes(10), Duration::minutes(30)];

/// A job that this node may work on until the lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobLease {
    /// The job.
    pub id: Uuid,
    /// What is to be done.
    pub kind: String,
    /// The tick.
    pub scheduled_at: DateTime<Utc>,
    /// Which attempt this is.
    pub attempt: i32,
    /// After how many the job is given up.
    pub max_attempts: i32,
    epoch: i64,
}

/// What was found when jobs were claimed.
#[derive(Clone, Debug, Default)]
pub struct Claimed {
    /// What this node may work on.
    pub leases: Vec<JobLease>,
    /// What is given up, because its last attempt ended without a word.
    pub dead: Vec<job::Model>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The job is done.
    Succeeded,
    /// It is tried again at this time.
    Failed(DateTime<Utc>),
    /// It is given up.
    Dead,
    /// Somebody else works on it: nothing was changed.
    Lost,
}

/// Claims jobs of these kinds: those that wait and whose time has come, and those whose node is gone. At most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn claim(master: &MasterDb, node: &str, kinds: &[&str], limit: usize) -> Result<Claimed> {
    let now = master.clock().now();
    let waiting = || {
        Condition::all()
            .add(Expr::cust("\"job\".\"status\" IN ('QUEUED', 'FAILED', 'RUNNING')"))
            .add(job::Column::Kind.is_in(kinds.iter().copied()))
            .add(job::Column::RunAfter.lte(now))
    };
    // Mostly nothing waits, and what runs is renewed long before its lease ends: that costs one read and no transaction.
    let perhaps_free =
        Condition::any().add(job::Column::Status.ne(JobStatus::Running)).add(job::Column::LeaseUntil.lte(now + SLACK));
    let any = job::Entity::find().filter(waiting()).filter(perhaps_free).limit(1);
    if limit == 0 || master.one(any).await?.is_none() {
        return Ok(Claimed::default());
    }
    master
        .write(async |unit| {
            let server = unit.server_time().await?;
            let free = Condition::any()
                .add(job::Column::Status.ne(JobStatus::Running))
                .add(job::Column::LeaseUntil.lte(server));
            let one_runs = Query::select()
                .expr(Expr::val(1))
                .from_as("job", "other")
                .and_where(Expr::col(("other", "cron")).equals(("job", "cron")))
                .and_where(Expr::col(("other", "status")).eq("RUNNING"))
                .and_where(Expr::col(("other", "lease_until")).gt(server))
                .to_owned();
            let candidates = job::Entity::find()
                .filter(waiting())
                .filter(free)
                .filter(Expr::exists(one_runs).not())
                .order_by_asc(job::Column::RunAfter)
                .order_by_asc(job::Column::Id)
                .limit(LOOKED_AT);
            let mut claimed = Claimed::default();
            let mut crons: Vec<String> = Vec::new();
            for seen in unit.all(candidates).await? {
                if claimed.leases.len() >= limit {
                    break;
                }
                // Two nodes must not claim two jobs of one recurring job: who locks it goes first.
                if let Some(name) = &seen.cron {
                    if crons.contains(name) {
                        continue;
                    }
                    crons.push(name.clone());
                    let lock = cron::Entity::find_by_id(name.as_str())
                        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
                    if unit.one(lock).await?.is_none() {
                        continue;
                    }
                    let runs = job::Entity::find()
                        .filter(job::Column::Cron.eq(name))
                        .filter(job::Column::Status.eq(JobStatus::Running))
                        .filter(job::Column::LeaseUntil.gt(server));
                    if unit.one(runs.limit(1)).await?.is_some() {
                        continue;
                    }
                }
                let this = job::Entity::update_many()
                    .filter(job::Column::Id.eq(seen.id))
                    .filter(job::Column::Status.eq(seen.status))
                    .filter(job::Column::LeaseEpoch.eq(seen.lease_epoch));
                if seen.attempts >= seen.max_attempts {
                    let cause = format!("its node ended without a word during attempt {}", seen.attempts);
                    let dead = this
                        .col_expr(job::Column::Status, Expr::value(JobStatus::Dead))
                        .col_expr(job::Column::LeaseUntil, Expr::value(None::<DateTime<Utc>>))
                        .col_expr(job::Column::LeaseEpoch, Expr::value(seen.lease_epoch + 1))
                        .col_expr(job::Column::FinishedAt, Expr::value(now))
                        .col_expr(job::Column::LastError, Expr::value(&cause));
                    if unit.update_many(dead).await? == 1 {
                        claimed.dead.push(job::Model { last_error: Some(cause), ..seen });
                    }
                    continue;
                }
                let (attempt, epoch) = (seen.attempts + 1, seen.lease_epoch + 1);
                let lease = this
                    .col_expr(job::Column::Status, Expr::value(JobStatus::Running))
                    .col_expr(job::Column::Attempts, Expr::value(attempt))
                    .col_expr(job::Column::LeaseUntil, Expr::value(server + LEASE))
                    .col_expr(job::Column::LeaseEpoch, Expr::value(epoch))
                    .col_expr(job::Column::Node, Expr::value(node))
                    .col_expr(job::Column::StartedAt, Expr::value(now));
                if unit.update_many(lease).await? == 1 {
                    let job::Model { id, kind, scheduled_at, max_attempts, .. } = seen;
                    claimed.leases.push(JobLease { id, kind, scheduled_at, attempt, max_attempts, epoch });
                }
            }
            Ok(claimed)
        })
        .await
}

/// The row of a lease, while it is this node's.
fn held(lease: &JobLease) -> UpdateMany<job::Entity> {
    job::Entity::update_many()
        .filter(job::Column::Id.eq(lease.id))
        .filter(job::Column::Status.eq(JobStatus::Running))
        .filter(job::Column::LeaseEpoch.eq(lease.epoch))
}

/// Prolongs a lease; answers whether it was still this node's.
///
/// # Errors
/// When the database fails.
pub async fn renew(master: &MasterDb, lease: &JobLease) -> Result<bool> {
    let renewed = master.write(async |unit| {
        let until = unit.server_time().await? + LEASE;
        unit.update_many(held(lease).col_expr(job::Column::LeaseUntil, Expr::value(until))).await
    });
    Ok(renewed.await? == 1)
}

/// Ends an attempt with what it did or why it failed.
///
/// # Errors
/// When the database fails; the lease then ends by itself, and the job is done again.
pub async fn end(master: &MasterDb, lease: &JobLease, outcome: Result<Value, &str>) -> Result<Ended> {
    let now = master.clock().now();
    let end = held(lease).col_expr(job::Column::LeaseUntil, Expr::value(None::<DateTime<Utc>>));
    let (end, ended) = match outcome {
        Ok(summary) => (
            end.col_expr(job::Column::Status, Expr::value(JobStatus::Succeeded))
                .col_expr(job::Column::FinishedAt, Expr::value(now))
                .col_expr(job::Column::LastError, Expr::value(None::<String>))
                .col_expr(job::Column::Summary, Expr::value(summary)),
            Ended::Succeeded,
        ),
        Err(cause) if lease.attempt >= lease.max_attempts => (
            end.col_expr(job::Column::Status, Expr::value(JobStatus::Dead))
                .col_expr(job::Column::FinishedAt, Expr::value(now))
                .col_expr(job::Column::LastError, Expr::value(cause)),
            Ended::Dead,
        ),
        Err(cause) => {
            let failed = usize::try_from(lease.attempt - 1).unwrap_or(0);
            let again = now + PAUSES.get(failed).or(PAUSES.last()).copied().unwrap_or_default();
            let end = end
                .col_expr(job::Column::Status, Expr::value(JobStatus::Failed))
                .col_expr(job::Column::RunAfter, Expr::value(again))
                .col_expr(job::Column::LastError, Expr::value(cause));
            (end, Ended::Failed(again))
        }
    };
    let changed = master.write(async |unit| unit.update_many(end).await).await?;
    Ok(if changed == 1 { ended } else { Ended::Lost })
}

/// Gives a job back that this node can not finish, because it stops. That is no attempt.
///
/// # Errors
/// When the database fails; the lease then ends by itself.
pub async fn hand_back(master: &MasterDb, lease: &JobLease) -> Result<bool> {
    let back = held(lease)
        .col_expr(job::Column::Status, Expr::value(JobStatus::Queued))
        .col_expr(job::Column::Attempts, Expr::value(lease.attempt - 1))
        .col_expr(job::Column::LeaseUntil, Expr::value(None::<DateTime<Utc>>));
    Ok(master.write(async |unit| unit.update_many(back).await).await? == 1)
}

/// Tries a job again at once that was given up or waits for its next attempt; its attempts begin anew. Answers it.
///
/// # Errors
/// [`Error::NotFound`] when there is none, [`Error::User`] when it is neither.
pub async fn retry(master: &MasterDb, id: Uuid) -> Result<job::Model> {
    master
        .write(async |unit| {
            let again = job::Entity::update_many()
                .col_expr(job::Column::Status, Expr::value(JobStatus::Queued))
                .col_expr(job::Column::Attempts, Expr::value(0))
                .col_expr(job::Column::RunAfter, Expr::value(unit.now()))
                .col_expr(job::Column::FinishedAt, Expr::value(None::<DateTime<Utc>>))
                .filter(job::Column::Id.eq(id))
                .filter(job::Column::Status.is_in([JobStatus::Dead, JobStatus::Failed]));
            let changed = unit.update_many(again).await?;
            let job = unit.one(job::Entity::find_by_id(id)).await?.ok_or(Error::NotFound)?;
            if changed == 0 {
                let message = "only a job that failed or is dead is tried again";
                return Err(Error::user(UserErrorCode::InvalidState, &["id"], message));
            }
            Ok(job)
        })
        .await
}

/// One job.
///
/// # Errors
/// [`Error::NotFound`] when there is none.
pub async fn find(master: &MasterDb, id: Uuid) -> Result<job::Model> {
    master.one(job::Entity::find_by_id(id)).await?.ok_or(Error::NotFound)
}

/// Which jobs are listed.
#[derive(Clone, Debug, Default)]
pub struct JobPage {
    /// Only those of these states.
    pub statuses: Vec<JobStatus>,
    /// Only those of this recurring job.
    pub cron: Option<String>,
    /// Only those put here before this one.
    pub before: Option<Uuid>,
    /// At most so many.
    pub limit: u64,
}

/// Jobs, the newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(master: &MasterDb, page: &JobPage) -> Result<Vec<job::Model>> {
    let mut query = job::Entity::find().order_by_desc(job::Column::Id).limit(page.limit);
    if !page.statuses.is_empty() {
        query = query.filter(job::Column::Status.is_in(page.statuses.iter().copied()));
    }
    if let Some(cron) = &page.cron {
        query = query.filter(job::Column::Cron.eq(cron));
    }
    if let Some(before) = page.before {
        query = query.filter(job::Column::Id.lt(before));
    }
    master.all(query).await
}

/// The jobs that ended since a time, at most `limit` of them, the latest first.
///
/// # Errors
/// When the database fails.
pub async fn ended_since(master: &MasterDb, since: DateTime<Utc>, limit: u64) -> Result<Vec<job::Model>> {
    let query = job::Entity::find()
        .filter(job::Column::FinishedAt.gte(since))
        .order_by_desc(job::Column::FinishedAt)
        .limit(limit);
    master.all(query).await
}

/// Removes jobs that ended before these times, done ones and dead ones; at most `limit` at a time. Answers how many.
///
/// # Errors
/// When the database fails.
pub async fn purge(master: &MasterDb, done: DateTime<Utc>, dead: DateTime<Utc>, limit: u64) -> Result<u64> {
    let old = Condition::any()
        .add(Condition::all().add(job::Column::FinishedAt.lt(done)).add(job::Column::Status.ne(JobStatus::Dead)))
        .add(Condition::all().add(job::Column::FinishedAt.lt(dead)).add(job::Column::Status.eq(JobStatus::Dead)));
    let ids = Query::select().column("id").from("job").cond_where(old).limit(limit).to_owned();
    let purge = Query::delete().from_table("job").and_where(Expr::col("id").in_subquery(ids)).to_owned();
    master.execute(&purge).await
}
