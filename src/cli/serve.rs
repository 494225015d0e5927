//! `rapport serve`: runs the server until it is told to stop.

use super::{Exit, Failure};
use crate::config::{Config, Role};

/// The arguments of `rapport serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "The server needs a secret to sign tokens with: RAPPORT_AUTH__SECRET, or a file named by \
                        RAPPORT_AUTH__SECRET_FILE.\n\
                        SIGTERM and Ctrl-C stop it: running requests are finished first.\n\n\
                        Examples:\n  rapport serve\n  rapport serve --host 0.0.0.0 --port 80 --config /etc/rapport.toml")]
pub struct Args {
    /// The address to listen on, where it is not the one of the settings
    #[arg(long)]
    pub host: Option<String>,
    /// The port, where it is not the one of the settings
    #[arg(long)]
    pub port: Option<u16>,
    /// What this node does, where it is not what the settings say
    #[arg(long, value_enum)]
    pub role: Option<Role>,
}

impl Args {
    /// The settings with the arguments laid over them, checked for serving.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn settle(&self, mut config: Config) -> Result<Config, Failure> {
        if let Some(host) = &self.host {
            config.server.host.clone_from(host);
        }
        config.server.port = self.port.unwrap_or(config.server.port);
        config.server.role = self.role.unwrap_or(config.server.role);
        config.check()?;
        config.check_serving()?;
        Ok(config)
    }
}

/// Hands the settled settings to `serve`, which returns when the server has stopped.
///
/// # Errors
/// When the settings are wrong, or the server cannot start.
pub async fn run(
    args: &Args,
    config: Config,
    serve: impl AsyncFnOnce(Config) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    serve(args.settle(config)?).await?;
    Ok(Exit::Done)
}
