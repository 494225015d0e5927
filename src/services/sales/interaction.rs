//! The rules of interactions.
//!
//! An interaction tells what happened, so it is mostly added and seldom changed (a change is in the audit log like any
//! other). It happened at some moment up to now; clocks may differ by `SKEW`. What it is about is a record that the
//! actor sees ([`super::related`]).

use chrono::Duration;
use entity::tenant::interaction::{self, Entity};
use sea_orm::ActiveValue::{self, Set};

use super::related;
use crate::{
    data::{Rules, Unit},
    error::{Error, Result, UserErrorCode},
};

/// How far the clock of the system that reports an interaction may be ahead.
const SKEW: Duration = Duration::minutes(5);

impl Rules for Entity {
    async fn before_insert(unit: &mut Unit, new: &mut interaction::ActiveModel) -> Result<()> {
        if new.occurred_at.is_not_set() {
            new.occurred_at = Set(unit.now());
        }
        check(unit, new)?;
        related::check(unit, None, &new.related_type, &new.related_id).await
    }

    async fn before_update(
        unit: &mut Unit,
        before: &interaction::Model,
        change: &mut interaction::ActiveModel,
    ) -> Result<()> {
        check(unit, change)?;
        let about = Some((&before.related_type, before.related_id));
        related::check(unit, about, &change.related_type, &change.related_id).await
    }
}

fn check(unit: &Unit, row: &interaction::ActiveModel) -> Result<()> {
    let refuse = |field, message: &str| Err(Error::user(UserErrorCode::Invalid, &["input", field], message));
    if matches!(row.occurred_at, ActiveValue::Set(at) if at > unit.now() + SKEW) {
        return refuse("occurredAt", "an interaction has happened; plan an activity for what is to come");
    }
    if matches!(row.duration_seconds, ActiveValue::Set(Some(seconds)) if seconds < 0) {
        return refuse("durationSeconds", "a duration is not negative");
    }
    Ok(())
}
