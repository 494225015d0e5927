//! Activities: most are done, some are due in the next days, a few are overdue.

use chrono::TimeDelta;
use entity::tenant::activity::{self, ActivityStatus, ActivityType, Priority};
use sea_orm::ActiveValue::Set;
use serde_json::json;
use uuid::Uuid;

use super::{
    customer::Account,
    dice::Dice,
    story::{Act, SLOTS, Story, World},
};

const CALLS: &[&str] = &["Call about the offer", "Ask how it runs", "Introductory call", "Call back after the visit"];
const MEETINGS: &[&str] = &["Visit on site", "Quarterly review", "Demonstration", "Workshop on requirements"];
const EMAILS: &[&str] = &["Send the offer", "Send the references", "Send the minutes", "Answer the open questions"];
const TASKS: &[&str] = &["Prepare the offer", "Check the delivery date", "Update the forecast", "Order samples"];

/// A record that an activity can be about: its kind, its id, the slot in which it was made.
pub(super) type About = (&'static str, Uuid, u32);

/// The customer itself, or something that is about it.
pub(super) fn about(account: &Account, others: &[About], dice: &mut Dice) -> About {
    match others.get(dice.below(others.len())) {
        Some(other) if dice.chance(50) => *other,
        _ => ("customer", account.id, account.slot),
    }
}

pub(super) fn tell(story: &mut Story, world: &World, account: &Account, others: &[About], number: u64) {
    let mut dice = world.dice("activity", account.number << 8 | number);
    let (related_type, related_id, since) = about(account, others, &mut dice);
    let recent = dice.chance(35) || account.number == 0 && number < 3;
    let earliest = if recent { (since + 1).max(SLOTS - 6) } else { since + 1 };
    let slot = dice.slots(earliest.min(SLOTS - 1), SLOTS - 1);
    if slot <= since {
        // What it would be about was made just now.
        return;
    }
    let owner = account.agent(&mut dice, 80);
    let planned_at = world.calendar.moment(slot);
    let id = dice.id(planned_at);
    let kinds = [ActivityType::Call, ActivityType::Meeting, ActivityType::Email, ActivityType::Task];
    let kind = dice.pick(&kinds);
    let subject = dice.pick(match kind {
        ActivityType::Call => CALLS,
        ActivityType::Meeting => MEETINGS,
        ActivityType::Email => EMAILS,
        ActivityType::Task => TASKS,
    });
    let done = slot + dice.slots(1, 6);
    let due_at = if recent {
        world.calendar.now + TimeDelta::days(dice.range(-3, 20)) + TimeDelta::minutes(dice.range(0, 16) * 30)
    } else {
        world.calendar.moment(done) + TimeDelta::hours(dice.range(-20, 30))
    }
    .max(planned_at + TimeDelta::hours(4));
    let lasts = matches!(kind, ActivityType::Call | ActivityType::Meeting);
    let attendees = match account.somebody(&mut dice, slot) {
        Some(contact) if kind == ActivityType::Meeting => json!([contact.email]),
        _ => json!([]),
    };
    let activity = activity::ActiveModel {
        id: Set(id),
        r#type: Set(kind),
        subject: Set(subject.to_owned()),
        priority: Set(dice.pick(&[Priority::Low, Priority::Normal, Priority::Normal, Priority::High])),
        start_at: Set(lasts.then(|| due_at - TimeDelta::minutes(45))),
        due_at: Set(Some(due_at)),
        related_type: Set(Some(related_type.to_owned())),
        related_id: Set(Some(related_id)),
        attendees: Set(attendees),
        owner_id: Set(world.user(owner)),
        ..Default::default()
    };
    story.add(slot, owner, Act::Activity(activity));
    let fate = dice.range(0, 99);
    if recent {
        if fate < 25 {
            story.add(SLOTS - 1, owner, Act::ActivityBecomes(id, ActivityStatus::InProgress));
        }
    } else if fate < 8 {
        story.add(done, owner, Act::ActivityBecomes(id, ActivityStatus::Cancelled));
    } else if fate < 95 {
        story.add(done, owner, Act::ActivityBecomes(id, ActivityStatus::Completed));
    }
}
