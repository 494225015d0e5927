//! Notifications in the API. Module `notifications`; events `notification.created` and `.updated`, for nobody but the user
//! they are for.

use async_graphql::{ComplexObject, Context, ID, Object, SimpleObject, Subscription};
use chrono::{DateTime, Utc};
use entity::{
    record::Record,
    tenant::notification::{self, NotificationChannel, NotificationKind},
};
use futures_util::{Stream, stream};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    auth::{Action, Permission},
    data::{idempotency::Outcome, ids, plan::Children},
    graphql::{
        identity::user::User,
        kit::{
            crud, db,
            error::{nullable, to_graphql},
            id::{AnyId, Id},
            payload::UserError,
        },
        live::{self, ChangeKind, Told},
        node::{Node, RecordType},
    },
    services::automation::notification::{self as service, preference},
};

/// What the user is told of, because it concerns him. Nobody else sees it, whatever his role. Needs `notifications.read`.
#[derive(SimpleObject, Deserialize, Default)]
#[graphql(complex)]
#[serde(default)]
pub struct Notification {
    /// Its id.
    pub id: Id<Self>,
    /// What it is about.
    pub kind: NotificationKind,
    /// What happened, in one line of English. Front ends that speak other languages make theirs from `kind`, `actor` and
    /// `relatedTo`.
    pub title: String,
    /// More of it, such as the comment in which the user was mentioned.
    pub body: Option<String>,
    /// How the user heard of it.
    pub channels: Vec<NotificationChannel>,
    /// When the user read it; null while it is unread.
    pub read_at: Option<DateTime<Utc>>,
    /// 1 at creation, one more with each change.
    pub version: i32,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
    #[graphql(skip)]
    related_type: Option<String>,
    #[graphql(skip)]
    related_id: Option<Uuid>,
    #[graphql(skip)]
    #[serde(skip)]
    children: Children,
}

crate::object! {
    Notification for notification;
    values { kind: NotificationKind }
    needs { related_to: ["related_type", "related_id"], related_to_id: ["related_type", "related_id"] }
    relations {
        /// The user who did it; null for the platform. Needs `users.read`.
        one actor: User,
    }
    methods {
        /// The record it is about. Null when there is none that the user sees, and when there were too many to name.
        async fn related_to(&self, ctx: &Context<'_>) -> Option<Node> {
            let (name, id) = self.related_type.clone().zip(self.related_id)?;
            Node::load(ctx, &AnyId { name, id }).await
        }

        /// The id of the record it is about, whose prefix says what it is.
        async fn related_to_id(&self) -> Option<ID> {
            self.related_type.as_ref().zip(self.related_id).map(|(name, id)| ID(ids::encode(name, id)))
        }
    }
}

crate::payload! { Notification as notification; NotificationPayload }

crate::queries! {
    Notification;
    query NotificationQuery {
        /// A notification of the user. Null when there is none. Needs `notifications.read`.
        one notification;
        /// The notifications of the user, the newest first; `where: {readAt: {isNull: true}}` are the unread ones. Needs
        /// `notifications.read`.
        many notifications;

        /// How many notifications the user has not read. Needs `notifications.read`.
        async fn notification_unread_count(&self, ctx: &Context<'_>) -> Option<i32> {
            nullable(ctx, async { unread(ctx).await }.await)
        }

        /// How the user hears of each kind of thing, in the order in which people should see them. Needs
        /// `notifications.read`.
        async fn notification_preferences(&self, ctx: &Context<'_>) -> Option<Vec<NotificationPreference>> {
            nullable(ctx, async { preferences(ctx).await }.await)
        }
    }
}

async fn unread(ctx: &Context<'_>) -> crate::error::Result<i32> {
    Ok(i32::try_from(service::unread_count(db(ctx)?).await?).unwrap_or(i32::MAX))
}

async fn preferences(ctx: &Context<'_>) -> crate::error::Result<Vec<NotificationPreference>> {
    let preferences = preference::all(db(ctx)?).await?;
    Ok(preferences.into_iter().map(NotificationPreference::from).collect())
}

/// How the user hears of one kind of thing.
#[derive(Clone, Debug, SimpleObject)]
pub struct NotificationPreference {
    /// What it is about.
    pub kind: NotificationKind,
    /// What that means, in one line of English: "a record was given to you".
    pub description: String,
    /// Whether it is shown in the application, and told live.
    pub in_app: bool,
    /// Whether it comes by e-mail.
    pub email: bool,
}

impl From<(NotificationKind, &'static str, preference::Channels)> for NotificationPreference {
    fn from((kind, about, channels): (NotificationKind, &'static str, preference::Channels)) -> Self {
        Self { kind, description: about.to_owned(), in_app: channels.in_app, email: channels.email }
    }
}

/// What `notificationPreferenceSet` answers.
#[derive(Debug, SimpleObject)]
pub struct NotificationPreferencePayload {
    /// How the user hears of it now; null when it was not written.
    pub preference: Option<NotificationPreference>,
    /// What a user can mend; empty when all went well.
    pub user_errors: Vec<UserError>,
    /// What the client sent along, so that it recognises the answer.
    pub client_mutation_id: Option<String>,
}

/// What `notificationMarkAllRead` answers.
#[derive(Debug, SimpleObject)]
pub struct NotificationMarkAllReadPayload {
    /// How many notifications were marked as read: at most 500 at a time.
    pub marked_count: i32,
    /// How many are still unread.
    pub unread_count: i32,
    /// What a user can mend; empty when all went well.
    pub user_errors: Vec<UserError>,
    /// What the client sent along, so that it recognises the answer.
    pub client_mutation_id: Option<String>,
}

/// The mutations of notifications.
#[derive(Default)]
pub struct NotificationMutation;

#[Object]
impl NotificationMutation {
    /// Marks a notification of the user as read; one that was read stays as it is. Needs `notifications.read`. Raises
    /// `notification.updated`.
    async fn notification_mark_read(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Id<Notification>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<NotificationPayload> {
        crud::run(ctx, client_mutation_id, async |unit| service::mark(unit, id.0, true).await).await
    }

    /// Marks a notification of the user as not read. Needs `notifications.read`. Raises `notification.updated`.
    async fn notification_mark_unread(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Id<Notification>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<NotificationPayload> {
        crud::run(ctx, client_mutation_id, async |unit| service::mark(unit, id.0, false).await).await
    }

    /// Marks the user's unread notifications as read, the newest first, at most 500 at a time. Needs `notifications.read`.
    /// Raises `notification.updated` for each.
    async fn notification_mark_all_read(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<NotificationMarkAllReadPayload> {
        let answer = async {
            let db = db(ctx)?;
            let outcome = db.mutate(async |unit| Ok(Outcome::all(service::mark_all(unit).await?))).await?;
            Ok(NotificationMarkAllReadPayload {
                marked_count: i32::try_from(outcome.0.len()).unwrap_or(i32::MAX),
                unread_count: unread(ctx).await?,
                user_errors: Vec::new(),
                client_mutation_id,
            })
        };
        nullable(ctx, answer.await)
    }

    /// Says how the user wants to hear of a kind of thing; what is left out stays. Needs `notifications.read`. Raises
    /// `notification_preference.created` or `.updated`.
    async fn notification_preference_set(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What it is about.")] kind: NotificationKind,
        #[graphql(desc = "Whether it is shown in the application, and told live.")] in_app: Option<bool>,
        #[graphql(desc = "Whether it comes by e-mail.")] email: Option<bool>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<NotificationPreferencePayload> {
        let answer = async {
            let put = async |unit: &mut crate::data::Unit| {
                preference::put(unit, kind, in_app, email).await.map(Outcome::written)
            };
            let outcome = db(ctx)?.mutate(put).await?.single();
            let preference = preferences(ctx).await?.into_iter().find(|preference| preference.kind == kind);
            Ok(NotificationPreferencePayload {
                preference: preference.filter(|_| outcome.id.is_some()),
                user_errors: outcome.errors.into_iter().map(Into::into).collect(),
                client_mutation_id,
            })
        };
        nullable(ctx, answer.await)
    }
}

/// A notification that has just come.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(complex)]
pub struct NotificationReceived {
    /// The number of the event that brought it, as text: `notificationReceived(after:)` goes on behind it.
    pub sequence: String,
    #[graphql(skip)]
    id: Uuid,
}

#[ComplexObject]
impl NotificationReceived {
    /// The notification; null when it is gone already.
    async fn notification(&self, ctx: &Context<'_>) -> Option<Notification> {
        let id = AnyId { name: notification::Entity::NAME.to_owned(), id: self.id };
        match Node::load(ctx, &id).await {
            Some(Node::Notification(notification)) => Some(*notification),
            _ => None,
        }
    }

    /// How many notifications the user has not read now.
    async fn unread_count(&self, ctx: &Context<'_>) -> Option<i32> {
        nullable(ctx, unread(ctx).await)
    }
}

/// The subscription of notifications.
#[derive(Default)]
pub struct NotificationSubscription;

#[Subscription]
impl NotificationSubscription {
    /// The user's notifications as they come, from whatever node: each once, in order. It begins now, or behind the
    /// notification `after`, so that a subscriber that was away gets what it missed. Needs `notifications.read`. Ends with
    /// RESYNC as `recordChanged` does.
    async fn notification_received(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "The `sequence` of the last notification that the subscriber has seen; from now on when left out."
        )]
        after: Option<String>,
    ) -> async_graphql::Result<impl Stream<Item = async_graphql::Result<Told<NotificationReceived>>> + use<>> {
        let subscriber = async {
            db(ctx)?.actor().require(Permission::new("notifications", Action::Read))?;
            live::subscriber(ctx, Some(vec![RecordType::Notification]), None, after).await
        };
        let subscriber = subscriber.await.map_err(to_graphql)?;
        Ok(stream::unfold(Some(subscriber), |subscriber| async move {
            let mut subscriber = subscriber?;
            loop {
                match subscriber.next().await {
                    Ok(told) => {
                        if told.what.kind != ChangeKind::Created {
                            continue;
                        }
                        let told = told.map(|change| NotificationReceived {
                            sequence: change.sequence.clone(),
                            id: change.uuid(),
                        });
                        return Some((Ok(told), Some(subscriber)));
                    }
                    Err(error) => return Some((Err(to_graphql(error)), None)),
                }
            }
        }))
    }
}
