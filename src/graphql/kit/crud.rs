//! Create, update, delete, restore and bulk upsert, for every record alike.

use std::sync::Arc;

use async_graphql::{Context, ID, MaybeUndefined, SelectionField};
use entity::record::{Record, camel_case};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ModelTrait, Value,
    sea_query::{Alias, Condition, Expr, ExprTrait},
};
use uuid::Uuid;

use super::{
    db,
    error::nullable,
    id::Id,
    payload::{BulkErrorPolicy, BulkPayload, DeletePayload, Payload},
    scalars::{Decimal, MoneyInput},
    select,
    shape::Object,
};
use crate::{
    data::{
        Rules, TenantDb, Unit,
        idempotency::{Item, Outcome},
        ids,
        money::{self, Unfit},
        plan::decode_one,
        unit,
    },
    error::{Error, Result, UserError, UserErrorCode},
};

/// An input that becomes a row, or a change of one.
pub trait Input<R: Rules>: Send + Sized {
    /// The columns that the input sets.
    ///
    /// # Errors
    /// [`Error::User`] for values that cannot be meant.
    fn into_row(self) -> Result<R::ActiveModel>;

    /// Creates the record. An input that also holds rows which belong to the record hands them to its service.
    fn create(self, unit: &mut Unit) -> impl Future<Output = Result<R::Model>> + Send {
        async move { unit.insert::<R>(self.into_row()?).await }
    }
}

type Entity<T> = <T as Object>::Record;

/// Creates a record.
pub async fn create<P: Payload>(
    ctx: &Context<'_>,
    input: impl Input<Entity<P::Object>>,
    client_mutation_id: Option<String>,
) -> Option<P> {
    let outcome = mutate(ctx, async |unit| {
        let row = input.create(unit).await?;
        Ok(Outcome::written(id_of::<Entity<P::Object>>(&row)?))
    })
    .await;
    answer(ctx, outcome, client_mutation_id).await
}

/// Changes a record.
pub async fn update<P: Payload>(
    ctx: &Context<'_>,
    id: Id<P::Object>,
    input: impl Input<Entity<P::Object>>,
    expected_version: Option<i32>,
    client_mutation_id: Option<String>,
) -> Option<P> {
    let outcome = mutate(ctx, async |unit| {
        unit.update::<Entity<P::Object>>(id.0, expected_version, input.into_row()?).await?;
        Ok(Outcome::written(id.0))
    })
    .await;
    answer(ctx, outcome, client_mutation_id).await
}

/// Brings a deleted record back.
pub async fn restore<P: Payload>(
    ctx: &Context<'_>,
    id: Id<P::Object>,
    client_mutation_id: Option<String>,
) -> Option<P> {
    let outcome = mutate(ctx, async |unit| {
        unit.restore::<Entity<P::Object>>(id.0).await?;
        Ok(Outcome::written(id.0))
    })
    .await;
    answer(ctx, outcome, client_mutation_id).await
}

/// Runs a mutation that a service does, and answers the record that it wrote.
pub async fn run<P: Payload>(
    ctx: &Context<'_>,
    client_mutation_id: Option<String>,
    work: impl AsyncFnOnce(&mut Unit) -> Result<Uuid>,
) -> Option<P> {
    let outcome = mutate(ctx, async |unit| work(unit).await.map(Outcome::written)).await;
    answer(ctx, outcome, client_mutation_id).await
}

/// Deletes a record.
pub async fn delete<T: Object>(
    ctx: &Context<'_>,
    id: Id<T>,
    expected_version: Option<i32>,
    client_mutation_id: Option<String>,
) -> Option<DeletePayload> {
    let work = async |unit: &mut Unit| unit.delete::<Entity<T>>(id.0, expected_version).await.map(|_| ());
    run_delete(ctx, id, client_mutation_id, work).await
}

/// Deletes a record in the way of its service.
pub async fn run_delete<T: Object>(
    ctx: &Context<'_>,
    id: Id<T>,
    client_mutation_id: Option<String>,
    work: impl AsyncFnOnce(&mut Unit) -> Result<()>,
) -> Option<DeletePayload> {
    let outcome = mutate(ctx, async |unit| work(unit).await.map(|()| Outcome::written(id.0))).await;
    deleted::<T>(ctx, outcome, client_mutation_id)
}

/// The payload of an outcome in which a record was deleted.
pub fn deleted<T: Object>(
    ctx: &Context<'_>,
    outcome: Result<Outcome>,
    client_mutation_id: Option<String>,
) -> Option<DeletePayload> {
    let Item { id, errors } = nullable(ctx, outcome)?.single();
    Some(DeletePayload {
        deleted_id: id.map(|id| ID(ids::encode(T::PREFIX, id))),
        user_errors: errors.into_iter().map(Into::into).collect(),
        client_mutation_id,
    })
}

async fn mutate(ctx: &Context<'_>, work: impl AsyncFnOnce(&mut Unit) -> Result<Outcome>) -> Result<Outcome> {
    db(ctx)?.mutate(work).await
}

/// The payload of an outcome: the record is read as the query asks for it.
pub async fn answer<P: Payload>(
    ctx: &Context<'_>,
    outcome: Result<Outcome>,
    client_mutation_id: Option<String>,
) -> Option<P> {
    let result = async {
        let Item { id, errors } = outcome?.single();
        let record = match id {
            Some(id) => read_back::<P::Object>(ctx, &[id], &[ctx.field()], P::FIELD).await?.pop().flatten(),
            None => None,
        };
        Ok(P::new(record, errors.into_iter().map(Into::into).collect(), client_mutation_id))
    }
    .await;
    nullable(ctx, result)
}

/// The records that were written, as `field` of these selections asks for them; nothing is read when it is not asked
/// for. An actor who gave a record away may not see it any more.
async fn read_back<T: Object>(
    ctx: &Context<'_>,
    written: &[Uuid],
    selections: &[SelectionField<'_>],
    field: &str,
) -> Result<Vec<Option<T>>> {
    let selected = select::below(selections, &camel_case(field));
    if selected.is_empty() || written.is_empty() {
        return Ok(written.iter().map(|_| None).collect());
    }
    let db = db(ctx)?;
    let plan = Arc::new(select::plan(T::shape(), &selected, db.actor(), true)?);
    let found = match db.plan_json(written, &plan).await {
        // Who may write and not read gets no record.
        Err(Error::Forbidden { .. }) => return Ok(written.iter().map(|_| None).collect()),
        found => found?,
    };
    // One record may have been written twice.
    written.iter().map(|id| decode_one(found.get(id).map_or("null", String::as_str), &plan)).collect()
}

/// One input of a bulk upsert.
pub struct Upsert<I> {
    /// The record to change.
    pub id: Option<Uuid>,
    /// The external reference of the record to change, or to create when there is none.
    pub external_reference: Option<String>,
    /// What to set.
    pub input: I,
}

const MOST_INPUTS: usize = 250;

/// Creates or changes many records in one transaction.
pub async fn bulk_upsert<P: BulkPayload, I: Input<Entity<P::Object>>>(
    ctx: &Context<'_>,
    inputs: Vec<Upsert<I>>,
    policy: BulkErrorPolicy,
    client_mutation_id: Option<String>,
) -> Option<P> {
    let outcome = async {
        bounded(inputs.len())?;
        upsert_all::<Entity<P::Object>, I>(db(ctx)?, inputs, policy).await
    };
    bulk_answer(ctx, outcome.await, client_mutation_id).await
}

/// Refuses more inputs than a bulk mutation takes.
///
/// # Errors
/// [`Error::BadInput`].
pub fn bounded(inputs: usize) -> Result<()> {
    if inputs <= MOST_INPUTS {
        return Ok(());
    }
    Err(Error::BadInput(format!("at most {MOST_INPUTS} inputs at a time")))
}

/// The payload of the outcome of a bulk mutation: the records are read as the query asks for them.
pub async fn bulk_answer<P: BulkPayload>(
    ctx: &Context<'_>,
    outcome: Result<Outcome>,
    client_mutation_id: Option<String>,
) -> Option<P> {
    let result = async {
        let outcome = outcome?;
        let written: Vec<Uuid> = outcome.0.iter().filter_map(|item| item.id).collect();
        let results: Vec<_> = ctx.field().selection_set().filter(|selection| selection.name() == "results").collect();
        let mut records = read_back::<P::Object>(ctx, &written, &results, P::FIELD).await?.into_iter();
        let results = outcome
            .0
            .into_iter()
            .map(|item| {
                let record = item.id.and_then(|_| records.next().flatten());
                (record, item.errors.into_iter().map(Into::into).collect())
            })
            .collect();
        Ok(P::new(results, client_mutation_id))
    }
    .await;
    nullable(ctx, result)
}

async fn upsert_all<R: Rules, I: Input<R>>(
    db: &TenantDb,
    inputs: Vec<Upsert<I>>,
    policy: BulkErrorPolicy,
) -> Result<Outcome> {
    db.mutate(async |unit| {
        let start = unit.savepoint().await?;
        let mut items = Vec::with_capacity(inputs.len());
        for input in inputs {
            let before = unit.savepoint().await?;
            match upsert::<R, I>(unit, input).await {
                Ok(id) => items.push(Item { id: Some(id), errors: Vec::new() }),
                Err(error) => {
                    items.push(unit::refused(error)?.single());
                    unit.rollback_to(before).await?;
                }
            }
        }
        let failed = items.iter().any(|item| !item.errors.is_empty());
        if failed && policy == BulkErrorPolicy::RejectAll {
            unit.rollback_to(start).await?;
            items.iter_mut().for_each(|item| item.id = None);
        }
        Ok(Outcome(items))
    })
    .await
}

async fn upsert<R: Rules, I: Input<R>>(unit: &mut Unit, upsert: Upsert<I>) -> Result<Uuid> {
    let Upsert { id, external_reference, input } = upsert;
    let mut row = input.into_row()?;
    let target = match (id, &external_reference) {
        (Some(id), None) => Some(id),
        (None, Some(_)) if R::meta().column("external_reference").is_none() => {
            let message = format!("a {} has no external reference", R::NAME.replace('_', " "));
            return Err(Error::user(UserErrorCode::Invalid, &["externalReference"], message));
        }
        (None, Some(reference)) => {
            let by_reference = Condition::all()
                .add(Expr::col((Alias::new(R::NAME), Alias::new("external_reference"))).eq(reference.as_str()));
            match unit.find::<R>(by_reference).await? {
                Some(row) => Some(id_of::<R>(&row)?),
                None => {
                    let column = <R::Column as std::str::FromStr>::from_str("external_reference")
                        .map_err(|_| Error::BadInput(format!("a {} has no external reference", R::NAME)))?;
                    row.set(column, reference.as_str().into());
                    None
                }
            }
        }
        (None, None) => None,
        (Some(_), Some(_)) => {
            return Err(Error::user(UserErrorCode::Invalid, &["id"], "give an id or an external reference, not both"));
        }
    };
    match target {
        Some(id) => {
            unit.update::<R>(id, None, row).await?;
            Ok(id)
        }
        None => id_of::<R>(&unit.insert::<R>(row).await?),
    }
}

fn id_of<R: Record>(row: &R::Model) -> Result<Uuid> {
    let column = <R::Column as std::str::FromStr>::from_str("id").map_err(|_| Error::internal("no id"))?;
    match row.get(column) {
        Value::Uuid(Some(id)) => Ok(id),
        _ => Err(Error::internal("a row without an id")),
    }
}

/// A column that an update sets when the input has a value.
pub fn set<T, V: From<T> + Into<Value>>(value: Option<T>) -> ActiveValue<V> {
    value.map_or(ActiveValue::NotSet, |value| ActiveValue::Set(value.into()))
}

/// A column that an update sets, clears or leaves alone.
pub fn patch<T, V>(value: MaybeUndefined<T>) -> ActiveValue<Option<V>>
where
    V: From<T>,
    Option<V>: Into<Value>,
{
    match value {
        MaybeUndefined::Undefined => ActiveValue::NotSet,
        MaybeUndefined::Null => ActiveValue::Set(None),
        MaybeUndefined::Value(value) => ActiveValue::Set(Some(value.into())),
    }
}

/// An amount in minor units and its currency, as two columns.
pub type MoneyColumns = (ActiveValue<Option<i64>>, ActiveValue<Option<String>>);

/// The amount and the currency of an input, as two columns.
///
/// # Errors
/// [`Error::User`] at `field` when the amount does not fit the currency.
pub fn money(field: &str, value: MaybeUndefined<MoneyInput>) -> Result<MoneyColumns> {
    Ok(match value {
        MaybeUndefined::Undefined => (ActiveValue::NotSet, ActiveValue::NotSet),
        MaybeUndefined::Null => (ActiveValue::Set(None), ActiveValue::NotSet),
        MaybeUndefined::Value(money) => {
            let (minor, currency) = money.minor().map_err(|message| {
                Error::User(vec![UserError::new(UserErrorCode::Invalid, &["input", field], message)])
            })?;
            (ActiveValue::Set(Some(minor)), ActiveValue::Set(Some(currency)))
        }
    })
}

/// A number as whole units of its last decimal.
///
/// # Errors
/// [`Error::User`] at `field` when it has too many decimals or is too large.
pub fn units(field: &str, value: Option<Decimal>, decimals: u32) -> Result<ActiveValue<i64>> {
    Ok(value
        .map(|value| whole_units(field, value, decimals))
        .transpose()?
        .map_or(ActiveValue::NotSet, ActiveValue::Set))
}

/// As [`units`], for a column that can be cleared.
///
/// # Errors
/// As [`units`].
pub fn patch_units(field: &str, value: MaybeUndefined<Decimal>, decimals: u32) -> Result<ActiveValue<Option<i64>>> {
    Ok(match value {
        MaybeUndefined::Undefined => ActiveValue::NotSet,
        MaybeUndefined::Null => ActiveValue::Set(None),
        MaybeUndefined::Value(value) => ActiveValue::Set(Some(whole_units(field, value, decimals)?)),
    })
}

fn whole_units(field: &str, value: Decimal, decimals: u32) -> Result<i64> {
    money::units(value.0, decimals).map_err(|unfit| {
        let message = match unfit {
            Unfit::Decimals => format!("{field} has at most {decimals} decimals"),
            Unfit::Size => format!("{field} is too large"),
        };
        Error::user(UserErrorCode::Invalid, &["input", field], message)
    })
}

/// A value that the input may leave out.
pub fn maybe<T>(value: Option<T>) -> MaybeUndefined<T> {
    value.map_or(MaybeUndefined::Undefined, MaybeUndefined::Value)
}
