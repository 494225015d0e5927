//! Users by the hundred, within the unit of work of an import.

use entity::tenant::user;
use uuid::Uuid;

use super::{Identity, NewUser, UserChange, decision::Step, mirror::Mirrored, user::MANAGE_USERS};
use crate::{data::Unit, error::Result};

/// A user's account that was changed while the unit is not committed yet: [`Identity::imported`] takes it afterwards.
pub struct Untold(Mirrored);

impl Identity {
    /// Makes a user within a unit. In a rehearsal the unit is taken back, and no account is made.
    ///
    /// # Errors
    /// As [`Identity::user_invite`].
    pub async fn user_import(
        &self,
        unit: &mut Unit,
        new: &NewUser,
        rehearsal: bool,
    ) -> Result<(user::Model, Option<Untold>)> {
        unit.actor().require(MANAGE_USERS)?;
        let (user, step, _) = self.invite(unit, new, None).await?;
        let step = Some(step).filter(|_| !rehearsal);
        Ok((user, self.import_step(unit, step).await?))
    }

    /// Changes a user within a unit, as [`Identity::user_import`] makes one.
    ///
    /// # Errors
    /// As [`Identity::user_update`].
    pub async fn user_import_change(
        &self,
        unit: &mut Unit,
        id: Uuid,
        change: &UserChange,
        rehearsal: bool,
    ) -> Result<(user::Model, Option<Untold>)> {
        let (user, step) = self.change_user(unit, id, None, change, rehearsal).await?;
        let step = step.filter(|_| !rehearsal);
        Ok((user, self.import_step(unit, step).await?))
    }

    async fn import_step(&self, unit: &Unit, step: Option<Step>) -> Result<Option<Untold>> {
        match step {
            Some(step) => self.decide(unit.actor(), step).await.map(Untold).map(Some),
            None => Ok(None),
        }
    }

    /// Finishes what a unit changed of accounts, now that it is committed.
    pub async fn imported(&self, tenant_id: Uuid, untold: &[Untold]) {
        if untold.is_empty() {
            return;
        }
        self.forget(Some(tenant_id));
        self.told(untold.iter().map(|untold| &untold.0)).await;
    }
}
