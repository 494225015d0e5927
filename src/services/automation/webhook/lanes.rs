//! Who may send now. The slots of a process are split into two lanes: four fifths for webhooks that answer well, one
//! fifth for those that failed last time or were slow. A tenant gets a quarter of each at most, and half of its share for
//! webhooks of which nothing is known yet. A request that turns out to be slow moves to the slow lane while it lasts, so
//! that it takes no room from those that answer.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lru::LruCache;
use tokio::sync::Notify;
use uuid::Uuid;

/// How many webhooks' standings are remembered.
const REMEMBERED: usize = 100_000;

/// What is known of a webhook, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It answered well the last time.
    Well,
    /// Nothing yet.
    Unknown,
    /// It failed or was slow the last time.
    Suspect,
}

impl Standing {
    /// How many requests to one webhook are on their way at the same time.
    #[must_use]
    pub const fn in_flight(self) -> usize {
        match self {
            Self::Well => 4,
            Self::Unknown | Self::Suspect => 1,
        }
    }
}

/// The slots of a process. Cheap to clone; clones are one.
#[derive(Clone)]
pub struct Lanes(Arc<Inner>);

struct Inner {
    well: usize,
    suspect: usize,
    used: Mutex<Used>,
    standings: Mutex<LruCache<Uuid, Standing>>,
    freed: Notify,
}

#[derive(Default)]
struct Used {
    all: Counts,
    tenants: HashMap<Uuid, Counts>,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    well: usize,
    unknown: usize,
    suspect: usize,
}

impl Counts {
    const fn of(&mut self, standing: Standing) -> &mut usize {
        match standing {
            Standing::Well => &mut self.well,
            Standing::Unknown => &mut self.unknown,
            Standing::Suspect => &mut self.suspect,
        }
    }

    const fn sum(&self) -> usize {
        self.well + self.unknown + self.suspect
    }
}

impl Lanes {
    /// So many slots.
    #[must_use]
    pub fn new(slots: usize) -> Self {
        let suspect = (slots / 5).max(1);
        Self(Arc::new(Inner {
            well: slots.saturating_sub(suspect).max(1),
            suspect,
            used: Mutex::default(),
            standings: Mutex::new(LruCache::new(NonZeroUsize::new(REMEMBERED).unwrap_or(NonZeroUsize::MIN))),
            freed: Notify::new(),
        }))
    }

    /// A slot for a webhook of this standing, if one is free.
    #[must_use]
    pub fn take(&self, tenant_id: Uuid, standing: Standing) -> Option<Slot> {
        let mut used = self.used();
        if !self.free(&used, tenant_id, standing) {
            return None;
        }
        for counts in used.counts(tenant_id) {
            *counts.of(standing) += 1;
        }
        Some(Slot { lanes: self.clone(), tenant_id, standing })
    }

    /// Whether a slot is free for a webhook of this standing.
    #[must_use]
    pub fn has_room(&self, tenant_id: Uuid, standing: Standing) -> bool {
        self.free(&self.used(), tenant_id, standing)
    }

    fn free(&self, Used { all, tenants }: &Used, tenant_id: Uuid, standing: Standing) -> bool {
        let share = |lane: usize| (lane / 4).max(1);
        let (well, suspect) = (self.0.well, self.0.suspect);
        let own = tenants.get(&tenant_id).copied().unwrap_or_default();
        // What became slow on its way may fill the slow lane beyond its size, but not without bounds.
        if all.sum() >= 2 * (well + suspect) {
            return false;
        }
        match standing {
            Standing::Suspect => all.suspect < suspect && own.suspect < share(suspect),
            Standing::Unknown if own.unknown >= (share(well) / 2).max(1) => false,
            Standing::Well | Standing::Unknown => all.well + all.unknown < well && own.well + own.unknown < share(well),
        }
    }

    /// What is known of a webhook; `otherwise` where nothing is remembered.
    #[must_use]
    pub fn standing(&self, webhook_id: Uuid, otherwise: Standing) -> Standing {
        let mut standings = self.0.standings.lock().unwrap_or_else(PoisonError::into_inner);
        standings.get(&webhook_id).copied().unwrap_or(otherwise)
    }

    /// Remembers how a webhook did.
    pub fn remember(&self, webhook_id: Uuid, standing: Standing) {
        self.0.standings.lock().unwrap_or_else(PoisonError::into_inner).put(webhook_id, standing);
    }

    /// Resolves when a slot was given back.
    pub async fn freed(&self) {
        self.0.freed.notified().await;
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.0.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A slot, until it is dropped.
pub struct Slot {
    lanes: Lanes,
    tenant_id: Uuid,
    standing: Standing,
}

impl Slot {
    /// The slots that it is one of.
    #[must_use]
    pub const fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// The request is slow: it goes on in the slow lane, whether that has room or not.
    pub fn slow(&mut self) {
        let mut used = self.lanes.used();
        for counts in used.counts(self.tenant_id) {
            *counts.of(self.standing) -= 1;
            *counts.of(Standing::Suspect) += 1;
        }
        drop(used);
        self.standing = Standing::Suspect;
        self.lanes.0.freed.notify_waiters();
    }
}

impl Used {
    /// The counts of all and of a tenant that has a slot.
    fn counts(&mut self, tenant_id: Uuid) -> [&mut Counts; 2] {
        [&mut self.all, self.tenants.entry(tenant_id).or_default()]
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut used = self.lanes.used();
        for counts in used.counts(self.tenant_id) {
            *counts.of(self.standing) -= 1;
        }
        if used.tenants.get(&self.tenant_id).is_some_and(|counts| counts.sum() == 0) {
            used.tenants.remove(&self.tenant_id);
        }
        drop(used);
        self.lanes.0.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Uuid = Uuid::from_u128(1);

    fn take_all(lanes: &Lanes, tenant: Uuid, standing: Standing) -> Vec<Slot> {
        std::iter::from_fn(|| lanes.take(tenant, standing)).collect()
    }

    #[test]
    fn a_tenant_gets_a_quarter_of_a_lane() {
        let lanes = Lanes::new(200);
        let well = take_all(&lanes, ONE, Standing::Well);
        let suspect = take_all(&lanes, ONE, Standing::Suspect);
        assert_eq!((well.len(), suspect.len()), (40, 10));
    }

    #[test]
    fn lanes_are_full_when_all_slots_are_taken() {
        let lanes = Lanes::new(200);
        let held: Vec<Slot> =
            (1..10).flat_map(|tenant| take_all(&lanes, Uuid::from_u128(tenant), Standing::Well)).collect();
        assert_eq!(held.len(), 160);
        assert!(lanes.take(ONE, Standing::Unknown).is_none());
        assert!(lanes.take(ONE, Standing::Suspect).is_some(), "the lanes are apart");
        drop(held);
        assert!(lanes.take(ONE, Standing::Well).is_some());
        assert!(lanes.used().tenants.is_empty());
    }

    #[test]
    fn what_is_slow_leaves_the_lane_of_those_that_answer() {
        let lanes = Lanes::new(200);
        let mut unknown = take_all(&lanes, ONE, Standing::Unknown);
        assert_eq!(unknown.len(), 20, "half of the tenant's share is for those that are known");
        unknown.iter_mut().for_each(Slot::slow);
        let more = take_all(&lanes, ONE, Standing::Unknown);
        assert_eq!(more.len(), 20);
        assert!(lanes.take(ONE, Standing::Suspect).is_none());
        assert!(lanes.take(ONE, Standing::Well).is_some());
        drop((unknown, more));
        assert_eq!(lanes.used().all.sum(), 0);
    }

    #[test]
    fn standings_are_remembered() {
        let lanes = Lanes::new(20);
        assert_eq!(lanes.standing(ONE, Standing::Unknown), Standing::Unknown);
        lanes.remember(ONE, Standing::Suspect);
        assert_eq!(lanes.standing(ONE, Standing::Well), Standing::Suspect);
    }
}
