//! The fall-back for what a plan cannot hold: the same statements, for many parents or ids at once.

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use async_graphql::{
    dataloader::{DataLoader, Loader},
    runtime::{Timer, TokioSpawner},
};
use entity::record::RecordMeta;
use uuid::Uuid;

use crate::{
    data::{
        TenantDb,
        plan::{Child, Plan},
    },
    error::Error,
};

/// The loader of one request.
pub type RecordLoader = DataLoader<Batch>;

/// A loader for one request.
#[must_use]
pub fn loader(db: TenantDb) -> RecordLoader {
    DataLoader::new(Batch(db), TokioSpawner::current(), Yield).delay(Duration::ZERO)
}

/// Collects what is asked for at the same time. A delay would only add latency: one turn of the scheduler is enough
/// for every sibling to ask.
struct Yield;

impl Timer for Yield {
    fn delay(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        Box::pin(tokio::task::yield_now())
    }
}

/// Loads what was collected.
pub struct Batch(TenantDb);

/// What is asked for: a record, or a relation of a record. Keys of one `place` in the query are loaded together.
#[derive(Clone)]
pub struct Key {
    /// The place in the query: path and position, without list indices.
    pub place: u64,
    /// The record.
    pub id: Uuid,
    /// What is wanted.
    pub what: What,
}

/// See [`Key`].
#[derive(Clone)]
pub enum What {
    /// The record itself.
    Record(Arc<Plan>),
    /// A relation of the record.
    Relation(&'static RecordMeta, Arc<Child>),
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place && self.id == other.id
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.place.hash(state);
        self.id.hash(state);
    }
}

impl Loader<Key> for Batch {
    type Value = Arc<str>;
    type Error = Arc<Error>;

    async fn load(&self, keys: &[Key]) -> Result<HashMap<Key, Arc<str>>, Arc<Error>> {
        let mut places: HashMap<u64, Vec<&Key>> = HashMap::new();
        for key in keys {
            places.entry(key.place).or_default().push(key);
        }
        let mut loaded = HashMap::with_capacity(keys.len());
        for keys in places.values() {
            let ids: Vec<Uuid> = keys.iter().map(|key| key.id).collect();
            let found = match &keys[0].what {
                What::Record(plan) => self.0.plan_json(&ids, plan).await,
                What::Relation(parent, child) => self.0.plan_children(parent, child, &ids).await,
            };
            for (id, json) in found.map_err(Arc::new)? {
                loaded.insert(Key { id, ..keys[0].clone() }, json.into());
            }
        }
        Ok(loaded)
    }
}
