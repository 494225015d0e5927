//! What happens by itself: e-mail that leaves, users who are told what concerns them, webhooks that are told of events,
//! reminders, what recurs for the platform, and what is kept long enough.

pub mod cleanup;
pub mod email;
pub mod notification;
pub mod recurring;
pub mod reminders;
pub mod webhook;
