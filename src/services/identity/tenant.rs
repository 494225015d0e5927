//! Tenants after they were made: listed, suspended, resumed, removed, brought up to date.
//!
//! A suspended tenant loses nothing and is served nothing: its users are told so from their next request on. A removed
//! tenant's database is gone, and so are its accounts; its row stays, so that nobody else gets its slug and with it its
//! visitors.

use entity::master::{ProvisioningStep, TenantStatus, account, role, tenant};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::{Identity, guard::lock_tenant, sought};
use crate::{
    data::provision::schema_version,
    error::{Error, Result, UserErrorCode},
};

/// Which tenants are wanted, in the order of their slugs.
#[derive(Clone, Debug, Default)]
pub struct TenantPage {
    /// Only those after this slug.
    pub after: Option<String>,
    /// Only those of this status.
    pub status: Option<TenantStatus>,
    /// At most this many; 0: all.
    pub limit: u64,
}

/// How far the migration of all tenants has come.
#[derive(Clone, Debug)]
pub struct Migration<'a> {
    /// The tenant that is done.
    pub tenant: &'a tenant::Model,
    /// How many migrations ran, or why it failed.
    pub outcome: Result<usize, &'a Error>,
    /// How many tenants are done.
    pub done: usize,
    /// How many there are.
    pub total: usize,
}

/// What became of the migration of all tenants.
#[derive(Debug, Default)]
pub struct MigrationReport {
    /// How many tenants were brought up to date.
    pub migrated: usize,
    /// How many were up to date.
    pub unchanged: usize,
    /// Those that failed, with the reason. They are served as they are.
    pub failed: Vec<(tenant::Model, Error)>,
}

impl Identity {
    /// Tenants in the order of their slugs. Removed ones are left out unless asked for.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tenant_list(&self, page: &TenantPage) -> Result<Vec<tenant::Model>> {
        let mut query = of_status(page.status).order_by_asc(tenant::Column::Slug);
        if let Some(after) = &page.after {
            query = query.filter(tenant::Column::Slug.gt(sought(after)));
        }
        if page.limit > 0 {
            query = query.limit(page.limit);
        }
        self.master().all(query).await
    }

    /// A tenant by its slug.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn tenant_by_slug(&self, slug: &str) -> Result<tenant::Model> {
        let query = tenant::Entity::find().filter(tenant::Column::Slug.eq(sought(slug)));
        self.master().one(query).await?.ok_or(Error::NotFound)
    }

    /// A tenant by its id, as it is stored; those that were removed apart.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn tenant_by_id(&self, id: Uuid) -> Result<tenant::Model> {
        self.master().one(of_status(None).filter(tenant::Column::Id.eq(id))).await?.ok_or(Error::NotFound)
    }

    /// Serves a tenant's requests no more, from the next one on. Does nothing when it is suspended.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::User`] when it is being made or was removed.
    pub async fn tenant_suspend(&self, id: Uuid) -> Result<tenant::Model> {
        self.move_tenant(id, TenantStatus::Active, TenantStatus::Suspended).await
    }

    /// Serves a suspended tenant again. Does nothing when it is served.
    ///
    /// # Errors
    /// As [`Identity::tenant_suspend`].
    pub async fn tenant_resume(&self, id: Uuid) -> Result<tenant::Model> {
        self.move_tenant(id, TenantStatus::Suspended, TenantStatus::Active).await
    }

    async fn move_tenant(&self, id: Uuid, from: TenantStatus, to: TenantStatus) -> Result<tenant::Model> {
        let moved = self
            .master()
            .write(async |unit| {
                let tenant = lock_tenant(unit, id).await?;
                if tenant.status == to {
                    return Ok(tenant);
                }
                if tenant.status != from {
                    let message = "This tenant is being made, or was removed";
                    return Err(Error::user(UserErrorCode::InvalidState, &["id"], message));
                }
                let (now, version) = (unit.now(), tenant.version + 1);
                let mut row = tenant.into_active_model();
                row.status = Set(to);
                row.suspended_at = Set((to == TenantStatus::Suspended).then_some(now));
                row.version = Set(version);
                row.updated_at = Set(now);
                unit.update(row).await
            })
            .await;
        self.forget(Some(id));
        self.tenants().forget(id);
        moved
    }

    /// Removes a tenant for good: it is refused at once, its database goes, then its accounts, roles, sessions and
    /// keys. After a crash the same call goes on.
    ///
    /// # Errors
    /// [`Error::NotFound`]; when its database cannot be removed.
    pub async fn tenant_delete(&self, id: Uuid) -> Result<tenant::Model> {
        // A tenant that is just being made is waited for.
        let _one_at_a_time = self.0.provisioning.lock().await;
        let marked = self
            .master()
            .write(async |unit| {
                let tenant = lock_tenant(unit, id).await?;
                if tenant.status == TenantStatus::Deleted {
                    return Ok(tenant);
                }
                let (now, version) = (unit.now(), tenant.version + 1);
                let mut row = tenant.into_active_model();
                row.status = Set(TenantStatus::Deleted);
                row.deleted_at = Set(Some(now));
                row.version = Set(version);
                row.updated_at = Set(now);
                unit.update(row).await
            })
            .await;
        self.forget(Some(id));
        let tenant = marked?;
        self.tenants().remove_database(&tenant).await?;
        self.master()
            .write(async |unit| {
                // Sessions, keys and links go with the accounts, permissions with the roles.
                unit.delete_many(account::Entity::delete_many().filter(account::Column::TenantId.eq(id))).await?;
                unit.delete_many(role::Entity::delete_many().filter(role::Column::TenantId.eq(id))).await
            })
            .await?;
        self.forget(Some(id));
        Ok(tenant)
    }

    /// Brings the databases of the wanted tenants up to date, one after the other, and tells of each. What fails is
    /// collected and stops nothing.
    ///
    /// # Errors
    /// When the master database fails.
    pub async fn tenants_migrate(
        &self,
        wanted: impl Fn(&tenant::Model) -> bool,
        mut progress: impl FnMut(Migration<'_>),
    ) -> Result<MigrationReport> {
        let all = of_status(None)
            .filter(tenant::Column::ProvisioningStep.ne(ProvisioningStep::Registered))
            .order_by_asc(tenant::Column::Slug);
        let mut all = self.master().all(all).await?;
        all.retain(wanted);
        let total = all.len();
        let mut report = MigrationReport::default();
        for (index, tenant) in all.into_iter().enumerate() {
            let outcome = self.migrate_one(&tenant).await;
            progress(Migration { tenant: &tenant, outcome: outcome.as_ref().copied(), done: index + 1, total });
            match outcome {
                Ok(0) => report.unchanged += 1,
                Ok(_) => report.migrated += 1,
                Err(error) => report.failed.push((tenant, error)),
            }
        }
        Ok(report)
    }

    async fn migrate_one(&self, tenant: &tenant::Model) -> Result<usize> {
        let ran = self.tenants().migrate_database(tenant).await?;
        if tenant.schema_version != schema_version() {
            let id = tenant.id;
            self.master()
                .write(async |unit| {
                    let tenant = lock_tenant(unit, id).await?;
                    let (now, version) = (unit.now(), tenant.version + 1);
                    let mut row = tenant.into_active_model();
                    row.schema_version = Set(schema_version());
                    row.version = Set(version);
                    row.updated_at = Set(now);
                    unit.update(row).await
                })
                .await?;
            self.forget(Some(id));
        }
        Ok(ran)
    }
}

fn of_status(status: Option<TenantStatus>) -> sea_orm::Select<tenant::Entity> {
    match status {
        Some(status) => tenant::Entity::find().filter(tenant::Column::Status.eq(status)),
        None => tenant::Entity::find().filter(tenant::Column::Status.ne(TenantStatus::Deleted)),
    }
}
