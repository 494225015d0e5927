//! What the records say when they are seen together.

mod customer_360;
mod import;
mod timeline;
mod world;
