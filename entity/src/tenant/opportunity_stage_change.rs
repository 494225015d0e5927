//! A move of an opportunity from one stage to another: when is `created_at`, who is `created_by`.

use sea_orm::entity::prelude::*;

use super::{opportunity, pipeline_stage};
use crate::record::{Record, Relation as Link, Scope, one};

crate::tenant_table! {
    /// A move of a deal from one stage to another.
    "opportunity_stage_change" {
        /// The opportunity.
        pub opportunity_id: Uuid,
        /// Where it was; nothing for the stage in which it was created.
        pub from_stage_id: Option<Uuid>,
        /// What that stage was called then.
        #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
        pub from_stage_name: Option<String>,
        /// Where it went.
        pub to_stage_id: Uuid,
        /// What that stage was called then.
        #[sea_orm(column_type = "String(StringLen::N(100))")]
        pub to_stage_name: String,
        /// How long it had been where it was, in seconds.
        pub seconds_in_stage: Option<i64>,
    }
}

impl Record for Entity {
    const NAME: &'static str = "opportunity_stage_change";
    const MODULE: &'static str = "opportunities";
    const SCOPE: Scope = Scope::Child { column: "opportunity_id", parent: opportunity::Entity::meta };

    fn relations() -> Vec<Link> {
        vec![
            one::<opportunity::Entity>("opportunity", "opportunity_id"),
            one::<pipeline_stage::Entity>("fromStage", "from_stage_id"),
            one::<pipeline_stage::Entity>("toStage", "to_stage_id"),
        ]
    }

    crate::record_meta!();
}
