//! What bad input gets: an error with a code, whatever the input and wherever it is put. Never a 500, never a panic, and
//! nothing of what is inside.

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Map, Value, json};

use super::{
    surface::{Kind, Place, Root, Surface, Values},
    world,
};
use crate::{on_both_engines, support::Session};

/// How many hostile values are thrown at each engine.
const CASES: usize = 900;

/// What no answer may hold.
const INSIDE: &[&str] = &[
    "sqlx",
    "SELECT ",
    "INSERT INTO",
    "UPDATE \\\"",
    "/src/",
    ".rs:",
    "panicked",
    "PRAGMA",
    "sea_orm",
    "SQLSTATE",
    "syntax error at or near",
    "UNIQUE constraint",
    "violates",
    "INTERNAL_SERVER_ERROR",
];

on_both_engines! {
    /// Random hostile values at random places: the same in every run.
    async fn hostile_values_at_every_argument(app: TestApp) {
        let surface = Surface::read();
        let tenant = app.tenant("acme").await;
        let ids = world::plant(&surface, &tenant.admin, &tenant.admin, "Planted").await;
        let mut places: Vec<(Root, Place)> = Vec::new();
        for root in surface.roots().into_iter().filter(|root| root.kind != Kind::Subscription) {
            places.extend(surface.places(&root, 1).into_iter().map(|place| (root.clone(), place)));
        }
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let chosen = (any::<prop::sample::Index>(), hostile());
        let mut wrong = Vec::new();
        for case in 0..CASES {
            let (index, value) = chosen.new_tree(&mut runner).unwrap().current();
            // Every place has its turn before any has a second one.
            let at = if case < places.len() { (case * 7919) % places.len() } else { index.index(places.len()) };
            let (root, place) = &places[at];
            let values = Values { ids: &ids, marker: None, target: Some((place.path.as_slice(), &value)), without: &[] };
            let Some(arguments) = surface.arguments(root, &values) else { continue };
            let selection = surface.selection(&root.answer, 0, Some("Customer"));
            wrong.extend(trouble(&surface, &tenant.admin, root, &arguments, &selection).await);
        }
        assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
        // Nothing is broken by it: the next request is answered.
        tenant.admin.data("{ customers { totalCount } }", json!({})).await;
    }

    /// Bodies that are no requests, and documents that are no operations.
    async fn hostile_bodies(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let deep = format!("{{ customers(where: {}{}) {{ totalCount }} }}", "{ not: ".repeat(400), "{}".to_owned() + &" }".repeat(400));
        let related = format!("{{ customers(where: {}{{}}{}) {{ totalCount }} }}", "{ parent: ".repeat(60), " }".repeat(60));
        let wide = format!("{{ customers(where: {{ or: [{}] }}) {{ totalCount }} }}", "{ name: { eq: \"x\" } }, ".repeat(3000));
        let filter = "query($w: CustomerWhere) { customers(where: $w) { totalCount } }";
        let bodies: Vec<(Vec<u8>, &[u16])> = vec![
            (b"".to_vec(), &[400][..]),
            (b"null".to_vec(), &[400][..]),
            (b"[]".to_vec(), &[400][..]),
            (b"{".to_vec(), &[400][..]),
            (b"{\"query\": 1}".to_vec(), &[400][..]),
            (b"{\"query\": \"{ customers { totalCount } }\", \"variables\": 7}".to_vec(), &[400][..]),
            (b"{\"query\": \"\xff\xfe\"}".to_vec(), &[400][..]),
            // Half of a surrogate pair is no text.
            (br#"{"query": "{ customers { totalCount } }", "variables": {"x": "\ud800"}}"#.to_vec(), &[400][..]),
            (br#"{"query": "{ customers(where: {name: {eq: \"\\ud800\"}}) { totalCount } }"}"#.to_vec(), &[200, 400][..]),
            (br#"{"query": "{ customers(where: {name: {eq: \"\\uDBFF\\uDBFF\"}}) { totalCount } }"}"#.to_vec(), &[200, 400][..]),
            (json!({ "query": deep }).to_string().into_bytes(), &[200, 400][..]),
            (json!({ "query": related }).to_string().into_bytes(), &[200, 400][..]),
            (json!({ "query": wide }).to_string().into_bytes(), &[200, 400][..]),
            (json!({ "query": filter, "variables": { "w": (0..60).fold(json!({}), |inner, _| json!({ "parent": inner })) } }).to_string().into_bytes(), &[200, 400][..]),
            (json!({ "query": filter, "variables": { "w": (0..100).fold(json!({}), |inner, _| json!({ "not": inner })) } }).to_string().into_bytes(), &[200, 400][..]),
            (json!({ "query": filter, "variables": { "w": { "or": vec![json!({ "name": { "eq": "x" } }); 20_000] } } }).to_string().into_bytes(), &[200, 400, 413][..]),
            (json!({ "query": filter, "variables": { "w": { "id": { "in": vec![world::never("customer"); 40_000] } } } }).to_string().into_bytes(), &[200, 400, 413][..]),
            (format!("{{\"query\": \"{filter}\", \"variables\": {{ \"w\": {} }} }}", "[".repeat(100_000)).into_bytes(), &[400][..]),
            (json!({ "query": filter, "variables": { "w": { "name": { "eq": "x".repeat(10_000_000) } } } }).to_string().into_bytes(), &[413][..]),
            (json!({ "query": "{ customers { nothing } }" }).to_string().into_bytes(), &[200][..]),
            (json!({ "query": "{ customers(nothing: 1) { totalCount } }" }).to_string().into_bytes(), &[200][..]),
        ];
        for (body, statuses) in bodies {
            let start = String::from_utf8_lossy(&body[..body.len().min(120)]).into_owned();
            let (status, text) = tenant.admin.send_raw(body).await;
            assert!(statuses.contains(&status), "{start}: {status} {}", &text[..text.len().min(500)]);
            assert_eq!(inside(&text), None, "{start}: {text}");
            let answer: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{start}: no JSON: {text}"));
            for error in answer["errors"].as_array().into_iter().flatten() {
                assert!(error["extensions"]["code"].is_string(), "{start}: no code: {error}");
            }
        }
        // Deeper than serde_json's own limit can be written by hand only.
        let hand = format!("{}{{}}{}", "{\"not\":".repeat(2000), "}".repeat(2000));
        let (status, text) = tenant.admin.send_raw(format!("{{\"query\": \"{filter}\", \"variables\": {{\"w\": {hand}}}}}").into_bytes()).await;
        assert!(status == 400 || status == 200, "{status} {text}");
        assert_eq!(inside(&text), None, "{text}");
    }

    /// The same key twice, and children of what is gone.
    async fn duplicates_and_deleted_parents(app: TestApp) {
        let surface = Surface::read();
        let tenant = app.tenant("acme").await;
        let roots = surface.roots();
        let ids = world::plant(&surface, &tenant.admin, &tenant.admin, "Planted").await;
        let mut wrong = Vec::new();
        // Twice the same: with the same texts everywhere.
        for root in roots.iter().filter(|root| root.kind == Kind::Mutation) {
            let values = Values { ids: &ids, marker: Some("Twice the same"), target: None, without: &["lostReason".to_owned()] };
            let Some(mut arguments) = surface.arguments(root, &values) else { continue };
            if root.arguments.iter().any(|argument| argument.name.node == "expectedVersion") {
                arguments.insert("expectedVersion".to_owned(), json!(999_999));
            }
            for _ in 0..2 {
                let selection = world::outcome(&surface, root);
                wrong.extend(trouble(&surface, &tenant.admin, root, &arguments, &selection).await);
            }
        }
        // With every record deleted that can be, everything is called once more.
        for root in roots.iter().filter(|root| root.name.ends_with("Delete") || root.name.ends_with("Remove")) {
            if let Err(error) = world::perform(&surface, &tenant.admin, root, &ids, None).await {
                wrong.extend(inside(&error).map(|of| format!("{} holds `{of}`: {error}", root.name)));
            }
        }
        for root in roots.iter().filter(|root| root.kind != Kind::Subscription && !root.name.ends_with("Restore")) {
            let values = Values { ids: &ids, marker: Some("Orphan"), target: None, without: &[] };
            let Some(arguments) = surface.arguments(root, &values) else { continue };
            let selection = match root.kind {
                Kind::Mutation => world::outcome(&surface, root),
                _ => surface.selection(&root.answer, 1, Some("Customer")),
            };
            wrong.extend(trouble(&surface, &tenant.admin, root, &arguments, &selection).await);
        }
        assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    }
}

/// What is wrong with the answer to a call, if anything.
async fn trouble(
    surface: &Surface,
    session: &Session,
    root: &Root,
    arguments: &Map<String, Value>,
    selection: &str,
) -> Option<String> {
    let answer = world::call(surface, session, root, arguments, selection).await;
    let text = answer.body.to_string();
    let given = json!(arguments).to_string();
    let given: String = given.chars().take(300).collect();
    // What was sent may come back.
    let held = inside(&text).filter(|of| !given.contains(*of));
    let codes = answer.codes();
    let codeless = codes.iter().any(|code| code == "none");
    let refused_well = answer.status < 500 && !codeless && held.is_none();
    (!refused_well).then(|| format!("{}({given}): {} {codes:?} {held:?} {text:.600}", root.name, answer.status))
}

fn inside(text: &str) -> Option<&'static str> {
    INSIDE.iter().copied().find(|of| text.contains(of))
}

/// Values of every kind of wrongness.
fn hostile() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        Just(String::new()),
        Just(" ".to_owned()),
        Just("\u{0}".to_owned()),
        Just("a\u{0}b".to_owned()),
        Just("\u{7}\u{1b}[31m\r\n".to_owned()),
        Just("\u{202e}\u{feff}\u{200b}".to_owned()),
        Just("\u{10ffff}\u{ffff}".to_owned()),
        Just("'; DROP TABLE customer; --".to_owned()),
        Just("\\' OR 1=1 /*".to_owned()),
        Just("%_%\\%".to_owned()),
        Just("$1 ?1 :a {0} {}".to_owned()),
        Just("x".repeat(100_000)),
        Just("é".repeat(5_000)),
        Just("customer_".to_owned()),
        Just("customer_zzzzzzzzzzzzzzzzzzzzzzzzzz".to_owned()),
        Just("customer_00000000000000000000000000".to_owned()),
        Just("user_7zzzzzzzzzzzzzzzzzzzzzzzzz".to_owned()),
        Just("01234567-89ab-cdef-0123-456789abcdef".to_owned()),
        Just("WyIrbmFtZSJd".to_owned()),
        Just("WzEsMiwzXQ==".to_owned()),
        Just("bnVsbA".to_owned()),
        Just("2026-02-30".to_owned()),
        Just("-262144-01-01".to_owned()),
        Just("9999-12-31T23:59:60Z".to_owned()),
        Just("+262142-12-31T23:59:59Z".to_owned()),
        Just("0000-00-00T00:00:00".to_owned()),
        Just("0001-01-01".to_owned()),
        Just("-4713-01-01T00:00:00Z".to_owned()),
        Just("9".repeat(400)),
        Just("1e400".to_owned()),
        Just("-0.00000000000000000000000000000000001".to_owned()),
        Just("92233720368547758.08".to_owned()),
        Just("NaN".to_owned()),
        Just("XXX".to_owned()),
        Just("javascript:alert(1)".to_owned()),
        Just("http://[::1".to_owned()),
        Just("@".to_owned()),
        Just("+".to_owned()),
        "\\PC{0,20}",
        "[\\x00-\\x1f]{1,4}",
    ];
    let number = prop_oneof![
        Just(json!(i64::MIN)),
        Just(json!(i64::MAX)),
        Just(json!(u64::MAX)),
        Just(json!(i32::MAX)),
        Just(json!(i32::MIN)),
        Just(json!(-1)),
        Just(json!(0)),
        Just(json!(1e308)),
        Just(json!(0.1)),
        any::<i32>().prop_map(|number| json!(number)),
        any::<i64>().prop_map(|number| json!(number)),
    ];
    prop_oneof![
        6 => text.prop_map(Value::String),
        3 => number,
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => Just(json!([])),
        1 => Just(json!([null])),
        1 => Just(json!([["x"]])),
        1 => Just(json!({})),
        1 => Just(json!({ "__proto__": 1, "nothing": [1] })),
    ]
}
