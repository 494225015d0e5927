//! Leads in the API. Module `leads`; events `lead.created`, `.updated`, `.deleted`, `.restored`, `.assigned`,
//! `.disqualified`.

use async_graphql::{Context, InputObject, MaybeUndefined, SimpleObject};
use chrono::{DateTime, Utc};
use entity::tenant::lead::{self, LeadRating, LeadStatus};
use sea_orm::ActiveValue::Set;
use serde::Deserialize;

use super::{activity::Activity, interaction::Interaction};
use crate::{
    data::plan::Children,
    error::{Error, Result, UserErrorCode},
    graphql::{
        identity::user::User,
        kit::{
            crud::{self, Input, maybe, money, patch, set},
            id::Id,
            scalars::{EmailAddress, Money, MoneyInput, PhoneNumber},
        },
    },
    services::sales::lead as rules,
};

/// Somebody who may become a customer. Needs `leads.read`.
#[derive(SimpleObject, Deserialize, Default)]
#[graphql(complex)]
#[serde(default)]
pub struct Lead {
    /// Its id.
    pub id: Id<Self>,
    /// What it is about.
    pub title: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// Where the person works.
    pub company_name: Option<String>,
    /// The e-mail address.
    pub email: Option<EmailAddress>,
    /// The phone number.
    pub phone: Option<PhoneNumber>,
    /// What the person does.
    pub job_title: Option<String>,
    /// The industry.
    pub industry: Option<String>,
    /// The country.
    pub country: Option<String>,
    /// Where the lead came from.
    pub source: Option<String>,
    /// How far it has come.
    pub status: LeadStatus,
    /// Why it was disqualified.
    pub disqualified_reason: Option<String>,
    /// How promising it is, in words.
    pub rating: Option<LeadRating>,
    /// How promising it is, from 0 to 100.
    pub score: Option<i32>,
    /// What they can spend.
    pub budget: Option<Money>,
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
    Lead for lead;
    values { status: LeadStatus, rating: LeadRating }
    needs { name: ["first_name", "last_name", "company_name", "title"] }
    relations {
        /// The user responsible. Needs `users.read`.
        one owner: User,
        /// What is planned and done about the lead. Needs `activities.read`.
        many activities: Activity,
        /// What happened with the lead, the last first. Needs `interactions.read`.
        many interactions: Interaction,
        /// Who created it.
        one created_by: User,
        /// Who changed it last.
        one updated_by: User,
    }
    methods {
        /// What to call it: given and family name, else the company, else the title.
        async fn name(&self) -> String {
            let person: Vec<&str> = [&self.first_name, &self.last_name].into_iter().flatten().map(String::as_str).collect();
            if person.is_empty() {
                self.company_name.clone().or_else(|| self.title.clone()).unwrap_or_default()
            } else {
                person.join(" ")
            }
        }
    }
}

crate::crud! {
    Lead as lead;
    query LeadQuery {
        keys { external_reference }
        /// A lead. Null when there is none that the actor sees. Needs `leads.read`.
        one lead;
        /// The leads that the actor sees. Needs `leads.read`.
        many leads;
    }
    mutation LeadMutation {
        /// Creates a lead. Needs `leads.write`, and `leads.assign` for another owner. Raises `lead.created`, and
        /// `lead.assigned` for another owner.
        create lead_create(LeadCreateInput);
        /// Changes a lead. It goes from NEW over CONTACTED to QUALIFIED and not back. Needs `leads.write`, and
        /// `leads.assign` for another owner. Raises `lead.updated`, and `lead.assigned` when the owner changes.
        update lead_update(LeadUpdateInput);
        /// Deletes a lead. Needs `leads.delete`. Raises `lead.deleted`.
        delete lead_delete;
        /// Brings a deleted lead back. Needs `leads.restore`. Raises `lead.restored`.
        restore lead_restore;
        /// Creates or changes up to 250 leads in one transaction. Needs `leads.write`.
        upsert lead_bulk_upsert(LeadUpsertInput);

        /// Disqualifies a lead: it is UNQUALIFIED, for a reason. One that is so already gets the new reason. Needs
        /// `leads.write`. Raises `lead.updated` and `lead.disqualified`.
        async fn lead_disqualify(
            &self,
            ctx: &Context<'_>,
            #[graphql(desc = "The lead's id.")] id: Id<Lead>,
            #[graphql(desc = "Why, at most 500 characters.")] reason: String,
            #[graphql(desc = "The version that the client has seen; another one is STALE_VERSION.")]
            expected_version: Option<i32>,
            #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
        ) -> Option<LeadPayload> {
            crud::run(ctx, client_mutation_id, async |unit| {
                // Checked here, where the argument is called otherwise than the field.
                if reason.trim().is_empty() {
                    return Err(Error::user(UserErrorCode::Blank, &["reason"], "say why the lead is disqualified"));
                }
                let done = rules::disqualify(unit, id.0, reason, expected_version).await;
                done.map_err(|error| error.at(&[]))
            })
            .await
        }

        /// Takes a disqualified lead up again: it is NEW, without a reason. Needs `leads.write`. Raises `lead.updated`.
        async fn lead_reopen(
            &self,
            ctx: &Context<'_>,
            #[graphql(desc = "The lead's id.")] id: Id<Lead>,
            #[graphql(desc = "The version that the client has seen; another one is STALE_VERSION.")]
            expected_version: Option<i32>,
            #[graphql(desc = "Anything; it comes back in the answer.")] client_mutation_id: Option<String>,
        ) -> Option<LeadPayload> {
            crud::run(ctx, client_mutation_id, async |unit| rules::reopen(unit, id.0, expected_version).await).await
        }
    }
    payloads LeadPayload, LeadBulkUpsertPayload, LeadBulkUpsertResult;
}

/// A new lead: it names at least a person, a company or a title.
#[derive(InputObject)]
pub struct LeadCreateInput {
    /// What it is about, at most 200 characters.
    title: Option<String>,
    /// Given name.
    first_name: Option<String>,
    /// Family name.
    last_name: Option<String>,
    /// Where the person works.
    company_name: Option<String>,
    /// The e-mail address.
    email: Option<EmailAddress>,
    /// The phone number.
    phone: Option<PhoneNumber>,
    /// What the person does.
    job_title: Option<String>,
    /// The industry.
    industry: Option<String>,
    /// The country.
    country: Option<String>,
    /// Where the lead came from.
    source: Option<String>,
    /// How far it has come; NEW when left out. CONVERTED is refused.
    status: Option<LeadStatus>,
    /// Why it was disqualified; needed for UNQUALIFIED and refused for others.
    disqualified_reason: Option<String>,
    /// How promising it is, in words.
    rating: Option<LeadRating>,
    /// How promising it is, from 0 to 100.
    score: Option<i32>,
    /// What they can spend.
    budget: Option<MoneyInput>,
    /// The user responsible; the actor when left out.
    owner_id: Option<Id<User>>,
    /// The id in the integrator's own system.
    external_reference: Option<String>,
}

impl Input<lead::Entity> for LeadCreateInput {
    fn into_row(self) -> Result<lead::ActiveModel> {
        let Self {
            title,
            first_name,
            last_name,
            company_name,
            email,
            phone,
            job_title,
            industry,
            country,
            source,
            status,
            disqualified_reason,
            rating,
            score,
            budget,
            owner_id,
            external_reference,
        } = self;
        let (budget, currency) = money("budget", maybe(budget))?;
        Ok(lead::ActiveModel {
            title: Set(title),
            first_name: Set(first_name),
            last_name: Set(last_name),
            company_name: Set(company_name),
            email: Set(email.map(|email| email.0)),
            phone: Set(phone.map(|phone| phone.0)),
            job_title: Set(job_title),
            industry: Set(industry),
            country: Set(country),
            source: Set(source),
            status: set(status),
            disqualified_reason: Set(disqualified_reason),
            rating: Set(rating),
            score: Set(score),
            budget,
            currency,
            owner_id: set(owner_id.map(|id| id.0)),
            external_reference: Set(external_reference),
            ..Default::default()
        })
    }
}

/// A change of a lead: what is left out stays, null clears.
#[derive(InputObject)]
pub struct LeadUpdateInput {
    /// What it is about, at most 200 characters.
    title: MaybeUndefined<String>,
    /// Given name.
    first_name: MaybeUndefined<String>,
    /// Family name.
    last_name: MaybeUndefined<String>,
    /// Where the person works.
    company_name: MaybeUndefined<String>,
    /// The e-mail address.
    email: MaybeUndefined<EmailAddress>,
    /// The phone number.
    phone: MaybeUndefined<PhoneNumber>,
    /// What the person does.
    job_title: MaybeUndefined<String>,
    /// The industry.
    industry: MaybeUndefined<String>,
    /// The country.
    country: MaybeUndefined<String>,
    /// Where the lead came from.
    source: MaybeUndefined<String>,
    /// How far it has come. UNQUALIFIED needs a reason; CONVERTED is refused.
    status: Option<LeadStatus>,
    /// Why it was disqualified; UNQUALIFIED only.
    disqualified_reason: Option<String>,
    /// How promising it is, in words.
    rating: MaybeUndefined<LeadRating>,
    /// How promising it is, from 0 to 100.
    score: MaybeUndefined<i32>,
    /// What they can spend.
    budget: MaybeUndefined<MoneyInput>,
    /// The user responsible.
    owner_id: Option<Id<User>>,
    /// The id in the integrator's own system.
    external_reference: MaybeUndefined<String>,
}

impl Input<lead::Entity> for LeadUpdateInput {
    fn into_row(self) -> Result<lead::ActiveModel> {
        let Self {
            title,
            first_name,
            last_name,
            company_name,
            email,
            phone,
            job_title,
            industry,
            country,
            source,
            status,
            disqualified_reason,
            rating,
            score,
            budget,
            owner_id,
            external_reference,
        } = self;
        let (budget, currency) = money("budget", budget)?;
        Ok(lead::ActiveModel {
            title: patch(title),
            first_name: patch(first_name),
            last_name: patch(last_name),
            company_name: patch(company_name),
            email: patch(email.map_value(|email| email.0)),
            phone: patch(phone.map_value(|phone| phone.0)),
            job_title: patch(job_title),
            industry: patch(industry),
            country: patch(country),
            source: patch(source),
            status: set(status),
            disqualified_reason: patch(maybe(disqualified_reason)),
            rating: patch(rating),
            score: patch(score),
            budget,
            currency,
            owner_id: set(owner_id.map(|id| id.0)),
            external_reference: patch(external_reference),
            ..Default::default()
        })
    }
}
