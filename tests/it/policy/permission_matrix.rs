//! Who may call what: every root field by every built-in role, by nobody, and by an API key that may read customers.
//!
//! The table is `tests/snapshots/permission_matrix.txt`, for people to read. When it changes on purpose, write it anew
//! with `RAPPORT_UPDATE_SNAPSHOTS=1` and look at the difference before it is committed.

use std::{fmt::Write, path::Path, time::Duration};

use rapport::services::identity::{Client, NewApiKey};
use serde_json::{Map, Value, json};

use super::{
    surface::{Kind, Root, Surface, Values},
    world::{self, Ids},
};
use crate::{
    on_both_engines,
    support::{Session, TestApp, TestTenant},
};

/// Roots that are not called, with the reason: what the snapshot says instead of roles. They open, renew and end
/// sessions by what the caller knows, not by what a role allows.
const NOT_CALLED: &[(&str, &str)] = &[
    ("register", "open to everybody where the setting allows it; opens a session: tests/it/identity/api.rs"),
    ("login", "open to everybody; opens a session: tests/it/identity/sessions.rs"),
    ("platformLogin", "open to everybody; opens a session: tests/it/identity/api.rs"),
    ("tokenRefresh", "open to everybody who has a refresh token, which it uses up: tests/it/identity/sessions.rs"),
    ("logout", "for every user; ends the caller's session: tests/it/identity/revocation.rs"),
    ("logoutAll", "for every user; ends all sessions of the caller: tests/it/identity/revocation.rs"),
    ("passwordChange", "for every user; ends all sessions of the caller: tests/it/identity/passwords.rs"),
    ("passwordResetRequest", "open to everybody, always answered alike: tests/it/identity/passwords.rs"),
    ("passwordReset", "open to everybody who has the link; ends all sessions: tests/it/identity/passwords.rs"),
    ("invitationAccept", "open to everybody who has the link; opens a session: tests/it/identity/passwords.rs"),
];

/// Codes that mean the caller may call it, though this call could not be done.
const ALLOWED: &[(&str, &str)] = &[];

on_both_engines! {
    async fn every_root_field_by_every_role(app: TestApp) {
        let surface = Surface::read();
        let tenant = app.tenant("acme").await;
        let own = world::plant(&surface, &tenant.agent, &tenant.admin, "AGENT").await;
        let colleagues = world::plant(&surface, &tenant.colleague, &tenant.admin, "COLLEAGUE").await;
        let key = api_key(&app, &tenant).await;
        let anonymous = app.anonymous();
        let columns: [(&str, &Session); 6] = [
            ("Admin", &tenant.admin),
            ("Manager", &tenant.manager),
            ("Agent", &tenant.agent),
            ("Viewer", &tenant.viewer),
            ("key: customers.read", &key),
            ("nobody", &anonymous),
        ];
        let mut text = String::from(
            "Who may call what. `yes`: may; a permission: FORBIDDEN for the lack of it; `log in`: UNAUTHENTICATED.\n\
             `other`: whether a record that another agent created and owns is shown (`seen`) or does not exist (`-`).\n\
             Written by tests/it/policy/permission_matrix.rs (RAPPORT_UPDATE_SNAPSHOTS=1).\n",
        );
        let mut wrong = Vec::new();
        for kind in [Kind::Query, Kind::Mutation, Kind::Subscription] {
            write!(text, "\n{:32}", kind.name()).unwrap();
            columns.iter().for_each(|(name, _)| write!(text, "{name:24}").unwrap());
            text.push('\n');
            for root in surface.roots().iter().filter(|root| root.kind == kind) {
                write!(text, "{:32}", root.name).unwrap();
                if let Some((_, reason)) = NOT_CALLED.iter().find(|(name, _)| *name == root.name) {
                    writeln!(text, "{reason}").unwrap();
                    continue;
                }
                for (_, session) in &columns {
                    let cell = match cell(&surface, session, root, &own).await {
                        Ok(cell) => cell,
                        Err(trouble) => {
                            wrong.push(trouble);
                            "?".to_owned()
                        }
                    };
                    let cell = match scope(&surface, session, root, &colleagues).await {
                        Some(seen) if cell == "yes" => format!("{cell}, other: {}", if seen { "seen" } else { "-" }),
                        _ => cell,
                    };
                    write!(text, "{cell:24}").unwrap();
                }
                text.truncate(text.trim_end().len());
                text.push('\n');
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        compare(&text);
    }
}

/// An administrator's key that may do one thing.
async fn api_key(app: &TestApp, tenant: &TestTenant) -> Session {
    let client = Client { address: [127, 0, 0, 1].into(), user_agent: None };
    let caller = app.app.authenticate(tenant.admin.token.as_deref(), client).await.unwrap();
    let actor = caller.principal.unwrap().member().unwrap().actor.clone();
    let db = app.app.identity().tenants().open(tenant.id).await.unwrap().for_actor(actor, None);
    let new = NewApiKey {
        name: "A key".to_owned(),
        permissions: vec!["customers.read".to_owned()],
        data_scope: rapport::auth::DataScope::All,
        expires_at: None,
    };
    let (_, secret) = app.app.identity().api_key_create(&db, new).await.unwrap();
    Session::new(app.url("/graphql"), Some(secret.unwrap().expose().to_owned()))
}

/// What one caller gets.
async fn cell(surface: &Surface, session: &Session, root: &Root, ids: &Ids) -> Result<String, String> {
    let values = Values { ids, marker: None, target: None, without: &[] };
    let mut arguments = surface
        .arguments(root, &values)
        .ok_or_else(|| format!("`{}` needs a record that tests/it/policy/world.rs does not make", root.name))?;
    // A version that no record has: what may be done is found out, and nothing is done.
    if root.arguments.iter().any(|argument| argument.name.node == "expectedVersion") {
        arguments.insert("expectedVersion".to_owned(), json!(999_999));
    }
    let selection = match root.kind {
        Kind::Mutation => world::outcome(surface, root),
        Kind::Query | Kind::Subscription => surface.selection(&root.answer, 0, None),
    };
    let errors = if root.kind == Kind::Subscription {
        subscribe(surface, session, root, &arguments).await
    } else {
        let answer = world::call(surface, session, root, &arguments, &selection).await;
        answer.body["errors"].as_array().cloned().unwrap_or_default()
    };
    let Some(error) = errors.first() else { return Ok("yes".to_owned()) };
    let extensions = &error["extensions"];
    match extensions["code"].as_str().unwrap_or_default() {
        "FORBIDDEN" => Ok(extensions["requiredPermission"].as_str().unwrap_or("FORBIDDEN").to_owned()),
        "UNAUTHENTICATED" => Ok("log in".to_owned()),
        code if ALLOWED.contains(&(root.name.as_str(), code)) => Ok("yes".to_owned()),
        code => Err(format!(
            "`{}` was answered with {code}: {error}\narguments: {arguments:?}\nsay what fits in `special` of \
             tests/it/policy/surface.rs, or that {code} is an answer in ALLOWED of tests/it/policy/permission_matrix.rs",
            root.name
        )),
    }
}

/// The errors with which a subscription ends at once; none when it goes on.
async fn subscribe(surface: &Surface, session: &Session, root: &Root, arguments: &Map<String, Value>) -> Vec<Value> {
    let document = surface.document(root, arguments, &surface.selection(&root.answer, 0, None));
    let mut stream = session.stream_with(&document, Value::Object(arguments.clone())).await;
    let first = tokio::time::timeout(Duration::from_secs(1), stream.next()).await;
    first.ok().flatten().and_then(|event| event["errors"].as_array().cloned()).unwrap_or_default()
}

/// Whether a root that reads one record or a list shows a record that is another's; `None` for other roots.
async fn scope(surface: &Surface, session: &Session, root: &Root, ids: &Ids) -> Option<bool> {
    if root.kind != Kind::Query || root.name.starts_with('_') {
        return None;
    }
    let (arguments, selection) = if surface.is_connection(&root.answer) {
        let arguments = json!({ "first": 100 }).as_object().cloned().unwrap();
        (arguments, "{ edges { node { id } } }".to_owned())
    } else {
        let places = surface.places(root, 0);
        places.iter().find(|place| place.record.is_some())?;
        let values = Values { ids, marker: None, target: None, without: &[] };
        (surface.arguments(root, &values)?, surface.selection(&root.answer, 1, None))
    };
    let listed = if surface.is_connection(&root.answer) {
        surface.record_of(&surface.listed(&root.answer))
    } else {
        surface.record_of(&root.name)
    };
    let id = ids.get(&listed.unwrap_or_else(|| "customer".to_owned()))?;
    let answer = world::call(surface, session, root, &arguments, &selection).await;
    let data = &answer.body["data"][&root.name];
    // Objects without an id of their own show something, or nothing.
    let shown =
        data.to_string().contains(id.as_str()) || data["__typename"].is_string() || data[0]["__typename"].is_string();
    Some(shown)
}

fn compare(text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots/permission_matrix.txt");
    if std::env::var_os("RAPPORT_UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let changed: Vec<String> = text
        .lines()
        .filter(|line| !committed.lines().any(|of| of == *line))
        .map(|line| format!("+ {line}"))
        .chain(committed.lines().filter(|line| !text.lines().any(|of| of == *line)).map(|line| format!("- {line}")))
        .collect();
    assert!(
        committed == text,
        "who may call what has changed:\n{}\nIf that is meant, run this test with RAPPORT_UPDATE_SNAPSHOTS=1 and commit \
         tests/snapshots/permission_matrix.txt",
        changed.join("\n")
    );
}
