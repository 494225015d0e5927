//! Work that nobody waits for.
//!
//! | | |
//! |---|---|
//! | [`Work`], [`Worker`] | what tenants have to do now and then, and who does it: what is due in which tenant stands in the master database ([`crate::data::due`]), so that a worker asks one index and opens no database that has nothing to do |
//! | [`Job`], [`Jobs`] | what recurs for the platform as a whole, by a schedule, on whichever node gets there first |
//! | [`schedule`] | cron texts, time zones and what the wall clock does in spring and autumn |
//!
//! The bodies live in `services/<area>` and are registered in `app`. Work and jobs are idempotent: a node that stops in the
//! midst of one leaves a lease that ends, and another one does it again.

mod clock;
mod control;
mod pulse;
mod recurring;
mod runner;
pub mod schedule;
mod work;
mod worker;

use std::{any::Any, sync::Arc};

pub use self::{
    control::{Change, JobPage, Queue, Throughput},
    pulse::SILENT,
    recurring::{Declared, Job, Summary},
    work::Work,
    worker::Worker,
};
use self::{pulse::Pulse, runner::Running};
use crate::{
    auth::secret::random_bytes,
    data::{MasterDb, due::DueWork},
    error::{Error, Result},
    metrics::Metrics,
};

/// The recurring jobs of a node: the clock that fires their ticks ([`Jobs::run_clock`]), the runner that does them
/// ([`Jobs::run`]), and what people may do with them. Nothing happens until the two are run. Cheap to clone; clones are one.
#[derive(Clone)]
pub struct Jobs(Arc<Inner>);

struct Inner {
    master: MasterDb,
    due: DueWork,
    jobs: Vec<Arc<dyn Job>>,
    /// What this node calls itself.
    node: String,
    metrics: Metrics,
    clock: Pulse,
    runner: Pulse,
    running: Running,
}

impl Jobs {
    /// The jobs that this node can do.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new(master: MasterDb, due: DueWork, jobs: Vec<Arc<dyn Job>>, metrics: Metrics) -> Result<Self> {
        let node = data_encoding::HEXLOWER.encode(&random_bytes::<4>()?);
        let (clock, runner, running) = (Pulse::default(), Pulse::default(), Running::default());
        Ok(Self(Arc::new(Inner { master, due, jobs, node, metrics, clock, runner, running })))
    }

    /// How long ago the clock last did what it should; none on a node without one.
    #[must_use]
    pub fn clock_age(&self) -> Option<std::time::Duration> {
        self.0.clock.age()
    }

    /// How long ago the runner last did what it should; none on a node without one.
    #[must_use]
    pub fn runner_age(&self) -> Option<std::time::Duration> {
        self.0.runner.age()
    }

    fn names(&self) -> Vec<&'static str> {
        self.0.jobs.iter().map(|job| job.name()).collect()
    }

    fn job(&self, name: &str) -> Option<&Arc<dyn Job>> {
        self.0.jobs.iter().find(|job| job.name() == name)
    }
}

/// What went wrong, for the log: the cause of an internal error, which its text keeps to itself.
fn cause(error: &Error) -> String {
    match error {
        Error::Internal(cause) => cause.to_string(),
        other => other.to_string(),
    }
}

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a word")
}
