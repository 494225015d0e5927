//! What happens by itself: e-mail that leaves, reminders, what recurs for the platform, and what is kept long enough.

pub mod cleanup;
pub mod email;
pub mod recurring;
pub mod reminders;
