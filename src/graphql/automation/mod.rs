//! What happens by itself, and what users hear of it.

pub mod notification;
