//! What activities and interactions are about: one record of any of several types.
//!
//! The row holds the stem of the record's type and its id; in the API both are one typed id. A record that the actor
//! does not see cannot be named. One that is deleted later stays named, so that it is there again when it is restored.

use entity::{
    record::{Record, RecordMeta},
    tenant::{contact, customer, lead, opportunity, ticket},
};
use sea_orm::ActiveValue;
use uuid::Uuid;

use crate::{
    data::Unit,
    error::{Error, Result, UserErrorCode},
};

/// The records that something can be about. A further one takes a line here, and one in `graphql/sales/related.rs`.
pub const RECORDS: &[fn() -> &'static RecordMeta] = &[
    customer::Entity::meta,
    contact::Entity::meta,
    lead::Entity::meta,
    opportunity::Entity::meta,
    ticket::Entity::meta,
];

/// Checks what a row is to be about, unless it is that already.
pub(super) async fn check(
    unit: &Unit,
    before: Option<(&Option<String>, Option<Uuid>)>,
    kind: &ActiveValue<Option<String>>,
    id: &ActiveValue<Option<Uuid>>,
) -> Result<()> {
    let (ActiveValue::Set(kind), ActiveValue::Set(id)) = (kind, id) else {
        return match (kind, id) {
            (ActiveValue::Set(_), _) | (_, ActiveValue::Set(_)) => {
                Err(Error::internal("the type and the id of what a row is about go together"))
            }
            _ => Ok(()),
        };
    };
    if before == Some((kind, *id)) {
        return Ok(());
    }
    let refuse = |code, message: String| Err(Error::user(code, &["input", "relatedToId"], message));
    match (kind.as_deref(), id) {
        (None, None) => Ok(()),
        (Some(kind), Some(id)) => {
            let Some(meta) = RECORDS.iter().map(|meta| meta()).find(|meta| meta.name == kind) else {
                let names: Vec<&str> = RECORDS.iter().map(|meta| meta().name).collect();
                return refuse(
                    UserErrorCode::Invalid,
                    format!("expected the id of one of these: {}", names.join(", ")),
                );
            };
            if unit.sees(meta, *id).await? {
                Ok(())
            } else {
                refuse(UserErrorCode::NotFound, format!("there is no such {kind}"))
            }
        }
        _ => Err(Error::internal("the type and the id of what a row is about go together")),
    }
}
