//! What the records say when they are seen together, and what goes in and out in bulk.

pub mod customer_360;
pub mod exchange;
pub mod timeline;
