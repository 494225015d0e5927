//! Many users or roles with one request.
//!
//! First every record is written in the unit, input by input; then what is to be done to accounts and roles is done in
//! one transaction of the master database. An input that is refused only there is left out, and the others are written
//! once more without it.

use std::collections::{HashMap, HashSet};

use entity::tenant::{role, user};
use sea_orm::ColumnTrait;
use uuid::Uuid;

use super::{
    Access, Identity, NewRole, NewUser, RoleChange, UserChange, decision::Step, role::MANAGE_ROLES, sought,
    user::MANAGE_USERS,
};
use crate::{
    data::{
        TenantDb, Unit,
        idempotency::{Item, Outcome},
        unit,
    },
    error::{Error, Result, UserError, UserErrorCode},
};

/// One of many users: the one of this id or external reference, or a new one.
pub struct UserUpsert {
    /// The user to change.
    pub id: Option<Uuid>,
    /// The external reference of the user to change, or to make when there is none.
    pub external_reference: Option<String>,
    /// What to set.
    pub values: UserValues,
}

/// One of many roles: the one of this id, or else of the name among its values, or a new one.
pub struct RoleUpsert {
    /// The role to change.
    pub id: Option<Uuid>,
    /// What to set.
    pub values: RoleChange,
}

/// What is known of a user who may be new: `None` leaves a value as it is, `Some(None)` clears it.
#[derive(Clone, Debug, Default)]
pub struct UserValues {
    /// The full name.
    pub name: Option<String>,
    /// The e-mail address to log in with. A user who is there keeps it.
    pub email: Option<String>,
    /// What the person does.
    pub job_title: Option<Option<String>>,
    /// Whom the person reports to.
    pub manager_id: Option<Option<Uuid>>,
    /// The role.
    pub role_id: Option<Uuid>,
    /// The id in the integrator's own system.
    pub external_reference: Option<Option<String>>,
}

impl UserValues {
    /// A new user with these values.
    ///
    /// # Errors
    /// [`Error::User`] for what is missing.
    pub fn into_new(self, access: Access) -> Result<NewUser> {
        match (self.name, self.email, self.role_id) {
            (Some(name), Some(email), Some(role_id)) => Ok(NewUser {
                name,
                email,
                role_id,
                job_title: self.job_title.flatten(),
                manager_id: self.manager_id.flatten(),
                external_reference: self.external_reference.flatten(),
                access,
            }),
            (name, email, role_id) => {
                Err(missing(&[("name", name.is_some()), ("email", email.is_some()), ("roleId", role_id.is_some())]))
            }
        }
    }

    /// The change of the user of this id.
    ///
    /// # Errors
    /// [`Error::User`] for another e-mail address than the user's own.
    pub async fn into_change(self, unit: &Unit, id: Uuid) -> Result<UserChange> {
        if let Some(email) = &self.email {
            let before = unit.get::<user::Entity>(id).await?;
            if before.email_folded != sought(email) {
                let message = format!("{} logs in with {}, which does not change here", before.name, before.email);
                return Err(Error::user(UserErrorCode::InvalidState, &["input", "email"], message));
            }
        }
        Ok(UserChange {
            name: self.name,
            job_title: self.job_title,
            manager_id: self.manager_id,
            role_id: self.role_id,
            status: None,
            external_reference: self.external_reference,
        })
    }
}

/// What a new user or role lacks.
fn missing(fields: &[(&str, bool)]) -> Error {
    let lacking = fields.iter().filter(|(_, there)| !there);
    Error::User(
        lacking
            .map(|(field, _)| UserError::new(UserErrorCode::Blank, &["input", field], format!("{field} is required")))
            .collect(),
    )
}

/// One of many inputs.
trait Input: Sync {
    /// Writes the record that is meant, and answers what is to be done in the master database.
    fn write(&self, identity: &Identity, unit: &mut Unit) -> impl Future<Output = Result<Written>> + Send;
}

/// What was written: its id, and what is to be done in the master database.
type Written = (Uuid, Option<Step>);

impl Identity {
    /// Makes and changes users in one transaction; new ones are invited by e-mail. With `all_or_none`, one refused input
    /// refuses all.
    ///
    /// # Errors
    /// As [`Identity::user_invite`] and [`Identity::user_update`].
    pub async fn users_upsert(&self, db: &TenantDb, inputs: &[UserUpsert], all_or_none: bool) -> Result<Outcome> {
        db.actor().require(MANAGE_USERS)?;
        self.upsert(db, inputs, all_or_none).await
    }

    /// Makes and changes roles in one transaction. With `all_or_none`, one refused input refuses all.
    ///
    /// # Errors
    /// As [`Identity::role_create`] and [`Identity::role_update`].
    pub async fn roles_upsert(&self, db: &TenantDb, inputs: &[RoleUpsert], all_or_none: bool) -> Result<Outcome> {
        db.actor().require(MANAGE_ROLES)?;
        self.upsert(db, inputs, all_or_none).await
    }

    async fn upsert<I: Input>(&self, db: &TenantDb, inputs: &[I], all_or_none: bool) -> Result<Outcome> {
        let mut decided = Vec::new();
        let outcome = db
            .mutate(async |unit| {
                let mut refused: HashMap<usize, Vec<UserError>> = HashMap::new();
                loop {
                    let start = unit.savepoint().await?;
                    let (ids, steps) = self.write_all(unit, inputs, &mut refused).await?;
                    if all_or_none && !refused.is_empty() {
                        unit.rollback_to(start).await?;
                        return Ok(outcome_of(vec![None; inputs.len()], refused));
                    }
                    let actor = unit.actor().clone();
                    match self.decide_all(&actor, steps).await {
                        Ok(done) => {
                            decided = done;
                            return Ok(outcome_of(ids, refused));
                        }
                        Err((Some(number), error)) => {
                            refused.insert(number, unit::refused(error)?.single().errors);
                            unit.rollback_to(start).await?;
                        }
                        Err((None, error)) => return Err(error),
                    }
                }
            })
            .await;
        self.forget(Some(db.actor().tenant_id));
        let outcome = outcome?;
        self.told(&decided).await;
        Ok(outcome)
    }

    /// Writes the record of every input that is not refused yet, each alone: what is wrong with one harms no other.
    async fn write_all<I: Input>(
        &self,
        unit: &mut Unit,
        inputs: &[I],
        refused: &mut HashMap<usize, Vec<UserError>>,
    ) -> Result<(Vec<Option<Uuid>>, Vec<(usize, Step)>)> {
        let (mut ids, mut steps, mut seen) = (vec![None; inputs.len()], Vec::new(), HashSet::new());
        for (number, input) in inputs.iter().enumerate() {
            if refused.contains_key(&number) {
                continue;
            }
            let before = unit.savepoint().await?;
            let written = match input.write(self, unit).await {
                Ok((id, _)) if !seen.insert(id) => {
                    let message = "An earlier input means the same record; say it all in one";
                    Err(Error::user(UserErrorCode::Invalid, &[], message))
                }
                written => written,
            };
            match written {
                Ok((id, step)) => {
                    unit.release(before).await?;
                    ids[number] = Some(id);
                    steps.extend(step.map(|step| (number, step)));
                }
                Err(error) => {
                    unit.rollback_to(before).await?;
                    refused.insert(number, unit::refused(error)?.single().errors);
                }
            }
        }
        Ok((ids, steps))
    }
}

impl Input for UserUpsert {
    async fn write(&self, identity: &Identity, unit: &mut Unit) -> Result<Written> {
        let mut values = self.values.clone();
        let known = match (self.id, &self.external_reference) {
            (Some(_), Some(_)) => {
                let message = "give an id or an external reference, not both";
                return Err(Error::user(UserErrorCode::Invalid, &["id"], message));
            }
            (None, Some(reference)) => {
                let by_reference = user::Column::ExternalReference.eq(reference.as_str());
                let known = unit.find::<user::Entity>(by_reference).await?.map(|user| user.id);
                if known.is_none() {
                    values.external_reference = Some(Some(reference.clone()));
                }
                known
            }
            (id, None) => id,
        };
        match known {
            Some(id) => {
                let change = values.into_change(unit, id).await?;
                Ok((id, identity.change_user(unit, id, None, &change, false).await?.1))
            }
            None => {
                let new = values.into_new(Access::Invitation { send: true })?;
                let (record, step, _) = identity.invite(unit, &new, None).await?;
                Ok((record.id, Some(step)))
            }
        }
    }
}

impl Input for RoleUpsert {
    async fn write(&self, identity: &Identity, unit: &mut Unit) -> Result<Written> {
        let values = self.values.clone();
        let known = match (self.id, &values.name) {
            (None, Some(name)) => {
                unit.find::<role::Entity>(role::Column::NameFolded.eq(sought(name))).await?.map(|role| role.id)
            }
            (id, _) => id,
        };
        if let Some(id) = known {
            return Ok((id, identity.change_role(unit, id, None, &values).await?));
        }
        let RoleChange { name, description, scope, permissions } = values;
        match (name, scope, permissions) {
            (Some(name), Some(scope), Some(permissions)) => {
                let new = NewRole { name, description: description.flatten(), scope, permissions };
                let (id, step) = identity.make_role(unit, &new).await?;
                Ok((id, Some(step)))
            }
            (name, scope, permissions) => Err(missing(&[
                ("name", name.is_some()),
                ("scope", scope.is_some()),
                ("permissions", permissions.is_some()),
            ])),
        }
    }
}

fn outcome_of(ids: Vec<Option<Uuid>>, mut refused: HashMap<usize, Vec<UserError>>) -> Outcome {
    let item = |(number, id)| Item { id, errors: refused.remove(&number).unwrap_or_default() };
    Outcome(ids.into_iter().enumerate().map(item).collect())
}
