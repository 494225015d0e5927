//! The one error type of the platform, and the two kinds of error that a caller sees.
//!
//! What a user can mend is a list of [`UserError`]s and ends in a mutation's `userErrors`. What the caller did wrong
//! is every other variant and ends in the answer's `errors[]` with [`Error::code`]. [`Error::Internal`] keeps its
//! cause for the log and shows nobody more than a request id.
//!
//! There is deliberately no blanket `From`, so that `?` on a foreign error does not compile in a resolver: whoever
//! meets a foreign error says what it means. `DbErr` alone converts, to `Internal`.

use std::time::Duration;

use sea_orm::{DbErr, RuntimeErr};

/// The result of everything that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong, by what the caller should do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No credentials, or credentials that no longer count.
    #[error("{0}")]
    Unauthenticated(String),
    /// The actor lacks a permission.
    #[error("missing permission {permission}")]
    Forbidden {
        /// The permission that would allow it, such as `customers.write`.
        permission: String,
    },
    /// Not there, or not to be seen: the two are never told apart.
    #[error("not found")]
    NotFound,
    /// The request says something that cannot be meant.
    #[error("{0}")]
    BadInput(String),
    /// The request cannot be carried out in the present state.
    #[error("{0}")]
    Conflict(String),
    /// What a user can mend.
    #[error("the input was refused")]
    User(Vec<UserError>),
    /// An idempotency key came back with another body.
    #[error("this idempotency key was used with another request body")]
    IdempotencyKeyReused,
    /// The tenant is suspended.
    #[error("this tenant is suspended")]
    TenantSuspended,
    /// The tenant's database is being brought up to date.
    #[error("this tenant is being migrated; try again shortly")]
    TenantMigrating,
    /// Too many requests.
    #[error("too many requests; try again in {} s", whole_seconds(*retry_after))]
    Throttled {
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// A subscriber cannot be told what it missed, or not in this stream.
    #[error("{message}")]
    Resync {
        /// What happened, and what to do about it.
        message: String,
        /// The number of the event after which the subscriber can resume; none when it has to begin anew.
        cursor: Option<i64>,
    },
    /// The deadline passed.
    #[error("the request took too long")]
    Timeout,
    /// A fault of ours. The cause goes to the log, never to the caller.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A time to wait in whole seconds, as callers are told it: rounded up, so that who waits so long has waited enough.
#[must_use]
pub const fn whole_seconds(wait: Duration) -> u64 {
    let seconds = wait.as_secs() + (wait.subsec_nanos() > 0) as u64;
    if seconds == 0 { 1 } else { seconds }
}

impl Error {
    /// A fault of ours with a message for the log.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }

    /// One thing a user can mend, at a field of the input.
    pub fn user(code: UserErrorCode, field: &[&str], message: impl Into<String>) -> Self {
        Self::User(vec![UserError::new(code, field, message)])
    }

    /// The same error with the fields of what a user can mend standing at `path` instead of in `input`: for rows that are
    /// one part of an input, and (with an empty path) for mutations whose arguments stand by themselves.
    #[must_use]
    pub fn at(self, path: &[&str]) -> Self {
        let Self::User(mut errors) = self else { return self };
        for field in errors.iter_mut().filter_map(|error| error.field.as_mut()) {
            if field.first().is_some_and(|first| first == "input") {
                field.splice(..1, path.iter().map(ToString::to_string));
            }
        }
        Self::User(errors)
    }

    /// The value of `extensions.code`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated(_) => "UNAUTHENTICATED",
            Self::Forbidden { .. } => "FORBIDDEN",
            Self::NotFound => "NOT_FOUND",
            Self::BadInput(_) | Self::User(_) => "BAD_USER_INPUT",
            Self::Conflict(_) => "CONFLICT",
            Self::IdempotencyKeyReused => "IDEMPOTENCY_KEY_REUSED",
            Self::TenantSuspended => "TENANT_SUSPENDED",
            Self::TenantMigrating => "TENANT_MIGRATING",
            Self::Throttled { .. } => "THROTTLED",
            Self::Resync { .. } => "RESYNC",
            Self::Timeout => "TIMEOUT",
            Self::Internal(_) => "INTERNAL_SERVER_ERROR",
        }
    }
}

impl From<DbErr> for Error {
    /// PostgreSQL takes no text with a NUL character, not even to compare with: nothing that it stores has one, and
    /// whoever sends one cannot mean it (SQLSTATE 22021). Of two transactions that wait for each other it ends one (40P01),
    /// which can be tried again.
    fn from(error: DbErr) -> Self {
        if let DbErr::Query(RuntimeErr::SqlxError(cause)) | DbErr::Exec(RuntimeErr::SqlxError(cause)) = &error {
            match cause.as_database_error().and_then(|error| error.code()).as_deref() {
                Some("22021") => return Self::BadInput("a text holds a NUL character".to_owned()),
                Some("40001" | "40P01") => {
                    return Self::Conflict("this clashed with another change at the same moment; try again".to_owned());
                }
                _ => {}
            }
        }
        Self::Internal(Box::new(error))
    }
}

/// Something in the input that a user can mend.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct UserError {
    /// The path to the offending value from the mutation's arguments, such as `["input", "email"]`; `None` when the
    /// whole input is meant.
    pub field: Option<Vec<String>>,
    /// A sentence for people.
    pub message: String,
    /// What kind of trouble it is, for programs.
    pub code: UserErrorCode,
}

impl UserError {
    /// A user error at `field` (empty: the whole input).
    pub fn new(code: UserErrorCode, field: &[&str], message: impl Into<String>) -> Self {
        let field = (!field.is_empty()).then(|| field.iter().map(ToString::to_string).collect());
        Self { field, message: message.into(), code }
    }
}

/// Why a value was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, async_graphql::Enum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum UserErrorCode {
    /// A value is required and missing or empty.
    Blank,
    /// The value has the wrong form.
    Invalid,
    /// The text or list is longer than allowed.
    TooLong,
    /// The value must be unique and is in use.
    Taken,
    /// What the id names does not exist, or may not be seen by this user.
    NotFound,
    /// The record was changed since the caller read it.
    StaleVersion,
    /// The record's present state does not allow this.
    InvalidState,
    /// A limit of the tenant or the platform is reached.
    LimitReached,
}
