//! The words of notifications. Front ends that speak other languages make their own from the kind, the actor and the
//! record.

use entity::tenant::notification::NotificationKind;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::data::ids;

/// A record by its type and its name, to begin a sentence: `Ticket TKT-000012 “No light”`.
pub(super) fn named(record_type: &str, data: &Json) -> String {
    let mut named = named_within(record_type, data);
    if let Some(first) = named.get(..1) {
        named = first.to_uppercase() + &named[1..];
    }
    named
}

/// The same within a sentence.
pub(super) fn named_within(record_type: &str, data: &Json) -> String {
    let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = |field: &str| data.get(field).and_then(Json::as_str).map(line).filter(|text| !text.is_empty());
    let mut named = record_type.replace('_', " ");
    if let Some(number) = text("number") {
        named = format!("{named} {number}");
    }
    let person = match (text("firstName"), text("lastName")) {
        (None, None) => None,
        (first, last) => Some([first, last].into_iter().flatten().collect::<Vec<_>>().join(" ")),
    };
    let name = ["name", "title", "subject"].into_iter().find_map(text).or(person);
    match name {
        Some(name) => format!("{named} “{}”", shortened(&name, 100)),
        None => named,
    }
}

/// So many of the same.
pub(super) fn many(kind: NotificationKind, record_type: &str, count: usize) -> String {
    let records = plural(&record_type.replace('_', " "));
    match kind {
        NotificationKind::Assigned => format!("{count} {records} were assigned to you"),
        NotificationKind::Mentioned => format!("You were mentioned in {count} {records}"),
        NotificationKind::Reminder => format!("{count} reminders are due"),
        NotificationKind::TicketReply => format!("Requesters have answered {count} times on your tickets"),
        NotificationKind::SlaWarning => format!("{count} {records} come close to missing their targets"),
        NotificationKind::SlaBreached => format!("{count} {records} have missed their targets"),
        NotificationKind::WebhookDisabled => format!("{count} {records} were switched off"),
    }
}

fn plural(name: &str) -> String {
    match name.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{name}s"),
    }
}

/// A text of at most so many characters.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// How many characters the id of a user has after `user_`.
const ID: usize = 26;
const MENTION: &str = "@user_";

/// The users that a text names: `@user_01h455vb4pex5vsknk084sn02q`, alone or after a name in brackets as in
/// `@[Ann](user_01h455vb4pex5vsknk084sn02q)`.
pub(super) fn mentions(text: &str) -> Vec<Uuid> {
    let mut users = Vec::new();
    for (at, _) in text.match_indices("user_") {
        let named = text[..at].ends_with('@') || (text[..at].ends_with("](") && text[..at].contains("@["));
        let id = text.get(at..at + "user_".len() + ID).filter(|_| named).and_then(ids::decode);
        if let Some((_, user)) = id
            && !users.contains(&user)
        {
            users.push(user);
        }
    }
    users
}

/// A text as people read it: a name in place of `@[Ann](user_…)`, and no bare ids.
pub(super) fn readable(text: &str) -> String {
    let mut readable = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('@') {
        readable.push_str(&rest[..at]);
        rest = &rest[at..];
        let name = rest.strip_prefix("@[").and_then(|rest| rest.split_once("](user_"));
        if let Some((name, after)) = name.filter(|(name, _)| !name.contains(['[', ']', '\n']))
            && let Some(after) = after.get(ID..).and_then(|after| after.strip_prefix(')'))
        {
            readable.push('@');
            readable.push_str(name);
            rest = after;
        } else if let Some(after) = rest.strip_prefix(MENTION).and_then(|after| after.get(ID..)) {
            readable.push_str("@…");
            rest = after;
        } else {
            readable.push('@');
            rest = &rest[1..];
        }
    }
    readable.push_str(rest);
    readable
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn records_are_named_by_what_they_are_called() {
        assert_eq!(
            named("ticket", &json!({ "number": "TKT-000012", "title": "No light" })),
            "Ticket TKT-000012 “No light”"
        );
        assert_eq!(named("contact", &json!({ "firstName": "Ann", "lastName": "Lee" })), "Contact “Ann Lee”");
        assert_eq!(named("lead", &json!({ "title": "", "lastName": "Lee" })), "Lead “Lee”");
        assert_eq!(named_within("ticket_comment", &json!({ "body": "x" })), "ticket comment");
        assert_eq!(many(NotificationKind::Assigned, "opportunity", 12), "12 opportunities were assigned to you");
    }

    #[test]
    fn users_are_named_by_their_ids() {
        let (ann, bob) = (Uuid::from_u128(7), Uuid::from_u128(8));
        let (a, b) = (ids::encode("user", ann), ids::encode("user", bob));
        let text =
            format!("@{a}, please ask @[Bob B.]({b}) and @{a}; ann@example.com and {b} are not named, nor @user_x");
        assert_eq!(mentions(&text), [ann, bob]);
        assert_eq!(
            readable(&text),
            format!("@…, please ask @Bob B. and @…; ann@example.com and {b} are not named, nor @user_x")
        );
        assert!(mentions("@user_é").is_empty());
        assert_eq!(readable("@[é](user_1"), "@[é](user_1");
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöüß", 3), "äö…");
    }
}
