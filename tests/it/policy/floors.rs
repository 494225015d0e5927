//! Imports go down only, `data` alone names a database connection, areas do not reach up, and files stay small.

use super::source::{self, Source, names, paths};

/// The floors of the house, from the ground up. A module may import its own floor and those below it.
const FLOORS: [&[&str]; 9] = [
    &["config", "clock", "error", "failpoint", "logging", "metrics"],
    &["condition", "auth"],
    &["data"],
    &["integrations"],
    &["jobs", "events"],
    &["services"],
    &["graphql"],
    &["app"],
    &["cli", "http"],
];

/// The areas, from the ground up. A service may use its own area's and those below it.
const AREAS: [&str; 7] = ["identity", "sales", "support", "marketing", "automation", "insight", "demo"];

/// The types with which one can reach a database.
const CONNECTIONS: [&str; 7] = [
    "ConnectionTrait",
    "DatabaseConnection",
    "DatabaseTransaction",
    "DbConn",
    "Statement",
    "StreamTrait",
    "TransactionTrait",
];

/// From this many lines on, a file holds more than one thing.
const MOST_LINES: usize = 800;

/// Files that may be longer, each with the reason. Split one rather than add to this list.
const LONG_FILES: [(&str, &str); 0] = [];

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

fn area(module: &str) -> Option<usize> {
    AREAS.iter().position(|area| *area == module)
}

/// What is wrong with the imports of a file.
fn complaints(source: &Source) -> Vec<String> {
    // main.rs and lib.rs stand above everything.
    let Some(own) = source.module.first() else { return Vec::new() };
    let code = source.code();
    let file = &source.path;
    let Some(own_floor) = floor(own) else {
        return vec![format!("{file}: `{own}` has no floor; give it one in FLOORS of tests/it/policy/floors.rs")];
    };
    let mut found = Vec::new();
    for path in paths(&code, &source.module) {
        let name = path.join("::");
        let Some(used) = path.first() else { continue };
        // A path that is no module of ours (`crate::Thing`, re-exported by lib.rs) has no floor.
        if floor(used).is_some_and(|used| used > own_floor) {
            found.push(format!(
                "{file} names crate::{name}, but `{used}` stands above `{own}`: imports go down only. Move what is \
                 needed down, pass it in as an argument or a trait, or raise an event that the upper floor hears"
            ));
        }
        let areas = source.module.get(1).and_then(|own| area(own)).zip(path.get(1).and_then(|used| area(used)));
        if own == "services" && used == "services" && areas.is_some_and(|(own, used)| used > own) {
            found.push(format!(
                "{file} names crate::{name}, an area above its own ({}): raise an event that the upper area consumes",
                AREAS.join(" ← ")
            ));
        }
    }
    if own != "data" {
        found.extend(CONNECTIONS.iter().filter(|name| names(&code, name)).map(|name| {
            format!(
                "{file} names {name}, but only `data` reaches a database: ask it to find or to write (TenantDb::find, \
                 TenantDb::write)"
            )
        }));
    }
    found
}

#[test]
fn imports_go_down_only_and_data_alone_names_a_connection() {
    let found: Vec<_> = source::all().iter().flat_map(complaints).collect();
    assert!(found.is_empty(), "{} imports break the rules of the house:\n\n{}\n", found.len(), found.join("\n\n"));
}

#[test]
fn files_stay_small() {
    let long: Vec<_> = source::all()
        .iter()
        .map(|source| (source.path.clone(), source.text.lines().count()))
        .filter(|(path, lines)| *lines > MOST_LINES && !LONG_FILES.iter().any(|(allowed, _)| allowed == path))
        .map(|(path, lines)| format!("{path}: {lines} lines"))
        .collect();
    assert!(
        long.is_empty(),
        "files over {MOST_LINES} lines hold more than one thing; split them:\n{}",
        long.join("\n")
    );
    for (path, reason) in LONG_FILES {
        let lines = std::fs::read_to_string(path).map_or(0, |text| text.lines().count());
        assert!(lines > MOST_LINES, "{path} ({reason}) is short now; take it from LONG_FILES");
    }
}

#[test]
fn each_kind_of_breach_is_found() {
    let found = |path: &str, code: &str| complaints(&Source::new(path, code));
    assert_eq!(found("src/data/find.rs", "use crate::{auth::Actor, services::sales::lead};").len(), 1);
    assert_eq!(found("src/services/sales/lead.rs", "fn f() { crate::graphql::kit::x() }").len(), 1);
    assert_eq!(found("src/services/sales/lead.rs", "use super::super::support::ticket;").len(), 1);
    assert_eq!(found("src/graphql/sales/lead.rs", "use sea_orm::{ConnectionTrait, EntityTrait};").len(), 1);
    assert_eq!(found("src/novelty.rs", "").len(), 1);

    for (path, code) in [
        ("src/services/support/ticket.rs", "use crate::{data::TenantDb, services::sales::customer};"),
        ("src/data/engine.rs", "use sea_orm::{ConnectionTrait, DatabaseConnection};"),
        ("src/graphql/insight/timeline.rs", "use crate::graphql::support::ticket; struct StatementOfAccount;"),
        ("src/main.rs", "use rapport::cli;"),
    ] {
        assert_eq!(found(path, code), Vec::<String>::new());
    }
}
