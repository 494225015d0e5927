//! What was committed, for listeners in this process. It is a hint to look, not the truth: that is in the outbox.

use std::{borrow::Cow, sync::Arc};

use chrono::{DateTime, Utc};
use entity::record::{Column, RecordMeta};
use sea_orm::Value;
use serde_json::Value as Json;
use tokio::sync::broadcast;
use uuid::Uuid;

use super::value;
use crate::{
    condition::{
        Condition,
        eval::{self, Facts},
    },
    error::Result,
};

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

impl Event {
    /// Whether a condition holds for the record, which is of this kind, as the event tells of it.
    ///
    /// # Errors
    /// [`crate::error::Error::BadInput`] when the condition is not about this record alone.
    pub fn meets(&self, condition: &Condition, meta: &'static RecordMeta) -> Result<bool> {
        eval::holds(condition, meta, &Told { event: self, meta })
    }
}

/// The record that an event tells of.
struct Told<'a> {
    event: &'a Event,
    meta: &'static RecordMeta,
}

impl Facts for Told<'_> {
    fn now(&self, column: &Column) -> Value {
        value::from_api(self.meta, column, |field| self.event.data.get(field))
    }

    fn before(&self, column: &Column) -> Option<Value> {
        let previous = self.event.previous.as_object().filter(|previous| !previous.is_empty())?;
        // What is not there has not changed.
        Some(value::from_api(self.meta, column, |field| previous.get(field).or_else(|| self.event.data.get(field))))
    }
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
