//! What this node remembers of tenants, accounts, sessions and keys: for one second at most, and not at all beyond a
//! change that this node made itself or was told of by the node that made it.
//!
//! What is remembered of a tenant lies on one shelf. A shelf is thrown away as a whole, when it is a second old and
//! when anything about the tenant's identity changes here. Who was reading from the database meanwhile puts what he
//! found on the shelf that he had taken, where nobody looks any more: so a change is never hidden by a reader that had
//! begun before it.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use entity::master::{account, api_key, platform_admin, role, role_permission, session, tenant};
use lru::LruCache;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use tokio::sync::{OnceCell, watch};
use uuid::Uuid;

use super::Identity;
use crate::{
    auth::{
        Action, DataScope, Permission, PermissionSet,
        permission::{BUILT_IN_ROLES, BuiltInRole},
    },
    data::hints::Hint,
    error::{Error, Result},
};

/// For how long what was read counts.
const FRESH: Duration = Duration::from_secs(1);
/// How many tenants are remembered.
const TENANTS: usize = 10_000;
/// How many API keys are remembered with the tenants they belong to, which never change, and with their last use.
const KEYS: usize = 100_000;

/// What may be granted in no tenant.
pub(super) const PLATFORM_ONLY: Permission = Permission::new("admin", Action::ManageTenants);

pub(super) struct Cache {
    shelves: Mutex<LruCache<Option<Uuid>, Arc<Shelf>>>,
    prefixes: Mutex<LruCache<String, Uuid>>,
    uses: Mutex<LruCache<Uuid, DateTime<Utc>>>,
    changes: watch::Sender<u64>,
}

/// What is remembered of one tenant, or of the platform administrators.
pub(super) struct Shelf {
    since: Instant,
    tenant: OnceCell<Arc<Common>>,
    known: Mutex<Known>,
}

impl Shelf {
    fn new() -> Self {
        Self { since: Instant::now(), tenant: OnceCell::new(), known: Mutex::new(Known::default()) }
    }
}

#[derive(Default)]
struct Known {
    sessions: HashMap<Uuid, Arc<session::Model>>,
    accounts: HashMap<Uuid, Arc<account::Model>>,
    admins: HashMap<Uuid, Arc<platform_admin::Model>>,
    keys: HashMap<String, Arc<api_key::Model>>,
}

/// What all requests of a tenant need.
pub(super) struct Common {
    pub(super) tenant: tenant::Model,
    pub(super) roles: HashMap<Uuid, Role>,
}

/// A role as it is enforced.
#[derive(Clone, Debug)]
pub(super) struct Role {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) scope: DataScope,
    pub(super) is_built_in: bool,
    pub(super) permissions: Arc<PermissionSet>,
}

impl Role {
    /// A role of the database. Built-in roles are what this release says; a stored name that is no permission, or
    /// none of a tenant's, grants nothing.
    pub(super) fn of(row: role::Model, stored: impl Iterator<Item = String>) -> Self {
        let built_in = row.is_built_in.then(|| built_in(&row.name)).flatten();
        let permissions = built_in.map_or_else(
            || stored.filter_map(|name| name.parse().ok()).filter(|granted| *granted != PLATFORM_ONLY).collect(),
            BuiltInRole::permissions,
        );
        Self {
            id: row.id,
            name: row.name,
            scope: row.scope,
            is_built_in: row.is_built_in,
            permissions: Arc::new(permissions),
        }
    }

    /// Whether this is the role that may do everything, of which each tenant keeps an active user.
    pub(super) fn is_admin(&self) -> bool {
        self.is_built_in && self.name == ADMIN
    }
}

/// The name of the role that may do everything in a tenant.
pub(super) const ADMIN: &str = "Admin";

fn built_in(name: &str) -> Option<&'static BuiltInRole> {
    BUILT_IN_ROLES.iter().find(|role| role.name == name)
}

impl Cache {
    pub(super) fn new() -> Self {
        Self {
            shelves: Mutex::new(remembering(TENANTS)),
            prefixes: Mutex::new(remembering(KEYS)),
            uses: Mutex::new(remembering(KEYS)),
            changes: watch::Sender::new(0),
        }
    }

    /// Forgets everything about a tenant (about the platform administrators), and wakes whoever waits for changes.
    pub(super) fn forget(&self, tenant_id: Option<Uuid>) {
        locked(&self.shelves).pop(&tenant_id);
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Tells of every change made on this node.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Whether this is the key's first use within a minute, as far as this node knows.
    pub(super) fn first_use(&self, key_id: Uuid, now: DateTime<Utc>) -> bool {
        let mut uses = locked(&self.uses);
        let first = uses.get(&key_id).is_none_or(|last| (now - *last).num_seconds() >= 60);
        if first {
            uses.put(key_id, now);
        }
        first
    }

    fn shelf(&self, tenant_id: Option<Uuid>) -> Arc<Shelf> {
        let mut shelves = locked(&self.shelves);
        if let Some(shelf) = shelves.get(&tenant_id)
            && shelf.since.elapsed() < FRESH
        {
            return shelf.clone();
        }
        let shelf = Arc::new(Shelf::new());
        shelves.put(tenant_id, shelf.clone());
        shelf
    }
}

fn remembering<K: std::hash::Hash + Eq, V>(most: usize) -> LruCache<K, V> {
    LruCache::sparse(NonZeroUsize::new(most).unwrap_or(NonZeroUsize::MIN))
}

/// Nothing that holds one of these locks can leave what it guards half changed.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is remembered of a tenant, at one moment.
pub(super) struct View<'a> {
    identity: &'a Identity,
    tenant_id: Option<Uuid>,
    shelf: Arc<Shelf>,
}

impl Identity {
    /// What is known of a tenant, or of the platform administrators.
    pub(super) fn view(&self, tenant_id: Option<Uuid>) -> View<'_> {
        View { identity: self, tenant_id, shelf: self.0.cache.shelf(tenant_id) }
    }

    /// What is true of it now, which nobody else is shown.
    pub(super) fn view_anew(&self, tenant_id: Option<Uuid>) -> View<'_> {
        View { identity: self, tenant_id, shelf: Arc::new(Shelf::new()) }
    }

    /// Throws this view away, which has turned out to be old.
    pub(super) fn forget_view(&self, view: &View<'_>) {
        let mut shelves = locked(&self.0.cache.shelves);
        if shelves.peek(&view.tenant_id).is_some_and(|shelf| Arc::ptr_eq(shelf, &view.shelf)) {
            shelves.pop(&view.tenant_id);
        }
    }

    /// To be called after every change in the master database that decides who comes in or what they may do.
    pub(super) fn forget(&self, tenant_id: Option<Uuid>) {
        self.0.cache.forget(tenant_id);
        self.tenants().hints().tell(Hint::Identity { tenant_id });
    }

    /// Another node tells of such a change. It may have been told too late or not at all: what is remembered counts for
    /// a second at most.
    pub fn changed_elsewhere(&self, tenant_id: Option<Uuid>) {
        self.0.cache.forget(tenant_id);
    }

    /// The tenant of an API key; `None` when there is no such key.
    pub(super) async fn tenant_of_key(&self, prefix: &str) -> Result<Option<Uuid>> {
        if let Some(tenant_id) = locked(&self.0.cache.prefixes).get(prefix) {
            return Ok(Some(*tenant_id));
        }
        let key = self.master().one(api_key::Entity::find().filter(api_key::Column::Prefix.eq(prefix))).await?;
        Ok(key.map(|key| {
            locked(&self.0.cache.prefixes).put(prefix.to_owned(), key.tenant_id);
            key.tenant_id
        }))
    }
}

impl View<'_> {
    /// The tenant and its roles.
    pub(super) async fn common(&self) -> Result<Arc<Common>> {
        let tenant_id = self.tenant_id.ok_or(Error::NotFound)?;
        self.shelf.tenant.get_or_try_init(|| self.load_common(tenant_id)).await.cloned()
    }

    async fn load_common(&self, tenant_id: Uuid) -> Result<Arc<Common>> {
        let master = self.identity.master();
        let tenant = master.one(tenant::Entity::find_by_id(tenant_id)).await?.ok_or(Error::NotFound)?;
        let roles = master.all(role::Entity::find().filter(role::Column::TenantId.eq(tenant_id))).await?;
        let own = roles.iter().filter(|role| !role.is_built_in).map(|role| role.id);
        let stored = role_permission::Entity::find().filter(role_permission::Column::RoleId.is_in(own));
        let mut granted: HashMap<Uuid, Vec<String>> = HashMap::new();
        for row in master.all(stored).await? {
            granted.entry(row.role_id).or_default().push(row.permission);
        }
        let roles = roles.into_iter().map(|row| {
            let stored = granted.remove(&row.id).unwrap_or_default();
            (row.id, Role::of(row, stored.into_iter()))
        });
        Ok(Arc::new(Common { tenant, roles: roles.collect() }))
    }

    pub(super) async fn session(&self, id: Uuid) -> Result<Option<Arc<session::Model>>> {
        if let Some(known) = locked(&self.shelf.known).sessions.get(&id) {
            return Ok(Some(known.clone()));
        }
        let found = self.identity.master().one(session::Entity::find_by_id(id)).await?.map(Arc::new);
        if let Some(found) = &found {
            locked(&self.shelf.known).sessions.insert(id, found.clone());
        }
        Ok(found)
    }

    pub(super) async fn account(&self, id: Uuid) -> Result<Option<Arc<account::Model>>> {
        if let Some(known) = locked(&self.shelf.known).accounts.get(&id) {
            return Ok(Some(known.clone()));
        }
        let found = self.identity.master().one(account::Entity::find_by_id(id)).await?.map(Arc::new);
        if let Some(found) = &found {
            locked(&self.shelf.known).accounts.insert(id, found.clone());
        }
        Ok(found)
    }

    pub(super) async fn admin(&self, id: Uuid) -> Result<Option<Arc<platform_admin::Model>>> {
        if let Some(known) = locked(&self.shelf.known).admins.get(&id) {
            return Ok(Some(known.clone()));
        }
        let found = self.identity.master().one(platform_admin::Entity::find_by_id(id)).await?.map(Arc::new);
        if let Some(found) = &found {
            locked(&self.shelf.known).admins.insert(id, found.clone());
        }
        Ok(found)
    }

    pub(super) async fn key(&self, prefix: &str) -> Result<Option<Arc<api_key::Model>>> {
        if let Some(known) = locked(&self.shelf.known).keys.get(prefix) {
            return Ok(Some(known.clone()));
        }
        let query = api_key::Entity::find().filter(api_key::Column::Prefix.eq(prefix));
        let found = self.identity.master().one(query).await?.map(Arc::new);
        if let Some(found) = &found {
            locked(&self.shelf.known).keys.insert(prefix.to_owned(), found.clone());
        }
        Ok(found)
    }
}
