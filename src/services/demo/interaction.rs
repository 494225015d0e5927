//! Interactions: calls, mails, meetings and notes of the past.

use chrono::TimeDelta;
use entity::tenant::interaction::{self, InteractionDirection, InteractionType};
use sea_orm::ActiveValue::Set;

use super::{
    activity::{About, about},
    customer::Account,
    story::{Act, SLOTS, Story, World},
};

/// What it was about, and what was said.
const TALKS: &[(&str, &str)] = &[
    ("Questions about the offer", "Went through the offer line by line. They ask for a longer warranty."),
    ("Feedback after the first weeks", "All in all content. Wish for a short training of the late shift."),
    ("Introduction of the new buyer", "New contact in purchasing; our old contact moves to another site."),
    ("Plans for next year", "They plan to expand in spring. Budget is decided in the autumn."),
    ("Complaint about a delay", "Explained the reason and promised a new date in writing."),
    ("Visit at the fair", "Saw the demonstration, took brochures for a colleague."),
    ("Invoice question", "The order number was missing on the invoice. Sent a corrected one."),
    ("Reference call", "They agree to be named as a reference."),
];

pub(super) fn tell(story: &mut Story, world: &World, account: &Account, others: &[About], number: u64) {
    let mut dice = world.dice("interaction", account.number << 8 | number);
    let (related_type, related_id, since) = about(account, others, &mut dice);
    if since + 1 >= SLOTS {
        return;
    }
    let slot = dice.slots(since + 1, SLOTS - 1);
    let owner = account.agent(&mut dice, 80);
    let noted_at = world.calendar.moment(slot);
    let kind = dice.pick(&[
        InteractionType::Call,
        InteractionType::Email,
        InteractionType::Meeting,
        InteractionType::Chat,
        InteractionType::Note,
    ]);
    let lasts = matches!(kind, InteractionType::Call | InteractionType::Meeting);
    let direction = dice.pick(&[InteractionDirection::Inbound, InteractionDirection::Outbound]);
    let (subject, body) = dice.pick(TALKS);
    let interaction = interaction::ActiveModel {
        id: Set(dice.id(noted_at)),
        r#type: Set(kind),
        direction: Set((kind != InteractionType::Note).then_some(direction)),
        occurred_at: Set(noted_at - TimeDelta::minutes(dice.range(5, 1_200))),
        duration_seconds: Set(lasts.then(|| i32::try_from(dice.range(2, 70) * 60).unwrap_or(0))),
        subject: Set(subject.to_owned()),
        body: Set(Some(body.to_owned())),
        related_type: Set(Some(related_type.to_owned())),
        related_id: Set(Some(related_id)),
        owner_id: Set(world.user(owner)),
        ..Default::default()
    };
    story.add(slot, owner, Act::Interaction(interaction));
}
