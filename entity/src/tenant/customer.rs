//! A customer: a company or a person that the tenant does or wants to do business with.

use sea_orm::entity::prelude::*;

use super::{activity, contact, interaction, opportunity, ticket, user};
use crate::record::{Record, Relation as Link, many, one, related};

crate::value_set! {
    /// What kind of customer it is.
    CustomerType {
        /// An organisation.
        Company,
        /// A person.
        Individual,
    }
}

crate::value_set! {
    /// How far the business with the customer has come.
    CustomerStatus {
        /// No business yet.
        Prospect,
        /// Business is done.
        Active,
        /// Business rests.
        Inactive,
        /// The customer has left.
        Churned,
    }
}

crate::tenant_table! {
    /// A company or a person that the tenant does or wants to do business with.
    "customer" {
        /// The name.
        #[sea_orm(column_type = "String(StringLen::N(200))")]
        pub name: String,
        /// The name folded for comparison.
        pub name_folded: String,
        /// COMPANY or INDIVIDUAL.
        pub r#type: CustomerType,
        /// How far the business has come.
        pub status: CustomerStatus,
        /// Where the customer came from, such as `web` or `fair`.
        #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
        pub source: Option<String>,
        /// `source` folded.
        pub source_folded: Option<String>,
        /// The industry.
        #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
        pub industry: Option<String>,
        /// `industry` folded.
        pub industry_folded: Option<String>,
        /// The web site, an absolute http or https URL.
        #[sea_orm(column_type = "String(StringLen::N(500))", nullable)]
        pub website: Option<String>,
        /// `website` folded.
        pub website_folded: Option<String>,
        /// The e-mail address for general matters.
        #[sea_orm(column_type = "String(StringLen::N(254))", nullable)]
        pub email: Option<String>,
        /// `email` folded.
        pub email_folded: Option<String>,
        /// The phone number, E.164.
        #[sea_orm(column_type = "String(StringLen::N(20))", nullable)]
        pub phone: Option<String>,
        /// Revenue in a year, in minor units of `currency`.
        #[sea_orm(column_type = "Money(None)", nullable)]
        pub annual_revenue: Option<i64>,
        /// The currency of the amounts, ISO 4217.
        #[sea_orm(column_type = "String(StringLen::N(3))", nullable)]
        pub currency: Option<String>,
        /// How many people work there.
        pub employee_count: Option<i32>,
        /// The year in which the company was founded.
        pub founded_year: Option<i32>,
        /// Street and number.
        #[sea_orm(column_type = "String(StringLen::N(200))", nullable)]
        pub address_street: Option<String>,
        /// `address_street` folded.
        pub address_street_folded: Option<String>,
        /// Town.
        #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
        pub address_city: Option<String>,
        /// `address_city` folded.
        pub address_city_folded: Option<String>,
        /// State, province or region.
        #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
        pub address_region: Option<String>,
        /// `address_region` folded.
        pub address_region_folded: Option<String>,
        /// Postal code.
        #[sea_orm(column_type = "String(StringLen::N(20))", nullable)]
        pub address_postal_code: Option<String>,
        /// Country.
        #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
        pub address_country: Option<String>,
        /// `address_country` folded.
        pub address_country_folded: Option<String>,
        /// The customer above this one.
        pub parent_id: Option<Uuid>,
        /// Free labels: a JSON array of strings.
        #[sea_orm(column_type = "Json")]
        pub tags: Json,
        /// `tags` folded.
        #[sea_orm(column_type = "Json")]
        pub tags_folded: Json,
        /// The user responsible.
        pub owner_id: Uuid,
        /// The id in the integrator's own system, unique where present.
        #[sea_orm(column_type = "String(StringLen::N(100))", nullable)]
        pub external_reference: Option<String>,
    }
}

impl Record for Entity {
    const NAME: &'static str = "customer";
    const MODULE: &'static str = "customers";

    fn relations() -> Vec<Link> {
        vec![
            one::<Self>("parent", "parent_id"),
            many::<Self>("children", "parent_id"),
            one::<user::Entity>("owner", "owner_id"),
            many::<contact::Entity>("contacts", "customer_id"),
            many::<opportunity::Entity>("opportunities", "customer_id"),
            many::<ticket::Entity>("tickets", "customer_id"),
            related::<activity::Entity>("activities", "customer"),
            related::<interaction::Entity>("interactions", "customer"),
        ]
    }

    crate::record_meta!();
}
