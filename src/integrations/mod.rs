//! Systems outside: one file each. They know nothing of tenants and records.

pub mod http;
pub mod mail;
pub mod nats;
