//! Deals: through the stages of the pipeline, with products, until they are won or lost.

use chrono::TimeDelta;
use entity::tenant::{opportunity, opportunity_line};
use sea_orm::ActiveValue::Set;
use uuid::Uuid;

use super::{
    customer::Account,
    dice::Dice,
    story::{Act, SLOTS, Story, World},
    words::SOURCES,
};

/// What is written down as the next step, for each stage after the first.
const NEXT_STEPS: [&str; 3] =
    ["Visit to see what is needed", "Talk the offer through with purchasing", "Agree on dates and terms of payment"];

/// How a deal goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Won,
    Lost,
    /// It stays somewhere on its way.
    Open,
}

impl Outcome {
    pub(super) fn any(dice: &mut Dice) -> Self {
        match dice.range(0, 99) {
            0..45 => Self::Won,
            45..80 => Self::Lost,
            _ => Self::Open,
        }
    }
}

/// A deal, as far as other builders need it.
pub(super) struct Deal {
    pub id: Uuid,
    /// When it was won, if it was until today.
    pub won: Option<u32>,
}

pub(super) fn tell(
    story: &mut Story,
    world: &World,
    account: &Account,
    number: u64,
    begun: u32,
    outcome: Outcome,
) -> Deal {
    let mut dice = world.dice("deal", account.number << 8 | number);
    let begun_at = world.calendar.moment(begun);
    let id = dice.id(begun_at);
    let owner = if account.number == 0 { account.owner } else { account.agent(&mut dice, 85) };

    // The way through the stages; the last move decides.
    let mut moves = Vec::new();
    let mut slot = begun;
    let stops_at = if outcome == Outcome::Open { dice.below(world.stages.len()) } else { world.stages.len() };
    for stage in world.stages.iter().take(stops_at + 1).skip(1) {
        slot += dice.slots(2, 9);
        moves.push((slot, *stage));
    }
    let decided = slot + dice.slots(2, 9);

    let value_known = dice.chance(90);
    let lines: Vec<_> = (0..if value_known { dice.range(1, 3) } else { 0 }).map(|_| line(world, &mut dice)).collect();
    let title = dice.pick(world.business.deals).replace("{}", &account.name);
    // Guessed on the first day, and seldom right.
    let expected = world.calendar.moment(decided) + TimeDelta::days(dice.range(-14, 30));
    let deal = opportunity::ActiveModel {
        id: Set(id),
        title: Set(title),
        customer_id: Set(Some(account.id)),
        primary_contact_id: Set(account.somebody(&mut dice, begun).map(|contact| contact.id)),
        engaged_at: Set(Some(begun_at - TimeDelta::hours(dice.range(1, 70)))),
        expected_close_date: Set(Some(expected.date_naive())),
        source: Set(Some(dice.pick(SOURCES).to_owned())),
        next_step: Set(Some("First call to learn what is needed".to_owned())),
        owner_id: Set(world.user(owner)),
        ..Default::default()
    };
    story.add(begun, owner, Act::Deal(deal, lines));
    for ((slot, stage), next_step) in moves.into_iter().zip(NEXT_STEPS) {
        story.add(slot, owner, Act::Move { deal: id, stage, next_step });
    }
    match outcome {
        Outcome::Won => story.add(decided, owner, Act::Win(id)),
        Outcome::Lost => story.add(decided, owner, Act::Lose(id, dice.pick(world.business.lost_reasons))),
        Outcome::Open => {}
    }
    Deal { id, won: (outcome == Outcome::Won && decided < SLOTS).then_some(decided) }
}

fn line(world: &World, dice: &mut Dice) -> opportunity_line::ActiveModel {
    let offer = dice.pick(&world.offers);
    // Everything is sold by the piece; a quarter of it at a discount.
    let quantity = dice.range(1, offer.most) * 1_000;
    let discount = if dice.chance(25) { dice.pick(&[300, 500, 750, 1_000]) } else { 0 };
    opportunity_line::ActiveModel {
        product_id: Set(Some(offer.id)),
        quantity: Set(quantity),
        discount_percent: Set(discount),
        ..Default::default()
    }
}
