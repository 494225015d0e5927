//! Activities in the API. Module `activities`; events `activity.created`, `.updated`, `.deleted`, `.restored`,
//! `.completed`.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, SimpleObject};
use chrono::{DateTime, Utc};
use entity::tenant::activity::{self, ActivityStatus, ActivityType, Priority};
use sea_orm::ActiveValue::Set;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::related::{self, RelatedRecord};
use crate::{
    data::plan::Children,
    error::{Error, Result},
    graphql::{
        identity::user::User,
        kit::{
            crud::{self, Input, maybe, patch, set},
            id::{AnyId, Id},
            scalars::EmailAddress,
        },
    },
    services::sales::activity as rules,
};

/// Something a user plans to do and then does. Needs `activities.read`.
#[derive(SimpleObject, Deserialize, Default)]
#[graphql(complex)]
#[serde(default)]
pub struct Activity {
    /// Its id.
    pub id: Id<Self>,
    /// What kind of activity it is.
    pub r#type: ActivityType,
    /// What it is about.
    pub subject: String,
    /// More about it.
    pub description: Option<String>,
    /// How it stands.
    pub status: ActivityStatus,
    /// How much it matters.
    pub priority: Priority,
    /// When it begins.
    pub start_at: Option<DateTime<Utc>>,
    /// When it must be done.
    pub due_at: Option<DateTime<Utc>>,
    /// When it was done.
    pub completed_at: Option<DateTime<Utc>>,
    /// When the owner wants to be reminded. At that moment `activity.due` is raised, once, unless it is done by then.
    pub remind_at: Option<DateTime<Utc>>,
    /// How it repeats: an RRULE of RFC 5545, such as `FREQ=WEEKLY;BYDAY=MO`.
    pub recurrence: Option<String>,
    /// Who takes part.
    pub attendees: Vec<EmailAddress>,
    /// The id in the integrator's own system, unique where present.
    pub external_reference: Option<String>,
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
    Activity for activity;
    values { r#type: ActivityType, status: ActivityStatus, priority: Priority }
    needs { related_to: ["related_type", "related_id"], related_to_id: ["related_type", "related_id"] }
    relations {
        /// The user who is to do it. Needs `users.read`.
        one owner: User,
        /// Who created it.
        one created_by: User,
        /// Who changed it last.
        one updated_by: User,
    }    methods {
        /// The record it is about. Null when there is none that the actor sees. Needs the read permission of its module.
        async fn related_to(&self, ctx: &Context<'_>) -> Option<RelatedRecord> {
            related::record(ctx, self.related_type.as_deref(), self.related_id).await
        }

        /// The id of the record it is about, whose prefix says what it is.
        async fn related_to_id(&self) -> Option<ID> {
            related::record_id(self.related_type.as_deref(), self.related_id)
        }
    }
}

crate::crud! {
    Activity as activity;
    query ActivityQuery {
        keys { external_reference }
        /// An activity. Null when there is none that the actor sees. Needs `activities.read`.
        one activity;
        /// The activities that the actor sees. Needs `activities.read`.
        many activities;
    }
    mutation ActivityMutation {
        /// Creates an activity. Needs `activities.write`, and `activities.assign` for another owner. Raises
        /// `activity.created`, and `activity.completed` when it is done already.
        create activity_create(ActivityCreateInput);
        /// Changes an activity. It goes from PLANNED over IN_PROGRESS to COMPLETED or CANCELLED and never back. Needs
        /// `activities.write`, and `activities.assign` for another owner. Raises `activity.updated`, and
        /// `activity.completed` when it is done.
        update activity_update(ActivityUpdateInput);
        /// Deletes an activity. Needs `activities.delete`. Raises `activity.deleted`.
        delete activity_delete;
        /// Brings a deleted activity back. Needs `activities.restore`. Raises `activity.restored`.
        restore activity_restore;
        /// Creates or changes up to 250 activities in one transaction. Needs `activities.write`.
        upsert activity_bulk_upsert(ActivityUpsertInput);

        /// Completes an activity; one that is completed already stays as it is. Needs `activities.write`. Raises
        /// `activity.updated` and `activity.completed`.
        async fn activity_complete(
            &self,
            ctx: &Context<'_>,
            #[graphql(desc = "The activity's id.")] id: Id<Activity>,
            #[graphql(desc = "When it was done, not in the future; now when left out.")] completed_at: Option<
                DateTime<Utc>,
            >,
            #[graphql(desc = "The version that the client has seen; another one is STALE_VERSION.")]
            expected_version: Option<i32>,
            #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
        ) -> Option<ActivityPayload> {
            crud::run(ctx, client_mutation_id, async |unit| {
                let done = rules::complete(unit, id.0, completed_at, expected_version).await;
                done.map_err(|error: Error| error.at(&[]))
            })
            .await
        }
    }
    payloads ActivityPayload, ActivityBulkUpsertPayload, ActivityBulkUpsertResult;
}

/// A new activity.
#[derive(InputObject)]
pub struct ActivityCreateInput {
    /// What kind of activity it is.
    r#type: ActivityType,
    /// What it is about, at most 200 characters.
    subject: String,
    /// More about it.
    description: Option<String>,
    /// How it stands; PLANNED when left out.
    status: Option<ActivityStatus>,
    /// How much it matters; NORMAL when left out.
    priority: Option<Priority>,
    /// When it begins.
    start_at: Option<DateTime<Utc>>,
    /// When it must be done, not before it begins.
    due_at: Option<DateTime<Utc>>,
    /// When it was done, not in the future; COMPLETED only, now when left out.
    completed_at: Option<DateTime<Utc>>,
    /// When the owner wants to be reminded. At that moment `activity.due` is raised, once, unless it is done by then.
    remind_at: Option<DateTime<Utc>>,
    /// How it repeats: an RRULE of RFC 5545, such as `FREQ=WEEKLY;BYDAY=MO`.
    recurrence: Option<String>,
    /// The record it is about: the id of a customer, contact, lead, opportunity or ticket.
    related_to_id: Option<AnyId>,
    /// Who takes part, at most 100.
    attendees: Option<Vec<EmailAddress>>,
    /// The user who is to do it; the actor when left out.
    owner_id: Option<Id<User>>,
    /// The id in the integrator's own system.
    external_reference: Option<String>,
}

impl Input<activity::Entity> for ActivityCreateInput {
    fn into_row(self) -> Result<activity::ActiveModel> {
        let Self {
            r#type,
            subject,
            description,
            status,
            priority,
            start_at,
            due_at,
            completed_at,
            remind_at,
            recurrence,
            related_to_id,
            attendees,
            owner_id,
            external_reference,
        } = self;
        let (related_type, related_id) = related::columns(maybe(related_to_id));
        Ok(activity::ActiveModel {
            r#type: Set(r#type),
            subject: Set(subject),
            description: Set(description),
            status: set(status),
            priority: set(priority),
            start_at: Set(start_at),
            due_at: Set(due_at),
            completed_at: Set(completed_at),
            remind_at: Set(remind_at),
            recurrence: Set(recurrence),
            related_type,
            related_id,
            attendees: set(attendees.map(addresses)),
            owner_id: set(owner_id.map(|id| id.0)),
            external_reference: Set(external_reference),
            ..Default::default()
        })
    }
}

fn addresses(attendees: Vec<EmailAddress>) -> serde_json::Value {
    json!(attendees.into_iter().map(|attendee| attendee.0).collect::<Vec<_>>())
}

/// A change of an activity: what is left out stays, null clears.
#[derive(InputObject)]
pub struct ActivityUpdateInput {
    /// What kind of activity it is.
    r#type: Option<ActivityType>,
    /// What it is about, at most 200 characters.
    subject: Option<String>,
    /// More about it.
    description: MaybeUndefined<String>,
    /// How it stands.
    status: Option<ActivityStatus>,
    /// How much it matters.
    priority: Option<Priority>,
    /// When it begins.
    start_at: MaybeUndefined<DateTime<Utc>>,
    /// When it must be done, not before it begins.
    due_at: MaybeUndefined<DateTime<Utc>>,
    /// When it was done, not in the future; COMPLETED only, now when left out.
    completed_at: Option<DateTime<Utc>>,
    /// When the owner wants to be reminded. At that moment `activity.due` is raised, once, unless it is done by then.
    remind_at: MaybeUndefined<DateTime<Utc>>,
    /// How it repeats: an RRULE of RFC 5545, such as `FREQ=WEEKLY;BYDAY=MO`.
    recurrence: MaybeUndefined<String>,
    /// The record it is about: the id of a customer, contact, lead, opportunity or ticket.
    related_to_id: MaybeUndefined<AnyId>,
    /// Who takes part, at most 100; they replace those that are there.
    attendees: Option<Vec<EmailAddress>>,
    /// The user who is to do it.
    owner_id: Option<Id<User>>,
    /// The id in the integrator's own system.
    external_reference: MaybeUndefined<String>,
}

impl Input<activity::Entity> for ActivityUpdateInput {
    fn into_row(self) -> Result<activity::ActiveModel> {
        let Self {
            r#type,
            subject,
            description,
            status,
            priority,
            start_at,
            due_at,
            completed_at,
            remind_at,
            recurrence,
            related_to_id,
            attendees,
            owner_id,
            external_reference,
        } = self;
        let (related_type, related_id) = related::columns(related_to_id);
        Ok(activity::ActiveModel {
            r#type: set(r#type),
            subject: set(subject),
            description: patch(description),
            status: set(status),
            priority: set(priority),
            start_at: patch(start_at),
            due_at: patch(due_at),
            completed_at: patch(maybe(completed_at)),
            remind_at: patch(remind_at),
            recurrence: patch(recurrence),
            related_type,
            related_id,
            attendees: set(attendees.map(addresses)),
            owner_id: set(owner_id.map(|id| id.0)),
            external_reference: patch(external_reference),
            ..Default::default()
        })
    }
}
