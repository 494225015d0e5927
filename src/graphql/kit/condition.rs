//! `ConditionInput`: the general face of the condition language, for conditions that are stored or span record types.
//!
//! Where a list of one type is asked for, `where` is the typed face. Here a field is named by a text, so what a schema
//! cannot refuse is refused when the condition is given, with the field in the message: a field that no type has, an
//! operator that does not fit the field, a value of another kind. A field that a type does not have has no value there, and
//! a value of a set (`status`) must be in the set of one of the types.

use std::collections::HashMap;

use async_graphql::{
    Enum, InputObject, Name, Value,
    registry::{MetaType, Registry},
};
use entity::record::Kind;
use sea_orm::Value as SqlValue;
use serde_json::Value as Json;

use super::{
    filter::{self, MOST_VALUES, RELATED_ID, RELATED_TO_ID, RELATED_TYPE},
    id::AnyId,
    shape::{EnumType, Field, Shape},
};
use crate::condition::{Condition, Operator};

/// How deep groups nest, and how many groups and tests there are.
const MOST_LEVELS: usize = 16;
const MOST_PARTS: usize = 400;

/// What a field begins with that is meant as it was before the event.
const PREVIOUS: &str = "previous.";

/// A condition on a record: one group (`all`, `any` or `none`), or one test (`field`, `operator` and mostly `value`).
#[derive(Clone, Debug, Default, InputObject)]
pub struct ConditionInput {
    /// Every one of these holds.
    pub all: Option<Vec<ConditionInput>>,
    /// At least one of these holds.
    pub any: Option<Vec<ConditionInput>>,
    /// Not one of these holds.
    pub none: Option<Vec<ConditionInput>>,
    /// The field, as the record's type names it, such as `status`; `previous.status` is the field as it was before the
    /// event, without a value for a new record. A field that a record type does not have has no value there.
    pub field: Option<String>,
    /// What is asked of the field.
    pub operator: Option<ConditionOperator>,
    /// What the field is compared with, as the record's type shows it: a text, a number, an amount with its currency. A list
    /// for IN and NOT_IN, a list of two for BETWEEN; nothing for IS_EMPTY, IS_NOT_EMPTY and CHANGED.
    pub value: Option<Json>,
}

/// What a condition asks of a field. Text compares whatever its case and accents, references and long texts letter for
/// letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum ConditionOperator {
    /// Is this.
    Equals,
    /// Is not this, or has no value.
    NotEquals,
    /// Is more or later than this.
    GreaterThan,
    /// Is this, or more or later.
    GreaterOrEqual,
    /// Is less or earlier than this.
    LessThan,
    /// Is this, or less or earlier.
    LessOrEqual,
    /// Is one of two values or between them.
    Between,
    /// Is one of these.
    In,
    /// Is none of these, or has no value.
    NotIn,
    /// Holds this text, or has this value among its values.
    Contains,
    /// Does not, or has no value.
    NotContains,
    /// Begins with this text.
    StartsWith,
    /// Ends with this text.
    EndsWith,
    /// Has no value, or an empty one.
    IsEmpty,
    /// Has a value that is not empty.
    IsNotEmpty,
    /// Has another value than before the event. Nothing of a new record has changed.
    Changed,
    /// Is this now, and was not before the event.
    ChangedTo,
}

impl ConditionOperator {
    const fn operator(self) -> Operator {
        match self {
            Self::Equals => Operator::Equals,
            Self::NotEquals => Operator::NotEquals,
            Self::GreaterThan => Operator::GreaterThan,
            Self::GreaterOrEqual => Operator::GreaterOrEqual,
            Self::LessThan => Operator::LessThan,
            Self::LessOrEqual => Operator::LessOrEqual,
            Self::Between => Operator::Between,
            Self::In => Operator::In,
            Self::NotIn => Operator::NotIn,
            Self::Contains => Operator::Contains,
            Self::NotContains => Operator::NotContains,
            Self::StartsWith => Operator::StartsWith,
            Self::EndsWith => Operator::EndsWith,
            Self::IsEmpty => Operator::IsEmpty,
            Self::IsNotEmpty => Operator::IsNotEmpty,
            Self::Changed => Operator::Changed,
            Self::ChangedTo => Operator::ChangedTo,
        }
    }

    /// Whether it can be asked of a field.
    fn fits(self, field: &Field) -> bool {
        use ConditionOperator::{
            Between, Changed, ChangedTo, Contains, EndsWith, Equals, GreaterOrEqual, GreaterThan, In, IsEmpty,
            IsNotEmpty, LessOrEqual, LessThan, NotContains, NotEquals, NotIn, StartsWith,
        };
        let one_value = field.column.kind != Kind::Json;
        let free_text = field.column.kind == Kind::Text && field.values.is_none();
        match self {
            IsEmpty | IsNotEmpty | Changed => true,
            Equals | NotEquals | ChangedTo => one_value,
            In | NotIn => one_value && field.column.kind != Kind::Bool,
            GreaterThan | GreaterOrEqual | LessThan | LessOrEqual | Between => {
                free_text
                    || matches!(field.column.kind, Kind::Int | Kind::Decimal(_) | Kind::Time | Kind::Date | Kind::Money)
            }
            Contains | NotContains => free_text || field.column.kind == Kind::Json,
            StartsWith | EndsWith => free_text,
        }
    }

    /// Its name in the API.
    fn name(self) -> Name {
        match async_graphql::InputType::to_value(&self) {
            Value::Enum(name) => name,
            _ => Name::new("?"),
        }
    }
}

/// What a condition means for each record type, by the record's name.
pub type Conditions = HashMap<&'static str, Condition>;

type Parsed<T> = Result<T, String>;

impl ConditionInput {
    /// What it means for records of these types.
    ///
    /// # Errors
    /// A message for people when it cannot be meant.
    pub fn compile(&self, shapes: &[&'static Shape]) -> Parsed<Conditions> {
        self.bound(MOST_LEVELS, &mut { MOST_PARTS })?;
        self.known(shapes)?;
        shapes.iter().map(|shape| Ok((shape.meta.name, self.of(shape)?))).collect()
    }

    /// The condition as it is stored: what is not given is left out.
    #[must_use]
    pub fn stored(&self) -> Json {
        let group = |parts: &Option<Vec<Self>>| {
            parts.as_ref().map(|parts| Json::Array(parts.iter().map(Self::stored).collect()))
        };
        let Self { all, any, none, field, operator, value } = self;
        let given = [
            ("all", group(all)),
            ("any", group(any)),
            ("none", group(none)),
            ("field", field.clone().map(Json::from)),
            ("operator", operator.map(|operator| Json::from(operator.name().as_str()))),
            ("value", value.clone()),
        ];
        Json::Object(given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
    }

    /// A condition that was stored.
    ///
    /// # Errors
    /// A message for people when it is none.
    pub fn read(stored: &Json) -> Result<Self, String> {
        let wrong = || "this is no condition".to_owned();
        let value = Value::from_json(stored.clone()).map_err(|_| wrong())?;
        <Self as async_graphql::InputType>::parse(Some(value)).map_err(|_| wrong())
    }

    fn parts(&self) -> impl Iterator<Item = &Self> {
        [&self.all, &self.any, &self.none].into_iter().flatten().flatten()
    }

    fn bound(&self, levels: usize, parts: &mut usize) -> Parsed<()> {
        *parts = parts.checked_sub(1).ok_or(format!("at most {MOST_PARTS} conditions"))?;
        let levels = levels.checked_sub(1).ok_or(format!("conditions nest at most {MOST_LEVELS} deep"))?;
        self.parts().try_for_each(|part| part.bound(levels, parts))
    }

    /// Every field must be one of some type, and what is of a set of values in the set of some type.
    fn known(&self, shapes: &[&'static Shape]) -> Parsed<()> {
        if let Some(field) = &self.field {
            let name = field.strip_prefix(PREVIOUS).unwrap_or(field);
            if let Some((record, _)) = name.split_once('.') {
                return Err(format!("{field}: \"{record}\" is another record, of which the event does not tell"));
            }
            if !shapes.iter().any(|shape| published(shape, name).is_some()) {
                return Err(match shapes {
                    [shape] => format!("{} has no field \"{name}\"", shape.name),
                    _ => format!("none of the record types has a field \"{name}\""),
                });
            }
            self.in_some_set(shapes, name).map_err(|message| format!("{field}: {message}"))?;
        }
        self.parts().try_for_each(|part| part.known(shapes))
    }

    fn in_some_set(&self, shapes: &[&'static Shape], name: &str) -> Parsed<()> {
        let mut known = Vec::new();
        for shape in shapes {
            match published(shape, name) {
                Some(Published::Field(Field { values: Some(values), .. })) => known.extend(names(*values)),
                Some(_) => return Ok(()),
                None => {}
            }
        }
        known.sort_unstable();
        known.dedup();
        let given = match &self.value {
            Some(Json::Array(values)) => values.as_slice(),
            Some(value) => std::slice::from_ref(value),
            None => &[],
        };
        match given.iter().filter_map(Json::as_str).find(|text| !known.iter().any(|known| known == text)) {
            Some(_) => Err(format!("expected one of {}", known.join(", "))),
            None => Ok(()),
        }
    }

    fn of(&self, shape: &'static Shape) -> Parsed<Condition> {
        let all = |parts: &[Self]| parts.iter().map(|part| part.of(shape)).collect::<Parsed<Vec<_>>>();
        match (&self.all, &self.any, &self.none, &self.field) {
            (Some(parts), None, None, None) => self.alone(Condition::All(all(parts)?)),
            (None, Some(parts), None, None) => self.alone(Condition::Any(all(parts)?)),
            (None, None, Some(parts), None) => self.alone(Condition::None(all(parts)?)),
            (None, None, None, Some(field)) => self.test(shape, field).map_err(|message| format!("{field}: {message}")),
            _ => Err("a condition has one of all, any, none and field".to_owned()),
        }
    }

    /// A group has nothing of a test.
    fn alone(&self, group: Condition) -> Parsed<Condition> {
        match (&self.operator, &self.value) {
            (None, None) => Ok(group),
            _ => Err("operator and value belong to a field, not to a group".to_owned()),
        }
    }

    fn test(&self, shape: &'static Shape, field: &str) -> Parsed<Condition> {
        let operator = self.operator.ok_or("operator is missing")?;
        let name = field.strip_prefix(PREVIOUS).unwrap_or(field);
        let before = name != field;
        if before && matches!(operator, ConditionOperator::Changed | ConditionOperator::ChangedTo) {
            return Err(format!("{} is asked of the field itself, not of what it was", operator.name()));
        }
        let test = match published(shape, name) {
            Some(Published::Field(field)) => {
                if !operator.fits(field) {
                    return Err(format!("{} does not fit this field of {}", operator.name(), shape.name));
                }
                test_field(shape, field, operator, &self.operands(operator)?)?
            }
            Some(Published::RelatedTo) => test_related(operator, &self.operands(operator)?)?,
            None => without_value(operator),
        };
        Ok(if before { Condition::Before(Box::new(test)) } else { test })
    }

    /// The values that an operator takes.
    fn operands(&self, operator: ConditionOperator) -> Parsed<Vec<Value>> {
        use ConditionOperator::{Between, Changed, In, IsEmpty, IsNotEmpty, NotIn};
        let given = match &self.value {
            None | Some(Json::Null) => None,
            Some(value) => Some(Value::from_json(value.clone()).map_err(|error| error.to_string())?),
        };
        let name = operator.name();
        match (operator, given) {
            (IsEmpty | IsNotEmpty | Changed, None) => Ok(Vec::new()),
            (IsEmpty | IsNotEmpty | Changed, Some(_)) => Err(format!("{name} takes no value")),
            (_, None) => Err(format!("{name} needs a value")),
            (In | NotIn, Some(Value::List(values))) if values.len() > MOST_VALUES => {
                Err(format!("at most {MOST_VALUES} values"))
            }
            (In | NotIn, Some(Value::List(values))) => Ok(values),
            (In | NotIn, Some(_)) => Err(format!("{name} takes a list of values")),
            (Between, Some(Value::List(values))) if values.len() == 2 => Ok(values),
            (Between, Some(_)) => Err("BETWEEN takes a list of two values".to_owned()),
            (_, Some(value)) => Ok(vec![value]),
        }
    }
}

/// What a field's name stands for.
enum Published {
    Field(&'static Field),
    /// The record that something is about, which stands in two columns.
    RelatedTo,
}

fn published(shape: &'static Shape, name: &str) -> Option<Published> {
    if name == RELATED_TO_ID && shape.meta.column(RELATED_ID).is_some() {
        return Some(Published::RelatedTo);
    }
    let field = shape.field(name)?;
    (!matches!(field.column.name, RELATED_ID | RELATED_TYPE)).then_some(Published::Field(field))
}

/// What a test says of a record type that has no such field.
fn without_value(operator: ConditionOperator) -> Condition {
    use ConditionOperator::{IsEmpty, NotContains, NotEquals, NotIn};
    match operator {
        NotEquals | NotIn | NotContains | IsEmpty => Condition::All(Vec::new()),
        _ => Condition::Any(Vec::new()),
    }
}

fn test_field(shape: &Shape, field: &Field, operator: ConditionOperator, operands: &[Value]) -> Parsed<Condition> {
    let column = field.column.name;
    if field.column.kind == Kind::Money && !operands.is_empty() {
        return amounts(field, operator, operands);
    }
    let values = operands.iter().map(|operand| value(shape, field, operand)).collect::<Parsed<Vec<_>>>()?;
    Ok(Condition::Test { column, operator: operator.operator(), values })
}

/// A value of a field. What is of a set of values is written as a text here, and may be of the set of another type.
fn value(shape: &Shape, field: &Field, operand: &Value) -> Parsed<SqlValue> {
    match (field.values, operand) {
        (Some(_), Value::String(text)) => Ok(text.as_str().into()),
        (Some(values), _) => Err(format!("expected one of {}", names(values).join(", "))),
        (None, _) => filter::scalar(shape, field, operand),
    }
}

/// The values of a set.
fn names(values: EnumType) -> Vec<String> {
    let mut registry = Registry::default();
    (values.register)(&mut registry);
    match registry.types.get(&(values.name)()) {
        Some(MetaType::Enum { enum_values, .. }) => enum_values.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

/// Amounts compare within one currency only.
fn amounts(field: &Field, operator: ConditionOperator, operands: &[Value]) -> Parsed<Condition> {
    let each = |operator: Operator| -> Parsed<Vec<Condition>> {
        operands.iter().map(|operand| filter::amount(field, operator, operand)).collect()
    };
    Ok(match operator {
        ConditionOperator::NotEquals => Condition::None(each(Operator::Equals)?),
        ConditionOperator::In => Condition::Any(each(Operator::Equals)?),
        ConditionOperator::NotIn => Condition::None(each(Operator::Equals)?),
        ConditionOperator::Between => {
            let (from, to) = (each(Operator::GreaterOrEqual)?, each(Operator::LessOrEqual)?);
            Condition::All(from.into_iter().take(1).chain(to.into_iter().skip(1)).collect())
        }
        ConditionOperator::ChangedTo => {
            let changed = |column| Condition::Test { column, operator: Operator::Changed, values: Vec::new() };
            let mut all = each(Operator::Equals)?;
            all.push(Condition::Any(vec![changed(field.column.name), changed("currency")]));
            Condition::All(all)
        }
        other => Condition::All(each(other.operator())?),
    })
}

/// Which record something is about, by its typed id.
fn test_related(operator: ConditionOperator, operands: &[Value]) -> Parsed<Condition> {
    let is = |operand: &Value| {
        let Value::String(text) = operand else { return Err("expected an id".to_owned()) };
        let id = AnyId::parse(text)?;
        Ok(Condition::All(vec![
            Condition::test(RELATED_TYPE, Operator::Equals, id.name),
            Condition::test(RELATED_ID, Operator::Equals, id.id),
        ]))
    };
    let any = || operands.iter().map(is).collect::<Parsed<Vec<_>>>();
    let bare = |operator| Condition::Test { column: RELATED_ID, operator, values: Vec::new() };
    Ok(match operator {
        ConditionOperator::Equals | ConditionOperator::In => Condition::Any(any()?),
        ConditionOperator::NotEquals | ConditionOperator::NotIn => Condition::None(any()?),
        ConditionOperator::IsEmpty => bare(Operator::IsEmpty),
        ConditionOperator::IsNotEmpty => bare(Operator::IsNotEmpty),
        ConditionOperator::Changed => bare(Operator::Changed),
        ConditionOperator::ChangedTo => Condition::All(vec![Condition::Any(any()?), bare(Operator::Changed)]),
        other => return Err(format!("{} does not fit an id", other.name())),
    })
}
