//! The integration tests: one binary, so that the platform is linked once. They speak to the product as its users do.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a helper that fails fails its test")]

mod automation;
mod cli;
mod conditions;
mod identity;
mod insight;
mod live;
mod node;
mod nodes;
mod policy;
mod protocol;
mod sales;
mod support;
mod ticketing;
