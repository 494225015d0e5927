//! The stages of pipelines in the API. Module `pipelines`; events `pipeline_stage.created`, `.updated`, `.deleted`,
//! `.restored`.

use async_graphql::{Context, InputObject, MaybeUndefined, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::tenant::pipeline_stage::{self, StageKind};
use sea_orm::ActiveValue::Set;
use serde::Deserialize;

use super::{opportunity::Opportunity, opportunity_stage_change::OpportunityStageChange, pipeline::Pipeline};
use crate::{
    data::plan::Children,
    error::Result,
    graphql::{
        identity::user::User,
        kit::{
            crud::{self, Input, patch, set},
            id::Id,
            payload::{BulkErrorPolicy, DeletePayload},
        },
    },
    services::sales::pipeline_stage as rules,
};

/// A step on the way of an opportunity. Needs `pipelines.read`.
#[derive(SimpleObject, Deserialize, Default)]
#[graphql(complex)]
#[serde(default)]
pub struct PipelineStage {
    /// Its id.
    pub id: Id<Self>,
    /// The name.
    pub name: String,
    /// Where it stands in the pipeline, from 1; WON and LOST stand last.
    pub position: i32,
    /// How likely deals in it are to be won, in percent.
    pub probability: i32,
    /// What it means for the deals in it.
    pub kind: StageKind,
    /// After how many days without a move a deal in it has gone stale.
    pub rot_after_days: Option<i32>,
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
    PipelineStage for pipeline_stage;
    values { kind: StageKind }
    relations {
        /// The pipeline.
        one pipeline: Pipeline,
        /// The deals in it. Needs `opportunities.read`.
        many opportunities: Opportunity,
        /// The moves of deals into it, the last first. Needs `opportunities.read`.
        many arrivals: OpportunityStageChange,
        /// The moves of deals out of it, the last first. Needs `opportunities.read`.
        many departures: OpportunityStageChange,
        /// Who created it.
        one created_by: User,
        /// Who changed it last.
        one updated_by: User,
    }
}

crate::queries! {
    PipelineStage;
    query PipelineStageQuery {
        /// A stage of a pipeline. Null when there is none. Needs `pipelines.read`.
        one pipeline_stage;
        /// The stages of all pipelines. Needs `pipelines.read`.
        many pipeline_stages;
    }
}

crate::payload! { PipelineStage as pipeline_stage; PipelineStagePayload }

crate::bulk! {
    PipelineStage as pipeline_stage;
    PipelineStageBulkUpsertPayload, PipelineStageBulkUpsertResult, PipelineStageUpsertInput(PipelineStageUpdateInput) by id
}

/// The mutations of this record.
#[derive(Default)]
pub struct PipelineStageMutation;

#[Object]
impl PipelineStageMutation {
    /// Adds an OPEN stage to a pipeline; those behind it move on. Needs `pipelines.write`. Raises
    /// `pipeline_stage.created`.
    async fn pipeline_stage_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What it shall be.")] input: PipelineStageCreateInput,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<PipelineStagePayload> {
        crud::create(ctx, input, client_mutation_id).await
    }

    /// Changes a stage. A new probability holds for deals that come in from then on. Needs `pipelines.write`. Raises
    /// `pipeline_stage.updated`.
    async fn pipeline_stage_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Id<PipelineStage>,
        #[graphql(desc = "What to change: what is left out stays, null clears.")] input: PipelineStageUpdateInput,
        #[graphql(desc = "The version that the client has seen; another one is STALE_VERSION.")]
        expected_version: Option<i32>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<PipelineStagePayload> {
        crud::update(ctx, id, input, expected_version, client_mutation_id).await
    }

    /// Deletes an OPEN stage that is not the last one. Deals in it move to the replacement, and their history says so;
    /// without a replacement a stage with deals is refused with INVALID_STATE. Needs `pipelines.delete`. Raises
    /// `pipeline_stage.deleted`, and `opportunity.stage_changed` for each deal.
    async fn pipeline_stage_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Id<PipelineStage>,
        #[graphql(desc = "Another OPEN stage of the same pipeline, which takes the deals.")] replacement_id: Option<
            Id<PipelineStage>,
        >,
        #[graphql(desc = "The version that the client has seen; another one is STALE_VERSION.")]
        expected_version: Option<i32>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<DeletePayload> {
        let replacement = replacement_id.map(|id| id.0);
        crud::run_delete(ctx, id, client_mutation_id, async |unit| {
            rules::delete(unit, id.0, replacement, expected_version).await
        })
        .await
    }

    /// Brings a deleted stage back; the deals that left it stay where they are. Needs `pipelines.restore`. Raises
    /// `pipeline_stage.restored`.
    async fn pipeline_stage_restore(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Id<PipelineStage>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<PipelineStagePayload> {
        crud::restore(ctx, id, client_mutation_id).await
    }

    /// Adds or changes up to 250 stages in one transaction; stages have no external reference. Needs `pipelines.write`.
    async fn pipeline_stage_bulk_upsert(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 250.")] inputs: Vec<PipelineStageUpsertInput>,
        #[graphql(desc = "What becomes of the others when one is refused.")] error_policy: BulkErrorPolicy,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<PipelineStageBulkUpsertPayload> {
        crud::bulk_upsert(ctx, inputs.into_iter().map(Into::into).collect(), error_policy, client_mutation_id).await
    }
}

/// A new OPEN stage of a pipeline.
#[derive(InputObject)]
pub struct PipelineStageCreateInput {
    /// The pipeline.
    pipeline_id: Id<Pipeline>,
    /// The name, at most 100 characters.
    name: String,
    /// Where it is to stand, from 1; behind the other OPEN stages when left out.
    position: Option<i32>,
    /// How likely deals in it are to be won, from 0 to 100 percent.
    probability: i32,
    /// After how many days without a move a deal in it has gone stale.
    rot_after_days: Option<i32>,
}

impl Input<pipeline_stage::Entity> for PipelineStageCreateInput {
    fn into_row(self) -> Result<pipeline_stage::ActiveModel> {
        let Self { pipeline_id, name, position, probability, rot_after_days } = self;
        Ok(pipeline_stage::ActiveModel {
            pipeline_id: Set(pipeline_id.0),
            name: Set(name),
            position: set(position),
            probability: Set(probability),
            rot_after_days: Set(rot_after_days),
            ..Default::default()
        })
    }
}

/// A change of a stage: what is left out stays, null clears.
#[derive(InputObject)]
pub struct PipelineStageUpdateInput {
    /// The pipeline, of a new stage in a bulk upsert; a stage stays in its pipeline.
    pipeline_id: Option<Id<Pipeline>>,
    /// The name, at most 100 characters.
    name: Option<String>,
    /// Where it is to stand, from 1; OPEN stages only.
    position: Option<i32>,
    /// How likely deals in it are to be won, from 0 to 100 percent; OPEN stages only.
    probability: Option<i32>,
    /// After how many days without a move a deal in it has gone stale.
    rot_after_days: MaybeUndefined<i32>,
}

impl Input<pipeline_stage::Entity> for PipelineStageUpdateInput {
    fn into_row(self) -> Result<pipeline_stage::ActiveModel> {
        let Self { pipeline_id, name, position, probability, rot_after_days } = self;
        Ok(pipeline_stage::ActiveModel {
            pipeline_id: set(pipeline_id.map(|id| id.0)),
            name: set(name),
            position: set(position),
            probability: set(probability),
            rot_after_days: patch(rot_after_days),
            ..Default::default()
        })
    }
}
