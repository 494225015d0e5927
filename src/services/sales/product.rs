//! The rules of products.
//!
//! The SKU is unique whatever its case (an index holds that). A product that is not sold any more is made inactive: it
//! stays where it was sold, and cannot be added to further deals.

use entity::tenant::product::{self, Entity};
use sea_orm::ActiveValue::{self, Set};

use crate::{
    data::{Rules, Unit},
    error::{Error, Result, UserErrorCode},
};

impl Rules for Entity {
    async fn before_insert(_: &mut Unit, new: &mut product::ActiveModel) -> Result<()> {
        if new.is_active.is_not_set() {
            new.is_active = Set(true);
        }
        check(new)
    }

    async fn before_update(_: &mut Unit, _: &product::Model, change: &mut product::ActiveModel) -> Result<()> {
        check(change)
    }
}

fn check(row: &product::ActiveModel) -> Result<()> {
    let refuse = |field, message: &str| Err(Error::user(UserErrorCode::Invalid, &["input", field], message));
    if matches!(row.unit_price, ActiveValue::Set(Some(price)) if price < 0) {
        return refuse("unitPrice", "a price is not negative");
    }
    if matches!(row.tax_rate, ActiveValue::Set(Some(rate)) if !(0..=10_000).contains(&rate)) {
        return refuse("taxRate", "a tax rate is from 0 to 100 percent");
    }
    Ok(())
}
