//! Tickets: asked, answered, put off, solved, and sometimes asked again.

use entity::tenant::ticket::{self, Priority, TicketChannel, TicketStatus, TicketType};
use sea_orm::ActiveValue::Set;
use serde_json::json;
use uuid::Uuid;

use super::{
    customer::Account,
    dice::Dice,
    story::{Act, SLOTS, Story, World},
};

/// What customers write back.
const REPLIES: &[&str] = &[
    "Thank you, that is what we looked for. One thing is still open, see the attachment.",
    "We tried that this morning. It got better but is not gone.",
    "Here are the details that you asked for.",
    "Could somebody call us about it? Mornings are best.",
];

/// When the tickets of a customer come in: four of ten in the last weeks, which is what agents see first.
pub(super) fn slots(dice: &mut Dice, customer: u32) -> Vec<u32> {
    let count = dice.below(5);
    let mut slot = || {
        let earliest = if dice.chance(40) { (SLOTS - 8).max(customer + 1) } else { customer + 1 };
        dice.slots(earliest, SLOTS - 1)
    };
    (0..count).map(|_| slot()).collect()
}

pub(super) fn tell(story: &mut Story, world: &World, account: &Account, number: u64, opened: u32) -> Uuid {
    let mut dice = world.dice("ticket", account.number << 8 | number);
    let id = dice.id(world.calendar.moment(opened));
    let owner = if account.number == 0 { account.owner } else { account.agent(&mut dice, 65) };
    let trouble = &world.business.troubles[dice.below(world.business.troubles.len())];
    let contact = account.somebody(&mut dice, opened).map(|contact| contact.id);
    let priorities = if trouble.broken {
        [Priority::Normal, Priority::High, Priority::High, Priority::Urgent]
    } else {
        [Priority::Low, Priority::Normal, Priority::Normal, Priority::Normal]
    };
    let kinds = [TicketType::Question, TicketType::Request];
    let channels = [TicketChannel::Email, TicketChannel::Phone, TicketChannel::Web, TicketChannel::Chat];
    let ticket = ticket::ActiveModel {
        id: Set(id),
        customer_id: Set(Some(account.id)),
        contact_id: Set(contact),
        title: Set(trouble.title.to_owned()),
        description: Set(Some(trouble.description.to_owned())),
        priority: Set(dice.pick(&priorities)),
        r#type: Set(if trouble.broken { TicketType::Incident } else { dice.pick(&kinds) }),
        channel: Set(dice.pick(&channels)),
        owner_id: Set(world.user(owner)),
        tags: Set(if trouble.broken { json!(["technical"]) } else { json!([]) }),
        ..Default::default()
    };
    story.add(opened, owner, Act::Ticket(ticket));

    let mut slot = opened + dice.slots(0, 2);
    story.add(slot, owner, Act::Answer(id, trouble.answer));
    if dice.chance(50) {
        story.add(slot, owner, Act::Note(id, trouble.note));
    }
    if let Some(contact) = contact.filter(|_| dice.chance(60)) {
        story.add(slot, owner, Act::TicketBecomes(id, TicketStatus::Pending));
        slot += dice.slots(1, 3);
        story.add(slot, owner, Act::Reply { ticket: id, contact, text: dice.pick(REPLIES) });
    }
    if dice.chance(20) {
        story.add(slot, owner, Act::TicketBecomes(id, TicketStatus::OnHold));
        slot += dice.slots(1, 4);
        story.add(slot, owner, Act::TicketBecomes(id, TicketStatus::Open));
    }
    slot += dice.slots(0, 3);
    story.add(slot, owner, Act::Answer(id, trouble.solution));
    story.add(slot, owner, Act::TicketBecomes(id, TicketStatus::Resolved));
    if dice.chance(8) {
        slot += 1;
        story.add(slot, owner, Act::Reopen(id));
        slot += dice.slots(1, 3);
        story.add(slot, owner, Act::TicketBecomes(id, TicketStatus::Resolved));
    }
    story.add(slot + dice.slots(2, 4), owner, Act::TicketBecomes(id, TicketStatus::Closed));
    id
}
