//! The tables of Rapport as SeaORM entities, and what the platform must know of each.
//!
//! [`master`] holds the tables of the platform's own database, [`tenant`] the records of a tenant's, and [`record`]
//! what every one of those declares so that the platform can filter, plan, audit, import and export it without
//! knowing it.

pub mod master;
pub mod record;
pub mod tenant;
