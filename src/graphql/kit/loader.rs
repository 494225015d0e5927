//! The fall-back for what a plan cannot hold: the same statements, for many parents or ids at once.

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
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
    loader_ahead(db, HashMap::new())
}

/// A loader for records that are asked for one after another: of each type those with these ids, in this order. When
/// one is asked for, those that come next are read along with it and kept.
#[must_use]
pub fn loader_ahead(db: TenantDb, ids: HashMap<&'static str, Vec<Uuid>>) -> RecordLoader {
    let batch = Batch { db, ahead: ids, read: Mutex::default() };
    DataLoader::new(batch, TokioSpawner::current(), Yield).delay(Duration::ZERO)
}

/// How many records are read along. What is selected of each may be much, so they are not all read at once.
const AHEAD: usize = 25;

/// Collects what is asked for at the same time. A delay would only add latency: one turn of the scheduler is enough
/// for every sibling to ask.
struct Yield;

impl Timer for Yield {
    fn delay(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        Box::pin(tokio::task::yield_now())
    }
}

/// Loads what was collected.
pub struct Batch {
    db: TenantDb,
    /// What will be asked for, by type.
    ahead: HashMap<&'static str, Vec<Uuid>>,
    /// What was read along, by the place in the query and the id; nothing for what is not seen.
    read: Mutex<HashMap<(u64, Uuid), Option<String>>>,
}

/// What is asked for: a record, or a relation of a record. Keys of one `place` in the query are loaded together.
#[derive(Clone)]
pub struct Key {
    /// The place in the query: path and position, without list indices.
    pub place: u64,
    /// Which record.
    pub by: By,
    /// What is wanted.
    pub what: What,
}

/// What a record is known by. Keys of one place are all by the same.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum By {
    /// Its id.
    Id(Uuid),
    /// The text in a column that is unique: the column as it is compared, and the text as it is compared.
    Text(&'static str, String),
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
        self.place == other.place && self.by == other.by
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.place.hash(state);
        self.by.hash(state);
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
            for (by, json) in self.load_place(keys).await.map_err(Arc::new)? {
                loaded.insert(Key { by, ..keys[0].clone() }, json.into());
            }
        }
        Ok(loaded)
    }
}

impl Batch {
    /// Loads what was asked for from one place, in one statement.
    async fn load_place(&self, keys: &[&Key]) -> Result<Vec<(By, String)>, Error> {
        let (mut ids, mut texts) = (Vec::new(), Vec::new());
        for key in keys {
            match &key.by {
                By::Id(id) => ids.push(*id),
                By::Text(_, text) => texts.push(text.clone()),
            }
        }
        let found = match (&keys[0].what, &keys[0].by) {
            (What::Record(plan), By::Text(column, _)) => {
                let found = self.db.plan_json_by(column, &texts, plan).await?;
                return Ok(found.into_iter().map(|(text, json)| (By::Text(column, text), json)).collect());
            }
            (What::Record(plan), By::Id(_)) => self.records(keys[0].place, ids, plan).await?,
            (What::Relation(parent, child), _) => self.db.plan_children(parent, child, &ids).await?,
        };
        Ok(found.into_iter().map(|(id, json)| (By::Id(id), json)).collect())
    }

    /// The records with these ids, and those that come next, from what was read along or in one statement.
    async fn records(&self, place: u64, ids: Vec<Uuid>, plan: &Plan) -> Result<HashMap<Uuid, String>, Error> {
        let Some(ahead) = self.ahead.get(plan.meta.name) else { return self.db.plan_json(&ids, plan).await };
        let mut wanted: Vec<Uuid> = {
            let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            ids.iter().copied().filter(|id| !read.contains_key(&(place, *id))).collect()
        };
        if let Some(first) = wanted.first() {
            let next = ahead.iter().skip_while(|id| *id != first).skip(1).take(AHEAD - 1);
            wanted.extend(next.copied().collect::<Vec<_>>());
            let mut found = self.db.plan_json(&wanted, plan).await?;
            let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            read.extend(wanted.into_iter().map(|id| ((place, id), found.remove(&id))));
        }
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(ids.into_iter().filter_map(|id| Some((id, read.get(&(place, id))?.clone()?))).collect())
    }
}
