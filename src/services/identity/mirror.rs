//! What the tenant's own database is told of accounts, roles and keys, and the repair of what a crash left untold.
//!
//! See the module above for the order of the two commits. A row of the master database with `mirror_pending` is one
//! that the tenant may not know of yet; one that is marked as deleted as well goes when the tenant knows.

use entity::{
    master::{AccountStatus, account, api_key, role, role_permission, tenant},
    tenant::{
        api_key as key_record, audit_log, role as role_record,
        user::{self, UserStatus},
    },
};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, EntityTrait, QueryFilter,
    sea_query::{Expr, ExprTrait, Query},
};
use serde_json::json;
use uuid::Uuid;

use super::{Identity, cache::Role};
use crate::{
    auth::Actor,
    data::{Rules, Unit},
    error::{Error, Result},
};

/// A row of the master database as it stands after a change of which the tenant is being told.
pub(super) enum Mirrored {
    Account(account::Model),
    Role(role::Model),
    ApiKey(api_key::Model),
}

/// For how long a change may be under way before a repair takes it up, in seconds.
const UNDER_WAY: i64 = 10;

impl Identity {
    /// Takes the marks away, now that the tenant knows; what was deleted goes. When that fails, a repair does it.
    pub(super) async fn told(&self, rows: impl IntoIterator<Item = &Mirrored>) {
        let mut rows = rows.into_iter().peekable();
        if rows.peek().is_none() {
            return;
        }
        if let Err(error) = self.master().write(async |unit| unmark(unit, rows).await).await {
            tracing::warn!(%error, "the mark of a change was not taken away; a repair will do it");
        }
    }

    /// Tells the tenant's database of every change that a crash left untold; answers how many there were. Entries in
    /// the audit log then name the platform, since nobody knows any more who acted.
    ///
    /// # Errors
    /// As [`crate::data::Tenants::open`], and when a database fails; what is untold stays marked.
    pub async fn repair_mirrors(&self, tenant_id: Uuid) -> Result<usize> {
        let before = self.now() - chrono::Duration::seconds(UNDER_WAY);
        let roles = role::Entity::find()
            .filter(role::Column::TenantId.eq(tenant_id))
            .filter(role::Column::MirrorPending.eq(true))
            .filter(role::Column::UpdatedAt.lte(before));
        let accounts = account::Entity::find()
            .filter(account::Column::TenantId.eq(tenant_id))
            .filter(account::Column::MirrorPending.eq(true))
            .filter(account::Column::UpdatedAt.lte(before));
        let keys = api_key::Entity::find()
            .filter(api_key::Column::TenantId.eq(tenant_id))
            .filter(api_key::Column::MirrorPending.eq(true))
            .filter(api_key::Column::UpdatedAt.lte(before));
        let master = self.master();
        let mut untold: Vec<Mirrored> = master.all(roles).await?.into_iter().map(Mirrored::Role).collect();
        untold.extend(master.all(accounts).await?.into_iter().map(Mirrored::Account));
        untold.extend(master.all(keys).await?.into_iter().map(Mirrored::ApiKey));
        if untold.is_empty() {
            return Ok(0);
        }
        let tenant = self.tenants().open(tenant_id).await?;
        let db = tenant.for_actor(Actor::system(tenant_id).into(), None);
        db.write(async |unit| {
            for row in &untold {
                self.tell(unit, row).await?;
            }
            Ok(())
        })
        .await?;
        self.told(&untold).await;
        self.forget(Some(tenant_id));
        Ok(untold.len())
    }

    /// Repairs every active tenant that needs it. Answers how many changes were told, and the tenants in which it
    /// failed.
    ///
    /// # Errors
    /// When the master database fails.
    pub async fn repair_all_mirrors(&self) -> Result<(usize, Vec<(Uuid, Error)>)> {
        let pending = ["account", "role", "api_key"].map(|table| {
            tenant::Column::Id.in_subquery(
                Query::select()
                    .column("tenant_id")
                    .from(table)
                    .and_where(Expr::col("mirror_pending").eq(true))
                    .to_owned(),
            )
        });
        let any = pending.into_iter().fold(Condition::any(), Condition::add);
        let tenants =
            tenant::Entity::find().filter(tenant::Column::Status.eq(tenant::TenantStatus::Active)).filter(any);
        let (mut told, mut failed) = (0, Vec::new());
        for tenant in self.master().all(tenants).await? {
            match self.repair_mirrors(tenant.id).await {
                Ok(count) => told += count,
                Err(error) => failed.push((tenant.id, error)),
            }
        }
        Ok((told, failed))
    }

    /// Brings the tenant's record of a row up to date.
    pub(super) async fn tell(&self, unit: &mut Unit, row: &Mirrored) -> Result<()> {
        match row {
            Mirrored::Role(role) => self.tell_role(unit, role).await,
            Mirrored::Account(account) => self.tell_account(unit, account, None).await,
            Mirrored::ApiKey(key) => tell_key(unit, key).await,
        }
    }

    async fn tell_role(&self, unit: &mut Unit, row: &role::Model) -> Result<()> {
        let known = unit.lock_row_ever::<role_record::Entity>(row.id).await?;
        if row.deleted_at.is_some() {
            // Somebody may have restored it since the row was read.
            let deleted =
                self.master().one(role::Entity::find_by_id(row.id)).await?.is_none_or(|row| row.deleted_at.is_some());
            if let Some(known) = known.filter(|known| deleted && !known.is_deleted) {
                unit.delete_by_rule::<role_record::Entity>(&known).await?;
            }
            return Ok(());
        }
        let role = self.enforced(row).await?;
        let change = role_record::ActiveModel {
            name: Set(row.name.clone()),
            description: Set(row.description.clone()),
            scope: Set(row.scope),
            is_built_in: Set(row.is_built_in),
            permissions: Set(json!(role.permissions.names())),
            ..Default::default()
        };
        match known {
            Some(known) if known.is_deleted => unit.restore_by_rule::<role_record::Entity>(&known, change).await?,
            Some(known) => unit.update_by_rule::<role_record::Entity>(&known, change).await?,
            None => {
                let new = role_record::ActiveModel { id: Set(row.id), ..change };
                unit.insert_by_rule::<role_record::Entity>(new).await?
            }
        };
        Ok(())
    }

    /// Brings the record of a user up to date. A new one is called `name`, where that is known.
    pub(super) async fn tell_account(&self, unit: &mut Unit, row: &account::Model, name: Option<&str>) -> Result<()> {
        let known = unit.lock_row_ever::<user::Entity>(row.id).await?;
        let Some(status) = status_of(row.status) else {
            // Somebody may have restored the user since the row was read.
            let now = self.master().one(account::Entity::find_by_id(row.id)).await?;
            let deleted = now.is_none_or(|now| now.status == AccountStatus::Deleted);
            if let Some(known) = known.filter(|known| deleted && !known.is_deleted) {
                unit.delete_by_rule::<user::Entity>(&known).await?;
            }
            return Ok(());
        };
        let role = self.master().one(role::Entity::find_by_id(row.role_id)).await?;
        let change = user::ActiveModel {
            email: Set(row.email.clone()),
            status: Set(status),
            role_id: Set(Some(row.role_id)),
            role_name: Set(role.map(|role| role.name)),
            ..Default::default()
        };
        match known {
            Some(known) if known.is_deleted => unit.restore_by_rule::<user::Entity>(&known, change).await?,
            Some(known) => unit.update_by_rule::<user::Entity>(&known, change).await?,
            None => {
                // The name was lost with the crash; whoever invited has had no answer and can write it in.
                let name = name.or_else(|| row.email.split('@').next()).unwrap_or(&row.email).to_owned();
                let new = user::ActiveModel { id: Set(row.id), name: Set(name), ..change };
                unit.insert_by_rule::<user::Entity>(new).await?
            }
        };
        Ok(())
    }

    /// A role of the master database as it is enforced.
    pub(super) async fn enforced(&self, row: &role::Model) -> Result<Role> {
        let stored = role_permission::Entity::find().filter(role_permission::Column::RoleId.eq(row.id));
        let stored = self.master().all(stored).await?.into_iter().map(|row| row.permission);
        Ok(Role::of(row.clone(), stored))
    }
}

async fn tell_key(unit: &mut Unit, row: &api_key::Model) -> Result<()> {
    let change = key_record::ActiveModel {
        name: Set(row.name.clone()),
        permissions: Set(json!(row.scopes.0)),
        data_scope: Set(row.data_scope),
        expires_at: Set(row.expires_at),
        revoked_at: Set(row.revoked_at),
        ..Default::default()
    };
    match unit.lock_row::<key_record::Entity>(row.id).await? {
        Some(known) => unit.update_by_rule::<key_record::Entity>(&known, change).await?,
        None => {
            let new = key_record::ActiveModel {
                id: Set(row.id),
                prefix: Set(row.prefix.clone()),
                owner_id: Set(row.account_id),
                ..change
            };
            unit.insert_by_rule::<key_record::Entity>(new).await?
        }
    };
    Ok(())
}

/// Takes marks away, unless the row has changed again since.
async fn unmark(unit: &mut crate::data::master::MasterUnit, rows: impl Iterator<Item = &Mirrored>) -> Result<()> {
    for row in rows {
        match row {
            Mirrored::Account(row) => {
                let (id, version) = (account::Column::Id.eq(row.id), account::Column::Version.eq(row.version));
                if row.status == AccountStatus::Deleted {
                    unit.delete_many(account::Entity::delete_many().filter(id).filter(version)).await?;
                    continue;
                }
                let statement = account::Entity::update_many()
                    .col_expr(account::Column::MirrorPending, Expr::value(false))
                    .filter(id)
                    .filter(version);
                unit.update_many(statement).await?;
            }
            Mirrored::Role(row) => {
                let (id, version) = (role::Column::Id.eq(row.id), role::Column::Version.eq(row.version));
                if row.deleted_at.is_some() {
                    unit.delete_many(role::Entity::delete_many().filter(id).filter(version)).await?;
                    continue;
                }
                let statement = role::Entity::update_many()
                    .col_expr(role::Column::MirrorPending, Expr::value(false))
                    .filter(id)
                    .filter(version);
                unit.update_many(statement).await?;
            }
            Mirrored::ApiKey(row) => {
                let statement = api_key::Entity::update_many()
                    .col_expr(api_key::Column::MirrorPending, Expr::value(false))
                    .filter(api_key::Column::Id.eq(row.id))
                    .filter(api_key::Column::Version.eq(row.version));
                unit.update_many(statement).await?;
            }
        }
    }
    Ok(())
}

/// The status of an account as the tenant knows it; none for one that is being deleted.
pub(super) const fn status_of(status: AccountStatus) -> Option<UserStatus> {
    match status {
        AccountStatus::Invited => Some(UserStatus::Invited),
        AccountStatus::Active => Some(UserStatus::Active),
        AccountStatus::Disabled => Some(UserStatus::Disabled),
        AccountStatus::Deleted => None,
    }
}

/// Users, roles and keys follow the master database: whoever wrote one by itself would change what is shown and not
/// what is enforced. The audit log is written with every change and by nobody. So the ordinary way of writing a record
/// refuses these; the services of this module write them by rule.
macro_rules! never_by_itself {
    ($record:ty) => {
        impl Rules for $record {
            async fn before_insert(_: &mut Unit, _: &mut Self::ActiveModel) -> Result<()> {
                Err(not_by_itself())
            }

            async fn before_update(_: &mut Unit, _: &Self::Model, _: &mut Self::ActiveModel) -> Result<()> {
                Err(not_by_itself())
            }

            async fn after_write(_: &mut Unit, _: Option<&Self::Model>, _: &Self::Model) -> Result<()> {
                Err(not_by_itself())
            }

            async fn before_delete(_: &mut Unit, _: &Self::Model) -> Result<()> {
                Err(not_by_itself())
            }
        }
    };
}

never_by_itself!(user::Entity);
never_by_itself!(role_record::Entity);
never_by_itself!(key_record::Entity);
never_by_itself!(audit_log::Entity);

fn not_by_itself() -> Error {
    Error::internal("users, roles, API keys and the audit log are not written as other records are")
}
