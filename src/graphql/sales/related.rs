//! What activities and interactions are about, in the API: a union of the records that they can be about. Its members
//! are read in batches, one statement for all of one type in a list. A further record takes one line in `related!`.

use async_graphql::{Context, ID, Union};
use uuid::Uuid;

use super::{contact::Contact, customer::Customer, lead::Lead, opportunity::Opportunity};
use crate::{
    data::ids,
    error::Result,
    graphql::{
        kit::{
            crud::patch,
            error::nullable,
            id::{AnyId, Identified},
            relation,
        },
        support::ticket::Ticket,
    },
};

macro_rules! related {
    ($($object:ident),* $(,)?) => {
        /// A record that an activity or an interaction can be about.
        #[derive(Union)]
        pub enum RelatedRecord {
            $(
                #[doc = concat!("A record of type ", stringify!($object), ".")]
                $object(Box<$object>),
            )*
        }

        async fn load(ctx: &Context<'_>, name: &str, id: Uuid) -> Result<Option<RelatedRecord>> {
            match name {
                $(<$object as Identified>::PREFIX => {
                    let record = relation::of_any_type::<$object>(ctx, id).await?;
                    Ok(record.map(|record| RelatedRecord::$object(Box::new(record))))
                })*
                _ => Ok(None),
            }
        }

        #[cfg(test)]
        const OBJECTS: &[&str] = &[$(<$object as Identified>::PREFIX),*];
    };
}

related! {
    Customer,
    Contact,
    Lead,
    Opportunity,
    Ticket,
}

/// The record that a row is about; null when there is none that the actor sees, and null with FORBIDDEN when the actor
/// may not read records of its type.
pub(super) async fn record(ctx: &Context<'_>, name: Option<&str>, id: Option<Uuid>) -> Option<RelatedRecord> {
    let (name, id) = name.zip(id)?;
    nullable(ctx, load(ctx, name, id).await).flatten()
}

/// The id of the record that a row is about.
pub(super) fn record_id(name: Option<&str>, id: Option<Uuid>) -> Option<ID> {
    name.zip(id).map(|(name, id)| ID(ids::encode(name, id)))
}

type Columns = (sea_orm::ActiveValue<Option<String>>, sea_orm::ActiveValue<Option<Uuid>>);

/// The columns that say what a row is about.
pub(super) fn columns(id: async_graphql::MaybeUndefined<AnyId>) -> Columns {
    (patch(id.clone().map_value(|id| id.name)), patch(id.map_value(|id| id.id)))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_api_shows_what_the_rules_allow() {
        let allowed: Vec<&str> = crate::services::sales::related::RECORDS.iter().map(|meta| meta().name).collect();
        assert_eq!(
            super::OBJECTS,
            allowed,
            "services/sales/related.rs and graphql/sales/related.rs list the same records"
        );
    }
}
