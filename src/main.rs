//! The program `rapport`: see [`rapport::cli`].

use std::process::ExitCode;

// Measured: requests are up to 1.7 times faster than with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    rapport::cli::main()
}
