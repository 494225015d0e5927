//! Who uses the product, and what they may do.
//!
//! Resolvers here parse, call `services::identity` and wrap: who may do what is decided there.

pub mod api_key;
pub mod audit_log;
pub mod role;
pub mod session;
pub mod tenant;
pub mod user;

use async_graphql::Context;

use super::kit::payload::UserError;
use crate::{
    error::{Error, Result, UserError as Refusal, UserErrorCode},
    services::identity::Identity,
};

/// The rules of identity.
fn identity<'a>(ctx: &Context<'a>) -> &'a Identity {
    ctx.data_unchecked::<Identity>()
}

/// What a service answered, or what a user can mend: that is a part of the payload and no error.
///
/// # Errors
/// What the caller did wrong, and faults of ours.
fn mended<T>(result: Result<T>) -> Result<(Option<T>, Vec<UserError>)> {
    match result {
        Ok(done) => Ok((Some(done), Vec::new())),
        Err(Error::User(errors)) => Ok((None, errors.into_iter().map(Into::into).collect())),
        Err(Error::NotFound) => {
            let missing = Refusal::new(UserErrorCode::NotFound, &["id"], "there is no such record");
            Ok((None, vec![missing.into()]))
        }
        Err(error) => Err(error),
    }
}
