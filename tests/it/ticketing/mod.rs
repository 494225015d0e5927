//! Helping customers.

mod comment;
mod ticket;
