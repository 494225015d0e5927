//! Roles of a tenant: made, changed, deleted, restored. A change bites on the next request of everybody who has the role.
//!
//! The built-in roles are what the release says and cannot be touched.

use entity::{
    master::DataScope,
    tenant::{role as role_record, user},
};
use sea_orm::{ActiveValue::Set, ColumnTrait};
use serde_json::json;
use uuid::Uuid;

use super::{
    Identity,
    cache::PLATFORM_ONLY,
    decision::Step,
    guard::{may_grant, permissions_of},
    mirror::Mirrored,
};
use crate::{
    auth::{Action, Permission, PermissionSet},
    data::{TenantDb, Unit, idempotency::Outcome, ids},
    error::{Error, Result, UserErrorCode},
};

pub(super) const MANAGE_ROLES: Permission = Permission::new("admin", Action::ManageRoles);

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
                let (id, step) = self.make_role(unit, &new).await?;
                made = Some(self.decide(unit.actor(), step).await?);
                Ok(Outcome::written(id))
            })
            .await;
        self.role_told(db, outcome, made).await
    }

    /// After the unit: this node forgets what it knew, and the mark goes.
    async fn role_told(&self, db: &TenantDb, outcome: Result<Outcome>, row: Option<Mirrored>) -> Result<Outcome> {
        self.forget(Some(db.actor().tenant_id));
        let outcome = outcome?;
        if let Some(row) = row {
            self.told(&[row]).await;
        }
        Ok(outcome)
    }

    /// Writes the record of a new role in a unit. Answers its id, and what is to be done in the master database.
    pub(super) async fn make_role(&self, unit: &mut Unit, new: &NewRole) -> Result<(Uuid, Step)> {
        let now = unit.now();
        let permissions = permissions_of(&new.permissions, "permissions")?;
        may_grant(unit.actor(), &permissions, new.scope, "scope")?;
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
        Ok((record.id, Step::MakeRole { record: Box::new(record), permissions }))
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
                if let Some(step) = self.change_role(unit, id, expected, &change).await? {
                    changed = Some(self.decide(unit.actor(), step).await?);
                }
                Ok(Outcome::written(id))
            })
            .await;
        self.role_told(db, outcome, changed).await
    }

    /// Changes the record of a role in a unit. Answers what is to be done in the master database, if anything.
    pub(super) async fn change_role(
        &self,
        unit: &mut Unit,
        id: Uuid,
        expected: Option<i32>,
        change: &RoleChange,
    ) -> Result<Option<Step>> {
        let before = unit.claim::<role_record::Entity>(id, expected, Action::Write).await?;
        not_built_in(&before)?;
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
        Ok(Some(Step::ChangeRole { record: Box::new(record), permissions }))
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
                unit.delete_by_rule::<role_record::Entity>(&before).await?;
                deleted = Some(self.decide(unit.actor(), Step::RemoveRole { id }).await?);
                Ok(Outcome::written(id))
            })
            .await;
        self.role_told(db, outcome, deleted).await
    }

    /// Brings a deleted role back, with what it allowed; one that is not deleted stays as it is.
    ///
    /// # Errors
    /// As [`Identity::role_create`].
    pub async fn role_restore(&self, db: &TenantDb, id: Uuid) -> Result<Outcome> {
        let mut restored = None;
        let outcome = db
            .mutate(async |unit| {
                let before = unit.claim_deleted::<role_record::Entity>(id).await?;
                if !before.is_deleted {
                    return Ok(Outcome::written(id));
                }
                let permissions = known_permissions(&before);
                // A permission that the platform has given up since is not granted again.
                let change =
                    role_record::ActiveModel { permissions: Set(json!(permissions.names())), ..Default::default() };
                let record = unit.restore_by_rule::<role_record::Entity>(&before, change).await?;
                let step = Step::MakeRole { record: Box::new(record), permissions };
                restored = Some(self.decide(unit.actor(), step).await?);
                Ok(Outcome::written(id))
            })
            .await;
        self.role_told(db, outcome, restored).await
    }
}

/// What a role's record says that it allows.
fn known_permissions(record: &role_record::Model) -> PermissionSet {
    let names = record.permissions.as_array().into_iter().flatten().filter_map(|name| name.as_str());
    names.filter_map(|name| name.parse().ok()).filter(|permission| *permission != PLATFORM_ONLY).collect()
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
