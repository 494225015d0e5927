//! The rules of the lines of an opportunity.
//!
//! A line is about a product of the catalogue or about something that its description says. From the product come
//! description and price where the line gives none; later changes of the product leave the line alone. Its total is
//! quantity times price less the discount, rounded half up to the currency's last decimal. All lines of a deal are in
//! one currency, and their sum is the deal's value; a deal whose last line goes has no value until one is set.
//! An inactive product cannot be added.

use entity::{
    record::Record,
    tenant::{
        opportunity,
        opportunity_line::{ActiveModel, Column, Entity, Model},
        product,
    },
};
use sea_orm::{
    ActiveValue::{self, Set},
    ColumnTrait,
    sea_query::{Alias, Condition, Expr, ExprTrait},
};
use uuid::Uuid;

use crate::{
    auth::Action,
    data::{Rules, Unit},
    error::{Error, Result, UserErrorCode},
};

/// One, as quantities are stored.
const ONE: i64 = 1_000;
/// All of it, as discounts are stored.
const WHOLE: i64 = 10_000;
/// How many lines a deal has at most.
const MOST: usize = 500;

impl Rules for Entity {
    async fn before_insert(unit: &mut Unit, new: &mut ActiveModel) -> Result<()> {
        let ActiveValue::Set(deal) = new.opportunity_id else {
            return refuse(UserErrorCode::Blank, "opportunityId", "opportunityId is required");
        };
        unit.lock_row::<opportunity::Entity>(deal).await?;
        let others = of_opportunity(unit, deal).await?;
        let last = others.iter().map(|line| line.position).max().unwrap_or(0);
        prepare(unit, None, new, last.saturating_add(1)).await?;
        check_most(others.len() + 1)?;
        check_currency(new, others.first())
    }

    async fn before_update(unit: &mut Unit, before: &Model, change: &mut ActiveModel) -> Result<()> {
        if matches!(change.opportunity_id, ActiveValue::Set(deal) if deal != before.opportunity_id) {
            return refuse(UserErrorCode::Invalid, "opportunityId", "a line stays with its opportunity");
        }
        unit.lock_row::<opportunity::Entity>(before.opportunity_id).await?;
        prepare(unit, Some(before), change, before.position).await?;
        let mut others = of_opportunity(unit, before.opportunity_id).await?;
        others.retain(|line| line.id != before.id);
        check_currency(change, others.first())
    }

    async fn after_write(unit: &mut Unit, before: Option<&Model>, after: &Model) -> Result<()> {
        if before.is_some_and(|before| before.is_deleted) {
            return_to_deal(unit, after).await?;
        }
        settle_value(unit, after.opportunity_id, None).await
    }

    async fn before_delete(unit: &mut Unit, row: &Model) -> Result<()> {
        settle_value(unit, row.opportunity_id, Some(row.id)).await
    }
}

fn refuse<T>(code: UserErrorCode, field: &str, message: &str) -> Result<T> {
    Err(Error::user(code, &["input", field], message))
}

/// Whether a deal has lines.
pub(super) async fn has_lines(unit: &Unit, deal: Uuid) -> Result<bool> {
    unit.exists::<Entity>(Column::OpportunityId.eq(deal)).await
}

async fn of_opportunity(unit: &Unit, deal: Uuid) -> Result<Vec<Model>> {
    unit.all_rows::<Entity>(Column::OpportunityId.eq(deal)).await
}

/// Completes and checks a line: what it does not say comes from the product, or from what it was before.
async fn prepare(unit: &Unit, before: Option<&Model>, line: &mut ActiveModel, position: i32) -> Result<()> {
    if let ActiveValue::Set(Some(id)) = line.product_id
        && before.is_none_or(|before| before.product_id != Some(id))
    {
        let product = product_of(unit, id).await?;
        if line.description.is_not_set() {
            line.description = Set(product.name);
        }
        if line.unit_price.is_not_set()
            && let (Some(price), Some(currency)) = (product.unit_price, product.currency)
        {
            (line.unit_price, line.currency) = (Set(price), Set(currency));
        }
    }
    let quantity = settled(&mut line.quantity, before.map(|before| before.quantity), ONE);
    let discount = settled(&mut line.discount_percent, before.map(|before| before.discount_percent), 0);
    settled(&mut line.position, before.map(|before| before.position), position);
    let price = match (&line.unit_price, before) {
        (ActiveValue::Set(price), _) => *price,
        (_, Some(before)) => before.unit_price,
        (_, None) => return refuse(UserErrorCode::Blank, "unitPrice", "unitPrice is required"),
    };
    if quantity <= 0 {
        return refuse(UserErrorCode::Invalid, "quantity", "a quantity is more than 0");
    }
    if !(0..=WHOLE).contains(&discount) {
        return refuse(UserErrorCode::Invalid, "discountPercent", "a discount is from 0 to 100 percent");
    }
    if price < 0 {
        return refuse(UserErrorCode::Invalid, "unitPrice", "a price is not negative");
    }
    match total(quantity, price, discount) {
        Some(total) => line.total = Set(total),
        None => return refuse(UserErrorCode::Invalid, "quantity", "the total is too large"),
    }
    Ok(())
}

/// The value that the line has, or had, or else gets.
fn settled<T: Copy + Into<sea_orm::Value>>(value: &mut ActiveValue<T>, before: Option<T>, usual: T) -> T {
    match (&*value, before) {
        (ActiveValue::Set(value), _) => *value,
        (_, Some(before)) => before,
        (_, None) => {
            *value = Set(usual);
            usual
        }
    }
}

async fn product_of(unit: &Unit, id: Uuid) -> Result<product::Model> {
    let with_id = Expr::col((Alias::new(product::Entity::NAME), Alias::new("id"))).eq(id);
    let Some(product) = unit.find::<product::Entity>(Condition::all().add(with_id)).await? else {
        return refuse(UserErrorCode::NotFound, "productId", "there is no such product");
    };
    if !product.is_active {
        return refuse(UserErrorCode::InvalidState, "productId", "this product is not sold any more");
    }
    Ok(product)
}

/// Quantity × price × (100 % − discount), rounded half up to whole minor units.
fn total(quantity: i64, price: i64, discount: i64) -> Option<i64> {
    let scale = i128::from(ONE) * i128::from(WHOLE);
    let exact = i128::from(quantity).checked_mul(i128::from(price))?.checked_mul(i128::from(WHOLE - discount))?;
    i64::try_from((exact + scale / 2) / scale).ok()
}

fn check_most(lines: usize) -> Result<()> {
    if lines > MOST {
        return refuse(UserErrorCode::LimitReached, "lines", &format!("an opportunity has at most {MOST} lines"));
    }
    Ok(())
}

fn check_currency(line: &ActiveModel, other: Option<&Model>) -> Result<()> {
    match (&line.currency, other) {
        (ActiveValue::Set(currency), Some(other)) if *currency != other.currency => {
            let message = format!("the lines of an opportunity are in one currency, here {}", other.currency);
            refuse(UserErrorCode::Invalid, "unitPrice", &message)
        }
        _ => Ok(()),
    }
}

/// Whether a line that was removed still fits its deal, which may have gone on without it.
async fn return_to_deal(unit: &Unit, line: &Model) -> Result<()> {
    let refuse = |code, message: &str| Err(Error::user(code, &["id"], message));
    if unit.lock_row::<opportunity::Entity>(line.opportunity_id).await?.is_none() {
        return refuse(UserErrorCode::InvalidState, "the opportunity was deleted; restore it first");
    }
    let lines = of_opportunity(unit, line.opportunity_id).await?;
    if lines.len() > MOST {
        return refuse(UserErrorCode::LimitReached, "the opportunity has as many lines as it may");
    }
    if lines.iter().any(|other| other.currency != line.currency) {
        return refuse(UserErrorCode::InvalidState, "the lines of the opportunity are in another currency now");
    }
    Ok(())
}

fn sum(totals: impl Iterator<Item = i64>) -> Result<i64> {
    let mut sum = 0_i64;
    for total in totals {
        sum = match sum.checked_add(total) {
            Some(sum) => sum,
            None => return refuse(UserErrorCode::Invalid, "lines", "the sum of the lines is too large"),
        };
    }
    Ok(sum)
}

/// Makes the value of a deal the sum of its lines, one of which may be about to go.
async fn settle_value(unit: &mut Unit, deal: Uuid, going: Option<Uuid>) -> Result<()> {
    let Some(deal) = unit.lock_row::<opportunity::Entity>(deal).await? else { return Ok(()) };
    let mut lines = of_opportunity(unit, deal.id).await?;
    lines.retain(|line| Some(line.id) != going);
    let change = match lines.first() {
        Some(line) => opportunity::ActiveModel {
            value: Set(Some(sum(lines.iter().map(|line| line.total))?)),
            currency: Set(Some(line.currency.clone())),
            ..Default::default()
        },
        None => opportunity::ActiveModel { value: Set(None), ..Default::default() },
    };
    unit.update_by_rule::<opportunity::Entity>(&deal, change).await?;
    Ok(())
}

/// The lines of a deal that is about to be made.
pub(super) struct Prepared(Vec<ActiveModel>);

/// Completes and checks the lines of a deal that is about to be made.
pub(super) async fn prepare_all(unit: &Unit, lines: Vec<ActiveModel>) -> Result<Prepared> {
    check_most(lines.len())?;
    let mut prepared: Vec<ActiveModel> = Vec::with_capacity(lines.len());
    for (position, mut line) in (1..).zip(lines) {
        let place = (position - 1).to_string();
        let at_its_place = |error: Error| error.at(&["input", "lines", &place]);
        prepare(unit, None, &mut line, position).await.map_err(at_its_place)?;
        if prepared.first().is_some_and(|first| first.currency != line.currency) {
            let message = "the lines of an opportunity are in one currency";
            return refuse(UserErrorCode::Invalid, "unitPrice", message).map_err(at_its_place);
        }
        prepared.push(line);
    }
    Ok(Prepared(prepared))
}

impl Prepared {
    /// Their sum and its currency.
    pub(super) fn sum(&self) -> Result<Option<(i64, String)>> {
        let totals = self.0.iter().filter_map(|line| line.total.clone().take());
        let sum = sum(totals)?;
        Ok(self.0.first().and_then(|line| line.currency.clone().take()).map(|currency| (sum, currency)))
    }

    pub(super) async fn insert(self, unit: &mut Unit, deal: Uuid) -> Result<()> {
        for (place, mut line) in self.0.into_iter().enumerate() {
            line.opportunity_id = Set(deal);
            let inserted = unit.insert_by_rule::<Entity>(line).await;
            inserted.map_err(|error| error.at(&["input", "lines", &place.to_string()]))?;
        }
        Ok(())
    }
}

/// Takes a line away: who may change the deal may do that.
///
/// # Errors
/// As [`Unit::update`].
pub async fn remove(unit: &mut Unit, id: Uuid, expected: Option<i32>) -> Result<()> {
    let line = unit.claim::<Entity>(id, expected, Action::Write).await?;
    Entity::before_delete(unit, &line).await?;
    unit.delete_by_rule::<Entity>(&line).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::total;

    #[test]
    fn totals_are_rounded_half_up() {
        for (quantity, price, discount, expected) in [
            (1_000, 1_999, 0, 1_999),
            (2_500, 1_000, 0, 2_500),
            (3_000, 333, 1_000, 899), // 9.99 less 10 % is 8.991
            (1_000, 5, 5_000, 3),     // 2.5 cents
            (1, 499, 0, 0),           // 0.499 cents
            (1, 500, 0, 1),           // half a cent
            (1_000, 1_234, 10_000, 0),
        ] {
            assert_eq!(total(quantity, price, discount), Some(expected), "{quantity} {price} {discount}");
        }
        assert_eq!(total(i64::MAX, i64::MAX, 0), None);
    }
}
