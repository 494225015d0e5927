//! `orderBy`: the columns that a list can be sorted by, made from the object's [`Shape`]. The id is always the last
//! tie-breaker; records without a value come last, in either direction.

use std::{borrow::Cow, marker::PhantomData};

use async_graphql::{
    Enum, InputType, InputValueError, InputValueResult, Value,
    registry::{MetaEnumValue, MetaType, MetaTypeId, Registry},
};
use entity::record::Kind;

use super::{
    filter::input,
    shape::{Field, Object, Shape},
};
use crate::data::plan::Order;

/// A direction to sort in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum OrderDirection {
    /// From the least up: A to Z, old to new.
    Asc,
    /// From the greatest down: Z to A, new to old.
    Desc,
}

/// One entry of `orderBy`.
pub struct OrderBy<T> {
    /// What it says.
    pub order: Order,
    object: PhantomData<fn() -> T>,
}

/// `CREATED_AT` for `createdAt`.
fn screaming(field: &str) -> String {
    let mut name = String::with_capacity(field.len() + 4);
    for c in field.chars() {
        if c.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}

fn sortable(shape: &'static Shape) -> impl Iterator<Item = &'static Field> {
    shape.fields.iter().filter(|field| {
        let column = field.column;
        let short_text = column.folded.is_some() || field.values.is_some() || column.name == "number";
        !matches!(column.kind, Kind::Json | Kind::Uuid | Kind::Text) || (column.kind == Kind::Text && short_text)
    })
}

/// What an `orderBy` says.
///
/// # Errors
/// A message for people when it cannot be meant.
pub fn parse(shape: &'static Shape, value: &Value) -> Result<Vec<Order>, String> {
    match value {
        Value::List(values) => values.iter().map(|value| one(shape, value)).collect(),
        // A single value stands for a list of one (GraphQL specification, 3.11).
        value => Ok(vec![one(shape, value)?]),
    }
}

fn one(shape: &'static Shape, value: &Value) -> Result<Order, String> {
    let Value::Object(fields) = value else { return Err("orderBy: expected an object".to_owned()) };
    let text = |name: &str| match fields.get(name) {
        Some(Value::Enum(name)) => Some(name.as_str()),
        Some(Value::String(name)) => Some(name.as_str()),
        _ => None,
    };
    let wanted = text("field").ok_or("orderBy: field is required")?;
    let field = sortable(shape)
        .find(|field| screaming(&field.name) == wanted)
        .ok_or_else(|| format!("orderBy: records cannot be sorted by {wanted}"))?;
    Ok(Order { column: field.column, descending: text("direction") == Some("DESC") })
}

impl<T: Object> InputType for OrderBy<T> {
    type RawValueType = Self;

    fn type_name() -> Cow<'static, str> {
        format!("{}Order", T::type_name()).into()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        registry.create_input_type::<Self, _>(MetaTypeId::InputObject, |registry| {
            let shape = T::shape();
            let field = format!("{}OrderField", shape.name);
            let values = sortable(shape)
                .map(|field| {
                    let name = screaming(&field.name);
                    let mut value = MetaEnumValue::new(name.clone());
                    value.description = Some(format!("By `{}`.", field.name));
                    (name, value)
                })
                .collect();
            registry.types.insert(
                field.clone(),
                MetaType::Enum {
                    name: field.clone(),
                    description: Some(format!("What records of type {} can be sorted by.", shape.name)),
                    enum_values: values,
                    visible: None,
                    inaccessible: false,
                    tags: Vec::new(),
                    rust_typename: None,
                    directive_invocations: Vec::new(),
                    requires_scopes: Vec::new(),
                },
            );
            <OrderDirection as InputType>::create_type_info(registry);
            let mut direction = input("direction", "OrderDirection!", "In which direction.".to_owned());
            direction.1.default_value = Some("ASC".to_owned());
            let fields = [input("field", &format!("{field}!"), "By what.".to_owned()), direction];
            MetaType::InputObject {
                name: Self::type_name().into_owned(),
                description: Some(format!("How to sort records of type {}.", shape.name)),
                input_fields: fields.into_iter().collect(),
                visible: None,
                inaccessible: false,
                tags: Vec::new(),
                rust_typename: None,
                oneof: false,
                directive_invocations: Vec::new(),
            }
        })
    }

    fn parse(value: Option<Value>) -> InputValueResult<Self> {
        let order = one(T::shape(), &value.unwrap_or_default()).map_err(InputValueError::custom)?;
        Ok(Self { order, object: PhantomData })
    }

    fn to_value(&self) -> Value {
        Value::Null
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }
}
