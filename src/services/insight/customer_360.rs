//! The figures of a Customer-360.
//!
//! Each is about the rows that the actor reaches, so that two actors may see different figures of one customer. All
//! that are wanted are read in one statement. The figures of a module that the actor may not read are denied by
//! themselves.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use entity::{
    record::{Record, RecordMeta},
    tenant::{customer, interaction, opportunity, ticket},
};
use uuid::Uuid;

use super::timeline::AROUND_CUSTOMER;
use crate::{
    auth::Permission,
    condition::{Condition, Operator},
    data::{
        TenantDb,
        about::{About, Anchor},
        aggregate::{Figure, Measure, Total},
        plan::denied,
    },
    error::{Error, Result},
};

/// A figure about a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// What the deals that were won are worth, by currency.
    WonValue,
    /// What the open deals are worth, by currency.
    OpenValue,
    /// What the open deals are worth times their probability in percent, by currency.
    WeightedValue,
    /// How many deals were won.
    WonCount,
    /// How many deals were lost.
    LostCount,
    /// How many deals are open.
    OpenCount,
    /// How many tickets are neither resolved nor closed.
    OpenTickets,
    /// When the last interaction took place, with the customer or its contacts, or about its deals or tickets.
    LastInteraction,
}

impl Metric {
    /// How it is read.
    fn figure(self) -> Figure {
        let deals = |status: &str, measure| Figure {
            record: opportunity::Entity::meta(),
            about: vec![About::Column("customer_id")],
            condition: Condition::test("status", Operator::Equals, status),
            measure,
        };
        let value = |times| Measure::Sum { amount: "value", times };
        match self {
            Self::WonValue => deals("WON", value(None)),
            Self::OpenValue => deals("OPEN", value(None)),
            Self::WeightedValue => deals("OPEN", value(Some("probability"))),
            Self::WonCount => deals("WON", Measure::Count),
            Self::LostCount => deals("LOST", Measure::Count),
            Self::OpenCount => deals("OPEN", Measure::Count),
            Self::OpenTickets => Figure {
                record: ticket::Entity::meta(),
                about: vec![About::Column("customer_id")],
                condition: Condition::Test {
                    column: "status",
                    operator: Operator::NotIn,
                    values: vec!["RESOLVED".into(), "CLOSED".into()],
                },
                measure: Measure::Count,
            },
            Self::LastInteraction => Figure {
                record: interaction::Entity::meta(),
                about: AROUND_CUSTOMER.iter().map(|about| about()).collect(),
                condition: Condition::All(Vec::new()),
                measure: Measure::Latest("occurred_at"),
            },
        }
    }
}

/// The figures that were wanted.
#[derive(Debug)]
pub struct Metrics {
    values: BTreeMap<Metric, Result<Total, Permission>>,
    now: DateTime<Utc>,
}

/// Reads the wanted figures of a customer that the actor sees, in one statement.
///
/// # Errors
/// When the database fails.
pub async fn metrics(db: &TenantDb, customer: Uuid, wanted: &BTreeSet<Metric>) -> Result<Metrics> {
    let mut values = BTreeMap::new();
    let mut figures = Vec::new();
    for metric in wanted {
        let figure = metric.figure();
        let meta: &RecordMeta = figure.record;
        match denied(meta, db.actor()) {
            Some(permission) => {
                values.insert(*metric, Err(permission));
            }
            None => figures.push((*metric, figure)),
        }
    }
    let (metrics, figures): (Vec<_>, Vec<_>) = figures.into_iter().unzip();
    let anchor = Anchor { meta: customer::Entity::meta(), id: customer };
    let totals = db.aggregate(anchor, &figures).await?;
    values.extend(metrics.into_iter().zip(totals).map(|(metric, total)| (metric, Ok(total))));
    Ok(Metrics { values, now: db.clock().now() })
}

impl Metrics {
    fn total(&self, metric: Metric) -> Result<&Total> {
        match self.values.get(&metric) {
            Some(Ok(total)) => Ok(total),
            Some(Err(permission)) => Err(Error::Forbidden { permission: permission.to_string() }),
            None => Err(Error::internal(format!("{metric:?} was not asked for"))),
        }
    }

    /// A number of records.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the permission to read them.
    pub fn count(&self, metric: Metric) -> Result<i64> {
        match self.total(metric)? {
            Total::Count(count) => Ok(*count),
            _ => Err(Error::internal(format!("{metric:?} is no number"))),
        }
    }

    /// Amounts in minor units by currency, in the order of the codes.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the permission to read the records.
    pub fn amounts(&self, metric: Metric) -> Result<Vec<(&str, i128)>> {
        let Total::Sums(sums) = self.total(metric)? else {
            return Err(Error::internal(format!("{metric:?} is no amount")));
        };
        let weighted = metric == Metric::WeightedValue;
        Ok(sums
            .iter()
            .map(|(currency, sum)| (currency.as_str(), if weighted { hundredth(*sum) } else { *sum }))
            .collect())
    }

    /// The share of the deals won among those decided, 0 to 1; `None` when none was decided.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the permission to read deals.
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 15 digits")]
    pub fn win_rate(&self) -> Result<Option<f64>> {
        let (won, lost) = (self.count(Metric::WonCount)?, self.count(Metric::LostCount)?);
        Ok((won + lost > 0).then(|| won as f64 / (won + lost) as f64))
    }

    /// When the last interaction took place; `None` when there was none.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the permission to read interactions.
    pub fn last_interaction_at(&self) -> Result<Option<DateTime<Utc>>> {
        match self.total(Metric::LastInteraction)? {
            Total::Latest(at) => Ok(*at),
            _ => Err(Error::internal("the last interaction is no moment")),
        }
    }

    /// How many whole days have passed since the last interaction; `None` when there was none.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the permission to read interactions.
    pub fn days_since_contact(&self) -> Result<Option<i64>> {
        Ok(self.last_interaction_at()?.map(|at| (self.now - at).num_days().max(0)))
    }
}

/// A hundredth, rounded to the nearest whole number, a half away from zero: amounts times percent as amounts.
const fn hundredth(sum: i128) -> i128 {
    (sum + 50 * sum.signum()) / 100
}

#[cfg(test)]
mod tests {
    use super::hundredth;

    #[test]
    fn halves_are_rounded_away_from_zero() {
        for (sum, rounded) in [(0, 0), (49, 0), (50, 1), (149, 1), (150, 2), (-49, 0), (-50, -1), (-150, -2)] {
            assert_eq!(hundredth(sum), rounded, "{sum}");
        }
    }
}
