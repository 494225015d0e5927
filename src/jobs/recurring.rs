//! What a recurring job must be able to do, and how it is declared.

use chrono::{DateTime, Utc};
use entity::master::{MisfirePolicy, OverlapPolicy};
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

use crate::{data::cron::Settings, error::Result};

/// After how many attempts a job is given up, unless it says otherwise.
pub const ATTEMPTS: i32 = 5;

/// A job that recurs. Its body lives in `services/<area>`, and it is registered in `app`.
///
/// It may run again after it was cut off, on this node or on another one: what it does twice must be as if it were done
/// once.
pub trait Job: Send + Sync {
    /// Its name: that of the recurring job, of its jobs, and in the API.
    fn name(&self) -> &'static str;

    /// What it does, in a sentence.
    fn description(&self) -> &'static str;

    /// When it runs, until somebody says otherwise.
    fn declared(&self) -> Declared;

    /// After how many attempts it is given up.
    fn max_attempts(&self) -> i32 {
        ATTEMPTS
    }

    /// Does what is to be done at a tick; answers what it did.
    ///
    /// # Errors
    /// When it could not be done: it is tried again after a pause, and is a dead letter after the last attempt.
    fn run(&self, tick: DateTime<Utc>) -> BoxFuture<'_, Result<Summary>>;
}

/// When a job runs.
#[derive(Clone, Copy, Debug)]
pub struct Declared {
    /// The cron text, in UTC.
    pub schedule: &'static str,
    /// What becomes of missed ticks.
    pub misfire: MisfirePolicy,
    /// What becomes of a tick while an earlier one is not done.
    pub overlap: OverlapPolicy,
}

impl Declared {
    /// In UTC; missed ticks are one, and a tick that comes too early is left out: right for whatever looks for what is to
    /// be done and does all of it.
    #[must_use]
    pub const fn sweep(schedule: &'static str) -> Self {
        Self { schedule, misfire: MisfirePolicy::Coalesce, overlap: OverlapPolicy::Skip }
    }

    /// The same, to be stored.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            schedule: self.schedule.to_owned(),
            time_zone: "UTC".to_owned(),
            misfire: self.misfire,
            catch_up: 1,
            overlap: self.overlap,
        }
    }
}

/// What a job did, as counts by name. No names of tenants or people: it is shown to those who run the platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary(Vec<(&'static str, u64)>);

impl Summary {
    /// The same with one more count.
    #[must_use]
    pub fn with(mut self, name: &'static str, count: u64) -> Self {
        self.0.push((name, count));
        self
    }

    /// As it is stored.
    #[must_use]
    pub fn json(&self) -> Value {
        Value::Object(
            self.0.iter().map(|(name, count)| ((*name).to_owned(), Value::from(*count))).collect::<Map<_, _>>(),
        )
    }
}
