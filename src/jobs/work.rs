//! What a kind of work must be able to do.

use chrono::{DateTime, Utc};
use entity::master::WorkKind;
use futures_util::future::BoxFuture;

use crate::{data::TenantDb, error::Result};

/// One kind of work that tenants have from time to time.
///
/// It may run again at any moment after it was cut off, on this node or on another one: whatever must not happen twice
/// is noted in the tenant's database before it is done.
pub trait Work: Send + Sync {
    /// Which kind it is.
    fn kind(&self) -> WorkKind;

    /// For how many tenants it is done at the same time, where it waits for others and not for this machine, and so takes
    /// none of the places that all kinds share. None: it shares them.
    fn slots(&self) -> Option<usize> {
        None
    }

    /// The worker stops, or begins: while it stops, what runs should come to its end soon and begin nothing new.
    fn closing(&self, closing: bool) {
        let _ = closing;
    }

    /// Does what is due in the tenant, but no more than takes a few seconds (a minute with places of its own); answers when the next is due, at once where
    /// something is left.
    ///
    /// # Errors
    /// When it could not be done: it is tried again after a pause.
    fn run<'a>(&'a self, db: &'a TenantDb) -> BoxFuture<'a, Result<Option<DateTime<Utc>>>>;

    /// Whether it is in no hurry: of such work one tenant a second is begun, so that many tenants with the same hour hold up
    /// nothing that users wait for.
    fn patient(&self) -> bool {
        false
    }

    /// When the next is due, by the tenant's own database.
    ///
    /// # Errors
    /// When the database fails.
    fn next<'a>(&'a self, db: &'a TenantDb) -> BoxFuture<'a, Result<Option<DateTime<Utc>>>>;
}
