//! What an answer costs: every list, every relation of its rows, and everything that can be read by an id takes a fixed
//! number of SQL statements, whatever the data.
//!
//! The numbers are in `tests/snapshots/statements.txt`, for people to read, and the same on both engines. Each was
//! counted with one row and with many. When they change on purpose, write them anew with `RAPPORT_UPDATE_SNAPSHOTS=1`.

use std::{fmt::Write, path::Path};

use serde_json::{Value, json};

use super::{
    surface::{Kind, Relation, Surface, pascal},
    world::{self, Ids},
};
use crate::{on_both_engines, support::Session};

/// Queries that read no records, with the reason.
const WITHOUT_RECORDS: &[(&str, &str)] = &[
    ("_service", "the text of the schema"),
    ("permissions", "a list in the program"),
    ("emailTemplatePreview", "what was sent, filled with made-up values"),
    ("tenant", "from the master database, for platform administrators"),
    ("tenants", "from the master database, for platform administrators"),
    ("recurringJobs", "from the master database, for platform administrators"),
    ("jobs", "from the master database, for platform administrators"),
    ("jobThroughput", "from the master database, for platform administrators"),
    ("workQueues", "from the master database, for platform administrators"),
];

/// No answer takes more statements than this.
const MOST: u32 = 25;

/// Lists below rows that have one element at most in this world, with the reason.
const SHORT: &[(&str, &str)] = &[
    ("webhooks.deliveries", "a new webhook has its ping and nothing more"),
    ("webhookDeliveries.attempts", "attempts are made by the worker, which does not run here"),
];

/// A question whose statements are counted.
struct Ask {
    label: String,
    query: String,
    variables: Value,
    /// The relation to many that must have more than one element somewhere, so that the count means something.
    list: Option<String>,
}

on_both_engines! {
    async fn every_answer_takes_a_fixed_number(app: TestApp) {
        let surface = Surface::read();
        let tenant = app.tenant("acme").await;
        let first = world::plant(&surface, &tenant.admin, &tenant.admin, "FEW").await;
        world::about_each_type(&surface, &tenant.admin, &first).await;
        let asks = asks(&surface, std::slice::from_ref(&first));
        let few = count_all(&tenant.admin, &asks).await;

        // A deal that was closed and opened again has moved.
        for name in ["opportunityWin", "opportunityReopen", "opportunityWin", "opportunityReopen"] {
            let root = surface.roots().into_iter().find(|root| root.name == name).unwrap();
            world::perform(&surface, &tenant.admin, &root, &first, None).await.unwrap();
        }
        let mut worlds = vec![first.clone()];
        for _ in 0..2 {
            worlds.push(world::plant_on(&surface, &tenant.admin, &tenant.admin, "MANY", &first).await);
            world::about_each_type(&surface, &tenant.admin, &first).await;
            let roots = surface.roots();
            for record in surface.records() {
                let Some(maker) = world::maker(&roots, &record) else { continue };
                let made = world::make(&surface, &tenant.admin, maker, &first, "MANY").await;
                made.unwrap_or_else(|error| panic!("{}: {error}", maker.name));
            }
        }
        let asks = self::asks(&surface, &worlds);
        let many = count_all(&tenant.admin, &asks).await;

        let mut wrong = Vec::new();
        let mut text = String::from(
            "How many SQL statements an answer takes, with one row and with many, on SQLite and on PostgreSQL alike.\n\
             `.*`: with everything that the related records lead to, two levels below the list.\n\
             Written by tests/it/policy/statements.rs (RAPPORT_UPDATE_SNAPSHOTS=1).\n\n",
        );
        for (ask, ((few, _), (many, longest))) in asks.iter().zip(few.iter().zip(&many)) {
            writeln!(text, "{:64}{many}", ask.label).unwrap();
            if few != many {
                wrong.push(format!("{}: {few} statements with few rows, {many} with many", ask.label));
            }
            if *many > MOST {
                wrong.push(format!("{}: {many} statements", ask.label));
            }
            let short = ask.list.is_some() && *longest < 2 && !SHORT.iter().any(|(label, _)| *label == ask.label);
            if short {
                wrong.push(format!("{}: never more than {longest} in the list, so the count proves nothing", ask.label));
            }
        }
        assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
        compare(&text);
    }
}

/// Everything that can be asked: every list, every relation of its rows, the relations below them, and each record.
fn asks(surface: &Surface, worlds: &[Ids]) -> Vec<Ask> {
    let mut asks = Vec::new();
    let mut add = |label: String, query: String, variables: Value, list: Option<String>| {
        asks.push(Ask { label, query, variables, list });
    };
    for root in surface.roots().into_iter().filter(|root| root.kind == Kind::Query) {
        let name = &root.name;
        if WITHOUT_RECORDS.iter().any(|(of, _)| of == name) {
            continue;
        }
        let ids: Vec<(String, String)> = worlds
            .iter()
            .flat_map(Clone::clone)
            .filter(|(record, _)| !matches!(record.as_str(), "tenant" | "job"))
            .collect();
        if surface.is_connection(&root.answer) {
            let listed = surface.listed(&root.answer);
            let rows = surface.selection(&root.answer, 0, None);
            add(name.clone(), format!("{{ {name}(first: 50) {rows} }}"), json!({}), Some(name.clone()));
            for relation in surface.relations(&listed) {
                for (suffix, depth) in [("", 0), (".*", 1)] {
                    let below = below(surface, &relation, depth);
                    let page = if depth == 0 { 50 } else { 10 };
                    let query = format!("{{ {name}(first: {page}) {{ edges {{ node {{ id {below} }} }} }} }}");
                    let list = (relation.many && depth == 0).then(|| relation.name.clone());
                    add(format!("{name}.{}{suffix}", relation.name), query, json!({}), list);
                }
            }
        } else if name == "node" {
            for (record, id) in worlds[0].iter().filter(|(record, _)| !matches!(record.as_str(), "tenant" | "job")) {
                let ty = pascal(record);
                let query = format!(
                    "query($id: ID!) {{ node(id: $id) {{ ... on {ty} {} }} }}",
                    surface.selection(&ty, 0, None)
                );
                add(format!("node: {ty}"), query, json!({ "id": id }), None);
            }
        } else if name == "nodes" {
            let some: Vec<&String> = ids.iter().map(|(_, id)| id).collect();
            let query = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }".to_owned();
            add("nodes: one of each type".to_owned(), query, json!({ "ids": some }), None);
        } else if name == "_entities" {
            let mut of_all = Vec::new();
            let mut fragments = String::new();
            for record in worlds[0].keys().filter(|record| !matches!(record.as_str(), "tenant" | "job")) {
                let ty = pascal(record);
                let of: Vec<Value> = ids
                    .iter()
                    .filter(|(other, _)| other == record)
                    .map(|(_, id)| json!({ "__typename": ty, "id": id }))
                    .collect();
                let query = format!(
                    "query($of: [_Any!]!) {{ _entities(representations: $of) {{ ... on {ty} {} }} }}",
                    surface.selection(&ty, 0, None)
                );
                add(format!("_entities: {ty}"), query, json!({ "of": &of }), None);
                of_all.extend(of);
                write!(fragments, " ... on {ty} {{ id }}").unwrap();
            }
            let query =
                format!("query($of: [_Any!]!) {{ _entities(representations: $of) {{ __typename {fragments} }} }}");
            add("_entities: of every type".to_owned(), query, json!({ "of": of_all }), None);
        } else if root.arguments.is_empty() {
            add(name.clone(), format!("{{ {name} {} }}", surface.selection(&root.answer, 1, None)), json!({}), None);
        } else {
            let record = surface
                .record_of(name)
                .unwrap_or_else(|| panic!("how is {name} asked? Say it in `asks` of tests/it/policy/statements.rs"));
            let id = worlds[0].get(&record).unwrap_or_else(|| panic!("no {record} was planted"));
            let variables = json!({ "id": id });
            let whole = |depth| {
                format!(
                    "query($id: ID!) {{ {name}(id: $id) {} }}",
                    surface.selection(&root.answer, depth, Some("Customer"))
                )
            };
            add(name.clone(), whole(0), variables.clone(), None);
            add(format!("{name}.*"), whole(1), variables.clone(), None);
            add(format!("{name}.*.*"), whole(2), variables.clone(), None);
            if !surface.is_record(&root.answer) {
                for block in surface.fields(&root.answer) {
                    let block = block.name.node.as_str();
                    let of_block = surface.field_selection(&root.answer, block, 1, Some("Customer"));
                    let query = format!("query($id: ID!) {{ {name}(id: $id) {{ {of_block} }} }}");
                    add(format!("{name}.{block}"), query, variables.clone(), None);
                }
            }
        }
    }
    asks
}

/// A relation as it is asked for.
fn below(surface: &Surface, relation: &Relation, depth: usize) -> String {
    let Relation { name, many, target } = relation;
    let several = !surface.is_record(target);
    let rows = if several {
        let fragments: Vec<String> = surface.members(target).iter().map(|ty| format!("... on {ty} {{ id }}")).collect();
        format!("{{ __typename {} }}", fragments.join(" "))
    } else {
        surface.selection(target, depth, Some("Customer"))
    };
    if *many {
        format!("{name}(first: 5) {{ totalCount edges {{ cursor node {rows} }} }}")
    } else {
        format!("{name} {rows}")
    }
}

/// The statements of each answer, and the length of the longest list of the relation in question.
async fn count_all(session: &Session, asks: &[Ask]) -> Vec<(u32, usize)> {
    let mut counts = Vec::new();
    for ask in asks {
        let answer = session.send(&ask.query, ask.variables.clone()).await;
        assert_eq!(answer.body.get("errors"), None, "{}: {}\n{:.600}", ask.label, ask.query, answer.body);
        let longest = ask.list.as_ref().map_or(0, |list| longest(&answer.body["data"], list));
        counts.push((answer.statements.expect("the header with the statements"), longest));
    }
    counts
}

fn longest(value: &Value, list: &str) -> usize {
    match value {
        Value::Object(fields) => {
            let own = fields.get(list).and_then(|list| list["edges"].as_array()).map_or(0, Vec::len);
            fields.values().map(|value| longest(value, list)).max().unwrap_or_default().max(own)
        }
        Value::Array(values) => values.iter().map(|value| longest(value, list)).max().unwrap_or_default(),
        _ => 0,
    }
}

fn compare(text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots/statements.txt");
    if std::env::var_os("RAPPORT_UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let lacks = |text: &str, line: &str| !text.lines().any(|of| of == line);
    let added = text.lines().filter(|line| lacks(&committed, line)).map(|line| format!("+ {line}"));
    let gone = committed.lines().filter(|line| lacks(text, line)).map(|line| format!("- {line}"));
    let changed: Vec<String> = added.chain(gone).collect();
    assert!(
        committed == text,
        "what answers take has changed:\n{}\nIf that is meant, run this test with RAPPORT_UPDATE_SNAPSHOTS=1 and commit \
         tests/snapshots/statements.txt",
        changed.join("\n")
    );
}
