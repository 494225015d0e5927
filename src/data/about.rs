//! Rows that are about one record, directly or through what belongs to it: a customer's tickets, and the activities of
//! its contacts. What is counted and what is shown in a timeline is chosen with this.

use entity::record::RecordMeta;
use sea_orm::sea_query::{Alias, Condition, ExprTrait, Query};
use uuid::Uuid;

use super::{Deleted, scope};
use crate::{
    auth::Actor,
    condition::sql::column,
    error::{Error, Result},
};

/// The record that others are about.
#[derive(Clone, Copy, Debug)]
pub struct Anchor {
    /// Its type.
    pub meta: &'static RecordMeta,
    /// Its id.
    pub id: Uuid,
}

/// How a row is about an anchor.
#[derive(Clone, Copy, Debug)]
pub enum About {
    /// A column holds the anchor's id.
    Column(&'static str),
    /// The row is related to the anchor by `related_to`.
    Related,
    /// The row is related by `related_to` to a record whose column holds the anchor's id.
    RelatedThrough(&'static RecordMeta, &'static str),
}

impl About {
    /// The rows of the table known by `alias` that are about the anchor, as far as the actor sees what lies between;
    /// `None` when the actor may not read that at all.
    pub(super) fn condition(self, anchor: Anchor, actor: &Actor, alias: &str) -> Result<Option<Condition>> {
        let related = |name: &str| Condition::all().add(column(alias, "related_type").eq(name));
        Ok(Some(match self {
            Self::Column(own) => Condition::all().add(column(alias, own).eq(anchor.id)),
            Self::Related => related(anchor.meta.name).add(column(alias, "related_id").eq(anchor.id)),
            Self::RelatedThrough(through, own) => {
                let inner = format!("{alias}_through");
                let reach = match scope::reach(through, actor, &inner, Deleted::Hidden) {
                    Ok(reach) => reach,
                    Err(Error::Forbidden { .. }) => return Ok(None),
                    Err(error) => return Err(error),
                };
                let ids = Query::select()
                    .expr(column(&inner, "id"))
                    .from_as(through.name, Alias::new(&inner))
                    .and_where(column(&inner, own).eq(anchor.id))
                    .cond_where(reach)
                    .to_owned();
                related(through.name).add(column(alias, "related_id").in_subquery(ids))
            }
        }))
    }
}
