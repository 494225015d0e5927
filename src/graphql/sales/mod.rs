//! Whom the tenant does business with, and what about.

pub mod activity;
pub mod contact;
pub mod customer;
pub mod interaction;
pub mod lead;
pub mod opportunity;
pub mod opportunity_line;
pub mod opportunity_stage_change;
pub mod pipeline;
pub mod pipeline_stage;
pub mod product;
pub mod related;
