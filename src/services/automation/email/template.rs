//! The texts of messages: for each name a subject, a text and the same as HTML, filled with the message's variables.
//!
//! What a template names must be there, so that nobody gets half a message. In HTML everything that is filled in is
//! escaped.

use chrono::{DateTime, Utc};
use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use serde_json::{Value as Json, json};

use crate::error::{Error, Result};

/// An e-mail that leaves.
struct Template {
    name: &'static str,
    subject: &'static str,
    text: &'static str,
    html: &'static str,
    /// What it can be filled with: the name, and what it is.
    variables: &'static [(&'static str, &'static str)],
}

macro_rules! template {
    ($name:literal, $($variable:literal: $about:literal),* $(,)?) => {
        Template {
            name: $name,
            subject: include_str!(concat!("templates/", $name, ".subject.txt")),
            text: include_str!(concat!("templates/", $name, ".txt")),
            html: include_str!(concat!("templates/", $name, ".html")),
            variables: &[
                ("name", "the recipient's name; null when it is not known"),
                ("tenant", "the tenant's name"),
                ("locale", "the BCP 47 tag of the tenant's language"),
                $(($variable, $about)),*
            ],
        }
    };
}

/// Every template.
const TEMPLATES: [Template; 3] = [
    template! {
        "invitation",
        "link": "the link to accept the invitation",
        "expiresAt": "until when the link counts; `{{ expiresAt|moment }}` is a date for people",
    },
    template! {
        "password_reset",
        "link": "the link to choose a new password",
        "expiresAt": "until when the link counts; `{{ expiresAt|moment }}` is a date for people",
    },
    template! {
        "notification",
        "title": "what happened, in one line",
        "body": "more of it; null when there is no more",
        "link": "the link to the record that it is about",
    },
];

/// How much a template may do: a loop that never ends is cut off.
const FUEL: u64 = 50_000;
/// How long a filled text may be, in bytes.
const LONGEST: usize = 500_000;

/// The texts of an e-mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The subject.
    pub subject: String,
    /// The text, for readers without HTML.
    pub text: String,
    /// The same as HTML.
    pub html: String,
}

/// The templates, read.
pub(super) struct Templates(Environment<'static>);

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
        let mut environment = environment();
        for Template { name, subject, text, html, .. } in &TEMPLATES {
            for (kind, source) in [("subject.txt", subject), ("txt", text), ("html", html)] {
                environment.add_template_owned(format!("{name}.{kind}"), *source).map_err(Error::internal)?;
            }
        }
        Ok(Self(environment))
    }

    /// Our texts, filled.
    pub(super) fn render(&self, name: &str, variables: &Json) -> Result<Source, Unusable> {
        find(name).ok_or_else(|| Unusable::Unknown(name.to_owned()))?;
        let render = |kind: &str| self.0.get_template(&format!("{name}.{kind}"))?.render(variables);
        Ok(Source { subject: one_line(&render("subject.txt")?), text: render("txt")?, html: render("html")? })
    }

    /// The texts of a tenant, filled.
    pub(super) fn render_own(&self, own: &Source, variables: &Json) -> Result<Source, Unusable> {
        let render = |kind: &str, source: &str| render(&self.0, kind, source, variables);
        Ok(Source {
            subject: one_line(&render("subject.txt", &own.subject)?),
            text: render("txt", &own.text)?,
            html: render("html", &own.html)?,
        })
    }

    /// Our texts, as they are written.
    pub(super) fn source(name: &str) -> Source {
        let text = |of: fn(&Template) -> &'static str| find(name).map(of).unwrap_or_default().trim_end().to_owned();
        Source {
            subject: text(|template| template.subject),
            text: text(|template| template.text),
            html: text(|template| template.html),
        }
    }

    /// What an e-mail can be filled with: the names, and what each is.
    pub(super) fn variables(name: &str) -> &'static [(&'static str, &'static str)] {
        find(name).map(|template| template.variables).unwrap_or_default()
    }

    /// Fills texts with made-up values, or answers what is wrong with which of them.
    pub(super) fn check(name: &str, source: &Source) -> Result<Source, Vec<(&'static str, String)>> {
        let (environment, sample) = (environment(), sample());
        let mut wrong = Vec::new();
        let mut fill =
            |field: &'static str, kind: &str, source: &str| match checked(&environment, name, kind, source, &sample) {
                Ok(filled) => filled,
                Err(message) => {
                    wrong.push((field, message));
                    String::new()
                }
            };
        let filled = Source {
            subject: one_line(&fill("subject", "subject.txt", &source.subject)),
            text: fill("text", "txt", &source.text),
            html: fill("html", "html", &source.html),
        };
        if wrong.is_empty() && filled.subject.is_empty() {
            wrong.push(("subject", "a subject must not be empty".to_owned()));
        }
        if wrong.is_empty() { Ok(filled) } else { Err(wrong) }
    }
}

fn find(name: &str) -> Option<&'static Template> {
    TEMPLATES.iter().find(|template| template.name == name)
}

/// What ends with .html is escaped: that is the environment's own rule.
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_filter("moment", moment);
    environment.set_fuel(Some(FUEL));
    environment
}

fn render(
    environment: &Environment<'_>,
    kind: &str,
    source: &str,
    variables: &Json,
) -> Result<String, minijinja::Error> {
    let filled = environment.render_named_str(kind, source, variables)?;
    if filled.len() > LONGEST {
        return Err(minijinja::Error::new(ErrorKind::InvalidOperation, "it is too long when it is filled"));
    }
    Ok(filled)
}

/// Fills one text of a tenant, or says in one line what is wrong with it.
fn checked(
    environment: &Environment<'_>,
    name: &str,
    kind: &str,
    source: &str,
    sample: &Json,
) -> Result<String, String> {
    let template = environment.template_from_named_str(kind, source).map_err(|error| said(&error))?;
    let allowed = Templates::variables(name);
    let mut unknown: Vec<String> = template.undeclared_variables(false).into_iter().collect();
    // Functions of the template language stand where variables do.
    unknown.retain(|name| {
        !allowed.iter().any(|(known, _)| known == name) && !environment.globals().any(|(known, _)| known == name)
    });
    unknown.sort();
    if let Some(unknown) = unknown.first() {
        let names: Vec<&str> = allowed.iter().map(|(name, _)| *name).collect();
        return Err(format!("there is no variable `{unknown}`; there are {}", names.join(", ")));
    }
    render(environment, kind, source, sample).map_err(|error| said(&error))
}

/// What is wrong with a text, and where.
fn said(error: &minijinja::Error) -> String {
    let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    match error.line() {
        Some(line) => format!("line {line}: {what}"),
        None => what,
    }
}

/// A subject has one line.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Made-up values for every variable there is.
fn sample() -> Json {
    json!({
        "name": "Ann Lee",
        "tenant": "Acme Ltd",
        "locale": "en",
        "link": "https://crm.example.com/open",
        "expiresAt": "2026-03-27T09:30:00.000000Z",
        "title": "Lead “New roof” was assigned to you",
        "body": "Please call them today.",
    })
}

/// A moment for people: `27 March 2026, 09:30 UTC`.
fn moment(text: &str) -> Result<String, minijinja::Error> {
    let moment = DateTime::parse_from_rfc3339(text)
        .map_err(|error| minijinja::Error::new(ErrorKind::InvalidOperation, error.to_string()))?;
    Ok(moment.with_timezone(&Utc).format("%-d %B %Y, %H:%M UTC").to_string())
}

#[cfg(test)]
mod tests {
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
            let Source { subject, text, html } = templates.render(name, &variables()).unwrap();
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
        let Source { subject, text, html } = templates.render("notification", &variables).unwrap();
        assert_eq!(subject, "Lead “<i>” was assigned to you");
        assert!(text.contains("1 < 2") && html.contains("1 &lt; 2") && html.contains("“&lt;i&gt;”"), "{text}{html}");
        variables["body"] = Json::Null;
        assert!(!templates.render("notification", &variables).unwrap().html.contains("blockquote"));
    }

    #[test]
    fn our_own_texts_pass_the_check() {
        for Template { name, .. } in &TEMPLATES {
            let filled = Templates::check(name, &Templates::source(name)).unwrap();
            assert!(filled.html.contains("Hello Ann Lee,"), "{}", filled.html);
        }
    }

    #[test]
    fn texts_that_cannot_be_filled_are_refused_with_the_reason() {
        let with = |text: &str| Source { text: text.to_owned(), ..Templates::source("invitation") };
        for (text, reason) in [
            ("{{ nmae }}", "there is no variable `nmae`; there are name, tenant, locale, link, expiresAt"),
            ("{{ title }}", "there is no variable `title`; there are name, tenant, locale, link, expiresAt"),
            ("Hello\n{% if name %}", "line 2: unexpected end of input, expected end of block"),
            ("{{ name|shout }}", "line 1: filter shout is unknown"),
            (
                "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
                "line 1: engine ran out of fuel",
            ),
            ("{% include \"invitation.txt\" %}", "line 1: unknown statement include"),
        ] {
            assert_eq!(Templates::check("invitation", &with(text)), Err(vec![("text", reason.to_owned())]), "{text}");
        }
        let empty = Source { subject: " ".to_owned(), ..Templates::source("invitation") };
        assert_eq!(Templates::check("invitation", &empty).unwrap_err()[0].0, "subject");
        let text = "{% for n in range(3) %}{{ title }}{% endfor %}".to_owned();
        let looping = Source { text, ..Templates::source("notification") };
        assert!(Templates::check("notification", &looping).is_ok());
    }

    #[test]
    fn the_texts_of_a_tenant_are_escaped_like_ours() {
        let own = Source {
            subject: "{{ tenant }}\nwants you".to_owned(),
            text: "{{ name }}".to_owned(),
            html: "<p>{{ name }}</p>".to_owned(),
        };
        let filled = Templates::new().unwrap().render_own(&own, &variables()).unwrap();
        assert_eq!(filled.subject, "Acme \"Ltd\" wants you");
        assert_eq!(filled.text, "Bob <b>& Co</b>");
        assert_eq!(filled.html, "<p>Bob &lt;b&gt;&amp; Co&lt;&#x2f;b&gt;</p>");
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
