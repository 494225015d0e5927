//! The API: one file a record, with its object, inputs and roots. A resolver parses, calls and wraps; rules live in
//! `services`, and what all records share in [`kit`].
//!
//! [`limits`] is the gate that every document passes before it is validated, whatever transport brings it.

pub mod automation;
pub mod identity;
pub mod insight;
pub mod kit;
pub mod limits;
pub mod live;
pub mod node;
pub mod request;
pub mod sales;
pub mod schema;
pub mod support;
