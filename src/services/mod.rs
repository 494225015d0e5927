//! The rules of the business. They know nothing of GraphQL or HTTP, so that the API, imports and jobs obey the same.
//!
//! Between the areas imports go down only: identity ← sales ← support ← marketing ← automation ← insight ← demo.

pub mod automation;
pub mod demo;
pub mod identity;
pub mod insight;
pub mod sales;
pub mod support;
