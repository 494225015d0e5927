//! What is imported how: the mapping as people write it, and the plan that it becomes once it has been checked
//! against the record and the file.
//!
//! A field is named as in the API or as in the table: `annualRevenue`, `annual_revenue`. A record that it refers to
//! is found by one of the other record's own fields, one hop away: `owner.email`, `customer.external_reference`;
//! `related_to.customer.name` says which record, too. A bare reference (`owner_id`, `related_to`) takes ids.

use std::collections::BTreeMap;

use entity::record::{Column, Kind, Link, RecordMeta};
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    target::{Target, target_of},
    text::{Headings, Text},
};
use crate::{
    data::money,
    error::{Error, Result, UserError, UserErrorCode},
};

/// What to do with rows whose record is there, or is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Create what is not there, change what is.
    #[default]
    Upsert,
    /// Create; refuse rows whose record is there.
    Create,
    /// Change; refuse rows whose record is not there.
    Update,
}

/// What an empty value means for a record that is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Empty {
    /// Nothing: the record keeps what it has.
    #[default]
    Keep,
    /// The field becomes empty.
    Clear,
}

/// A mapping as people write it: on the command line, in a file, in a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mapping {
    /// The record that it is for, where the mapping says so.
    pub record: Option<String>,
    /// What stands between columns; found out where it is not given.
    pub delimiter: Option<char>,
    /// Fields that take a column's value: field → column, with filters.
    #[serde(deserialize_with = "paths")]
    pub map: BTreeMap<String, String>,
    /// Fields that take a text: field → text, with columns between braces.
    #[serde(deserialize_with = "paths")]
    pub set: BTreeMap<String, String>,
    /// The field by which a record is known again; `external_reference` where that is mapped.
    pub key: Option<String>,
    /// What to do with rows whose record is there, or is not.
    pub mode: Mode,
    /// What an empty value means for a record that is there.
    pub empty: Empty,
    /// Whether columns that carry a field's name fill it without being mapped.
    pub by_name: bool,
    /// The rules that these rows need not keep.
    pub waive: Vec<String>,
}

impl Default for Mapping {
    fn default() -> Self {
        Self {
            record: None,
            delimiter: None,
            map: BTreeMap::new(),
            set: BTreeMap::new(),
            key: None,
            mode: Mode::default(),
            empty: Empty::default(),
            by_name: true,
            waive: Vec::new(),
        }
    }
}

/// Reads paths with their texts. In TOML `owner.email = "…"` is a table within a table.
fn paths<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Node {
        Text(String),
        Bool(bool),
        Number(i64),
        Inner(BTreeMap<String, Node>),
    }
    fn flatten(prefix: &str, nodes: BTreeMap<String, Node>, into: &mut BTreeMap<String, String>) {
        for (name, node) in nodes {
            let path = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
            match node {
                Node::Text(text) => into.extend([(path, text)]),
                Node::Bool(value) => into.extend([(path, value.to_string())]),
                Node::Number(number) => into.extend([(path, number.to_string())]),
                Node::Inner(nodes) => flatten(&path, nodes, into),
            }
        }
    }
    let mut flat = BTreeMap::new();
    flatten("", BTreeMap::deserialize(deserializer)?, &mut flat);
    Ok(flat)
}

/// A mapping that fits its record and its file.
pub struct Plan {
    /// What fills each field.
    pub entries: Vec<Entry>,
    /// Which entry is the key.
    pub key: Option<usize>,
    /// What to do with rows whose record is there, or is not.
    pub mode: Mode,
    /// What an empty value means.
    pub empty: Empty,
    /// The rules that these rows need not keep.
    pub waived: Vec<&'static str>,
    /// The currency of amounts in rows that name none.
    pub currency: Option<String>,
    /// The columns that nothing uses.
    pub unused: Vec<String>,
}

/// One field and what fills it.
pub struct Entry {
    /// The field as it was written.
    pub name: String,
    /// The column that it fills.
    pub column: &'static Column,
    /// Whether that is a column of the record's part, such as the line of a deal.
    pub part: bool,
    /// How the text becomes the column's value.
    pub way: Way,
    /// What fills it.
    pub text: Text,
}

/// How a text becomes a column's value.
#[derive(Clone, Copy)]
pub enum Way {
    /// It is the value.
    Value,
    /// It names another record.
    Reference {
        /// That record.
        target: &'static RecordMeta,
        /// Its field that holds the text; without one the text is an id.
        by: Option<&'static Column>,
        /// The column that says which record it is, where that varies.
        type_column: Option<&'static Column>,
    },
    /// It is the id of a record of any type.
    AnyRecord {
        /// The column that says which.
        type_column: &'static Column,
    },
}

impl Way {
    /// The record and its column in which the text is looked for.
    #[must_use]
    pub fn look_up(&self) -> Option<(&'static RecordMeta, &'static Column)> {
        match self {
            Self::Reference { target, by: Some(by), .. } => Some((target, by)),
            _ => None,
        }
    }
}

/// Columns that the platform fills.
const OWN: [&str; 10] = [
    "id",
    "tenant_id",
    "version",
    "created_at",
    "created_by",
    "updated_at",
    "updated_by",
    "is_deleted",
    "deleted_at",
    "deleted_by",
];

impl Mapping {
    /// Checks the mapping against the record and the file.
    ///
    /// # Errors
    /// [`Error::User`] with everything that is wrong, each at the field's name.
    pub fn plan(&self, target: &dyn Target, headings: &Headings, currency: Option<&str>) -> Result<Plan> {
        let mut errors = Vec::new();
        if let Some(record) = &self.record
            && ![target.meta().module, target.meta().name].contains(&record.as_str())
        {
            let message = format!("the mapping is for {record}, not for {}", target.meta().module);
            return Err(Error::user(UserErrorCode::Invalid, &["mapping", "record"], message));
        }
        let mut entries: Vec<Entry> = Vec::new();
        let set = self.set.iter().map(|(field, text)| (field, Text::parse(text)));
        let map = self.map.iter().map(|(field, column)| (field, Text::column(column)));
        for (field, text) in set.chain(map) {
            let entry = text.map_err(|message| vec![message]).and_then(|text| entry(target, headings, field, text));
            match entry {
                Ok(entry) if entries.iter().any(|other| std::ptr::eq(other.column, entry.column)) => {
                    errors.push(problem(field, format!("{} is filled twice", entry.column.field)));
                }
                Ok(entry) => entries.push(entry),
                Err(messages) => errors.extend(messages.into_iter().map(|message| problem(field, message))),
            }
        }
        if self.by_name {
            add_by_name(target, headings, &mut entries, &mut errors);
        }
        if entries.is_empty() && errors.is_empty() {
            errors.push(UserError::new(UserErrorCode::Invalid, &["mapping"], nothing_mapped(target, headings)));
        }
        let key = self.find_key(target, &entries).unwrap_or_else(|error| {
            errors.push(error);
            None
        });
        let waived = self.find_waived(target, &mut errors);
        let used: Vec<usize> = entries.iter().flat_map(|entry| entry.text.columns()).collect();
        let named = headings.names().iter().enumerate();
        let unused = named.filter(|(index, _)| !used.contains(index)).map(|(_, name)| name.clone()).collect();
        let lacks_currency = |part: bool| {
            let of = |entry: &&Entry| entry.part == part;
            entries.iter().filter(of).any(|entry| entry.column.kind == Kind::Money)
                && !entries.iter().filter(of).any(|entry| entry.column.name == "currency")
        };
        if (lacks_currency(false) || lacks_currency(true)) && currency.and_then(money::currency).is_none() {
            errors.push(problem("currency", "amounts need a currency: set currency to a code such as USD".to_owned()));
        }
        if !errors.is_empty() {
            return Err(Error::User(errors));
        }
        Ok(Plan {
            entries,
            key,
            mode: self.mode,
            empty: self.empty,
            waived,
            currency: currency.map(str::to_owned),
            unused,
        })
    }

    /// What stands between columns, as a byte.
    ///
    /// # Errors
    /// [`Error::User`] when it is no character that may.
    pub fn delimiter(&self) -> Result<Option<u8>> {
        let Some(delimiter) = self.delimiter else { return Ok(None) };
        match u8::try_from(delimiter) {
            Ok(byte) if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n' | 0) => Ok(Some(byte)),
            _ => {
                let message = "what stands between columns must be one ASCII character";
                Err(Error::user(UserErrorCode::Invalid, &["mapping", "delimiter"], message))
            }
        }
    }

    fn find_key(&self, target: &dyn Target, entries: &[Entry]) -> Result<Option<usize>, UserError> {
        let meta = target.meta();
        let name = match &self.key {
            Some(key) => match field(meta, key) {
                Some(column) => column.name,
                None => return Err(problem(key, no_field(target, key))),
            },
            None => "external_reference",
        };
        let found = entries.iter().position(|entry| {
            !entry.part && entry.column.name == name && entry.column.kind == Kind::Text && is_value(&entry.way)
        });
        match (found, &self.key) {
            (None, Some(key)) => {
                Err(problem(key, format!("the key must be a text field that is mapped; {name} is not")))
            }
            (None, None) if self.mode != Mode::Create => {
                let message = format!(
                    "{} need a key by which they are known again: map external_reference, or name another field as \
                     the key; or only create",
                    meta.module
                );
                Err(UserError::new(UserErrorCode::Invalid, &["mapping", "key"], message))
            }
            (found, _) => Ok(found),
        }
    }

    fn find_waived(&self, target: &dyn Target, errors: &mut Vec<UserError>) -> Vec<&'static str> {
        let mut found = Vec::new();
        for name in &self.waive {
            match target.waivable().iter().find(|rule| **rule == name) {
                Some(rule) => found.push(*rule),
                None => {
                    let rules = match target.waivable() {
                        [] => "there is none".to_owned(),
                        rules => format!("there is {}", rules.join(", ")),
                    };
                    let message = format!("{} have no rule \"{name}\" to waive; {rules}", target.meta().module);
                    errors.push(UserError::new(UserErrorCode::Invalid, &["mapping", "waive"], message));
                }
            }
        }
        found
    }
}

fn is_value(way: &Way) -> bool {
    matches!(way, Way::Value)
}

fn problem(field: &str, message: String) -> UserError {
    UserError::new(UserErrorCode::Invalid, &["mapping", field], message)
}

fn entry(target: &dyn Target, headings: &Headings, name: &str, mut text: Text) -> Result<Entry, Vec<String>> {
    let (mut messages, found) = match resolve(target, name) {
        Ok(found) => (Vec::new(), Some(found)),
        Err(message) => (vec![message], None),
    };
    if let Err(message) = text.bind(headings) {
        messages.push(message);
    }
    match found {
        Some((column, way, part)) if messages.is_empty() => {
            Ok(Entry { name: name.to_owned(), column, part, way, text })
        }
        _ => Err(messages),
    }
}

/// Columns that carry a field's own name fill it.
fn add_by_name(target: &dyn Target, headings: &Headings, entries: &mut Vec<Entry>, errors: &mut Vec<UserError>) {
    for heading in headings.names() {
        let name = heading.trim().to_lowercase().replace([' ', '-'], "_");
        let Ok((column, way, part)) = resolve(target, &name) else { continue };
        if entries.iter().any(|entry| std::ptr::eq(entry.column, column)) {
            continue;
        }
        let Ok(mut text) = Text::column(&format!("\"{heading}\"")) else { continue };
        match text.bind(headings) {
            Ok(()) => entries.push(Entry { name, column, part, way, text }),
            // Of columns with one name, it is not known which is meant.
            Err(message) => {
                let error = problem(&name, message);
                if !errors.contains(&error) {
                    errors.push(error);
                }
            }
        }
    }
}

/// The column that a field's name means.
fn field(meta: &'static RecordMeta, name: &str) -> Option<&'static Column> {
    meta.columns.iter().find(|column| column.name == name || column.field == name)
}

fn same(relation: &str, name: &str) -> bool {
    relation == name || relation == entity::record::camel_case(name)
}

/// The column that a path such as `owner.email` fills, how, and whether it is one of the record's part.
fn resolve(target: &dyn Target, path: &str) -> Result<(&'static Column, Way, bool), String> {
    if let Some(part) = target.part()
        && let Some(rest) = path.strip_prefix(part.name).and_then(|rest| rest.strip_prefix('.'))
    {
        let fixed = |column: &str| part.fixed.contains(&column);
        let unknown = |name: &str| no_field(target, &format!("{}.{name}", part.name));
        return resolve_in(part.meta, &fixed, &unknown, rest).map(|(column, way)| (column, way, true));
    }
    let fixed = |column: &str| target.is_fixed(column);
    resolve_in(target.meta(), &fixed, &|name| no_field(target, name), path).map(|(column, way)| (column, way, false))
}

fn resolve_in(
    meta: &'static RecordMeta,
    fixed: &dyn Fn(&str) -> bool,
    unknown: &dyn Fn(&str) -> String,
    path: &str,
) -> Result<(&'static Column, Way), String> {
    let of_record = |name: &str| meta.column(name).ok_or_else(|| unknown(path));
    let parts: Vec<&str> = path.split('.').map(str::trim).collect();
    match parts.as_slice() {
        [related] if same("relatedTo", related) => {
            let type_column = of_record("related_type")?;
            Ok((of_record("related_id")?, Way::AnyRecord { type_column }))
        }
        [related, record, by] if same("relatedTo", related) => {
            let type_column = of_record("related_type")?;
            let other = target_of(record).ok_or_else(|| format!("there is no record \"{record}\""))?.meta();
            let by = Some(looked_up(&format!("{related}.{record}"), other, by)?);
            Ok((of_record("related_id")?, Way::Reference { target: other, by, type_column: Some(type_column) }))
        }
        [name] => match field(meta, name) {
            Some(column) if OWN.contains(&column.name) || fixed(column.name) => {
                Err(format!("{} is filled by the platform", column.field))
            }
            Some(column) if column.kind == Kind::Uuid => match meta.reference(column.name) {
                Some(relation) => {
                    Ok((column, Way::Reference { target: (relation.target)(), by: None, type_column: None }))
                }
                None => Err(format!("{} cannot be imported", column.field)),
            },
            Some(column) => Ok((column, Way::Value)),
            None => match to_one(meta, name) {
                Some((_, other)) => Err(format!("say by what it is found: {}", ways_to_find(name, other))),
                None => Err(unknown(name)),
            },
        },
        [name, by] => {
            let (column, other) = to_one(meta, name).ok_or_else(|| unknown(path))?;
            if fixed(column) {
                return Err(format!("{name} is filled by the platform"));
            }
            let by = Some(looked_up(name, other, by)?);
            Ok((of_record(column)?, Way::Reference { target: other, by, type_column: None }))
        }
        _ => Err(unknown(path)),
    }
}

/// The key of a to-one relation, and where it leads.
fn to_one(meta: &'static RecordMeta, name: &str) -> Option<(&'static str, &'static RecordMeta)> {
    meta.relations.iter().find_map(|relation| match relation.link {
        Link::One { column } if same(relation.name, name) && !OWN.contains(&column) => {
            Some((column, (relation.target)()))
        }
        _ => None,
    })
}

fn looked_up(name: &str, other: &'static RecordMeta, by: &str) -> Result<&'static Column, String> {
    field(other, by).filter(|column| column.kind == Kind::Text).ok_or_else(|| {
        let ways = ways_to_find(name, other);
        format!("{} are not found by {by}; say by a text field of theirs, such as {ways}", other.module)
    })
}

fn ways_to_find(name: &str, other: &RecordMeta) -> String {
    let usual = ["external_reference", "name", "email", "sku", "title", "number"];
    let ways: Vec<_> = usual
        .iter()
        .filter(|by| other.column(by).is_some_and(|column| column.kind == Kind::Text))
        .map(|by| format!("{name}.{by}"))
        .collect();
    ways.join(", ")
}

fn no_field(target: &dyn Target, name: &str) -> String {
    let meta = target.meta();
    let fields = fields_of(target);
    let close = fields.iter().find(|field| super::findings::alike(field, name));
    match close {
        Some(close) => format!("{} have no field \"{name}\"; did you mean {close}?", meta.module),
        None => format!("{} have no field \"{name}\"; they have {}", meta.module, fields.join(", ")),
    }
}

/// The fields that an import can fill, as it names them.
#[must_use]
pub fn fields_of(target: &dyn Target) -> Vec<String> {
    let mut fields = names_of(target.meta(), "", &|column| target.is_fixed(column));
    if let Some(part) = target.part() {
        fields.extend(names_of(part.meta, &format!("{}.", part.name), &|column| part.fixed.contains(&column)));
    }
    fields
}

fn names_of(meta: &RecordMeta, prefix: &str, fixed: &dyn Fn(&str) -> bool) -> Vec<String> {
    let own = meta.columns.iter().filter(|column| !OWN.contains(&column.name) && !fixed(column.name));
    own.filter(|column| column.name != "related_type")
        .map(|column| match column.name {
            "related_id" => format!("{prefix}related_to"),
            name => match meta.reference(name) {
                Some(relation) => format!("{prefix}{}.…", snake_case(relation.name)),
                None => format!("{prefix}{name}"),
            },
        })
        .collect()
}

fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

fn nothing_mapped(target: &dyn Target, headings: &Headings) -> String {
    format!(
        "no field is filled: no column ({}) carries the name of a field ({}), and none is mapped",
        headings.names().join(", "),
        fields_of(target).join(", ")
    )
}
