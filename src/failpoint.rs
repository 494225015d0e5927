//! Places where a debug build can be told to die, for the chaos suite: between every two effects that must not come apart.
//!
//! `RAPPORT_FAILPOINT=unit.sealed=7` aborts the process when it comes to that place for the seventh time. Only debug
//! builds read it: in a release build the places are empty.

/// Dies here when it was told to.
#[cfg(debug_assertions)]
pub fn pass(place: &str) {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    };

    static SET: OnceLock<Option<(String, AtomicU64)>> = OnceLock::new();
    let set = SET.get_or_init(|| {
        let set = std::env::var("RAPPORT_FAILPOINT").ok()?;
        let (place, times) = set.split_once('=')?;
        Some((place.to_owned(), AtomicU64::new(times.parse().ok()?)))
    });
    if let Some((own, left)) = set
        && own == place
        && left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        std::process::abort();
    }
}

/// Nothing.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub const fn pass(_: &str) {}
