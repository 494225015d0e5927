//! What happens by itself, and what users hear of it.

pub mod email_template;
pub mod notification;
