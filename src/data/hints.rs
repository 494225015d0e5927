//! What the other nodes are told after a commit, so that they look at once.
//!
//! A hint carries no truth: whoever is told reads the database, and who is not told looks within a second all the same.
//! So telling must cost a commit nothing. What is to be told is gathered here without waiting: of each tenant the newest
//! number, each kind of work once. The bus (`events::bus`) takes it from here and brings what other nodes tell
//! ([`super::Tenants::told`]). Without a bus nothing is gathered.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use entity::master::WorkKind;
use tokio::sync::Notify;
use uuid::Uuid;

/// How much of each sort is gathered at most, for a bus that takes it too slowly. What comes on top is not told.
const MOST: usize = 10_000;

/// What one node tells another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hint {
    /// A tenant's outbox has events up to this number.
    Events {
        /// The tenant.
        tenant_id: Uuid,
        /// The newest number.
        seq: i64,
    },
    /// A tenant has something to do now.
    Work {
        /// The tenant.
        tenant_id: Uuid,
        /// What is to be done.
        kind: WorkKind,
    },
    /// Who may come in, or what somebody may do, has changed in a tenant, or among the platform's administrators.
    Identity {
        /// The tenant; none for the platform.
        tenant_id: Option<Uuid>,
    },
}

/// What is to be told. Cheap to clone; clones share everything.
#[derive(Clone, Default)]
pub struct Hints(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// Whether anybody takes what is gathered.
    taken: AtomicBool,
    gathered: Mutex<Gathered>,
    some: Notify,
}

#[derive(Default)]
struct Gathered {
    events: HashMap<Uuid, i64>,
    work: HashSet<(Uuid, WorkKind)>,
    identity: HashSet<Option<Uuid>>,
}

impl Hints {
    /// From now on what is gathered is taken, or is taken no more.
    pub fn taken(&self, taken: bool) {
        self.0.taken.store(taken, Ordering::Relaxed);
        if !taken {
            *self.gathered() = Gathered::default();
        }
    }

    /// Gathers a hint, where somebody takes it. Never waits.
    pub fn tell(&self, hint: Hint) {
        if !self.0.taken.load(Ordering::Relaxed) {
            return;
        }
        {
            let mut gathered = self.gathered();
            match hint {
                Hint::Events { tenant_id, seq } => {
                    if let Some(newest) = gathered.events.get_mut(&tenant_id) {
                        *newest = std::cmp::max(*newest, seq);
                    } else if gathered.events.len() < MOST {
                        gathered.events.insert(tenant_id, seq);
                    }
                }
                Hint::Work { tenant_id, kind } => {
                    if gathered.work.len() < MOST {
                        gathered.work.insert((tenant_id, kind));
                    }
                }
                Hint::Identity { tenant_id } => {
                    if gathered.identity.len() < MOST {
                        gathered.identity.insert(tenant_id);
                    }
                }
            }
        }
        self.0.some.notify_one();
    }

    /// Resolves when something is gathered.
    pub async fn gathering(&self) {
        self.0.some.notified().await;
    }

    /// What is gathered by now.
    #[must_use]
    pub fn take(&self) -> Vec<Hint> {
        let Gathered { events, work, identity } = std::mem::take(&mut *self.gathered());
        let events = events.into_iter().map(|(tenant_id, seq)| Hint::Events { tenant_id, seq });
        let work = work.into_iter().map(|(tenant_id, kind)| Hint::Work { tenant_id, kind });
        let identity = identity.into_iter().map(|tenant_id| Hint::Identity { tenant_id });
        // Who lost his rights first.
        identity.chain(events).chain(work).collect()
    }

    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.0.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_tenant_the_newest_number_is_told_and_nothing_without_a_bus() {
        let (hints, one, two) = (Hints::default(), Uuid::from_u128(1), Uuid::from_u128(2));
        hints.tell(Hint::Events { tenant_id: one, seq: 1 });
        assert_eq!(hints.take(), []);
        hints.taken(true);
        for (tenant_id, seq) in [(one, 2), (one, 4), (two, 1), (one, 3)] {
            hints.tell(Hint::Events { tenant_id, seq });
        }
        hints.tell(Hint::Work { tenant_id: one, kind: WorkKind::Email });
        hints.tell(Hint::Work { tenant_id: one, kind: WorkKind::Email });
        let told = hints.take();
        assert_eq!(told.len(), 3);
        assert!(told.contains(&Hint::Events { tenant_id: one, seq: 4 }));
        assert_eq!(hints.take(), []);
    }

    #[test]
    fn what_nobody_takes_does_not_grow_without_end() {
        let hints = Hints::default();
        hints.taken(true);
        for tenant in 0..20_000 {
            hints.tell(Hint::Events { tenant_id: Uuid::from_u128(tenant), seq: 1 });
        }
        assert_eq!(hints.take().len(), MOST);
    }
}
