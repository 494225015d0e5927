//! What happens by itself: e-mail that leaves.

pub mod email;
