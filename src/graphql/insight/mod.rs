//! What the records say when they are seen together.

pub mod customer_360;
pub mod metrics;
pub mod timeline;
