//! The bounds on documents: what must be refused at once, and what must not be refused.

use std::{
    fmt::Write as _,
    sync::LazyLock,
    time::{Duration, Instant},
};

use async_graphql::{Request, Variables, value};
use rapport::graphql::limits::{Admission, Documents, Limits, Refusal};

use super::toy::{Server, schema};

/// The CPU time that a refusal may take. The parser is about ten times slower in a build that is not optimised.
const REFUSED_WITHIN: Duration = Duration::from_millis(if cfg!(debug_assertions) { 300 } else { 50 });

/// The CPU time of this thread so far, whatever else runs on the machine; the time of day where no system tells it.
fn cpu_time() -> Duration {
    static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = statistics.and_then(|text| text.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| STARTED.elapsed(), Duration::from_nanos)
}

/// Which of two bounds is met first depends on the order in which fragments are measured.
const EITHER: &str = "COMPLEXITY_EXCEEDED DEPTH_EXCEEDED";

fn documents() -> Documents {
    Documents::new(&schema().sdl(), Limits::default()).unwrap()
}

fn admit(query: &str) -> Result<Admission, Refusal> {
    documents().admit(&mut Request::new(query))
}

fn cost(query: &str, variables: async_graphql::Value) -> u64 {
    let mut request = Request::new(query).variables(Variables::from_value(variables));
    documents().admit(&mut request).unwrap().cost.requested
}

/// Fragments that each spread the next one twice.
fn doubling(levels: usize) -> String {
    let mut query = "{ customers { nodes { ...F0 } } }".to_owned();
    for level in 0..levels {
        let next = level + 1;
        write!(query, " fragment F{level} on Customer {{ ...F{next} ...F{next} }}").unwrap();
    }
    write!(query, " fragment F{levels} on Customer {{ id }}").unwrap();
    query
}

#[test]
fn bombs_are_refused_at_once() {
    let repeated = |count: usize, part: &dyn Fn(usize) -> String| (0..count).map(part).collect::<String>();
    let nested = |open: &str, close: &str, count: usize| format!("{}{}", open.repeat(count), close.repeat(count));
    let bombs: Vec<(&str, String, &str)> = vec![
        ("fragments that double", doubling(20), "COMPLEXITY_EXCEEDED"),
        ("many fragments that double", doubling(28), "COMPLEXITY_EXCEEDED"),
        ("fragments deeper than the limit", doubling(90), EITHER),
        ("too many fragments", doubling(120), "COMPLEXITY_EXCEEDED"),
        (
            "fragments that double below fields",
            (0..9).fold("{ customers { nodes { ...F0 } } }".to_owned(), |mut query, level| {
                let next = level + 1;
                write!(query, " fragment F{level} on Customer {{ a: parent {{ ...F{next} }} b: parent {{ ...F{next} }} }}")
                    .unwrap();
                query
            }) + " fragment F9 on Customer { id name status }",
            "COMPLEXITY_EXCEEDED",
        ),
        ("a bomb in a fragment nobody uses", doubling(20).replacen("...F0", "id", 1), "COMPLEXITY_EXCEEDED"),
        ("10,000 aliases", format!("{{{}}}", repeated(10_000, &|n| format!(" a{n}: hello"))), "COMPLEXITY_EXCEEDED"),
        ("101 aliases", format!("{{ customers {{ nodes {{{}}} }} }}", repeated(101, &|n| format!(" a{n}: id"))), "COMPLEXITY_EXCEEDED"),
        ("10,000 directives", format!("{{ hello {} }}", "@skip(if: false) ".repeat(10_000)), "COMPLEXITY_EXCEEDED"),
        ("101 directives", format!("{{ hello {} }}", "@a ".repeat(101)), "COMPLEXITY_EXCEEDED"),
        ("1,000 logins", format!("mutation {{{}}}", repeated(1_000, &|n| format!(" a{n}: rename(name: \"x\")"))), "COMPLEXITY_EXCEEDED"),
        ("21 root fields", format!("mutation {{{}}}", repeated(21, &|n| format!(" a{n}: rename(name: \"x\")"))), "COMPLEXITY_EXCEEDED"),
        (
            "root fields behind fragments",
            format!("{{ ...F ...F ...F }} fragment F on Query {{{}}}", repeated(7, &|n| format!(" a{n}: hello"))),
            "COMPLEXITY_EXCEEDED",
        ),
        ("31 arguments", format!("{{ hello({}) }}", repeated(31, &|n| format!(" a{n}: 1"))), "COMPLEXITY_EXCEEDED"),
        ("a fragment in itself", "{ ...A } fragment A on Query { ...A }".to_owned(), "GRAPHQL_VALIDATION_FAILED"),
        (
            "a cycle of fragments",
            "{ hello } fragment A on Query { ...B } fragment B on Query { ... { ...C } } fragment C on Query { ...A }"
                .to_owned(),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ("deep selections", format!("{{ customers {{ nodes {} }} }}", nested("{ parent ", "}", 11).replace("parent }", "parent { id } }")), "DEPTH_EXCEEDED"),
        ("brackets without end", "{a".repeat(30_000), "DEPTH_EXCEEDED"),
        ("lists without end", format!("{{ echo(value: {}", "[".repeat(60_000)), "DEPTH_EXCEEDED"),
        ("a type without end", format!("query($a: {}Int) {{ hello }}", "[".repeat(60_000)), "DEPTH_EXCEEDED"),
        ("inline fragments without end", format!("{{ {} hello {} }}", "... {".repeat(40), "}".repeat(40)), "DEPTH_EXCEEDED"),
        ("1 MiB of spaces", format!("{{ hello {} }}", " ".repeat(1024 * 1024)), "COMPLEXITY_EXCEEDED"),
        ("64 KiB of spaces and no end", format!("{{ hello {}", " ".repeat(63 * 1024)), "GRAPHQL_PARSE_FAILED"),
        ("64 KiB of comment and no end", format!("{{ hello #{}", "#".repeat(63 * 1024)), "GRAPHQL_PARSE_FAILED"),
        ("a long string and no end", format!("{{ hello(name: \"{}", "\\\"".repeat(30_000)), "GRAPHQL_PARSE_FAILED"),
        ("nearly 5,000 tokens and no end", format!("{{ {}", "hello ".repeat(4_990)), "GRAPHQL_PARSE_FAILED"),
        ("nearly 5,000 tokens of arguments", format!("{{ {} $ }}", "a(b:{c:[1,2]}) ".repeat(360)), "GRAPHQL_PARSE_FAILED"),
        (
            "introspection that multiplies",
            "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }".to_owned(),
            "DEPTH_EXCEEDED",
        ),
        (
            "introspection that multiplies behind fragments",
            "{ __schema { types { ...T } } } fragment T on __Type { fields { type { ...U } } } \
             fragment U on __Type { fields { name } }"
                .to_owned(),
            "DEPTH_EXCEEDED",
        ),
        (
            "introspection over and over",
            format!("{{ __schema {{ types {{ {} }} }} }}", repeated(31, &|n| format!(" a{n}: fields {{ name }}"))),
            "COMPLEXITY_EXCEEDED",
        ),
        ("pages of pages", "{ customers(first: 100) { nodes { contacts(first: 100) { nodes { contacts(first: 100) { nodes { id } } } } } } }".to_owned(), "COMPLEXITY_EXCEEDED"),
        ("two roots of a subscription", "subscription { counter(to: 1) waiting }".to_owned(), "GRAPHQL_VALIDATION_FAILED"),
        ("two roots of a subscription in a fragment", "subscription { ...F } fragment F on Events { counter(to: 1) waiting }".to_owned(), "GRAPHQL_VALIDATION_FAILED"),
    ];
    let documents = documents();
    for (name, bomb, code) in bombs {
        let attempt = || {
            let started = cpu_time();
            let refusal = documents.admit(&mut Request::new(bomb.as_str())).expect_err(name);
            assert!(code.split(' ').any(|code| code == refusal.code), "{name}: {refusal:?}");
            assert!(refusal.message.len() < 500, "{name}");
            cpu_time().saturating_sub(started)
        };
        let fastest = (0..5).map(|_| attempt()).min().unwrap();
        assert!(fastest < REFUSED_WITHIN, "{name}: {fastest:?}");
    }
}

#[test]
fn a_variable_is_not_copied_a_million_times() {
    let many: Vec<async_graphql::Value> = (0..5_000).map(|n| value!({ "name": n })).collect();
    let query = "query($w: CustomerWhere) { customers(first: 100) { nodes { contacts(first: 10) { nodes { id } } } }
        nodes(ids: [1]) { id } }";
    assert!(cost(query, value!({ "w": { "and": many.clone() } })) > 0, "not used, not counted");
    let nested =
        "query($v: JSON!) { a: echo(value: $v) customers(first: 100) { nodes { again(value: $v, other: [$v]) } } }";
    let mut request = Request::new(nested).variables(Variables::from_value(value!({ "v": many.clone() })));
    let refusal = documents().admit(&mut request).unwrap_err();
    assert_eq!(refusal.code, "COMPLEXITY_EXCEEDED", "{}", refusal.message);
}

#[test]
fn ordinary_documents_pass() {
    for query in [
        "{ hello }",
        "query Q { hello } fragment F on Customer { id }",
        "{ ...F ...F } fragment F on Query { hello }",
        "{ customers { edges { cursor node { parent { parent { parent { parent { parent { name } } } } } } } } }",
        "subscription { counter(to: 3) }",
        "{ __typename __schema { queryType { name } } }",
    ] {
        admit(query).unwrap_or_else(|refusal| panic!("{query}: {}", refusal.message));
    }
}

/// A document over each kind of bound, and the code that refuses it: the same on every way in.
pub fn over_the_bounds() -> Vec<(String, &'static str)> {
    let aliases: String = (0..101).map(|number| format!(" a{number}: id")).collect();
    let costly = "{ customers(first: 100) { nodes { contacts(first: 100) { nodes { contacts { nodes { id } } } } } } }";
    vec![
        (doubling(20), "COMPLEXITY_EXCEEDED"),
        (format!("{{ customers {{ nodes {{{aliases}}} }} }}"), "COMPLEXITY_EXCEEDED"),
        (format!("{{ hello {} }}", "@a ".repeat(101)), "COMPLEXITY_EXCEEDED"),
        (costly.to_owned(), "COMPLEXITY_EXCEEDED"),
        ("{a".repeat(40), "DEPTH_EXCEEDED"),
        ("{ ...A } fragment A on Query { ...A }".to_owned(), "GRAPHQL_VALIDATION_FAILED"),
    ]
}

#[tokio::test]
async fn the_bounds_hold_by_post_and_by_get() {
    let server = Server::start().await;
    for (query, code) in over_the_bounds() {
        let text: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let get = server.client.get(server.url(&format!("/graphql?query={text}"))).send().await.unwrap();
        let get: serde_json::Value = serde_json::from_str(&get.text().await.unwrap()).unwrap();
        for answer in [get, server.ask(&query).await] {
            assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{query:.100}");
        }
    }
}

/// What GraphiQL and every code generator ask first.
pub const INTROSPECTION: &str = include_str!("introspection.graphql");

#[tokio::test]
async fn the_standard_introspection_passes_and_answers() {
    let server = Server::start().await;
    let answer = server.ask(INTROSPECTION).await;
    assert!(answer.get("errors").is_none(), "{}", answer["errors"]);
    assert!(answer["data"]["__schema"]["types"].as_array().unwrap().len() > 10);
}

#[test]
fn the_cost_follows_its_formula() {
    let none = value!({});
    for (query, expected) in [
        ("{ hello }", 1),
        ("{ a: hello b: hello __typename }", 3),
        // customers + totalCount + 20 × (row + id)
        ("{ customers { totalCount nodes { id } } }", 2 + 20 * 2),
        ("{ customers(first: 5) { nodes { id name } } }", 1 + 5 * 3),
        ("{ customers(last: 5) { edges { cursor node { id } } } }", 1 + 5 * 4),
        ("{ customers(first: 1000) { nodes { id } } }", 1 + 100 * 2),
        ("{ customers(first: 0) { nodes { id } pageInfo { hasNextPage } } }", 3),
        ("{ customers(first: 2) { nodes { contacts(first: 3) { nodes { id } } } } }", 1 + 2 * (1 + 1 + 3 * 2)),
        ("{ customers(first: 10) { totalCount nodes { name contacts(first: 5) { nodes { id } } } } }", 132),
        ("{ customers(first: 2) { nodes { tags { label } } } }", 1 + 2 * (1 + 10 * 2)),
        ("{ nodes(ids: [1, 2, 3]) { id name } }", 3 * 3),
        ("{ customers(first: 5) { ...C } } fragment C on CustomerConnection { nodes { id } totalCount }", 2 + 5 * 2),
        ("{ customers(first: 5) { ... on CustomerConnection { nodes { ... { id } } } } }", 1 + 5 * 2),
        ("{ hello @skip(if: true) customers @include(if: false) { nodes { id } } }", 0),
        ("{ __schema { types { name } } __type(name: \"Query\") { name } }", 2),
        ("{ _entities(representations: [1, 2]) { ... on Customer { id } } }", 2 * 2),
        ("mutation { rename(name: \"x\") }", 1),
    ] {
        assert_eq!(cost(query, none.clone()), expected, "{query}");
    }
}

#[test]
fn the_cost_reads_variables_and_their_defaults() {
    let query = "query($n: Int = 7, $detail: Boolean = false, $ids: [Int!]! = [1, 2]) {
        customers(first: $n) { nodes { id name @include(if: $detail) } } nodes(ids: $ids) { id } }";
    assert_eq!(cost(query, value!({})), 1 + 7 * 2 + 2 * 2);
    assert_eq!(cost(query, value!({ "n": 10, "detail": true, "ids": [1] })), 1 + 10 * 3 + 2);
    let costly = "query($n: Int = 100) { customers(first: $n) { nodes { contacts(first: $n) { nodes {
        contacts(first: $n) { nodes { id } } } } } } }";
    let refusal = admit(costly).unwrap_err();
    assert_eq!(refusal.cost.unwrap().requested, 1 + 100 * (1 + 1 + 100 * (1 + 1 + 100 * 2)));
    assert_eq!(cost(costly, value!({ "n": 2 })), 1 + 2 * (1 + 1 + 2 * (1 + 1 + 2 * 2)));
}

#[test]
fn required_variables_are_required() {
    let query = "query($id: ID!, $name: String! = \"x\", $other: Int) { hello }";
    let with = |variables| documents().admit(&mut Request::new(query).variables(Variables::from_value(variables)));
    assert!(with(value!({ "id": "1" })).is_ok());
    for wrong in [value!({}), value!({ "id": null }), value!({ "id": "1", "name": null })] {
        assert_eq!(with(wrong).unwrap_err().code, "BAD_USER_INPUT");
    }
}

#[test]
fn an_operation_is_chosen_by_name() {
    let choose = |query: &str, name: Option<&str>| {
        let mut request = Request::new(query);
        request.operation_name = name.map(ToOwned::to_owned);
        documents().admit(&mut request).map(|admission| admission.operation_name).map_err(|refusal| refusal.code)
    };
    let two = "query A { hello } mutation B { rename(name: \"x\") }";
    assert_eq!(choose(two, Some("B")), Ok(Some("B".to_owned())));
    assert_eq!(choose("query A { hello }", None), Ok(Some("A".to_owned())));
    assert_eq!(choose("{ hello }", None), Ok(None));
    for (query, name) in [(two, None), (two, Some("C")), ("{ hello }", Some("A")), ("query A { hello }", Some(""))] {
        assert_eq!(choose(query, name), Err("BAD_USER_INPUT"), "{query} {name:?}");
    }
}

#[tokio::test]
async fn defaults_of_variables_decide_what_is_included() {
    let server = Server::start().await;
    let query = "query($yes: Boolean! = true, $no: Boolean = false) {
        a: hello @include(if: $yes) b: hello @include(if: $no) c: hello @skip(if: $yes) d: hello @skip(if: $no) }";
    let answer = server.ask(query).await;
    let keys: Vec<&String> = answer["data"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["a", "d"], "{answer}");
    let answer = server.post(serde_json::json!({ "query": query, "variables": { "yes": false, "no": true } })).await;
    let answer: serde_json::Value = answer.json().await.unwrap();
    let keys: Vec<&String> = answer["data"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["b", "c"], "{answer}");
}

#[tokio::test]
async fn answers_tell_their_cost() {
    let server = Server::start().await;
    let answer = server.ask("{ customers(first: 3) { nodes { id } } }").await;
    assert_eq!(answer["extensions"]["cost"], serde_json::json!({ "requested": 7, "max": 50_000 }));
    let answer = server
        .ask("{ customers(first: 99) { nodes { contacts(first: 99) { nodes { contacts { nodes { id } } } } } } }")
        .await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "COMPLEXITY_EXCEEDED");
    assert!(answer["extensions"]["cost"]["requested"].as_u64().unwrap() > 50_000);
    assert!(answer.get("data").is_none());
}

#[tokio::test]
async fn documents_within_the_bounds_are_validated_quickly() {
    // As large as the bounds allow, and as unfriendly to the validator's rules.
    let schema = schema();
    let documents = documents();
    let shared = |spreads: usize| {
        let fields = "id name status tags { label } ".repeat(30);
        format!(
            "{{ customers(first: 1) {{ nodes {{ {} }} }} }} fragment F on Customer {{ {fields} }}",
            "...F ".repeat(spreads)
        )
    };
    let conflicts = format!(
        "{{ customers(first: 1) {{ nodes {{ {} }} }} }}",
        (0..99).map(|n| format!(" x: f{n}(a: 1, b: 2, c: 3, d: 4, e: 5)")).collect::<String>()
    );
    for (name, query) in [("shared fragments", shared(40)), ("conflicts", conflicts)] {
        let mut request = Request::new(query.as_str());
        documents.admit(&mut request).unwrap_or_else(|refusal| panic!("{name}: {}", refusal.message));
        let started = Instant::now();
        let _ = schema.execute(request).await;
        assert!(started.elapsed() < Duration::from_secs(3), "{name}: {:?}", started.elapsed());
    }
}
