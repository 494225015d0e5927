//! The figures of a Customer-360 in the API.

use std::collections::BTreeSet;

use async_graphql::{Context, Object};
use chrono::{DateTime, Utc};

use crate::{
    error::Result,
    graphql::kit::{error::nullable, scalars::Money},
    services::insight::customer_360::{Metric, Metrics},
};

/// Figures about a customer, each over the records that the actor sees. A figure over records that the actor may not
/// read is null, with FORBIDDEN at its path.
pub struct CustomerMetrics(pub Metrics);

impl CustomerMetrics {
    /// The figures that a field needs.
    #[must_use]
    pub fn needed(field: &str) -> &'static [Metric] {
        match field {
            "lifetimeValue" => &[Metric::WonValue],
            "openPipelineValue" => &[Metric::OpenValue],
            "weightedPipelineValue" => &[Metric::WeightedValue],
            "wonCount" => &[Metric::WonCount],
            "lostCount" => &[Metric::LostCount],
            "openCount" => &[Metric::OpenCount],
            "winRate" => &[Metric::WonCount, Metric::LostCount],
            "openTickets" => &[Metric::OpenTickets],
            "lastInteractionAt" | "daysSinceContact" => &[Metric::LastInteraction],
            _ => &[],
        }
    }

    /// The figures that the selection of this field needs.
    #[must_use]
    pub fn wanted(ctx: &Context<'_>) -> BTreeSet<Metric> {
        ctx.field().selection_set().flat_map(|field| Self::needed(field.name())).copied().collect()
    }

    fn amounts(&self, metric: Metric) -> Result<Vec<Money>> {
        let amounts = self.0.amounts(metric)?;
        Ok(amounts.into_iter().filter_map(|(currency, minor)| Money::of_total(minor, currency)).collect())
    }
}

/// Figures about a customer, each over the records that the actor sees. A figure over records that the actor may not
/// read is null, with FORBIDDEN at its path.
#[Object]
impl CustomerMetrics {
    /// What the deals that were won are worth: an amount for each currency, in the order of their codes. Needs
    /// `opportunities.read`.
    async fn lifetime_value(&self, ctx: &Context<'_>) -> Option<Vec<Money>> {
        nullable(ctx, self.amounts(Metric::WonValue))
    }

    /// What the open deals are worth: an amount for each currency, in the order of their codes. Needs
    /// `opportunities.read`.
    async fn open_pipeline_value(&self, ctx: &Context<'_>) -> Option<Vec<Money>> {
        nullable(ctx, self.amounts(Metric::OpenValue))
    }

    /// What the open deals are worth times their probability: an amount for each currency, in the order of their codes,
    /// rounded once to the currency's decimals. Needs `opportunities.read`.
    async fn weighted_pipeline_value(&self, ctx: &Context<'_>) -> Option<Vec<Money>> {
        nullable(ctx, self.amounts(Metric::WeightedValue))
    }

    /// How many deals were won. Needs `opportunities.read`.
    async fn won_count(&self, ctx: &Context<'_>) -> Option<i64> {
        nullable(ctx, self.0.count(Metric::WonCount))
    }

    /// How many deals were lost. Needs `opportunities.read`.
    async fn lost_count(&self, ctx: &Context<'_>) -> Option<i64> {
        nullable(ctx, self.0.count(Metric::LostCount))
    }

    /// How many deals are open. Needs `opportunities.read`.
    async fn open_count(&self, ctx: &Context<'_>) -> Option<i64> {
        nullable(ctx, self.0.count(Metric::OpenCount))
    }

    /// The share of the deals won among those won or lost, 0 to 1; null when none was decided. Needs
    /// `opportunities.read`.
    async fn win_rate(&self, ctx: &Context<'_>) -> Option<f64> {
        nullable(ctx, self.0.win_rate()).flatten()
    }

    /// How many tickets are neither RESOLVED nor CLOSED. Needs `tickets.read`.
    async fn open_tickets(&self, ctx: &Context<'_>) -> Option<i64> {
        nullable(ctx, self.0.count(Metric::OpenTickets))
    }

    /// When the last interaction took place, with the customer or its contacts, or about its deals or tickets, as far as
    /// the actor sees these; null when there was none. Needs `interactions.read`.
    async fn last_interaction_at(&self, ctx: &Context<'_>) -> Option<DateTime<Utc>> {
        nullable(ctx, self.0.last_interaction_at()).flatten()
    }

    /// How many whole days have passed since `lastInteractionAt`; null when there was none. Needs `interactions.read`.
    async fn days_since_contact(&self, ctx: &Context<'_>) -> Option<i64> {
        nullable(ctx, self.0.days_since_contact()).flatten()
    }
}
