//! A product: something that is sold.

use sea_orm::entity::prelude::*;

use super::opportunity_line;
use crate::record::{Record, Relation as Link, Scope, many};

crate::tenant_table! {
    /// Something that is sold.
    "product" {
        /// The stock-keeping unit: what the tenant calls it in lists, unique whatever its case.
        #[sea_orm(column_type = "String(StringLen::N(100))")]
        pub sku: String,
        /// `sku` folded.
        pub sku_folded: String,
        /// The name.
        #[sea_orm(column_type = "String(StringLen::N(200))")]
        pub name: String,
        /// `name` folded.
        pub name_folded: String,
        /// What it is counted among.
        #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
        pub category: Option<String>,
        /// `category` folded.
        pub category_folded: Option<String>,
        /// More about it.
        #[sea_orm(column_type = "String(StringLen::N(10000))", nullable)]
        pub description: Option<String>,
        /// The list price of one, in minor units of `currency`.
        #[sea_orm(column_type = "Money(None)", nullable)]
        pub unit_price: Option<i64>,
        /// The currency of the amounts, ISO 4217.
        #[sea_orm(column_type = "String(StringLen::N(3))", nullable)]
        pub currency: Option<String>,
        /// The tax on it in percent with two decimals, so in basis points.
        #[sea_orm(column_type = "Decimal(Some((5, 2)))", nullable)]
        pub tax_rate: Option<i64>,
        /// Whether it is sold now.
        pub is_active: bool,
        /// The id in the integrator's own system, unique where present.
        #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
        pub external_reference: Option<String>,
    }
}

impl Record for Entity {
    const NAME: &'static str = "product";
    const MODULE: &'static str = "products";
    const SCOPE: Scope = Scope::Reference;

    fn relations() -> Vec<Link> {
        vec![many::<opportunity_line::Entity>("opportunityLines", "product_id")]
    }

    crate::record_meta!();
}
