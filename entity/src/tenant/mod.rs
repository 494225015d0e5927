//! The records of a tenant's own database: one file a record.

pub mod activity;
pub mod api_key;
pub mod audit_log;
pub mod contact;
pub mod customer;
pub mod dead_event;
pub mod email_message;
pub mod event_cursor;
pub mod import_deferred;
pub mod import_progress;
pub mod interaction;
pub mod lead;
pub mod notification;
pub mod notification_preference;
pub mod opportunity;
pub mod opportunity_line;
pub mod opportunity_stage_change;
pub mod pipeline;
pub mod pipeline_stage;
pub mod priority;
pub mod product;
pub mod reminder;
pub mod role;
pub mod ticket;
pub mod ticket_comment;
pub mod user;
