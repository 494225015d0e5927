//! How the two kinds of database of Rapport come to be.
//!
//! A migration, once released, is never edited: it says what was done. Each runs in one transaction on both engines
//! (`use_transaction` is `Some(true)`), so that a crash leaves it done or not begun. What a later release no longer
//! needs is dropped by a release after that one, so that two versions can run side by side.

pub mod columns;
pub mod master;
pub mod tenant;

pub use master::MasterMigrator;
pub use tenant::TenantMigrator;
