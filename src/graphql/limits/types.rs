//! What the cost must know of the schema: for each field what it leads to and how long a list it is.

use std::collections::HashMap;

use async_graphql::{
    Value,
    parser::{
        self, parse_schema,
        types::{BaseType, FieldDefinition, OperationType, Type, TypeKind, TypeSystemDefinition},
    },
};

use super::Limits;

/// The object and interface types of a schema.
#[derive(Debug)]
pub(super) struct TypeMap {
    types: HashMap<Box<str>, ObjectFields>,
    query: Box<str>,
    mutation: Box<str>,
    subscription: Box<str>,
}

/// The fields of one type.
pub(super) type ObjectFields = HashMap<Box<str>, FieldInfo>;

/// What the cost must know of one field.
#[derive(Debug)]
pub(super) struct FieldInfo {
    /// The object, interface or union that it leads to; nothing for a leaf.
    pub(super) result: Option<Box<str>>,
    pub(super) size: Size,
}

/// How many objects a field can hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// One, or a leaf.
    One,
    /// As many as the list in the argument of this name, or a guess.
    List(Option<Box<str>>),
    /// A connection: a page for what is selected below `edges` and `nodes`. Holds the default page size.
    Page(u64),
    /// `edges` or `nodes` of a connection.
    Rows,
}

impl TypeMap {
    pub(super) fn parse(sdl: &str, limits: &Limits) -> Result<Self, parser::Error> {
        let document = parse_schema(sdl)?;
        let mut map = Self {
            types: HashMap::new(),
            query: "Query".into(),
            mutation: "Mutation".into(),
            subscription: "Subscription".into(),
        };
        let mut definitions: HashMap<&str, Vec<&FieldDefinition>> = HashMap::new();
        let mut unions: Vec<&str> = Vec::new();
        for definition in &document.definitions {
            match definition {
                TypeSystemDefinition::Schema(schema) => {
                    let roots = [
                        (&schema.node.query, &mut map.query),
                        (&schema.node.mutation, &mut map.mutation),
                        (&schema.node.subscription, &mut map.subscription),
                    ];
                    for (name, root) in roots {
                        if let Some(name) = name {
                            *root = name.node.as_str().into();
                        }
                    }
                }
                TypeSystemDefinition::Type(definition) => {
                    let name = definition.node.name.node.as_str();
                    let fields = match &definition.node.kind {
                        TypeKind::Object(object) => &object.fields,
                        TypeKind::Interface(interface) => &interface.fields,
                        TypeKind::Union(_) => {
                            unions.push(name);
                            continue;
                        }
                        _ => continue,
                    };
                    definitions.entry(name).or_default().extend(fields.iter().map(|field| &field.node));
                }
                TypeSystemDefinition::Directive(_) => {}
            }
        }
        let is_connection = |name: &str| {
            definitions.get(name).is_some_and(|fields| {
                let has = |name: &str| fields.iter().any(|field| field.name.node == name);
                has("pageInfo") && (has("edges") || has("nodes"))
            })
        };
        for (name, fields) in &definitions {
            let connection = is_connection(name);
            let fields = fields.iter().map(|field| {
                let result = base_name(&field.ty.node);
                let composite = definitions.contains_key(result) || unions.contains(&result);
                let result: Option<Box<str>> = composite.then(|| result.into());
                let size = match &result {
                    None => Size::One,
                    Some(_) if connection && matches!(field.name.node.as_str(), "edges" | "nodes") => Size::Rows,
                    Some(result) if is_connection(result) => Size::Page(default_page(field, limits)),
                    Some(_) if is_list(&field.ty.node) => Size::List(list_argument(field)),
                    Some(_) => Size::One,
                };
                (field.name.node.as_str().into(), FieldInfo { result, size })
            });
            map.types.insert((*name).into(), fields.collect());
        }
        // Federation's root is not part of the API's own SDL.
        let entities = FieldInfo { result: Some("_Entity".into()), size: Size::List(Some("representations".into())) };
        map.types.entry(map.query.clone()).or_default().entry("_entities".into()).or_insert(entities);
        Ok(map)
    }

    pub(super) fn get(&self, name: &str) -> Option<&ObjectFields> {
        self.types.get(name)
    }

    pub(super) fn root(&self, kind: OperationType) -> Option<&ObjectFields> {
        self.get(match kind {
            OperationType::Query => &self.query,
            OperationType::Mutation => &self.mutation,
            OperationType::Subscription => &self.subscription,
        })
    }
}

fn base_name(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name.as_str(),
        BaseType::List(inner) => base_name(inner),
    }
}

fn is_list(ty: &Type) -> bool {
    matches!(ty.base, BaseType::List(_))
}

/// The page size that the schema itself gives as the default of `first`.
fn default_page(field: &FieldDefinition, limits: &Limits) -> u64 {
    let first = field.arguments.iter().find(|argument| argument.node.name.node == "first");
    match first.and_then(|first| first.node.default_value.as_ref()).map(|value| &value.node) {
        Some(Value::Number(number)) => number.as_u64().unwrap_or(limits.default_page),
        _ => limits.default_page,
    }
}

/// The required list among a field's arguments: a lookup by `ids` answers with as many objects.
fn list_argument(field: &FieldDefinition) -> Option<Box<str>> {
    let required = |ty: &Type| is_list(ty) && !ty.nullable;
    let argument = field.arguments.iter().find(|argument| required(&argument.node.ty.node))?;
    Some(argument.node.name.node.as_str().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_connections_lists_and_leaves() {
        let sdl = r"
            schema { query: Root }
            type Root { customers(first: Int, last: Int): CustomerConnection! pages(first: Int = 5): CustomerConnection
                nodes(ids: [ID!]!): [Node]! one: Customer any: [Any!]! }
            type CustomerConnection { edges: [CustomerEdge!]! nodes: [Customer!]! pageInfo: PageInfo! totalCount: Int! }
            type CustomerEdge { node: Customer! cursor: String! }
            type PageInfo { hasNextPage: Boolean! }
            type Customer implements Node { id: ID! tags: [String!]! }
            interface Node { id: ID! }
            union Any = Customer
        ";
        let map = TypeMap::parse(sdl, &Limits::default()).unwrap();
        let size = |ty: &str, field: &str| &map.get(ty).unwrap()[field].size;
        assert_eq!(size("Root", "customers"), &Size::Page(20));
        assert_eq!(size("Root", "pages"), &Size::Page(5));
        assert_eq!(size("Root", "nodes"), &Size::List(Some("ids".into())), "not the nodes of a connection");
        assert_eq!(size("Root", "any"), &Size::List(None));
        assert_eq!(size("Root", "one"), &Size::One);
        assert_eq!(size("CustomerConnection", "nodes"), &Size::Rows);
        assert_eq!(size("CustomerConnection", "pageInfo"), &Size::One);
        assert_eq!(size("Customer", "tags"), &Size::One, "a list of leaves is one field");
        assert!(map.root(OperationType::Query).unwrap().contains_key("_entities"));
        assert!(map.root(OperationType::Mutation).is_none());
    }
}
