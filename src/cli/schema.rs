//! `rapport schema`: prints the SDL. `schema.graphql` in the repository is its output.

use super::{Exit, Failure, output};

/// The arguments of `rapport schema`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  rapport schema > schema.graphql\n  rapport schema --federation > subgraph.graphql"
)]
pub struct Args {
    /// Print the schema of the federation's subgraph, with its directives
    #[arg(long)]
    pub federation: bool,
}

/// Prints what `sdl` gives (its argument: for the federation).
///
/// # Errors
/// When the output cannot be written.
pub fn run(args: &Args, sdl: impl FnOnce(bool) -> String) -> Result<Exit, Failure> {
    output::print(&sdl(args.federation))?;
    Ok(Exit::Done)
}
