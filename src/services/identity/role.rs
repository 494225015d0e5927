//! Roles of a tenant: made, changed, deleted. A change bites on the next request of everybody who has the role.
//!
//! The built-in roles are what the release says and cannot be touched.

use entity::{
    master::{DataScope, role, role_permission},
    tenant::{role as role_record, user},
};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect};
use serde_json::json;
use uuid::Uuid;

use super::{
    Identity,
    guard::{lock_tenant, may_grant, may_manage, permissions_of, role_in, users_of},
    mirror::Mirrored,
};
use crate::{
    auth::{Action, Actor, ActorKind, Permission, PermissionSet},
    data::{TenantDb, Unit, idempotency::Outcome, ids, master::MasterUnit},
    error::{Error, Result, UserErrorCode},
};

const MANAGE_ROLES: Permission = Permission::new("admin", Action::ManageRoles);

/// A role to be made.
#[derive(Clone, Debug)]
pub struct NewRole {
    /// The name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Which records its permissions reach.
    pub scope: DataScope,
    /// The names of its permissions.
    pub permissions: Vec<String>,
}

/// A change of a role: `None` leaves a value as it is, `Some(None)` clears it.
#[derive(Clone, Debug, Default)]
pub struct RoleChange {
    /// The name.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<Option<String>>,
    /// Which records its permissions reach.
    pub scope: Option<DataScope>,
    /// The names of its permissions: these and no others.
    pub permissions: Option<Vec<String>>,
}

impl Identity {
    /// Makes a role.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without `admin.manage_roles`, and for a permission that the actor does not hold.
    pub async fn role_create(&self, db: &TenantDb, new: NewRole) -> Result<Outcome> {
        db.actor().require(MANAGE_ROLES)?;
        let mut made = None;
        let outcome = db
            .mutate(async |unit| {
                let (id, row) = self.make_role(unit, &new).await?;
                made = Some(row);
                Ok(Outcome::written(id))
            })
            .await;
        self.role_told(db, outcome, made).await
    }

    /// After the unit: this node forgets what it knew, and the mark goes.
    async fn role_told(&self, db: &TenantDb, outcome: Result<Outcome>, row: Option<role::Model>) -> Result<Outcome> {
        self.forget(Some(db.actor().tenant_id));
        let outcome = outcome?;
        if let Some(row) = row {
            self.told(&[Mirrored::Role(row)]).await;
        }
        Ok(outcome)
    }

    async fn make_role(&self, unit: &mut Unit, new: &NewRole) -> Result<(Uuid, role::Model)> {
        let (actor, now) = (unit.actor().clone(), unit.now());
        let permissions = permissions_of(&new.permissions, "permissions")?;
        may_grant(&actor, &permissions, new.scope, "scope")?;
        let record = unit
            .insert_by_rule::<role_record::Entity>(role_record::ActiveModel {
                id: Set(ids::new(now)),
                name: Set(new.name.clone()),
                description: Set(new.description.clone()),
                scope: Set(new.scope),
                is_built_in: Set(false),
                permissions: Set(json!(permissions.names())),
                ..Default::default()
            })
            .await?;
        let row = self
            .master()
            .write(async |master| {
                lock_tenant(master, actor.tenant_id).await?;
                let row = master
                    .insert(role::ActiveModel {
                        id: Set(record.id),
                        tenant_id: Set(actor.tenant_id),
                        name: Set(record.name.clone()),
                        name_folded: Set(record.name_folded.clone()),
                        description: Set(record.description.clone()),
                        scope: Set(record.scope),
                        is_built_in: Set(false),
                        mirror_pending: Set(true),
                        deleted_at: Set(None),
                        version: Set(1),
                        created_at: Set(now),
                        updated_at: Set(now),
                    })
                    .await
                    .map_err(taken)?;
                master.insert_many(rows_of(record.id, &permissions)).await?;
                Ok(row)
            })
            .await?;
        Ok((record.id, row))
    }

    /// Changes a role.
    ///
    /// # Errors
    /// As [`Identity::role_create`]; also where the role may do more than the actor.
    pub async fn role_update(
        &self,
        db: &TenantDb,
        id: Uuid,
        expected: Option<i32>,
        change: RoleChange,
    ) -> Result<Outcome> {
        let mut changed = None;
        let outcome = db
            .mutate(async |unit| {
                changed = self.change_role(unit, id, expected, &change).await?;
                Ok(Outcome::written(id))
            })
            .await;
        self.role_told(db, outcome, changed).await
    }

    async fn change_role(
        &self,
        unit: &mut Unit,
        id: Uuid,
        expected: Option<i32>,
        change: &RoleChange,
    ) -> Result<Option<role::Model>> {
        let before = unit.claim::<role_record::Entity>(id, expected, Action::Write).await?;
        not_built_in(&before)?;
        let (actor, now) = (unit.actor().clone(), unit.now());
        let permissions = match &change.permissions {
            Some(names) => Some(permissions_of(names, "permissions")?),
            None => None,
        };
        let mut row = role_record::ActiveModel::default();
        if let Some(name) = &change.name {
            row.name = Set(name.clone());
        }
        if let Some(description) = &change.description {
            row.description = Set(description.clone());
        }
        if let Some(scope) = change.scope {
            row.scope = Set(scope);
        }
        if let Some(permissions) = &permissions {
            row.permissions = Set(json!(permissions.names()));
        }
        let record = unit.update_by_rule::<role_record::Entity>(&before, row).await?;
        if record.version == before.version {
            return Ok(None);
        }
        if record.name != before.name {
            rename_in_users(unit, &record).await?;
        }
        let row = self
            .master()
            .write(async |master| {
                lock_tenant(master, actor.tenant_id).await?;
                let old = role_in(master, actor.tenant_id, id).await?.ok_or(Error::NotFound)?;
                may_manage(&actor, &old)?;
                let granted = permissions.as_ref().unwrap_or(&old.permissions);
                may_grant(&actor, granted, record.scope, "scope")?;
                self.keeps_own_rights(master, &actor, id, granted).await?;
                if let Some(permissions) = &permissions {
                    let of_role = role_permission::Column::RoleId.eq(id);
                    master.delete_many(role_permission::Entity::delete_many().filter(of_role)).await?;
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
                master.update(row).await.map_err(taken)
            })
            .await?;
        Ok(Some(row))
    }

    /// Refuses a change of the actor's own role with which he could not change it back.
    async fn keeps_own_rights(
        &self,
        master: &mut MasterUnit,
        actor: &Actor,
        role_id: Uuid,
        granted: &PermissionSet,
    ) -> Result<()> {
        if actor.kind == ActorKind::System || granted.allows(MANAGE_ROLES) {
            return Ok(());
        }
        let own = entity::master::account::Entity::find_by_id(actor.user_id);
        if master.one(own).await?.is_some_and(|own| own.role_id == role_id) {
            let message = format!("You cannot take {MANAGE_ROLES} from your own role");
            return Err(Error::user(UserErrorCode::InvalidState, &["input", "permissions"], message));
        }
        Ok(())
    }

    /// Deletes a role that nobody has.
    ///
    /// # Errors
    /// As [`Identity::role_update`].
    pub async fn role_delete(&self, db: &TenantDb, id: Uuid, expected: Option<i32>) -> Result<Outcome> {
        let mut deleted = None;
        let outcome = db
            .mutate(async |unit| {
                let before = unit.claim::<role_record::Entity>(id, expected, Action::Delete).await?;
                not_built_in(&before)?;
                let (actor, now) = (unit.actor().clone(), unit.now());
                unit.delete_by_rule::<role_record::Entity>(&before).await?;
                let row = self
                    .master()
                    .write(async |master| {
                        lock_tenant(master, actor.tenant_id).await?;
                        let role = role_in(master, actor.tenant_id, id).await?.ok_or(Error::NotFound)?;
                        may_manage(&actor, &role)?;
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
                    })
                    .await?;
                deleted = Some(row);
                Ok(Outcome::written(id))
            })
            .await;
        self.role_told(db, outcome, deleted).await
    }
}

async fn locked(master: &mut MasterUnit, id: Uuid) -> Result<role::Model> {
    master.one(role::Entity::find_by_id(id).lock_exclusive()).await?.ok_or(Error::NotFound)
}

/// The role's name stands with its users as well.
async fn rename_in_users(unit: &mut Unit, role: &role_record::Model) -> Result<()> {
    for user in unit.all_rows::<user::Entity>(user::Column::RoleId.eq(role.id)).await? {
        let change = user::ActiveModel { role_name: Set(Some(role.name.clone())), ..Default::default() };
        unit.update_by_rule::<user::Entity>(&user, change).await?;
    }
    Ok(())
}

fn not_built_in(role: &role_record::Model) -> Result<()> {
    if role.is_built_in {
        let message = "A built-in role cannot be changed or deleted";
        return Err(Error::user(UserErrorCode::InvalidState, &["id"], message));
    }
    Ok(())
}

/// The rows of a role's permissions.
pub(super) fn rows_of(role_id: Uuid, permissions: &PermissionSet) -> Vec<role_permission::ActiveModel> {
    let row = |permission| role_permission::ActiveModel { role_id: Set(role_id), permission: Set(permission) };
    permissions.names().into_iter().map(row).collect()
}

fn taken(error: Error) -> Error {
    match error {
        Error::Conflict(_) => Error::user(UserErrorCode::Taken, &["input", "name"], "this name is taken"),
        other => other,
    }
}
