//! Customers with their contacts, and all that is about them.
//!
//! Of every ten customers some belong to others: two or three are subsidiaries of the first, one of which may have one
//! itself. The first customer of all has had everything: it is what the first query shows.

use entity::tenant::{
    contact,
    customer::{self, CustomerStatus, CustomerType},
};
use sea_orm::ActiveValue::Set;
use serde_json::json;
use uuid::Uuid;

use super::{
    activity,
    deal::{self, Outcome},
    dice::Dice,
    first_customer_id, interaction,
    people::{AGENT_COUNT, AGENTS},
    story::{Act, SLOTS, Story, World},
    ticket,
    words::{FIRST_NAMES, FORMS, JOBS, LAST_NAMES, PLACES, Place, SOURCES, STEMS, TAGS, TRADES},
};
use crate::condition::fold::fold;

/// A person at a customer, as far as other builders need it.
#[derive(Clone, Debug)]
pub(super) struct Somebody {
    pub id: Uuid,
    pub slot: u32,
    pub email: String,
}

/// A customer, as far as other builders need it.
#[derive(Debug)]
pub(super) struct Account {
    pub number: u64,
    pub id: Uuid,
    pub name: String,
    pub slot: u32,
    /// The agent responsible.
    pub owner: usize,
    pub contacts: Vec<Somebody>,
}

impl Account {
    /// Somebody at the customer who is known in this slot already.
    pub(super) fn somebody(&self, dice: &mut Dice, slot: u32) -> Option<&Somebody> {
        let known: Vec<_> = self.contacts.iter().filter(|contact| contact.slot < slot).collect();
        known.get(dice.below(known.len())).copied()
    }

    /// The agent responsible, most of the time.
    pub(super) fn agent(&self, dice: &mut Dice, percent: u32) -> usize {
        if dice.chance(percent) { self.owner } else { AGENTS + dice.below(AGENT_COUNT) }
    }
}

/// What follows from the number alone: a subsidiary asks its parent for it.
struct Profile {
    id: Uuid,
    slot: u32,
    name: String,
    industry: &'static str,
    place: Place,
    parent: Option<Uuid>,
    dice: Dice,
}

fn profile(world: &World, number: u64) -> Profile {
    let mut dice = world.dice("customer", number);
    let place = dice.pick(PLACES);
    let early = dice.chance(55);
    let mut slot = if number == 0 { 1 } else { dice.slots(1, 30) + if early { 0 } else { dice.slots(20, 165) } };
    let parent = parent_of(number, &mut dice).map(|parent| profile(world, parent));
    if let Some(parent) = &parent {
        slot = slot.max(parent.slot + 1);
    }
    let (own_name, industry) = name(world.seed, world.business.slug, number);
    let id = if number == 0 { first_customer_id(world.seed) } else { dice.id(world.calendar.moment(slot)) };
    match parent {
        Some(parent) => Profile {
            id,
            slot,
            name: format!("{} {}", parent.name, place.city),
            industry: parent.industry,
            place,
            parent: Some(parent.id),
            dice,
        },
        None => Profile { id, slot, name: own_name, industry, place, parent: None, dice },
    }
}

fn parent_of(number: u64, dice: &mut Dice) -> Option<u64> {
    match number % 10 {
        3 | 4 => Some(number - number % 10),
        5 if dice.chance(50) => Some(number - 1),
        7 if dice.chance(30) => Some(number - 7),
        _ => None,
    }
}

/// Name and industry: every pair of words once, in an order that the seed decides, then again with something added.
fn name(seed: u64, tenant: &str, number: u64) -> (String, &'static str) {
    let (stems, trades) = (STEMS.len() as u64, TRADES.len() as u64);
    let pairs = stems * trades;
    let offset = Dice::new(seed, tenant, "names", 0).below(STEMS.len() * TRADES.len()) as u64;
    // A prime that divides neither: no pair comes twice before all have come.
    let pair = (number % pairs * 1_009 + offset) % pairs;
    let stem = STEMS.get(usize::try_from(pair % stems).unwrap_or(0)).copied().unwrap_or_default();
    let (trade, industry) = TRADES.get(usize::try_from(pair / stems).unwrap_or(0)).copied().unwrap_or_default();
    let form = number
        .checked_div(pairs)
        .filter(|round| *round > 0)
        .and_then(|round| FORMS.get(usize::try_from(round - 1).unwrap_or(usize::MAX) % FORMS.len()));
    match form {
        Some(form) => (format!("{stem} {trade} {form}"), industry),
        None => (format!("{stem} {trade}"), industry),
    }
}

/// A text as a part of an address on the network.
pub(super) fn plain(text: &str) -> String {
    let folded: String = fold(text).chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    folded.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

/// Tells of a customer and of all that is about it.
pub(super) fn tell(story: &mut Story, world: &World, number: u64) {
    let Profile { id, slot, name, industry, place, parent, mut dice } = profile(world, number);
    let owner = if number == 0 { AGENTS } else { AGENTS + dice.below(AGENT_COUNT) };
    let domain = format!("{}.example", plain(&name));
    let street = dice.pick(place.streets);
    let house = dice.range(1, 180);
    let mut tags: Vec<&str> = (0..dice.below(3)).map(|_| dice.pick(TAGS)).collect();
    tags.sort_unstable();
    tags.dedup();
    let employees = dice.range(12, 900);
    let customer = customer::ActiveModel {
        id: Set(id),
        name: Set(name.clone()),
        r#type: Set(CustomerType::Company),
        status: Set(CustomerStatus::Prospect),
        source: Set(Some(dice.pick(SOURCES).to_owned())),
        industry: Set(Some(industry.to_owned())),
        website: Set(Some(format!("https://www.{domain}"))),
        email: Set(Some(format!("info@{domain}"))),
        phone: Set(Some(format!("{}{:02}", place.phone, dice.range(0, 99)))),
        // In cents, to whole thousands: so much for everyone who works there.
        annual_revenue: Set(Some(employees * dice.range(90, 260) * 100_000)),
        currency: Set(Some(world.business.currency.to_owned())),
        employee_count: Set(i32::try_from(employees).ok()),
        founded_year: Set(i32::try_from(dice.range(1890, 2021)).ok()),
        address_street: Set(Some(if place.number_first {
            format!("{house} {street}")
        } else {
            format!("{street} {house}")
        })),
        address_city: Set(Some(place.city.to_owned())),
        address_region: Set(Some(place.region.to_owned())),
        address_postal_code: Set(Some(place.postal_code.to_owned())),
        address_country: Set(Some(place.country.to_owned())),
        parent_id: Set(parent),
        tags: Set(json!(tags)),
        owner_id: Set(world.user(owner)),
        external_reference: Set(Some(format!("C-{:05}", 10_000 + number))),
        ..Default::default()
    };
    story.add(slot, owner, Act::Customer(customer));

    let mut account = Account { number, id, name, slot, owner, contacts: Vec::new() };
    for _ in 0..if number == 0 { 4 } else { dice.below(5) + 1 } {
        let contact = tell_contact(story, world, &account, &place, &domain, &mut dice);
        account.contacts.push(contact);
    }

    let first_of_all = number == 0;
    let after = |dice: &mut Dice| dice.slots(slot + 1, SLOTS - 1);
    let deals: Vec<_> = if first_of_all {
        vec![(8, Outcome::Won), (110, Outcome::Lost), (186, Outcome::Open)]
    } else {
        (0..dice.below(5)).map(|_| (after(&mut dice), Outcome::any(&mut dice))).collect()
    };
    let mut about = Vec::new();
    let mut won: Option<u32> = None;
    for (number_of_deal, (begun, outcome)) in (0..).zip(deals) {
        let deal = deal::tell(story, world, &account, number_of_deal, begun, outcome);
        about.push(("opportunity", deal.id, begun));
        won = won.into_iter().chain(deal.won).min();
    }
    let tickets = if first_of_all { vec![60, 150, SLOTS - 3] } else { ticket::slots(&mut dice, slot) };
    for (number_of_ticket, opened) in (0..).zip(tickets) {
        about.push(("ticket", ticket::tell(story, world, &account, number_of_ticket, opened), opened));
    }
    for number_of_activity in 0..if first_of_all { 8 } else { dice.range(2, 8).unsigned_abs() } {
        activity::tell(story, world, &account, &about, number_of_activity);
    }
    for number_of_interaction in 0..if first_of_all { 5 } else { dice.range(1, 5).unsigned_abs() } {
        interaction::tell(story, world, &account, &about, number_of_interaction);
    }
    tell_status(story, &account, won, &mut dice);
}

fn tell_contact(
    story: &mut Story,
    world: &World,
    account: &Account,
    place: &Place,
    domain: &str,
    dice: &mut Dice,
) -> Somebody {
    let (first, last) = (dice.pick(FIRST_NAMES), dice.pick(LAST_NAMES));
    let (job_title, department) = dice.pick(JOBS);
    // The first one is known from the beginning.
    let slot = if account.contacts.is_empty() { account.slot } else { dice.slots(account.slot, SLOTS - 1) };
    let email = format!("{}.{}@{domain}", plain(first), plain(last));
    let id = dice.id(world.calendar.moment(slot));
    let consents = dice.chance(40);
    let contact = contact::ActiveModel {
        id: Set(id),
        customer_id: Set(account.id),
        first_name: Set(Some(first.to_owned())),
        last_name: Set(last.to_owned()),
        job_title: Set(Some(job_title.to_owned())),
        department: Set(Some(department.to_owned())),
        email: Set(Some(email.clone())),
        phone: Set(Some(format!("{}{:02}", place.phone, dice.range(0, 99)))),
        marketing_consent: Set(consents),
        marketing_consent_source: Set(consents.then(|| "web form".to_owned())),
        owner_id: Set(world.user(account.owner)),
        ..Default::default()
    };
    story.add(slot, account.owner, Act::Contact(contact));
    Somebody { id, slot, email }
}

/// Who has bought is active; some have gone since.
fn tell_status(story: &mut Story, account: &Account, won: Option<u32>, dice: &mut Dice) {
    let Some(won) = won else { return };
    let become_ = |status| customer::ActiveModel { status: Set(status), ..Default::default() };
    story.add(won, account.owner, Act::CustomerChange(account.id, become_(CustomerStatus::Active)));
    let fate = dice.range(0, 99);
    if account.number > 0 && fate < 12 {
        let status = if fate < 5 { CustomerStatus::Churned } else { CustomerStatus::Inactive };
        let later = won + dice.slots(20, 120);
        story.add(later, account.owner, Act::CustomerChange(account.id, become_(status)));
    }
}
