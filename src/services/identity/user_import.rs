//! Users by the hundred, within the unit of work of an import.

use entity::{master::account, tenant::user};
use uuid::Uuid;

use super::{Identity, NewUser, UserChange, mirror::Mirrored, user::MANAGE_USERS};
use crate::{data::Unit, error::Result};

/// A user's account that was changed while the unit is not committed yet: [`Identity::imported`] takes it afterwards.
pub struct Untold(account::Model);

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
        let (user, account, _) = self.invite(unit, new, None, rehearsal).await?;
        Ok((user, account.map(Untold)))
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
        let (user, account) = self.change_user(unit, id, None, change, rehearsal).await?;
        Ok((user, account.map(Untold)))
    }

    /// Finishes what a unit changed of accounts, now that it is committed.
    pub async fn imported(&self, tenant_id: Uuid, untold: &[Untold]) {
        if untold.is_empty() {
            return;
        }
        self.forget(Some(tenant_id));
        let rows: Vec<Mirrored> = untold.iter().map(|untold| Mirrored::Account(untold.0.clone())).collect();
        self.told(&rows).await;
    }
}
