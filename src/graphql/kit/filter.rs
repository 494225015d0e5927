//! `where`: the typed face of the condition language.
//!
//! The input type of an object is made from its [`Shape`]: a filter for every column it shows, by the column's kind, the
//! `where` of every record it leads to, and `and`, `or`, `not`. Field first, operator second; operators on one field
//! and fields in one object must all hold.

use std::{borrow::Cow, marker::PhantomData};

use async_graphql::{
    InputType, InputValueError, InputValueResult, Name, Value,
    indexmap::IndexMap,
    registry::{MetaInputValue, MetaType, Registry},
};
use chrono::DateTime;
use entity::record::{Kind, Link};
use sea_orm::Value as SqlValue;

use super::{
    id::AnyId,
    scalars::{Date, Decimal, MoneyInput},
    shape::{Field, Object, Shape},
};
use crate::{
    condition::{Condition, Operator, Quantifier},
    data::money,
};

/// The `where` of an object.
pub struct Where<T> {
    /// What it says.
    pub condition: Condition,
    object: PhantomData<fn() -> T>,
}

impl<T: Object> InputType for Where<T> {
    type RawValueType = Self;

    fn type_name() -> Cow<'static, str> {
        where_name(&T::type_name()).into()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        registry.create_input_type::<Self, _>(async_graphql::registry::MetaTypeId::InputObject, |registry| {
            where_type(registry, T::shape())
        })
    }

    fn parse(value: Option<Value>) -> InputValueResult<Self> {
        let condition = parse(T::shape(), &value.unwrap_or_default()).map_err(InputValueError::custom)?;
        Ok(Self { condition, object: PhantomData })
    }

    fn to_value(&self) -> Value {
        Value::Null
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }
}

/// What a `where` says.
///
/// # Errors
/// A message for people when it cannot be meant.
pub fn parse(shape: &Shape, value: &Value) -> Result<Condition, String> {
    bound(value, MOST_LEVELS, &mut { MOST_OBJECTS })?;
    one(shape, value)
}

/// How deep the objects of a `where` nest, and how many there are: databases compile only so much of a condition.
const MOST_LEVELS: usize = 16;
const MOST_OBJECTS: usize = 400;

/// How long a text to compare with may be, in characters.
const LONGEST_TEXT: usize = 1000;

fn bound(value: &Value, levels: usize, objects: &mut usize) -> Parsed<()> {
    match value {
        Value::Object(fields) => {
            *objects = objects.checked_sub(1).ok_or(format!("at most {MOST_OBJECTS} conditions"))?;
            let levels = levels.checked_sub(1).ok_or(format!("conditions nest at most {MOST_LEVELS} deep"))?;
            fields.values().try_for_each(|value| bound(value, levels, objects))
        }
        Value::List(values) => values.iter().try_for_each(|value| bound(value, levels, objects)),
        _ => Ok(()),
    }
}

fn where_name(object: &str) -> String {
    format!("{object}Where")
}

fn list_name(object: &str) -> String {
    format!("{object}ListFilter")
}

/// A field of an input object.
pub(super) fn input(name: &str, ty: &str, description: String) -> (String, MetaInputValue) {
    let mut value = MetaInputValue::new(name, ty);
    value.description = Some(description);
    (name.to_owned(), value)
}

fn input_object(name: &str, description: String, fields: IndexMap<String, MetaInputValue>) -> MetaType {
    MetaType::InputObject {
        name: name.to_owned(),
        description: Some(description),
        input_fields: fields,
        visible: None,
        inaccessible: false,
        tags: Vec::new(),
        rust_typename: None,
        oneof: false,
        directive_invocations: Vec::new(),
    }
}

fn where_type(registry: &mut Registry, shape: &Shape) -> MetaType {
    let mut fields = IndexMap::new();
    for field in &shape.fields {
        let name = match field.column.name {
            // What a record is about stands in two columns and is one field.
            RELATED_TYPE => continue,
            RELATED_ID => RELATED_TO_ID,
            _ => &field.name,
        };
        let ty = filter_type(registry, field);
        fields.extend([input(name, &ty, format!("By `{name}`."))]);
    }
    for relation in &shape.relations {
        let ty = (relation.register_where)(registry);
        let ty = ty.trim_end_matches('!');
        let description = match relation.relation.link {
            Link::One { .. } => format!("By the record that `{}` leads to.", relation.name),
            Link::Many { .. } => format!("By the records in `{}`.", relation.name),
        };
        let ty = match relation.relation.link {
            Link::One { .. } => ty.to_owned(),
            Link::Many { .. } => list_filter(registry, (relation.target)().name, ty),
        };
        fields.extend([input(&relation.name, &ty, description)]);
    }
    let own = where_name(shape.name);
    fields.extend([
        input("isNull", "Boolean", "In the place of a related record: whether there is none. Stands alone.".to_owned()),
        input("and", &format!("[{own}!]"), "All of these must hold.".to_owned()),
        input("or", &format!("[{own}!]"), "At least one of these must hold.".to_owned()),
        input("not", &own, "This must not hold.".to_owned()),
    ]);
    input_object(&own, format!("Which {} to choose: everything given must hold.", plural(shape)), fields)
}

fn plural(shape: &Shape) -> String {
    format!("records of type {}", shape.name)
}

/// `some`, `every`, `none` over a list of related records.
fn list_filter(registry: &mut Registry, object: &str, where_type: &str) -> String {
    let name = list_name(object);
    if !registry.types.contains_key(&name) {
        let fields = [
            input("some", where_type, "At least one of them meets this.".to_owned()),
            input("every", where_type, "Every one of them meets this; true when there are none.".to_owned()),
            input("none", where_type, "Not one of them meets this.".to_owned()),
        ];
        let description = format!("Chooses by a list of records of type {object}.");
        registry.types.insert(name.clone(), input_object(&name, description, fields.into_iter().collect()));
    }
    name
}

/// The columns of what a record is about, and their field in the API.
pub(super) const RELATED_TYPE: &str = "related_type";
pub(super) const RELATED_ID: &str = "related_id";
pub(super) const RELATED_TO_ID: &str = "relatedToId";

/// The operators that a kind of value has, by their names in the API.
const OPERATORS: &[(&str, Operator, &str)] = &[
    ("eq", Operator::Equals, "Is this."),
    ("neq", Operator::NotEquals, "Is not this; records without a value are included."),
    ("gt", Operator::GreaterThan, "Is more or later than this."),
    ("gte", Operator::GreaterOrEqual, "Is this, or more or later."),
    ("lt", Operator::LessThan, "Is less or earlier than this."),
    ("lte", Operator::LessOrEqual, "Is this, or less or earlier."),
    ("in", Operator::In, "Is one of these; at most 100."),
    ("notIn", Operator::NotIn, "Is none of these, at most 100; records without a value are included."),
    ("contains", Operator::Contains, "Holds this text."),
    ("notContains", Operator::NotContains, "Does not hold this text; records without a value are included."),
    ("startsWith", Operator::StartsWith, "Begins with this text."),
    ("endsWith", Operator::EndsWith, "Ends with this text."),
    ("has", Operator::Contains, "Has this value among its values."),
    ("hasNot", Operator::NotContains, "Does not have this value among its values."),
];

/// How many values a list of them may hold.
pub(super) const MOST_VALUES: usize = 100;

/// The operators of a filter: equality for everything, order for what has one, parts for text.
fn operators(field: &Field) -> &'static [&'static str] {
    match field.column.kind {
        Kind::Json => &["has", "hasNot"],
        Kind::Bool => &["eq"],
        Kind::Uuid => &["eq", "neq", "in", "notIn"],
        Kind::Text if field.values.is_some() => &["eq", "neq", "in", "notIn"],
        Kind::Text => &["eq", "neq", "in", "notIn", "contains", "notContains", "startsWith", "endsWith"],
        Kind::Int | Kind::Decimal(_) | Kind::Time | Kind::Date => {
            &["eq", "neq", "gt", "gte", "lt", "lte", "in", "notIn"]
        }
        Kind::Money => &["eq", "gt", "gte", "lt", "lte"],
    }
}

/// The filter's name and the type of its operands; puts both into the schema.
fn filter_type(registry: &mut Registry, field: &Field) -> String {
    let (name, operand, about) = match (field.column.kind, field.values) {
        (_, Some(values)) => {
            (values.register)(registry);
            let name = (values.name)();
            (format!("{name}Filter"), name, "one of a set of values")
        }
        (Kind::Uuid, _) => ("IdFilter".to_owned(), "ID".to_owned(), "an id"),
        (Kind::Int, _) => ("IntFilter".to_owned(), "Int".to_owned(), "a whole number"),
        (Kind::Decimal(_), _) => {
            <Decimal as InputType>::create_type_info(registry);
            ("DecimalFilter".to_owned(), "Decimal".to_owned(), "a number")
        }
        (Kind::Bool, _) => ("BooleanFilter".to_owned(), "Boolean".to_owned(), "true or false"),
        (Kind::Time, _) => {
            <DateTime<chrono::Utc> as InputType>::create_type_info(registry);
            ("DateTimeFilter".to_owned(), "DateTime".to_owned(), "a moment")
        }
        (Kind::Date, _) => {
            <Date as InputType>::create_type_info(registry);
            ("DateFilter".to_owned(), "Date".to_owned(), "a day")
        }
        (Kind::Json, _) => ("StringListFilter".to_owned(), "String".to_owned(), "a list of texts"),
        (Kind::Money, _) => {
            <MoneyInput as InputType>::create_type_info(registry);
            ("MoneyFilter".to_owned(), "MoneyInput".to_owned(), "an amount; only amounts in the same currency compare")
        }
        (Kind::Text, _) if field.column.folded.is_some() => {
            ("StringFilter".to_owned(), "String".to_owned(), "a text, whatever its case and accents")
        }
        // References, numbers of telephones, long texts.
        (Kind::Text, _) => ("ExactStringFilter".to_owned(), "String".to_owned(), "a text, letter for letter"),
    };
    if !registry.types.contains_key(&name) {
        let mut fields = IndexMap::new();
        for (operator, _, description) in OPERATORS.iter().filter(|(name, ..)| operators(field).contains(name)) {
            let list = matches!(*operator, "in" | "notIn");
            let ty = if list { format!("[{operand}!]") } else { operand.clone() };
            fields.extend([input(operator, &ty, (*description).to_owned())]);
        }
        fields.extend([input("isNull", "Boolean", "Whether there is no value.".to_owned())]);
        registry.types.insert(name.clone(), input_object(&name, format!("Chooses by {about}."), fields));
    }
    name
}

type Parsed<T> = Result<T, String>;

/// What an object of a `where` says.
fn object(shape: &Shape, fields: &IndexMap<Name, Value>) -> Parsed<Condition> {
    let mut all = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        if *value == Value::Null {
            continue;
        }
        match name.as_str() {
            "and" => all.push(Condition::All(several(shape, value)?)),
            "or" => all.push(Condition::Any(several(shape, value)?)),
            "not" => all.push(Condition::None(vec![one(shape, value)?])),
            // A record that is there is not null; a related record is asked for in `related`.
            "isNull" => {
                if *value == Value::Boolean(true) {
                    all.push(Condition::Any(Vec::new()));
                }
            }
            name => {
                if name == RELATED_TO_ID && shape.meta.column(RELATED_ID).is_some() {
                    related_to(value, &mut all)?;
                } else if let Some(field) = shape.field(name) {
                    tests(shape, field, value, &mut all)?;
                } else if let Some(relation) = shape.relation(name) {
                    related(relation, value, &mut all)?;
                } else {
                    return Err(format!("{} has no field \"{name}\"", shape.name));
                }
            }
        }
    }
    Ok(if all.len() == 1 { all.swap_remove(0) } else { Condition::All(all) })
}

fn one(shape: &Shape, value: &Value) -> Parsed<Condition> {
    match value {
        Value::Object(fields) => object(shape, fields),
        _ => Err("expected an object".to_owned()),
    }
}

fn several(shape: &Shape, value: &Value) -> Parsed<Vec<Condition>> {
    match value {
        Value::List(values) => values.iter().map(|value| one(shape, value)).collect(),
        // A single value stands for a list of one (GraphQL specification, 3.11).
        value => Ok(vec![one(shape, value)?]),
    }
}

fn related(field: &super::shape::RelationField, value: &Value, all: &mut Vec<Condition>) -> Parsed<()> {
    let Value::Object(fields) = value else { return Err("expected an object".to_owned()) };
    let target = (field.target)();
    let relation = field.relation.name;
    let mut push = |quantifier, condition| {
        all.push(Condition::Related { relation, quantifier, condition: Box::new(condition) });
    };
    if let Link::One { column } = field.relation.link {
        if let (Some(Value::Boolean(is_null)), 1) = (fields.get("isNull"), fields.len()) {
            // "There is none" includes one that the actor may not see: both are answered as null.
            let quantifier = if *is_null { Quantifier::None } else { Quantifier::Some };
            push(quantifier, Condition::All(Vec::new()));
            return Ok(());
        }
        let condition = object(target, fields)?;
        // The id alone is in this record too, where an index finds it. The other is looked at all the same: one that
        // the actor may not see is not there, whatever its id.
        if let Condition::Test { column: "id", operator: operator @ (Operator::Equals | Operator::In), values } =
            &condition
        {
            all.push(Condition::Test { column, operator: *operator, values: values.clone() });
        }
        all.push(Condition::Related { relation, quantifier: Quantifier::Some, condition: Box::new(condition) });
        return Ok(());
    }
    for (name, value) in fields.iter().filter(|(_, value)| **value != Value::Null) {
        let quantifier = match name.as_str() {
            "some" => Quantifier::Some,
            "every" => Quantifier::Every,
            "none" => Quantifier::None,
            other => return Err(format!("expected some, every or none, not \"{other}\"")),
        };
        push(quantifier, one(target, value)?);
    }
    Ok(())
}

/// Which record something is about, by its typed id.
fn related_to(value: &Value, all: &mut Vec<Condition>) -> Parsed<()> {
    let refused = |message: &str| format!("{RELATED_TO_ID}: {message}");
    let Value::Object(given) = value else { return Err(refused("expected an object")) };
    let is = |id: &Value| {
        let Value::String(text) = id else { return Err(refused("expected an id")) };
        let id = AnyId::parse(text).map_err(|message| refused(&message))?;
        Ok(Condition::All(vec![
            Condition::test(RELATED_TYPE, Operator::Equals, id.name),
            Condition::test(RELATED_ID, Operator::Equals, id.id),
        ]))
    };
    let any = |ids: &Value| match ids {
        Value::List(ids) if ids.len() > MOST_VALUES => Err(refused(&format!("at most {MOST_VALUES} values"))),
        Value::List(ids) => ids.iter().map(is).collect(),
        id => Ok(vec![is(id)?]),
    };
    for (name, operand) in given {
        let empty = |operator| Condition::Test { column: RELATED_ID, operator, values: Vec::new() };
        all.push(match (name.as_str(), operand) {
            ("isNull", Value::Boolean(true)) => empty(Operator::IsEmpty),
            ("isNull", Value::Boolean(false)) => empty(Operator::IsNotEmpty),
            ("isNull", _) => continue,
            (name, Value::Null) => return Err(refused(&format!("{name} needs a value; use isNull to ask for none"))),
            ("eq", id) => is(id)?,
            ("neq", id) => Condition::None(vec![is(id)?]),
            ("in", ids) => Condition::Any(any(ids)?),
            ("notIn", ids) => Condition::None(any(ids)?),
            (other, _) => return Err(refused(&format!("there is no operator \"{other}\""))),
        });
    }
    Ok(())
}

fn tests(shape: &Shape, field: &Field, value: &Value, all: &mut Vec<Condition>) -> Parsed<()> {
    let Value::Object(given) = value else { return Err(format!("{}: expected an object", field.name)) };
    let column = field.column.name;
    for (name, operand) in given {
        if name == "isNull" {
            let operator = match operand {
                Value::Boolean(true) => Operator::IsEmpty,
                Value::Boolean(false) => Operator::IsNotEmpty,
                _ => continue,
            };
            all.push(Condition::Test { column, operator, values: Vec::new() });
            continue;
        }
        let Some((_, operator, _)) = OPERATORS.iter().find(|(own, ..)| own == name) else {
            return Err(format!("{}: there is no operator \"{name}\"", field.name));
        };
        if *operand == Value::Null {
            return Err(format!("{}: {name} needs a value; use isNull to ask for none", field.name));
        }
        let value =
            |operand: &Value| scalar(shape, field, operand).map_err(|message| format!("{}: {message}", field.name));
        if field.column.kind == Kind::Money {
            all.push(amount(field, *operator, operand)?);
            continue;
        }
        let values = match (operator, operand) {
            (Operator::In | Operator::NotIn, Value::List(items)) if items.len() > MOST_VALUES => {
                return Err(format!("{}: at most {MOST_VALUES} values", field.name));
            }
            (Operator::In | Operator::NotIn, Value::List(items)) => {
                items.iter().map(value).collect::<Result<_, _>>()?
            }
            (_, operand) => vec![value(operand)?],
        };
        all.push(Condition::Test { column, operator: *operator, values });
    }
    Ok(())
}

/// Amounts compare within one currency only.
pub(super) fn amount(field: &Field, operator: Operator, operand: &Value) -> Parsed<Condition> {
    let amount = MoneyInput::parse(Some(operand.clone())).map_err(|_| format!("{}: expected an amount", field.name))?;
    let (minor, currency) = amount.minor().map_err(|message| format!("{}: {message}", field.name))?;
    Ok(Condition::All(vec![
        Condition::test("currency", Operator::Equals, currency),
        Condition::test(field.column.name, operator, minor),
    ]))
}

/// A value of a column, as the API writes it.
pub(super) fn scalar(shape: &Shape, field: &Field, value: &Value) -> Parsed<SqlValue> {
    let refused = |expected: &str| Err(format!("expected {expected}"));
    match (field.column.kind, value) {
        (Kind::Text, Value::Enum(name)) => Ok(name.as_str().into()),
        (Kind::Text | Kind::Json, Value::String(text)) => {
            if text.contains('\0') {
                return refused("a text without control characters");
            }
            if text.chars().nth(LONGEST_TEXT).is_some() {
                return Err(format!("expected a text of at most {LONGEST_TEXT} characters"));
            }
            Ok(text.as_str().into())
        }
        (Kind::Int, Value::Number(number)) => match number.as_i64() {
            Some(number) => Ok(number.into()),
            None => refused("a whole number"),
        },
        (Kind::Decimal(decimals), value) => match Decimal::parse(Some(value.clone())) {
            Ok(number) => match money::units(number.0, decimals) {
                Ok(units) => Ok(units.into()),
                Err(_) => Err(format!("expected a number with at most {decimals} decimals")),
            },
            Err(_) => refused("a decimal number such as \"12.34\""),
        },
        (Kind::Bool, Value::Boolean(value)) => Ok((*value).into()),
        (Kind::Uuid, Value::String(text)) => {
            let id = AnyId::parse(text)?;
            // A column that may name a record of any type takes the id of any.
            let expected = match shape.meta.reference(field.column.name) {
                Some(relation) => Some((relation.target)().name),
                None => (field.column.name == "id").then_some(shape.meta.name),
            };
            match expected {
                Some(expected) if id.name != expected => {
                    Err(format!("expected the id of a {}", expected.replace('_', " ")))
                }
                _ => Ok(id.id.into()),
            }
        }
        (Kind::Time, Value::String(text)) => match DateTime::parse_from_rfc3339(text) {
            Ok(at) => Ok(at.to_utc().into()),
            Err(_) => refused("a moment such as \"2026-01-31T12:00:00Z\""),
        },
        (Kind::Date, value) => match Date::parse(Some(value.clone())) {
            Ok(Date(date)) => Ok(date.into()),
            Err(_) => refused("a day such as \"2026-01-31\""),
        },
        _ => refused("another kind of value"),
    }
}
