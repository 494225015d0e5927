//! Planned reads: a selection of fields, relations and lists, read in one statement.
//!
//! A [`Plan`] says which columns of a record are wanted and which of its relations, each with a plan of its own. The
//! compiler in `sql` turns it into one statement that answers JSON: `[{columns}, [children], [sort values]]` a row.
//! The same compiler reads a relation of many parents at once (the fall-back for what a plan cannot hold). Children
//! stay JSON until somebody asks for them.
//!
//! Every table in the statement carries the rule of [`super::scope`]; a relation that the actor may not read becomes a
//! literal null and is marked as denied.

mod sql;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use entity::record::{Column, RecordMeta, Relation};
use sea_orm::sea_query::{ExprTrait, Query};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value as Json, value::RawValue};
use uuid::Uuid;

use self::sql::Statement;
use super::TenantDb;
use crate::{
    auth::{Action, Actor, Permission},
    condition::{Condition, sql::column},
    data::{
        Deleted,
        scope::{self, permission},
    },
    error::{Error, Result},
};

/// What is wanted of a record.
#[derive(Debug)]
pub struct Plan {
    /// The record.
    pub meta: &'static RecordMeta,
    /// The columns, `id` and `version` among them.
    pub columns: Vec<&'static Column>,
    /// The relations.
    pub children: Vec<Child>,
}

/// A relation that is wanted.
#[derive(Debug)]
pub struct Child {
    /// What it is asked for as: two selections of one relation with other arguments have two keys.
    pub key: String,
    /// The relation.
    pub relation: &'static Relation,
    /// What is wanted of the records that it leads to.
    pub plan: Arc<Plan>,
    /// Which of them; `None` for a relation to one.
    pub list: Option<List>,
    /// The permission that the actor lacks to read them.
    pub denied: Option<Permission>,
}

/// Which rows of a list are wanted.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// What they must meet.
    pub condition: Option<Condition>,
    /// Their order; the id is always the last tie-breaker.
    pub order: Vec<Order>,
    /// How many at most.
    pub limit: u32,
    /// Whether they are counted from the end of the list.
    pub backward: bool,
    /// The sort values and the id of the row after which (from the end: before which) they come.
    pub cursor: Option<Vec<Json>>,
    /// Whether rows are wanted at all.
    pub rows: bool,
    /// Whether the sort values of each row are wanted, to make cursors of.
    pub cursors: bool,
    /// Whether the number of all rows that meet the condition is wanted.
    pub total: bool,
}

/// A column to sort by. Rows without a value come last, in either direction.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// The column.
    pub column: &'static Column,
    /// From the greatest down.
    pub descending: bool,
}

impl Plan {
    /// A plan for nothing but the columns that are always read.
    #[must_use]
    pub fn new(meta: &'static RecordMeta) -> Self {
        let columns = ["id", "version"].iter().filter_map(|name| meta.column(name)).collect();
        Self { meta, columns, children: Vec::new() }
    }

    /// Adds a column, once.
    pub fn want(&mut self, column: &'static Column) {
        if !self.columns.iter().any(|own| own.name == column.name) {
            self.columns.push(column);
        }
    }
}

/// The permission that the actor lacks to read a record.
#[must_use]
pub fn denied(meta: &RecordMeta, actor: &Actor) -> Option<Permission> {
    let read = permission(meta, Action::Read);
    (!actor.may(read)).then_some(read)
}

/// The children of a row that was read by a plan, still as JSON.
#[derive(Debug, Default)]
pub struct Children {
    plan: Option<Arc<Plan>>,
    json: Vec<Option<Box<RawValue>>>,
}

impl Children {
    /// The child that was planned under this key, with its JSON; `None` when it was not planned.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<(&Child, &str)> {
        let plan = self.plan.as_ref()?;
        let index = plan.children.iter().position(|child| child.key == key)?;
        let json = self.json.get(index).and_then(Option::as_deref).map_or("null", RawValue::get);
        Some((&plan.children[index], json))
    }
}

/// What a planned row becomes.
pub trait Planned: DeserializeOwned + Send + 'static {
    /// Takes the children that were read with the row.
    fn adopt(&mut self, children: Children);
}

/// A page of a list.
#[derive(Debug)]
pub struct Page<T> {
    /// The rows, in the order of the list, with their sort values where these were wanted.
    pub rows: Vec<(T, Option<Vec<Json>>)>,
    /// Whether there are rows before these.
    pub has_previous: bool,
    /// Whether there are rows after these.
    pub has_next: bool,
    /// How many rows there are in all, where that was wanted.
    pub total: Option<i64>,
}

#[derive(Deserialize)]
struct Row<T>(T, Vec<Option<Box<RawValue>>>, #[serde(default)] Option<Vec<Json>>);

impl<T: Planned> Row<T> {
    fn into_planned(self, plan: &Arc<Plan>) -> (T, Option<Vec<Json>>) {
        let Self(mut row, json, sort) = self;
        row.adopt(Children { plan: Some(plan.clone()), json });
        (row, sort)
    }
}

/// The record in the JSON of a relation to one.
///
/// # Errors
/// When the JSON is not what the plan asked for.
pub fn decode_one<T: Planned>(json: &str, plan: &Arc<Plan>) -> Result<Option<T>> {
    let row: Option<Row<T>> = serde_json::from_str(json).map_err(Error::internal)?;
    Ok(row.map(|row| row.into_planned(plan).0))
}

/// The page in the JSON of a list.
///
/// # Errors
/// When the JSON is not what the plan asked for.
pub fn decode_page<T: Planned>(json: &str, plan: &Arc<Plan>, list: &List) -> Result<Page<T>> {
    #[derive(Deserialize)]
    #[serde(bound = "T: DeserializeOwned")]
    struct Answer<T>(Option<Vec<Row<T>>>, #[serde(default)] Option<i64>);
    let Answer(rows, total) = serde_json::from_str::<Answer<T>>(json).map_err(Error::internal)?;
    let mut rows = rows.unwrap_or_default();
    let more = rows.len() > list.limit as usize;
    rows.truncate(list.limit as usize);
    if list.backward {
        rows.reverse();
    }
    let continued = list.cursor.is_some();
    let (has_previous, has_next) = if list.backward { (more, continued) } else { (continued, more) };
    let rows = rows.into_iter().map(|row| row.into_planned(plan)).collect();
    Ok(Page { rows, has_previous, has_next, total })
}

impl TenantDb {
    /// The record with this id, if the actor sees it.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the read permission.
    pub async fn plan_one<T: Planned>(&self, id: Uuid, plan: &Arc<Plan>) -> Result<Option<T>> {
        Ok(self.plan_many::<T>(&[id], plan).await?.remove(&id))
    }

    /// The records with these ids that the actor sees.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the read permission.
    pub async fn plan_many<T: Planned>(&self, ids: &[Uuid], plan: &Arc<Plan>) -> Result<HashMap<Uuid, T>> {
        let mut found = HashMap::with_capacity(ids.len());
        for (id, json) in self.plan_json(ids, plan).await? {
            if let Some(record) = decode_one::<T>(&json, plan)? {
                found.insert(id, record);
            }
        }
        Ok(found)
    }

    /// The records with these ids that the actor sees, as the JSON that [`decode_one`] reads.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the read permission.
    pub async fn plan_json(&self, ids: &[Uuid], plan: &Plan) -> Result<HashMap<Uuid, String>> {
        let mut statement = Statement::new(self.dialect(), &self.actor);
        let query = statement.by(plan, "id", ids)?;
        let rows = self.rows(&query).await?;
        rows.iter().map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))).collect()
    }

    /// The records that the actor sees whose `column`, unique among records that are not deleted, holds one of these
    /// texts: by that text, as the JSON that [`decode_one`] reads.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the read permission.
    pub async fn plan_json_by(
        &self,
        column: &'static str,
        texts: &[String],
        plan: &Plan,
    ) -> Result<HashMap<String, String>> {
        let mut statement = Statement::new(self.dialect(), &self.actor);
        let query = statement.by(plan, column, texts)?;
        let rows = self.rows(&query).await?;
        rows.iter().map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))).collect()
    }

    /// Those of these records of the tenant that the actor may see, deleted or not: for events about them. One statement,
    /// and none for an actor who sees them all.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn seen(&self, meta: &'static RecordMeta, ids: &[Uuid]) -> Result<HashSet<Uuid>> {
        let Ok(reach) = scope::reach(meta, &self.actor, meta.name, Deleted::Included) else {
            return Ok(HashSet::new());
        };
        if scope::reaches_all(meta, &self.actor)? {
            return Ok(ids.iter().copied().collect());
        }
        let query = Query::select()
            .expr(column(meta.name, "id"))
            .from(meta.name)
            .cond_where(reach)
            .and_where(column(meta.name, "id").is_in(sql::padded(ids)))
            .to_owned();
        self.rows(&query).await?.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
    }

    /// The records above one, the nearest first: from row to row by the id in `column`, as far as the actor sees them.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the read permission.
    pub async fn plan_chain<T: Planned>(&self, id: Uuid, column: &'static str, plan: &Arc<Plan>) -> Result<Vec<T>> {
        let mut statement = Statement::new(self.dialect(), &self.actor);
        let query = statement.chain(plan, column, id)?;
        let mut chain = Vec::new();
        for row in self.rows(&query).await? {
            chain.extend(decode_one(&row.try_get_by_index::<String>(1)?, plan)?);
        }
        Ok(chain)
    }

    /// A page of all the records that the actor sees.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the read permission; [`Error::BadInput`] for a cursor that does not fit.
    pub async fn plan_page<T: Planned>(&self, list: &List, plan: &Arc<Plan>) -> Result<Page<T>> {
        let mut statement = Statement::new(self.dialect(), &self.actor);
        let answer = statement.root_list(plan, list)?;
        let row = self.rows(&Query::select().expr(answer).to_owned()).await?;
        let row = row.first().ok_or_else(|| Error::internal("a list answered no row"))?;
        decode_page(&row.try_get_by_index::<String>(0)?, plan, list)
    }

    /// One relation of many parents, in one statement: the parent's id and the child's JSON.
    ///
    /// # Errors
    /// As [`TenantDb::plan_page`].
    pub async fn plan_children(
        &self,
        parent: &'static RecordMeta,
        child: &Child,
        parents: &[Uuid],
    ) -> Result<HashMap<Uuid, String>> {
        let mut statement = Statement::new(self.dialect(), &self.actor);
        let query = statement.children_of(parent, child, parents)?;
        let mut found = HashMap::with_capacity(parents.len());
        for row in self.rows(&query).await? {
            let json: Option<String> = row.try_get_by_index(1)?;
            found.insert(row.try_get_by_index(0)?, json.unwrap_or_else(|| "null".to_owned()));
        }
        Ok(found)
    }
}
