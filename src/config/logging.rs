//! `[logging]`: what is logged, and how.

use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use super::problem::Problem;

/// What is logged, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logging {
    /// For people or for programs.
    pub format: LogFormat,
    /// Levels, in the language of `tracing_subscriber::EnvFilter`.
    pub filter: String,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Logging {
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        if let Err(error) = EnvFilter::builder().parse(&self.filter) {
            problems.push(Problem::new(
                "logging.filter",
                format!("`{}` is not a filter: {error}", self.filter),
                "Write a level, or levels of modules: \"info\", \"info,rapport::data=debug\".",
            ));
        }
    }
}
