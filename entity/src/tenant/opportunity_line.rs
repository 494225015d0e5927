//! A line of an opportunity: what the customer may buy, how much of it and at what price.

use sea_orm::entity::prelude::*;

use super::{opportunity, product};
use crate::record::{Record, Relation as Link, Scope, one};

crate::tenant_table! {
    /// What the customer may buy.
    "opportunity_line" {
        /// The opportunity.
        pub opportunity_id: Uuid,
        /// The product, where the line is about one of the catalogue.
        pub product_id: Option<Uuid>,
        /// What is sold; the product's name unless it says otherwise.
        #[sea_orm(column_type = "String(StringLen::N(500))")]
        pub description: String,
        /// `description` folded.
        pub description_folded: String,
        /// How much of it, with three decimals.
        #[sea_orm(column_type = "Decimal(Some((19, 3)))")]
        pub quantity: i64,
        /// The price of one, in minor units of `currency`.
        #[sea_orm(column_type = "Money(None)")]
        pub unit_price: i64,
        /// What is taken off, in percent with two decimals.
        #[sea_orm(column_type = "Decimal(Some((5, 2)))")]
        pub discount_percent: i64,
        /// Quantity times price less the discount, in minor units of `currency`.
        #[sea_orm(column_type = "Money(None)")]
        pub total: i64,
        /// The currency of the amounts, ISO 4217.
        #[sea_orm(column_type = "String(StringLen::N(3))")]
        pub currency: String,
        /// Where it stands among the lines.
        pub position: i32,
    }
}

impl Record for Entity {
    const NAME: &'static str = "opportunity_line";
    const MODULE: &'static str = "opportunities";
    const SCOPE: Scope = Scope::Child { column: "opportunity_id", parent: opportunity::Entity::meta };
    const ORDER: (&'static str, bool) = ("position", false);

    fn relations() -> Vec<Link> {
        vec![
            one::<opportunity::Entity>("opportunity", "opportunity_id"),
            one::<product::Entity>("product", "product_id"),
        ]
    }

    crate::record_meta!();
}
