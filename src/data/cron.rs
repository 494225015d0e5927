//! The recurring jobs as they are stored: what recurs when, and the ticks by which it does.
//!
//! A tick is fired by whoever moves `next_at` first; the job of the tick is inserted in the same transaction, under the
//! unique key of the recurring job and the tick. So each tick has one job, however many nodes see it due.

use chrono::{DateTime, Utc};
use entity::master::{JobStatus, MisfirePolicy, OverlapPolicy, cron, job};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::{Expr, OnConflict},
};
use serde_json::json;

use super::{
    ids,
    master::{MasterDb, MasterUnit},
};
use crate::error::{Error, Result};

/// How a recurring job is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The cron text.
    pub schedule: String,
    /// The time zone of it, by its IANA name.
    pub time_zone: String,
    /// What becomes of missed ticks.
    pub misfire: MisfirePolicy,
    /// How many of them are made up for, where the policy is to catch up.
    pub catch_up: i32,
    /// What becomes of a tick while an earlier one is not done.
    pub overlap: OverlapPolicy,
}

/// The ticks of a recurring job that are to have their jobs now.
#[derive(Clone, Debug)]
pub struct Ticks {
    /// The ticks, in order.
    pub at: Vec<DateTime<Utc>>,
    /// The tick after them.
    pub next: Option<DateTime<Utc>>,
    /// After how many attempts each job is given up.
    pub max_attempts: i32,
}

/// Declares a recurring job. One that is known keeps what people have set. Answers whether it is new.
///
/// # Errors
/// When the database fails.
pub async fn declare(
    master: &MasterDb,
    name: &str,
    settings: &Settings,
    next_at: Option<DateTime<Utc>>,
) -> Result<bool> {
    let now = master.clock().now();
    let Settings { schedule, time_zone, misfire, catch_up, overlap } = settings.clone();
    let row = cron::ActiveModel {
        name: Set(name.to_owned()),
        schedule: Set(schedule),
        time_zone: Set(time_zone),
        next_at: Set(next_at),
        misfire: Set(misfire),
        catch_up: Set(catch_up),
        overlap: Set(overlap),
        paused: Set(false),
        version: Set(1),
        created_at: Set(now),
        updated_at: Set(now),
    };
    let insert = cron::Entity::insert(row)
        .on_conflict(OnConflict::column(cron::Column::Name).do_nothing().to_owned())
        .into_query();
    Ok(master.execute(&insert).await? == 1)
}

/// The recurring jobs of these names, by their names.
///
/// # Errors
/// When the database fails.
pub async fn all(master: &MasterDb, names: &[&str]) -> Result<Vec<cron::Model>> {
    let query =
        cron::Entity::find().filter(cron::Column::Name.is_in(names.iter().copied())).order_by_asc(cron::Column::Name);
    master.all(query).await
}

/// Those of these names whose next tick is due.
///
/// # Errors
/// When the database fails.
pub async fn due(master: &MasterDb, names: &[&str]) -> Result<Vec<cron::Model>> {
    let query = cron::Entity::find()
        .filter(cron::Column::Name.is_in(names.iter().copied()))
        .filter(cron::Column::Paused.eq(false))
        .filter(cron::Column::NextAt.lte(master.clock().now()))
        .order_by_asc(cron::Column::NextAt);
    master.all(query).await
}

/// Gives ticks their jobs and moves the recurring job on, unless another node was faster or somebody has changed it
/// meanwhile. Answers the jobs that wait now; none when it was not this node's to do.
///
/// # Errors
/// When the database fails; then nothing has happened.
pub async fn fire(master: &MasterDb, seen: &cron::Model, ticks: &Ticks) -> Result<Option<usize>> {
    master
        .write(async |unit| {
            let moved = cron::Entity::update_many()
                .col_expr(cron::Column::NextAt, Expr::value(ticks.next))
                .filter(cron::Column::Name.eq(&seen.name))
                .filter(cron::Column::NextAt.eq(seen.next_at))
                .filter(cron::Column::Version.eq(seen.version))
                .filter(cron::Column::Paused.eq(false));
            if unit.update_many(moved).await? == 0 {
                return Ok(None);
            }
            let mut waiting = 0;
            for at in &ticks.at {
                let skipped = seen.overlap == OverlapPolicy::Skip && unfinished(unit, &seen.name).await?;
                let status = if skipped { JobStatus::Skipped } else { JobStatus::Queued };
                let new = new_job(&seen.name, *at, unit.now(), status, ticks.max_attempts);
                // The clock may have gone back: a tick has one job all the same.
                let once = OnConflict::columns([job::Column::Cron, job::Column::ScheduledAt]).do_nothing().to_owned();
                let put = unit.execute(&job::Entity::insert(new).on_conflict(once).into_query()).await?;
                waiting += usize::from(!skipped && put == 1);
            }
            Ok(Some(waiting))
        })
        .await
}

/// Puts a job of a recurring one here that a person asks for now. Answers it.
///
/// # Errors
/// [`Error::NotFound`] when there is no such recurring job.
pub async fn run_now(master: &MasterDb, name: &str, max_attempts: i32) -> Result<job::Model> {
    master
        .write(async |unit| {
            let known = unit.one(cron::Entity::find_by_id(name)).await?;
            if known.is_none() {
                return Err(Error::NotFound);
            }
            let now = unit.now();
            let mut new = new_job(name, now, now, JobStatus::Queued, max_attempts);
            new.manual = Set(true);
            unit.insert(new).await
        })
        .await
}

/// Changes a recurring job under its version, if one is given; `change` is told how it stands. Answers how it stands then.
///
/// # Errors
/// [`Error::NotFound`] when there is none, what `change` says, and a stale version.
pub async fn change(
    master: &MasterDb,
    name: &str,
    change: impl AsyncFnOnce(&cron::Model) -> Result<cron::ActiveModel>,
) -> Result<cron::Model> {
    master
        .write(async |unit| {
            let query = cron::Entity::find_by_id(name).lock_exclusive();
            let before = unit.one(query).await?.ok_or(Error::NotFound)?;
            let mut row = change(&before).await?;
            row.name = Set(before.name);
            row.version = Set(before.version + 1);
            row.updated_at = Set(unit.now());
            unit.update(row).await
        })
        .await
}

/// Whether a job of a recurring one waits for a node or has one. One that failed and waits for its next attempt counts
/// not: a poisoned job must not hold up the ticks after it.
async fn unfinished(unit: &mut MasterUnit, name: &str) -> Result<bool> {
    let query = job::Entity::find()
        .filter(job::Column::Cron.eq(name))
        .filter(job::Column::Status.is_in([JobStatus::Queued, JobStatus::Running]))
        .limit(1);
    Ok(unit.one(query).await?.is_some())
}

/// The job of a tick.
fn new_job(
    name: &str,
    at: DateTime<Utc>,
    now: DateTime<Utc>,
    status: JobStatus,
    max_attempts: i32,
) -> job::ActiveModel {
    job::ActiveModel {
        id: Set(ids::new(now)),
        cron: Set(Some(name.to_owned())),
        kind: Set(name.to_owned()),
        scheduled_at: Set(at),
        manual: Set(false),
        status: Set(status),
        attempts: Set(0),
        max_attempts: Set(max_attempts),
        run_after: Set(now),
        lease_until: Set(None),
        lease_epoch: Set(0),
        node: Set(None),
        created_at: Set(now),
        started_at: Set(None),
        finished_at: Set((status == JobStatus::Skipped).then_some(now)),
        last_error: Set(None),
        summary: Set(json!({})),
    }
}

/// The newest job of each recurring one that was not left out. One look for each: there are a handful.
///
/// # Errors
/// When the database fails.
pub async fn last_jobs(master: &MasterDb, names: &[&str]) -> Result<Vec<job::Model>> {
    let mut jobs = Vec::new();
    for name in names {
        let query = job::Entity::find()
            .filter(job::Column::Cron.eq(*name))
            .filter(job::Column::Status.ne(JobStatus::Skipped))
            .order_by_desc(job::Column::ScheduledAt);
        jobs.extend(master.one(query).await?);
    }
    Ok(jobs)
}
