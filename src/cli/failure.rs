//! How a command ends: exit codes, and errors in words.

use std::{fmt, process::ExitCode};

use crate::{
    config::ConfigError,
    error::{Error, UserError},
};

/// How the program ended, as its exit code. Scripts rely on these numbers: `docs/operations.md` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: everything was done.
    Done,
    /// 1: it could not be done.
    Failed,
    /// 2: the command line makes no sense (clap ends the program with this one).
    Usage,
    /// 3: it was done, but not everything is well: the doctor found a problem, rows were refused, a tenant was not
    /// migrated.
    Findings,
    /// 4: the configuration cannot be used.
    Configuration,
}

impl Exit {
    /// The number that the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Findings => 3,
            Self::Configuration => 4,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub enum Failure {
    /// The settings are wrong.
    Configuration(ConfigError),
    /// The platform refused, or failed.
    Platform(Error),
    /// What the command line asks for makes no sense, which clap could not see.
    Usage(String),
    /// Anything else, in words.
    Other(String),
}

impl Failure {
    /// A failure in words for the person at the terminal.
    pub fn new(message: impl Into<String>) -> Self {
        Self::Other(message.into())
    }

    /// The exit code that belongs to it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Configuration(_) => Exit::Configuration,
            Self::Platform(_) | Self::Other(_) => Exit::Failed,
            Self::Usage(_) => Exit::Usage,
        }
    }
}

impl fmt::Display for Failure {
    /// The person who runs commands runs the server, so causes are shown here that the API keeps to itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(error) => error.fmt(f),
            Self::Platform(Error::User(errors)) => {
                for (index, UserError { field, message, .. }) in errors.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "\n" };
                    match field {
                        Some(path) => write!(f, "{separator}{}: {message}", path.join("."))?,
                        None => write!(f, "{separator}{message}")?,
                    }
                }
                Ok(())
            }
            Self::Platform(error) => {
                error.fmt(f)?;
                let mut cause = std::error::Error::source(error);
                while let Some(error) = cause {
                    write!(f, ": {error}")?;
                    cause = error.source();
                }
                Ok(())
            }
            Self::Usage(message) | Self::Other(message) => f.write_str(message),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Configuration(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Platform(error)
    }
}
