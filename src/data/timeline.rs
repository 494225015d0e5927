//! What happened around one record, newest first: rows of several records rolled up in one statement.
//!
//! Each kind of entry is a branch of a UNION ALL that answers at most a page, so that the cost of a page does not grow
//! with the history. The place in the timeline is the moment, then the id, then the kind: no two entries share it, and
//! it does not move when others come, so it serves as a cursor.

use std::cell::Cell;

use chrono::{DateTime, Utc};
use entity::record::RecordMeta;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Order, Query, SelectStatement, UnionType};
use uuid::Uuid;

use super::{
    Deleted, TenantDb,
    about::{About, Anchor},
    scope,
};
use crate::{
    condition::{
        Condition,
        sql::{Compiler, column},
    },
    error::{Error, Result},
};

/// Rows of one record that are entries of one kind.
pub struct Branch {
    /// What the entries are: a number that never changes its meaning, because cursors hold it.
    pub kind: i32,
    /// The record.
    pub record: &'static RecordMeta,
    /// How its rows are about the anchor.
    pub about: About,
    /// What the rows must meet besides.
    pub condition: Condition,
    /// The column that says when it happened; rows without it are no entries.
    pub at: &'static str,
    /// The column that says what it was about.
    pub title: &'static str,
    /// The column that says who did it.
    pub actor: &'static str,
}

/// An entry of a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub place: Place,
    /// The stem of the record's type.
    pub record: &'static str,
    /// What it was about.
    pub title: Option<String>,
    /// Who did it; nil is the platform.
    pub actor: Uuid,
}

/// A place in a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// When.
    pub at: DateTime<Utc>,
    /// The record.
    pub id: Uuid,
    /// What kind of entry it is.
    pub kind: i32,
}

impl TenantDb {
    /// The newest entries that come after a place, and whether there are more. Records that the actor may not read
    /// contribute nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn timeline(
        &self,
        anchor: Anchor,
        branches: &[Branch],
        limit: u32,
        after: Option<Place>,
    ) -> Result<(Vec<Entry>, bool)> {
        let wanted = u64::from(limit) + 1;
        let mut union: Option<SelectStatement> = None;
        for (index, branch) in branches.iter().enumerate() {
            let Some(rows) = self.branch(anchor, branch, wanted, after, &format!("t{index}"))? else { continue };
            let rows =
                Query::select().expr(Expr::cust("*")).from_subquery(rows, Alias::new(format!("b{index}"))).to_owned();
            match &mut union {
                None => union = Some(rows),
                Some(union) => {
                    union.union(UnionType::All, rows);
                }
            }
        }
        let Some(union) = union else { return Ok((Vec::new(), false)) };
        let query = Query::select()
            .columns(["at", "id", "kind", "title", "actor"])
            .from_subquery(union, "entry")
            .order_by("at", Order::Desc)
            .order_by("id", Order::Desc)
            .order_by("kind", Order::Desc)
            .limit(wanted)
            .to_owned();
        let mut entries = Vec::new();
        for row in self.rows(&query).await? {
            let kind = row.try_get_by_index(2)?;
            let branch = branches.iter().find(|branch| branch.kind == kind);
            entries.push(Entry {
                place: Place { at: row.try_get_by_index(0)?, id: row.try_get_by_index(1)?, kind },
                record: branch.ok_or_else(|| Error::internal("an entry of no branch"))?.record.name,
                title: row.try_get_by_index(3)?,
                actor: row.try_get_by_index(4)?,
            });
        }
        let more = entries.len() > limit as usize;
        entries.truncate(limit as usize);
        Ok((entries, more))
    }

    /// The first rows of a branch after a place; `None` when the actor may not read them.
    fn branch(
        &self,
        anchor: Anchor,
        branch: &Branch,
        limit: u64,
        after: Option<Place>,
        alias: &str,
    ) -> Result<Option<SelectStatement>> {
        let meta = branch.record;
        let reach = match scope::reach(meta, self.actor(), alias, Deleted::Hidden) {
            Ok(reach) => reach,
            Err(Error::Forbidden { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(about) = branch.about.condition(anchor, self.actor(), alias)? else { return Ok(None) };
        let aliases = Cell::new(0);
        let related = |meta: &RecordMeta, alias: &str| scope::reach(meta, self.actor(), alias, Deleted::Hidden);
        let compiler = Compiler { dialect: self.dialect(), reach: &related, aliases: &aliases };
        let (at, id) = (column(alias, branch.at), column(alias, "id"));
        let mut rows = Query::select();
        rows.expr_as(at.clone(), "at")
            .expr_as(id.clone(), "id")
            .expr_as(Expr::cust(branch.kind.to_string()), "kind")
            .expr_as(column(alias, branch.title), "title")
            .expr_as(column(alias, branch.actor), "actor")
            .from_as(meta.name, Alias::new(alias))
            .cond_where(reach)
            .cond_where(about)
            .cond_where(compiler.compile(&branch.condition, meta, alias)?)
            .and_where(at.clone().is_not_null());
        if let Some(place) = after {
            // Within a branch the kind is the same for all, so it only decides about the row of the place itself.
            let row = Expr::tuple([at.clone(), id.clone()]);
            let place_of_row = Expr::tuple([Expr::val(place.at), Expr::val(place.id)]);
            rows.and_where(if branch.kind < place.kind { row.lte(place_of_row) } else { row.lt(place_of_row) });
        }
        rows.order_by_expr(at, Order::Desc).order_by_expr(id, Order::Desc).limit(limit);
        Ok(Some(rows))
    }
}
