//! Contacts in the API. Module `contacts`; events `contact.created`, `.updated`, `.deleted`, `.restored`.

use async_graphql::{InputObject, MaybeUndefined, SimpleObject};
use chrono::{DateTime, Utc};
use entity::tenant::contact;
use sea_orm::ActiveValue::Set;
use serde::Deserialize;

use super::{activity::Activity, customer::Customer, interaction::Interaction, opportunity::Opportunity};
use crate::{
    data::plan::Children,
    error::Result,
    graphql::{
        identity::user::User,
        kit::{
            crud::{Input, patch, set},
            id::Id,
            scalars::{EmailAddress, PhoneNumber},
        },
        support::{ticket::Ticket, ticket_comment::TicketComment},
    },
};

/// A person at a customer. Needs `contacts.read`.
#[derive(SimpleObject, Deserialize, Default)]
#[graphql(complex)]
#[serde(default)]
pub struct Contact {
    /// Its id.
    pub id: Id<Self>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: String,
    /// What the person does.
    pub job_title: Option<String>,
    /// The part of the organisation.
    pub department: Option<String>,
    /// The e-mail address.
    pub email: Option<EmailAddress>,
    /// The phone number.
    pub phone: Option<PhoneNumber>,
    /// Whether this is the customer's primary contact; each customer with contacts has exactly one.
    pub is_primary: bool,
    /// Whether the person agreed to marketing.
    pub marketing_consent: bool,
    /// When the person said so.
    pub marketing_consent_at: Option<DateTime<Utc>>,
    /// How the person said so, such as `web form`.
    pub marketing_consent_source: Option<String>,
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
    Contact for contact;
    needs { name: ["first_name", "last_name"] }
    relations {
        /// The customer the person belongs to. Needs `customers.read`.
        one customer: Customer,
        /// The user responsible. Needs `users.read`.
        one owner: User,
        /// The deals for which this is the person to talk to. Needs `opportunities.read`.
        many opportunities: Opportunity,
        /// What is planned and done about the person. Needs `activities.read`.
        many activities: Activity,
        /// What happened with the person, the last first. Needs `interactions.read`.
        many interactions: Interaction,
        /// What the person asked for or complained about. Needs `tickets.read`.
        many tickets: Ticket,
        /// What the person wrote about tickets. Needs `tickets.read`.
        many ticket_comments: TicketComment,
        /// Who created it.
        one created_by: User,
        /// Who changed it last.
        one updated_by: User,
    }
    methods {
        /// Given and family name.
        async fn name(&self) -> String {
            match &self.first_name {
                Some(first_name) => format!("{first_name} {}", self.last_name),
                None => self.last_name.clone(),
            }
        }
    }
}

crate::crud! {
    Contact as contact;
    query ContactQuery {
        keys { external_reference }
        /// A contact. Null when there is none that the actor sees. Needs `contacts.read`.
        one contact;
        /// The contacts that the actor sees. Needs `contacts.read`.
        many contacts;
    }
    mutation ContactMutation {
        /// Creates a contact; the first of a customer becomes its primary one. Needs `contacts.write`, and
        /// `contacts.assign` for another owner. Raises `contact.created`.
        create contact_create(ContactCreateInput);
        /// Changes a contact; one that becomes primary takes the place of the one that was. Needs `contacts.write`.
        /// Raises `contact.updated`.
        update contact_update(ContactUpdateInput);
        /// Deletes a contact. Needs `contacts.delete`. Raises `contact.deleted`.
        delete contact_delete;
        /// Brings a deleted contact back. Needs `contacts.restore`. Raises `contact.restored`.
        restore contact_restore;
        /// Creates or changes up to 250 contacts in one transaction. Needs `contacts.write`.
        upsert contact_bulk_upsert(ContactUpsertInput);
    }
    payloads ContactPayload, ContactBulkUpsertPayload, ContactBulkUpsertResult;
}

/// A new contact.
#[derive(InputObject)]
pub struct ContactCreateInput {
    /// The customer the person belongs to.
    customer_id: Id<Customer>,
    /// Given name.
    first_name: Option<String>,
    /// Family name.
    last_name: String,
    /// What the person does.
    job_title: Option<String>,
    /// The part of the organisation.
    department: Option<String>,
    /// The e-mail address.
    email: Option<EmailAddress>,
    /// The phone number.
    phone: Option<PhoneNumber>,
    /// Whether this is to be the customer's primary contact.
    is_primary: Option<bool>,
    /// Whether the person agreed to marketing.
    marketing_consent: Option<bool>,
    /// How the person said so.
    marketing_consent_source: Option<String>,
    /// The user responsible; the actor when left out.
    owner_id: Option<Id<User>>,
    /// The id in the integrator's own system.
    external_reference: Option<String>,
}

impl Input<contact::Entity> for ContactCreateInput {
    fn into_row(self) -> Result<contact::ActiveModel> {
        let Self {
            customer_id,
            first_name,
            last_name,
            job_title,
            department,
            email,
            phone,
            is_primary,
            marketing_consent,
            marketing_consent_source,
            owner_id,
            external_reference,
        } = self;
        Ok(contact::ActiveModel {
            customer_id: Set(customer_id.0),
            first_name: Set(first_name),
            last_name: Set(last_name),
            job_title: Set(job_title),
            department: Set(department),
            email: Set(email.map(|email| email.0)),
            phone: Set(phone.map(|phone| phone.0)),
            is_primary: set(is_primary),
            marketing_consent: set(marketing_consent),
            marketing_consent_source: Set(marketing_consent_source),
            owner_id: set(owner_id.map(|id| id.0)),
            external_reference: Set(external_reference),
            ..Default::default()
        })
    }
}

/// A change of a contact: what is left out stays, null clears.
#[derive(InputObject)]
pub struct ContactUpdateInput {
    /// The customer the person belongs to.
    customer_id: Option<Id<Customer>>,
    /// Given name.
    first_name: MaybeUndefined<String>,
    /// Family name.
    last_name: Option<String>,
    /// What the person does.
    job_title: MaybeUndefined<String>,
    /// The part of the organisation.
    department: MaybeUndefined<String>,
    /// The e-mail address.
    email: MaybeUndefined<EmailAddress>,
    /// The phone number.
    phone: MaybeUndefined<PhoneNumber>,
    /// Whether this is the customer's primary contact.
    is_primary: Option<bool>,
    /// Whether the person agreed to marketing.
    marketing_consent: Option<bool>,
    /// How the person said so.
    marketing_consent_source: MaybeUndefined<String>,
    /// The user responsible.
    owner_id: Option<Id<User>>,
    /// The id in the integrator's own system.
    external_reference: MaybeUndefined<String>,
}

impl Input<contact::Entity> for ContactUpdateInput {
    fn into_row(self) -> Result<contact::ActiveModel> {
        let Self {
            customer_id,
            first_name,
            last_name,
            job_title,
            department,
            email,
            phone,
            is_primary,
            marketing_consent,
            marketing_consent_source,
            owner_id,
            external_reference,
        } = self;
        Ok(contact::ActiveModel {
            customer_id: set(customer_id.map(|id| id.0)),
            first_name: patch(first_name),
            last_name: set(last_name),
            job_title: patch(job_title),
            department: patch(department),
            email: patch(email.map_value(|email| email.0)),
            phone: patch(phone.map_value(|phone| phone.0)),
            is_primary: set(is_primary),
            marketing_consent: set(marketing_consent),
            marketing_consent_source: patch(marketing_consent_source),
            owner_id: set(owner_id.map(|id| id.0)),
            external_reference: patch(external_reference),
            ..Default::default()
        })
    }
}
