//! How much something matters: the same scale for activities and tickets.

use sea_orm::entity::prelude::*;

crate::value_set! {
    /// How much something matters.
    Priority {
        /// Can wait.
        Low,
        /// As usual.
        Normal,
        /// Soon.
        High,
        /// At once.
        Urgent,
    }
}
