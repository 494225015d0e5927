//! Which rows an actor reaches. This is the only place that says so; `find`, plans, conditions, writes and the live
//! feed all ask here.

use entity::record::{RecordMeta, Scope};
use sea_orm::sea_query::{Alias, Condition, Expr, ExprTrait, Query};

use crate::{
    auth::{Action, Actor, ActorKind, DataScope, Permission},
    condition::sql::column,
    error::Result,
};

/// The permission that an action on a record takes. Users and roles are written by administrators only.
#[must_use]
pub fn permission(meta: &RecordMeta, action: Action) -> Permission {
    match (meta.module, action) {
        ("users", Action::Write | Action::Delete | Action::Restore) => Permission::new("admin", Action::ManageUsers),
        ("roles", Action::Write | Action::Delete | Action::Restore) => Permission::new("admin", Action::ManageRoles),
        // An API key that is revoked stays revoked.
        (module, action) => Permission::new(module, action),
    }
}

/// Whether deleted rows count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// They do not exist.
    Hidden,
    /// They are rows like the others.
    Included,
}

/// The rows of a record that the actor may read: of the tenant, not deleted, in the actor's DataScope.
///
/// # Errors
/// [`crate::error::Error::Forbidden`] when the actor may not read the module at all.
pub fn reach(meta: &RecordMeta, actor: &Actor, alias: &str, deleted: Deleted) -> Result<Condition> {
    actor.require(permission(meta, Action::Read))?;
    Ok(rows(meta, actor, alias, deleted, None))
}

/// Whether the actor reaches every row of the tenant, so that nothing has to be asked of a row that is known to be the
/// tenant's.
///
/// # Errors
/// As [`reach`].
pub fn reaches_all(meta: &RecordMeta, actor: &Actor) -> Result<bool> {
    actor.require(permission(meta, Action::Read))?;
    let mut scope = meta.scope;
    while let Scope::Child { parent, .. } = scope {
        scope = parent().scope;
    }
    Ok(match scope {
        Scope::Reference => true,
        Scope::Personal { .. } => actor.kind == ActorKind::System,
        Scope::Owned | Scope::DoneBy { .. } | Scope::Child { .. } => actor.scope == DataScope::All,
    })
}

/// Like [`reach`], for the children of rows that are already in reach: what a plan has checked of the parent is not
/// checked again for each child whose scope is that parent.
///
/// # Errors
/// As [`reach`].
pub fn reach_through(meta: &RecordMeta, actor: &Actor, alias: &str, parent_column: &str) -> Result<Condition> {
    actor.require(permission(meta, Action::Read))?;
    Ok(rows(meta, actor, alias, Deleted::Hidden, Some(parent_column)))
}

fn rows(meta: &RecordMeta, actor: &Actor, alias: &str, deleted: Deleted, checked: Option<&str>) -> Condition {
    let mut rows = Condition::all().add(column(alias, "tenant_id").eq(actor.tenant_id));
    if meta.soft_delete && deleted == Deleted::Hidden {
        rows = rows.add(Expr::cust(format!("\"{alias}\".\"is_deleted\" = FALSE")));
    }
    match meta.scope {
        Scope::Reference => rows,
        Scope::Personal { .. } if actor.kind == ActorKind::System => rows,
        Scope::Personal { column: own } => rows.add(column(alias, own).eq(actor.user_id)),
        Scope::Owned | Scope::DoneBy { .. } if actor.scope == DataScope::All => rows,
        Scope::DoneBy { column: own } => rows.add(column(alias, own).eq(actor.user_id)),
        Scope::Owned => rows.add(
            Condition::any()
                .add(column(alias, "owner_id").eq(actor.user_id))
                .add(column(alias, "created_by").eq(actor.user_id)),
        ),
        Scope::Child { column: own, .. } if checked == Some(own) => rows,
        Scope::Child { column: own, parent } => {
            let parent = parent();
            let inner = format!("{alias}_parent");
            let of_parent = self::rows(parent, actor, &inner, deleted, None);
            rows.add(Expr::exists(
                Query::select()
                    .expr(Expr::cust("1"))
                    .from_as(parent.name, Alias::new(&inner))
                    .and_where(column(&inner, "id").equals((Alias::new(alias), Alias::new(own))))
                    .cond_where(of_parent)
                    .to_owned(),
            ))
        }
    }
}
