//! Relations: from the plan that read their parent, or in batches where no plan did.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use async_graphql::{Context, ID, InputType, QueryPathSegment, SelectionField, Value};
use uuid::Uuid;

use super::{
    connection::Connection,
    db,
    error::{null_with, nullable},
    fragment::fields_on,
    id::Id,
    loader::{By, Key, RecordLoader, What},
    select,
    shape::{Object, Usual},
};
use crate::{
    condition::fold::fold,
    data::{
        TenantDb,
        plan::{Child, List, decode_one, decode_page, denied},
    },
    error::{Error, Result},
};

/// The record that a relation to one leads to; null with FORBIDDEN where the actor may not read it.
pub async fn one<P: Object, C: Object>(ctx: &Context<'_>, parent: &P) -> Option<C> {
    let result = with_child(ctx, parent, |child, json| decode_one::<C>(json, &child.plan)).await;
    nullable(ctx, result).flatten()
}

/// The records that a relation to many leads to; null with FORBIDDEN where the actor may not read them.
pub async fn many<P: Object, C: Object>(ctx: &Context<'_>, parent: &P) -> Option<Connection<C>> {
    let result = with_child(ctx, parent, |child, json| {
        let list = child.list.as_ref().ok_or_else(|| Error::internal("a list without arguments"))?;
        Ok(Connection::of(decode_page::<C>(json, &child.plan, list)?, list))
    })
    .await;
    nullable(ctx, result)
}

/// Finds the JSON of the relation that this field asks for, planned or loaded.
async fn with_child<P: Object, R>(
    ctx: &Context<'_>,
    parent: &P,
    decode: impl FnOnce(&Child, &str) -> Result<R>,
) -> Result<R> {
    let field = ctx.field();
    let key = field.alias().unwrap_or(field.name());
    let allowed = |child: &Child| match child.denied {
        Some(permission) => Err(Error::Forbidden { permission: permission.to_string() }),
        None => Ok(()),
    };
    if let Some((child, json)) = parent.children().get(key) {
        allowed(child)?;
        return decode(child, json);
    }
    let db = db(ctx)?;
    let shape = P::shape();
    let relation = shape
        .relation(field.name())
        .ok_or_else(|| Error::internal(format!("{} has no relation {}", shape.name, field.name())))?;
    let child = Arc::new(select::child(key, relation, &[field], db.actor(), true)?);
    allowed(&child)?;
    let json = load(ctx, By::Id(parent.id()), What::Relation(shape.meta, child.clone())).await?;
    decode(&child, json.as_deref().unwrap_or("null"))
}

/// Asks the loader of this request, together with all that ask from the same place of the query.
async fn load(ctx: &Context<'_>, by: By, what: What) -> Result<Option<Arc<str>>> {
    let loader = ctx.data_opt::<RecordLoader>().ok_or_else(|| Error::Unauthenticated("log in first".to_owned()))?;
    let key = Key { place: place(ctx, &by, &what), by, what };
    loader.load_one(key).await.map_err(|error| match Arc::try_unwrap(error) {
        Ok(error) => error,
        Err(shared) => Error::internal(shared.to_string()),
    })
}

/// The place of this field in the query: the same for all items of a list, another for each selection. Records of
/// different types are wanted with different plans, so they are in different places, and so are those that are known by
/// different columns.
fn place(ctx: &Context<'_>, by: &By, what: &What) -> u64 {
    let mut hasher = DefaultHasher::new();
    if let By::Text(column, _) = by {
        column.hash(&mut hasher);
    }
    match what {
        What::Record(plan) => plan.meta.name.hash(&mut hasher),
        What::Relation(meta, _) => meta.name.hash(&mut hasher),
    }
    (ctx.item.pos.line, ctx.item.pos.column).hash(&mut hasher);
    let mut node = ctx.path_node.as_ref();
    while let Some(segment) = node {
        if let QueryPathSegment::Name(name) = segment.segment {
            name.hash(&mut hasher);
        }
        node = segment.parent;
    }
    hasher.finish()
}

/// The record with this id as the API shows it; null when there is none that the actor sees.
pub async fn get<T: Object>(ctx: &Context<'_>, id: Id<T>) -> Option<T> {
    nullable(ctx, read(ctx, id.0, &ctx.field().selection_set().collect::<Vec<_>>()).await).flatten()
}

/// The record with this id, as `selections` want it.
///
/// # Errors
/// [`Error::Forbidden`] without the read permission.
pub async fn read<T: Object>(ctx: &Context<'_>, id: Uuid, selections: &[SelectionField<'_>]) -> Result<Option<T>> {
    let db = db(ctx)?;
    let plan = Arc::new(select::plan(T::shape(), selections, db.actor(), true)?);
    db.plan_one(id, &plan).await
}

/// The record with this id, asked for together with others of the same kind: for `node` and `_entities`, whose selection
/// may hold fragments on other types. What may not be seen and what is not there are both null, without an error.
pub async fn entity<T: Object>(ctx: &Context<'_>, id: Uuid) -> Option<T> {
    seen(ctx, of_any_type(ctx, id).await)
}

/// The record that a federated reference names by its id. An id that is none is null with an error, because other
/// references of the same request are right.
pub async fn entity_by_id<T: Object>(ctx: &Context<'_>, id: &ID) -> Option<T> {
    match Id::<T>::parse(Some(Value::String(id.to_string()))) {
        Ok(id) => entity(ctx, id.0).await,
        Err(error) => null_with(ctx, Error::BadInput(error.into_server_error(ctx.item.pos).message)),
    }
}

/// The record that a federated reference names by a text that is unique, such as the external reference; null where the
/// reference has none.
pub async fn entity_by<T: Object>(ctx: &Context<'_>, column: &str, text: Option<String>) -> Option<T> {
    let text = text?;
    let Some(column) = T::shape().meta.column(column) else {
        return null_with(ctx, Error::internal(format!("{} has no column {column}", T::shape().name)));
    };
    let by = match column.folded {
        Some(folded) => By::Text(folded, fold(&text)),
        None => By::Text(column.name, text),
    };
    seen(ctx, record(ctx, by).await)
}

/// What may not be seen is not there.
fn seen<T>(ctx: &Context<'_>, answer: Result<Option<T>>) -> Option<T> {
    match answer {
        Err(Error::Forbidden { .. } | Error::NotFound) => None,
        answer => nullable(ctx, answer).flatten(),
    }
}

/// The record that a field leads to whose type only the row knows, asked for together with others of its type.
///
/// # Errors
/// [`Error::Forbidden`] without the read permission.
pub async fn of_any_type<T: Object>(ctx: &Context<'_>, id: Uuid) -> Result<Option<T>> {
    record(ctx, By::Id(id)).await
}

async fn record<T: Object>(ctx: &Context<'_>, by: By) -> Result<Option<T>> {
    let db = db(ctx)?;
    // Asked for here, because one refusal would end the whole batch.
    if let Some(permission) = denied(T::shape().meta, db.actor()) {
        return Err(Error::Forbidden { permission: permission.to_string() });
    }
    let fields = fields_on(ctx, &T::type_name());
    let selections: Vec<_> = fields.iter().map(Context::field).collect();
    let plan = Arc::new(select::plan(T::shape(), &selections, db.actor(), true)?);
    let json = load(ctx, by, What::Record(plan.clone())).await?;
    decode_one(json.as_deref().unwrap_or("null"), &plan)
}

/// A page of all the records that the actor sees.
pub async fn list<T: Object>(ctx: &Context<'_>) -> Option<Connection<T>> {
    nullable(ctx, page(ctx).await)
}

async fn page<T: Object>(ctx: &Context<'_>) -> Result<Connection<T>> {
    let db: &TenantDb = db(ctx)?;
    let (list, selected): (List, Vec<_>) = select::connection(T::shape(), &[ctx.field()], Usual::default())?;
    let plan = Arc::new(select::plan(T::shape(), &selected, db.actor(), true)?);
    let page = db.plan_page(&list, &plan).await?;
    Ok(Connection::of(page, &list))
}

/// The glue of one object: its record, what it shows and where it leads.
///
/// ```text
/// object! {
///     Customer for customer;
///     values { status: CustomerStatus }
///     needs { address: ["address_street", "address_city"] }
///     relations {
///         /// The user responsible.
///         one owner: User,
///         /// The people there.
///         many contacts: Contact,
///     }
///     methods {
///         /// The postal address.
///         async fn address(&self) -> Option<Address> { … }
///     }
/// }
/// ```
///
/// `values` names the columns that hold a value of an enum, `needs` the columns that a computed field reads,
/// `relations` the relations of the record that the object shows, and `methods` the computed fields.
#[macro_export]
macro_rules! object {
    (
        $object:ident for $module:ident;
        $(values { $($value:ident: $enum:ty),* $(,)? })?
        $(needs { $($computed:ident: $columns:expr),* $(,)? })?
        relations { $($relations:tt)* }
        $(methods { $($methods:tt)* })?
    ) => {
        impl $crate::graphql::kit::id::Identified for $object {
            const PREFIX: &'static str = <entity::tenant::$module::Entity as entity::record::Record>::NAME;
        }

        impl $crate::data::plan::Planned for $object {
            fn adopt(&mut self, children: $crate::data::plan::Children) {
                self.children = children;
            }
        }

        $crate::object! {
            @relations $object $module
            [$($((stringify!($value), $crate::graphql::kit::shape::EnumType {
                name: || <$enum as async_graphql::OutputType>::type_name().into_owned(),
                register: <$enum as async_graphql::InputType>::create_type_info,
            }),)*)?]
            [$($((stringify!($computed), &$columns),)*)?]
            [] [$($($methods)*)?]
            { $($relations)* }
        }
    };

    (@relations $object:ident $module:ident $values:tt $needs:tt [$($shape:tt)*] [$($body:tt)*]
        { $(#[$doc:meta])* one $field:ident: $target:ty, $($rest:tt)* }) => {
        $crate::object! {
            @relations $object $module $values $needs
            [$($shape)* ($field, $target)]
            [
                $($body)*
                $(#[$doc])*
                async fn $field(&self, ctx: &async_graphql::Context<'_>) -> Option<$target> {
                    $crate::graphql::kit::relation::one(ctx, self).await
                }
            ]
            { $($rest)* }
        }
    };

    (@relations $object:ident $module:ident $values:tt $needs:tt [$($shape:tt)*] [$($body:tt)*]
        { $(#[$doc:meta])* many $field:ident: $target:ty, $($rest:tt)* }) => {
        $crate::object! {
            @relations $object $module $values $needs
            [$($shape)* ($field, $target)]
            [
                $($body)*
                $(#[$doc])*
                #[expect(clippy::too_many_arguments, reason = "the arguments of a Relay connection")]
                async fn $field(
                    &self,
                    ctx: &async_graphql::Context<'_>,
                    #[graphql(desc = "How many from the start: 0 to 100. Without first and last: 20.")] first: Option<i32>,
                    #[graphql(desc = "Only those after this cursor; goes with first.")] after: Option<String>,
                    #[graphql(desc = "How many from the end: 0 to 100.")] last: Option<i32>,
                    #[graphql(desc = "Only those before this cursor; goes with last.")] before: Option<String>,
                    #[graphql(name = "where", desc = "Which to choose.")]
                    filter: Option<$crate::graphql::kit::filter::Where<$target>>,
                    #[graphql(desc = "In which order; without it by position where they have one, else the newest first.")]
                    order_by: Option<Vec<$crate::graphql::kit::order::OrderBy<$target>>>,
                ) -> Option<$crate::graphql::kit::connection::Connection<$target>> {
                    // The plan has read the arguments from the selection.
                    let _ = (first, after, last, before, filter, order_by);
                    $crate::graphql::kit::relation::many(ctx, self).await
                }
            ]
            { $($rest)* }
        }
    };

    (@relations $object:ident $module:ident [$($values:tt)*] [$($needs:tt)*]
        [$(($field:ident, $target:ty))*] [$($body:tt)*] {}) => {
        impl $crate::graphql::kit::shape::Object for $object {
            type Record = entity::tenant::$module::Entity;

            fn shape() -> &'static $crate::graphql::kit::shape::Shape {
                static SHAPE: std::sync::OnceLock<$crate::graphql::kit::shape::Shape> = std::sync::OnceLock::new();
                SHAPE.get_or_init(|| {
                    $crate::graphql::kit::shape::Shape::of::<Self>(
                        stringify!($object),
                        &[$($values)*],
                        &[$($needs)*],
                        &[$((
                            stringify!($field),
                            <$target as $crate::graphql::kit::shape::Object>::shape,
                            <$crate::graphql::kit::filter::Where<$target> as async_graphql::InputType>::create_type_info,
                        ),)*],
                    )
                })
            }

            fn id(&self) -> uuid::Uuid {
                self.id.0
            }

            fn children(&self) -> &$crate::data::plan::Children {
                &self.children
            }
        }

        #[async_graphql::ComplexObject]
        impl $object {
            $($body)*
        }
    };
}
