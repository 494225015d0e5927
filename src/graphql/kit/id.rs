//! Typed ids: `ID` in the schema, a TypeID on the wire, a UUID in the database.

use std::{borrow::Cow, fmt, marker::PhantomData};

use async_graphql::{
    ContextSelectionSet, ID, InputType, InputValueError, InputValueResult, OutputType, Positioned, ServerResult, Value,
    parser::types::Field, registry::Registry,
};
use serde::{Deserialize, Deserializer};
use uuid::Uuid;

use crate::data::ids;

/// What has ids of its own.
pub trait Identified: 'static {
    /// The prefix of its ids.
    const PREFIX: &'static str;
}

/// The id of a `T`. An id of something else is refused with a clear message.
pub struct Id<T>(pub Uuid, PhantomData<fn() -> T>);

impl<T> Id<T> {
    /// The id with this UUID.
    #[must_use]
    pub const fn new(id: Uuid) -> Self {
        Self(id, PhantomData)
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Id<T> {}

impl<T> Default for Id<T> {
    fn default() -> Self {
        Self::new(Uuid::nil())
    }
}

impl<'de, T> Deserialize<'de> for Id<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Uuid::deserialize(deserializer).map(Self::new)
    }
}

impl<T: Identified> InputType for Id<T> {
    type RawValueType = Self;

    fn type_name() -> Cow<'static, str> {
        <ID as InputType>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <ID as InputType>::create_type_info(registry)
    }

    fn parse(value: Option<Value>) -> InputValueResult<Self> {
        let Some(Value::String(text)) = value else { return Err(InputValueError::custom(expected(T::PREFIX))) };
        match ids::decode(&text) {
            Some((name, id)) if name == T::PREFIX => Ok(Self::new(id)),
            _ => Err(InputValueError::custom(expected(T::PREFIX))),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(ids::encode(T::PREFIX, self.0))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }
}

impl<T: Identified> fmt::Display for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&ids::encode(T::PREFIX, self.0))
    }
}

fn expected(prefix: &str) -> String {
    let article = if prefix.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
    format!("expected {article} {} id, such as {}", prefix.replace('_', " "), ids::encode(prefix, Uuid::nil()))
}

impl<T: Identified> OutputType for Id<T> {
    fn type_name() -> Cow<'static, str> {
        <ID as OutputType>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <ID as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, _: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        Ok(Value::String(ids::encode(T::PREFIX, self.0)))
    }
}

/// The id of a record of any type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnyId {
    /// The stem of the record's type.
    pub name: String,
    /// The record.
    pub id: Uuid,
}

impl AnyId {
    /// An id on the wire.
    ///
    /// # Errors
    /// A message for people when it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        match ids::decode(text) {
            Some((name, id)) => Ok(Self { name: name.to_owned(), id }),
            None => Err("expected an id, such as customer_01h455vb4pex5vsknk084sn02q".to_owned()),
        }
    }
}

impl InputType for AnyId {
    type RawValueType = Self;

    fn type_name() -> Cow<'static, str> {
        <ID as InputType>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <ID as InputType>::create_type_info(registry)
    }

    fn parse(value: Option<Value>) -> InputValueResult<Self> {
        match value {
            Some(Value::String(text)) => Self::parse(&text).map_err(InputValueError::custom),
            _ => Err(InputValueError::custom("expected an id")),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(ids::encode(&self.name, self.id))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }
}
