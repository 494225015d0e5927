//! The story of a tenant: what happened when, by whom; and how it is played.
//!
//! Time goes in slots of half a week. Within a slot each person has one moment, and all that a person did then is one
//! unit of work. So steps of one record that are done by different people must be in different slots; steps of one
//! person in one slot happen in the order in which they were told.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use entity::tenant::{
    activity::{self, ActivityStatus},
    contact, customer, interaction, lead, opportunity, opportunity_line,
    pipeline_stage::{self, StageKind},
    product,
    ticket::{self, TicketStatus},
};
use sea_orm::ActiveValue::Set;
use uuid::Uuid;

use super::{Growth, business::Business, customer as customers, dice::Dice, lead as leads, product as products};
use crate::{
    clock::Clock,
    data::{TenantDb, Unit},
    error::{Error, Result},
    services::{sales, support},
};

/// How many slots the story has until today: two years.
pub(super) const SLOTS: u32 = 208;
/// How long a slot is.
const SLOT_HOURS: i64 = 84;

/// Which moments the slots are.
#[derive(Clone, Debug)]
pub(super) struct Calendar {
    start: DateTime<Utc>,
    /// The present.
    pub now: DateTime<Utc>,
}

impl Calendar {
    /// The calendar of a story that has come to this moment.
    pub(super) fn until(now: DateTime<Utc>) -> Self {
        let start = now - TimeDelta::hours(SLOT_HOURS * i64::from(SLOTS));
        Self { start: start.duration_trunc(TimeDelta::days(1)).unwrap_or(start), now }
    }

    /// The first moment of work in a slot: eight o'clock.
    pub(super) fn moment(&self, slot: u32) -> DateTime<Utc> {
        let opening = if slot.is_multiple_of(2) { 8 } else { 20 };
        self.start + TimeDelta::hours(SLOT_HOURS * i64::from(slot) + opening)
    }

    /// The moment of a person in a slot.
    fn moment_of(&self, slot: u32, person: usize) -> DateTime<Utc> {
        let hours = i64::try_from(person).unwrap_or(0);
        self.moment(slot) + TimeDelta::minutes(hours * 90 + i64::from(slot * 37 % 83))
    }
}

/// A product, as far as deals need it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    pub id: Uuid,
    pub most: i64,
}

/// What the builders know of the tenant.
#[derive(Debug)]
pub(super) struct World {
    pub business: &'static Business,
    pub seed: u64,
    pub calendar: Calendar,
    /// The users' ids, in the order of the business's people.
    pub users: Vec<Uuid>,
    /// The OPEN stages of the pipeline, in their order.
    pub stages: Vec<Uuid>,
    pub offers: Vec<Offer>,
}

impl World {
    pub(super) fn new(
        business: &'static Business,
        seed: u64,
        calendar: Calendar,
        users: Vec<Uuid>,
        stages: &[pipeline_stage::Model],
    ) -> Self {
        let mut open: Vec<_> = stages.iter().filter(|stage| stage.kind == StageKind::Open).collect();
        open.sort_by_key(|stage| stage.position);
        let mut world = Self {
            business,
            seed,
            calendar,
            users,
            stages: open.into_iter().map(|stage| stage.id).collect(),
            offers: Vec::new(),
        };
        world.offers = products::offers(&world);
        world
    }

    /// The dice of a record.
    pub(super) fn dice(&self, kind: &str, number: u64) -> Dice {
        Dice::new(self.seed, self.business.slug, kind, number)
    }

    /// A user's id.
    pub(super) fn user(&self, person: usize) -> Uuid {
        self.users.get(person).copied().unwrap_or_default()
    }
}

/// Something that somebody does.
pub(super) enum Act {
    Product(product::ActiveModel),
    Customer(customer::ActiveModel),
    CustomerChange(Uuid, customer::ActiveModel),
    Contact(contact::ActiveModel),
    Lead(lead::ActiveModel),
    LeadChange(Uuid, lead::ActiveModel),
    Deal(opportunity::ActiveModel, Vec<opportunity_line::ActiveModel>),
    Move { deal: Uuid, stage: Uuid, next_step: &'static str },
    Win(Uuid),
    Lose(Uuid, &'static str),
    Activity(activity::ActiveModel),
    ActivityBecomes(Uuid, ActivityStatus),
    Interaction(interaction::ActiveModel),
    Ticket(ticket::ActiveModel),
    Answer(Uuid, &'static str),
    Note(Uuid, &'static str),
    Reply { ticket: Uuid, contact: Uuid, text: &'static str },
    TicketBecomes(Uuid, TicketStatus),
    Reopen(Uuid),
}

impl Act {
    async fn perform(self, unit: &mut Unit) -> Result<()> {
        match self {
            Self::Product(new) => drop(unit.insert::<product::Entity>(new).await?),
            Self::Customer(new) => drop(unit.insert::<customer::Entity>(new).await?),
            Self::CustomerChange(id, change) => drop(unit.update::<customer::Entity>(id, None, change).await?),
            Self::Contact(new) => drop(unit.insert::<contact::Entity>(new).await?),
            Self::Lead(new) => drop(unit.insert::<lead::Entity>(new).await?),
            Self::LeadChange(id, change) => drop(unit.update::<lead::Entity>(id, None, change).await?),
            Self::Deal(new, lines) => drop(sales::opportunity::create(unit, new, lines).await?),
            Self::Move { deal, stage, next_step } => {
                let next_step =
                    opportunity::ActiveModel { next_step: Set(Some(next_step.to_owned())), ..Default::default() };
                sales::opportunity::move_stage(unit, deal, stage, next_step, None).await?;
            }
            Self::Win(deal) => drop(sales::opportunity::win(unit, deal, None, None).await?),
            Self::Lose(deal, reason) => {
                sales::opportunity::lose(unit, deal, reason.to_owned(), None, None).await?;
            }
            Self::Activity(new) => drop(unit.insert::<activity::Entity>(new).await?),
            Self::ActivityBecomes(id, status) => {
                let change = activity::ActiveModel { status: Set(status), ..Default::default() };
                unit.update::<activity::Entity>(id, None, change).await?;
            }
            Self::Interaction(new) => drop(unit.insert::<interaction::Entity>(new).await?),
            Self::Ticket(new) => drop(unit.insert::<ticket::Entity>(new).await?),
            Self::Answer(ticket, text) => drop(support::ticket::respond(unit, ticket, text.to_owned()).await?),
            Self::Note(ticket, text) => {
                support::ticket_comment::add(unit, ticket, text.to_owned(), false, None).await?;
            }
            Self::Reply { ticket, contact, text } => {
                support::ticket_comment::add(unit, ticket, text.to_owned(), true, Some(contact)).await?;
            }
            Self::TicketBecomes(id, status) => drop(support::ticket::advance(unit, id, None, status).await?),
            Self::Reopen(id) => drop(support::ticket::reopen(unit, id, None).await?),
        }
        Ok(())
    }
}

struct Step {
    slot: u32,
    person: usize,
    act: Act,
}

/// What happened, in the order in which it is told.
#[derive(Default)]
pub(super) struct Story(Vec<Step>);

impl Story {
    /// The story of a tenant.
    pub(super) fn of(world: &World, growth: Growth) -> Self {
        let mut story = Self::default();
        products::tell(&mut story, world);
        for number in 0..u64::from(growth.customers) {
            customers::tell(&mut story, world, number);
        }
        for number in 0..u64::from(growth.customers / 4 + 10) {
            leads::tell(&mut story, world, number);
        }
        story.0.sort_by_key(|step| (step.slot, step.person));
        story
    }

    /// How many steps the story of a tenant has. Ids play no part in that, so the tenant need not be there.
    pub(super) fn steps_of(business: &'static Business, growth: Growth) -> usize {
        let users = vec![Uuid::nil(); business.people.len()];
        let mut world = World::new(business, growth.seed, Calendar::until(DateTime::UNIX_EPOCH), users, &[]);
        world.stages = vec![Uuid::nil(); sales::pipeline::USUAL.len() - 2];
        Self::of(&world, growth).0.len()
    }

    /// Adds something that a person did. What is later than today has not happened.
    pub(super) fn add(&mut self, slot: u32, person: usize, act: Act) {
        if slot < SLOTS {
            self.0.push(Step { slot, person, act });
        }
    }

    /// Plays the story: `doors` are those of the people, `tell` hears how many steps are done. Answers how many there
    /// were.
    pub(super) async fn play(
        self,
        clock: &Clock,
        calendar: &Calendar,
        doors: &[TenantDb],
        mut tell: impl FnMut(usize),
    ) -> Result<usize> {
        let mut done = 0;
        let mut steps = self.0.into_iter().peekable();
        while let Some(first) = steps.next() {
            let (slot, person) = (first.slot, first.person);
            let mut together = vec![first];
            while let Some(next) = steps.next_if(|next| (next.slot, next.person) == (slot, person)) {
                together.push(next);
            }
            done += together.len();
            clock.advance(calendar.moment_of(slot, person) - clock.now());
            let door = doors.get(person).ok_or_else(|| Error::internal("a step of the demo by nobody"))?;
            door.write(async |unit| {
                for step in together {
                    step.act.perform(unit).await?;
                }
                Ok(())
            })
            .await?;
            tell(done);
        }
        Ok(done)
    }
}
