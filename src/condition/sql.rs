//! A condition as SQL, for SQLite and PostgreSQL alike.
//!
//! Every test compiles to an expression that is true or false: where a column may be null and the test stands in a
//! negated group, `IS NOT NULL` is added, so that `NOT` never meets SQL's unknown.

use std::cell::Cell;

use entity::record::{Column, Kind, Link, RecordMeta};
use sea_orm::{
    Value,
    sea_query::{Alias, Condition as SqlCondition, Expr, ExprTrait, Func, LikeExpr, Query},
};

use super::{Condition, Operator, Quantifier, fold::fold};
use crate::error::{Error, Result};

/// Which engine the SQL is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// What a condition needs to be compiled.
pub struct Compiler<'a> {
    /// The engine.
    pub dialect: Dialect,
    /// The rows of a record that may be seen at all, by the alias of its table: applied to every related record, so
    /// that nothing can be found out about rows out of reach.
    pub reach: &'a dyn Fn(&RecordMeta, &str) -> Result<SqlCondition>,
    /// How many aliases for related records the statement has so far.
    pub aliases: &'a Cell<u32>,
}

/// A column of the table known by `alias`.
#[must_use]
pub fn column(alias: &str, name: &str) -> Expr {
    Expr::col((Alias::new(alias), Alias::new(name)))
}

impl Compiler<'_> {
    /// `condition` on the record `meta`, whose table is known by `alias`.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when it leads to a record that the actor may not read; [`Error::BadInput`] when it names
    /// what is not there.
    pub fn compile(&self, condition: &Condition, meta: &RecordMeta, alias: &str) -> Result<SqlCondition> {
        self.group(condition, meta, alias, false)
    }

    fn group(&self, condition: &Condition, meta: &RecordMeta, alias: &str, negated: bool) -> Result<SqlCondition> {
        let fold_into = |mut into: SqlCondition, parts: &[Condition], negated| -> Result<SqlCondition> {
            for part in parts {
                into = into.add(self.group(part, meta, alias, negated)?);
            }
            Ok(into)
        };
        Ok(match condition {
            Condition::All(parts) => fold_into(SqlCondition::all(), parts, negated)?,
            Condition::Any(parts) if parts.is_empty() => SqlCondition::all().add(Expr::cust("1 = 0")),
            Condition::Any(parts) => fold_into(SqlCondition::any(), parts, negated)?,
            Condition::None(parts) if parts.is_empty() => SqlCondition::all(),
            Condition::None(parts) => fold_into(SqlCondition::any(), parts, true)?.not(),
            Condition::Test { column, operator, values } => {
                let column = meta
                    .column(column)
                    .ok_or_else(|| Error::BadInput(format!("{} has no field \"{column}\"", meta.name)))?;
                self.test(column, *operator, values, alias, negated)?
            }
            Condition::Before(_) => return Err(no_before()),
            Condition::Related { relation, quantifier, condition } => {
                self.related(meta, relation, *quantifier, condition, alias)?
            }
        })
    }

    fn test(
        &self,
        of: &Column,
        operator: Operator,
        values: &[Value],
        alias: &str,
        negated: bool,
    ) -> Result<SqlCondition> {
        let left = column(alias, of.folded.unwrap_or(of.name));
        let right = || folded(of, values.first().cloned().unwrap_or(Value::String(None)));
        let text = || match right() {
            Value::String(Some(text)) => text,
            _ => String::new(),
        };
        // A text without a shadow is compared letter for letter, on both engines; LIKE is not.
        let exact = of.kind == Kind::Text && of.folded.is_none();
        let holds = || {
            if exact { self.holds(left.clone(), text()) } else { like(left.clone(), format!("%{}%", escaped(&text()))) }
        };
        let or_null = |test: Expr| {
            let any = SqlCondition::any().add(test);
            if of.nullable { any.add(left.clone().is_null()) } else { any }
        };
        let not_null = |test: SqlCondition| {
            if of.nullable && negated { SqlCondition::all().add(test).add(left.clone().is_not_null()) } else { test }
        };
        let empty = || {
            let any = SqlCondition::any().add(left.clone().is_null());
            match of.kind {
                Kind::Text => any.add(left.clone().eq("")),
                Kind::Json => any.add(self.json_length(left.clone()).eq(0)),
                _ => any,
            }
        };
        let all = |test: Expr| not_null(SqlCondition::all().add(test));
        Ok(match operator {
            Operator::Changed | Operator::ChangedTo => return Err(no_before()),
            Operator::Between => {
                let to = folded(of, values.get(1).cloned().unwrap_or(Value::String(None)));
                not_null(SqlCondition::all().add(left.clone().gte(right())).add(left.clone().lte(to)))
            }
            Operator::Equals => all(left.clone().eq(right())),
            Operator::NotEquals => or_null(left.clone().ne(right())),
            Operator::GreaterThan => all(left.clone().gt(right())),
            Operator::GreaterOrEqual => all(left.clone().gte(right())),
            Operator::LessThan => all(left.clone().lt(right())),
            Operator::LessOrEqual => all(left.clone().lte(right())),
            Operator::In => all(left.clone().is_in(padded(of, values))),
            Operator::NotIn if values.is_empty() => SqlCondition::all(),
            Operator::NotIn => or_null(left.clone().is_not_in(padded(of, values))),
            Operator::Contains if of.kind == Kind::Json => all(self.json_holds(left.clone(), right())),
            Operator::NotContains if of.kind == Kind::Json => or_null(self.json_holds(left.clone(), right()).not()),
            Operator::Contains => all(holds()),
            Operator::NotContains => or_null(holds().not()),
            Operator::StartsWith => {
                let prefix = text();
                let mut range = SqlCondition::all();
                if let Some(end) = after_prefix(&prefix) {
                    range = range.add(left.clone().lt(end));
                }
                not_null(range.add(left.clone().gte(prefix)))
            }
            Operator::EndsWith if exact => all(self.ends_with(left.clone(), text())),
            Operator::EndsWith => all(like(left.clone(), format!("%{}", escaped(&text())))),
            Operator::IsEmpty => empty(),
            Operator::IsNotEmpty => empty().not(),
        })
    }

    /// Whether a text holds another, letter for letter.
    fn holds(&self, whole: Expr, part: String) -> Expr {
        let name = match self.dialect {
            Dialect::Sqlite => "instr",
            Dialect::Postgres => "strpos",
        };
        Expr::FunctionCall(Func::cust(name).arg(whole).arg(part)).gt(0)
    }

    /// Whether a text ends with another, letter for letter.
    fn ends_with(&self, whole: Expr, end: String) -> Expr {
        if end.is_empty() {
            return whole.is_not_null();
        }
        let length = i32::try_from(end.chars().count()).unwrap_or(i32::MAX);
        let tail = match self.dialect {
            Dialect::Sqlite => Func::cust("substr").arg(whole).arg(-length),
            Dialect::Postgres => Func::cust("right").arg(whole).arg(length),
        };
        Expr::FunctionCall(tail).eq(end)
    }

    /// Whether a JSON array of texts holds a text.
    fn json_holds(&self, array: Expr, text: Value) -> Expr {
        let parts = [array, Expr::val(text)];
        match self.dialect {
            Dialect::Sqlite => Expr::cust_with_exprs("EXISTS (SELECT 1 FROM json_each(?) WHERE value = ?)", parts),
            Dialect::Postgres => Expr::cust_with_exprs("jsonb_exists(($1)::jsonb, $2)", parts),
        }
    }

    fn json_length(&self, array: Expr) -> Expr {
        let name = match self.dialect {
            Dialect::Sqlite => "json_array_length",
            Dialect::Postgres => "jsonb_array_length",
        };
        Expr::FunctionCall(Func::cust(name).arg(array))
    }

    fn related(
        &self,
        meta: &RecordMeta,
        name: &str,
        quantifier: Quantifier,
        condition: &Condition,
        alias: &str,
    ) -> Result<SqlCondition> {
        let relation =
            meta.relation(name).ok_or_else(|| Error::BadInput(format!("{} has no relation \"{name}\"", meta.name)))?;
        let target = (relation.target)();
        self.aliases.set(self.aliases.get() + 1);
        let inner = format!("{alias}r{}", self.aliases.get());
        let link = match relation.link {
            Link::One { column: own } => column(&inner, "id").equals((Alias::new(alias), Alias::new(own))),
            Link::Many { column: theirs, .. } => column(&inner, theirs).equals((Alias::new(alias), Alias::new("id"))),
        };
        let mut rows = Query::select();
        rows.expr(Expr::cust("1"))
            .from_as(target.name, Alias::new(&inner))
            .and_where(link)
            .cond_where((self.reach)(target, &inner)?);
        if let Link::Many { only: Some((own, value)), .. } = relation.link {
            rows.and_where(column(&inner, own).eq(value));
        }
        let every = quantifier == Quantifier::Every;
        let wanted = self.group(condition, target, &inner, every)?;
        rows.cond_where(if every { wanted.not() } else { wanted });
        let exists = Expr::exists(rows);
        Ok(SqlCondition::all().add(if quantifier == Quantifier::Some { exists } else { exists.not() }))
    }
}

/// A row is what it is now.
fn no_before() -> Error {
    Error::BadInput("what a record was before can be asked of events only, not of lists".to_owned())
}

/// The value as the column's folded shadow holds it.
fn folded(of: &Column, value: Value) -> Value {
    match (of.folded, value) {
        (Some(_), Value::String(Some(text))) => fold(&text).into(),
        (_, value) => value,
    }
}

/// The values of a list, repeated to a power of two so that few statement texts serve lists of any length.
fn padded(of: &Column, values: &[Value]) -> Vec<Value> {
    let mut list: Vec<Value> = values.iter().cloned().map(|value| folded(of, value)).collect();
    if let Some(last) = list.last().cloned() {
        list.resize(list.len().next_power_of_two(), last);
    }
    list
}

fn like(text: Expr, pattern: String) -> Expr {
    text.like(LikeExpr::new(pattern).escape('\\'))
}

/// `text` with the wildcards of LIKE made literal.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// The first text, in byte order, that comes after all that begin with `prefix`; `None` when there is none. A range
/// serves an index on both engines, which LIKE with a bound pattern does not.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut end: Vec<char> = prefix.chars().collect();
    while let Some(last) = end.pop() {
        let next = if last == '\u{D7FF}' { Some('\u{E000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next {
            end.push(next);
            return Some(end.into_iter().collect());
        }
    }
    None
}
