//! A plan as one statement, for SQLite and PostgreSQL alike.

use std::cell::Cell;

use entity::record::{Column, Kind, Link, RecordMeta};
use sea_orm::{
    Value,
    sea_query::{
        Alias, CommonTableExpression, Condition, Expr, ExprTrait, Func, JoinType, NullOrdering, Order as SqlOrder,
        Query, SelectStatement, UnionType, WithClause,
    },
};
use uuid::Uuid;

use super::{Child, List, Order, Plan};
use crate::{
    auth::Actor,
    condition::sql::{Compiler, Dialect, column},
    data::{Deleted, scope, value},
    error::{Error, Result},
};

/// How many records a chain has at most: no hierarchy is as deep, and a circle ends.
const LONGEST_CHAIN: u32 = 50;

/// One statement in the making.
pub(super) struct Statement<'a> {
    dialect: Dialect,
    actor: &'a Actor,
    aliases: u32,
}

impl<'a> Statement<'a> {
    pub(super) const fn new(dialect: Dialect, actor: &'a Actor) -> Self {
        Self { dialect, actor, aliases: 0 }
    }

    /// `SELECT key, row` of the records whose column `key` holds one of these values.
    pub(super) fn by<K: Clone + Into<Expr>>(
        &mut self,
        plan: &Plan,
        key: &'static str,
        values: &[K],
    ) -> Result<SelectStatement> {
        let alias = self.alias();
        let row = self.row(plan, &alias, None)?;
        Ok(Query::select()
            .expr(column(&alias, key))
            .expr(self.text(row))
            .from_as(plan.meta.name, Alias::new(&alias))
            .cond_where(scope::reach(plan.meta, self.actor, &alias, Deleted::Hidden)?)
            .and_where(column(&alias, key).is_in(padded(values)))
            .to_owned())
    }

    /// The JSON of a list of all records in reach, as an expression.
    pub(super) fn root_list(&mut self, plan: &Plan, list: &List) -> Result<Expr> {
        let alias = self.alias();
        let reach = scope::reach(plan.meta, self.actor, &alias, Deleted::Hidden)?;
        let list = self.list(plan, list, &alias, reach)?;
        Ok(self.text(list))
    }

    /// `SELECT id, child` of the parents with these ids.
    pub(super) fn children_of(
        &mut self,
        parent: &'static RecordMeta,
        child: &Child,
        parents: &[Uuid],
    ) -> Result<SelectStatement> {
        let alias = self.alias();
        let answer = self.child(child, &alias)?;
        Ok(Query::select()
            .expr(column(&alias, "id"))
            .expr(self.text(answer))
            .from_as(parent.name, Alias::new(&alias))
            .and_where(column(&alias, "tenant_id").eq(self.actor.tenant_id))
            .and_where(column(&alias, "id").is_in(padded(parents)))
            .to_owned())
    }

    /// `SELECT id, row` of the records above one, the nearest first: from row to row by the id in `column`. The chain ends
    /// where a record is out of reach, and after [`LONGEST_CHAIN`] records.
    pub(super) fn chain(&mut self, plan: &Plan, column_name: &'static str, id: Uuid) -> Result<SelectStatement> {
        let meta = plan.meta;
        let (own, above, alias) = (self.alias(), self.alias(), self.alias());
        let reach = |alias: &str| scope::reach(meta, self.actor, alias, Deleted::Hidden);
        let first = Query::select()
            .expr_as(column(&own, column_name), "id")
            .expr_as(Expr::cust("1"), "level")
            .from_as(meta.name, Alias::new(&own))
            .and_where(column(&own, "id").eq(id))
            .cond_where(reach(&own)?)
            .to_owned();
        let next = Query::select()
            .expr_as(column(&above, column_name), "id")
            .expr_as(Expr::cust("\"chain\".\"level\" + 1"), "level")
            .from("chain")
            .join_as(
                JoinType::InnerJoin,
                meta.name,
                Alias::new(&above),
                column(&above, "id").equals((Alias::new("chain"), Alias::new("id"))),
            )
            .cond_where(reach(&above)?)
            .and_where(Expr::cust(format!("\"chain\".\"level\" < {LONGEST_CHAIN}")))
            .to_owned();
        let last = reach(&alias)?;
        let chain = CommonTableExpression::new()
            .table_name("chain")
            .columns(["id", "level"])
            .query(first.clone().union(UnionType::All, next).to_owned())
            .to_owned();
        let row = self.row(plan, &alias, None)?;
        Ok(Query::select()
            .with_cte(WithClause::new().recursive(true).cte(chain).to_owned())
            .expr(column(&alias, "id"))
            .expr(self.text(row))
            .from("chain")
            .join_as(
                JoinType::InnerJoin,
                meta.name,
                Alias::new(&alias),
                column(&alias, "id").equals((Alias::new("chain"), Alias::new("id"))),
            )
            .cond_where(last)
            .order_by((Alias::new("chain"), Alias::new("level")), SqlOrder::Asc)
            .to_owned())
    }

    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("t{}", self.aliases)
    }

    /// JSON as text, so that it reaches us as it is.
    fn text(&self, json: Expr) -> Expr {
        match self.dialect {
            Dialect::Sqlite => json,
            Dialect::Postgres => json.cast_as("text"),
        }
    }

    fn array(&self, values: Vec<Expr>) -> Expr {
        let name = match self.dialect {
            Dialect::Sqlite => "json_array",
            Dialect::Postgres => "json_build_array",
        };
        Expr::FunctionCall(Func::cust(name).args(values))
    }

    /// `[{columns}, [children], [sort values]]`; the sort values only where an order is given.
    fn row(&mut self, plan: &Plan, alias: &str, sort: Option<&[Order]>) -> Result<Expr> {
        let mut object = String::from(match self.dialect {
            Dialect::Sqlite => "json_object(",
            Dialect::Postgres => "json_build_object(",
        });
        for (index, of) in plan.columns.iter().enumerate() {
            if index > 0 {
                object.push(',');
            }
            object.push_str(&format!("'{}',{}", of.name, self.json_of(alias, of)));
        }
        object.push(')');
        let mut children = Vec::with_capacity(plan.children.len());
        for child in &plan.children {
            children.push(self.child(child, alias)?);
        }
        let children = self.array(children);
        let mut row = vec![Expr::cust(object), children];
        if let Some(order) = sort {
            let values = keys(plan.meta, order)?.iter().map(|key| Expr::cust(self.sort_value(alias, key))).collect();
            row.push(self.array(values));
        }
        Ok(self.array(row))
    }

    /// A column as a JSON value.
    fn json_of(&self, alias: &str, of: &Column) -> String {
        let name = format!("\"{alias}\".\"{}\"", of.name);
        match (self.dialect, of.kind) {
            (Dialect::Sqlite, Kind::Uuid) if of.nullable => format!("nullif(lower(hex({name})),'')"),
            (Dialect::Sqlite, Kind::Uuid) => format!("lower(hex({name}))"),
            (Dialect::Sqlite, Kind::Bool) => {
                format!("json(CASE {name} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END)")
            }
            (Dialect::Sqlite, Kind::Json) => format!("json({name})"),
            (Dialect::Sqlite, Kind::Money) => format!(
                "json(CASE WHEN {name} IS NOT NULL THEN json_object('minor',{name},'currency',\"{alias}\".\"currency\") END)"
            ),
            (Dialect::Postgres, Kind::Money) => format!(
                "CASE WHEN {name} IS NOT NULL THEN json_build_object('minor',{name},'currency',\"{alias}\".\"currency\") END"
            ),
            _ => name,
        }
    }

    /// What a cursor holds of a column: text as it is compared.
    fn sort_value(&self, alias: &str, key: &Key) -> String {
        let name = format!("\"{alias}\".\"{}\"", key.name);
        match (self.dialect, key.kind) {
            (Dialect::Sqlite, Kind::Uuid) => format!("nullif(lower(hex({name})),'')"),
            (Dialect::Sqlite, Kind::Bool) => format!("json(CASE {name} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END)"),
            _ => name,
        }
    }

    /// A relation of the row known by `parent`.
    fn child(&mut self, child: &Child, parent: &str) -> Result<Expr> {
        if child.denied.is_some() {
            return Ok(Expr::cust("null"));
        }
        let alias = self.alias();
        let meta = child.plan.meta;
        match (child.relation.link, &child.list) {
            (Link::One { column: own }, None) => {
                let row = self.row(&child.plan, &alias, None)?;
                let query = Query::select()
                    .expr(row)
                    .from_as(meta.name, Alias::new(&alias))
                    .cond_where(scope::reach(meta, self.actor, &alias, Deleted::Hidden)?)
                    .and_where(column(&alias, "id").equals((Alias::new(parent), Alias::new(own))))
                    .to_owned();
                Ok(Expr::SubQuery(None, Box::new(query.into())))
            }
            (Link::Many { column: theirs, only }, Some(list)) => {
                let mut reach = scope::reach_through(meta, self.actor, &alias, theirs)?
                    .add(column(&alias, theirs).equals((Alias::new(parent), Alias::new("id"))));
                if let Some((own, value)) = only {
                    reach = reach.add(column(&alias, own).eq(value));
                }
                self.list(&child.plan, list, &alias, reach)
            }
            _ => Err(Error::internal(format!("the relation {} is planned as what it is not", child.relation.name))),
        }
    }

    /// `[rows, total]` of the rows in reach.
    fn list(&mut self, plan: &Plan, list: &List, alias: &str, reach: Condition) -> Result<Expr> {
        let mut base = Query::select();
        base.from_as(plan.meta.name, Alias::new(alias)).cond_where(reach);
        if let Some(condition) = &list.condition {
            let aliases = Cell::new(0);
            let reach = |meta: &RecordMeta, alias: &str| scope::reach(meta, self.actor, alias, Deleted::Hidden);
            let compiler = Compiler { dialect: self.dialect, reach: &reach, aliases: &aliases };
            base.cond_where(compiler.compile(condition, plan.meta, alias)?);
        }
        let mut answer = Vec::with_capacity(2);
        if list.rows {
            let page = self.page(base.clone(), plan, list, alias)?;
            let row = self.row(plan, alias, list.cursors.then_some(&list.order))?;
            let rows = match self.dialect {
                Dialect::Sqlite => Expr::FunctionCall(Func::cust("json_group_array").arg(row)),
                Dialect::Postgres => Expr::cust_with_exprs("coalesce(json_agg($1),'[]'::json)", [row]),
            };
            let query = Query::select().expr(rows).from_subquery(page, Alias::new(alias)).to_owned();
            answer.push(Expr::SubQuery(None, Box::new(query.into())));
        } else {
            answer.push(Expr::cust("null"));
        }
        if list.total {
            base.expr(Expr::cust("count(*)"));
            answer.push(Expr::SubQuery(None, Box::new(base.into())));
        }
        Ok(self.array(answer))
    }

    /// The columns that a page's rows need, after the cursor, in order, one more than wanted.
    fn page(&self, mut query: SelectStatement, plan: &Plan, list: &List, alias: &str) -> Result<SelectStatement> {
        let keys = keys(plan.meta, &list.order)?;
        let mut names: Vec<&str> = vec!["id"];
        for of in &plan.columns {
            names.push(of.name);
            if of.kind == Kind::Money {
                names.push("currency");
            }
        }
        for child in &plan.children {
            if let Link::One { column: own } = child.relation.link {
                names.push(own);
            }
        }
        names.extend(keys.iter().map(|key| key.name));
        names.sort_unstable();
        names.dedup();
        for name in names {
            query.expr(column(alias, name));
        }
        if let Some(cursor) = &list.cursor {
            query.cond_where(after(&keys, cursor, list.backward, alias)?);
        }
        for key in &keys {
            let descending = key.descending != list.backward;
            let order = if descending { SqlOrder::Desc } else { SqlOrder::Asc };
            if key.nullable {
                let nulls = if list.backward { NullOrdering::First } else { NullOrdering::Last };
                query.order_by_expr_with_nulls(column(alias, key.name), order, nulls);
            } else {
                query.order_by_expr(column(alias, key.name), order);
            }
        }
        query.limit(u64::from(list.limit) + 1);
        Ok(query)
    }
}

/// A column that rows are sorted by, as it is compared.
struct Key {
    name: &'static str,
    kind: Kind,
    nullable: bool,
    descending: bool,
}

/// The order with its tie-breaker, which runs in the direction of the last column so that one index can serve both.
fn keys(meta: &'static RecordMeta, order: &[Order]) -> Result<Vec<Key>> {
    let id = meta.column("id").ok_or_else(|| Error::internal("a record without an id"))?;
    let tie_breaker = Order { column: id, descending: order.last().is_some_and(|last| last.descending) };
    Ok(order
        .iter()
        .chain([&tie_breaker])
        .map(|order| Key {
            name: order.column.folded.unwrap_or(order.column.name),
            kind: order.column.kind,
            nullable: order.column.nullable,
            descending: order.descending,
        })
        .collect())
}

/// The rows that come after a cursor: later in the first key in which they differ from it.
fn after(keys: &[Key], cursor: &[serde_json::Value], backward: bool, alias: &str) -> Result<Condition> {
    let refused = || Error::BadInput("this cursor does not belong to a list in this order".to_owned());
    if keys.len() != cursor.len() {
        return Err(refused());
    }
    let values: Vec<Value> = keys
        .iter()
        .zip(cursor)
        .map(|(key, json)| value::from_json(key.kind, json).filter(|v| key.nullable || !value::is_null(v)))
        .collect::<Option<_>>()
        .ok_or_else(refused)?;

    let same_direction = keys.windows(2).all(|pair| pair[0].descending == pair[1].descending);
    if same_direction && keys.iter().all(|key| !key.nullable) {
        // A row comparison is a range of the index on both engines, where a chain of ORs is a filter.
        let left = Expr::tuple(keys.iter().map(|key| column(alias, key.name)));
        let right = Expr::tuple(values.into_iter().map(Expr::val));
        let down = keys.first().is_some_and(|key| key.descending) != backward;
        return Ok(Condition::all().add(if down { left.lt(right) } else { left.gt(right) }));
    }

    let mut any = Condition::any();
    let mut equal = Condition::all();
    for (key, value) in keys.iter().zip(values) {
        let left = column(alias, key.name);
        let is_null = value::is_null(&value);
        let down = key.descending != backward;
        // Rows without a value come last; read from the end they come first.
        let beyond = match (is_null, backward) {
            (true, false) => None,
            (true, true) => Some(Condition::all().add(left.clone().is_not_null())),
            (false, _) => {
                let further = if down { left.clone().lt(value.clone()) } else { left.clone().gt(value.clone()) };
                let further = Condition::any().add(further);
                Some(if key.nullable && !backward { further.add(left.clone().is_null()) } else { further })
            }
        };
        if let Some(beyond) = beyond {
            any = any.add(equal.clone().add(beyond));
        }
        equal = equal.add(if is_null { left.is_null() } else { left.eq(value) });
    }
    Ok(any)
}

/// The values, repeated to a power of two so that few statement texts serve lists of any length.
pub(super) fn padded<T: Clone>(values: &[T]) -> Vec<T> {
    let mut list = values.to_vec();
    if let Some(last) = list.last().cloned() {
        list.resize(list.len().next_power_of_two(), last);
    }
    list
}
