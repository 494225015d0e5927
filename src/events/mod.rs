//! What carries the word that something happened beyond this process.
//!
//! The truth is in each tenant's outbox ([`crate::data::outbox`]); here is only what makes others look at it at once.

mod bus;

pub use bus::Bus;
