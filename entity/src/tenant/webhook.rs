//! A webhook: an address that is told of events.
//!
//! It sends what its creator may see. Its secrets stand in `webhook_secret`, sealed, and are no part of the record.

use sea_orm::entity::prelude::*;

use super::webhook_delivery;
use crate::record::{Record, Relation as Link, Scope, many};

crate::value_set! {
    /// Whether a webhook is told of events.
    WebhookStatus {
        /// It is.
        Enabled,
        /// A user has switched it off.
        Disabled,
        /// The platform has switched it off: the receiver said that it is gone, or failed for days.
        AutoDisabled,
    }
}

crate::value_set! {
    /// When a delivery that came to nothing is tried again.
    RetrySchedule {
        /// At once, after 5 minutes, after another 30 minutes.
        Default,
        /// Eight times over about 28 hours.
        Extended,
    }
}

crate::tenant_table! {
    /// An address that is told of events.
    "webhook" {
        /// What it is for.
        #[sea_orm(column_type = "String(StringLen::N(200))")]
        pub name: String,
        /// `name` folded.
        pub name_folded: String,
        /// Where deliveries go.
        #[sea_orm(column_type = "String(StringLen::N(2000))")]
        pub url: String,
        /// Which events it is told of: a JSON array of names and patterns.
        #[sea_orm(column_type = "Json")]
        pub events: Json,
        /// What their records must meet besides, as the API has it.
        #[sea_orm(column_type = "Json", nullable)]
        pub condition: Option<Json>,
        /// When a delivery that came to nothing is tried again.
        pub retry_schedule: RetrySchedule,
        /// Whether it is told of events.
        pub status: WebhookStatus,
        /// When it got the newest of its secrets.
        pub secret_changed_at: DateTimeUtc,
        /// Why the platform has switched it off.
        #[sea_orm(column_type = "String(StringLen::N(500))", nullable)]
        pub disabled_reason: Option<String>,
        /// When a delivery was last taken. Written with attempts, which is no change of the record.
        pub last_success_at: Option<DateTimeUtc>,
        /// Since when deliveries have come to nothing; missing while the last one was taken. Written with attempts.
        pub failing_since: Option<DateTimeUtc>,
    }
}

impl Record for Entity {
    const NAME: &'static str = "webhook";
    const MODULE: &'static str = "webhooks";
    const SCOPE: Scope = Scope::DoneBy { column: "created_by" };

    fn relations() -> Vec<Link> {
        vec![many::<webhook_delivery::Entity>("deliveries", "webhook_id")]
    }

    crate::record_meta!();
}
