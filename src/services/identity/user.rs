//! Users: invited, changed, disabled, deleted, restored. See the module above for the two databases and `guard` for
//! what nobody may do.
//!
//! Each call here is one unit of work of its own, because a user's account is committed with it.

use entity::{
    master::{AccountStatus, OneTimePurpose, account, role, tenant},
    tenant::{
        api_key as key_record,
        user::{self, UserStatus},
    },
};
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, EntityTrait, QueryFilter};
use serde_json::json;
use uuid::Uuid;

use super::{
    Identity, Invitation,
    decision::{Step, account_in, email_taken, next_status, no_role},
    guard::{lock_tenant, may_manage, not_himself, role_in},
    link,
    mirror::{Mirrored, status_of},
    sought,
};
use crate::{
    auth::{Action, ActorKind, Permission, password},
    data::{TenantDb, Unit, idempotency::Outcome, ids},
    error::{Error, Result, UserError, UserErrorCode},
};

pub(super) const MANAGE_USERS: Permission = Permission::new("admin", Action::ManageUsers);
/// The longest line of managers above one another.
const LONGEST_LINE: usize = 100;

/// A user to be made.
#[derive(Clone)]
pub struct NewUser {
    /// The full name.
    pub name: String,
    /// The e-mail address to log in with.
    pub email: String,
    /// The role.
    pub role_id: Uuid,
    /// What the person does.
    pub job_title: Option<String>,
    /// Whom the person reports to.
    pub manager_id: Option<Uuid>,
    /// The id in the integrator's own system.
    pub external_reference: Option<String>,
    /// How the person comes in.
    pub access: Access,
}

/// How a new user comes in.
#[derive(Clone)]
pub enum Access {
    /// By a link with which to choose a password. `send` puts it into the tenant's outgoing mail.
    Invitation {
        /// Whether the link is sent by e-mail.
        send: bool,
    },
    /// By an invitation that somebody sends later: nobody is told, and there is no link yet.
    Later,
    /// With this password, at once. Only the platform itself may choose it: the command line, the demo.
    Password(String),
}

/// A change of a user: `None` leaves a value as it is, `Some(None)` clears it.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// The full name.
    pub name: Option<String>,
    /// What the person does.
    pub job_title: Option<Option<String>>,
    /// Whom the person reports to.
    pub manager_id: Option<Option<Uuid>>,
    /// The role.
    pub role_id: Option<Uuid>,
    /// ACTIVE or DISABLED.
    pub status: Option<UserStatus>,
    /// The id in the integrator's own system.
    pub external_reference: Option<Option<String>>,
}

impl Identity {
    /// Makes a user. Answers the outcome and, for an invitation, its link: shown now and never again. A repeated
    /// request under an idempotency key gets the outcome and no link.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without `admin.manage_users`, and for a role that may do more than the actor.
    pub async fn user_invite(&self, db: &TenantDb, new: NewUser) -> Result<(Outcome, Option<Invitation>)> {
        db.actor().require(MANAGE_USERS)?;
        let hash = match &new.access {
            Access::Invitation { .. } | Access::Later => None,
            Access::Password(_) if db.actor().kind != ActorKind::System => {
                return Err(Error::internal("only the platform chooses the password of another"));
            }
            Access::Password(text) => {
                let violations = password::violations(text, &new.email, &["input", "password"]);
                if !violations.is_empty() {
                    return Err(Error::User(violations));
                }
                Some(self.0.hasher.hash(text).await?)
            }
        };
        let mut made = None;
        let outcome = db
            .mutate(async |unit| {
                let (user, step, invitation) = self.invite(unit, &new, hash.as_deref()).await?;
                made = Some((self.decide(unit.actor(), step).await?, invitation));
                Ok(Outcome::written(user.id))
            })
            .await;
        self.forget(Some(db.actor().tenant_id));
        let outcome = outcome?;
        let Some((account, invitation)) = made else { return Ok((outcome, None)) };
        self.told(&[account]).await;
        Ok((outcome, invitation))
    }

    /// Writes the record of a new user in a unit. Answers it, what is to be done to the account, and the link.
    pub(super) async fn invite(
        &self,
        unit: &mut Unit,
        new: &NewUser,
        hash: Option<&str>,
    ) -> Result<(user::Model, Step, Option<Invitation>)> {
        let (tenant_id, now) = (unit.actor().tenant_id, unit.now());
        let half_made = self.half_made(unit, tenant_id, &new.email).await?;
        let id = half_made.unwrap_or_else(|| ids::new(now));
        let role = self.role_row(tenant_id, new.role_id).await?;
        check_manager(unit, id, new.manager_id).await?;
        let record = unit
            .insert_by_rule::<user::Entity>(user::ActiveModel {
                id: Set(id),
                name: Set(new.name.clone()),
                email: Set(new.email.clone()),
                job_title: Set(new.job_title.clone()),
                manager_id: Set(new.manager_id),
                status: Set(if hash.is_some() { UserStatus::Active } else { UserStatus::Invited }),
                role_id: Set(Some(role.id)),
                role_name: Set(Some(role.name)),
                external_reference: Set(new.external_reference.clone()),
                ..Default::default()
            })
            .await?;
        let invitation = match new.access {
            Access::Invitation { send } => {
                let invitation = self.draw_link(OneTimePurpose::Invite, now)?;
                if send {
                    let tenant = self.tenant(tenant_id).await?;
                    queue_invitation(unit, &record, &tenant, &invitation).await?;
                }
                Some(invitation)
            }
            Access::Later | Access::Password(_) => None,
        };
        let step = Step::Admit {
            record: Box::new(record.clone()),
            role_id: new.role_id,
            hash: hash.map(str::to_owned),
            invitation: invitation.clone(),
        };
        Ok((record, step, invitation))
    }

    /// The id of an invitation that a crash cut short, so that inviting again completes it.
    async fn half_made(&self, unit: &mut Unit, tenant_id: Uuid, email: &str) -> Result<Option<Uuid>> {
        let known = account::Entity::find()
            .filter(account::Column::TenantId.eq(tenant_id))
            .filter(account::Column::EmailFolded.eq(sought(email)));
        let Some(known) = self.master().one(known).await? else { return Ok(None) };
        let half_made = known.status == AccountStatus::Invited
            && known.mirror_pending
            && unit.lock_row_ever::<user::Entity>(known.id).await?.is_none();
        if half_made { Ok(Some(known.id)) } else { Err(email_taken(Error::Conflict(String::new()))) }
    }

    /// Sends an invited user a new link, which replaces the earlier one.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without `admin.manage_users`.
    pub async fn user_invite_again(&self, db: &TenantDb, id: Uuid) -> Result<(Outcome, Option<Invitation>)> {
        let mut made = None;
        let outcome = db
            .mutate(async |unit| {
                let (actor, now) = (unit.actor().clone(), unit.now());
                let record = unit.claim::<user::Entity>(id, None, Action::Write).await?;
                if record.status != UserStatus::Invited {
                    let message = "This user has accepted the invitation already, or is disabled";
                    return Err(Error::user(UserErrorCode::InvalidState, &["id"], message));
                }
                let invitation = self.draw_link(OneTimePurpose::Invite, now)?;
                let tenant = self.tenant(actor.tenant_id).await?;
                queue_invitation(unit, &record, &tenant, &invitation).await?;
                self.master()
                    .write(async |master| {
                        lock_tenant(master, actor.tenant_id).await?;
                        let account = account_in(master, actor.tenant_id, id).await?;
                        // Whoever holds the link becomes that user.
                        let role = role_in(master, actor.tenant_id, account.role_id).await?.ok_or_else(no_role)?;
                        may_manage(&actor, &role)?;
                        link::store(master, &account, OneTimePurpose::Invite, &invitation).await
                    })
                    .await?;
                made = Some(invitation);
                Ok(Outcome::written(id))
            })
            .await?;
        Ok((outcome, made))
    }

    /// Changes a user.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without `admin.manage_users`, and where the user or the new role may do more than the
    /// actor.
    pub async fn user_update(
        &self,
        db: &TenantDb,
        id: Uuid,
        expected: Option<i32>,
        change: UserChange,
    ) -> Result<Outcome> {
        let mut changed = None;
        let outcome = db
            .mutate(async |unit| {
                if let (_, Some(step)) = self.change_user(unit, id, expected, &change, false).await? {
                    changed = Some(self.decide(unit.actor(), step).await?);
                }
                Ok(Outcome::written(id))
            })
            .await;
        self.forget(Some(db.actor().tenant_id));
        let outcome = outcome?;
        if let Some(account) = changed {
            self.told(&[account]).await;
        }
        Ok(outcome)
    }

    /// Lets a user in no more, from the next request on: sessions and API keys are refused.
    ///
    /// # Errors
    /// As [`Identity::user_update`].
    pub async fn user_disable(&self, db: &TenantDb, id: Uuid, expected: Option<i32>) -> Result<Outcome> {
        let change = UserChange { status: Some(UserStatus::Disabled), ..UserChange::default() };
        self.user_update(db, id, expected, change).await
    }

    /// Lets a disabled user in again. Whoever never chose a password is invited still.
    ///
    /// # Errors
    /// As [`Identity::user_update`].
    pub async fn user_enable(&self, db: &TenantDb, id: Uuid, expected: Option<i32>) -> Result<Outcome> {
        let change = UserChange { status: Some(UserStatus::Active), ..UserChange::default() };
        self.user_update(db, id, expected, change).await
    }

    /// Changes the record of a user in a unit. Answers it, and what is to be done to the account. In a rehearsal there
    /// may be no account: that of a user whom the rehearsal itself made.
    pub(super) async fn change_user(
        &self,
        unit: &mut Unit,
        id: Uuid,
        expected: Option<i32>,
        change: &UserChange,
        rehearsal: bool,
    ) -> Result<(user::Model, Option<Step>)> {
        let before = unit.claim::<user::Entity>(id, expected, Action::Write).await?;
        let actor = unit.actor().clone();
        let mut row = user::ActiveModel::default();
        if let Some(name) = &change.name {
            row.name = Set(name.clone());
        }
        if let Some(job_title) = &change.job_title {
            row.job_title = Set(job_title.clone());
        }
        if let Some(reference) = &change.external_reference {
            row.external_reference = Set(reference.clone());
        }
        if let Some(manager_id) = change.manager_id {
            check_manager(unit, id, manager_id).await?;
            row.manager_id = Set(manager_id);
        }
        let known = account::Entity::find_by_id(id).filter(account::Column::TenantId.eq(actor.tenant_id));
        let known = match self.master().one(known).await? {
            Some(known) => known,
            None if rehearsal => {
                if let Some(role_id) = change.role_id.filter(|role_id| before.role_id != Some(*role_id)) {
                    let role = self.role_row(actor.tenant_id, role_id).await?;
                    row.role_id = Set(Some(role.id));
                    row.role_name = Set(Some(role.name));
                }
                return Ok((unit.update_by_rule::<user::Entity>(&before, row).await?, None));
            }
            None => return Err(Error::NotFound),
        };
        let new_role = change.role_id.filter(|role_id| *role_id != known.role_id);
        let new_status = match change.status {
            Some(status) => next_status(&known, status)?,
            None => None,
        };
        if new_role.is_none() && new_status.is_none() {
            return Ok((unit.update_by_rule::<user::Entity>(&before, row).await?, None));
        }
        if new_role.is_some() {
            not_himself(&actor, id, "change the role of")?;
        }
        if new_status == Some(AccountStatus::Disabled) {
            not_himself(&actor, id, "disable")?;
        }
        if let Some(role_id) = new_role {
            let role = self.role_row(actor.tenant_id, role_id).await?;
            row.role_id = Set(Some(role.id));
            row.role_name = Set(Some(role.name));
        }
        if let Some(status) = new_status.and_then(status_of) {
            row.status = Set(status);
        }
        let record = unit.update_by_rule::<user::Entity>(&before, row).await?;
        Ok((record, Some(Step::Change { id, role_id: new_role, status: new_status })))
    }

    /// Deletes a user: the record keeps its place, the account goes for good, with its password, sessions and API keys,
    /// and its e-mail address is free again.
    ///
    /// # Errors
    /// As [`Identity::user_update`].
    pub async fn user_delete(&self, db: &TenantDb, id: Uuid, expected: Option<i32>) -> Result<Outcome> {
        let mut deleted = None;
        let outcome = db
            .mutate(async |unit| {
                deleted = Some(self.remove_user(unit, id, expected).await?);
                Ok(Outcome::written(id))
            })
            .await;
        self.forget(Some(db.actor().tenant_id));
        let outcome = outcome?;
        if let Some(account) = deleted {
            self.told(&[account]).await;
            self.forget(Some(db.actor().tenant_id));
        }
        Ok(outcome)
    }

    async fn remove_user(&self, unit: &mut Unit, id: Uuid, expected: Option<i32>) -> Result<Mirrored> {
        let before = unit.claim::<user::Entity>(id, expected, Action::Delete).await?;
        let (actor, now) = (unit.actor().clone(), unit.now());
        not_himself(&actor, id, "delete")?;
        unit.delete_by_rule::<user::Entity>(&before).await?;
        let keys =
            Condition::all().add(key_record::Column::OwnerId.eq(id)).add(key_record::Column::RevokedAt.is_null());
        for key in unit.all_rows::<key_record::Entity>(keys).await? {
            let revoked = key_record::ActiveModel { revoked_at: Set(Some(now)), ..Default::default() };
            unit.update_by_rule::<key_record::Entity>(&key, revoked).await?;
        }
        self.decide(&actor, Step::Remove { id }).await
    }

    /// Brings a deleted user back, with the role of then. There is no way in any more but a new invitation, which is
    /// sent; answers its link too. A user who is not deleted stays as he is, and there is no link.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without `admin.manage_users`, and where the role may do more than the actor.
    pub async fn user_restore(&self, db: &TenantDb, id: Uuid) -> Result<(Outcome, Option<Invitation>)> {
        let mut made = None;
        let outcome = db
            .mutate(async |unit| {
                let before = unit.claim_deleted::<user::Entity>(id).await?;
                if !before.is_deleted {
                    return Ok(Outcome::written(id));
                }
                let (tenant_id, now) = (unit.actor().tenant_id, unit.now());
                let role = match before.role_id {
                    Some(role_id) => self.role_row(tenant_id, role_id).await,
                    None => Err(no_role()),
                };
                let role = role.map_err(|error| match error {
                    Error::User(_) => {
                        let message = "The role of this user does not exist any more; restore the role first";
                        Error::user(UserErrorCode::InvalidState, &["id"], message)
                    }
                    other => other,
                })?;
                let change = user::ActiveModel {
                    status: Set(UserStatus::Invited),
                    role_name: Set(Some(role.name)),
                    ..Default::default()
                };
                // Whoever stands above him may have been deleted as well, or have come to stand below him.
                if let Some(manager_id) = before.manager_id
                    && unit.any_row::<user::Entity>(manager_id).await?.is_some()
                {
                    check_manager(unit, id, Some(manager_id)).await.map_err(at_id)?;
                }
                let record = unit.restore_by_rule::<user::Entity>(&before, change).await.map_err(at_id)?;
                let invitation = self.draw_link(OneTimePurpose::Invite, now)?;
                let tenant = self.tenant(tenant_id).await?;
                queue_invitation(unit, &record, &tenant, &invitation).await?;
                let step = Step::Admit {
                    record: Box::new(record),
                    role_id: role.id,
                    hash: None,
                    invitation: Some(invitation.clone()),
                };
                made = Some((self.decide(unit.actor(), step).await.map_err(at_id)?, invitation));
                Ok(Outcome::written(id))
            })
            .await;
        self.forget(Some(db.actor().tenant_id));
        let outcome = outcome?;
        let Some((account, invitation)) = made else { return Ok((outcome, None)) };
        self.told(&[account]).await;
        Ok((outcome, Some(invitation)))
    }

    /// A role of the tenant.
    async fn role_row(&self, tenant_id: Uuid, id: Uuid) -> Result<role::Model> {
        let query = role::Entity::find_by_id(id)
            .filter(role::Column::TenantId.eq(tenant_id))
            .filter(role::Column::DeletedAt.is_null());
        self.master().one(query).await?.ok_or_else(no_role)
    }
}

/// A manager is another user of the tenant, and nobody stands above himself. Two changes at the same moment that are each
/// allowed could together make a circle, so one waits for the other.
async fn check_manager(unit: &mut Unit, id: Uuid, manager_id: Option<Uuid>) -> Result<()> {
    if manager_id.is_some() {
        unit.one_at_a_time("user.manager").await?;
    }
    let refuse = |code, message: &str| Err(Error::user(code, &["input", "managerId"], message));
    let (mut next, mut line) = (manager_id, 0);
    while let Some(above) = next {
        if above == id || line == LONGEST_LINE {
            return refuse(UserErrorCode::Invalid, "A user cannot stand above himself");
        }
        let manager = unit.all_rows::<user::Entity>(user::Column::Id.eq(above)).await?.into_iter().next();
        let Some(manager) = manager else {
            if line == 0 {
                return refuse(UserErrorCode::NotFound, "there is no such user");
            }
            break;
        };
        (next, line) = (manager.manager_id, line + 1);
    }
    Ok(())
}

/// Puts the mail with an invitation's link into the tenant's queue.
pub(super) async fn queue_invitation(
    unit: &mut Unit,
    record: &user::Model,
    tenant: &tenant::Model,
    invitation: &Invitation,
) -> Result<()> {
    let variables = json!({
        "name": record.name,
        "tenant": tenant.name,
        "locale": tenant.locale,
        "link": invitation.link,
        "expiresAt": crate::data::value::moment(invitation.expires_at),
    });
    unit.queue_email(&record.email, "invitation", variables).await.map(|_| ())
}

/// What is wrong with bringing a user back is wrong with no value of an input.
fn at_id(error: Error) -> Error {
    match error {
        Error::User(errors) => Error::User(
            errors.into_iter().map(|error| UserError { field: Some(vec!["id".to_owned()]), ..error }).collect(),
        ),
        other => other,
    }
}
