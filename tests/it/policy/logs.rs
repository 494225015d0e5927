//! Logs hold no personal data, no tokens and no bodies: ids name records and people.

use super::source::{self, Source, line, names};

/// The macros that write a log line or open a span.
const MACROS: [&str; 10] = [
    "trace!",
    "debug!",
    "info!",
    "warn!",
    "error!",
    "trace_span!",
    "debug_span!",
    "info_span!",
    "warn_span!",
    "error_span!",
];

/// Words that name what must not be logged, as a variable, a field or in a message's braces.
const PRIVATE: [&str; 19] = [
    "access_token",
    "api_key",
    "authorization",
    "body",
    "cookie",
    "customer_name",
    "document",
    "email",
    "first_name",
    "full_name",
    "headers",
    "last_name",
    "password",
    "phone",
    "refresh_token",
    "secret",
    "token",
    "user_name",
    "variables",
];

fn complaints(source: &Source) -> Vec<String> {
    let code = source.code_with_strings();
    let mut found = Vec::new();
    for (index, _) in MACROS.iter().flat_map(|name| code.match_indices(name)) {
        // `trace!` is also the end of `backtrace!`.
        if code[..index].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let inside = arguments(&code[index..]);
        found.extend(PRIVATE.iter().filter(|word| mentions(inside, word)).map(|word| {
            format!(
                "{}: a log line names `{word}` ({})",
                source.path,
                inside.split_whitespace().collect::<Vec<_>>().join(" ")
            )
        }));
    }
    for (index, _) in code.match_indices("instrument(").chain(code.match_indices("instrument]")) {
        let bare = code[..index].ends_with("#[") || code[..index].ends_with("#[tracing::");
        if bare && !arguments(&code[index..]).contains("skip_all") {
            found.push(format!(
                "{} (about line {}): #[instrument] without skip_all logs every argument",
                source.path,
                line(&code, index)
            ));
        }
    }
    found
}

/// What stands in the parentheses that open next.
fn arguments(code: &str) -> &str {
    let Some(start) = code.find(['(', ']']).filter(|start| code[*start..].starts_with('(')) else { return "" };
    let (mut depth, mut quoted) = (0, false);
    for (index, c) in code[start..].char_indices() {
        match c {
            '"' if !code[..start + index].ends_with('\\') => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => {
                depth -= 1;
                if depth == 0 {
                    return &code[start + 1..start + index];
                }
            }
            _ => {}
        }
    }
    &code[start..]
}

/// Whether a variable or field of this name is logged; the words of a message are only words.
fn mentions(arguments: &str, word: &str) -> bool {
    arguments.split('"').enumerate().any(|(index, part)| {
        if index % 2 == 0 { names(part, word) } else { part.split('{').skip(1).any(|inside| braced(inside) == word) }
    })
}

fn braced(inside: &str) -> &str {
    &inside[..inside.find(['}', ':']).unwrap_or(0)]
}

#[test]
fn log_lines_name_no_personal_data() {
    let found: Vec<_> = source::all().iter().flat_map(complaints).collect();
    assert!(found.is_empty(), "log ids instead:\n\n{}\n", found.join("\n"));
}

#[test]
fn each_kind_of_breach_is_found() {
    let found = |code: &str| complaints(&Source::new("src/auth/login.rs", code)).len();
    assert_eq!(found(r#"fn f() { tracing::info!(%user.email, "login"); }"#), 1);
    assert_eq!(found(r#"fn f() { warn!("no such user: {email}"); }"#), 1);
    assert_eq!(found(r#"fn f() { let _ = info_span!("request", token = ?x); }"#), 1);
    assert_eq!(found("#[instrument] fn f(x: u8) {}"), 1);
    assert_eq!(found("#[tracing::instrument(level = \"debug\")] fn f(x: u8) {}"), 1);

    assert_eq!(found(r#"fn f() { info!(user = %id, "an email was sent, its token is used"); }"#), 0);
    assert_eq!(found(r#"#[tracing::instrument(skip_all, fields(tenant = %id))] fn f(x: u8) {}"#), 0);
    assert_eq!(found("fn f() { future.instrument(span).await }"), 0);
}
