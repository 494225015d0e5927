//! The texts of messages: for each name a subject, a text and the same as HTML, filled with the message's variables.
//!
//! What a template names must be there, so that nobody gets half a message. In HTML everything that is filled in is
//! escaped.

use chrono::{DateTime, Utc};
use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use serde_json::Value as Json;

use crate::error::{Error, Result};

/// Every template: its name and its three files.
const TEMPLATES: [(&str, [(&str, &str); 3]); 3] = [
    (
        "invitation",
        [
            ("invitation.subject.txt", include_str!("templates/invitation.subject.txt")),
            ("invitation.txt", include_str!("templates/invitation.txt")),
            ("invitation.html", include_str!("templates/invitation.html")),
        ],
    ),
    (
        "password_reset",
        [
            ("password_reset.subject.txt", include_str!("templates/password_reset.subject.txt")),
            ("password_reset.txt", include_str!("templates/password_reset.txt")),
            ("password_reset.html", include_str!("templates/password_reset.html")),
        ],
    ),
    (
        "notification",
        [
            ("notification.subject.txt", include_str!("templates/notification.subject.txt")),
            ("notification.txt", include_str!("templates/notification.txt")),
            ("notification.html", include_str!("templates/notification.html")),
        ],
    ),
];

/// The templates, read.
pub(super) struct Templates(Environment<'static>);

/// A message that is ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rendered {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
}

/// Why a message has no text.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("there is no template {0}")]
    Unknown(String),
    #[error("{0}")]
    Broken(#[from] minijinja::Error),
}

impl Templates {
    pub(super) fn new() -> Result<Self> {
        // What ends with .html is escaped: that is the environment's own rule.
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.add_filter("moment", moment);
        for (file, source) in TEMPLATES.iter().flat_map(|(_, files)| files) {
            environment.add_template(file, source).map_err(Error::internal)?;
        }
        Ok(Self(environment))
    }

    pub(super) fn render(&self, name: &str, variables: &Json) -> Result<Rendered, Unusable> {
        let known = TEMPLATES.iter().find(|(known, _)| *known == name);
        let (_, [(subject, _), (text, _), (html, _)]) = known.ok_or_else(|| Unusable::Unknown(name.to_owned()))?;
        let render = |file: &str| self.0.get_template(file)?.render(variables);
        Ok(Rendered { subject: render(subject)?.trim().to_owned(), text: render(text)?, html: render(html)? })
    }
}

/// A moment for people: `27 March 2026, 09:30 UTC`.
fn moment(text: &str) -> Result<String, minijinja::Error> {
    let moment = DateTime::parse_from_rfc3339(text)
        .map_err(|error| minijinja::Error::new(ErrorKind::InvalidOperation, error.to_string()))?;
    Ok(moment.with_timezone(&Utc).format("%-d %B %Y, %H:%M UTC").to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn variables() -> Json {
        json!({
            "name": "Bob <b>& Co</b>",
            "tenant": "Acme \"Ltd\"",
            "locale": "en",
            "link": "https://crm.example.com/invitation?token=rot_x",
            "expiresAt": "2026-03-27T09:30:00.000000Z",
        })
    }

    #[test]
    fn each_template_is_filled_and_html_is_escaped() {
        let templates = Templates::new().unwrap();
        for name in ["invitation", "password_reset"] {
            let Rendered { subject, text, html } = templates.render(name, &variables()).unwrap();
            assert!(subject.contains("Acme \"Ltd\"") && !subject.contains('\n'), "{subject}");
            assert!(text.contains("Hello Bob <b>& Co</b>,") && text.contains("27 March 2026, 09:30 UTC"), "{text}");
            assert!(text.contains("https://crm.example.com/invitation?token=rot_x\n"), "{text}");
            assert!(html.contains("Hello Bob &lt;b&gt;&amp; Co&lt;") && !html.contains("<b>&"), "{html}");
            assert!(html.contains("token=rot_x\""), "{html}");
            let mut nameless = variables();
            nameless["name"] = Json::Null;
            assert!(templates.render(name, &nameless).unwrap().text.starts_with("Hello,\n"));
        }
    }

    #[test]
    fn a_notification_is_filled_and_escaped() {
        let templates = Templates::new().unwrap();
        let mut variables = variables();
        variables["title"] = json!("Lead “<i>” was assigned to you");
        variables["body"] = json!("1 < 2");
        let Rendered { subject, text, html } = templates.render("notification", &variables).unwrap();
        assert_eq!(subject, "Lead “<i>” was assigned to you");
        assert!(text.contains("1 < 2") && html.contains("1 &lt; 2") && html.contains("“&lt;i&gt;”"), "{text}{html}");
        variables["body"] = Json::Null;
        assert!(!templates.render("notification", &variables).unwrap().html.contains("blockquote"));
    }

    #[test]
    fn what_is_missing_or_unknown_has_no_text() {
        let templates = Templates::new().unwrap();
        for missing in ["tenant", "link", "expiresAt"] {
            let mut variables = variables();
            variables.as_object_mut().unwrap().remove(missing);
            assert!(matches!(templates.render("invitation", &variables), Err(Unusable::Broken(_))), "{missing}");
        }
        assert!(matches!(templates.render("greeting", &variables()), Err(Unusable::Unknown(_))));
    }
}
