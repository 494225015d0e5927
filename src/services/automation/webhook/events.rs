//! The events that a webhook can be told of, and the patterns that name them.
//!
//! Every record raises `created`, `updated`, `deleted` and `restored`; what rules raise besides stands in `OTHERS`, and
//! a test holds that list and the rules together. A webhook names events by their names, all of a record (`customer.*`),
//! one of all records (`*.deleted`), or all (`*`).

use entity::record::RecordMeta;

/// The ping of a webhook, which is told to that webhook alone.
pub const PING: &str = "webhook.ping";

/// What every record raises.
const EACH: [(&str, &str); 4] = [
    ("created", "was created"),
    ("updated", "was changed"),
    ("deleted", "was deleted"),
    ("restored", "was brought back"),
];

/// What rules raise besides.
const OTHERS: &[(&str, &str)] = &[
    ("activity.completed", "An activity was completed."),
    ("activity.due", "The moment came at which somebody wanted to be reminded of an activity."),
    ("customer.owner_changed", "A customer got another owner."),
    ("lead.assigned", "A lead got another owner."),
    ("lead.disqualified", "A lead turned out to be none."),
    ("opportunity.lost", "A deal was lost."),
    ("opportunity.stage_changed", "A deal moved to another stage."),
    ("opportunity.won", "A deal was won."),
    ("ticket.assigned", "A ticket got another assignee."),
    ("ticket.reopened", "A ticket was opened again."),
    ("ticket.resolved", "A ticket was resolved."),
    ("ticket.responded", "A ticket got its first public reply."),
    ("ticket.status_changed", "A ticket got another status."),
    ("webhook.disabled", "A webhook was switched off by the platform."),
    (PING, "A ping, which a webhook gets when it is created and when it is asked for."),
];

/// An event that can be raised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventType {
    /// Its name.
    pub name: String,
    /// What happened.
    pub description: String,
}

/// All events that there are, with what the platform knows of the records that they are about.
pub struct Catalogue {
    records: Vec<&'static RecordMeta>,
    events: Vec<EventType>,
}

impl Catalogue {
    /// The events of these records, in the order of their names.
    #[must_use]
    pub fn new(records: Vec<&'static RecordMeta>) -> Self {
        // What is only ever read, such as the audit log, raises nothing.
        let raising = records.iter().filter(|meta| meta.soft_delete);
        let mut events: Vec<EventType> = raising
            .flat_map(|meta| EACH.into_iter().map(move |(event, what)| (meta, event, what)))
            .map(|(meta, event, what)| EventType {
                name: format!("{}.{event}", meta.name),
                description: format!("A record of the type `{}` {what}.", meta.name),
            })
            .collect();
        events.extend(
            OTHERS.iter().map(|(name, what)| EventType { name: (*name).to_owned(), description: (*what).to_owned() }),
        );
        events.sort_by(|one, other| one.name.cmp(&other.name));
        Self { records, events }
    }

    /// All of them.
    #[must_use]
    pub fn events(&self) -> &[EventType] {
        &self.events
    }

    /// What the platform knows of a record by its stem.
    #[must_use]
    pub fn record(&self, name: &str) -> Option<&'static RecordMeta> {
        self.records.iter().copied().find(|meta| meta.name == name)
    }

    /// Whether a name or pattern means any event.
    #[must_use]
    pub fn knows(&self, pattern: &str) -> bool {
        self.events.iter().any(|event| matches(pattern, &event.name))
    }
}

/// Whether a pattern means an event.
#[must_use]
pub fn matches(pattern: &str, event: &str) -> bool {
    if pattern == "*" || pattern == event {
        return true;
    }
    match (pattern.split_once('.'), event.split_once('.')) {
        (Some((record, "*")), Some((of, _))) => record == of,
        (Some(("*", name)), Some((_, raised))) => name == raised,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use entity::{record::Record, tenant};

    use super::*;

    #[test]
    fn patterns_mean_what_they_say() {
        for (pattern, event, means) in [
            ("*", "customer.created", true),
            ("customer.*", "customer.created", true),
            ("customer.*", "customer_note.created", false),
            ("*.deleted", "customer.deleted", true),
            ("*.deleted", "customer.created", false),
            ("opportunity.won", "opportunity.won", true),
            ("opportunity.won", "opportunity.lost", false),
            ("opportunity", "opportunity.won", false),
            ("*.*", "customer.created", false),
            ("cust*", "customer.created", false),
            ("", "customer.created", false),
        ] {
            assert_eq!(matches(pattern, event), means, "{pattern} {event}");
        }
    }

    #[test]
    fn what_no_record_raises_is_unknown() {
        let catalogue = Catalogue::new(vec![tenant::customer::Entity::meta(), tenant::audit_log::Entity::meta()]);
        for known in ["*", "customer.*", "customer.created", "*.restored", "*.won", "opportunity.won", "webhook.ping"] {
            assert!(catalogue.knows(known), "{known}");
        }
        for unknown in ["customer", "customer.made", "audit_log.created", "*.made", "customers.*", "", "*.*", "**"] {
            assert!(!catalogue.knows(unknown), "{unknown}");
        }
        assert!(catalogue.events().is_sorted_by(|one, other| one.name < other.name));
    }
}
