//! The lines of opportunities in the API. Module `opportunities`; events `opportunity_line.created`, `.updated`,
//! `.deleted`, `.restored`. A deal can be created with its lines; later they are added, changed and removed one by one, so that two
//! people who work on one deal do not undo each other's lines.

use async_graphql::{Context, InputObject, MaybeUndefined, Object, SimpleObject};
use chrono::{DateTime, Utc};
use entity::tenant::opportunity_line;
use sea_orm::ActiveValue::{self, Set};
use serde::Deserialize;

use super::{opportunity::Opportunity, product::Product};
use crate::{
    data::plan::Children,
    error::{Error, Result, UserErrorCode},
    graphql::{
        identity::user::User,
        kit::{
            crud::{self, Input, patch, set, units},
            id::Id,
            payload::{BulkErrorPolicy, DeletePayload},
            scalars::{Decimal, Money, MoneyInput, units as from_units},
        },
    },
    services::sales::opportunity_line as rules,
};

/// What the customer may buy, how much of it and at what price. Needs `opportunities.read`.
#[derive(SimpleObject, Deserialize, Default)]
#[graphql(complex)]
#[serde(default)]
pub struct OpportunityLine {
    /// Its id.
    pub id: Id<Self>,
    /// What is sold.
    pub description: String,
    /// How much of it, with three decimals.
    #[serde(deserialize_with = "from_units::<3, _>")]
    pub quantity: Decimal,
    /// The price of one.
    pub unit_price: Money,
    /// What is taken off, in percent with two decimals.
    #[serde(deserialize_with = "from_units::<2, _>")]
    pub discount_percent: Decimal,
    /// Quantity times price less the discount, rounded half up; computed by the server.
    pub total: Money,
    /// Where it stands among the lines.
    pub position: i32,
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
    OpportunityLine for opportunity_line;
    relations {
        /// The deal.
        one opportunity: Opportunity,
        /// The product; null when the line is about none of the catalogue. Needs `products.read`.
        one product: Product,
        /// Who created it.
        one created_by: User,
        /// Who changed it last.
        one updated_by: User,
    }
}

crate::queries! {
    OpportunityLine;
    query OpportunityLineQuery {
        /// A line of a deal. Null when there is none that the actor sees. Needs `opportunities.read`.
        one opportunity_line;
        /// The lines of all deals that the actor sees. Needs `opportunities.read`.
        many opportunity_lines;
    }
}

crate::payload! { OpportunityLine as opportunity_line; OpportunityLinePayload }

crate::bulk! {
    OpportunityLine as opportunity_line;
    OpportunityLineBulkUpsertPayload, OpportunityLineBulkUpsertResult,
    OpportunityLineUpsertInput(OpportunityLineUpdateInput) by id
}

/// The mutations of this record.
#[derive(Default)]
pub struct OpportunityLineMutation;

#[Object]
impl OpportunityLineMutation {
    /// Adds a line to a deal, whose value becomes the sum of its lines. Needs `opportunities.write`. Raises
    /// `opportunity_line.created` and `opportunity.updated`.
    async fn opportunity_line_add(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The deal.")] opportunity_id: Id<Opportunity>,
        #[graphql(desc = "What the line shall be.")] input: OpportunityLineInput,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<OpportunityLinePayload> {
        crud::run(ctx, client_mutation_id, async |unit| {
            let mut line = input.into_row()?;
            line.opportunity_id = Set(opportunity_id.0);
            let added = unit.insert::<opportunity_line::Entity>(line).await.map_err(at_argument)?;
            Ok(added.id)
        })
        .await
    }

    /// Changes a line; the value of the deal follows. Needs `opportunities.write`. Raises `opportunity_line.updated` and
    /// `opportunity.updated`.
    async fn opportunity_line_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The line's id.")] id: Id<OpportunityLine>,
        #[graphql(desc = "What to change: what is left out stays, null clears.")] input: OpportunityLineUpdateInput,
        #[graphql(desc = "The version of the line that the client has seen; another one is STALE_VERSION.")]
        expected_version: Option<i32>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<OpportunityLinePayload> {
        crud::update(ctx, id, input, expected_version, client_mutation_id).await
    }

    /// Removes a line; the value of the deal follows, and is empty after the last one. Needs `opportunities.write`. Raises
    /// `opportunity_line.deleted` and `opportunity.updated`.
    async fn opportunity_line_remove(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The line's id.")] id: Id<OpportunityLine>,
        #[graphql(desc = "The version of the line that the client has seen; another one is STALE_VERSION.")]
        expected_version: Option<i32>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<DeletePayload> {
        crud::run_delete(ctx, id, client_mutation_id, async |unit| rules::remove(unit, id.0, expected_version).await)
            .await
    }

    /// Brings a removed line back; the value of the deal follows. Needs `opportunities.restore`. Raises
    /// `opportunity_line.restored` and `opportunity.updated`.
    async fn opportunity_line_restore(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The line's id.")] id: Id<OpportunityLine>,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<OpportunityLinePayload> {
        crud::restore(ctx, id, client_mutation_id).await
    }

    /// Adds or changes up to 250 lines in one transaction; lines have no external reference. Needs
    /// `opportunities.write`.
    async fn opportunity_line_bulk_upsert(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most 250.")] inputs: Vec<OpportunityLineUpsertInput>,
        #[graphql(desc = "What becomes of the others when one is refused.")] error_policy: BulkErrorPolicy,
        #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
    ) -> Option<OpportunityLineBulkUpsertPayload> {
        crud::bulk_upsert(ctx, inputs.into_iter().map(Into::into).collect(), error_policy, client_mutation_id).await
    }
}

/// The deal is an argument of its own here, not a field of the input.
fn at_argument(error: Error) -> Error {
    match error {
        Error::User(mut errors) => {
            for error in &mut errors {
                if error.field.as_deref().is_some_and(|path| path == ["input", "opportunityId"]) {
                    error.field = Some(vec!["opportunityId".to_owned()]);
                }
            }
            Error::User(errors)
        }
        other => other,
    }
}

/// A line of a deal.
#[derive(InputObject)]
pub struct OpportunityLineInput {
    /// The product; an inactive one is refused.
    product_id: Option<Id<Product>>,
    /// What is sold, at most 500 characters; the product's name when left out.
    description: Option<String>,
    /// How much of it, more than 0, at most three decimals; 1 when left out.
    quantity: Option<Decimal>,
    /// The price of one; the product's when left out. All lines of a deal are in one currency.
    unit_price: Option<MoneyInput>,
    /// What is taken off, from 0 to 100 percent with at most two decimals; 0 when left out.
    discount_percent: Option<Decimal>,
    /// Where it is to stand among the lines; behind the others when left out.
    position: Option<i32>,
}

impl OpportunityLineInput {
    /// The columns that the input sets.
    ///
    /// # Errors
    /// [`Error::User`] for numbers that do not fit.
    pub fn into_row(self) -> Result<opportunity_line::ActiveModel> {
        let Self { product_id, description, quantity, unit_price, discount_percent, position } = self;
        let (unit_price, currency) = price(unit_price)?;
        Ok(opportunity_line::ActiveModel {
            product_id: Set(product_id.map(|id| id.0)),
            description: set(description),
            quantity: units("quantity", quantity, 3)?,
            unit_price,
            currency,
            discount_percent: units("discountPercent", discount_percent, 2)?,
            position: set(position),
            ..Default::default()
        })
    }
}

fn price(price: Option<MoneyInput>) -> Result<(ActiveValue<i64>, ActiveValue<String>)> {
    let Some(price) = price else { return Ok((ActiveValue::NotSet, ActiveValue::NotSet)) };
    match price.minor() {
        Ok((minor, currency)) => Ok((Set(minor), Set(currency))),
        Err(message) => Err(Error::user(UserErrorCode::Invalid, &["input", "unitPrice"], message)),
    }
}

/// A change of a line: what is left out stays, null clears.
#[derive(InputObject)]
pub struct OpportunityLineUpdateInput {
    /// The deal, of a new line in a bulk upsert; a line stays with its deal.
    opportunity_id: Option<Id<Opportunity>>,
    /// Another product, which brings its name and price unless these are given too; null for none of the catalogue.
    product_id: MaybeUndefined<Id<Product>>,
    /// What is sold, at most 500 characters.
    description: Option<String>,
    /// How much of it, more than 0, at most three decimals.
    quantity: Option<Decimal>,
    /// The price of one. All lines of a deal are in one currency.
    unit_price: Option<MoneyInput>,
    /// What is taken off, from 0 to 100 percent with at most two decimals.
    discount_percent: Option<Decimal>,
    /// Where it is to stand among the lines.
    position: Option<i32>,
}

impl Input<opportunity_line::Entity> for OpportunityLineUpdateInput {
    fn into_row(self) -> Result<opportunity_line::ActiveModel> {
        let Self { opportunity_id, product_id, description, quantity, unit_price, discount_percent, position } = self;
        let (unit_price, currency) = price(unit_price)?;
        Ok(opportunity_line::ActiveModel {
            opportunity_id: set(opportunity_id.map(|id| id.0)),
            product_id: patch(product_id.map_value(|id| id.0)),
            description: set(description),
            quantity: units("quantity", quantity, 3)?,
            unit_price,
            currency,
            discount_percent: units("discountPercent", discount_percent, 2)?,
            position: set(position),
            ..Default::default()
        })
    }
}
