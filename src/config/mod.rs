//! The configuration: where settings come from, what they may be, and what is said when they are wrong.
//!
//! Three layers, the later wins: `defaults.toml` (built in; it documents every setting) → a file (`--config`, or
//! `rapport.toml` where it exists) → environment variables `RAPPORT_<SECTION>__<SETTING>`. Everything is read and
//! checked once, at the start; all problems are reported together, and each names the setting, its environment
//! variable and the way to mend it.
//!
//! Rules: a section is a file of this module and a table of `defaults.toml`; every setting stands in
//! `defaults.toml`, so a type without a default there does not load; a setting nobody knows is an error, not
//! ignored. Secrets are [`Secret`]s and database addresses [`DatabaseUrl`]s, so that neither can be printed by
//! accident. What is fine for a test or the demo but not for a server is refused by [`Config::check_serving`].

mod auth;
mod bus;
mod database;
mod limits;
mod load;
mod logging;
mod mail;
mod outgoing;
mod problem;
mod retention;
mod server;
mod tenants;
mod value;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde::Deserialize;

pub use self::{
    auth::Auth,
    bus::{Bus, BusLogin},
    database::Database,
    limits::Limits,
    load::{DEFAULT_FILE, DEFAULTS, Sources},
    logging::{LogFormat, Logging},
    mail::{Encryption, Mail, MailServer},
    outgoing::Outgoing,
    problem::{ConfigError, Problem},
    retention::Retention,
    server::{Role, Server},
    tenants::Tenants,
    value::{ByteSize, DatabaseUrl, Engine, Secret},
};

/// Everything that can be set, read and checked. [`Config::load`] makes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How the server is reached.
    pub server: Server,
    /// Where the databases are.
    pub database: Database,
    /// What carries hints between nodes.
    pub bus: Bus,
    /// Sessions, passwords and throttling.
    pub auth: Auth,
    /// The bounds of one GraphQL document.
    pub limits: Limits,
    /// What is logged, and how.
    pub logging: Logging,
    /// How e-mail leaves.
    pub mail: Mail,
    /// How long what nobody needs any more is kept.
    pub retention: Retention,
    /// Requests that leave, such as webhooks.
    pub outgoing: Outgoing,
    /// What a new tenant starts with.
    pub tenants: Tenants,
    /// The file that was read, when there was one.
    #[serde(skip)]
    pub file: Option<PathBuf>,
}

impl Config {
    /// Reads and checks the settings of these sources.
    ///
    /// # Errors
    /// Every problem that was found, together.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        load::load(sources)
    }

    /// The built-in defaults alone, whatever the environment says: where tests begin.
    ///
    /// # Errors
    /// When `defaults.toml` is wrong, which a test rules out.
    pub fn defaults() -> Result<Self, ConfigError> {
        Self::load(&Sources::none())
    }

    /// Checks what every use of the program needs. [`Config::load`] has done it; call it again after changing fields.
    ///
    /// # Errors
    /// Every problem that was found, together.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        self.server.check(&mut problems);
        self.database.check(&mut problems);
        self.bus.check(&mut problems);
        self.auth.check(&mut problems);
        self.limits.check(&mut problems);
        self.logging.check(&mut problems);
        self.mail.check(&mut problems);
        self.retention.check(&mut problems);
        self.outgoing.check(&mut problems);
        self.tenants.check(&mut problems);
        ConfigError::unless_empty(problems)
    }

    /// Checks what a server that others rely on needs besides: a strong secret, password hashes that hold, no demo.
    ///
    /// # Errors
    /// Every problem that was found, together.
    pub fn check_serving(&self) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        self.server.check_serving(&mut problems);
        self.auth.check_serving(&mut problems);
        ConfigError::unless_empty(problems)
    }
}
