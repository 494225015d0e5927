//! Who does the jobs: a loop on each node that runs one.
//!
//! Each second, and whenever this node has fired a tick, it claims what waits and what a dead node has left, at most 4 at the
//! same time, each in a task of its own: a job that hangs, panics or fails delays no other. A job that fails is tried again
//! after 30 seconds, 2, 10 and 30 minutes; after the last attempt it is a dead letter with its cause. One that runs for longer
//! than 15 minutes has failed.
//!
//! When the node is told to stop it claims nothing more and finishes what it has begun. What is not finished in the time for
//! that is given back ([`Jobs::hand_back`]), so that another node begins it at once.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use serde_json::Value;
use tokio::{sync::Notify, task::JoinSet, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

use super::{Jobs, cause, message};
use crate::{
    data::{
        due::LEASE,
        ids,
        job::{self, Ended, JobLease},
    },
    error::Result,
};

/// How often it is looked what waits.
const TICK: Duration = Duration::from_secs(1);
/// How many jobs run at the same time on a node.
const SLOTS: usize = 4;
/// How often a lease is renewed.
const RENEW: Duration = Duration::from_secs(5);
/// How long a job may run.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// How much is kept of a cause.
const CAUSE: usize = 1000;

/// What runs on this node.
#[derive(Default)]
pub(super) struct Running {
    held: Mutex<HashMap<Uuid, JobLease>>,
    woken: Notify,
}

impl Running {
    /// Something waits.
    pub(super) fn wake(&self) {
        self.woken.notify_one();
    }

    fn hold(&self, lease: &JobLease) {
        self.held().insert(lease.id, lease.clone());
    }

    /// Forgets a lease; a later one of the same job stays.
    fn release(&self, lease: &JobLease) {
        let mut held = self.held();
        if held.get(&lease.id) == Some(lease) {
            held.remove(&lease.id);
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, JobLease>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Jobs {
    /// Does jobs until it is told to stop, then finishes what it has begun. Whoever drops the future instead cuts off what
    /// runs, and gives it back with [`Jobs::hand_back`].
    pub async fn run(&self, stop: CancellationToken) {
        self.0.runner.beat();
        let mut tasks = JoinSet::new();
        let mut clock = tokio::time::interval(TICK);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = clock.tick() => {}
                () = self.0.running.woken.notified() => {}
                Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
            }
            while tasks.try_join_next().is_some() {}
            let free = SLOTS.saturating_sub(tasks.len());
            match self.begin(&mut tasks, free).await {
                Ok(_) => self.0.runner.beat(),
                Err(error) => tracing::error!(error = cause(&error), "it could not be asked which jobs wait"),
            }
        }
        while tasks.join_next().await.is_some() {}
        self.0.runner.stop();
    }

    /// Does all jobs whose time has come, until none waits. For tests, which move the clock.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn drain(&self) -> Result<()> {
        loop {
            let mut tasks = JoinSet::new();
            if self.begin(&mut tasks, SLOTS).await? == 0 {
                return Ok(());
            }
            while tasks.join_next().await.is_some() {}
        }
    }

    /// Gives back what runs here and was cut off, so that another node begins it at once.
    pub async fn hand_back(&self) {
        let leases: Vec<_> = self.0.running.held().drain().map(|(_, lease)| lease).collect();
        for lease in leases {
            match job::hand_back(&self.0.master, &lease).await {
                Ok(true) => tracing::info!(job = lease.kind, "a job was given back; it begins anew elsewhere"),
                Ok(false) => {}
                Err(error) => tracing::error!(error = cause(&error), job = lease.kind, "a job could not be given back"),
            }
        }
        self.0.runner.stop();
    }

    /// Claims jobs and begins them; answers what it found, dead ones included.
    async fn begin(&self, tasks: &mut JoinSet<()>, free: usize) -> Result<usize> {
        let claimed = job::claim(&self.0.master, &self.0.node, &self.names(), free).await?;
        for dead in &claimed.dead {
            let id = ids::encode("job", dead.id);
            let error = dead.last_error.as_deref();
            tracing::error!(job = dead.kind, id, error, "a job is given up; it is a dead letter");
            self.0.metrics.job(&dead.kind, "dead", None);
        }
        let found = claimed.leases.len() + claimed.dead.len();
        for lease in claimed.leases {
            self.0.running.hold(&lease);
            let span = tracing::info_span!("job", job = lease.kind, id = ids::encode("job", lease.id));
            let jobs = self.clone();
            tasks.spawn(async move { jobs.perform(&lease).await }.instrument(span));
        }
        Ok(found)
    }

    async fn perform(&self, lease: &JobLease) {
        let begun = Instant::now();
        let outcome = tokio::select! {
            outcome = self.attempt(lease) => outcome,
            () = self.lost(lease) => {
                tracing::warn!("the lease was lost; the job was dropped");
                self.0.running.release(lease);
                return;
            }
        };
        let told = match &outcome {
            Ok(summary) => Ok(summary.clone()),
            Err(cause) => Err(cause.as_str()),
        };
        let ended = job::end(&self.0.master, lease, told).await;
        self.0.running.release(lease);
        let (attempt, seconds) = (lease.attempt, begun.elapsed().as_secs_f64());
        let error = outcome.as_ref().err();
        let word = match &ended {
            Ok(Ended::Succeeded) => {
                tracing::info!(attempt, seconds, summary = ?outcome.ok(), "a job is done");
                "succeeded"
            }
            Ok(Ended::Failed(again)) => {
                tracing::warn!(attempt, %again, error, "a job failed; it is tried again");
                "failed"
            }
            Ok(Ended::Dead) => {
                tracing::error!(attempt, error, "a job is given up; it is a dead letter");
                "dead"
            }
            Ok(Ended::Lost) => {
                tracing::warn!(attempt, "the lease had ended before the job was done");
                "lost"
            }
            Err(failure) => {
                tracing::error!(attempt, error = cause(failure), "what became of a job could not be stored");
                "lost"
            }
        };
        self.0.metrics.job(&lease.kind, word, Some(seconds));
    }

    /// Does the job. A panic is a failure like others, and so is taking too long.
    async fn attempt(&self, lease: &JobLease) -> Result<Value, String> {
        let Some(body) = self.job(&lease.kind) else { return Err("this program has no such job".to_owned()) };
        let run = AssertUnwindSafe(async { body.run(lease.scheduled_at).await }).catch_unwind();
        let outcome = match tokio::time::timeout(LONGEST, run).await {
            Err(_) => Err(format!("it was not done after {} minutes", LONGEST.as_secs() / 60)),
            Ok(Err(panic)) => Err(format!("it panicked: {}", message(&*panic))),
            Ok(Ok(done)) => done.map(|summary| summary.json()).map_err(|error| cause(&error)),
        };
        outcome.map_err(|text| text.chars().take(CAUSE).collect())
    }

    /// Renews the lease for as long as it can; resolves when it is lost.
    async fn lost(&self, lease: &JobLease) {
        let long = LEASE.to_std().unwrap_or(RENEW);
        let mut held = Instant::now();
        loop {
            tokio::time::sleep(RENEW).await;
            let asked = Instant::now();
            match job::renew(&self.0.master, lease).await {
                Ok(true) => held = asked,
                Ok(false) => return,
                Err(_) if held.elapsed() >= long => return,
                Err(error) => tracing::warn!(error = cause(&error), "a lease could not be renewed"),
            }
        }
    }
}
