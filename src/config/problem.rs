//! What is wrong with a setting, in words that let people mend it.

use std::fmt;

/// One thing that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// The setting, such as `database.master_url`; empty when a whole file is meant.
    pub setting: String,
    /// What is wrong with it.
    pub message: String,
    /// What to do about it.
    pub mend: String,
}

impl Problem {
    /// A problem with a setting, such as `server.port`.
    pub fn new(setting: &str, message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { setting: setting.to_owned(), message: message.into(), mend: mend.into() }
    }

    /// The environment variable that sets a setting: `server.port` → `RAPPORT_SERVER__PORT`.
    #[must_use]
    pub fn variable(setting: &str) -> String {
        format!("RAPPORT_{}", setting.replace('.', "__").to_uppercase())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.setting.contains('.') {
            write!(f, "{} ({}): ", self.setting, Self::variable(&self.setting))?;
        } else if !self.setting.is_empty() {
            write!(f, "{}: ", self.setting)?;
        }
        write!(f, "{}", self.message)?;
        if !self.mend.is_empty() {
            write!(f, "\n    {}", self.mend)?;
        }
        Ok(())
    }
}

/// The configuration cannot be used: everything that is wrong with it.
#[derive(Clone, Debug, thiserror::Error)]
pub struct ConfigError {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    /// An error unless there is nothing to complain about.
    pub(super) fn unless_empty(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self { problems }) }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration cannot be used")?;
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}
