//! Which events concern whom: the one table of it.

use entity::tenant::{notification::NotificationKind, ticket};
use futures_util::{FutureExt, future::BoxFuture};
use serde_json::Value as Json;
use uuid::Uuid;

use super::{preference::Channels, text};
use crate::{
    data::{Unit, feed::Event, ids},
    error::Result,
};

/// What somebody is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) user_id: Uuid,
    pub(super) kind: NotificationKind,
    pub(super) title: String,
    pub(super) body: Option<String>,
    /// Who did it; none for the platform.
    pub(super) actor_id: Option<Uuid>,
    pub(super) record_type: String,
    pub(super) record_id: Uuid,
}

/// What a kind of notification follows from.
pub(super) struct Reaction {
    pub(super) kind: NotificationKind,
    /// What it is about, for people.
    pub(super) about: &'static str,
    /// How users hear of it who have not said how.
    pub(super) default: Channels,
    /// The names of events; `*` stands for every record.
    on: &'static [&'static str],
    tell: for<'a> fn(&'a Unit, &'a Event) -> BoxFuture<'a, Result<Vec<Told>>>,
}

impl Reaction {
    /// Whether the event may concern somebody in this way.
    pub(super) fn is_about(&self, event: &Event) -> bool {
        let Some((_, what)) = event.name.split_once('.') else { return false };
        self.on.iter().any(|on| *on == event.name || on.strip_prefix("*.") == Some(what))
    }

    /// Whom it concerns.
    pub(super) async fn tell(&self, unit: &Unit, event: &Event) -> Result<Vec<Told>> {
        (self.tell)(unit, event).await
    }
}

const APP: Channels = Channels { in_app: true, email: false };
const APP_AND_EMAIL: Channels = Channels { in_app: true, email: true };

/// Every kind of notification.
pub(super) const REACTIONS: &[Reaction] = &[
    Reaction {
        kind: NotificationKind::Assigned,
        about: "a record was given to you",
        default: APP,
        on: &["*.created", "*.updated"],
        tell: |_, event| ready(assigned(event)),
    },
    Reaction {
        kind: NotificationKind::Mentioned,
        about: "somebody named you in a comment, an activity or an interaction",
        default: APP,
        on: &[
            "ticket_comment.created",
            "ticket_comment.updated",
            "activity.created",
            "activity.updated",
            "interaction.created",
            "interaction.updated",
        ],
        tell: |_, event| ready(mentioned(event)),
    },
    Reaction {
        kind: NotificationKind::Reminder,
        about: "the reminder of one of your activities is due",
        default: APP_AND_EMAIL,
        on: &["activity.due"],
        tell: |_, event| ready(owner(event, NotificationKind::Reminder, "Reminder: {}")),
    },
    Reaction {
        kind: NotificationKind::TicketReply,
        about: "the requester has answered on one of your tickets",
        default: APP,
        on: &["ticket_comment.created"],
        tell: |unit, event| replied(unit, event).boxed(),
    },
    Reaction {
        kind: NotificationKind::SlaWarning,
        about: "one of your tickets comes close to missing its target",
        default: APP_AND_EMAIL,
        on: &["ticket.sla_warning"],
        tell: |_, event| ready(owner(event, NotificationKind::SlaWarning, "{} comes close to missing its target")),
    },
    Reaction {
        kind: NotificationKind::SlaBreached,
        about: "one of your tickets has missed its target",
        default: APP_AND_EMAIL,
        on: &["ticket.sla_breached"],
        tell: |_, event| ready(owner(event, NotificationKind::SlaBreached, "{} has missed its target")),
    },
    Reaction {
        kind: NotificationKind::WebhookDisabled,
        about: "one of your webhooks was switched off, because nothing but failures came of it",
        default: APP_AND_EMAIL,
        on: &["webhook.disabled"],
        tell: |_, event| ready(creator(event, NotificationKind::WebhookDisabled, "{} was switched off")),
    },
];

fn ready<'a>(told: Vec<Told>) -> BoxFuture<'a, Result<Vec<Told>>> {
    std::future::ready(Ok(told)).boxed()
}

/// Something that a user is told about the record of an event.
fn told(event: &Event, user_id: Uuid, kind: NotificationKind, title: String, body: Option<String>) -> Told {
    Told {
        user_id,
        kind,
        title,
        body,
        actor_id: (!event.actor_id.is_nil()).then_some(event.actor_id),
        record_type: event.record_type.to_string(),
        record_id: event.record_id,
    }
}

/// The user whose id stands in a field of the record.
fn user_in(data: &Json, field: &str) -> Option<Uuid> {
    let (name, id) = ids::decode(data.get(field)?.as_str()?)?;
    (name == "user" && !id.is_nil()).then_some(id)
}

/// The new owner of a record.
fn assigned(event: &Event) -> Vec<Told> {
    let new = event.changed_fields.is_empty() || event.changed_fields.iter().any(|field| field == "ownerId");
    let Some(owner) = user_in(&event.data, "ownerId").filter(|_| new) else { return Vec::new() };
    let title = format!("{} was assigned to you", text::named(&event.record_type, &event.data));
    vec![told(event, owner, NotificationKind::Assigned, title, None)]
}

/// The owner of the record. `{}` in the title stands for the record.
fn owner(event: &Event, kind: NotificationKind, title: &str) -> Vec<Told> {
    let title = title.replace("{}", &text::named(&event.record_type, &event.data));
    user_in(&event.data, "ownerId").map(|user| told(event, user, kind, title, None)).into_iter().collect()
}

/// Who made the record.
fn creator(event: &Event, kind: NotificationKind, title: &str) -> Vec<Told> {
    let title = title.replace("{}", &text::named(&event.record_type, &event.data));
    user_in(&event.data, "createdBy").map(|user| told(event, user, kind, title, None)).into_iter().collect()
}

/// Who is named in the texts of a record, and was not before.
fn mentioned(event: &Event) -> Vec<Told> {
    let title = format!("You were mentioned in {}", text::named_within(&event.record_type, &event.data));
    let mut users = Vec::new();
    for field in ["body", "description"] {
        let now = event.data.get(field).and_then(Json::as_str).unwrap_or_default();
        let before = text::mentions(event.previous.get(field).and_then(Json::as_str).unwrap_or_default());
        let changed = event.changed_fields.is_empty() || event.changed_fields.iter().any(|changed| changed == field);
        for user in text::mentions(now) {
            if changed && !before.contains(&user) && !users.iter().any(|(known, _)| *known == user) {
                users.push((user, now));
            }
        }
    }
    let one = |(user, body): (Uuid, &str)| {
        told(event, user, NotificationKind::Mentioned, title.clone(), Some(text::readable(body)))
    };
    users.into_iter().map(one).collect()
}

/// The owner of the ticket on which the requester has answered.
async fn replied<'a>(unit: &'a Unit, event: &'a Event) -> Result<Vec<Told>> {
    let by_requester = event.data.get("contactId").is_some_and(Json::is_string);
    let ticket = event.data.get("ticketId").and_then(Json::as_str).and_then(ids::decode);
    let Some((_, ticket_id)) = ticket.filter(|_| by_requester) else { return Ok(Vec::new()) };
    let Some(ticket) = unit.any_row::<ticket::Entity>(ticket_id).await? else { return Ok(Vec::new()) };
    let title = format!("The requester has answered on ticket {}", ticket.number);
    let body = event.data.get("body").and_then(Json::as_str).map(text::readable);
    let reply = told(event, ticket.owner_id, NotificationKind::TicketReply, title, body);
    Ok(vec![Told { record_type: "ticket".to_owned(), record_id: ticket.id, ..reply }])
}
