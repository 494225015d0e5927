//! Systems outside: one file each. They know nothing of tenants and records.

pub mod mail;
pub mod nats;
