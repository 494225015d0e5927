//! The shape of a document, whatever its variables: how deep and how wide its definitions become when fragments are
//! expanded. Each fragment is measured once and its measure reused, so that the walk is linear however often fragments
//! spread each other. Every definition is measured, for validation walks unused ones as well.

use std::collections::HashMap;

use async_graphql::parser::types::{ExecutableDocument, OperationType, Selection, SelectionSet};

use super::{Limits, Refusal};

/// The measure of a selection set with its fragments expanded.
#[derive(Clone, Copy, Default)]
struct Shape {
    /// Fields and spreads.
    selections: u64,
    /// Fields of this very level.
    width: u64,
    /// Levels of fields outside introspection.
    depth: u32,
    /// Levels of anything: fields, spreads, inline fragments.
    nesting: u32,
    /// Levels of fields inside introspection.
    introspection_depth: u32,
    /// Lists selected inside introspection.
    introspection_lists: u64,
    /// How many of the lists that lead from a type to types stand below each other.
    introspection_nesting: u32,
}

impl Shape {
    fn add(&mut self, other: &Self) {
        self.selections = self.selections.saturating_add(other.selections);
        self.width = self.width.saturating_add(other.width);
        self.depth = self.depth.max(other.depth);
        self.nesting = self.nesting.max(other.nesting);
        self.introspection_depth = self.introspection_depth.max(other.introspection_depth);
        self.introspection_lists = self.introspection_lists.saturating_add(other.introspection_lists);
        self.introspection_nesting = self.introspection_nesting.max(other.introspection_nesting);
    }
}

enum Fragment {
    Open,
    Measured(Shape),
}

struct Walk<'a> {
    document: &'a ExecutableDocument,
    limits: &'a Limits,
    fragments: HashMap<&'a str, Fragment>,
    aliases: usize,
    directives: usize,
}

/// Refuses a document that is too large in some way.
pub(super) fn check(document: &ExecutableDocument, limits: &Limits) -> Result<(), Refusal> {
    if document.fragments.len() > limits.fragments {
        return Err(Refusal::too_much("fragments", limits.fragments, None));
    }
    let mut walk = Walk { document, limits, fragments: HashMap::new(), aliases: 0, directives: 0 };
    let mut selections: u64 = 0;
    for (name, fragment) in &document.fragments {
        walk.count_directives(fragment.node.directives.len())?;
        let shape = walk.fragment(name, 0)?;
        walk.bound(&shape)?;
        selections = selections.saturating_add(shape.selections);
    }
    for (_, operation) in document.operations.iter() {
        let variables = operation.node.variable_definitions.iter();
        walk.count_directives(
            operation.node.directives.len() + variables.map(|variable| variable.node.directives.len()).sum::<usize>(),
        )?;
        let shape = walk.set(&operation.node.selection_set.node, 0, false)?;
        walk.bound(&shape)?;
        selections = selections.saturating_add(shape.selections);
        if shape.width > limits.root_fields {
            return Err(Refusal::too_much("fields at its root", limits.root_fields, Some(operation.pos)));
        }
        if operation.node.ty == OperationType::Subscription && shape.width != 1 {
            let message = "a subscription selects exactly one field at its root";
            return Err(Refusal::new("GRAPHQL_VALIDATION_FAILED", message, [operation.pos]));
        }
    }
    if selections > limits.selections {
        return Err(Refusal::too_much("selections, fragments expanded", limits.selections, None));
    }
    Ok(())
}

impl<'a> Walk<'a> {
    fn bound(&self, shape: &Shape) -> Result<(), Refusal> {
        let limits = self.limits;
        if shape.depth > limits.depth {
            return Err(Refusal::too_deep("the document nests fields", limits.depth, None));
        }
        if shape.introspection_depth > limits.introspection_depth {
            return Err(Refusal::too_deep("introspection nests fields", limits.introspection_depth, None));
        }
        // No tool asks for the fields of the types of fields; each such level multiplies the answer by the schema.
        if shape.introspection_nesting > 1 {
            return Err(Refusal::too_deep("introspection nests lists of members", 1, None));
        }
        if shape.introspection_lists > limits.introspection_lists {
            return Err(Refusal::too_much("lists in its introspection", limits.introspection_lists, None));
        }
        Ok(())
    }

    fn count_directives(&mut self, more: usize) -> Result<(), Refusal> {
        self.directives += more;
        if self.directives > self.limits.directives {
            return Err(Refusal::too_much("directives", self.limits.directives, None));
        }
        Ok(())
    }

    fn fragment(&mut self, name: &'a str, level: u32) -> Result<Shape, Refusal> {
        let Some(fragment) = self.document.fragments.get(name) else { return Ok(Shape::default()) };
        match self.fragments.get(name) {
            Some(Fragment::Measured(shape)) => {
                self.nest(level + shape.nesting)?;
                return Ok(*shape);
            }
            Some(Fragment::Open) => {
                let message = format!("fragment \"{name}\" spreads itself");
                return Err(Refusal::new("GRAPHQL_VALIDATION_FAILED", message, [fragment.pos]));
            }
            None => {}
        }
        self.fragments.insert(name, Fragment::Open);
        let introspecting = fragment.node.type_condition.node.on.node.starts_with("__");
        let shape = self.set(&fragment.node.selection_set.node, level, introspecting)?;
        self.fragments.insert(name, Fragment::Measured(shape));
        Ok(shape)
    }

    fn nest(&self, level: u32) -> Result<(), Refusal> {
        if level > self.limits.nesting {
            return Err(Refusal::too_deep("the document nests selections", self.limits.nesting, None));
        }
        Ok(())
    }

    /// Measures a selection set that stands `level` levels below its definition's. Recursion ends at the limit.
    fn set(&mut self, set: &'a SelectionSet, level: u32, introspecting: bool) -> Result<Shape, Refusal> {
        self.nest(level)?;
        let mut shape = Shape::default();
        for selection in &set.items {
            self.count_directives(selection.node.directives().len())?;
            match &selection.node {
                Selection::Field(field) => {
                    let field = &field.node;
                    self.aliases += usize::from(field.alias.is_some());
                    if self.aliases > self.limits.aliases {
                        return Err(Refusal::too_much("aliases", self.limits.aliases, None));
                    }
                    if field.arguments.len() > self.limits.arguments {
                        let at = Some(field.name.pos);
                        return Err(Refusal::too_much("arguments of one field", self.limits.arguments, at));
                    }
                    let name = field.name.node.as_str();
                    let enters = matches!(name, "__schema" | "__type");
                    if !self.limits.introspection && (enters || name == "_service") {
                        let message = "this server does not answer what its schema is";
                        return Err(Refusal::new("INTROSPECTION_DISABLED", message, [field.name.pos]));
                    }
                    let mut child = self.set(&field.selection_set.node, level + 1, introspecting || enters)?;
                    child.selections = child.selections.saturating_add(1);
                    child.width = 1;
                    child.nesting += 1;
                    if introspecting {
                        child.introspection_depth += 1;
                        child.introspection_lists += u64::from(is_list(name));
                        child.introspection_nesting += u32::from(leads_to_types(name));
                    } else {
                        child.depth += 1;
                    }
                    shape.add(&child);
                }
                Selection::FragmentSpread(spread) => {
                    let mut child = self.fragment(&spread.node.fragment_name.node, level + 1)?;
                    child.selections = child.selections.saturating_add(1);
                    child.nesting += 1;
                    shape.add(&child);
                }
                Selection::InlineFragment(inline) => {
                    let mut child = self.set(&inline.node.selection_set.node, level + 1, introspecting)?;
                    child.selections = child.selections.saturating_add(1);
                    child.nesting += 1;
                    shape.add(&child);
                }
            }
            if shape.selections > self.limits.selections {
                return Err(Refusal::too_much("selections, fragments expanded", self.limits.selections, None));
            }
        }
        Ok(shape)
    }
}

/// Whether an introspection field is a list.
fn is_list(name: &str) -> bool {
    leads_to_types(name) || matches!(name, "types" | "directives" | "args" | "enumValues" | "locations")
}

/// Whether an introspection field leads from a type to a list of things that have types again.
fn leads_to_types(name: &str) -> bool {
    matches!(name, "fields" | "inputFields" | "interfaces" | "possibleTypes")
}
