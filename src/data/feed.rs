//! What was committed, for listeners in this process. It is a hint to look, not the truth: that is in the outbox.

use std::{borrow::Cow, sync::Arc};

use chrono::{DateTime, Utc};
use serde_json::Value as Json;
use tokio::sync::broadcast;
use uuid::Uuid;

/// An event as it stands in the outbox.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its number in the tenant, without gaps and in commit order.
    pub seq: i64,
    /// Its id.
    pub id: Uuid,
    /// `{record}.{event}`, such as `customer.created`.
    pub name: String,
    /// The stem of the record's type.
    pub record_type: Cow<'static, str>,
    /// The record.
    pub record_id: Uuid,
    /// Who did it; nil is the platform.
    pub actor_id: Uuid,
    /// When.
    pub occurred_at: DateTime<Utc>,
    /// The fields that changed, as the API names them.
    pub changed_fields: Vec<String>,
    /// The record after the event, as the API shows it.
    pub data: Json,
    /// The changed fields before the event.
    pub previous: Json,
}

/// The live events of one tenant.
#[derive(Clone, Debug)]
pub struct Feed(broadcast::Sender<Arc<Event>>);

impl Feed {
    pub(super) fn new() -> Self {
        Self(broadcast::Sender::new(1024))
    }

    /// Every event committed in this process from now on. A listener that falls more than 1,024 events behind is told.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Arc<Event>> {
        self.0.subscribe()
    }

    pub(super) fn publish(&self, events: Vec<Event>) {
        if self.0.receiver_count() > 0 {
            for event in events {
                // An error means that the last listener has just gone.
                let _ = self.0.send(Arc::new(event));
            }
        }
    }
}
