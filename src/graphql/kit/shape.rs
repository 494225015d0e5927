//! What the platform knows of a GraphQL object: which columns it shows and where it leads.
//!
//! A record's object is a plain struct whose fields are its columns: what is not in the struct is not published. The
//! [`Shape`] is read from the struct and from the record's metadata once, and `where`, `orderBy`, plans and relations
//! are all made from it.

use std::any::TypeId;

use async_graphql::{OutputType, registry::Registry};
use entity::record::{Column, Kind, Record, RecordMeta, Relation, camel_case};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::id::Identified;
use crate::{
    condition::Condition,
    data::{
        Rules,
        plan::{Children, Planned},
    },
};

/// A GraphQL object that stands for a record.
pub trait Object: Planned + OutputType + Identified + Sync {
    /// The record.
    type Record: Rules;

    /// Its columns and relations, read once.
    fn shape() -> &'static Shape;
    /// Its id.
    fn id(&self) -> Uuid;
    /// The relations that were read with it.
    fn children(&self) -> &Children;
}

/// See the module.
pub struct Shape {
    /// The object's name, `Customer`.
    pub name: &'static str,
    /// The record.
    pub meta: &'static RecordMeta,
    /// The fields that are columns.
    pub fields: Vec<Field>,
    /// The columns that computed fields need, by the field's name.
    pub needs: Vec<(String, &'static [&'static str])>,
    /// The fields that are relations.
    pub relations: Vec<RelationField>,
    /// Tells the type apart in a cache.
    pub type_id: TypeId,
}

/// A field that is a column.
pub struct Field {
    /// Its name in the API.
    pub name: String,
    /// The column.
    pub column: &'static Column,
    /// The enum type of its values, where they are of one.
    pub values: Option<EnumType>,
}

/// The shape of an object; a function, because objects lead to each other in circles.
pub type ShapeOf = fn() -> &'static Shape;

/// Puts a type into the schema and answers its name.
pub type Register = fn(&mut Registry) -> String;

/// An enum type of the schema.
#[derive(Clone, Copy)]
pub struct EnumType {
    /// Its name.
    pub name: fn() -> String,
    /// Puts it into the schema.
    pub register: Register,
}

/// A field that is a relation.
pub struct RelationField {
    /// Its name in the API.
    pub name: String,
    /// The relation.
    pub relation: &'static Relation,
    /// The object that it leads to.
    pub target: ShapeOf,
    /// Puts the object's `where` into the schema and answers its name.
    pub register_where: Register,
    /// What it answers when nothing else is asked for.
    pub usual: Usual,
}

/// What a relation to many answers by itself.
#[derive(Clone, Copy, Default)]
pub struct Usual {
    /// The columns it is sorted by when the query names no order, each with whether from the greatest down. Empty: the
    /// order of the record.
    pub order: &'static [(&'static str, bool)],
    /// What the rows must meet, whatever the query chooses among them.
    pub only: Option<fn() -> Condition>,
}

impl Shape {
    /// The shape of `T`. Whatever the struct and the record do not agree in is found here, at the first start.
    ///
    /// # Panics
    /// When the object names a column or relation that the record lacks.
    #[must_use]
    #[expect(clippy::panic, reason = "an object that does not fit its record must not start; a test builds them all")]
    pub fn of<T: Object>(
        name: &'static str,
        enums: &[(&str, EnumType)],
        needs: &[(&str, &'static [&'static str])],
        relations: &[(&str, ShapeOf, Register)],
    ) -> Self {
        let meta = <T::Record as Record>::meta();
        let column = |field: &str| {
            let Some(column) = meta.column(field) else { panic!("{name} shows {field}, which is no column") };
            column
        };
        // A JSON column that a computed field of its name shows is no list of texts, so it cannot be filtered by.
        let computed =
            |field: &&&str| needs.iter().any(|(name, _)| *name == **field) && column(field).kind == Kind::Json;
        let fields = struct_fields::<T>()
            .iter()
            .filter(|field| !computed(field))
            .map(|field| Field {
                name: camel_case(field),
                column: column(field),
                values: enums.iter().find(|(own, _)| own.trim_start_matches("r#") == *field).map(|(_, values)| *values),
            })
            .collect();
        let needs = needs
            .iter()
            .map(|(field, columns)| {
                columns.iter().for_each(|needed| {
                    column(needed);
                });
                (camel_case(field), *columns)
            })
            .collect();
        let relations = relations
            .iter()
            .map(|(field, target, register_where)| {
                let field = camel_case(field);
                let Some(relation) = meta.relation(&field) else {
                    panic!("{name} shows {field}, which is no relation of {}", meta.name)
                };
                RelationField {
                    name: field,
                    relation,
                    target: *target,
                    register_where: *register_where,
                    usual: Usual::default(),
                }
            })
            .collect();
        Self { name, meta, fields, needs, relations, type_id: TypeId::of::<T>() }
    }

    /// The field of that name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The relation of that name.
    #[must_use]
    pub fn relation(&self, name: &str) -> Option<&RelationField> {
        self.relations.iter().find(|relation| relation.name == name)
    }
}

/// The names of a struct's fields, as its `Deserialize` asks for them.
fn struct_fields<T: DeserializeOwned>() -> &'static [&'static str] {
    struct Probe<'a>(&'a mut &'static [&'static str]);

    impl<'de> serde::Deserializer<'de> for Probe<'_> {
        type Error = serde::de::value::Error;

        fn deserialize_any<V: serde::de::Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
            Err(serde::de::Error::custom("only the names are wanted"))
        }

        fn deserialize_struct<V: serde::de::Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Self::Error> {
            *self.0 = fields;
            self.deserialize_any(visitor)
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    let mut fields: &'static [&'static str] = &[];
    let _ = T::deserialize(Probe(&mut fields));
    fields
}
