//! A condition in memory, on a record as an event tells of it: with the same answer as [`super::sql`] gives on a row,
//! on either engine, which a test holds both to.
//!
//! A record is seen through [`Facts`]: its values now and, where there was a before, its values before. So `CHANGED`,
//! `CHANGED_TO` and a condition on the record as it was can be asked here and only here. Records that a relation leads
//! to are not at hand: a condition on them is refused when it is set, see [`alone`].

use std::cmp::Ordering;

use entity::record::{Column, RecordMeta};
use sea_orm::Value;

use super::{Condition, Operator, fold::fold};
use crate::error::{Error, Result};

/// A record as an event tells of it.
pub trait Facts {
    /// The value of a column after the event; a null where there is none.
    fn now(&self, column: &Column) -> Value;
    /// The value before it; nothing where there was no before, as for a new record.
    fn before(&self, column: &Column) -> Option<Value>;
}

/// Refuses what can be asked of a row in its database only: a condition on related records.
///
/// # Errors
/// [`Error::BadInput`] that names the relation.
pub fn alone(condition: &Condition) -> Result<()> {
    match condition {
        Condition::All(parts) | Condition::Any(parts) | Condition::None(parts) => parts.iter().try_for_each(alone),
        Condition::Before(condition) => alone(condition),
        Condition::Test { .. } => Ok(()),
        Condition::Related { relation, .. } => {
            Err(Error::BadInput(format!("an event does not tell of \"{relation}\", which is another record")))
        }
    }
}

/// Whether a condition holds for a record of this kind.
///
/// # Errors
/// [`Error::BadInput`] when it names what is not there, or is not about this record alone.
pub fn holds(condition: &Condition, meta: &RecordMeta, facts: &dyn Facts) -> Result<bool> {
    at(condition, meta, facts, When::Now)
}

/// Which values of a record are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Now,
    Before,
}

fn at(condition: &Condition, meta: &RecordMeta, facts: &dyn Facts, when: When) -> Result<bool> {
    Ok(match condition {
        Condition::All(parts) => every(parts, meta, facts, when)?,
        Condition::Any(parts) => some(parts, meta, facts, when)?,
        Condition::None(parts) => !some(parts, meta, facts, when)?,
        Condition::Before(condition) => at(condition, meta, facts, When::Before)?,
        Condition::Test { column, operator, values } => {
            let column = meta
                .column(column)
                .ok_or_else(|| Error::BadInput(format!("{} has no field \"{column}\"", meta.name)))?;
            let value = match when {
                When::Now => facts.now(column),
                // What was not there had no values.
                When::Before => facts.before(column).unwrap_or(Value::Bool(None)),
            };
            match operator {
                Operator::Changed => changed(column, facts),
                Operator::ChangedTo => changed(column, facts) && test(column, Operator::Equals, &value, values),
                operator => test(column, *operator, &value, values),
            }
        }
        Condition::Related { .. } => {
            alone(condition)?;
            false
        }
    })
}

fn every(parts: &[Condition], meta: &RecordMeta, facts: &dyn Facts, when: When) -> Result<bool> {
    for part in parts {
        if !at(part, meta, facts, when)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn some(parts: &[Condition], meta: &RecordMeta, facts: &dyn Facts, when: When) -> Result<bool> {
    for part in parts {
        if at(part, meta, facts, when)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a column has another value than before. Nothing of a new record has changed.
fn changed(column: &Column, facts: &dyn Facts) -> bool {
    facts.before(column).is_some_and(|before| before != facts.now(column))
}

fn test(column: &Column, operator: Operator, value: &Value, values: &[Value]) -> bool {
    let own = Operand::of(column, value);
    let first = || values.first().map_or(Operand::Null, |value| Operand::of(column, value));
    let compare = |other: &Operand| own.compare(other);
    let is = |order: fn(Ordering) -> bool| compare(&first()).is_some_and(order);
    let one_of = || values.iter().any(|value| compare(&Operand::of(column, value)) == Some(Ordering::Equal));
    match operator {
        Operator::Equals => is(Ordering::is_eq),
        Operator::NotEquals => own.is_null() || is(Ordering::is_ne),
        Operator::GreaterThan => is(Ordering::is_gt),
        Operator::GreaterOrEqual => is(Ordering::is_ge),
        Operator::LessThan => is(Ordering::is_lt),
        Operator::LessOrEqual => is(Ordering::is_le),
        Operator::Between => {
            let [from, to] = values else { return false };
            compare(&Operand::of(column, from)).is_some_and(Ordering::is_ge)
                && compare(&Operand::of(column, to)).is_some_and(Ordering::is_le)
        }
        Operator::In => one_of(),
        Operator::NotIn => values.is_empty() || own.is_null() || !one_of(),
        Operator::Contains => own.contains(&first()),
        Operator::NotContains => own.is_null() || !own.contains(&first()),
        Operator::StartsWith => own.text().zip(first().text()).is_some_and(|(own, start)| own.starts_with(start)),
        Operator::EndsWith => own.text().zip(first().text()).is_some_and(|(own, end)| own.ends_with(end)),
        Operator::IsEmpty => own.is_empty(),
        Operator::IsNotEmpty => !own.is_empty(),
        // Answered above, with what was before.
        Operator::Changed | Operator::ChangedTo => false,
    }
}

/// A text as the column compares it.
fn text_of(column: &Column, text: &str) -> String {
    if column.folded.is_some() { fold(text) } else { text.to_owned() }
}

/// A value in the form in which it is compared.
#[derive(Debug)]
enum Operand {
    Null,
    Text(String),
    Number(i64),
    Truth(bool),
    Id(uuid::Uuid),
    Time(chrono::DateTime<chrono::Utc>),
    Day(chrono::NaiveDate),
    /// The texts of a list.
    List(Vec<String>),
}

impl Operand {
    fn of(column: &Column, value: &Value) -> Self {
        match value {
            Value::String(Some(text)) => Self::Text(text_of(column, text)),
            Value::TinyInt(Some(number)) => Self::Number(i64::from(*number)),
            Value::SmallInt(Some(number)) => Self::Number(i64::from(*number)),
            Value::Int(Some(number)) => Self::Number(i64::from(*number)),
            Value::BigInt(Some(number)) => Self::Number(*number),
            Value::Bool(Some(truth)) => Self::Truth(*truth),
            Value::Uuid(Some(id)) => Self::Id(*id),
            Value::ChronoDateTimeUtc(Some(at)) => Self::Time(*at),
            Value::ChronoDateTimeWithTimeZone(Some(at)) => Self::Time(at.to_utc()),
            Value::ChronoDate(Some(day)) => Self::Day(*day),
            Value::Json(Some(json)) => match &**json {
                serde_json::Value::Array(items) => {
                    Self::List(items.iter().filter_map(|item| Some(text_of(column, item.as_str()?))).collect())
                }
                serde_json::Value::Null => Self::Null,
                _ => Self::List(Vec::new()),
            },
            _ => Self::Null,
        }
    }

    const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Text(text) => text.is_empty(),
            Self::List(items) => items.is_empty(),
            _ => false,
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The order of two values of one kind; text in the order of its bytes, as both engines have it.
    fn compare(&self, other: &Self) -> Option<Ordering> {
        Some(match (self, other) {
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            (Self::Number(one), Self::Number(other)) => one.cmp(other),
            (Self::Truth(one), Self::Truth(other)) => one.cmp(other),
            (Self::Id(one), Self::Id(other)) => one.cmp(other),
            (Self::Time(one), Self::Time(other)) => one.cmp(other),
            (Self::Day(one), Self::Day(other)) => one.cmp(other),
            _ => return None,
        })
    }

    /// Whether a text holds a text, or a list a value.
    fn contains(&self, part: &Self) -> bool {
        match (self, part) {
            (Self::Text(whole), Self::Text(part)) => whole.contains(part.as_str()),
            (Self::List(items), Self::Text(item)) => items.contains(item),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use entity::{record::Record, tenant::customer};

    use super::*;

    struct Customer {
        now: HashMap<&'static str, Value>,
        before: Option<HashMap<&'static str, Value>>,
    }

    impl Facts for Customer {
        fn now(&self, column: &Column) -> Value {
            self.now.get(column.name).cloned().unwrap_or(Value::String(None))
        }

        fn before(&self, column: &Column) -> Option<Value> {
            let before = self.before.as_ref()?;
            Some(before.get(column.name).cloned().unwrap_or_else(|| self.now(column)))
        }
    }

    fn customer(before: Option<&[(&'static str, &str)]>, now: &[(&'static str, &str)]) -> Customer {
        let values = |pairs: &[(&'static str, &str)]| {
            pairs.iter().map(|(name, value)| (*name, Value::from(*value))).collect::<HashMap<_, _>>()
        };
        Customer { now: values(now), before: before.map(values) }
    }

    fn is(condition: &Condition, facts: &Customer) -> bool {
        holds(condition, customer::Entity::meta(), facts).unwrap()
    }

    #[test]
    fn a_change_needs_a_before() {
        let changed = |operator, values: &[&str]| Condition::Test {
            column: "status",
            operator,
            values: values.iter().map(|value| Value::from(*value)).collect(),
        };
        let new = customer(None, &[("status", "ACTIVE")]);
        let same = customer(Some(&[("name", "A")]), &[("status", "ACTIVE"), ("name", "B")]);
        let other = customer(Some(&[("status", "PROSPECT")]), &[("status", "ACTIVE")]);
        let (any, to) = (changed(Operator::Changed, &[]), changed(Operator::ChangedTo, &["ACTIVE"]));
        let elsewhere = changed(Operator::ChangedTo, &["CHURNED"]);
        for (facts, expected) in [(&new, false), (&same, false), (&other, true)] {
            assert_eq!((is(&any, facts), is(&to, facts), is(&elsewhere, facts)), (expected, expected, false));
        }
        let was = Condition::Before(Box::new(Condition::test("status", Operator::Equals, "PROSPECT")));
        assert_eq!((is(&was, &new), is(&was, &same), is(&was, &other)), (false, false, true));
        let was_not = Condition::Before(Box::new(Condition::test("status", Operator::NotEquals, "PROSPECT")));
        assert_eq!((is(&was_not, &new), is(&was_not, &same), is(&was_not, &other)), (true, true, false));
    }

    #[test]
    fn text_is_compared_folded_where_it_has_a_shadow() {
        let facts = customer(None, &[("name", " Ångström  AG "), ("external_reference", "Ab1")]);
        for (operator, text, expected) in [
            (Operator::Equals, "angstrom ag", true),
            (Operator::StartsWith, "ÅNG", true),
            (Operator::EndsWith, "Ag", true),
            (Operator::Contains, "STRÖM", true),
            (Operator::NotContains, "stream", true),
            (Operator::GreaterThan, "Zebra", false),
        ] {
            assert_eq!(is(&Condition::test("name", operator, text), &facts), expected, "{operator:?} {text}");
        }
        assert!(!is(&Condition::test("external_reference", Operator::Equals, "ab1"), &facts));
        assert!(is(&Condition::test("external_reference", Operator::StartsWith, "Ab"), &facts));
    }

    #[test]
    fn what_another_record_says_is_refused() {
        let related = Condition::None(vec![Condition::Related {
            relation: "owner",
            quantifier: super::super::Quantifier::Some,
            condition: Box::new(Condition::All(Vec::new())),
        }]);
        assert!(matches!(alone(&related), Err(Error::BadInput(message)) if message.contains("owner")));
        assert!(holds(&related, customer::Entity::meta(), &customer(None, &[])).is_err());
    }
}
