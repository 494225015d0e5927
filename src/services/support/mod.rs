//! The rules of helping customers.

pub mod ticket;
pub mod ticket_comment;
