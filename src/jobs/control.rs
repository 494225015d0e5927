//! What people may ask of the recurring jobs and do with them. Who may is for the caller to know.

use chrono::{DateTime, Duration, DurationRound, Utc};
use entity::master::{JobStatus, MisfirePolicy, OverlapPolicy, cron, job};
use sea_orm::ActiveValue::Set;
use uuid::Uuid;

use super::{
    Jobs,
    schedule::{Refused, Schedule},
};
pub use crate::data::{due::Queue, job::JobPage};
use crate::{
    data::{cron as stored, job as jobs},
    error::{Error, Result, UserError, UserErrorCode},
};

/// The most missed ticks that can be made up for.
const MOST_CATCH_UP: i32 = 100;
/// The most jobs that a throughput is made of; with more, its oldest hours say less than there was.
const COUNTED: u64 = 50_000;

/// What shall be different about a recurring job.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// The cron text.
    pub schedule: Option<String>,
    /// The time zone.
    pub time_zone: Option<String>,
    /// What becomes of missed ticks.
    pub misfire: Option<MisfirePolicy>,
    /// How many of them are made up for.
    pub catch_up: Option<i32>,
    /// What becomes of a tick while an earlier one is not done.
    pub overlap: Option<OverlapPolicy>,
}

/// How many jobs ended in an hour, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throughput {
    /// The hour's first moment.
    pub from: DateTime<Utc>,
    /// Done.
    pub succeeded: u32,
    /// Given up.
    pub dead: u32,
    /// Left out.
    pub skipped: u32,
}

impl Jobs {
    /// The recurring jobs of this program, each with its newest job.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recurring(&self) -> Result<Vec<(cron::Model, Option<job::Model>)>> {
        let names = self.names();
        let crons = stored::all(&self.0.master, &names).await?;
        let mut last = stored::last_jobs(&self.0.master, &names).await?;
        let mut newest = |name: &str| {
            let at = last.iter().position(|job| job.cron.as_deref() == Some(name))?;
            Some(last.swap_remove(at))
        };
        Ok(crons
            .into_iter()
            .map(|cron| {
                let job = newest(&cron.name);
                (cron, job)
            })
            .collect())
    }

    /// What a job does, in a sentence; none for one of another program.
    #[must_use]
    pub fn description(&self, name: &str) -> Option<&'static str> {
        self.job(name).map(|job| job.description())
    }

    /// Jobs, the newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list(&self, page: &JobPage) -> Result<Vec<job::Model>> {
        jobs::list(&self.0.master, page).await
    }

    /// What is due in the tenants, by kind of work.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn queues(&self) -> Result<Vec<Queue>> {
        self.0.due.queues().await
    }

    /// How many jobs ended in each of the last so many hours, the current one included; the earliest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn throughput(&self, hours: u32) -> Result<Vec<Throughput>> {
        let hour = Duration::hours(1);
        let now = self.0.master.clock().now().duration_trunc(hour).map_err(Error::internal)?;
        let first = now - hour * i32::try_from(hours.saturating_sub(1)).unwrap_or(i32::MAX);
        let mut ended: Vec<_> = (0..hours)
            .map(|at| Throughput {
                from: first + hour * i32::try_from(at).unwrap_or(0),
                succeeded: 0,
                dead: 0,
                skipped: 0,
            })
            .collect();
        for job in jobs::ended_since(&self.0.master, first, COUNTED).await? {
            let at = job.finished_at.map(|at| (at - first).num_hours()).and_then(|at| usize::try_from(at).ok());
            let Some(of) = at.and_then(|at| ended.get_mut(at)) else { continue };
            match job.status {
                JobStatus::Succeeded => of.succeeded += 1,
                JobStatus::Dead => of.dead += 1,
                JobStatus::Skipped => of.skipped += 1,
                JobStatus::Queued | JobStatus::Running | JobStatus::Failed => {}
            }
        }
        Ok(ended)
    }

    /// One job.
    ///
    /// # Errors
    /// [`crate::error::Error::NotFound`] when there is none.
    pub async fn find(&self, id: Uuid) -> Result<job::Model> {
        jobs::find(&self.0.master, id).await
    }

    /// Tries a job again at once.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none, [`Error::User`] when it neither failed nor is dead.
    pub async fn retry(&self, id: Uuid) -> Result<job::Model> {
        let job = jobs::retry(&self.0.master, id).await?;
        self.0.running.wake();
        Ok(job)
    }

    /// Leaves out the ticks of a recurring job from now on. What waits already is done.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn pause(&self, name: &str) -> Result<cron::Model> {
        self.known(name)?;
        stored::change(&self.0.master, name, async |_| {
            Ok(cron::ActiveModel { paused: Set(true), ..Default::default() })
        })
        .await
    }

    /// Goes on with a paused one, at its next tick. What was left out is not made up for.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn resume(&self, name: &str) -> Result<cron::Model> {
        self.known(name)?;
        let now = self.0.master.clock().now();
        stored::change(&self.0.master, name, async |before| {
            let mut change = cron::ActiveModel { paused: Set(false), ..Default::default() };
            if before.paused {
                change.next_at = Set(read(&before.schedule, &before.time_zone)?.after(now));
            }
            Ok(change)
        })
        .await
    }

    /// Runs a recurring job now, beside its ticks, paused or not. Answers the job.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn run_now(&self, name: &str) -> Result<job::Model> {
        let attempts = self.known(name)?;
        let job = stored::run_now(&self.0.master, name, attempts).await?;
        self.0.running.wake();
        Ok(job)
    }

    /// Changes when a recurring job runs. With another schedule or time zone it goes on at the next tick of that.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none, [`Error::User`] for what cannot be and for a stale version.
    pub async fn change(&self, name: &str, expected: Option<i32>, change: Change) -> Result<cron::Model> {
        self.known(name)?;
        let now = self.0.master.clock().now();
        stored::change(&self.0.master, name, async |before| {
            if expected.is_some_and(|expected| expected != before.version) {
                let message = "it was changed meanwhile; look at it again";
                return Err(Error::User(vec![UserError::new(
                    UserErrorCode::StaleVersion,
                    &["expectedVersion"],
                    message,
                )]));
            }
            let Change { schedule, time_zone, misfire, catch_up, overlap } = change;
            let mut row = cron::ActiveModel::default();
            if let Some(most) = catch_up {
                if !(1..=MOST_CATCH_UP).contains(&most) {
                    let message = format!("this is a number from 1 to {MOST_CATCH_UP}");
                    return Err(Error::user(UserErrorCode::Invalid, &["input", "catchUp"], message));
                }
                row.catch_up = Set(most);
            }
            if schedule.is_some() || time_zone.is_some() {
                let text = schedule.as_ref().unwrap_or(&before.schedule).trim().to_owned();
                let zone = time_zone.as_ref().unwrap_or(&before.time_zone).trim().to_owned();
                let next = read(&text, &zone)?.after(now);
                if next.is_none() {
                    return Err(refuse(Refused::Text("there is no such time".to_owned())));
                }
                row.next_at = Set(next);
                (row.schedule, row.time_zone) = (Set(text), Set(zone));
            }
            if let Some(misfire) = misfire {
                row.misfire = Set(misfire);
            }
            if let Some(overlap) = overlap {
                row.overlap = Set(overlap);
            }
            Ok(row)
        })
        .await
    }

    /// After how many attempts a job of this name is given up.
    fn known(&self, name: &str) -> Result<i32> {
        self.job(name).map(|job| job.max_attempts()).ok_or(Error::NotFound)
    }
}

fn read(text: &str, zone: &str) -> Result<Schedule> {
    Schedule::parse(text, zone).map_err(refuse)
}

fn refuse(refused: Refused) -> Error {
    let (field, reason) = match refused {
        Refused::Text(reason) => ("schedule", reason),
        Refused::Zone(reason) => ("timeZone", reason),
    };
    Error::user(UserErrorCode::Invalid, &["input", field], reason)
}
