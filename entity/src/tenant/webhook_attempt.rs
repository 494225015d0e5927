//! One attempt to send a delivery: what was answered, and how long it took. It is written when the attempt has ended; one
//! that a crash has cut off is counted in its delivery and has no row.

use sea_orm::entity::prelude::*;

use super::webhook_delivery;
use crate::record::{Record, Relation as Link, Scope, one};

crate::value_set! {
    /// Why an attempt came to nothing.
    WebhookFailure {
        /// The answer was none of success (2xx).
        BadStatus,
        /// The answer was a redirect, which is not followed.
        Redirected,
        /// The answer was 410: the webhook was switched off.
        Gone,
        /// The address is none that requests may go to.
        AddressForbidden,
        /// The name has no address.
        NameNotResolved,
        /// Nobody took the connection.
        NoConnection,
        /// TLS failed.
        NoTls,
        /// The answer was not complete within the deadline.
        TimedOut,
        /// The connection broke, or what came was no HTTP.
        Broken,
        /// The delivery could not be signed or addressed.
        NotSent,
    }
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_attempt")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant; every statement filters by it.
    pub tenant_id: Uuid,
    /// The delivery.
    pub delivery_id: Uuid,
    /// When it began.
    pub created_at: DateTimeUtc,
    /// Which attempt it was, counted since the delivery was last to be sent.
    pub number: i32,
    /// How long it took, in milliseconds.
    pub duration_ms: i32,
    /// The status of the answer, if one came.
    pub status_code: Option<i32>,
    /// Why it came to nothing; missing when the delivery was taken.
    pub failure: Option<WebhookFailure>,
    /// The same in words.
    #[sea_orm(column_type = "String(StringLen::N(500))", nullable)]
    pub error: Option<String>,
    /// The headers of the answer: a JSON object of texts.
    #[sea_orm(column_type = "Json")]
    pub response_headers: Json,
    /// The beginning of the answer's body.
    #[sea_orm(column_type = "Text", nullable)]
    pub response_body: Option<String>,
    /// Whether there was more of it.
    pub response_truncated: bool,
}

/// SeaORM's own relations are not used: a record declares its relations in `Record::relations`.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Record for Entity {
    const NAME: &'static str = "webhook_attempt";
    const MODULE: &'static str = "webhooks";
    const SCOPE: Scope = Scope::Child { column: "delivery_id", parent: webhook_delivery::Entity::meta };

    fn relations() -> Vec<Link> {
        vec![one::<webhook_delivery::Entity>("delivery", "delivery_id")]
    }

    crate::record_meta!();
}
