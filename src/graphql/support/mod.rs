//! Helping customers.

pub mod ticket;
pub mod ticket_comment;
