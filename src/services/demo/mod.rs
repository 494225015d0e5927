//! The data of `rapport demo`: two made-up companies with two years of made-up business.
//!
//! A tenant's past is first written down as a story, a list of steps that each belong to a moment and to one of its
//! people (`story`), and then played: the clock is set to each moment in turn, and what happens then is written
//! through the door, in the name of the person, under the rules of every other write. So audit entries, events, stage
//! histories, ticket numbers and who created what are those of a tenant that has been in use. What the story tells of
//! later than today has not happened yet: that is where open deals and tickets come from.
//!
//! | file | what it holds |
//! |---|---|
//! | `business`, `machines`, `software` | what tells the two companies from each other |
//! | `people` | their users and logins |
//! | `words`, `dice` | what names are made of, and the chance that chooses |
//! | `story` | steps, the calendar, and how they are played |
//! | `customer`, `deal`, `ticket`, `activity`, `interaction`, `lead`, `product` | a builder for each kind of record |
//!
//! The same seed makes the same names, texts, amounts, owners and courses of events, and the same customer more or less
//! where another number of customers is asked for. Dates lie before and after the moment of making it; ids begin with
//! their moment and so differ, but for [`first_customer`].

mod activity;
mod business;
mod customer;
mod deal;
mod dice;
mod interaction;
mod lead;
mod machines;
mod people;
mod product;
mod software;
mod story;
mod ticket;
mod words;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use entity::{
    record::Record,
    tenant::{customer as customers, pipeline_stage, role},
};
use uuid::Uuid;

pub use self::{
    business::{BUSINESSES, Business},
    people::{Login, Person, logins},
};
use self::{
    dice::Dice,
    people::{ADMIN, MANAGER},
    story::{Calendar, Story, World},
};
use super::identity::{Access, FirstAdmin, Identity, NewTenant, NewUser};
use crate::{
    auth::{Actor, ActorKind, DataScope, Permission},
    clock::Clock,
    data::{TenantDb, ids},
    error::{Error, Result},
};

/// What to grow the data from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Growth {
    /// The same seed makes the same data.
    pub seed: u64,
    /// How many customers each tenant gets.
    pub customers: u32,
}

/// How far the work has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The tenant that is made.
    pub business: &'static Business,
    /// How many steps of all are done.
    pub done: usize,
    /// How many there are.
    pub total: usize,
}

/// The id of the first customer, as the API names it: the same one in both tenants, so that one query serves every
/// login. It names another customer in each, for tenants share nothing.
#[must_use]
pub fn first_customer(seed: u64) -> String {
    ids::encode(customers::Entity::NAME, first_customer_id(seed))
}

fn first_customer_id(seed: u64) -> Uuid {
    // Some moment, the same for everybody.
    let moment = DateTime::from_timestamp(1_767_225_600, 0).unwrap_or_default();
    Dice::new(seed, "", "first customer", 0).id(moment)
}

/// Makes both tenants with their users and their data, in databases that hold neither. The clock must be that of
/// `identity`, and of nothing else: it is moved back to the past of the tenants, and stands at the present in the end.
///
/// # Errors
/// When a database fails. What was written until then stays, so the databases are to be made anew.
pub async fn grow(
    identity: &Identity,
    clock: &Clock,
    growth: Growth,
    mut progress: impl FnMut(Progress),
) -> Result<()> {
    let calendar = Calendar::until(clock.now());
    let drafts = BUSINESSES.map(|business| (business, Story::steps_of(business, growth)));
    let total = drafts.iter().map(|(_, steps)| steps).sum();
    let mut before = 0;
    for (business, _) in drafts {
        let made = tenant(identity, clock, business, growth.seed, &calendar).await;
        let (doors, world) = made?;
        let story = Story::of(&world, growth);
        let tell = |done| progress(Progress { business, done: before + done, total });
        before += story.play(clock, &calendar, &doors, tell).await?;
        clock.advance(-clock.offset());
    }
    Ok(())
}

/// Makes a tenant with its users, as it was before the first day of its story.
async fn tenant(
    identity: &Identity,
    clock: &Clock,
    business: &'static Business,
    seed: u64,
    calendar: &Calendar,
) -> Result<(Vec<TenantDb>, World)> {
    clock.advance(calendar.moment(0) - TimeDelta::days(1) - clock.now());
    let logins = logins(business, seed);
    let Some(admin) = logins.first() else { return Err(Error::internal("a demo tenant without people")) };
    let provisioned = identity
        .tenant_create(NewTenant {
            slug: business.slug.to_owned(),
            name: business.name.to_owned(),
            base_currency: Some(business.currency.to_owned()),
            time_zone: Some(business.time_zone.to_owned()),
            locale: None,
            database_url: None,
            admin: FirstAdmin {
                name: admin.name.to_owned(),
                email: admin.email.clone(),
                password: Some(admin.password.clone()),
            },
        })
        .await?;
    let tenant = identity.tenants().open(provisioned.tenant.id).await?;
    let system = tenant.for_actor(Arc::new(Actor::system(tenant.id())), None);
    let roles = system.find::<role::Entity>()?.all().await?;
    let mut users = vec![provisioned.admin_id];
    for (number, (login, person)) in logins.iter().zip(&business.people).enumerate().skip(1) {
        let Some(role) = roles.iter().find(|role| role.name == person.role) else {
            return Err(Error::internal(format!("a tenant without the role {}", person.role)));
        };
        let new = NewUser {
            name: person.name.to_owned(),
            email: login.email.clone(),
            role_id: role.id,
            job_title: Some(person.job_title.to_owned()),
            manager_id: users.get(if number == MANAGER { ADMIN } else { MANAGER }).copied(),
            external_reference: None,
            access: Access::Password(login.password.clone()),
        };
        let item = identity.user_invite(&system, new).await?.0.single();
        users.push(item.id.ok_or(Error::User(item.errors))?);
    }
    let stages = system.find::<pipeline_stage::Entity>()?.all().await?;
    let doors = users.iter().map(|user| tenant.for_actor(Arc::new(in_the_name_of(tenant.id(), *user)), None)).collect();
    Ok((doors, World::new(business, seed, calendar.clone(), users, &stages)))
}

/// A user, whom the platform lets do everything: what agents did among themselves is part of the story.
fn in_the_name_of(tenant_id: Uuid, user_id: Uuid) -> Actor {
    Actor {
        tenant_id,
        user_id,
        kind: ActorKind::User,
        permissions: Arc::new(Permission::all().collect()),
        scope: DataScope::All,
    }
}
