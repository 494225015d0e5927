//! What happens in the tenant, as it happens.
//!
//! `recordChanged` tells of the events in the tenant's outbox by their numbers: first those after `after`, then those that
//! come, from whatever node ([`Changes`]). Each is checked for this subscriber with the rights of now: the permission to
//! read the record, and DataScope, by the same rule as lists (the rows are asked for, also when they are deleted), in
//! one statement for all events of a record type that are at hand. What is told of the record itself is read with the
//! same rights. A subscriber that falls too far behind is closed with the number from which it can resume (RESYNC), never
//! silently left without events.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use async_graphql::{
    ComplexObject, Context, ContextSelectionSet, Data, Enum, ID, OutputType, Positioned, ServerResult, SimpleObject,
    Subscription, Value, parser::types::Field, registry::Registry,
};
use chrono::{DateTime, Utc};
use entity::record::RecordMeta;
use futures_util::{Stream, stream};
use uuid::Uuid;

use super::{
    kit::{
        condition::{ConditionInput, Conditions},
        db,
        error::to_graphql,
        id::AnyId,
        loader,
    },
    node::{Node, RecordType, record_shapes, record_types},
    request::Caller,
};
use crate::{
    data::{Tenant, feed::Event, ids, outbox::Changes},
    error::{Error, Result},
    services::identity::{Identity, Principal},
};

/// How long what a subscriber may see is taken for granted while it is read out.
const CHECKED: Duration = Duration::from_secs(1);

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
    /// It is the cursor: `recordChanged(after:)` goes on behind it.
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
    /// The record's id as the database has it.
    pub(super) const fn uuid(&self) -> Uuid {
        self.record.id
    }

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
            record_id: ID(ids::encode(&event.record_type, event.record_id)),
            changed_fields: event.changed_fields.clone(),
            actor_id: (!event.actor_id.is_nil()).then(|| ID(ids::encode("user", event.actor_id))),
            occurred_at: event.occurred_at,
            record: AnyId { name: event.record_type.clone().into_owned(), id: event.record_id },
        }
    }
}

/// Something together with the rights of the moment in which it is told: under them its fields are read, not under those
/// with which the subscription began.
pub struct Told<T> {
    pub(super) what: T,
    rights: Arc<Data>,
}

impl<T> Told<T> {
    /// Something else, told in its place.
    pub(super) fn map<U>(self, map: impl FnOnce(T) -> U) -> Told<U> {
        Told { what: map(self.what), rights: self.rights }
    }
}

impl<T: OutputType> OutputType for Told<T> {
    fn type_name() -> Cow<'static, str> {
        T::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        T::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        let mut ctx = ctx.clone();
        ctx.execute_data = Some(&self.rights);
        self.what.resolve(&ctx, field).await
    }
}

/// How subscribers are served.
#[derive(Clone, Copy, Debug)]
pub struct LiveSettings {
    /// How many events a subscriber may be behind before it is sent away.
    pub backlog: u32,
}

/// An event of a record that the API knows.
struct Change {
    event: Arc<Event>,
    record_type: RecordType,
    meta: &'static RecordMeta,
}

/// One who listens.
pub(super) struct Subscriber {
    identity: Identity,
    caller: Caller,
    tenant: Arc<Tenant>,
    types: Option<Vec<RecordType>>,
    /// What an event must meet, by the record's name.
    conditions: Option<Conditions>,
    changes: Changes,
    /// What was read and is not told yet.
    batch: VecDeque<Change>,
    /// When the batch was checked, and the rights it was checked with.
    checked: Instant,
    rights: Arc<Data>,
}

impl Subscriber {
    /// The next event to tell of. Waits until there is one.
    pub(super) async fn next(&mut self) -> Result<Told<RecordChange>> {
        loop {
            if !self.batch.is_empty() && self.checked.elapsed() > CHECKED {
                self.check().await?;
            }
            if let Some(Change { event, record_type, .. }) = self.batch.pop_front() {
                let what = RecordChange::of(&event, record_type);
                return Ok(Told { what, rights: Arc::clone(&self.rights) });
            }
            let events = self.changes.next().await?;
            let wanted = events.into_iter().filter_map(|event| self.wanted(event).transpose());
            self.batch = wanted.collect::<Result<_>>()?;
            if !self.batch.is_empty() {
                self.check().await?;
            }
        }
    }

    fn wanted(&self, event: Arc<Event>) -> Result<Option<Change>> {
        let known = record_types().find(|(_, meta)| meta.name == event.record_type);
        let Some((record_type, meta)) = known else { return Ok(None) };
        if self.types.as_ref().is_some_and(|types| !types.contains(&record_type)) {
            return Ok(None);
        }
        if let Some(conditions) = &self.conditions {
            let Some(condition) = conditions.get(meta.name) else { return Ok(None) };
            if !event.meets(condition, meta)? {
                return Ok(None);
            }
        }
        Ok(Some(Change { event, record_type, meta }))
    }

    /// The records in the batch by their types, each once, in the order in which they are told of.
    fn records(&self) -> HashMap<&'static str, Vec<Uuid>> {
        let (mut records, mut known) = (HashMap::<_, Vec<Uuid>>::new(), HashSet::new());
        for Change { event, meta, .. } in &self.batch {
            if known.insert((meta.name, event.record_id)) {
                records.entry(meta.name).or_default().push(event.record_id);
            }
        }
        records
    }

    /// Takes from the batch what the subscriber may not see now: one statement a record type.
    async fn check(&mut self) -> Result<()> {
        let principal = self.identity.renew(self.caller.principal()?).await?;
        let Principal::Member(member) = &principal else {
            return Err(Error::Unauthenticated("log in to a tenant".to_owned()));
        };
        let db = self.tenant.for_actor(member.actor.clone(), None);
        let mut seen = HashSet::new();
        for (name, ids) in self.records() {
            if let Some((_, meta)) = record_types().find(|(_, meta)| meta.name == name) {
                seen.extend(db.seen(meta, &ids).await?.into_iter().map(|id| (name, id)));
            }
        }
        self.batch.retain(|change| seen.contains(&(change.meta.name, change.event.record_id)));
        let mut rights = Data::default();
        rights.insert(loader::loader_ahead(db.clone(), self.records()));
        rights.insert(db);
        rights.insert(Caller { principal: Some(principal), client: self.caller.client.clone() });
        (self.checked, self.rights) = (Instant::now(), Arc::new(rights));
        Ok(())
    }
}

/// The subscriptions.
#[derive(Default)]
pub struct LiveSubscription;

#[Subscription]
impl LiveSubscription {
    /// What happens to records that the actor may read: every event once, in the order of the commits, from whatever
    /// node. It begins now, or behind the event `after`, so that a subscriber that was away gets what it missed and then
    /// what comes. Ends with RESYNC when events after `after` are no longer kept (subscribe without `after` and read the
    /// lists again), and when the subscriber falls too far behind: `extensions.cursor` is then the `after` to resume
    /// with.
    async fn record_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only records of these types; all that the actor may read when left out.")] types: Option<
            Vec<RecordType>,
        >,
        #[graphql(
            desc = "Only events that meet this, by what they tell of the record after the event and before it. A field \
                          that a record type does not have has no value there."
        )]
        condition: Option<ConditionInput>,
        #[graphql(desc = "The `sequence` of the last event that the subscriber has seen; from now on when left out.")]
        after: Option<String>,
    ) -> async_graphql::Result<impl Stream<Item = async_graphql::Result<Told<RecordChange>>> + use<>> {
        let subscriber = subscriber(ctx, types, condition, after).await.map_err(to_graphql)?;
        Ok(stream::unfold(Some(subscriber), |subscriber| async move {
            let mut subscriber = subscriber?;
            match subscriber.next().await {
                Ok(told) => Some((Ok(told), Some(subscriber))),
                Err(error) => Some((Err(to_graphql(error)), None)),
            }
        }))
    }
}

/// A subscriber to the records of these types, or of all.
pub(super) async fn subscriber(
    ctx: &Context<'_>,
    types: Option<Vec<RecordType>>,
    condition: Option<ConditionInput>,
    after: Option<String>,
) -> Result<Subscriber> {
    let tenant = db(ctx)?.tenant().clone();
    let shapes: Vec<_> = record_shapes()
        .filter(|(record_type, _)| types.as_ref().is_none_or(|types| types.contains(record_type)))
        .map(|(_, shape)| shape)
        .collect();
    let conditions = condition.map(|condition| condition.compile(&shapes)).transpose();
    let conditions = conditions.map_err(|message| Error::BadInput(format!("`condition`: {message}")))?;
    let after = after.map(|after| {
        let number = after.parse().ok().filter(|number| *number >= 0);
        number.ok_or_else(|| Error::BadInput("`after` is the `sequence` of an event".to_owned()))
    });
    let changes = tenant.changes(after.transpose()?, ctx.data_unchecked::<LiveSettings>().backlog).await?;
    Ok(Subscriber {
        identity: ctx.data_unchecked::<Identity>().clone(),
        caller: Caller::of(ctx).clone(),
        tenant,
        types,
        conditions,
        changes,
        batch: VecDeque::new(),
        checked: Instant::now(),
        rights: Arc::default(),
    })
}
