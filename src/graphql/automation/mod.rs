//! What happens by itself, what users hear of it, and who is told of it outside; for those who run the platform, recurring
//! jobs, their runs, and the queues of work.
//!
//! Jobs reach across tenants, so no tenant's role can hold `jobs.read` or `jobs.run`: they are rights of platform
//! administrators, who have both.

pub mod cron;
pub mod email_template;
pub mod job;
pub mod notification;
pub mod webhook;
pub mod webhook_delivery;

use async_graphql::Context;

use super::{kit::payload::UserError, request::Caller};
use crate::{
    error::{Error, Result, UserError as Refusal, UserErrorCode},
    jobs::Jobs,
    services::identity::PlatformRight,
};

/// The jobs, for platform administrators alone.
fn jobs<'a>(ctx: &Context<'a>, right: PlatformRight) -> Result<&'a Jobs> {
    Caller::of(ctx).principal()?.platform(right)?;
    Ok(ctx.data_unchecked::<Jobs>())
}

/// What was done, or what a user can mend; what does not exist is named by this argument.
fn mended<T>(result: Result<T>, argument: &str) -> Result<(Option<T>, Vec<UserError>)> {
    match result {
        Ok(done) => Ok((Some(done), Vec::new())),
        Err(Error::User(errors)) => Ok((None, errors.into_iter().map(Into::into).collect())),
        Err(Error::NotFound) => {
            let missing = Refusal::new(UserErrorCode::NotFound, &[argument], "there is no such job");
            Ok((None, vec![missing.into()]))
        }
        Err(error) => Err(error),
    }
}
