//! A pipeline: the way that deals take, as a row of stages.

use sea_orm::entity::prelude::*;

use super::{opportunity, pipeline_stage};
use crate::record::{Record, Relation as Link, Scope, many};

crate::tenant_table! {
    /// The way that deals take.
    "pipeline" {
        /// The name.
        #[sea_orm(column_type = "String(StringLen::N(100))")]
        pub name: String,
        /// `name` folded.
        pub name_folded: String,
        /// Whether new opportunities go here; exactly one pipeline is the default.
        pub is_default: bool,
        /// The id in the integrator's own system, unique where present.
        #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
        pub external_reference: Option<String>,
    }
}

impl Record for Entity {
    const NAME: &'static str = "pipeline";
    const MODULE: &'static str = "pipelines";
    const SCOPE: Scope = Scope::Reference;

    fn relations() -> Vec<Link> {
        vec![
            many::<pipeline_stage::Entity>("stages", "pipeline_id"),
            many::<opportunity::Entity>("opportunities", "pipeline_id"),
        ]
    }

    crate::record_meta!();
}
