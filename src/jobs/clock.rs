//! The clock of the recurring jobs.
//!
//! On every node that runs it, tokio-cron-scheduler ticks once a second, in UTC; nothing else is asked of it. At each tick it
//! is looked which recurring jobs are due by the stored `next_at` and the injected clock. What is due is given its jobs and
//! moved on ([`crate::data::cron::fire`]): of several nodes one succeeds. Should the scheduler fall silent, it is looked all
//! the same every 5 seconds.

use std::{sync::Arc, time::Duration};

use tokio::sync::Notify;
use tokio_cron_scheduler::{Job as Tick, JobScheduler};
use tokio_util::sync::CancellationToken;

use super::{Jobs, cause, schedule::Schedule};
use crate::{
    data::cron::{self, Ticks},
    error::{Error, Result},
};

/// Each second, in UTC.
const TICK: &str = "* * * * * *";
/// After how long without a tick it is looked all the same.
const SILENT: Duration = Duration::from_secs(5);

impl Jobs {
    /// Declares the jobs of this program as recurring ones. Those that are known keep what people have set.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn declare(&self) -> Result<()> {
        let now = self.0.master.clock().now();
        let known = cron::all(&self.0.master, &self.names()).await?;
        for job in self.0.jobs.iter().filter(|job| known.iter().all(|cron| cron.name != job.name())) {
            let settings = job.declared().settings();
            let schedule = Schedule::parse(&settings.schedule, &settings.time_zone)
                .map_err(|refused| Error::internal(format!("{} has a wrong schedule: {refused:?}", job.name())))?;
            cron::declare(&self.0.master, job.name(), &settings, schedule.after(now)).await?;
        }
        Ok(())
    }

    /// Fires ticks until it is told to stop.
    pub async fn run_clock(&self, stop: CancellationToken) {
        let ticked = Arc::new(Notify::new());
        let mut scheduler = match ticking(ticked.clone()).await {
            Ok(scheduler) => Some(scheduler),
            Err(error) => {
                tracing::error!(%error, "the scheduler does not tick; it is looked every 5 seconds what is due");
                None
            }
        };
        self.0.clock.beat();
        let mut declared = false;
        while !stop.is_cancelled() {
            let looked = async {
                if !declared {
                    self.declare().await?;
                }
                self.fire_due().await
            };
            match looked.await {
                Ok(_) => {
                    declared = true;
                    self.0.clock.beat();
                }
                Err(error) => tracing::error!(error = cause(&error), "the recurring jobs could not be looked at"),
            }
            tokio::select! {
                () = stop.cancelled() => break,
                _ = tokio::time::timeout(SILENT, ticked.notified()) => {}
            }
        }
        if let Some(scheduler) = &mut scheduler
            && let Err(error) = scheduler.shutdown().await
        {
            tracing::warn!(%error, "the scheduler did not end in order");
        }
        self.0.clock.stop();
    }

    /// Fires what is due now; answers how many jobs wait because of it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn fire_due(&self) -> Result<usize> {
        let now = self.0.master.clock().now();
        let mut waiting = 0;
        for seen in cron::due(&self.0.master, &self.names()).await? {
            let (Some(first), Some(job)) = (seen.next_at, self.job(&seen.name)) else { continue };
            let schedule = match Schedule::parse(&seen.schedule, &seen.time_zone) {
                Ok(schedule) => schedule,
                // What is saved was readable; a later program may read otherwise.
                Err(refused) => {
                    tracing::error!(job = seen.name, ?refused, "a schedule cannot be read; the job does not run");
                    continue;
                }
            };
            let at = schedule.due(first, now, seen.misfire, seen.catch_up);
            if at.first() != Some(&first) {
                tracing::warn!(job = seen.name, %first, made_up = at.len(), "ticks were missed");
            }
            let ticks = Ticks { at, next: schedule.after(now), max_attempts: job.max_attempts() };
            waiting += cron::fire(&self.0.master, &seen, &ticks).await?.unwrap_or(0);
        }
        if waiting > 0 {
            self.0.running.wake();
        }
        Ok(waiting)
    }
}

/// A scheduler that ticks.
async fn ticking(ticked: Arc<Notify>) -> Result<JobScheduler, tokio_cron_scheduler::JobSchedulerError> {
    let scheduler = JobScheduler::new().await?;
    let tick = Tick::new(TICK, move |_, _| ticked.notify_one())?;
    scheduler.add(tick).await?;
    scheduler.start().await?;
    Ok(scheduler)
}
