//! What happens by itself: e-mail that leaves, and users who are told what concerns them.

pub mod email;
pub mod notification;
