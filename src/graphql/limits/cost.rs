//! The cost of an operation, by the formula in the [module's](super) prose.
//!
//! A fragment is weighed once, although its weight depends on where it is spread: on a connection type, what it selects
//! below `edges` and `nodes` is multiplied by a page size that only the field above knows. So a weight is a pair, what
//! counts once and what counts for every row, and the field above puts the two together.

use std::{collections::HashMap, ops::AddAssign};

use async_graphql::{
    Name, Positioned, Value, Variables,
    parser::types::{Directive, ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet},
};
use async_graphql_value::Value as Input;

use super::{
    Cost, Limits, Refusal,
    types::{ObjectFields, Size, TypeMap},
};

/// Something counted once, and something counted for every row of the connection it stands in.
#[derive(Clone, Copy, Default)]
struct Count {
    once: u64,
    row: u64,
}

impl Count {
    fn rows(self, rows: u64) -> u64 {
        self.once.saturating_add(rows.saturating_mul(self.row))
    }
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.once = self.once.saturating_add(other.once);
        self.row = self.row.saturating_add(other.row);
    }
}

/// What a selection set weighs: the fields of its answer, and the values of variables that its arguments copy.
#[derive(Clone, Copy, Default)]
struct Weight {
    fields: Count,
    values: Count,
}

impl AddAssign for Weight {
    fn add_assign(&mut self, other: Self) {
        self.fields += other.fields;
        self.values += other.values;
    }
}

struct Walk<'a> {
    types: &'a TypeMap,
    limits: &'a Limits,
    document: &'a ExecutableDocument,
    variables: &'a Variables,
    fragments: HashMap<&'a str, Weight>,
    variable_sizes: HashMap<&'a str, u64>,
}

/// The cost of an operation of a document whose shape was checked.
pub(super) fn of(
    types: &TypeMap,
    limits: &Limits,
    document: &ExecutableDocument,
    operation: &Positioned<OperationDefinition>,
    variables: &Variables,
) -> Result<Cost, Refusal> {
    let fragments = HashMap::new();
    let mut walk = Walk { types, limits, document, variables, fragments, variable_sizes: HashMap::new() };
    let weight = walk.set(types.root(operation.node.ty), &operation.node.selection_set.node);
    let cost = Cost { requested: weight.fields.rows(1), max: limits.cost, left: None };
    if cost.requested > cost.max {
        let message = format!(
            "the operation costs {}, more than {}: it may hold as many fields when every list is full; ask for smaller \
             pages or less",
            cost.requested, cost.max
        );
        return Err(Refusal { cost: Some(cost), ..Refusal::new("COMPLEXITY_EXCEEDED", message, [operation.pos]) });
    }
    if weight.values.rows(1) > limits.variable_values {
        let what = "uses of values in its variables";
        return Err(Refusal::too_much(what, limits.variable_values, Some(operation.pos)));
    }
    Ok(cost)
}

impl<'a> Walk<'a> {
    fn set(&mut self, parent: Option<&ObjectFields>, set: &'a SelectionSet) -> Weight {
        let mut weight = Weight::default();
        for selection in &set.items {
            if self.is_skipped(selection.node.directives()) {
                continue;
            }
            match &selection.node {
                Selection::Field(field) => weight += self.field(parent, &field.node),
                Selection::FragmentSpread(spread) => weight += self.fragment(&spread.node.fragment_name.node),
                Selection::InlineFragment(inline) => {
                    let condition = inline.node.type_condition.as_ref();
                    let parent = condition.map_or(parent, |on| self.types.get(&on.node.on.node));
                    weight += self.set(parent, &inline.node.selection_set.node);
                }
            }
        }
        weight
    }

    fn fragment(&mut self, name: &'a str) -> Weight {
        if let Some(weight) = self.fragments.get(name) {
            return *weight;
        }
        let Some(fragment) = self.document.fragments.get(name) else { return Weight::default() };
        let parent = self.types.get(&fragment.node.type_condition.node.on.node);
        let weight = self.set(parent, &fragment.node.selection_set.node);
        self.fragments.insert(name, weight);
        weight
    }

    fn field(&mut self, parent: Option<&ObjectFields>, field: &'a Field) -> Weight {
        let name = field.name.node.as_str();
        let mut values = 0_u64;
        for (_, value) in &field.arguments {
            values = values.saturating_add(self.values_in(&value.node));
        }
        if matches!(name, "__schema" | "__type") {
            return Weight { fields: Count { once: 1, row: 0 }, values: Count { once: values, row: 0 } };
        }
        let info = parent.and_then(|fields| fields.get(name));
        let result = info.and_then(|info| info.result.as_deref()).and_then(|result| self.types.get(result));
        let child = self.set(result, &field.selection_set.node);
        let Weight { fields: below, values: values_below } = child;
        let once = |fields: u64, values: u64| Weight {
            fields: Count { once: fields, row: 0 },
            values: Count { once: values, row: 0 },
        };
        match info.map(|info| &info.size) {
            None | Some(Size::One) => {
                once(below.rows(1).saturating_add(1), values_below.rows(1).saturating_add(values))
            }
            Some(Size::List(argument)) => {
                let length = self.list_length(field, argument.as_deref());
                let fields = below.rows(1).saturating_add(1).saturating_mul(length);
                once(fields, values_below.rows(1).saturating_mul(length).saturating_add(values))
            }
            Some(Size::Page(default)) => {
                let page = self.page(field, *default);
                once(below.rows(page).saturating_add(1), values_below.rows(page).saturating_add(values))
            }
            Some(Size::Rows) => Weight {
                fields: Count { once: 0, row: below.rows(1).saturating_add(1) },
                values: Count { once: 0, row: values_below.rows(1).saturating_add(values) },
            },
        }
    }

    /// The page size that `first` and `last` ask for. A size beyond the largest is the resolver's to refuse.
    fn page(&self, field: &Field, default: u64) -> u64 {
        let asked = |name: &str| self.constant(&field.get_argument(name)?.node)?.as_u64();
        let size = match (asked("first"), asked("last")) {
            (None, None) => default,
            (first, last) => first.max(last).unwrap_or(default),
        };
        size.min(self.limits.max_page)
    }

    fn constant(&self, value: &'a Input) -> Option<serde_json::Number> {
        match value {
            Input::Number(number) => Some(number.clone()),
            Input::Variable(name) => match self.variables.get(name) {
                Some(Value::Number(number)) => Some(number.clone()),
                _ => None,
            },
            _ => None,
        }
    }

    fn list_length(&self, field: &Field, argument: Option<&str>) -> u64 {
        let value = argument.and_then(|name| field.get_argument(name)).map(|value| &value.node);
        let length = match value {
            Some(Input::List(items)) => Some(items.len()),
            Some(Input::Variable(name)) => match self.variables.get(name) {
                Some(Value::List(items)) => Some(items.len()),
                _ => None,
            },
            _ => None,
        };
        length.and_then(|length| u64::try_from(length).ok()).unwrap_or(self.limits.list_size)
    }

    /// How many values of variables an argument copies.
    fn values_in(&mut self, value: &'a Input) -> u64 {
        match value {
            Input::Variable(name) => self.variable_size(name),
            Input::List(items) => items.iter().fold(0, |sum: u64, item| sum.saturating_add(self.values_in(item))),
            Input::Object(fields) => fields.values().fold(0, |sum: u64, item| sum.saturating_add(self.values_in(item))),
            _ => 0,
        }
    }

    fn variable_size(&mut self, name: &'a Name) -> u64 {
        let variables = self.variables;
        *self.variable_sizes.entry(name).or_insert_with(|| variables.get(name).map_or(0, size))
    }

    fn is_skipped(&self, directives: &[Positioned<Directive>]) -> bool {
        directives.iter().any(|directive| {
            let skips_when = match directive.node.name.node.as_str() {
                "skip" => true,
                "include" => false,
                _ => return false,
            };
            let condition = match directive.node.get_argument("if").map(|value| &value.node) {
                Some(Input::Boolean(condition)) => *condition,
                Some(Input::Variable(name)) => match self.variables.get(name) {
                    Some(Value::Boolean(condition)) => *condition,
                    _ => return false,
                },
                _ => return false,
            };
            condition == skips_when
        })
    }
}

/// The number of values in a value.
fn size(value: &Value) -> u64 {
    match value {
        Value::List(items) => items.iter().map(size).fold(1, u64::saturating_add),
        Value::Object(fields) => fields.values().map(size).fold(1, u64::saturating_add),
        // A long text weighs by its length, as copying it does.
        Value::String(text) => 1 + text.len() as u64 / 256,
        _ => 1,
    }
}
