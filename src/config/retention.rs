//! `[retention]`: how long what nobody needs any more is kept.

use chrono::Duration;
use serde::{Deserialize, Deserializer};

use super::{problem::Problem, value};

/// How long things are kept.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Messages that were sent or given up.
    #[serde(deserialize_with = "kept")]
    pub email: Duration,
    /// Events: subscribers can resume from any that is kept.
    #[serde(deserialize_with = "kept")]
    pub events: Duration,
    /// Deliveries of webhooks that were taken or given up, with their attempts.
    #[serde(deserialize_with = "kept")]
    pub webhook_deliveries: Duration,
    /// Notifications, read or not.
    #[serde(deserialize_with = "kept")]
    pub notifications: Duration,
    /// Sessions after their end.
    #[serde(deserialize_with = "kept")]
    pub sessions: Duration,
    /// Jobs that are done.
    #[serde(deserialize_with = "kept")]
    pub jobs: Duration,
    /// Jobs and events that were given up.
    #[serde(deserialize_with = "kept")]
    pub dead_letters: Duration,
}

fn kept<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let kept = value::duration(deserializer)?;
    Ok(Duration::from_std(kept).unwrap_or(Duration::MAX))
}

impl Retention {
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        for (setting, kept) in [
            ("retention.email", self.email),
            ("retention.events", self.events),
            ("retention.webhook_deliveries", self.webhook_deliveries),
            ("retention.notifications", self.notifications),
            ("retention.sessions", self.sessions),
            ("retention.jobs", self.jobs),
            ("retention.dead_letters", self.dead_letters),
        ] {
            if kept < Duration::days(1) || kept > Duration::days(36_500) {
                problems.push(Problem::new(
                    setting,
                    "must be from a day to a hundred years",
                    "Write for example \"30d\".",
                ));
            }
        }
    }
}
