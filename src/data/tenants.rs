//! The registry of tenants: opens a tenant's database when it is asked for, and keeps the ones in use open.
//!
//! All tenant databases share one hard budget of connections. An open database holds its share until its connections
//! are closed; when the budget is spent, the one that was used least recently makes room. Databases that nobody uses
//! are closed after a while. A database is only served when it says itself that it belongs to the tenant.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use entity::master::tenant::{self, TenantStatus};
use lru::LruCache;
use sea_orm::EntityTrait;
use tokio::sync::{OnceCell, Semaphore};
use uuid::Uuid;

use super::{
    Tenant,
    due::DueWork,
    engine::{Engine, PoolSettings, dialect_of},
    feed::Feed,
    hints::{Hint, Hints},
    master::MasterDb,
    outbox::Outbox,
    provision,
};
use crate::{
    condition::sql::Dialect,
    error::{Error, Result},
};

/// Where tenant databases are, and how many connections they may use.
#[derive(Clone, Debug)]
pub struct TenantsSettings {
    /// The URL of a tenant's database, with `{tenant_id}` in the place of its id.
    pub url_template: String,
    /// How many connections all tenant databases together may use.
    pub connection_budget: u32,
    /// The pool of each.
    pub pool: PoolSettings,
}

/// The registry of tenants. Cheap to clone.
#[derive(Clone)]
pub struct Tenants(Arc<Inner>);

struct Inner {
    master: MasterDb,
    settings: TenantsSettings,
    budget: Arc<Semaphore>,
    due: DueWork,
    hints: Hints,
    open: Mutex<LruCache<Uuid, Arc<Slot>>>,
}

/// A tenant that is being opened or open. Concurrent requests wait for one opening.
#[derive(Default)]
struct Slot {
    tenant: OnceCell<Arc<Tenant>>,
    last_used: Mutex<Option<Instant>>,
}

impl Tenants {
    /// A registry over a master database.
    ///
    /// # Errors
    /// [`Error::BadInput`] when the template lacks `{tenant_id}` or the budget does not suffice for one tenant.
    pub fn new(master: MasterDb, mut settings: TenantsSettings) -> Result<Self> {
        if !settings.url_template.contains("{tenant_id}") {
            return Err(Error::BadInput("the URL of tenant databases must contain {tenant_id}".to_owned()));
        }
        // SQLite needs a reader and a writer.
        let least = match dialect_of(&settings.url_template)? {
            Dialect::Sqlite => 2,
            Dialect::Postgres => 1,
        };
        settings.pool.connections = settings.pool.connections.max(least);
        if settings.connection_budget < settings.pool.connections {
            return Err(Error::BadInput("the connection budget does not suffice for one tenant".to_owned()));
        }
        let budget = Arc::new(Semaphore::new(settings.connection_budget as usize));
        let open = Mutex::new(LruCache::unbounded());
        let hints = Hints::default();
        let due = DueWork::new(master.clone(), hints.clone());
        Ok(Self(Arc::new(Inner { master, settings, budget, due, hints, open })))
    }

    /// The master database.
    #[must_use]
    pub fn master(&self) -> &MasterDb {
        &self.0.master
    }

    /// What is due in which tenant.
    #[must_use]
    pub fn due(&self) -> &DueWork {
        &self.0.due
    }

    /// What other nodes are to be told.
    #[must_use]
    pub fn hints(&self) -> &Hints {
        &self.0.hints
    }

    /// Looks where another node tells to. What it tells of a database that is not open here concerns nobody here.
    pub fn told(&self, hint: Hint) {
        match hint {
            Hint::Events { tenant_id, seq } => {
                let open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(tenant) = open.peek(&tenant_id).and_then(|slot| slot.tenant.get()) {
                    tenant.outbox.told(seq);
                }
            }
            Hint::Work { tenant_id, kind } => self.0.due.told(tenant_id, kind),
            // What is remembered of rights is remembered above.
            Hint::Identity { .. } => {}
        }
    }

    /// The open database of a tenant.
    ///
    /// # Errors
    /// [`Error::TenantSuspended`], [`Error::TenantMigrating`] while it is being made, [`Error::NotFound`] when there
    /// is no such tenant, [`Error::Throttled`] when the budget is spent and nobody makes room.
    pub async fn open(&self, tenant_id: Uuid) -> Result<Arc<Tenant>> {
        let slot = {
            let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.get_or_insert(tenant_id, Arc::default).clone()
        };
        let opened = slot.tenant.get_or_try_init(|| self.open_now(tenant_id)).await;
        *slot.last_used.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        match opened {
            Ok(tenant) => Ok(tenant.clone()),
            Err(error) => {
                let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
                if open.peek(&tenant_id).is_some_and(|own| Arc::ptr_eq(own, &slot) && own.tenant.get().is_none()) {
                    open.pop(&tenant_id);
                }
                Err(error)
            }
        }
    }

    async fn open_now(&self, tenant_id: Uuid) -> Result<Arc<Tenant>> {
        let row = self.0.master.one(tenant::Entity::find_by_id(tenant_id)).await?.ok_or(Error::NotFound)?;
        match row.status {
            // A newer binary may have migrated it already: what it added does not disturb this one.
            TenantStatus::Active if row.schema_version < provision::schema_version() => {
                return Err(Error::TenantMigrating);
            }
            TenantStatus::Active => {}
            TenantStatus::Suspended => return Err(Error::TenantSuspended),
            TenantStatus::Provisioning => return Err(Error::TenantMigrating),
            TenantStatus::Deleted => return Err(Error::NotFound),
        }
        self.open_row(&row).await
    }

    /// Opens the database of a tenant whatever its status, for provisioning.
    ///
    /// # Errors
    /// As [`Tenants::open`].
    pub async fn open_unchecked(&self, row: &tenant::Model) -> Result<Arc<Tenant>> {
        self.open_row(row).await
    }

    async fn open_row(&self, row: &tenant::Model) -> Result<Arc<Tenant>> {
        let share = self.0.settings.pool.connections;
        self.make_room(share as usize);
        let wait = self.0.settings.pool.acquire_timeout;
        let permit = tokio::time::timeout(wait, self.0.budget.clone().acquire_many_owned(share))
            .await
            .map_err(|_| Error::Throttled { retry_after: Duration::from_secs(1) })?
            .map_err(Error::internal)?;
        let engine = Engine::open(&self.url(row), self.0.settings.pool, Some(permit)).await?;
        let owner = provision::owner(engine.reader()).await?;
        if owner != Some(row.id) {
            return Err(Error::internal(format!("the database of tenant {} says it belongs to {owner:?}", row.id)));
        }
        let (due, hints, clock) = (self.0.due.clone(), self.0.hints.clone(), self.0.master.clock().clone());
        Ok(Arc::new(Tenant { id: row.id, engine, feed: Feed::new(), outbox: Outbox::default(), due, hints, clock }))
    }

    /// Closes the idle database used least recently when there is no room for `share` connections.
    fn make_room(&self, share: usize) {
        if self.0.budget.available_permits() >= share {
            return;
        }
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = open
            .iter()
            .rev()
            .find(|(_, slot)| slot.tenant.get().is_some_and(|tenant| Arc::strong_count(tenant) == 1))
            .map(|(id, _)| *id);
        // It gives its share back a moment later; one is enough, since all shares are equal.
        if let Some(id) = idle {
            open.pop(&id);
        }
    }

    /// Closes the databases that nobody has used for the idle time-out.
    pub fn close_idle(&self) {
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = self.0.settings.pool.idle_timeout;
        let idle: Vec<Uuid> = open
            .iter()
            .filter(|(_, slot)| {
                let unused = slot.tenant.get().is_some_and(|tenant| Arc::strong_count(tenant) == 1);
                let last_used = *slot.last_used.lock().unwrap_or_else(PoisonError::into_inner);
                unused && last_used.is_some_and(|at| at.elapsed() > limit)
            })
            .map(|(id, _)| *id)
            .collect();
        for id in idle {
            open.pop(&id);
        }
    }

    /// Forgets an open database: the next request opens it anew and sees its status.
    pub fn forget(&self, tenant_id: Uuid) {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner).pop(&tenant_id);
    }

    /// How many databases are open, and how many connections of the budget are free.
    #[must_use]
    pub fn usage(&self) -> (usize, usize) {
        let open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner).len();
        (open, self.0.budget.available_permits())
    }

    /// Makes the database of a tenant. Does nothing when it is there.
    ///
    /// # Errors
    /// When the server or the disk refuses.
    pub async fn create_database(&self, row: &tenant::Model) -> Result<()> {
        provision::create(&self.url(row), row.id).await
    }

    /// Brings the database of a tenant up to date; answers how many migrations ran.
    ///
    /// # Errors
    /// When a migration fails; what ran before it stays.
    pub async fn migrate_database(&self, row: &tenant::Model) -> Result<usize> {
        let ran = provision::migrate(&self.url(row)).await?;
        if ran > 0 {
            self.forget(row.id);
        }
        Ok(ran)
    }

    /// Removes the database of a tenant for good.
    ///
    /// # Errors
    /// When the server or the disk refuses.
    pub async fn remove_database(&self, row: &tenant::Model) -> Result<()> {
        self.forget(row.id);
        provision::remove(&self.url(row)).await
    }

    /// Where the tenant's database is. It may hold a password.
    pub(super) fn url(&self, row: &tenant::Model) -> String {
        row.database_url
            .clone()
            .unwrap_or_else(|| self.0.settings.url_template.replace("{tenant_id}", &row.id.simple().to_string()))
    }
}
