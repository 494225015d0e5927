//! Type conditions: which fields of a selection are meant for one of the types that an interface or a union may be.
//!
//! A plan for a concrete record must be made of these fields alone. Under `node` and `_entities` one response key may
//! stand for different fields, or for one field with different arguments, in fragments on different types.

use async_graphql::{
    Context, Positioned,
    parser::types::{Selection, SelectionSet},
    registry::MetaType,
};

/// The fields in this field's selection that apply to an object of this type, each in its own context.
pub fn fields_on<'a>(ctx: &'a Context<'a>, object: &str) -> Vec<Context<'a>> {
    let mut fields = Vec::new();
    collect(ctx, &ctx.item.node.selection_set, object, &mut fields);
    fields
}

fn collect<'a>(
    ctx: &'a Context<'a>,
    selections: &'a Positioned<SelectionSet>,
    object: &str,
    fields: &mut Vec<Context<'a>>,
) {
    for selection in &selections.node.items {
        let (condition, selections) = match &selection.node {
            Selection::Field(field) => {
                fields.push(ctx.with_field(field));
                continue;
            }
            Selection::InlineFragment(fragment) => {
                (fragment.node.type_condition.as_ref(), &fragment.node.selection_set)
            }
            Selection::FragmentSpread(spread) => {
                let Some(fragment) = ctx.query_env.fragments.get(&spread.node.fragment_name.node) else { continue };
                (Some(&fragment.node.type_condition), &fragment.node.selection_set)
            }
        };
        if condition.is_none_or(|condition| applies(ctx, condition.node.on.node.as_str(), object)) {
            collect(ctx, selections, object, fields);
        }
    }
}

/// Whether a fragment on `condition` applies to an object of the type `object`.
fn applies(ctx: &Context<'_>, condition: &str, object: &str) -> bool {
    if condition == object {
        return true;
    }
    match ctx.schema_env.registry.types.get(condition) {
        Some(MetaType::Interface { possible_types, .. } | MetaType::Union { possible_types, .. }) => {
            possible_types.contains(object)
        }
        _ => false,
    }
}
