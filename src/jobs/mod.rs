//! Work that nobody waits for: what it is ([`Work`]) and who does it ([`Worker`]).
//!
//! The bodies live in `services/<area>` and are registered in `app`. What is due in which tenant stands in the master
//! database ([`crate::data::due`]), so that a worker asks one index and opens no database that has nothing to do. Work is
//! idempotent: a node that stops in the midst of it leaves a lease that ends, and another one does it again.

mod work;
mod worker;

pub use work::Work;
pub use worker::Worker;
