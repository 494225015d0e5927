//! A stage of a pipeline: how far a deal has come.

use sea_orm::entity::prelude::*;

use super::{opportunity, opportunity_stage_change, pipeline};
use crate::record::{Record, Relation as Link, Scope, many, one};

crate::value_set! {
    /// What a stage means for the deals in it.
    StageKind {
        /// They are being worked on.
        Open,
        /// They are won.
        Won,
        /// They are lost.
        Lost,
    }
}

crate::tenant_table! {
    /// A step on the way of a deal.
    "pipeline_stage" {
        /// The pipeline.
        pub pipeline_id: Uuid,
        /// The name.
        #[sea_orm(column_type = "String(StringLen::N(100))")]
        pub name: String,
        /// `name` folded.
        pub name_folded: String,
        /// Where it stands in the pipeline, from 1.
        pub position: i32,
        /// How likely deals in it are to be won, in percent.
        pub probability: i32,
        /// OPEN, WON or LOST.
        pub kind: StageKind,
        /// After how many days without a move a deal in it has gone stale.
        pub rot_after_days: Option<i32>,
    }
}

impl Record for Entity {
    const NAME: &'static str = "pipeline_stage";
    const MODULE: &'static str = "pipelines";
    const SCOPE: Scope = Scope::Child { column: "pipeline_id", parent: pipeline::Entity::meta };
    const ORDER: (&'static str, bool) = ("position", false);

    fn relations() -> Vec<Link> {
        vec![
            one::<pipeline::Entity>("pipeline", "pipeline_id"),
            many::<opportunity::Entity>("opportunities", "stage_id"),
            many::<opportunity_stage_change::Entity>("arrivals", "to_stage_id"),
            many::<opportunity_stage_change::Entity>("departures", "from_stage_id"),
        ]
    }

    crate::record_meta!();
}
