//! Opportunities in the API. Module `opportunities`; events `opportunity.created`, `.updated`, `.deleted`, `.restored`,
//! `.stage_changed`, `.won`, `.lost`.

use async_graphql::{Context, InputObject, MaybeUndefined, SimpleObject};
use chrono::{DateTime, Utc};
use entity::tenant::opportunity::{self, OpportunityStatus};
use sea_orm::ActiveValue::Set;
use serde::Deserialize;

use super::{
    activity::Activity,
    contact::Contact,
    customer::Customer,
    interaction::Interaction,
    opportunity_line::{OpportunityLine, OpportunityLineInput},
    opportunity_stage_change::OpportunityStageChange,
    pipeline::Pipeline,
    pipeline_stage::PipelineStage,
};
use crate::{
    data::{Unit, plan::Children},
    error::{Error, Result},
    graphql::{
        identity::user::User,
        kit::{
            crud::{self, Input, maybe, money, patch, set},
            id::Id,
            scalars::{Date, Money, MoneyInput},
        },
    },
    services::sales::opportunity as rules,
};

/// A deal that may be won. Needs `opportunities.read`.
#[derive(SimpleObject, Deserialize, Default)]
#[graphql(complex)]
#[serde(default)]
pub struct Opportunity {
    /// Its id.
    pub id: Id<Self>,
    /// What the deal is about.
    pub title: String,
    /// When work on it began.
    pub engaged_at: Option<DateTime<Utc>>,
    /// Since when it has been in its stage.
    pub stage_changed_at: DateTime<Utc>,
    /// What it is worth: the sum of its lines where it has any.
    pub value: Option<Money>,
    /// How likely it is to be won, in percent: the stage's, unless another one was set.
    pub probability: i32,
    /// When it should be decided.
    pub expected_close_date: Option<Date>,
    /// How it stands: what the stage stands for.
    pub status: OpportunityStatus,
    /// When it was won or lost.
    pub closed_at: Option<DateTime<Utc>>,
    /// Why it was lost.
    pub lost_reason: Option<String>,
    /// Where it came from.
    pub source: Option<String>,
    /// What to do next.
    pub next_step: Option<String>,
    /// The id in the integrator's own system, unique where present.
    pub external_reference: Option<String>,
    /// 1 at creation, one more with each change.
    pub version: i32,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
    #[graphql(skip)]
    #[serde(skip)]
    children: Children,
}

crate::object! {
    Opportunity for opportunity;
    values { status: OpportunityStatus }
    relations {
        /// Who may buy. Needs `customers.read`.
        one customer: Customer,
        /// The person to talk to. Needs `contacts.read`.
        one primary_contact: Contact,
        /// The way it takes. Needs `pipelines.read`.
        one pipeline: Pipeline,
        /// How far it has come. Needs `pipelines.read`.
        one stage: PipelineStage,
        /// What the customer may buy, in order.
        many lines: OpportunityLine,
        /// Its moves from stage to stage, the last first.
        many stage_changes: OpportunityStageChange,
        /// The user responsible. Needs `users.read`.
        one owner: User,
        /// What is planned and done about the deal. Needs `activities.read`.
        many activities: Activity,
        /// What happened around the deal, the last first. Needs `interactions.read`.
        many interactions: Interaction,
        /// Who created it.
        one created_by: User,
        /// Who changed it last.
        one updated_by: User,
    }
}

crate::crud! {
    Opportunity as opportunity;
    query OpportunityQuery {
        keys { external_reference }
        /// A deal. Null when there is none that the actor sees. Needs `opportunities.read`.
        one opportunity;
        /// The deals that the actor sees. Needs `opportunities.read`.
        many opportunities;
    }
    mutation OpportunityMutation {
        /// Creates a deal, with its lines if it has any. Without a stage it begins in the first stage of the default
        /// pipeline. Needs `opportunities.write`; `opportunities.assign` for another owner; `opportunities.close` when
        /// the stage is WON or LOST. Raises `opportunity.created`, and `opportunity.won` or `.lost`.
        create opportunity_create(OpportunityCreateInput);
        /// Changes a deal. A move to another stage follows the rules of `opportunityMoveStage`. Needs
        /// `opportunities.write`, and `opportunities.assign` for another owner. Raises `opportunity.updated`.
        update opportunity_update(OpportunityUpdateInput);
        /// Deletes a deal. Needs `opportunities.delete`. Raises `opportunity.deleted`.
        delete opportunity_delete;
        /// Brings a deleted deal back. If its stage is gone meanwhile, it goes to the first of the same kind. Needs
        /// `opportunities.restore`. Raises `opportunity.restored`.
        restore opportunity_restore;
        /// Creates or changes up to 250 deals in one transaction. Needs `opportunities.write`.
        upsert opportunity_bulk_upsert(OpportunityUpsertInput);

        /// Moves a deal to a stage of any pipeline: its status becomes what the stage stands for, its probability the
        /// stage's unless another one is given, and the move is kept. A closed deal is reopened first. Needs
        /// `opportunities.write`, and `opportunities.close` when the stage is WON or LOST. Raises `opportunity.updated`,
        /// `opportunity.stage_changed`, and `opportunity.won` or `.lost`.
        #[expect(clippy::too_many_arguments, reason = "the arguments of the mutation")]
        async fn opportunity_move_stage(
            &self,
            ctx: &Context<'_>,
            #[graphql(desc = "The deal's id.")] id: Id<Opportunity>,
            #[graphql(desc = "Where it goes.")] stage_id: Id<PipelineStage>,
            #[graphql(desc = "How likely it is to be won, in percent; the stage's when left out.")] probability: Option<
                i32,
            >,
            #[graphql(desc = "Why it was lost; needed for a LOST stage and refused for others.")] lost_reason: Option<
                String,
            >,
            #[graphql(desc = "When it was decided, not in the future; now when left out. For WON and LOST stages.")]
            closed_at: Option<DateTime<Utc>>,
            #[graphql(desc = "The version that the client has seen; another one is STALE_VERSION.")]
            expected_version: Option<i32>,
            #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
        ) -> Option<OpportunityPayload> {
            let change = opportunity::ActiveModel {
                probability: set(probability),
                lost_reason: patch(maybe(lost_reason)),
                closed_at: patch(maybe(closed_at)),
                ..Default::default()
            };
            crud::run(ctx, client_mutation_id, async |unit| {
                rules::move_stage(unit, id.0, stage_id.0, change, expected_version).await.map_err(at_arguments)
            })
            .await
        }

        /// Wins a deal: it goes to the WON stage of its pipeline. One that is won already stays as it is. Needs
        /// `opportunities.write` and `opportunities.close`. Raises `opportunity.updated`, `.stage_changed` and `.won`.
        async fn opportunity_win(
            &self,
            ctx: &Context<'_>,
            #[graphql(desc = "The deal's id.")] id: Id<Opportunity>,
            #[graphql(desc = "When it was won, not in the future; now when left out.")] closed_at: Option<DateTime<Utc>>,
            #[graphql(desc = "The version that the client has seen; another one is STALE_VERSION.")]
            expected_version: Option<i32>,
            #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
        ) -> Option<OpportunityPayload> {
            crud::run(ctx, client_mutation_id, async |unit| {
                rules::win(unit, id.0, closed_at, expected_version).await.map_err(at_arguments)
            })
            .await
        }

        /// Loses a deal: it goes to the LOST stage of its pipeline. Needs `opportunities.write` and
        /// `opportunities.close`. Raises `opportunity.updated`, `.stage_changed` and `.lost`.
        async fn opportunity_lose(
            &self,
            ctx: &Context<'_>,
            #[graphql(desc = "The deal's id.")] id: Id<Opportunity>,
            #[graphql(desc = "Why it was lost, at most 500 characters.")] lost_reason: String,
            #[graphql(desc = "When it was lost, not in the future; now when left out.")] closed_at: Option<DateTime<Utc>>,
            #[graphql(desc = "The version that the client has seen; another one is STALE_VERSION.")]
            expected_version: Option<i32>,
            #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
        ) -> Option<OpportunityPayload> {
            crud::run(ctx, client_mutation_id, async |unit| {
                rules::lose(unit, id.0, lost_reason, closed_at, expected_version).await.map_err(at_arguments)
            })
            .await
        }

        /// Opens a closed deal again; its closing date and reason are cleared. Needs `opportunities.write` and
        /// `opportunities.close`. Raises `opportunity.updated` and `.stage_changed`.
        async fn opportunity_reopen(
            &self,
            ctx: &Context<'_>,
            #[graphql(desc = "The deal's id.")] id: Id<Opportunity>,
            #[graphql(desc = "An OPEN stage; the last one that the deal was in when left out.")] stage_id: Option<
                Id<PipelineStage>,
            >,
            #[graphql(desc = "The version that the client has seen; another one is STALE_VERSION.")]
            expected_version: Option<i32>,
            #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
        ) -> Option<OpportunityPayload> {
            let stage = stage_id.map(|id| id.0);
            crud::run(ctx, client_mutation_id, async |unit| {
                rules::reopen(unit, id.0, stage, expected_version).await.map_err(at_arguments)
            })
            .await
        }
    }
    payloads OpportunityPayload, OpportunityBulkUpsertPayload, OpportunityBulkUpsertResult;
}

/// These mutations have their arguments beside each other, not in an `input`.
fn at_arguments(error: Error) -> Error {
    error.at(&[])
}

/// A new deal.
#[derive(InputObject)]
pub struct OpportunityCreateInput {
    /// What the deal is about, at most 200 characters.
    title: String,
    /// Who may buy; the primary contact's customer when left out.
    customer_id: Option<Id<Customer>>,
    /// The person to talk to, at that customer.
    primary_contact_id: Option<Id<Contact>>,
    /// The way it takes; the default one when left out.
    pipeline_id: Option<Id<Pipeline>>,
    /// Where it begins; the first OPEN stage when left out.
    stage_id: Option<Id<PipelineStage>>,
    /// When work on it began.
    engaged_at: Option<DateTime<Utc>>,
    /// What it is worth; not together with lines.
    value: Option<MoneyInput>,
    /// How likely it is to be won, from 0 to 100 percent; the stage's when left out.
    probability: Option<i32>,
    /// When it should be decided.
    expected_close_date: Option<Date>,
    /// When it was decided, not in the future; for WON and LOST stages, now when left out.
    closed_at: Option<DateTime<Utc>>,
    /// Why it was lost; needed for a LOST stage and refused for others.
    lost_reason: Option<String>,
    /// Where it came from.
    source: Option<String>,
    /// What to do next.
    next_step: Option<String>,
    /// What the customer may buy, at most 500 lines; their sum is the deal's value.
    lines: Option<Vec<OpportunityLineInput>>,
    /// The user responsible; the actor when left out.
    owner_id: Option<Id<User>>,
    /// The id in the integrator's own system.
    external_reference: Option<String>,
}

impl Input<opportunity::Entity> for OpportunityCreateInput {
    fn into_row(self) -> Result<opportunity::ActiveModel> {
        let Self {
            title,
            customer_id,
            primary_contact_id,
            pipeline_id,
            stage_id,
            engaged_at,
            value,
            probability,
            expected_close_date,
            closed_at,
            lost_reason,
            source,
            next_step,
            lines: _,
            owner_id,
            external_reference,
        } = self;
        let (value, currency) = money("value", maybe(value))?;
        Ok(opportunity::ActiveModel {
            title: Set(title),
            customer_id: Set(customer_id.map(|id| id.0)),
            primary_contact_id: Set(primary_contact_id.map(|id| id.0)),
            pipeline_id: set(pipeline_id.map(|id| id.0)),
            stage_id: set(stage_id.map(|id| id.0)),
            engaged_at: Set(engaged_at),
            value,
            currency,
            probability: set(probability),
            expected_close_date: Set(expected_close_date.map(|date| date.0)),
            closed_at: Set(closed_at),
            lost_reason: Set(lost_reason),
            source: Set(source),
            next_step: Set(next_step),
            owner_id: set(owner_id.map(|id| id.0)),
            external_reference: Set(external_reference),
            ..Default::default()
        })
    }

    async fn create(mut self, unit: &mut Unit) -> Result<opportunity::Model> {
        let mut lines = Vec::new();
        for (place, line) in self.lines.take().into_iter().flatten().enumerate() {
            lines.push(line.into_row().map_err(|error| error.at(&["input", "lines", &place.to_string()]))?);
        }
        rules::create(unit, self.into_row()?, lines).await
    }
}

/// A change of a deal: what is left out stays, null clears.
#[derive(InputObject)]
pub struct OpportunityUpdateInput {
    /// What the deal is about, at most 200 characters.
    title: Option<String>,
    /// Who may buy.
    customer_id: MaybeUndefined<Id<Customer>>,
    /// The person to talk to, at that customer.
    primary_contact_id: MaybeUndefined<Id<Contact>>,
    /// Another way to take; without a stage the deal goes to the first stage there of the same status.
    pipeline_id: Option<Id<Pipeline>>,
    /// Where the deal goes, as with `opportunityMoveStage`.
    stage_id: Option<Id<PipelineStage>>,
    /// When work on it began.
    engaged_at: MaybeUndefined<DateTime<Utc>>,
    /// What it is worth; refused where the deal has lines, because their sum is.
    value: MaybeUndefined<MoneyInput>,
    /// How likely it is to be won, from 0 to 100 percent.
    probability: Option<i32>,
    /// When it should be decided.
    expected_close_date: MaybeUndefined<Date>,
    /// When it was decided, not in the future; closed deals only.
    closed_at: Option<DateTime<Utc>>,
    /// Why it was lost; lost deals only.
    lost_reason: Option<String>,
    /// Where it came from.
    source: MaybeUndefined<String>,
    /// What to do next.
    next_step: MaybeUndefined<String>,
    /// The user responsible.
    owner_id: Option<Id<User>>,
    /// The id in the integrator's own system.
    external_reference: MaybeUndefined<String>,
}

impl Input<opportunity::Entity> for OpportunityUpdateInput {
    fn into_row(self) -> Result<opportunity::ActiveModel> {
        let Self {
            title,
            customer_id,
            primary_contact_id,
            pipeline_id,
            stage_id,
            engaged_at,
            value,
            probability,
            expected_close_date,
            closed_at,
            lost_reason,
            source,
            next_step,
            owner_id,
            external_reference,
        } = self;
        let (value, currency) = money("value", value)?;
        Ok(opportunity::ActiveModel {
            title: set(title),
            customer_id: patch(customer_id.map_value(|id| id.0)),
            primary_contact_id: patch(primary_contact_id.map_value(|id| id.0)),
            pipeline_id: set(pipeline_id.map(|id| id.0)),
            stage_id: set(stage_id.map(|id| id.0)),
            engaged_at: patch(engaged_at),
            value,
            currency,
            probability: set(probability),
            expected_close_date: patch(expected_close_date.map_value(|date| date.0)),
            closed_at: patch(maybe(closed_at)),
            lost_reason: patch(maybe(lost_reason)),
            source: patch(source),
            next_step: patch(next_step),
            owner_id: set(owner_id.map(|id| id.0)),
            external_reference: patch(external_reference),
            ..Default::default()
        })
    }
}
