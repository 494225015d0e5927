//! Parsed documents, so that a front end's documents are parsed once. Bounded in entries and, about, in memory.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_graphql::parser::types::ExecutableDocument;
use lru::LruCache;

/// What a token of a parsed document takes in memory, about (measured: 100 to 200 bytes).
pub(super) const BYTES_PER_TOKEN: usize = 200;

/// Least recently used documents leave first.
#[derive(Debug)]
pub(super) struct Cache {
    documents: Mutex<Documents>,
    max_bytes: usize,
}

#[derive(Debug)]
struct Documents {
    by_hash: LruCache<[u8; 32], (Arc<ExecutableDocument>, usize)>,
    bytes: usize,
}

impl Cache {
    pub(super) fn new(entries: usize, max_bytes: usize) -> Self {
        let by_hash = LruCache::new(NonZeroUsize::new(entries).unwrap_or(NonZeroUsize::MIN));
        Self { documents: Mutex::new(Documents { by_hash, bytes: 0 }), max_bytes }
    }

    fn lock(&self) -> MutexGuard<'_, Documents> {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, key: &[u8; 32]) -> Option<Arc<ExecutableDocument>> {
        self.lock().by_hash.get(key).map(|(document, _)| Arc::clone(document))
    }

    pub(super) fn put(&self, key: [u8; 32], document: Arc<ExecutableDocument>, bytes: usize) {
        if bytes > self.max_bytes {
            return;
        }
        let mut documents = self.lock();
        documents.bytes += bytes;
        if let Some((_, (_, replaced))) = documents.by_hash.push(key, (document, bytes)) {
            documents.bytes -= replaced;
        }
        while documents.bytes > self.max_bytes {
            let Some((_, (_, removed))) = documents.by_hash.pop_lru() else { break };
            documents.bytes -= removed;
        }
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn document() -> Arc<ExecutableDocument> {
        Arc::new(parse_query("{ a }").unwrap())
    }

    #[test]
    fn keeps_within_its_entries_and_bytes() {
        let cache = Cache::new(3, 100);
        for n in 0..4 {
            cache.put([n; 32], document(), 10);
        }
        assert!(cache.get(&[0; 32]).is_none(), "the oldest left for the fourth");
        assert_eq!(cache.lock().bytes, 30);

        cache.put([9; 32], document(), 95);
        assert!(cache.get(&[3; 32]).is_none(), "all others left for a large one");
        assert_eq!(cache.lock().bytes, 95);
        cache.put([9; 32], document(), 20);
        assert_eq!(cache.lock().bytes, 20, "the same document counts once");
        cache.put([8; 32], document(), 101);
        assert!(cache.get(&[8; 32]).is_none() && cache.get(&[9; 32]).is_some());
    }
}
