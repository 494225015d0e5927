//! Figures over the rows that the actor reaches: any number of them in one statement.
//!
//! Sums are exact. A sum of 64-bit amounts may need more than 64 bits, on which PostgreSQL and SQLite disagree, so the
//! halves of the amounts are summed by the database and put together here.

use std::cell::Cell;

use chrono::{DateTime, Utc};
use entity::record::RecordMeta;
use sea_orm::sea_query::{Alias, Condition as SqlCondition, Expr, Func, Query, SelectStatement, SubQueryStatement};

use super::{
    Deleted, TenantDb,
    about::{About, Anchor},
    scope,
};
use crate::{
    condition::{
        Condition,
        sql::{Compiler, Dialect, column},
    },
    error::{Error, Result},
};

/// A figure over the rows of one record that are about an anchor.
pub struct Figure {
    /// The record.
    pub record: &'static RecordMeta,
    /// How its rows are about the anchor; one of these must hold.
    pub about: Vec<About>,
    /// What the rows must meet besides.
    pub condition: Condition,
    /// What is wanted of them.
    pub measure: Measure,
}

/// What is wanted of the rows of a figure.
#[derive(Clone, Copy, Debug)]
pub enum Measure {
    /// How many there are.
    Count,
    /// The latest moment in a column.
    Latest(&'static str),
    /// The sum of an amount in minor units by currency, each amount multiplied by another column where one is given.
    Sum {
        /// The column of the amount.
        amount: &'static str,
        /// The column that it is multiplied by: a number of at most 32 bits.
        times: Option<&'static str>,
    },
}

/// The value of a figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Total {
    /// Of [`Measure::Count`].
    Count(i64),
    /// Of [`Measure::Latest`]; `None` when there are no rows.
    Latest(Option<DateTime<Utc>>),
    /// Of [`Measure::Sum`]: a currency's code and the sum, in the order of the codes.
    Sums(Vec<(String, i128)>),
}

impl TenantDb {
    /// The values of these figures, in their order, in one statement.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when the actor may not read one of the records.
    pub async fn aggregate(&self, anchor: Anchor, figures: &[Figure]) -> Result<Vec<Total>> {
        if figures.is_empty() {
            return Ok(Vec::new());
        }
        let mut query = Query::select();
        for (index, figure) in figures.iter().enumerate() {
            let figure = self.figure(anchor, figure, &format!("t{index}"))?;
            query.expr(Expr::SubQuery(None, Box::new(SubQueryStatement::SelectStatement(figure))));
        }
        let rows = self.rows(&query).await?;
        let row = rows.first().ok_or_else(|| Error::internal("figures answered no row"))?;
        let mut totals = Vec::with_capacity(figures.len());
        for (index, figure) in figures.iter().enumerate() {
            totals.push(match figure.measure {
                Measure::Count => Total::Count(row.try_get_by_index(index)?),
                Measure::Latest(_) => Total::Latest(row.try_get_by_index(index)?),
                Measure::Sum { .. } => Total::Sums(sums(&row.try_get_by_index::<String>(index)?)?),
            });
        }
        Ok(totals)
    }

    /// A figure as a query that answers one value.
    fn figure(&self, anchor: Anchor, figure: &Figure, alias: &str) -> Result<SelectStatement> {
        let meta = figure.record;
        let mut rows = Query::select();
        rows.from_as(meta.name, Alias::new(alias)).cond_where(scope::reach(
            meta,
            self.actor(),
            alias,
            Deleted::Hidden,
        )?);
        let mut about = SqlCondition::any();
        for way in &figure.about {
            if let Some(way) = way.condition(anchor, self.actor(), alias)? {
                about = about.add(way);
            }
        }
        rows.cond_where(if about.is_empty() { SqlCondition::all().add(Expr::cust("1 = 0")) } else { about });
        let aliases = Cell::new(0);
        let reach = |meta: &RecordMeta, alias: &str| scope::reach(meta, self.actor(), alias, Deleted::Hidden);
        let compiler = Compiler { dialect: self.dialect(), reach: &reach, aliases: &aliases };
        rows.cond_where(compiler.compile(&figure.condition, meta, alias)?);
        match figure.measure {
            Measure::Count => Ok(rows.expr(Expr::cust("count(*)")).to_owned()),
            Measure::Latest(of) => Ok(rows.expr(Func::max(column(alias, of))).to_owned()),
            Measure::Sum { amount, times } => {
                let amount = format!("\"{alias}\".\"{amount}\"");
                let times = times.map(|times| format!(" * \"{alias}\".\"{times}\"")).unwrap_or_default();
                let sum = |half: &str| format!("CAST(sum({half}{times}) AS bigint)");
                rows.expr_as(column(alias, "currency"), "currency")
                    .expr_as(Expr::cust(sum(&format!("({amount} / {HALF})"))), "high")
                    .expr_as(Expr::cust(sum(&format!("({amount} % {HALF})"))), "low")
                    .and_where(Expr::cust(format!("{amount} IS NOT NULL")))
                    .add_group_by([column(alias, "currency")]);
                let list = match self.dialect() {
                    Dialect::Sqlite => "json_group_array(json_array(currency, high, low))",
                    Dialect::Postgres => "coalesce(json_agg(json_build_array(currency, high, low)), '[]'::json)::text",
                };
                Ok(Query::select().expr(Expr::cust(list)).from_subquery(rows, format!("{alias}_sums")).to_owned())
            }
        }
    }
}

/// Where amounts are cut in two: both halves have 32 bits and a sign.
const HALF: i64 = 1 << 32;

fn sums(json: &str) -> Result<Vec<(String, i128)>> {
    let halves: Vec<(String, i64, i64)> = serde_json::from_str(json).map_err(Error::internal)?;
    let mut sums: Vec<(String, i128)> = halves
        .into_iter()
        .map(|(currency, high, low)| (currency, i128::from(high) * i128::from(HALF) + i128::from(low)))
        .collect();
    sums.sort();
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{HALF, sums};

    proptest! {
        #[test]
        fn halves_make_the_whole(amounts in prop::collection::vec(any::<i64>(), 0..50)) {
            let high: i64 = amounts.iter().map(|amount| amount / HALF).sum();
            let low: i64 = amounts.iter().map(|amount| amount % HALF).sum();
            let whole: i128 = amounts.iter().map(|amount| i128::from(*amount)).sum();
            let json = serde_json::json!([["EUR", high, low]]).to_string();
            prop_assert_eq!(sums(&json).unwrap(), vec![("EUR".to_owned(), whole)]);
        }
    }
}
