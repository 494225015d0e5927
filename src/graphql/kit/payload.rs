//! What mutations answer: the record, what a user can mend, and the client's own mark.

use async_graphql::{ID, SimpleObject};

use super::shape::Object;
use crate::error::{UserError as Refusal, UserErrorCode};

/// Something in the input that a user can mend.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(shareable)]
pub struct UserError {
    /// The path to the offending value from the mutation's arguments, such as `["input", "email"]`; null when the
    /// whole input is meant.
    pub field: Option<Vec<String>>,
    /// A sentence for people.
    pub message: String,
    /// What kind of trouble it is, for programs.
    pub code: UserErrorCode,
}

impl From<Refusal> for UserError {
    fn from(refusal: Refusal) -> Self {
        let Refusal { field, message, code } = refusal;
        Self { field, message, code }
    }
}

/// What a mutation of one record answers.
pub trait Payload: Sized {
    /// The record's object.
    type Object: Object;
    /// The field that shows the record, in snake case.
    const FIELD: &'static str;

    /// The answer.
    fn new(record: Option<Self::Object>, user_errors: Vec<UserError>, client_mutation_id: Option<String>) -> Self;
}

/// What a mutation that deletes a record answers.
#[derive(Debug, SimpleObject)]
pub struct DeletePayload {
    /// The id of the record that was deleted; null when none was.
    pub deleted_id: Option<ID>,
    /// What a user can mend; empty when all went well.
    pub user_errors: Vec<UserError>,
    /// What the client sent along, so that it recognises the answer.
    pub client_mutation_id: Option<String>,
}

/// How a bulk mutation treats inputs that are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, async_graphql::Enum)]
pub enum BulkErrorPolicy {
    /// One refused input refuses all: nothing is written.
    RejectAll,
    /// Refused inputs are left out: the others are written.
    RejectFailed,
}

/// What a bulk mutation answers.
pub trait BulkPayload: Sized {
    /// The record's object.
    type Object: Object;
    /// The field of a result that shows the record, in snake case.
    const FIELD: &'static str;

    /// The answer: for each input the record and what a user can mend.
    fn new(results: Vec<(Option<Self::Object>, Vec<UserError>)>, client_mutation_id: Option<String>) -> Self;
}
