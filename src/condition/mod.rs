//! The one condition language: a tree of tests over a record's fields and over records one relation away.
//!
//! It knows a record only through its `RecordMeta`. It is compiled to SQL by [`sql`] and evaluated on events by [`eval`];
//! the GraphQL `where` inputs are its typed face, `ConditionInput` its general one. What asks for a before (`CHANGED`,
//! `CHANGED_TO`, [`Condition::Before`]) can be asked of events only. Text compares case- and accent-insensitively. Negated operators (`NOT_EQUALS`, `NOT_IN`,
//! `NOT_CONTAINS`) include nulls, and every test is either true or false, never unknown, so that a negated group means
//! what people expect.

pub mod eval;
pub mod fold;
pub mod sql;

use sea_orm::Value;

/// A condition on one record.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// Every one of these holds; true when there are none.
    All(Vec<Self>),
    /// At least one of these holds; false when there are none.
    Any(Vec<Self>),
    /// None of these holds.
    None(Vec<Self>),
    /// A test of one column.
    Test {
        /// The column.
        column: &'static str,
        /// What is asked of it.
        operator: Operator,
        /// What it is compared with: none, one or several values.
        values: Vec<Value>,
    },
    /// A condition on the record as it was before the event.
    Before(Box<Self>),
    /// A condition on the records that a relation leads to.
    Related {
        /// The relation's name.
        relation: &'static str,
        /// How many of them must meet the condition.
        quantifier: Quantifier,
        /// The condition.
        condition: Box<Self>,
    },
}

/// What is asked of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// Is this value.
    Equals,
    /// Is another value, or none.
    NotEquals,
    /// Is more, later or further in the alphabet.
    GreaterThan,
    /// Is not less.
    GreaterOrEqual,
    /// Is less, earlier or before in the alphabet.
    LessThan,
    /// Is not more.
    LessOrEqual,
    /// Is not less than the first of two values, and not more than the second.
    Between,
    /// Is one of these values.
    In,
    /// Is none of these values.
    NotIn,
    /// The text holds this text; the list holds this value.
    Contains,
    /// It does not.
    NotContains,
    /// The text begins with this text.
    StartsWith,
    /// The text ends with this text.
    EndsWith,
    /// There is no value, or an empty text.
    IsEmpty,
    /// There is a value.
    IsNotEmpty,
    /// Has another value than before the event. Nothing of a new record has changed.
    Changed,
    /// Has this value, and had another one before the event.
    ChangedTo,
}

/// How many related records must meet a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantifier {
    /// At least one.
    Some,
    /// Every one; true when there are none.
    Every,
    /// Not one.
    None,
}

impl Condition {
    /// A test of one value.
    pub fn test(column: &'static str, operator: Operator, value: impl Into<Value>) -> Self {
        Self::Test { column, operator, values: vec![value.into()] }
    }
}
