//! What all records of the API share. A record's own file says only what is its own.
//!
//! | file | what it holds |
//! |---|---|
//! | `id`, `scalars` | typed ids; money, e-mail addresses and the other scalars |
//! | `shape` | what the platform knows of a GraphQL object: its columns and relations |
//! | `filter`, `order` | `where` and `orderBy`, made from the shape |
//! | `select`, `connection` | from a selection to a plan; from rows to a Relay connection |
//! | `fragment` | which fields of a selection are meant for which type |
//! | `relation`, `loader` | relations, from the plan or in batches; the `object!` macro |
//! | `payload`, `crud` | what mutations answer; create, update, delete, restore, upsert |
//! | `roots` | the queries and mutations of a record: the `crud!`, `queries!` and `payload!` macros |
//! | `error` | the only bridge from the platform's errors to the answer |

pub mod condition;
pub mod connection;
pub mod crud;
pub mod error;
pub mod filter;
pub mod fragment;
pub mod id;
pub mod loader;
pub mod order;
pub mod payload;
pub mod relation;
mod roots;
pub mod scalars;
pub mod select;
pub mod shape;

use async_graphql::Context;

use crate::{
    data::TenantDb,
    error::{Error, Result},
};

/// The tenant's database for the actor of this request.
///
/// # Errors
/// [`Error::Unauthenticated`] when nobody is logged in.
pub fn db<'a>(ctx: &Context<'a>) -> Result<&'a TenantDb> {
    ctx.data_opt::<TenantDb>().ok_or_else(|| Error::Unauthenticated("log in first".to_owned()))
}
