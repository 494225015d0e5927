//! `[outgoing]`: requests to addresses that users have named, such as webhooks.

use std::time::Duration;

use serde::Deserialize;

use super::{problem::Problem, value::duration};

/// Requests that leave.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outgoing {
    /// For development: this machine may be called, and `http:` used.
    pub allow_loopback: bool,
    /// How long one request may take, from the look-up of the name to the last byte of the answer.
    #[serde(deserialize_with = "duration")]
    pub deadline: Duration,
    /// How many webhooks this process calls at the same time.
    pub webhook_slots: u32,
}

impl Outgoing {
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        // A request that was cut off is sent again after 30 seconds: by then it must have ended.
        if self.deadline < Duration::from_millis(100) || self.deadline > Duration::from_secs(25) {
            problems.push(Problem::new(
                "outgoing.deadline",
                "must be from 100 ms to 25 s",
                "Write for example \"15s\".",
            ));
        }
        if !(20..=10_000).contains(&self.webhook_slots) {
            problems.push(Problem::new(
                "outgoing.webhook_slots",
                format!("is {}", self.webhook_slots),
                "It must be from 20 to 10000.",
            ));
        }
    }
}
