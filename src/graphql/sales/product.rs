//! Products in the API. Module `products`; events `product.created`, `.updated`, `.deleted`, `.restored`.

use async_graphql::{InputObject, MaybeUndefined, SimpleObject};
use chrono::{DateTime, Utc};
use entity::tenant::product;
use sea_orm::ActiveValue::Set;
use serde::Deserialize;

use super::opportunity_line::OpportunityLine;
use crate::{
    data::plan::Children,
    error::Result,
    graphql::{
        identity::user::User,
        kit::{
            crud::{Input, maybe, money, patch, patch_units, set},
            id::Id,
            scalars::{Decimal, Money, MoneyInput, units_or_none},
        },
    },
};

/// Something that is sold. Everybody in the tenant with `products.read` sees all of them.
#[derive(SimpleObject, Deserialize, Default)]
#[graphql(complex)]
#[serde(default)]
pub struct Product {
    /// Its id.
    pub id: Id<Self>,
    /// The stock-keeping unit, unique whatever its case.
    pub sku: String,
    /// The name.
    pub name: String,
    /// What it is counted among.
    pub category: Option<String>,
    /// More about it.
    pub description: Option<String>,
    /// The list price of one.
    pub unit_price: Option<Money>,
    /// The tax on it in percent, such as `"19.00"`.
    #[serde(deserialize_with = "units_or_none::<2, _>")]
    pub tax_rate: Option<Decimal>,
    /// Whether it is sold now; an inactive one cannot be added to a deal.
    pub is_active: bool,
    /// The id in the integrator's own system, unique where present.
    pub external_reference: Option<String>,
    /// 1 at creation, one more with each change.
    pub version: i32,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
    #[graphql(skip)]
    #[serde(skip)]
    children: Children,
}

crate::object! {
    Product for product;
    relations {
        /// The lines of deals that are about it. Needs `opportunities.read`.
        many opportunity_lines: OpportunityLine,
        /// Who created it.
        one created_by: User,
        /// Who changed it last.
        one updated_by: User,
    }
}

crate::crud! {
    Product as product;
    query ProductQuery {
        keys { external_reference }
        /// A product. Null when there is none. Needs `products.read`.
        one product;
        /// The products of the tenant. Needs `products.read`.
        many products;
    }
    mutation ProductMutation {
        /// Creates a product. Needs `products.write`. Raises `product.created`.
        create product_create(ProductCreateInput);
        /// Changes a product; the lines of deals keep the price they have. Needs `products.write`. Raises
        /// `product.updated`.
        update product_update(ProductUpdateInput);
        /// Deletes a product; the lines of deals stay and name no product any more. To stop selling it, make it inactive.
        /// Needs `products.delete`. Raises `product.deleted`.
        delete product_delete;
        /// Brings a deleted product back. Needs `products.restore`. Raises `product.restored`.
        restore product_restore;
        /// Creates or changes up to 250 products in one transaction. Needs `products.write`.
        upsert product_bulk_upsert(ProductUpsertInput);
    }
    payloads ProductPayload, ProductBulkUpsertPayload, ProductBulkUpsertResult;
}

/// A new product.
#[derive(InputObject)]
pub struct ProductCreateInput {
    /// The stock-keeping unit, at most 100 characters, unique whatever its case.
    sku: String,
    /// The name, at most 200 characters.
    name: String,
    /// What it is counted among.
    category: Option<String>,
    /// More about it.
    description: Option<String>,
    /// The list price of one.
    unit_price: Option<MoneyInput>,
    /// The tax on it, from 0 to 100 percent with at most two decimals.
    tax_rate: Option<Decimal>,
    /// Whether it is sold now; true when left out.
    is_active: Option<bool>,
    /// The id in the integrator's own system.
    external_reference: Option<String>,
}

impl Input<product::Entity> for ProductCreateInput {
    fn into_row(self) -> Result<product::ActiveModel> {
        let Self { sku, name, category, description, unit_price, tax_rate, is_active, external_reference } = self;
        let (unit_price, currency) = money("unitPrice", maybe(unit_price))?;
        Ok(product::ActiveModel {
            sku: Set(sku),
            name: Set(name),
            category: Set(category),
            description: Set(description),
            unit_price,
            currency,
            tax_rate: patch_units("taxRate", maybe(tax_rate), 2)?,
            is_active: set(is_active),
            external_reference: Set(external_reference),
            ..Default::default()
        })
    }
}

/// A change of a product: what is left out stays, null clears.
#[derive(InputObject)]
pub struct ProductUpdateInput {
    /// The stock-keeping unit, at most 100 characters, unique whatever its case.
    sku: Option<String>,
    /// The name, at most 200 characters.
    name: Option<String>,
    /// What it is counted among.
    category: MaybeUndefined<String>,
    /// More about it.
    description: MaybeUndefined<String>,
    /// The list price of one.
    unit_price: MaybeUndefined<MoneyInput>,
    /// The tax on it, from 0 to 100 percent with at most two decimals.
    tax_rate: MaybeUndefined<Decimal>,
    /// Whether it is sold now.
    is_active: Option<bool>,
    /// The id in the integrator's own system.
    external_reference: MaybeUndefined<String>,
}

impl Input<product::Entity> for ProductUpdateInput {
    fn into_row(self) -> Result<product::ActiveModel> {
        let Self { sku, name, category, description, unit_price, tax_rate, is_active, external_reference } = self;
        let (unit_price, currency) = money("unitPrice", unit_price)?;
        Ok(product::ActiveModel {
            sku: set(sku),
            name: set(name),
            category: patch(category),
            description: patch(description),
            unit_price,
            currency,
            tax_rate: patch_units("taxRate", tax_rate, 2)?,
            is_active: set(is_active),
            external_reference: patch(external_reference),
            ..Default::default()
        })
    }
}
