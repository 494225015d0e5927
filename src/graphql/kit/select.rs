//! From a selection to a plan: which columns and relations of a record the query asks for, and with what arguments.
//!
//! Fields with the same response key are merged, as the specification says. Below a fragment on another type the
//! selection may ask for more than the record has; what is not a column or relation is left to its resolver.

use std::sync::Arc;

use async_graphql::{Name, SelectionField, Value};
use data_encoding::BASE64URL_NOPAD;
use entity::record::Link;
use serde_json::Value as Json;

use super::{
    filter, order,
    shape::{RelationField, Shape, Usual},
};
use crate::{
    auth::Actor,
    condition::Condition,
    data::plan::{Child, List, Order, Plan, denied},
    error::{Error, Result},
};

/// How many rows a page has when nothing is said.
pub const DEFAULT_PAGE: u32 = 20;
/// How many rows a page has at most.
pub const LARGEST_PAGE: u32 = 100;

/// A plan for the selections of one object; `deep` plans its relations too.
///
/// # Errors
/// [`Error::BadInput`] for arguments that cannot be meant.
pub fn plan(shape: &'static Shape, fields: &[SelectionField<'_>], actor: &Actor, deep: bool) -> Result<Plan> {
    let mut plan = Plan::new(shape.meta);
    let mut relations: Vec<(&str, &'static RelationField, Vec<SelectionField<'_>>)> = Vec::new();
    for field in fields {
        let name = field.name();
        if let Some(own) = shape.field(name) {
            plan.want(own.column);
        }
        for (_, columns) in shape.needs.iter().filter(|(own, _)| own == name) {
            columns.iter().filter_map(|column| shape.meta.column(column)).for_each(|column| plan.want(column));
        }
        if let Some(relation) = shape.relation(name) {
            // The key of the relation is read even where the relation itself is left to the loader.
            let key = field.alias().unwrap_or(name);
            match relations.iter_mut().find(|(own, ..)| *own == key) {
                Some((.., selections)) => selections.push(*field),
                None => relations.push((key, relation, vec![*field])),
            }
        }
    }
    if deep {
        for (key, relation, selections) in relations {
            plan.children.push(child(key, relation, &selections, actor, deep)?);
        }
    }
    Ok(plan)
}

/// A relation that is asked for as `key`.
///
/// # Errors
/// [`Error::BadInput`] for arguments that cannot be meant.
pub fn child(
    key: &str,
    field: &'static RelationField,
    selections: &[SelectionField<'_>],
    actor: &Actor,
    deep: bool,
) -> Result<Child> {
    let target = (field.target)();
    let (list, selected) = match field.relation.link {
        Link::One { .. } => (None, selections.iter().flat_map(|field| field.selection_set()).collect()),
        Link::Many { .. } => {
            let (list, selected) = connection(target, selections, field.usual).map_err(|error| match error {
                Error::BadInput(message) => Error::BadInput(format!("{key}: {message}")),
                other => other,
            })?;
            (Some(list), selected)
        }
    };
    Ok(Child {
        key: key.to_owned(),
        relation: field.relation,
        plan: Arc::new(plan(target, &selected, actor, deep)?),
        list,
        denied: denied(target.meta, actor),
    })
}

/// Which rows a connection is to hold, and what is selected of each.
///
/// # Errors
/// [`Error::BadInput`] for arguments that cannot be meant.
pub fn connection<'a>(
    shape: &'static Shape,
    selections: &[SelectionField<'a>],
    usual: Usual,
) -> Result<(List, Vec<SelectionField<'a>>)> {
    let arguments = match selections.first() {
        Some(field) => field.arguments().map_err(|error| Error::BadInput(error.message))?,
        None => Vec::new(),
    };
    let mut list = list(shape, arguments, usual)?;
    let mut selected = Vec::new();
    for field in selections.iter().flat_map(|field| field.selection_set()) {
        match field.name() {
            "nodes" => {
                list.rows = true;
                selected.extend(field.selection_set());
            }
            "edges" => {
                (list.rows, list.cursors) = (true, true);
                selected.extend(below(&[field], "node"));
            }
            "pageInfo" => (list.rows, list.cursors) = (true, true),
            "totalCount" => list.total = true,
            _ => {}
        }
    }
    Ok((list, selected))
}

/// What is selected of the field `name` within these selections.
#[must_use]
pub fn below<'a>(selections: &[SelectionField<'a>], name: &str) -> Vec<SelectionField<'a>> {
    let mut below = Vec::new();
    for selection in selections {
        for field in selection.selection_set().filter(|field| field.name() == name) {
            below.extend(field.selection_set());
        }
    }
    below
}

/// The arguments of a list: `first` or `last`, `after` or `before`, `where`, `orderBy`.
fn list(shape: &'static Shape, arguments: Vec<(Name, Value)>, usual: Usual) -> Result<List> {
    let (mut first, mut last, mut after, mut before) = (None, None, None, None);
    let mut list = List::default();
    for (name, value) in arguments {
        match (name.as_str(), value) {
            (_, Value::Null) => {}
            ("first", value) => first = Some(size("first", &value)?),
            ("last", value) => last = Some(size("last", &value)?),
            ("after", Value::String(cursor)) => after = Some(cursor),
            ("before", Value::String(cursor)) => before = Some(cursor),
            ("where", value) => list.condition = Some(filter::parse(shape, &value).map_err(Error::BadInput)?),
            ("orderBy", value) => list.order = order::parse(shape, &value).map_err(Error::BadInput)?,
            _ => {}
        }
    }
    if let Some(only) = usual.only {
        list.condition = Some(Condition::All(std::iter::once(only()).chain(list.condition.take()).collect()));
    }
    if list.order.is_empty() {
        let order = |(name, descending): &(&str, bool)| {
            shape.meta.column(name).map(|column| Order { column, descending: *descending })
        };
        list.order = usual.order.iter().filter_map(order).collect();
    }
    if list.order.is_empty() {
        let (column, descending) = shape.meta.order;
        list.order = shape.meta.column(column).map(|column| Order { column, descending }).into_iter().collect();
    }
    let refused = |message: &str| Err(Error::BadInput(message.to_owned()));
    (list.limit, list.backward) = match (first, last) {
        (Some(_), Some(_)) => return refused("give first or last, not both"),
        (Some(first), None) => (first, false),
        (None, Some(last)) => (last, true),
        (None, None) => (DEFAULT_PAGE, before.is_some() && after.is_none()),
    };
    let cursor = match (list.backward, after, before) {
        (_, Some(_), Some(_)) => return refused("give after or before, not both"),
        (true, Some(_), None) => return refused("last goes with before; use first with after"),
        (false, None, Some(_)) => return refused("first goes with after; use last with before"),
        (_, after, before) => after.or(before),
    };
    list.cursor = cursor.map(|cursor| read_cursor(&list.order, &cursor)).transpose()?;
    Ok(list)
}

fn size(name: &str, value: &Value) -> Result<u32> {
    let number = match value {
        Value::Number(number) => number.as_i64(),
        _ => None,
    };
    number
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| *number <= LARGEST_PAGE)
        .ok_or_else(|| Error::BadInput(format!("{name} is a number from 0 to {LARGEST_PAGE}")))
}

/// What tells one order from another, so that a cursor is not used with the wrong one.
fn order_key(order: &[Order]) -> String {
    let keys: Vec<String> =
        order.iter().map(|key| format!("{}{}", if key.descending { '-' } else { '+' }, key.column.name)).collect();
    keys.concat()
}

/// The cursor of a row: its sort values and the order they belong to, as base64url of JSON.
#[must_use]
pub fn write_cursor(order: &[Order], values: Vec<Json>) -> String {
    let mut parts = vec![Json::String(order_key(order))];
    parts.extend(values);
    BASE64URL_NOPAD.encode(Json::Array(parts).to_string().as_bytes())
}

fn read_cursor(order: &[Order], cursor: &str) -> Result<Vec<Json>> {
    let refused = |message: &str| Error::BadInput(message.to_owned());
    let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).map_err(|_| refused("this is no cursor of this list"))?;
    let mut parts: Vec<Json> = serde_json::from_slice(&bytes).map_err(|_| refused("this is no cursor of this list"))?;
    if parts.first().and_then(Json::as_str) != Some(&order_key(order)) {
        return Err(refused("this cursor belongs to a list in another order"));
    }
    parts.remove(0);
    Ok(parts)
}
