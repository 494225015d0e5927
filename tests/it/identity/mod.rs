//! Who comes in, as whom, and what takes that away again.

mod api;
mod api_keys;
mod guards;
mod journal;
mod passwords;
mod provisioning;
mod registry;
mod restore;
mod revocation;
mod sessions;
mod users;

use rapport::{
    data::idempotency::Outcome,
    error::{Error, Result, UserErrorCode},
};

/// The code and the field of the first thing that a user must mend.
fn refusal(outcome: Outcome) -> (UserErrorCode, String) {
    let item = outcome.single();
    let error = item.errors.first().expect("something to mend");
    (error.code, error.field.clone().unwrap_or_default().join("."))
}

/// The same, of an error.
fn refused<T: std::fmt::Debug>(result: Result<T>) -> (UserErrorCode, String) {
    match result.unwrap_err() {
        Error::User(errors) => (errors[0].code, errors[0].field.clone().unwrap_or_default().join(".")),
        other => panic!("{other:?}"),
    }
}

/// The permission that was missing.
fn forbidden<T: std::fmt::Debug>(result: Result<T>) -> String {
    match result.unwrap_err() {
        Error::Forbidden { permission } => permission,
        other => panic!("{other:?}"),
    }
}

/// The code of an error.
fn code<T: std::fmt::Debug>(result: Result<T>) -> &'static str {
    result.unwrap_err().code()
}
