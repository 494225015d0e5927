//! The moves of opportunities in the API. Module `opportunities`. They are written with the move and never changed.

use async_graphql::SimpleObject;
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{opportunity::Opportunity, pipeline_stage::PipelineStage};
use crate::{
    data::plan::Children,
    graphql::{identity::user::User, kit::id::Id},
};

/// A move of a deal from one stage to another: when is `createdAt`, who is `createdBy`. Needs `opportunities.read`.
#[derive(SimpleObject, Deserialize, Default)]
#[graphql(complex)]
#[serde(default)]
pub struct OpportunityStageChange {
    /// Its id.
    pub id: Id<Self>,
    /// What the stage was called that the deal left; null for the stage in which it was created.
    pub from_stage_name: Option<String>,
    /// What the stage was called that the deal came to.
    pub to_stage_name: String,
    /// How long the deal had been in the stage that it left, in seconds; null for the stage in which it was created.
    pub seconds_in_stage: Option<i64>,
    /// Always 1.
    pub version: i32,
    /// When the deal moved.
    pub created_at: DateTime<Utc>,
    #[graphql(skip)]
    #[serde(skip)]
    children: Children,
}

crate::object! {
    OpportunityStageChange for opportunity_stage_change;
    relations {
        /// The deal.
        one opportunity: Opportunity,
        /// The stage that the deal left; null when it was created then, or when the stage is deleted. Needs
        /// `pipelines.read`.
        #[expect(clippy::wrong_self_convention, reason = "it is where the deal comes from")]
        one from_stage: PipelineStage,
        /// The stage that the deal came to; null when it is deleted. Needs `pipelines.read`.
        one to_stage: PipelineStage,
        /// Who moved it.
        one created_by: User,
    }
}

crate::queries! {
    OpportunityStageChange;
    query OpportunityStageChangeQuery {
        /// A move of a deal. Null when there is none that the actor sees. Needs `opportunities.read`.
        one opportunity_stage_change;
        /// The moves of all deals that the actor sees. Needs `opportunities.read`.
        many opportunity_stage_changes;
    }
}
