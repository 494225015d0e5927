//! The rules of contacts.
//!
//! Each customer that has contacts has exactly one primary contact. The first contact becomes it; one that is made
//! primary takes the place of the one that was; when the primary one is deleted or moved away, the oldest of the others
//! takes its place. Consent to marketing is dated when it is given or withdrawn.

use entity::tenant::contact::{self, Column, Entity};
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

impl Rules for Entity {
    async fn before_insert(unit: &mut Unit, new: &mut contact::ActiveModel) -> Result<()> {
        if let ActiveValue::Set(customer) = new.customer_id {
            one_at_a_time(unit, customer).await?;
            match primary_of(unit, customer).await? {
                None => new.is_primary = Set(true),
                Some(_) if new.is_primary == Set(true) => demote(unit, customer, None).await?,
                Some(_) => {}
            }
        }
        if new.marketing_consent == Set(true) {
            new.marketing_consent_at = Set(Some(unit.now()));
        }
        Ok(())
    }

    async fn before_update(unit: &mut Unit, before: &contact::Model, change: &mut contact::ActiveModel) -> Result<()> {
        let moved_to = match change.customer_id {
            ActiveValue::Set(customer) if customer != before.customer_id => Some(customer),
            _ => None,
        };
        if change.is_primary.is_set() || moved_to.is_some() {
            one_at_a_time(unit, moved_to.unwrap_or(before.customer_id)).await?;
        }
        match moved_to {
            Some(customer) => match primary_of(unit, customer).await? {
                None => change.is_primary = Set(true),
                Some(_) if change.is_primary == Set(true) => demote(unit, customer, None).await?,
                Some(_) => change.is_primary = Set(false),
            },
            None if change.is_primary == Set(true) && !before.is_primary => {
                demote(unit, before.customer_id, Some(before.id)).await?;
            }
            None if change.is_primary == Set(false) && before.is_primary => {
                return Err(Error::user(
                    UserErrorCode::InvalidState,
                    &["input", "isPrimary"],
                    "a customer keeps a primary contact; make another contact primary instead",
                ));
            }
            None => {}
        }
        if matches!(change.marketing_consent, ActiveValue::Set(consent) if consent != before.marketing_consent) {
            change.marketing_consent_at = Set(Some(unit.now()));
        }
        Ok(())
    }

    async fn after_write(unit: &mut Unit, before: Option<&contact::Model>, after: &contact::Model) -> Result<()> {
        match before {
            // It moved away: its former customer may lack a primary contact now.
            Some(before) if before.customer_id != after.customer_id => {
                promote(unit, before.customer_id, after.id).await
            }
            // It is back: another may have taken its place meanwhile.
            Some(before) if before.is_deleted => settle_restored(unit, after).await,
            _ => Ok(()),
        }
    }

    async fn before_delete(unit: &mut Unit, row: &contact::Model) -> Result<()> {
        if row.is_primary {
            let demoted = contact::ActiveModel { is_primary: Set(false), ..Default::default() };
            unit.update_by_rule::<Self>(row, demoted).await?;
            promote(unit, row.customer_id, row.id).await?;
        }
        Ok(())
    }
}

/// Of two first contacts at the same moment only one becomes primary.
async fn one_at_a_time(unit: &Unit, customer: Uuid) -> Result<()> {
    unit.one_at_a_time(&format!("contact.is_primary {customer}")).await
}

fn of_customer(customer: Uuid) -> Condition {
    Condition::all().add(Column::CustomerId.eq(customer))
}

async fn primary_of(unit: &Unit, customer: Uuid) -> Result<Option<contact::Model>> {
    let primary = of_customer(customer).add(Column::IsPrimary.eq(true));
    Ok(unit.all_rows::<Entity>(primary).await?.pop())
}

/// Takes the place from the customer's primary contact, unless that is `except`.
async fn demote(unit: &mut Unit, customer: Uuid, except: Option<Uuid>) -> Result<()> {
    if let Some(primary) = primary_of(unit, customer).await?.filter(|primary| Some(primary.id) != except) {
        let demoted = contact::ActiveModel { is_primary: Set(false), ..Default::default() };
        unit.update_by_rule::<Entity>(&primary, demoted).await?;
    }
    Ok(())
}

/// Gives the place to the oldest contact of a customer that has none, leaving out the one that is going.
async fn promote(unit: &mut Unit, customer: Uuid, going: Uuid) -> Result<()> {
    let mut contacts = unit.all_rows::<Entity>(of_customer(customer)).await?;
    contacts.retain(|contact| contact.id != going);
    if contacts.iter().any(|contact| contact.is_primary) {
        return Ok(());
    }
    contacts.sort_by_key(|contact| (contact.created_at, contact.id));
    if let Some(oldest) = contacts.first() {
        let promoted = contact::ActiveModel { is_primary: Set(true), ..Default::default() };
        unit.update_by_rule::<Entity>(oldest, promoted).await?;
    }
    Ok(())
}

/// A restored contact becomes primary when its customer has no other.
async fn settle_restored(unit: &mut Unit, contact: &contact::Model) -> Result<()> {
    if primary_of(unit, contact.customer_id).await?.is_none() {
        let promoted = contact::ActiveModel { is_primary: Set(true), ..Default::default() };
        unit.update_by_rule::<Entity>(contact, promoted).await?;
    }
    Ok(())
}
