//! The one source of the current time.
//!
//! Everything that needs "now" takes it from a [`Clock`], never from the system, so that a test can move time, and the demo can live through its past.
//! A time is UTC and truncated to whole microseconds when it is made: PostgreSQL keeps no more, and both engines
//! must give back what was stored.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use chrono::{DateTime, Duration, SubsecRound, Utc};

/// The system's clock plus an offset that only tests and the making of the demo move. Cheap to clone; clones share the offset.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset_micros: Arc<AtomicI64>,
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// Now, in UTC, truncated to microseconds.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    pub fn now(&self) -> DateTime<Utc> {
        (Utc::now() + self.offset()).trunc_subsecs(6)
    }

    /// How far this clock is moved against the system's.
    #[must_use]
    pub fn offset(&self) -> Duration {
        Duration::microseconds(self.offset_micros.load(Ordering::Relaxed))
    }

    /// Moves the clock, for every clone of it.
    pub fn advance(&self, by: Duration) {
        let micros = by.num_microseconds().unwrap_or(0);
        self.offset_micros.fetch_add(micros, Ordering::Relaxed);
    }
}
