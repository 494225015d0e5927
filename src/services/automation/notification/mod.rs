//! Notifications: what a user is told of, because it concerns him.
//!
//! They follow from events. The consumer `notification` takes every event of the outbox once; which of them concern whom
//! stands in one table (`reaction::REACTIONS`). In the transaction of its cursor it writes the notification, which raises
//! `notification.created` and so reaches subscribers, and queues the e-mail.
//!
//! Nobody is told of what he did himself, nor of a record that he may not see at that moment. Each user chooses for each
//! kind whether he hears of it in the application, by e-mail, both or not at all ([`preference`]). Much of the same at once
//! (a hundred leads assigned by an import) becomes one notification that says how many.
//!
//! Notifications belong to their user alone: nobody else reads them, whatever his role (module `notifications`, permission
//! `notifications.read`). They leave no audit entries. A user marks them as read, one by one or all at once.

pub mod preference;
mod reaction;
mod text;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use entity::{
    master::WorkKind,
    record::{Record, RecordMeta},
    tenant::{
        notification::{self, Entity, NotificationKind},
        user::{self, UserStatus},
    },
};
use futures_util::{FutureExt, future::BoxFuture};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait,
    sea_query::{Condition, Query},
};
use serde_json::json;
use uuid::Uuid;

use self::{
    preference::{Channels, Preferences},
    reaction::{REACTIONS, Told},
};
use crate::{
    auth::Action,
    data::{Rules, TenantDb, Unit, consume::Consumer, feed::Event, ids},
    error::Result,
    jobs::Work,
    services::identity::Identity,
};

/// The consumer's name.
const CONSUMER: &str = "notification";
/// How many pages of events are taken before other tenants have their turn.
const PAGES: usize = 10;
/// More than this of the same at once becomes one notification.
const MANY: usize = 5;
/// How many notifications one call marks as read.
pub const MOST_MARKED: u64 = 500;

impl Rules for Entity {}

/// Tells users of what concerns them.
pub struct Notifying {
    identity: Identity,
    /// Where a record is opened in the front end, with `{id}` in the place of its id.
    record_link: String,
    /// The records that can be seen, by their names.
    records: HashMap<&'static str, &'static RecordMeta>,
}

impl Notifying {
    /// Over these records.
    #[must_use]
    pub fn new(
        identity: Identity,
        record_link: String,
        records: impl IntoIterator<Item = &'static RecordMeta>,
    ) -> Self {
        let records = records.into_iter().map(|meta| (meta.name, meta)).collect();
        Self { identity, record_link, records }
    }

    async fn take_waiting(&self, db: &TenantDb) -> Result<Option<DateTime<Utc>>> {
        let taker = Taker { notifying: self, db };
        for _ in 0..PAGES {
            if !db.consume(&taker).await? {
                return Ok(None);
            }
        }
        Ok(Some(db.clock().now()))
    }

    /// Those of these records that a user may see now.
    async fn seen(&self, db: &TenantDb, user: Uuid, told: &[Told]) -> Result<HashSet<Uuid>> {
        let Some(actor) = self.identity.actor_of(db.tenant().id(), user).await? else { return Ok(HashSet::new()) };
        let theirs = db.tenant().for_actor(actor, None);
        let mut by_type: HashMap<&str, Vec<Uuid>> = HashMap::new();
        for told in told {
            by_type.entry(&told.record_type).or_default().push(told.record_id);
        }
        let mut seen = HashSet::new();
        for (record_type, ids) in by_type {
            if let Some(meta) = self.records.get(record_type) {
                seen.extend(theirs.seen(meta, &ids).await?);
            }
        }
        Ok(seen)
    }
}

impl Work for Notifying {
    fn kind(&self) -> WorkKind {
        WorkKind::Notification
    }

    fn run<'a>(&'a self, db: &'a TenantDb) -> BoxFuture<'a, Result<Option<DateTime<Utc>>>> {
        self.take_waiting(db).boxed()
    }

    fn next<'a>(&'a self, db: &'a TenantDb) -> BoxFuture<'a, Result<Option<DateTime<Utc>>>> {
        db.events_wait(CONSUMER).boxed()
    }
}

/// Takes the events of one tenant.
struct Taker<'a> {
    notifying: &'a Notifying,
    db: &'a TenantDb,
}

impl Consumer for Taker<'_> {
    fn name(&self) -> &'static str {
        CONSUMER
    }

    async fn take(&self, unit: &mut Unit, events: &[Arc<Event>]) -> Result<()> {
        let mut by_user: BTreeMap<Uuid, Vec<Told>> = BTreeMap::new();
        for event in events {
            for reaction in REACTIONS.iter().filter(|reaction| reaction.is_about(event)) {
                for told in reaction.tell(unit, event).await? {
                    if told.user_id != event.actor_id {
                        by_user.entry(told.user_id).or_default().push(told);
                    }
                }
            }
        }
        if by_user.is_empty() {
            return Ok(());
        }
        let preferences = Preferences::of(unit, by_user.keys().copied()).await?;
        let users = users(unit, by_user.keys().copied()).await?;
        for (user_id, told) in by_user {
            let Some(user) = users.get(&user_id) else { continue };
            let seen = self.notifying.seen(self.db, user_id, &told).await?;
            let told = told.into_iter().filter(|told| seen.contains(&told.record_id)).collect();
            for told in gathered(told) {
                let channels = preferences.channels(user_id, told.kind);
                self.tell(unit, user, told, channels).await?;
            }
        }
        Ok(())
    }
}

impl Taker<'_> {
    async fn tell(&self, unit: &mut Unit, user: &user::Model, told: Told, channels: Channels) -> Result<()> {
        if channels.email {
            let related = ids::encode(&told.record_type, told.record_id);
            let tenant = self.notifying.identity.tenant_by_id(user.tenant_id).await?;
            let variables = json!({
                "name": user.name,
                "tenant": tenant.name,
                "locale": tenant.locale,
                "title": told.title,
                "body": told.body,
                "link": self.notifying.record_link.replace("{id}", &related),
            });
            unit.queue_email(&user.email, "notification", variables).await?;
        }
        if channels.in_app {
            unit.insert_by_rule::<Entity>(notification::ActiveModel {
                user_id: Set(user.id),
                kind: Set(told.kind),
                title: Set(text::shortened(&told.title, 300)),
                body: Set(told.body.as_deref().map(|body| text::shortened(body, 1000))),
                actor_id: Set(told.actor_id),
                related_type: Set(Some(told.record_type)),
                related_id: Set(Some(told.record_id)),
                channels: Set(json!(channels.list())),
                read_at: Set(None),
                ..Default::default()
            })
            .await?;
        }
        Ok(())
    }
}

/// The users who can be told anything.
async fn users(unit: &Unit, ids: impl Iterator<Item = Uuid>) -> Result<HashMap<Uuid, user::Model>> {
    let active = Condition::all().add(user::Column::Id.is_in(ids)).add(user::Column::Status.eq(UserStatus::Active));
    Ok(unit.all_rows::<user::Entity>(active).await?.into_iter().map(|user| (user.id, user)).collect())
}

/// Much of the same, by the same actor, as one that says how many.
fn gathered(told: Vec<Told>) -> Vec<Told> {
    let same = |told: &Told| (told.kind, told.record_type.clone(), told.actor_id);
    let mut counts: HashMap<_, usize> = HashMap::new();
    for told in &told {
        *counts.entry(same(told)).or_default() += 1;
    }
    let mut said = HashSet::new();
    told.into_iter()
        .filter_map(|mut told| {
            let (same, count) = (same(&told), counts[&same(&told)]);
            if count > MANY {
                if !said.insert(same) {
                    return None;
                }
                told.title = text::many(told.kind, &told.record_type, count);
                told.body = None;
            }
            Some(told)
        })
        .collect()
}

/// Marks a notification as read, or as not read.
///
/// # Errors
/// [`crate::error::Error::NotFound`] when it is not the actor's.
pub async fn mark(unit: &mut Unit, id: Uuid, read: bool) -> Result<Uuid> {
    let row = unit.claim::<Entity>(id, None, Action::Read).await?;
    if row.read_at.is_some() != read {
        set_read(unit, &row, read).await?;
    }
    Ok(id)
}

/// Marks the actor's unread notifications as read, the newest first, at most [`MOST_MARKED`]; answers which.
///
/// # Errors
/// [`crate::error::Error::Forbidden`] without `notifications.read`.
pub async fn mark_all(unit: &mut Unit) -> Result<Vec<Uuid>> {
    let user = unit.actor().user_id;
    unit.actor().require(crate::auth::Permission::new("notifications", Action::Read))?;
    let newest = Query::select()
        .column("id")
        .from(Entity::NAME)
        .cond_where(unread(user))
        .order_by("id", sea_orm::Order::Desc)
        .limit(MOST_MARKED)
        .to_owned();
    let rows = unit.lock_rows::<Entity>(Condition::all().add(notification::Column::Id.in_subquery(newest))).await?;
    for row in &rows {
        set_read(unit, row, true).await?;
    }
    Ok(rows.into_iter().map(|row| row.id).collect())
}

async fn set_read(unit: &mut Unit, row: &notification::Model, read: bool) -> Result<()> {
    let read_at = read.then(|| unit.now());
    let change = notification::ActiveModel { read_at: Set(read_at), ..Default::default() };
    unit.update_by_rule::<Entity>(row, change).await.map(|_| ())
}

/// How many notifications the actor has not read.
///
/// # Errors
/// [`crate::error::Error::Forbidden`] without `notifications.read`.
pub async fn unread_count(db: &TenantDb) -> Result<u64> {
    db.find::<Entity>()?.filter(notification::Column::ReadAt.is_null()).count().await
}

fn unread(user: Uuid) -> Condition {
    Condition::all()
        .add(notification::Column::UserId.eq(user))
        .add(notification::Column::ReadAt.is_null())
        .add(notification::Column::IsDeleted.eq(false))
}

/// The kinds of notifications, in the order in which people should see them, and what each is about.
pub fn kinds() -> impl Iterator<Item = (NotificationKind, &'static str)> {
    REACTIONS.iter().map(|reaction| (reaction.kind, reaction.about))
}
