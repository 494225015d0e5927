//! What nobody may do, whatever his role: grant more than he has, act on somebody who may do more than he, lock out
//! the tenant's last administrator, or change himself into nothing.
//!
//! Whatever changes who may do what in a tenant first locks the tenant's row in the master database, so that two
//! changes that are each allowed cannot together do what is not.

use entity::master::{AccountStatus, account, role, role_permission, tenant};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use uuid::Uuid;

use super::cache::{ADMIN, PLATFORM_ONLY, Role};
use crate::{
    auth::{Actor, ActorKind, DataScope, Permission, PermissionSet},
    data::master::MasterUnit,
    error::{Error, Result, UserError, UserErrorCode},
};

/// Locks the tenant's row until the end of the transaction.
pub(super) async fn lock_tenant(unit: &mut MasterUnit, tenant_id: Uuid) -> Result<tenant::Model> {
    unit.one(tenant::Entity::find_by_id(tenant_id).lock_exclusive()).await?.ok_or(Error::NotFound)
}

/// A role of the tenant as it is enforced, from the database.
pub(super) async fn role_in(unit: &mut MasterUnit, tenant_id: Uuid, id: Uuid) -> Result<Option<Role>> {
    let row = role::Entity::find_by_id(id)
        .filter(role::Column::TenantId.eq(tenant_id))
        .filter(role::Column::DeletedAt.is_null());
    let Some(row) = unit.one(row).await? else { return Ok(None) };
    let stored = role_permission::Entity::find().filter(role_permission::Column::RoleId.eq(id));
    let stored = unit.all(stored).await?.into_iter().map(|row| row.permission);
    Ok(Some(Role::of(row, stored)))
}

/// Refuses to grant what the actor does not hold.
pub(super) fn may_grant(
    actor: &Actor,
    permissions: &PermissionSet,
    scope: DataScope,
    scope_field: &'static str,
) -> Result<()> {
    if let Some(beyond) = permissions.beyond(&actor.permissions) {
        return Err(Error::Forbidden { permission: beyond.to_string() });
    }
    if scope == DataScope::All && actor.scope == DataScope::Own {
        let message = "You reach only your own records and cannot let others reach more";
        return Err(Error::user(UserErrorCode::Invalid, &["input", scope_field], message));
    }
    Ok(())
}

/// Refuses to act on somebody who may do more than the actor.
pub(super) fn may_manage(actor: &Actor, role: &Role) -> Result<()> {
    match role.permissions.beyond(&actor.permissions) {
        Some(beyond) => Err(Error::Forbidden { permission: beyond.to_string() }),
        None => Ok(()),
    }
}

/// Refuses to take this account away when it is the tenant's last active administrator. The tenant's row is locked.
pub(super) async fn keep_an_admin(unit: &mut MasterUnit, leaving: &account::Model, role: &Role) -> Result<()> {
    if !role.is_admin() || leaving.status != AccountStatus::Active {
        return Ok(());
    }
    let others = account::Entity::find()
        .filter(account::Column::TenantId.eq(leaving.tenant_id))
        .filter(account::Column::RoleId.eq(role.id))
        .filter(account::Column::Status.eq(AccountStatus::Active))
        .filter(account::Column::Id.ne(leaving.id))
        .limit(1);
    if unit.one(others).await?.is_some() {
        return Ok(());
    }
    let message = format!("This is the last active user with the role {ADMIN}");
    Err(Error::user(UserErrorCode::InvalidState, &["id"], message))
}

/// Refuses what would take the actor's own rights away.
pub(super) fn not_himself(actor: &Actor, id: Uuid, what: &str) -> Result<()> {
    if actor.kind != ActorKind::System && actor.user_id == id {
        return Err(Error::user(UserErrorCode::InvalidState, &["id"], format!("You cannot {what} yourself")));
    }
    Ok(())
}

/// The permissions that these names mean.
pub(super) fn permissions_of(names: &[String], field: &'static str) -> Result<PermissionSet> {
    let mut set = PermissionSet::default();
    let mut errors = Vec::new();
    for name in names {
        match name.parse::<Permission>() {
            Ok(permission) if permission != PLATFORM_ONLY => set.grant(permission),
            _ => {
                let message = format!("There is no permission \"{}\"", name.chars().take(100).collect::<String>());
                errors.push(UserError::new(UserErrorCode::Invalid, &["input", field], message));
            }
        }
    }
    if errors.is_empty() { Ok(set) } else { Err(Error::User(errors)) }
}

/// How many accounts have a role.
pub(super) async fn users_of(unit: &mut MasterUnit, role_id: Uuid) -> Result<usize> {
    let users = account::Entity::find().filter(account::Column::RoleId.eq(role_id));
    Ok(unit.all(users).await?.len())
}
