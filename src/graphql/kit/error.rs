//! The only bridge from the platform's errors to the answer.

use async_graphql::{Context, ErrorExtensions};

use crate::error::{Error, whole_seconds};

/// The error as the answer shows it: a message for people, `extensions.code` for programs, nothing internal. What
/// went wrong inside goes to the log.
#[must_use]
pub fn to_graphql(error: Error) -> async_graphql::Error {
    if let Error::Internal(cause) = &error {
        tracing::error!(%cause, "a request failed");
    }
    let message = match &error {
        Error::User(errors) => errors.iter().map(|error| error.message.as_str()).collect::<Vec<_>>().join("; "),
        other => other.to_string(),
    };
    async_graphql::Error::new(message).extend_with(|_, extensions| {
        extensions.set("code", error.code());
        match &error {
            Error::Forbidden { permission } => extensions.set("requiredPermission", permission.as_str()),
            Error::Resync { cursor: Some(cursor), .. } => extensions.set("cursor", cursor.to_string()),
            Error::Throttled { retry_after } => extensions.set("retryAfter", whole_seconds(*retry_after)),
            _ => {}
        }
    })
}

/// `None`, with the error at this field's path. In a nullable field the rest of the answer then stands; an `Err` would
/// take the parent with it.
pub fn null_with<T>(ctx: &Context<'_>, error: Error) -> Option<T> {
    ctx.add_error(ctx.set_error_path(to_graphql(error).into_server_error(ctx.item.pos)));
    None
}

/// The value, or `None` with the error at this field's path.
pub fn nullable<T>(ctx: &Context<'_>, result: crate::error::Result<T>) -> Option<T> {
    result.map_or_else(|error| null_with(ctx, error), Some)
}
