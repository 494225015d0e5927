//! The rules of leads.
//!
//! | from | to | by |
//! |---|---|---|
//! | NEW | CONTACTED | a change of status |
//! | NEW, CONTACTED | QUALIFIED | a change of status |
//! | NEW, CONTACTED, QUALIFIED | UNQUALIFIED | disqualifying, which gives a reason |
//! | UNQUALIFIED | NEW | reopening, which takes the reason away |
//!
//! CONVERTED comes with the conversion to a customer and is set by nothing else. An import of old leads may waive the
//! reason ([`DISQUALIFIED_REASON`]). A lead names a person, a company or at least what it is about. Its score is from 0
//! to 100. `lead.assigned` tells that it was given to somebody: when it is made for another user, or changes its owner.

use entity::tenant::lead::{self, Entity, LeadStatus};
use sea_orm::ActiveValue::{self, Set};
use uuid::Uuid;

use crate::{
    auth::Action,
    data::{Rules, Unit},
    error::{Error, Result, UserErrorCode},
};

/// The rule that a disqualified lead has a reason, for [`Unit::waive`].
pub const DISQUALIFIED_REASON: &str = "disqualified_reason";

/// The status that can follow a status.
const fn follows(status: LeadStatus) -> &'static [LeadStatus] {
    use LeadStatus::{Contacted, Converted, New, Qualified, Unqualified};
    match status {
        New => &[Contacted, Qualified, Unqualified],
        Contacted => &[Qualified, Unqualified],
        Qualified => &[Unqualified],
        Unqualified => &[New],
        Converted => &[],
    }
}

impl Rules for Entity {
    async fn before_insert(unit: &mut Unit, new: &mut lead::ActiveModel) -> Result<()> {
        let status = match new.status {
            ActiveValue::Set(status) => status,
            _ => LeadStatus::New,
        };
        new.status = Set(status);
        if status == LeadStatus::Converted {
            return refuse(UserErrorCode::InvalidState, "status", "a lead is not made as converted");
        }
        check_numbers(new)?;
        check_named(None, new)?;
        settle_reason(unit, None, new, status)
    }

    async fn before_update(unit: &mut Unit, before: &lead::Model, change: &mut lead::ActiveModel) -> Result<()> {
        let status = match change.status {
            ActiveValue::Set(status) => status,
            _ => before.status,
        };
        if status != before.status && !follows(before.status).contains(&status) {
            let message = match before.status {
                LeadStatus::Unqualified => "this lead is disqualified; reopen it first",
                LeadStatus::Converted => "a converted lead stays converted",
                _ if status == LeadStatus::Converted => "a lead is converted by its conversion only",
                _ => "a lead does not go back; it goes from NEW over CONTACTED to QUALIFIED",
            };
            return refuse(UserErrorCode::InvalidState, "status", message);
        }
        check_numbers(change)?;
        check_named(Some(before), change)?;
        settle_reason(unit, Some(before), change, status)
    }

    async fn after_write(unit: &mut Unit, before: Option<&lead::Model>, after: &lead::Model) -> Result<()> {
        let owner_before = before.map_or(after.created_by, |before| before.owner_id);
        if owner_before != after.owner_id {
            unit.raise::<Self>("assigned", after.id);
        }
        let disqualified = after.status == LeadStatus::Unqualified;
        if disqualified && before.is_none_or(|before| before.status != after.status) {
            unit.raise::<Self>("disqualified", after.id);
        }
        Ok(())
    }
}

fn refuse<T>(code: UserErrorCode, field: &str, message: &str) -> Result<T> {
    Err(Error::user(code, &["input", field], message))
}

fn check_numbers(row: &lead::ActiveModel) -> Result<()> {
    if matches!(row.score, ActiveValue::Set(Some(score)) if !(0..=100).contains(&score)) {
        return refuse(UserErrorCode::Invalid, "score", "a score is from 0 to 100");
    }
    if matches!(row.budget, ActiveValue::Set(Some(budget)) if budget < 0) {
        return refuse(UserErrorCode::Invalid, "budget", "a budget is not negative");
    }
    Ok(())
}

/// A lead that names nothing cannot be told from another.
fn check_named(before: Option<&lead::Model>, row: &lead::ActiveModel) -> Result<()> {
    let given = |value: &ActiveValue<Option<String>>, before: Option<&String>| match value {
        ActiveValue::Set(text) => text.as_ref().is_some_and(|text| !text.trim().is_empty()),
        _ => before.is_some(),
    };
    let named = given(&row.last_name, before.and_then(|before| before.last_name.as_ref()))
        || given(&row.company_name, before.and_then(|before| before.company_name.as_ref()))
        || given(&row.title, before.and_then(|before| before.title.as_ref()));
    if named {
        return Ok(());
    }
    refuse(UserErrorCode::Blank, "lastName", "a lead needs at least a lastName, a companyName or a title")
}

/// A disqualified lead has a reason, and no other.
fn settle_reason(
    unit: &Unit,
    before: Option<&lead::Model>,
    row: &mut lead::ActiveModel,
    status: LeadStatus,
) -> Result<()> {
    let reason_before = before.and_then(|before| before.disqualified_reason.clone());
    let said = match &row.disqualified_reason {
        ActiveValue::Set(reason) => Some(reason.clone().filter(|reason| !reason.trim().is_empty())),
        _ => None,
    };
    let enters = before.is_none_or(|before| before.status != status);
    if status == LeadStatus::Unqualified {
        let asked = enters || said.is_some();
        if asked && said.unwrap_or(reason_before).is_none() && !unit.waives(DISQUALIFIED_REASON) {
            return refuse(UserErrorCode::Blank, "disqualifiedReason", "say why the lead is disqualified");
        }
    } else if said.flatten().is_some() {
        let message = "only a disqualified lead has a reason for it";
        return refuse(UserErrorCode::Invalid, "disqualifiedReason", message);
    } else {
        row.disqualified_reason = if reason_before.is_some() { Set(None) } else { ActiveValue::NotSet };
    }
    Ok(())
}

/// Disqualifies a lead for a reason.
///
/// # Errors
/// As [`Unit::update`].
pub async fn disqualify(unit: &mut Unit, id: Uuid, reason: String, expected: Option<i32>) -> Result<Uuid> {
    let change = lead::ActiveModel {
        status: Set(LeadStatus::Unqualified),
        disqualified_reason: Set(Some(reason)),
        ..Default::default()
    };
    unit.update::<Entity>(id, expected, change).await?;
    Ok(id)
}

/// Takes a disqualified lead up again: it is NEW.
///
/// # Errors
/// As [`Unit::update`]; [`Error::User`] when it is not disqualified.
pub async fn reopen(unit: &mut Unit, id: Uuid, expected: Option<i32>) -> Result<Uuid> {
    let lead = unit.claim::<Entity>(id, expected, Action::Write).await?;
    if lead.status != LeadStatus::Unqualified {
        return Err(Error::user(UserErrorCode::InvalidState, &["id"], "this lead is not disqualified"));
    }
    let change = lead::ActiveModel { status: Set(LeadStatus::New), ..Default::default() };
    unit.update::<Entity>(id, expected, change).await?;
    Ok(id)
}
