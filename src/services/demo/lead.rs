//! Leads: contacted, qualified or not. Most are recent.

use entity::tenant::lead::{self, LeadRating, LeadStatus};
use sea_orm::ActiveValue::Set;

use super::{
    customer::plain,
    people::{AGENT_COUNT, AGENTS},
    story::{Act, SLOTS, Story, World},
    words::{FIRST_NAMES, JOBS, LAST_NAMES, PLACES, SOURCES, STEMS, TRADES},
};

const REASONS: &[&str] =
    &["Too small for us", "Only wanted the brochure", "No budget this year", "Cannot be reached", "A competitor"];

pub(super) fn tell(story: &mut Story, world: &World, number: u64) {
    let mut dice = world.dice("lead", number);
    let slot = if dice.chance(70) { dice.slots(SLOTS - 30, SLOTS - 1) } else { dice.slots(1, SLOTS - 31) };
    let owner = AGENTS + dice.below(AGENT_COUNT);
    let id = dice.id(world.calendar.moment(slot));
    let (first, last) = (dice.pick(FIRST_NAMES), dice.pick(LAST_NAMES));
    let (trade, industry) = dice.pick(TRADES);
    let company = format!("{} {trade}", dice.pick(STEMS));
    let place = dice.pick(PLACES);
    let (rating, score) = dice.pick(&[
        (LeadRating::Hot, dice.clone().range(70, 98)),
        (LeadRating::Warm, dice.clone().range(35, 69)),
        (LeadRating::Cold, dice.clone().range(3, 34)),
    ]);
    let lead = lead::ActiveModel {
        id: Set(id),
        title: Set(Some(dice.pick(world.business.wishes).to_owned())),
        first_name: Set(Some(first.to_owned())),
        last_name: Set(Some(last.to_owned())),
        email: Set(Some(format!("{}.{}@{}.example", plain(first), plain(last), plain(&company)))),
        company_name: Set(Some(company)),
        phone: Set(Some(format!("{}{:02}", place.phone, dice.range(0, 99)))),
        job_title: Set(Some(dice.pick(JOBS).0.to_owned())),
        industry: Set(Some(industry.to_owned())),
        country: Set(Some(place.country.to_owned())),
        source: Set(Some(dice.pick(SOURCES).to_owned())),
        rating: Set(Some(rating)),
        score: Set(i32::try_from(score).ok()),
        budget: Set(Some(dice.range(5, 250) * 100_000)),
        currency: Set(Some(world.business.currency.to_owned())),
        owner_id: Set(world.user(owner)),
        ..Default::default()
    };
    story.add(slot, owner, Act::Lead(lead));
    let become_ = |status| lead::ActiveModel { status: Set(status), ..Default::default() };
    let mut slot = slot;
    if dice.chance(75) {
        slot += dice.slots(1, 3);
        story.add(slot, owner, Act::LeadChange(id, become_(LeadStatus::Contacted)));
    }
    match dice.range(0, 99) {
        0..45 => {
            let change = become_(LeadStatus::Qualified);
            story.add(slot + dice.slots(1, 5), owner, Act::LeadChange(id, change));
        }
        45..75 => {
            let mut change = become_(LeadStatus::Unqualified);
            change.disqualified_reason = Set(Some(dice.pick(REASONS).to_owned()));
            story.add(slot + dice.slots(1, 5), owner, Act::LeadChange(id, change));
        }
        _ => {}
    }
}
