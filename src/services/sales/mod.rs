//! The rules of customers and of the deals with them.

pub mod activity;
pub mod contact;
pub mod customer;
pub mod interaction;
pub mod lead;
pub mod opportunity;
pub mod opportunity_line;
pub mod pipeline;
pub mod pipeline_stage;
pub mod product;
pub mod recurrence;
pub mod related;
