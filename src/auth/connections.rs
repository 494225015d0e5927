//! How many connections stay open at the same time: so many of one user, and so many of all users of a tenant together.
//!
//! A socket or an event stream costs memory for as long as it is open, and points of cost do not count that. Each node
//! counts what it holds itself.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use uuid::Uuid;

use crate::error::{Error, Result};

/// When it is worth trying again. Nobody knows when a connection ends; this keeps the attempts rare.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// The connections that are open. Cheap to clone; clones count together.
#[derive(Clone)]
pub struct Connections(Arc<Inner>);

struct Inner {
    per_user: u32,
    per_tenant: u32,
    /// By tenant and user; without a user, those of the whole tenant.
    open: Mutex<HashMap<(Uuid, Option<Uuid>), u32>>,
}

impl Connections {
    /// None open, and so many allowed.
    #[must_use]
    pub fn new(per_user: u32, per_tenant: u32) -> Self {
        Self(Arc::new(Inner { per_user, per_tenant, open: Mutex::default() }))
    }

    /// Counts one more, until it is dropped.
    ///
    /// # Errors
    /// [`Error::Throttled`] when the user or the tenant holds as many as allowed.
    pub fn open(&self, tenant_id: Uuid, user_id: Uuid) -> Result<Connection> {
        let keys = [(tenant_id, Some(user_id)), (tenant_id, None)];
        let mut open = self.0.open();
        for (key, limit) in keys.iter().zip([self.0.per_user, self.0.per_tenant]) {
            if open.get(key).is_some_and(|count| *count >= limit) {
                return Err(Error::Throttled { retry_after: RETRY_AFTER });
            }
        }
        for key in keys {
            *open.entry(key).or_default() += 1;
        }
        Ok(Connection { of: self.0.clone(), keys })
    }
}

impl Connections {
    /// How many are open.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.0.open().iter().filter(|((_, user), _)| user.is_none()).map(|(_, count)| count).sum()
    }
}

impl Inner {
    fn open(&self) -> MutexGuard<'_, HashMap<(Uuid, Option<Uuid>), u32>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that counts while it lives.
pub struct Connection {
    of: Arc<Inner>,
    keys: [(Uuid, Option<Uuid>); 2],
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut open = self.of.open();
        for key in self.keys {
            if let Some(count) = open.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    open.remove(&key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_tenants_are_counted_apart_and_nothing_is_kept_of_those_who_left() {
        let connections = Connections::new(2, 3);
        let [acme, globex, ann, bob, carl] = [1u128, 2, 3, 4, 5].map(Uuid::from_u128);
        let open = |tenant, user| connections.open(tenant, user);
        let first = open(acme, ann).unwrap();
        let second = open(acme, ann).unwrap();
        assert_eq!(open(acme, ann).err().unwrap().code(), "THROTTLED", "the user's are used up");
        let third = open(acme, bob).unwrap();
        assert!(open(acme, carl).is_err(), "the tenant's are used up");
        let other = open(globex, ann).unwrap();
        drop(first);
        let fourth = open(acme, carl).unwrap();
        assert!(open(acme, ann).is_err());
        drop((second, third, fourth, other));
        assert!(connections.0.open().is_empty());
    }
}
