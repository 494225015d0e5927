//! What happens in the tenant, as it happens.
//!
//! `recordChanged` tells of the events that are committed in this process from the moment of subscribing. Each is checked
//! for this subscriber: the permission to read the record, and DataScope, by the same rule as lists (the row is asked
//! for, also when it is deleted). A subscriber that falls too far behind is told so (RESYNC) and closed, never silently
//! left without events.

use async_graphql::{ComplexObject, Context, Enum, ID, SimpleObject, Subscription};
use chrono::{DateTime, Utc};
use futures_util::{Stream, stream};
use tokio::sync::broadcast::error::RecvError;

use super::{
    kit::{db, error::to_graphql, id::AnyId},
    node::{Node, RecordType, record_types},
};
use crate::{
    data::{feed::Event, ids},
    error::Error,
};

/// What happened to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum ChangeKind {
    /// It was created.
    Created,
    /// It was changed.
    Updated,
    /// It was deleted.
    Deleted,
    /// It was brought back.
    Restored,
    /// Something of its own, as the event's name says.
    Other,
}

/// An event of a record.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(complex)]
pub struct RecordChange {
    /// The event's name, such as `customer.updated` or `opportunity.won`.
    pub event: String,
    /// What happened.
    pub kind: ChangeKind,
    /// The event's number in the tenant: without gaps, in the order of the commits. As text, since it may outgrow `Int`.
    pub sequence: String,
    /// The record's type.
    pub record_type: RecordType,
    /// The record's id.
    pub record_id: ID,
    /// The fields that changed; empty for a new record.
    pub changed_fields: Vec<String>,
    /// The user who did it; null for the platform.
    pub actor_id: Option<ID>,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    #[graphql(skip)]
    record: AnyId,
}

#[ComplexObject]
impl RecordChange {
    /// The record as it is now; null when it was deleted.
    async fn node(&self, ctx: &Context<'_>) -> Option<Node> {
        Node::load(ctx, &self.record).await
    }
}

impl RecordChange {
    fn of(event: &Event, record_type: RecordType) -> Self {
        let kind = match event.name.rsplit_once('.').map(|(_, kind)| kind) {
            Some("created") => ChangeKind::Created,
            Some("updated") => ChangeKind::Updated,
            Some("deleted") => ChangeKind::Deleted,
            Some("restored") => ChangeKind::Restored,
            _ => ChangeKind::Other,
        };
        Self {
            event: event.name.clone(),
            kind,
            sequence: event.seq.to_string(),
            record_type,
            record_id: ID(ids::encode(event.record_type, event.record_id)),
            changed_fields: event.changed_fields.clone(),
            actor_id: (!event.actor_id.is_nil()).then(|| ID(ids::encode("user", event.actor_id))),
            occurred_at: event.occurred_at,
            record: AnyId { name: event.record_type.to_owned(), id: event.record_id },
        }
    }
}

/// The subscriptions.
#[derive(Default)]
pub struct LiveSubscription;

#[Subscription]
impl LiveSubscription {
    /// What happens to records that the actor may read, from now on. Ends with RESYNC when the subscriber falls too far
    /// behind: read the lists again and subscribe anew.
    async fn record_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only records of these types; all that the actor may read when left out.")] types: Option<
            Vec<RecordType>,
        >,
    ) -> async_graphql::Result<impl Stream<Item = async_graphql::Result<RecordChange>>> {
        let db = db(ctx).map_err(to_graphql)?.clone();
        let events = db.tenant().feed().listen();
        // `None` once the subscriber was told that it fell behind.
        Ok(stream::unfold(Some((db, events, types)), |state| async move {
            let (db, mut events, types) = state?;
            loop {
                let event = match events.recv().await {
                    Ok(event) => event,
                    Err(RecvError::Closed) => return None,
                    Err(RecvError::Lagged(_)) => return Some((Err(to_graphql(Error::Resync)), None)),
                };
                let Some((record_type, meta)) = record_types().find(|(_, meta)| meta.name == event.record_type) else {
                    continue;
                };
                if types.as_ref().is_some_and(|types| !types.contains(&record_type)) {
                    continue;
                }
                match db.sees(meta, event.record_id).await {
                    Ok(true) => return Some((Ok(RecordChange::of(&event, record_type)), Some((db, events, types)))),
                    Ok(false) => {}
                    Err(error) => return Some((Err(to_graphql(error)), None)),
                }
            }
        }))
    }
}
