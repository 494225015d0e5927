//! The only door to a database.
//!
//! A request opens its tenant's database for its actor and gets a [`TenantDb`]. Through it the actor's rows can be
//! found ([`TenantDb::find`], `TenantDb::plan`) and written ([`TenantDb::write`], [`TenantDb::mutate`]); tenant,
//! permission and DataScope are applied here, once, for every path (see [`scope`]). A write is one transaction of the
//! rows, their audit entries and their events; nothing else compiles, because nothing outside this module can name a
//! connection.
//!
//! | file | what it holds |
//! |---|---|
//! | `engine`, `examine` | one open database, SQLite or PostgreSQL; what it says of itself |
//! | `master`, `tenants`, `provision` | the platform's own database; which tenant databases are open; how they come to be |
//! | `scope` | which rows an actor reaches |
//! | `find`, `plan` | reading: typed rows; a whole selection as one statement |
//! | `about`, `aggregate`, `timeline` | what is about a record: figures, and what happened, each in one statement |
//! | `unit`, `rules`, `checks` | writing: the unit of work, what records add to it, what every value must meet |
//! | `journal` | audit entries and events, numbered without gaps |
//! | `idempotency` | an operation that is sent twice happens once |
//! | `import` | what an import asks in batches, and how far it has come |
//! | `due`, `mail`, `reminders` | which tenants have something to do, and when; the tenant's outgoing e-mail; what users want to be reminded of |
//! | `webhook` | the tenant's webhooks: their secrets, and what is on its way to them |
//! | `cron`, `job` | what recurs for the platform, and who does it |
//! | `purge` | what is kept long enough goes |
//! | `feed` | what was committed, for listeners in this process |
//! | `hints` | what other nodes are told, so that they look at once |
//! | `outbox`, `consume` | every event by its number, for subscribers; for consumers that keep how far they have come |
//! | `ids`, `money`, `value` | ids, amounts and values, the same on both engines |

pub mod about;
pub mod aggregate;
mod checks;
pub mod consume;
pub mod cron;
pub mod due;
mod engine;
pub mod examine;
pub mod feed;
pub mod find;
pub mod hints;
pub mod idempotency;
pub mod ids;
pub mod import;
pub mod job;
mod journal;
pub mod mail;
pub mod master;
pub mod money;
pub mod outbox;
pub mod plan;
pub mod provision;
pub mod purge;
mod reminders;
pub mod rules;
pub mod scope;
pub mod tenants;
pub mod timeline;
pub mod unit;
pub mod value;
pub mod webhook;

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use entity::record::Record;
use sea_orm::{ConnectionTrait, QueryResult, sea_query::SelectStatement};
use uuid::Uuid;

pub use self::{
    checks::email as email_address,
    engine::{PoolSettings, dialect_of},
    master::MasterDb,
    rules::Rules,
    scope::Deleted,
    tenants::{Tenants, TenantsSettings},
    unit::Unit,
};
use self::{
    due::DueWork, engine::Engine, feed::Feed, find::Scoped, hints::Hints, idempotency::RequestKey, outbox::Outbox,
};
use crate::{auth::Actor, clock::Clock, condition::sql::Dialect, error::Result};

/// The open database of one tenant, shared by all its requests.
pub struct Tenant {
    id: Uuid,
    engine: Engine,
    feed: Feed,
    outbox: Outbox,
    due: DueWork,
    hints: Hints,
    clock: Clock,
}

impl Tenant {
    /// The tenant's id.
    #[must_use]
    pub const fn id(&self) -> Uuid {
        self.id
    }

    /// What is committed in this process from now on. What is committed everywhere: [`Tenant::changes`].
    #[must_use]
    pub const fn feed(&self) -> &Feed {
        &self.feed
    }

    /// The door for one request of an actor of this tenant.
    #[must_use]
    pub fn for_actor(self: &Arc<Self>, actor: Arc<Actor>, key: Option<RequestKey>) -> TenantDb {
        TenantDb { tenant: self.clone(), actor, request: Arc::new(Request { key, ..Request::default() }) }
    }
}

/// What the operations of one request share.
#[derive(Default)]
struct Request {
    /// How many statements the request has cost so far.
    statements: AtomicU32,
    /// The idempotency key it came with.
    key: Option<RequestKey>,
    /// How many mutations it has run so far.
    steps: AtomicU32,
}

/// A tenant's database for one request of one actor. Cheap to clone.
#[derive(Clone)]
pub struct TenantDb {
    tenant: Arc<Tenant>,
    actor: Arc<Actor>,
    request: Arc<Request>,
}

impl TenantDb {
    /// Who acts.
    #[must_use]
    pub fn actor(&self) -> &Arc<Actor> {
        &self.actor
    }

    /// The injected clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.tenant.clock
    }

    /// The tenant's open database.
    #[must_use]
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// How many statements this request has sent to the database, transaction control aside.
    #[must_use]
    pub fn statements(&self) -> u32 {
        self.request.statements.load(Ordering::Relaxed)
    }

    /// The rows of a record that the actor may read.
    ///
    /// # Errors
    /// [`crate::error::Error::Forbidden`] without the read permission.
    pub fn find<R: Record>(&self) -> Result<Scoped<R>> {
        Scoped::new(self)
    }

    fn dialect(&self) -> Dialect {
        self.tenant.engine.dialect()
    }

    fn counted(&self) {
        self.request.statements.fetch_add(1, Ordering::Relaxed);
    }

    async fn rows(&self, query: &SelectStatement) -> Result<Vec<QueryResult>> {
        self.counted();
        Ok(self.tenant.engine.reader().query_all(query).await?)
    }
}
