//! When a loop last did what it should: what `/health` says of it.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// After how long without success a loop counts as broken.
pub const SILENT: Duration = Duration::from_secs(15);

/// The pulse of a loop.
#[derive(Debug, Default)]
pub struct Pulse(Mutex<Option<Instant>>);

impl Pulse {
    /// The loop has just done what it should.
    pub fn beat(&self) {
        self.set(Some(Instant::now()));
    }

    /// There is no loop any more.
    pub fn stop(&self) {
        self.set(None);
    }

    /// How long ago the last success was; none while there is no loop.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).map(|at| at.elapsed())
    }

    fn set(&self, at: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }
}
