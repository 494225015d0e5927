//! The rules of customers.
//!
//! PROSPECT → ACTIVE → INACTIVE / CHURNED, and back: business can begin again. The hierarchy by `parent` has no cycles
//! and at most `DEEPEST` levels. Numbers of people and years are within reason.

use entity::tenant::customer::{self, Column, CustomerStatus, CustomerType, Entity};
use sea_orm::{
    ActiveValue::{self, Set},
    ColumnTrait,
    sea_query::Condition,
};
use uuid::Uuid;

use crate::{
    data::{Rules, Unit},
    error::{Error, Result, UserErrorCode},
};

/// How many levels a hierarchy of customers may have.
const DEEPEST: usize = 20;

impl Rules for Entity {
    async fn before_insert(unit: &mut Unit, new: &mut customer::ActiveModel) -> Result<()> {
        if new.r#type.is_not_set() {
            new.r#type = Set(CustomerType::Company);
        }
        if new.status.is_not_set() {
            new.status = Set(CustomerStatus::Prospect);
        }
        check_numbers(new)?;
        if let ActiveValue::Set(Some(parent)) = new.parent_id {
            check_hierarchy(unit, None, parent).await?;
        }
        Ok(())
    }

    async fn before_update(
        unit: &mut Unit,
        before: &customer::Model,
        change: &mut customer::ActiveModel,
    ) -> Result<()> {
        check_numbers(change)?;
        match change.parent_id {
            ActiveValue::Set(Some(parent)) if before.parent_id != Some(parent) => {
                check_hierarchy(unit, Some(before.id), parent).await
            }
            _ => Ok(()),
        }
    }

    async fn after_write(unit: &mut Unit, before: Option<&customer::Model>, after: &customer::Model) -> Result<()> {
        // While it was deleted, those above it may have come to stand below it.
        if let (Some(parent), true) = (after.parent_id, before.is_some_and(|before| before.is_deleted)) {
            check_hierarchy(unit, Some(after.id), parent).await.map_err(|error| match error {
                Error::User(_) => {
                    let message = "Its parent has come to stand below it; change the parent's parent first";
                    Error::user(UserErrorCode::InvalidState, &["id"], message)
                }
                other => other,
            })?;
        }
        if before.is_some_and(|before| before.owner_id != after.owner_id) {
            unit.raise::<Self>("owner_changed", after.id);
        }
        Ok(())
    }
}

fn check_numbers(row: &customer::ActiveModel) -> Result<()> {
    let refuse = |field, message: &str| Err(Error::user(UserErrorCode::Invalid, &["input", field], message));
    if matches!(row.employee_count, ActiveValue::Set(Some(count)) if count < 0) {
        return refuse("employeeCount", "a number of people is not negative");
    }
    if matches!(row.founded_year, ActiveValue::Set(Some(year)) if !(1..=9999).contains(&year)) {
        return refuse("foundedYear", "a year is from 1 to 9999");
    }
    Ok(())
}

/// Walks up from the parent that is to be: it must not come back to the customer, nor go on for ever.
///
/// Two changes at the same moment that are each allowed could together make a circle, so one waits for the other.
async fn check_hierarchy(unit: &mut Unit, customer: Option<Uuid>, parent: Uuid) -> Result<()> {
    // A new customer has nobody below it.
    if customer.is_some() {
        unit.one_at_a_time("customer.parent").await?;
    }
    let refuse = |message: &str| Err(Error::user(UserErrorCode::Invalid, &["input", "parentId"], message));
    let mut next = Some(parent);
    for _ in 0..DEEPEST {
        let Some(id) = next else { return Ok(()) };
        if Some(id) == customer {
            return refuse("a customer cannot stand above itself");
        }
        let above = unit.all_rows::<Entity>(Condition::all().add(Column::Id.eq(id))).await?;
        next = above.first().and_then(|customer| customer.parent_id);
    }
    if next.is_none() { Ok(()) } else { refuse("the hierarchy has too many levels") }
}
