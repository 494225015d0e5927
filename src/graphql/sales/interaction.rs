//! Interactions in the API. Module `interactions`; events `interaction.created`, `.updated`, `.deleted`, `.restored`.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, SimpleObject};
use chrono::{DateTime, Utc};
use entity::tenant::interaction::{self, InteractionDirection, InteractionType};
use sea_orm::ActiveValue::Set;
use serde::Deserialize;
use uuid::Uuid;

use super::related::{self, RelatedRecord};
use crate::{
    data::plan::Children,
    error::Result,
    graphql::{
        identity::user::User,
        kit::{
            crud::{Input, maybe, patch, set},
            id::{AnyId, Id},
        },
    },
};

/// Something that happened between the tenant and the people it deals with. Needs `interactions.read`.
#[derive(SimpleObject, Deserialize, Default)]
#[graphql(complex)]
#[serde(default)]
pub struct Interaction {
    /// Its id.
    pub id: Id<Self>,
    /// How people came together.
    pub r#type: InteractionType,
    /// Who began it, where somebody did.
    pub direction: Option<InteractionDirection>,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// How long it took, in seconds.
    pub duration_seconds: Option<i32>,
    /// What it was about.
    pub subject: String,
    /// What was said or written.
    pub body: Option<String>,
    /// The id in the system that reported it, unique where present.
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
    Interaction for interaction;
    values { r#type: InteractionType, direction: InteractionDirection }
    needs { related_to: ["related_type", "related_id"], related_to_id: ["related_type", "related_id"] }
    relations {
        /// The user who took part. Needs `users.read`.
        one owner: User,
        /// Who created it.
        one created_by: User,
        /// Who changed it last.
        one updated_by: User,
    }
    methods {
        /// The record it was about. Null when there is none that the actor sees. Needs the read permission of its
        /// module.
        async fn related_to(&self, ctx: &Context<'_>) -> Option<RelatedRecord> {
            related::record(ctx, self.related_type.as_deref(), self.related_id).await
        }

        /// The id of the record it was about, whose prefix says what it is.
        async fn related_to_id(&self) -> Option<ID> {
            related::record_id(self.related_type.as_deref(), self.related_id)
        }
    }
}

crate::crud! {
    Interaction as interaction;
    query InteractionQuery {
        keys { external_reference }
        /// An interaction. Null when there is none that the actor sees. Needs `interactions.read`.
        one interaction;
        /// The interactions that the actor sees. Needs `interactions.read`.
        many interactions;
    }
    mutation InteractionMutation {
        /// Adds an interaction. Needs `interactions.write`, and `interactions.assign` for another owner. Raises
        /// `interaction.created`.
        create interaction_create(InteractionCreateInput);
        /// Corrects an interaction. Needs `interactions.write`. Raises `interaction.updated`.
        update interaction_update(InteractionUpdateInput);
        /// Deletes an interaction. Needs `interactions.delete`. Raises `interaction.deleted`.
        delete interaction_delete;
        /// Brings a deleted interaction back. Needs `interactions.restore`. Raises `interaction.restored`.
        restore interaction_restore;
        /// Adds or corrects up to 250 interactions in one transaction. Needs `interactions.write`.
        upsert interaction_bulk_upsert(InteractionUpsertInput);
    }
    payloads InteractionPayload, InteractionBulkUpsertPayload, InteractionBulkUpsertResult;
}

/// A new interaction.
#[derive(InputObject)]
pub struct InteractionCreateInput {
    /// How people came together.
    r#type: InteractionType,
    /// Who began it, where somebody did.
    direction: Option<InteractionDirection>,
    /// When it happened, not in the future; now when left out.
    occurred_at: Option<DateTime<Utc>>,
    /// How long it took, in seconds.
    duration_seconds: Option<i32>,
    /// What it was about, at most 200 characters.
    subject: String,
    /// What was said or written, at most 20,000 characters.
    body: Option<String>,
    /// The record it was about: the id of a customer, contact, lead, opportunity or ticket.
    related_to_id: Option<AnyId>,
    /// The user who took part; the actor when left out.
    owner_id: Option<Id<User>>,
    /// The id in the system that reports it.
    external_reference: Option<String>,
}

impl Input<interaction::Entity> for InteractionCreateInput {
    fn into_row(self) -> Result<interaction::ActiveModel> {
        let Self {
            r#type,
            direction,
            occurred_at,
            duration_seconds,
            subject,
            body,
            related_to_id,
            owner_id,
            external_reference,
        } = self;
        let (related_type, related_id) = related::columns(maybe(related_to_id));
        Ok(interaction::ActiveModel {
            r#type: Set(r#type),
            direction: Set(direction),
            occurred_at: set(occurred_at),
            duration_seconds: Set(duration_seconds),
            subject: Set(subject),
            body: Set(body),
            related_type,
            related_id,
            owner_id: set(owner_id.map(|id| id.0)),
            external_reference: Set(external_reference),
            ..Default::default()
        })
    }
}

/// A correction of an interaction: what is left out stays, null clears.
#[derive(InputObject)]
pub struct InteractionUpdateInput {
    /// How people came together.
    r#type: Option<InteractionType>,
    /// Who began it, where somebody did.
    direction: MaybeUndefined<InteractionDirection>,
    /// When it happened, not in the future.
    occurred_at: Option<DateTime<Utc>>,
    /// How long it took, in seconds.
    duration_seconds: MaybeUndefined<i32>,
    /// What it was about, at most 200 characters.
    subject: Option<String>,
    /// What was said or written, at most 20,000 characters.
    body: MaybeUndefined<String>,
    /// The record it was about: the id of a customer, contact, lead, opportunity or ticket.
    related_to_id: MaybeUndefined<AnyId>,
    /// The user who took part.
    owner_id: Option<Id<User>>,
    /// The id in the system that reports it.
    external_reference: MaybeUndefined<String>,
}

impl Input<interaction::Entity> for InteractionUpdateInput {
    fn into_row(self) -> Result<interaction::ActiveModel> {
        let Self {
            r#type,
            direction,
            occurred_at,
            duration_seconds,
            subject,
            body,
            related_to_id,
            owner_id,
            external_reference,
        } = self;
        let (related_type, related_id) = related::columns(related_to_id);
        Ok(interaction::ActiveModel {
            r#type: set(r#type),
            direction: patch(direction),
            occurred_at: set(occurred_at),
            duration_seconds: patch(duration_seconds),
            subject: set(subject),
            body: patch(body),
            related_type,
            related_id,
            owner_id: set(owner_id.map(|id| id.0)),
            external_reference: patch(external_reference),
            ..Default::default()
        })
    }
}
