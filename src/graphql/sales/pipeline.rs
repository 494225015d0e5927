//! Pipelines in the API. Module `pipelines`; events `pipeline.created`, `.updated`, `.deleted`, `.restored`.

use async_graphql::{InputObject, MaybeUndefined, SimpleObject};
use chrono::{DateTime, Utc};
use entity::tenant::{
    pipeline,
    pipeline_stage::{self, StageKind},
};
use sea_orm::ActiveValue::Set;
use serde::Deserialize;

use super::{opportunity::Opportunity, pipeline_stage::PipelineStage};
use crate::{
    data::{Unit, plan::Children},
    error::Result,
    graphql::{
        identity::user::User,
        kit::{
            crud::{Input, patch, set},
            id::Id,
        },
    },
    services::sales::pipeline as rules,
};

/// The way that opportunities take, as a row of stages. Everybody in the tenant with `pipelines.read` sees all of them.
#[derive(SimpleObject, Deserialize, Default)]
#[graphql(complex)]
#[serde(default)]
pub struct Pipeline {
    /// Its id.
    pub id: Id<Self>,
    /// The name.
    pub name: String,
    /// Whether new opportunities go here; exactly one pipeline is the default.
    pub is_default: bool,
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
    Pipeline for pipeline;
    relations {
        /// Its stages, in their order.
        many stages: PipelineStage,
        /// The deals on it. Needs `opportunities.read`.
        many opportunities: Opportunity,
        /// Who created it.
        one created_by: User,
        /// Who changed it last.
        one updated_by: User,
    }
}

crate::crud! {
    Pipeline as pipeline;
    query PipelineQuery {
        keys { external_reference }
        /// A pipeline. Null when there is none. Needs `pipelines.read`.
        one pipeline;
        /// The pipelines of the tenant. Needs `pipelines.read`.
        many pipelines;
    }
    mutation PipelineMutation {
        /// Creates a pipeline with its stages; the first of a tenant becomes the default. Needs `pipelines.write`.
        /// Raises `pipeline.created`, and `pipeline_stage.created` for each stage.
        create pipeline_create(PipelineCreateInput);
        /// Changes a pipeline; one that becomes the default takes the place of the one that was. Needs
        /// `pipelines.write`. Raises `pipeline.updated`.
        update pipeline_update(PipelineUpdateInput);
        /// Deletes a pipeline. The default one, and one with opportunities in it, is refused with INVALID_STATE. Needs
        /// `pipelines.delete`. Raises `pipeline.deleted`.
        delete pipeline_delete;
        /// Brings a deleted pipeline back, with its stages. Needs `pipelines.restore`. Raises `pipeline.restored`.
        restore pipeline_restore;
        /// Creates or changes up to 250 pipelines in one transaction; new ones get the usual stages. Needs
        /// `pipelines.write`.
        upsert pipeline_bulk_upsert(PipelineUpsertInput);
    }
    payloads PipelinePayload, PipelineBulkUpsertPayload, PipelineBulkUpsertResult;
}

/// A new pipeline.
#[derive(InputObject)]
pub struct PipelineCreateInput {
    /// The name, at most 100 characters, unique whatever its case.
    name: String,
    /// Whether it is to be the default; true for the first pipeline in any case.
    is_default: Option<bool>,
    /// Its stages in their order: at least one OPEN one; a WON and a LOST one are added where they are missing, and stand
    /// last. When left out: Prospecting 10 %, Engaging 30 %, Proposal 50 %, Negotiation 75 %, Won and Lost.
    stages: Option<Vec<PipelineStageInput>>,
    /// The id in the integrator's own system.
    external_reference: Option<String>,
}

/// A stage of a new pipeline.
#[derive(InputObject)]
pub struct PipelineStageInput {
    /// The name, at most 100 characters.
    name: String,
    /// What it means for the deals in it; OPEN when left out. A pipeline has one WON and one LOST stage.
    kind: Option<StageKind>,
    /// How likely deals in it are to be won, in percent; needed for OPEN, always 100 for WON and 0 for LOST.
    probability: Option<i32>,
    /// After how many days without a move a deal in it has gone stale.
    rot_after_days: Option<i32>,
}

impl PipelineStageInput {
    fn into_row(self) -> pipeline_stage::ActiveModel {
        let Self { name, kind, probability, rot_after_days } = self;
        pipeline_stage::ActiveModel {
            name: Set(name),
            kind: set(kind),
            probability: set(probability),
            rot_after_days: Set(rot_after_days),
            ..Default::default()
        }
    }
}

impl Input<pipeline::Entity> for PipelineCreateInput {
    fn into_row(self) -> Result<pipeline::ActiveModel> {
        let Self { name, is_default, stages: _, external_reference } = self;
        Ok(pipeline::ActiveModel {
            name: Set(name),
            is_default: set(is_default),
            external_reference: Set(external_reference),
            ..Default::default()
        })
    }

    async fn create(mut self, unit: &mut Unit) -> Result<pipeline::Model> {
        match self.stages.take() {
            Some(stages) => {
                let stages = stages.into_iter().map(PipelineStageInput::into_row).collect();
                rules::create(unit, self.into_row()?, stages).await
            }
            None => unit.insert::<pipeline::Entity>(self.into_row()?).await,
        }
    }
}

/// A change of a pipeline: what is left out stays, null clears.
#[derive(InputObject)]
pub struct PipelineUpdateInput {
    /// The name, at most 100 characters, unique whatever its case.
    name: Option<String>,
    /// True makes it the default; false is refused for the default, because there is always one.
    is_default: Option<bool>,
    /// The id in the integrator's own system.
    external_reference: MaybeUndefined<String>,
}

impl Input<pipeline::Entity> for PipelineUpdateInput {
    fn into_row(self) -> Result<pipeline::ActiveModel> {
        let Self { name, is_default, external_reference } = self;
        Ok(pipeline::ActiveModel {
            name: set(name),
            is_default: set(is_default),
            external_reference: patch(external_reference),
            ..Default::default()
        })
    }
}
