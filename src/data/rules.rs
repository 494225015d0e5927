//! What a record adds to every write of it, whoever writes: the API, an import, a job.
//!
//! The hooks run inside the unit of work, so what they write is committed or rolled back with the row. They live in
//! `services/<area>`, beside the record's other rules.

use std::future::Future;

use entity::record::Record;

use super::Unit;
use crate::error::Result;

/// The rules of a record. A record without rules of its own says so with an empty `impl`.
pub trait Rules: Record {
    /// Fills in and checks a row that is about to be inserted.
    fn before_insert(unit: &mut Unit, new: &mut Self::ActiveModel) -> impl Future<Output = Result<()>> + Send {
        let _ = (unit, new);
        async { Ok(()) }
    }

    /// Checks and completes a change that is about to be made.
    fn before_update(
        unit: &mut Unit,
        before: &Self::Model,
        change: &mut Self::ActiveModel,
    ) -> impl Future<Output = Result<()>> + Send {
        let _ = (unit, before, change);
        async { Ok(()) }
    }

    /// Does what follows from a row that was inserted (`before` is `None`), changed or restored.
    fn after_write(
        unit: &mut Unit,
        before: Option<&Self::Model>,
        after: &Self::Model,
    ) -> impl Future<Output = Result<()>> + Send {
        let _ = (unit, before, after);
        async { Ok(()) }
    }

    /// Checks a row that is about to be deleted.
    fn before_delete(unit: &mut Unit, row: &Self::Model) -> impl Future<Output = Result<()>> + Send {
        let _ = (unit, row);
        async { Ok(()) }
    }
}
