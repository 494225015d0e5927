//! Customers in the API. Module `customers`; events `customer.created`, `.updated`, `.deleted`, `.restored`.

use async_graphql::{InputObject, MaybeUndefined, SimpleObject};
use chrono::{DateTime, Utc};
use entity::tenant::customer::{self, CustomerStatus, CustomerType};
use sea_orm::ActiveValue::Set;
use serde::Deserialize;
use serde_json::json;

use super::{activity::Activity, contact::Contact, interaction::Interaction, opportunity::Opportunity};
use crate::{
    data::plan::Children,
    error::Result,
    graphql::{
        identity::user::User,
        kit::{
            crud::{Input, maybe, money, patch, set},
            id::Id,
            scalars::{Address, AddressInput, EmailAddress, Money, MoneyInput, PhoneNumber, URL},
        },
        support::ticket::Ticket,
    },
};

/// A company or a person that the tenant does or wants to do business with. Needs `customers.read`.
#[derive(SimpleObject, Deserialize, Default)]
#[graphql(complex)]
#[serde(default)]
pub struct Customer {
    /// Its id.
    pub id: Id<Self>,
    /// The name.
    pub name: String,
    /// What kind of customer it is.
    pub r#type: CustomerType,
    /// How far the business has come.
    pub status: CustomerStatus,
    /// Where the customer came from, such as `web` or `fair`.
    pub source: Option<String>,
    /// The industry.
    pub industry: Option<String>,
    /// The web site.
    pub website: Option<URL>,
    /// The e-mail address for general matters.
    pub email: Option<EmailAddress>,
    /// The phone number.
    pub phone: Option<PhoneNumber>,
    /// Revenue in a year.
    pub annual_revenue: Option<Money>,
    /// How many people work there.
    pub employee_count: Option<i32>,
    /// The year in which the company was founded.
    pub founded_year: Option<i32>,
    /// Free labels.
    pub tags: Vec<String>,
    /// The id in the integrator's own system, unique where present.
    pub external_reference: Option<String>,
    /// 1 at creation, one more with each change.
    pub version: i32,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
    #[graphql(skip)]
    address_street: Option<String>,
    #[graphql(skip)]
    address_city: Option<String>,
    #[graphql(skip)]
    address_region: Option<String>,
    #[graphql(skip)]
    address_postal_code: Option<String>,
    #[graphql(skip)]
    address_country: Option<String>,
    #[graphql(skip)]
    #[serde(skip)]
    children: Children,
}

crate::object! {
    Customer for customer;
    values { r#type: CustomerType, status: CustomerStatus }
    needs { address: ["address_street", "address_city", "address_region", "address_postal_code", "address_country"] }
    relations {
        /// The customer above this one. Null when there is none, or none that the actor sees.
        one parent: Customer,
        /// The customers below this one.
        many children: Customer,
        /// The user responsible. Needs `users.read`.
        one owner: User,
        /// The people there. Needs `contacts.read`.
        many contacts: Contact,
        /// The deals with the customer. Needs `opportunities.read`.
        many opportunities: Opportunity,
        /// What the customer asked for or complained about. Needs `tickets.read`.
        many tickets: Ticket,
        /// What is planned and done about the customer itself. Needs `activities.read`.
        many activities: Activity,
        /// What happened with the customer itself, the last first. Needs `interactions.read`.
        many interactions: Interaction,
        /// Who created it.
        one created_by: User,
        /// Who changed it last.
        one updated_by: User,
    }
    methods {
        /// The postal address; null when no part of it is known.
        async fn address(&self) -> Option<Address> {
            let address = Address {
                street: self.address_street.clone(),
                city: self.address_city.clone(),
                region: self.address_region.clone(),
                postal_code: self.address_postal_code.clone(),
                country: self.address_country.clone(),
            };
            (address != Address::default()).then_some(address)
        }
    }
}

crate::crud! {
    Customer as customer;
    query CustomerQuery {
        keys { external_reference }
        /// A customer. Null when there is none that the actor sees. Needs `customers.read`.
        one customer;
        /// The customers that the actor sees. Needs `customers.read`.
        many customers;
    }
    mutation CustomerMutation {
        /// Creates a customer; its owner is the actor unless another is given. Needs `customers.write`, and
        /// `customers.assign` for another owner. Raises `customer.created`.
        create customer_create(CustomerCreateInput);
        /// Changes a customer. Needs `customers.write`, and `customers.assign` for another owner. Raises
        /// `customer.updated`.
        update customer_update(CustomerUpdateInput);
        /// Deletes a customer; what belongs to it stays. Needs `customers.delete`. Raises `customer.deleted`.
        delete customer_delete;
        /// Brings a deleted customer back. Needs `customers.restore`. Raises `customer.restored`.
        restore customer_restore;
        /// Creates or changes up to 250 customers in one transaction. Needs `customers.write`.
        upsert customer_bulk_upsert(CustomerUpsertInput);
    }
    payloads CustomerPayload, CustomerBulkUpsertPayload, CustomerBulkUpsertResult;
}

/// A new customer.
#[derive(InputObject)]
pub struct CustomerCreateInput {
    /// The name, at most 200 characters.
    name: String,
    /// What kind of customer it is; COMPANY when left out.
    r#type: Option<CustomerType>,
    /// How far the business has come; PROSPECT when left out.
    status: Option<CustomerStatus>,
    /// Where the customer came from.
    source: Option<String>,
    /// The industry.
    industry: Option<String>,
    /// The web site.
    website: Option<URL>,
    /// The e-mail address for general matters.
    email: Option<EmailAddress>,
    /// The phone number.
    phone: Option<PhoneNumber>,
    /// Revenue in a year.
    annual_revenue: Option<MoneyInput>,
    /// How many people work there.
    employee_count: Option<i32>,
    /// The year in which the company was founded.
    founded_year: Option<i32>,
    /// The postal address.
    address: Option<AddressInput>,
    /// The customer above this one.
    parent_id: Option<Id<Customer>>,
    /// Free labels, at most 100.
    tags: Option<Vec<String>>,
    /// The user responsible; the actor when left out.
    owner_id: Option<Id<User>>,
    /// The id in the integrator's own system.
    external_reference: Option<String>,
}

impl Input<customer::Entity> for CustomerCreateInput {
    fn into_row(self) -> Result<customer::ActiveModel> {
        let Self {
            name,
            r#type,
            status,
            source,
            industry,
            website,
            email,
            phone,
            annual_revenue,
            employee_count,
            founded_year,
            address,
            parent_id,
            tags,
            owner_id,
            external_reference,
        } = self;
        let (annual_revenue, currency) = money("annualRevenue", maybe(annual_revenue))?;
        let mut row = customer::ActiveModel {
            name: Set(name),
            r#type: set(r#type),
            status: set(status),
            source: Set(source),
            industry: Set(industry),
            website: Set(website.map(|url| url.0)),
            email: Set(email.map(|email| email.0)),
            phone: Set(phone.map(|phone| phone.0)),
            annual_revenue,
            currency,
            employee_count: Set(employee_count),
            founded_year: Set(founded_year),
            parent_id: Set(parent_id.map(|id| id.0)),
            tags: set(tags.map(|tags| json!(tags))),
            owner_id: set(owner_id.map(|id| id.0)),
            external_reference: Set(external_reference),
            ..Default::default()
        };
        set_address(&mut row, maybe(address));
        Ok(row)
    }
}

/// A change of a customer: what is left out stays, null clears.
#[derive(InputObject)]
pub struct CustomerUpdateInput {
    /// The name, at most 200 characters.
    name: Option<String>,
    /// What kind of customer it is.
    r#type: Option<CustomerType>,
    /// How far the business has come.
    status: Option<CustomerStatus>,
    /// Where the customer came from.
    source: MaybeUndefined<String>,
    /// The industry.
    industry: MaybeUndefined<String>,
    /// The web site.
    website: MaybeUndefined<URL>,
    /// The e-mail address for general matters.
    email: MaybeUndefined<EmailAddress>,
    /// The phone number.
    phone: MaybeUndefined<PhoneNumber>,
    /// Revenue in a year.
    annual_revenue: MaybeUndefined<MoneyInput>,
    /// How many people work there.
    employee_count: MaybeUndefined<i32>,
    /// The year in which the company was founded.
    founded_year: MaybeUndefined<i32>,
    /// The postal address.
    address: MaybeUndefined<AddressInput>,
    /// The customer above this one.
    parent_id: MaybeUndefined<Id<Customer>>,
    /// Free labels, at most 100; they replace those that are there.
    tags: Option<Vec<String>>,
    /// The user responsible.
    owner_id: Option<Id<User>>,
    /// The id in the integrator's own system.
    external_reference: MaybeUndefined<String>,
}

impl Input<customer::Entity> for CustomerUpdateInput {
    fn into_row(self) -> Result<customer::ActiveModel> {
        let Self {
            name,
            r#type,
            status,
            source,
            industry,
            website,
            email,
            phone,
            annual_revenue,
            employee_count,
            founded_year,
            address,
            parent_id,
            tags,
            owner_id,
            external_reference,
        } = self;
        let (annual_revenue, currency) = money("annualRevenue", annual_revenue)?;
        let mut row = customer::ActiveModel {
            name: set(name),
            r#type: set(r#type),
            status: set(status),
            source: patch(source),
            industry: patch(industry),
            website: patch(website.map_value(|url| url.0)),
            email: patch(email.map_value(|email| email.0)),
            phone: patch(phone.map_value(|phone| phone.0)),
            annual_revenue,
            currency,
            employee_count: patch(employee_count),
            founded_year: patch(founded_year),
            parent_id: patch(parent_id.map_value(|id| id.0)),
            tags: set(tags.map(|tags| json!(tags))),
            owner_id: set(owner_id.map(|id| id.0)),
            external_reference: patch(external_reference),
            ..Default::default()
        };
        set_address(&mut row, address);
        Ok(row)
    }
}

fn set_address(row: &mut customer::ActiveModel, address: MaybeUndefined<AddressInput>) {
    let AddressInput { street, city, region, postal_code, country } = match address {
        MaybeUndefined::Undefined => return,
        MaybeUndefined::Null => AddressInput::default(),
        MaybeUndefined::Value(address) => address,
    };
    row.address_street = Set(street);
    row.address_city = Set(city);
    row.address_region = Set(region);
    row.address_postal_code = Set(postal_code);
    row.address_country = Set(country);
}
