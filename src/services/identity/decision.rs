//! What is to be done in the master database once a unit has written the records of users and roles: the second half of
//! each change, where it is decided whether the actor may do it at all.
//!
//! A step is made while the records are written, and done when they all are: see the module above for the order.

use entity::{
    master::{AccountStatus, OneTimePurpose, RevocationReason, account, api_key, role, role_permission},
    tenant::{
        role as role_record,
        user::{self, UserStatus},
    },
};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect, sea_query::Expr};
use uuid::Uuid;

use super::{
    Identity, Invitation,
    guard::{keep_an_admin, lock_tenant, may_grant, may_manage, role_in, users_of},
    link,
    mirror::Mirrored,
    role::MANAGE_ROLES,
    session::raise_epoch,
};
use crate::{
    auth::{Actor, ActorKind, PermissionSet},
    data::master::MasterUnit,
    error::{Error, Result, UserErrorCode},
};

/// What is to be done to an account or a role.
pub(super) enum Step {
    /// A user gets an account: a new one, one that was deleted, or one whose invitation a crash cut short.
    Admit {
        /// The user's record.
        record: Box<user::Model>,
        /// The role.
        role_id: Uuid,
        /// The password; without one the account is invited.
        hash: Option<String>,
        /// The link with which to choose a password.
        invitation: Option<Invitation>,
    },
    /// An account gets another role or status.
    Change {
        /// Its id.
        id: Uuid,
        /// The other role.
        role_id: Option<Uuid>,
        /// The other status.
        status: Option<AccountStatus>,
    },
    /// An account goes, with all its ways in.
    Remove {
        /// Its id.
        id: Uuid,
    },
    /// A role comes to be, or back.
    MakeRole {
        /// Its record.
        record: Box<role_record::Model>,
        /// What it allows.
        permissions: PermissionSet,
    },
    /// A role becomes what its record says.
    ChangeRole {
        /// Its record.
        record: Box<role_record::Model>,
        /// What it allows from now on, where that changes.
        permissions: Option<PermissionSet>,
    },
    /// A role goes.
    RemoveRole {
        /// Its id.
        id: Uuid,
    },
}

impl Identity {
    /// Does one step, in a transaction of its own.
    ///
    /// # Errors
    /// When the actor may not do it, and for what a user can mend.
    pub(super) async fn decide(&self, actor: &Actor, step: Step) -> Result<Mirrored> {
        self.master()
            .write(async |master| {
                lock_tenant(master, actor.tenant_id).await?;
                step.run(master, actor).await
            })
            .await
    }

    /// Does steps in one transaction: all of them or none. An error comes with the number of the step that failed.
    pub(super) async fn decide_all(
        &self,
        actor: &Actor,
        steps: Vec<(usize, Step)>,
    ) -> std::result::Result<Vec<Mirrored>, (Option<usize>, Error)> {
        let mut at = None;
        let done = self
            .master()
            .write(async |master| {
                lock_tenant(master, actor.tenant_id).await?;
                let mut done = Vec::with_capacity(steps.len());
                for (number, step) in steps {
                    at = Some(number);
                    done.push(step.run(master, actor).await?);
                }
                at = None;
                Ok(done)
            })
            .await;
        done.map_err(|error| (at, error))
    }
}

impl Step {
    /// Does it. The tenant's row is locked.
    async fn run(self, master: &mut MasterUnit, actor: &Actor) -> Result<Mirrored> {
        match self {
            Self::Admit { record, role_id, hash, invitation } => {
                admit(master, actor, &record, role_id, hash, invitation.as_ref()).await.map(Mirrored::Account)
            }
            Self::Change { id, role_id, status } => {
                change(master, actor, id, role_id, status).await.map(Mirrored::Account)
            }
            Self::Remove { id } => remove(master, actor, id).await.map(Mirrored::Account),
            Self::MakeRole { record, permissions } => {
                make_role(master, actor, &record, &permissions).await.map(Mirrored::Role)
            }
            Self::ChangeRole { record, permissions } => {
                change_role(master, actor, &record, permissions.as_ref()).await.map(Mirrored::Role)
            }
            Self::RemoveRole { id } => remove_role(master, actor, id).await.map(Mirrored::Role),
        }
    }
}

async fn admit(
    master: &mut MasterUnit,
    actor: &Actor,
    record: &user::Model,
    role_id: Uuid,
    hash: Option<String>,
    invitation: Option<&Invitation>,
) -> Result<account::Model> {
    let now = master.now();
    let role = role_in(master, actor.tenant_id, role_id).await?.ok_or_else(no_role)?;
    may_grant(actor, &role.permissions, role.scope, "roleId")?;
    let known =
        account::Entity::find_by_id(record.id).filter(account::Column::TenantId.eq(actor.tenant_id)).lock_exclusive();
    let known = master.one(known).await?;
    let row = account::ActiveModel {
        id: Set(record.id),
        email: Set(record.email.clone()),
        email_folded: Set(record.email_folded.clone()),
        password_changed_at: Set(hash.as_ref().map(|_| now)),
        status: Set(if hash.is_some() { AccountStatus::Active } else { AccountStatus::Invited }),
        password_hash: Set(hash),
        role_id: Set(role.id),
        mirror_pending: Set(true),
        updated_at: Set(now),
        ..Default::default()
    };
    let account = match known {
        Some(known) => {
            master.update(account::ActiveModel { version: Set(known.version + 1), ..row }).await.map_err(email_taken)?
        }
        None => {
            let new = account::ActiveModel {
                tenant_id: Set(actor.tenant_id),
                epoch: Set(0),
                last_login_at: Set(None),
                version: Set(1),
                created_at: Set(now),
                ..row
            };
            master.insert(new).await.map_err(email_taken)?
        }
    };
    if let Some(invitation) = invitation {
        link::store(master, &account, OneTimePurpose::Invite, invitation).await?;
    }
    Ok(account)
}

async fn change(
    master: &mut MasterUnit,
    actor: &Actor,
    id: Uuid,
    new_role: Option<Uuid>,
    new_status: Option<AccountStatus>,
) -> Result<account::Model> {
    let now = master.now();
    let account = account_in(master, actor.tenant_id, id).await?;
    let old = role_in(master, actor.tenant_id, account.role_id).await?.ok_or_else(no_role)?;
    may_manage(actor, &old)?;
    if let Some(role_id) = new_role {
        let new = role_in(master, actor.tenant_id, role_id).await?.ok_or_else(no_role)?;
        may_grant(actor, &new.permissions, new.scope, "roleId")?;
    }
    if new_role.is_some() || new_status == Some(AccountStatus::Disabled) {
        keep_an_admin(master, &account, &old).await?;
    }
    let account = if new_status == Some(AccountStatus::Disabled) {
        raise_epoch(master, account, RevocationReason::AccountDisabled, None).await?
    } else {
        account
    };
    let (role_id, status) = (new_role.unwrap_or(account.role_id), new_status.unwrap_or(account.status));
    let version = account.version + 1;
    let mut row = account.into_active_model();
    row.role_id = Set(role_id);
    row.status = Set(status);
    row.mirror_pending = Set(true);
    row.version = Set(version);
    row.updated_at = Set(now);
    master.update(row).await
}

async fn remove(master: &mut MasterUnit, actor: &Actor, id: Uuid) -> Result<account::Model> {
    let now = master.now();
    let account = account_in(master, actor.tenant_id, id).await?;
    let role = role_in(master, actor.tenant_id, account.role_id).await?.ok_or_else(no_role)?;
    may_manage(actor, &role)?;
    keep_an_admin(master, &account, &role).await?;
    let revoke = api_key::Entity::update_many()
        .col_expr(api_key::Column::RevokedAt, Expr::value(now))
        .filter(api_key::Column::AccountId.eq(id))
        .filter(api_key::Column::RevokedAt.is_null());
    master.update_many(revoke).await?;
    let account = raise_epoch(master, account, RevocationReason::AccountDisabled, None).await?;
    link::use_up(master, &account, None).await?;
    let version = account.version + 1;
    let mut row = account.into_active_model();
    row.status = Set(AccountStatus::Deleted);
    row.mirror_pending = Set(true);
    row.version = Set(version);
    row.updated_at = Set(now);
    master.update(row).await
}

async fn make_role(
    master: &mut MasterUnit,
    actor: &Actor,
    record: &role_record::Model,
    permissions: &PermissionSet,
) -> Result<role::Model> {
    let now = master.now();
    may_grant(actor, permissions, record.scope, "scope")?;
    let known = role::Entity::find_by_id(record.id).filter(role::Column::TenantId.eq(actor.tenant_id)).lock_exclusive();
    let known = master.one(known).await?;
    let row = role::ActiveModel {
        id: Set(record.id),
        name: Set(record.name.clone()),
        name_folded: Set(record.name_folded.clone()),
        description: Set(record.description.clone()),
        scope: Set(record.scope),
        mirror_pending: Set(true),
        deleted_at: Set(None),
        updated_at: Set(now),
        ..Default::default()
    };
    let row = match known {
        Some(known) => {
            forget_permissions(master, record.id).await?;
            master.update(role::ActiveModel { version: Set(known.version + 1), ..row }).await.map_err(name_taken)?
        }
        None => {
            let new = role::ActiveModel {
                tenant_id: Set(actor.tenant_id),
                is_built_in: Set(false),
                version: Set(1),
                created_at: Set(now),
                ..row
            };
            master.insert(new).await.map_err(name_taken)?
        }
    };
    master.insert_many(rows_of(record.id, permissions)).await?;
    Ok(row)
}

async fn change_role(
    master: &mut MasterUnit,
    actor: &Actor,
    record: &role_record::Model,
    permissions: Option<&PermissionSet>,
) -> Result<role::Model> {
    let (id, now) = (record.id, master.now());
    let old = role_in(master, actor.tenant_id, id).await?.ok_or(Error::NotFound)?;
    may_manage(actor, &old)?;
    let granted = permissions.unwrap_or(&old.permissions);
    may_grant(actor, granted, record.scope, "scope")?;
    keeps_own_rights(master, actor, id, granted).await?;
    if let Some(permissions) = permissions {
        forget_permissions(master, id).await?;
        master.insert_many(rows_of(id, permissions)).await?;
    }
    let known = locked(master, id).await?;
    let version = known.version + 1;
    let mut row = known.into_active_model();
    row.name = Set(record.name.clone());
    row.name_folded = Set(record.name_folded.clone());
    row.description = Set(record.description.clone());
    row.scope = Set(record.scope);
    row.mirror_pending = Set(true);
    row.version = Set(version);
    row.updated_at = Set(now);
    master.update(row).await.map_err(name_taken)
}

async fn remove_role(master: &mut MasterUnit, actor: &Actor, id: Uuid) -> Result<role::Model> {
    let now = master.now();
    let role = role_in(master, actor.tenant_id, id).await?.ok_or(Error::NotFound)?;
    may_manage(actor, &role)?;
    let users = users_of(master, id).await?;
    if users > 0 {
        let message = format!("{users} users have this role; give them another one first");
        return Err(Error::user(UserErrorCode::InvalidState, &["id"], message));
    }
    let known = locked(master, id).await?;
    let version = known.version + 1;
    let mut row = known.into_active_model();
    row.deleted_at = Set(Some(now));
    row.mirror_pending = Set(true);
    row.version = Set(version);
    row.updated_at = Set(now);
    master.update(row).await
}

/// Refuses a change of the actor's own role with which he could not change it back.
async fn keeps_own_rights(
    master: &mut MasterUnit,
    actor: &Actor,
    role_id: Uuid,
    granted: &PermissionSet,
) -> Result<()> {
    if actor.kind == ActorKind::System || granted.allows(MANAGE_ROLES) {
        return Ok(());
    }
    let own = account::Entity::find_by_id(actor.user_id);
    if master.one(own).await?.is_some_and(|own| own.role_id == role_id) {
        let message = format!("You cannot take {MANAGE_ROLES} from your own role");
        return Err(Error::user(UserErrorCode::InvalidState, &["input", "permissions"], message));
    }
    Ok(())
}

async fn forget_permissions(master: &mut MasterUnit, role_id: Uuid) -> Result<()> {
    let of_role = role_permission::Column::RoleId.eq(role_id);
    master.delete_many(role_permission::Entity::delete_many().filter(of_role)).await.map(|_| ())
}

/// The rows of a role's permissions.
pub(super) fn rows_of(role_id: Uuid, permissions: &PermissionSet) -> Vec<role_permission::ActiveModel> {
    let row = |permission| role_permission::ActiveModel { role_id: Set(role_id), permission: Set(permission) };
    permissions.names().into_iter().map(row).collect()
}

/// An account of the tenant, locked.
pub(super) async fn account_in(unit: &mut MasterUnit, tenant_id: Uuid, id: Uuid) -> Result<account::Model> {
    let query = account::Entity::find_by_id(id)
        .filter(account::Column::TenantId.eq(tenant_id))
        .filter(account::Column::Status.ne(AccountStatus::Deleted))
        .lock_exclusive();
    unit.one(query).await?.ok_or(Error::NotFound)
}

async fn locked(master: &mut MasterUnit, id: Uuid) -> Result<role::Model> {
    master.one(role::Entity::find_by_id(id).lock_exclusive()).await?.ok_or(Error::NotFound)
}

/// The status that an account takes; none when it has it already.
pub(super) fn next_status(account: &account::Model, wanted: UserStatus) -> Result<Option<AccountStatus>> {
    let refuse = |message: &str| Err(Error::user(UserErrorCode::InvalidState, &["input", "status"], message));
    match (wanted, account.status) {
        (UserStatus::Disabled, AccountStatus::Disabled)
        | (UserStatus::Active, AccountStatus::Active)
        | (UserStatus::Invited, AccountStatus::Invited) => Ok(None),
        (UserStatus::Disabled, _) => Ok(Some(AccountStatus::Disabled)),
        (UserStatus::Active, AccountStatus::Disabled) if account.password_hash.is_none() => {
            Ok(Some(AccountStatus::Invited))
        }
        (UserStatus::Active, AccountStatus::Disabled) => Ok(Some(AccountStatus::Active)),
        (UserStatus::Active, _) => refuse("This user has not accepted the invitation yet"),
        (UserStatus::Invited, _) => refuse("A user becomes INVITED by an invitation alone"),
    }
}

pub(super) fn no_role() -> Error {
    Error::user(UserErrorCode::NotFound, &["input", "roleId"], "there is no such role")
}

/// A clash of accounts is one of their e-mail addresses.
pub(super) fn email_taken(error: Error) -> Error {
    match error {
        Error::Conflict(_) => Error::user(UserErrorCode::Taken, &["input", "email"], "this email is taken"),
        other => other,
    }
}

fn name_taken(error: Error) -> Error {
    match error {
        Error::Conflict(_) => Error::user(UserErrorCode::Taken, &["input", "name"], "this name is taken"),
        other => other,
    }
}
