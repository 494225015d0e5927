//! The schema as tests walk it: its roots, their arguments down to the leaves, what can be selected, and values that fit.
//!
//! Everything is read from the SDL, so that what is added to the schema is tested without being named here. What cannot
//! be read from it, such as which record an argument called `stageId` means, is said in the tables below; a test that
//! meets something unknown fails and says which table wants a line.

use std::collections::BTreeMap;

use async_graphql_parser::{
    parse_schema,
    types::{BaseType, FieldDefinition, InputValueDefinition, Type, TypeKind, TypeSystemDefinition},
};
use serde_json::{Map, Value, json};

/// Which record an id means, where its name does not say: the argument's or field's name without `Id`.
const MEANINGS: &[(&str, &str)] = &[
    ("assignee", "user"),
    ("manager", "user"),
    ("owner", "user"),
    ("user", "user"),
    ("primaryContact", "contact"),
    ("replacement", "pipeline_stage"),
    ("stage", "pipeline_stage"),
    // What an activity is about may be several records; a customer stands for them.
    ("relatedTo", "customer"),
    ("related", "customer"),
];

/// Values that fit where the first that comes to mind does not: the type or field, and the value.
fn special(name: &str, ty: &str) -> Option<Value> {
    Some(match (name, ty) {
        ("foundedYear", _) => json!(1990),
        ("url", "String") => json!("https://receiver.example/hook"),
        ("events", "String") => json!("customer.*"),
        ("secret", "String") => json!("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("permissions" | "scopes", "String") => json!("customers.read"),
        ("timeZone", "String") => json!("Europe/Berlin"),
        ("locale", "String") => json!("en"),
        (_, "Boolean") => json!(false),
        (_, "Int") => json!(1),
        (_, "Float") => json!(1.5),
        (_, "Decimal") => json!("1"),
        (_, "Date") => json!("2026-01-31"),
        (_, "DateTime") => json!("2026-01-31T10:00:00Z"),
        (_, "CurrencyCode") => json!("EUR"),
        (_, "EmailAddress") => json!("somebody@example.org"),
        (_, "PhoneNumber") => json!("+492211234567"),
        (_, "URL") => json!("https://example.org"),
        (_, "ConditionInput") => json!({ "field": "id", "operator": "IS_NOT_EMPTY" }),
        (_, "JSON") => json!("something"),
        _ => return None,
    })
}

/// What a root does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Query,
    Mutation,
    Subscription,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Mutation => "mutation",
            Self::Subscription => "subscription",
        }
    }
}

/// A field of a root type.
#[derive(Clone)]
pub struct Root {
    pub kind: Kind,
    pub name: String,
    pub arguments: Vec<InputValueDefinition>,
    pub answer: String,
}

/// A field that answers records.
#[derive(Clone, Debug)]
pub struct Relation {
    pub name: String,
    /// Whether it answers a connection.
    pub many: bool,
    /// The type of the records.
    pub target: String,
}

/// A place in the arguments of a root: the argument and the input fields below it. Lists have one element there.
#[derive(Clone, Debug)]
pub struct Place {
    pub path: Vec<String>,
    /// The record that it means, where it is an id.
    pub record: Option<String>,
}

/// How values are made.
pub struct Values<'a> {
    /// Ids of records by the record's name.
    pub ids: &'a BTreeMap<String, String>,
    /// Fills every text and every id that is known, not only what must be given; texts are this marker.
    pub marker: Option<&'a str>,
    /// What is put at one place.
    pub target: Option<(&'a [String], &'a Value)>,
    /// What is left out although it could be given.
    pub without: &'a [String],
}

/// The schema.
pub struct Surface {
    types: BTreeMap<String, TypeKind>,
}

impl Surface {
    pub fn read() -> Self {
        let document = parse_schema(rapport::graphql::schema::sdl(false)).unwrap();
        let types = document.definitions.into_iter().filter_map(|definition| match definition {
            TypeSystemDefinition::Type(ty) => Some((ty.node.name.node.to_string(), ty.node.kind)),
            _ => None,
        });
        Self { types: types.collect() }
    }

    /// Every root: queries, mutations, subscriptions, in the order of their names.
    pub fn roots(&self) -> Vec<Root> {
        let kinds = [(Kind::Query, "Query"), (Kind::Mutation, "Mutation"), (Kind::Subscription, "Subscription")];
        let mut roots: Vec<Root> = kinds
            .into_iter()
            .flat_map(|(kind, name)| self.fields(name).into_iter().map(move |field| (kind, field)))
            .map(|(kind, field)| Root {
                kind,
                name: field.name.node.to_string(),
                arguments: field.arguments.iter().map(|argument| argument.node.clone()).collect(),
                answer: base(&field.ty.node).to_owned(),
            })
            .collect();
        roots.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        assert!(roots.len() > 40, "the schema was not read");
        roots
    }

    /// The fields of an object or an interface.
    pub fn fields(&self, ty: &str) -> Vec<&FieldDefinition> {
        match self.types.get(ty) {
            Some(TypeKind::Object(object)) => object.fields.iter().map(|field| &field.node).collect(),
            Some(TypeKind::Interface(interface)) => interface.fields.iter().map(|field| &field.node).collect(),
            _ => Vec::new(),
        }
    }

    pub fn has_field(&self, ty: &str, field: &str) -> bool {
        self.fields(ty).iter().any(|of| of.name.node == field)
    }

    pub fn is_connection(&self, ty: &str) -> bool {
        self.has_field(ty, "pageInfo") && self.has_field(ty, "edges")
    }

    /// What a connection lists.
    pub fn listed(&self, connection: &str) -> String {
        let edges = self.fields(connection).into_iter().find(|field| field.name.node == "edges").unwrap();
        let edge = base(&edges.ty.node).to_owned();
        let node = self.fields(&edge).into_iter().find(|field| field.name.node == "node").unwrap();
        base(&node.ty.node).to_owned()
    }

    /// The names of the types of records, as ids begin with them.
    pub fn records(&self) -> Vec<String> {
        self.values("RecordType").iter().map(|value| value.to_lowercase()).collect()
    }

    /// The values of an enum.
    pub fn values(&self, ty: &str) -> Vec<String> {
        match self.types.get(ty) {
            Some(TypeKind::Enum(of)) => of.values.iter().map(|value| value.node.value.node.to_string()).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether a type is one of records: what `node` can answer.
    pub fn is_record(&self, ty: &str) -> bool {
        let node = |of: &str| of == "Node";
        matches!(self.types.get(ty), Some(TypeKind::Object(object)) if object.implements.iter().any(|of| node(&of.node)))
    }

    /// The types of records that a union or an interface stands for.
    pub fn members(&self, ty: &str) -> Vec<String> {
        match self.types.get(ty) {
            Some(TypeKind::Union(union)) => union.members.iter().map(|of| of.node.to_string()).collect(),
            _ => self.types.keys().filter(|of| self.is_record(of)).cloned().collect(),
        }
    }

    /// Where a type leads: the fields that answer records, with the type they lead to.
    pub fn relations(&self, ty: &str) -> Vec<Relation> {
        let relation = |field: &FieldDefinition| {
            let (name, leads_to) = (field.name.node.to_string(), base(&field.ty.node));
            let many = self.is_connection(leads_to);
            let target = if many { self.listed(leads_to) } else { leads_to.to_owned() };
            let several = matches!(self.types.get(&target), Some(TypeKind::Union(_) | TypeKind::Interface(_)));
            (many || several || self.is_record(&target)).then_some(Relation { name, many, target })
        };
        self.fields(ty).into_iter().filter_map(relation).collect()
    }

    /// The fields of an input type, none for any other.
    pub fn input_fields(&self, ty: &str) -> Vec<(String, String)> {
        let inputs = self.inputs(ty).unwrap_or_default();
        inputs.iter().map(|of| (of.name.node.to_string(), base(&of.ty.node).to_owned())).collect()
    }

    fn inputs(&self, ty: &str) -> Option<Vec<&InputValueDefinition>> {
        match self.types.get(ty)? {
            TypeKind::InputObject(input) => Some(input.fields.iter().map(|field| &field.node).collect()),
            _ => None,
        }
    }

    /// The record that a root or an input type is of: the longest that its name begins with.
    pub fn record_of(&self, name: &str) -> Option<String> {
        let name = name.to_lowercase();
        let name = name.strip_prefix("customer360").map_or(name.clone(), |_| "customer".to_owned());
        let mut found: Vec<String> =
            self.records().into_iter().filter(|record| name.starts_with(&record.replace('_', ""))).collect();
        found.sort_by_key(String::len);
        // Tenants and jobs are no records: they stand in the master database. They have ids all the same.
        let others = ["tenant", "job"].into_iter().find(|of| name.starts_with(of));
        found.pop().or_else(|| others.map(str::to_owned))
    }

    /// The record that an id means; `within` is the record of the root or the input type around it.
    fn meaning(&self, name: &str, within: Option<&str>) -> String {
        if matches!(name, "id" | "ids" | "eq" | "neq" | "in" | "notIn" | "parentId" | "mergeIds" | "duplicateId") {
            return within.unwrap_or("customer").to_owned();
        }
        let stem = name.strip_suffix("Ids").or(name.strip_suffix("Id")).unwrap_or(name);
        let known = MEANINGS.iter().find(|(of, _)| *of == stem).map(|(_, record)| (*record).to_owned());
        let named = || self.records().into_iter().find(|record| record.replace('_', "") == stem.to_lowercase());
        known.or_else(named).unwrap_or_else(|| {
            panic!("which record does the id `{name}` mean? Say it in MEANINGS of tests/it/policy/surface.rs")
        })
    }

    /// A value for an argument or an input field; `None` when it needs an id that is not known.
    fn value(
        &self,
        of: &InputValueDefinition,
        within: Option<&str>,
        at: &mut Vec<String>,
        values: &Values<'_>,
    ) -> Option<Value> {
        let name = of.name.node.as_str();
        at.push(name.to_owned());
        let value = self.leaf(&of.ty.node, name, within, at, values);
        at.pop();
        let mut value = value?;
        let mut ty = &of.ty.node;
        while let BaseType::List(inner) = &ty.base {
            value = json!([value]);
            ty = inner;
        }
        Some(value)
    }

    fn leaf(
        &self,
        ty: &Type,
        name: &str,
        within: Option<&str>,
        at: &mut Vec<String>,
        values: &Values<'_>,
    ) -> Option<Value> {
        if let Some((path, value)) = values.target.filter(|(path, _)| *path == at.as_slice()) {
            let _ = path;
            return Some(value.clone());
        }
        let ty = base(ty);
        if ty == "ID" {
            return values.ids.get(&self.meaning(name, within)).map(|id| json!(id));
        }
        if ty == "_Any" {
            return Some(json!({ "__typename": "Customer", "id": values.ids.get("customer")? }));
        }
        if let Some(inputs) = self.inputs(ty) {
            let within = self.record_of(ty).or_else(|| within.map(str::to_owned));
            let mut object = Map::new();
            for input in inputs {
                let (field, required) =
                    (input.name.node.as_str(), !input.ty.node.nullable && input.default_value.is_none());
                let targeted = values.target.is_some_and(|(path, _)| {
                    path.starts_with(at) && path.get(at.len()).is_some_and(|next| next == field)
                });
                let filled = values.marker.is_some()
                    && self.can_be_filled(input)
                    && !values.without.iter().any(|of| of == field);
                if !(required || targeted || filled) {
                    continue;
                }
                match self.value(input, within.as_deref(), at, values) {
                    Some(value) => drop(object.insert(field.to_owned(), value)),
                    None if required => return None,
                    None => {}
                }
            }
            return Some(Value::Object(object));
        }
        // An address that can be had once only.
        if let Some(marker) = values.marker.filter(|_| ty == "EmailAddress") {
            return Some(json!(format!("{}@example.org", marker.to_lowercase().replace(' ', "-"))));
        }
        if let Some(value) = special(name, ty) {
            return Some(value);
        }
        if let Some(value) = self.values(ty).first() {
            return Some(json!(value));
        }
        assert_eq!(ty, "String", "a value of `{ty}` for `{name}`? Say it in `special` of tests/it/policy/surface.rs");
        Some(json!(values.marker.unwrap_or("Something")))
    }

    fn can_be_filled(&self, input: &InputValueDefinition) -> bool {
        let ty = base(&input.ty.node);
        // What kind of record it is, and how likely a stage is to be won, must be said when one is made, even where a
        // change may leave it out.
        let named = |name: &str| input.name.node == name;
        let needed = ((named("type") || named("scope")) && !self.values(ty).is_empty())
            || named("probability")
            || ty == "EmailAddress";
        (needed || matches!(ty, "String" | "ID" | "AddressInput" | "MoneyInput")) && input.name.node != "id"
    }

    /// The arguments of a root; `None` when they need an id that is not known.
    pub fn arguments(&self, root: &Root, values: &Values<'_>) -> Option<Map<String, Value>> {
        let within = self.record_of(&root.name);
        let mut arguments = Map::new();
        for argument in &root.arguments {
            let name = argument.name.node.as_str();
            let required = !argument.ty.node.nullable && argument.default_value.is_none();
            let targeted = values.target.is_some_and(|(path, _)| path.first().is_some_and(|first| first == name));
            if !(required || targeted) {
                continue;
            }
            arguments.insert(name.to_owned(), self.value(argument, within.as_deref(), &mut Vec::new(), values)?);
        }
        Some(arguments)
    }

    /// The document that calls a root with these arguments as variables.
    pub fn document(&self, root: &Root, arguments: &Map<String, Value>, selection: &str) -> String {
        let given = root.arguments.iter().filter(|argument| arguments.contains_key(argument.name.node.as_str()));
        let (mut declared, mut passed) = (Vec::new(), Vec::new());
        for argument in given {
            let name = argument.name.node.as_str();
            declared.push(format!("${name}: {}", argument.ty.node));
            passed.push(format!("{name}: ${name}"));
        }
        let parentheses =
            |parts: Vec<String>| if parts.is_empty() { String::new() } else { format!("({})", parts.join(", ")) };
        let (declared, passed) = (parentheses(declared), parentheses(passed));
        format!("{}{declared} {{ {}{passed} {selection} }}", root.kind.name(), root.name)
    }

    /// Every leaf of a root's arguments, through input types; relations of filters are followed `relations` deep.
    pub fn places(&self, root: &Root, relations: usize) -> Vec<Place> {
        let mut places = Vec::new();
        let within = self.record_of(&root.name);
        for argument in &root.arguments {
            self.collect(argument, within.as_deref(), &mut Vec::new(), relations, &mut places);
        }
        places
    }

    fn collect(
        &self,
        of: &InputValueDefinition,
        within: Option<&str>,
        at: &mut Vec<String>,
        relations: usize,
        places: &mut Vec<Place>,
    ) {
        let (name, ty) = (of.name.node.as_str(), base(&of.ty.node));
        at.push(name.to_owned());
        match self.inputs(ty) {
            Some(inputs) => {
                let within = self.record_of(ty).or_else(|| within.map(str::to_owned));
                for input in inputs {
                    let further = base(&input.ty.node);
                    let logic = matches!(input.name.node.as_str(), "and" | "or" | "not");
                    let relation = further.ends_with("Where") && ty.ends_with("Where");
                    // `some`, `every`, `none` of a list are one step together with the list.
                    let cost =
                        usize::from(relation || (further.ends_with("ListFilter") && further != "StringListFilter"));
                    // What groups nest in says nothing new one level further down.
                    let nested = further == ty && !ty.ends_with("Where");
                    if nested || (logic && at.len() > 1) || cost > relations {
                        continue;
                    }
                    self.collect(input, within.as_deref(), at, relations - cost, places);
                }
            }
            None => {
                let record = (ty == "ID").then(|| self.meaning(name, within));
                places.push(Place { path: at.clone(), record });
            }
        }
        at.pop();
    }

    /// What to ask of an answer: every leaf, and of what it leads to `depth` levels. Of an interface or a union the
    /// leaves of `narrow`.
    pub fn selection(&self, ty: &str, depth: usize, narrow: Option<&str>) -> String {
        match self.types.get(ty) {
            Some(TypeKind::Scalar | TypeKind::Enum(_)) | None => String::new(),
            Some(TypeKind::Union(_) | TypeKind::Interface(_)) => match narrow {
                Some(narrow) => format!("{{ __typename ... on {narrow} {} }}", self.selection(narrow, depth, None)),
                None => "{ __typename }".to_owned(),
            },
            Some(_) if self.is_connection(ty) => {
                let listed = self.listed(ty);
                let total = if self.has_field(ty, "totalCount") { "totalCount " } else { "" };
                let rows = self.selection(&listed, depth, narrow);
                format!("{{ {total}edges {{ cursor node {rows} }} }}")
            }
            Some(_) => {
                let mut parts = vec!["__typename".to_owned()];
                for field in self.fields(ty) {
                    let part = self.field_selection(ty, field.name.node.as_str(), depth, narrow);
                    parts.extend(Some(part).filter(|part| !part.is_empty()));
                }
                format!("{{ {} }}", parts.join(" "))
            }
        }
    }

    /// One field of [`Surface::selection`]; nothing where it needs arguments or leads too far.
    pub fn field_selection(&self, ty: &str, name: &str, depth: usize, narrow: Option<&str>) -> String {
        let field = self.fields(ty).into_iter().find(|field| field.name.node == name).unwrap();
        let leads_to = base(&field.ty.node);
        let needs = field.arguments.iter().any(|of| !of.node.ty.node.nullable && of.node.default_value.is_none());
        let composite =
            !self.fields(leads_to).is_empty() || matches!(self.types.get(leads_to), Some(TypeKind::Union(_)));
        if needs || (composite && depth == 0) {
            return String::new();
        }
        let pages = composite && field.arguments.iter().any(|of| of.node.name.node == "first");
        let page = if pages { "(first: 2)" } else { "" };
        format!("{name}{page} {}", self.selection(leads_to, depth.saturating_sub(1), narrow))
    }
}

/// The named type within lists.
pub fn base(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name.as_str(),
        BaseType::List(inner) => base(inner),
    }
}

/// `opportunity_line` as `OpportunityLine`.
pub fn pascal(record: &str) -> String {
    let capital = |word: &str| word.get(..1).unwrap_or_default().to_uppercase() + word.get(1..).unwrap_or_default();
    record.split('_').map(capital).collect()
}
