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

/// How many places of each list's `where` are tried: there are more than a thousand in each, made by one mechanism.
const IN_WHERE: usize = 15;

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
    /// A random hostile value at every argument of every root field, and at random places of each `where`: the same in
    /// every run.
    async fn hostile_values_at_every_argument(app: TestApp) {
        let surface = Surface::read();
        let tenant = app.tenant("acme").await;
        let ids = world::plant(&surface, &tenant.admin, &tenant.admin, "Planted").await;
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let mut places: Vec<(Root, Place)> = Vec::new();
        for root in surface.roots().into_iter().filter(|root| root.kind != Kind::Subscription) {
            let (mut inside, outside): (Vec<Place>, Vec<Place>) =
                surface.places(&root, 1).into_iter().partition(|place| place.path[0] == "where");
            let among = any::<prop::sample::Index>();
            for _ in 0..IN_WHERE.min(inside.len()) {
                let index = among.new_tree(&mut runner).unwrap().current().index(inside.len());
                places.push((root.clone(), inside.swap_remove(index)));
            }
            places.extend(outside.into_iter().map(|place| (root.clone(), place)));
        }
        let (hostile, mut wrong, mut tried) = (hostile(), Vec::new(), std::collections::HashSet::new());
        for (root, place) in &places {
            let value = hostile.new_tree(&mut runner).unwrap().current();
            let values = Values { ids: &ids, marker: None, target: Some((place.path.as_slice(), &value)), without: &[] };
            let Some(arguments) = surface.arguments(root, &values) else { continue };
            tried.insert(root.name.as_str());
            let selection = surface.selection(&root.answer, 0, Some("Customer"));
            // Whoever logs out is out.
            let session = if root.name.starts_with("logout") { &tenant.colleague } else { &tenant.admin };
            wrong.extend(trouble(&surface, session, root, &arguments, &selection).await);
        }
        assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
        let spared: std::collections::BTreeSet<&str> =
            places.iter().map(|(root, _)| root.name.as_str()).filter(|name| !tried.contains(name)).collect();
        assert!(spared.is_empty(), "nothing hostile reached {spared:?}");
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

/// What a body is, the body, its headers, and the statuses that may answer it.
type Body<'a> = (&'a str, Vec<u8>, Vec<(&'a str, &'a [u8])>, &'a [u16]);

on_both_engines! {
    /// Each kind of bad input has its code, and says where it is.
    async fn each_kind_of_bad_input_has_its_code(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let other = app.tenant("other").await;
        let create = "mutation($input: CustomerCreateInput!) { customerCreate(input: $input) { customer { id } userErrors { code field } } }";
        let contact = "mutation($input: ContactCreateInput!) { contactCreate(input: $input) { contact { id } userErrors { code field } } }";
        let named = |name: &str, reference: &str| json!({ "input": { "name": name, "externalReference": reference } });
        let made = async |session: &Session, reference: &str| {
            let made = session.mutate(create, named("A customer", reference)).await;
            made["customer"]["id"].as_str().unwrap().to_owned()
        };
        let (own, deleted, foreign) = (
            made(&tenant.admin, "R-1").await, made(&tenant.admin, "R-2").await, made(&other.admin, "R-3").await,
        );
        let delete = "mutation($id: ID!) { customerDelete(id: $id) { userErrors { code field } } }";
        tenant.admin.mutate(delete, json!({ "id": deleted })).await;
        let page = tenant.admin.data("{ customers(first: 1, orderBy: [{ field: NAME }]) { pageInfo { endCursor } } }", json!({})).await;
        let cursor = page["customers"]["pageInfo"]["endCursor"].clone();

        // What cannot be meant is an error of the request.
        let get = "query($id: ID!) { customer(id: $id) { id } }";
        let list = "query($after: String, $first: Int) { customers(after: $after, first: $first) { totalCount edges { node { id } } } }";
        let filter = "query($where: CustomerWhere) { customers(where: $where) { totalCount } }";
        let cases: Vec<(&str, &str, Value, &str)> = vec![
            ("an id that is none", get, json!({ "id": "x" }), "BAD_USER_INPUT"),
            ("an id without its number", get, json!({ "id": "customer_" }), "BAD_USER_INPUT"),
            ("an id of another record", get, json!({ "id": tenant.admin.user_id }), "BAD_USER_INPUT"),
            ("an id that is too long", get, json!({ "id": format!("{own}0") }), "BAD_USER_INPUT"),
            ("an id that is a number", get, json!({ "id": 7 }), "BAD_USER_INPUT"),
            ("an id with a control character", get, json!({ "id": format!("{own}\u{0}") }), "BAD_USER_INPUT"),
            ("a cursor that is none", list, json!({ "after": "x" }), "BAD_USER_INPUT"),
            ("a cursor of other JSON", list, json!({ "after": "WzEsMiwzXQ" }), "BAD_USER_INPUT"),
            ("a cursor of another order", list, json!({ "after": cursor }), "BAD_USER_INPUT"),
            ("an oversized page", list, json!({ "first": 101 }), "BAD_USER_INPUT"),
            ("a negative page", list, json!({ "first": -1 }), "BAD_USER_INPUT"),
            ("a page beyond any number", list, json!({ "first": 9_000_000_000_i64 }), "BAD_USER_INPUT"),
            ("two directions", "{ customers(first: 1, last: 1) { totalCount } }", json!({}), "BAD_USER_INPUT"),
            ("a day that is not in the calendar", filter, json!({ "where": { "createdAt": { "gt": "2026-02-30T00:00:00Z" } } }), "BAD_USER_INPUT"),
            ("a moment without a zone", filter, json!({ "where": { "createdAt": { "gt": "2026-02-01T00:00:00" } } }), "BAD_USER_INPUT"),
            ("a number as a moment", filter, json!({ "where": { "createdAt": { "gt": 5 } } }), "BAD_USER_INPUT"),
            ("an operator that is not there", filter, json!({ "where": { "name": { "like": "x" } } }), "BAD_USER_INPUT"),
            ("a filter on nothing known", filter, json!({ "where": { "nothing": { "eq": "x" } } }), "BAD_USER_INPUT"),
            ("a value of another kind", filter, json!({ "where": { "employeeCount": { "eq": "many" } } }), "BAD_USER_INPUT"),
            ("a value that is not in the enum", filter, json!({ "where": { "status": { "eq": "NONE" } } }), "BAD_USER_INPUT"),
            ("too many values", filter, json!({ "where": { "id": { "in": vec![own.clone(); 101] } } }), "BAD_USER_INPUT"),
            ("a text to compare with that is too long", filter, json!({ "where": { "name": { "eq": "x".repeat(1001) } } }), "BAD_USER_INPUT"),
            ("a filter that is no object", filter, json!({ "where": "name = 1" }), "BAD_USER_INPUT"),
            ("an unknown field", "{ customers { nothing } }", json!({}), "GRAPHQL_VALIDATION_FAILED"),
            ("an unknown root", "{ nothing }", json!({}), "GRAPHQL_VALIDATION_FAILED"),
            ("an unknown argument", "{ customers(nothing: 1) { totalCount } }", json!({}), "GRAPHQL_VALIDATION_FAILED"),
            ("an unknown field of an input", create, json!({ "input": { "name": "x", "nothing": 1 } }), "BAD_USER_INPUT"),
            ("a field that must be there", create, json!({ "input": {} }), "BAD_USER_INPUT"),
            ("a document that does not parse", "{ customers( }", json!({}), "GRAPHQL_PARSE_FAILED"),
            ("a control character in a document", "{ cust\u{1}omers { totalCount } }", json!({}), "GRAPHQL_PARSE_FAILED"),
            ("an amount that is no number", create, json!({ "input": { "name": "x", "annualRevenue": { "amount": "1e9x", "currency": "EUR" } } }), "BAD_USER_INPUT"),
            ("a currency that is none", create, json!({ "input": { "name": "x", "annualRevenue": { "amount": "1", "currency": "XX" } } }), "BAD_USER_INPUT"),
        ];
        let mut wrong = Vec::new();
        for (what, query, variables, code) in cases {
            let answer = tenant.admin.send(query, variables).await;
            let codes = answer.codes();
            if codes != [code] || answer.status >= 500 {
                wrong.push(format!("{what}: {} {codes:?} instead of {code}: {:.300}", answer.status, answer.body));
            }
        }

        // What a user can mend is an error of the mutation, and names the field.
        let input = |field: &str| vec!["input".to_owned(), field.to_owned()];
        let cases: Vec<(&str, &str, Value, &str, Vec<String>)> = vec![
            ("a control character", create, named("a\u{0}b", "R-4"), "INVALID", input("name")),
            ("an escape sequence", create, named("\u{1b}[31m", "R-4"), "INVALID", input("name")),
            ("nothing but blanks", create, named(" \t ", "R-4"), "BLANK", input("name")),
            ("a text that is too long", create, named(&"x".repeat(100_000), "R-4"), "TOO_LONG", input("name")),
            ("an e-mail address that is none", create, json!({ "input": { "name": "x", "email": "nobody" } }), "INVALID", input("email")),
            ("a web address that is none", create, json!({ "input": { "name": "x", "website": "javascript:alert(1)" } }), "INVALID", input("website")),
            ("a key that is taken", create, named("Another", "R-1"), "TAKEN", input("externalReference")),
            ("a parent that is deleted", create, json!({ "input": { "name": "x", "parentId": deleted } }), "NOT_FOUND", input("parentId")),
            ("a parent of another tenant", create, json!({ "input": { "name": "x", "parentId": foreign } }), "NOT_FOUND", input("parentId")),
            ("a contact of a deleted customer", contact, json!({ "input": { "lastName": "x", "customerId": deleted } }), "NOT_FOUND", input("customerId")),
            ("a contact of another tenant's customer", contact, json!({ "input": { "lastName": "x", "customerId": foreign } }), "NOT_FOUND", input("customerId")),
            ("an owner of another tenant", create, json!({ "input": { "name": "x", "ownerId": other.admin.user_id } }), "NOT_FOUND", input("ownerId")),
            ("deleting what is deleted", delete, json!({ "id": deleted }), "NOT_FOUND", vec!["id".to_owned()]),
            ("deleting what is another tenant's", delete, json!({ "id": foreign }), "NOT_FOUND", vec!["id".to_owned()]),
        ];
        for (what, query, variables, code, field) in cases {
            let answer = tenant.admin.send(query, variables).await;
            let payload = answer.body["data"].as_object().and_then(|data| data.values().next()).cloned().unwrap_or_default();
            let expected = json!([{ "code": code, "field": field }]);
            if payload["userErrors"] != expected || answer.body.get("errors").is_some() {
                wrong.push(format!("{what}: not {expected} but {:.300}", answer.body));
            }
        }
        assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
        // Nothing was lost or left behind.
        let left = tenant.admin.data("{ customers { totalCount } }", json!({})).await;
        assert_eq!(left["customers"]["totalCount"], 1);
    }

    /// Tokens and encodings that are none.
    async fn hostile_headers(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let token = tenant.admin.token.clone().unwrap();
        let good = json!({ "query": "{ customers { totalCount } }" }).to_string().into_bytes();
        let (head, rest) = token.split_once('.').unwrap();
        let (claims, signature) = rest.split_once('.').unwrap();
        let nobody = data_encoding::BASE64URL_NOPAD.encode(br#"{"alg":"none","typ":"JWT"}"#);
        let tokens = [
            String::new(), "x".to_owned(), "a.b.c".to_owned(), "...".to_owned(), "rak_".to_owned(),
            "rak_00000000_0000".to_owned(), format!("{nobody}.{claims}."), format!("{nobody}.{claims}.{signature}"),
            format!("{head}.{claims}"), format!("{head}.{claims}.{}", signature.chars().rev().collect::<String>()),
            format!("{token}x"), format!("{token}.{token}"), "x".repeat(20_000), "\u{e9}".repeat(40), "%00%00".to_owned(),
        ];
        for of in tokens {
            let value = format!("Bearer {of}");
            let headers: [(&str, &[u8]); 2] = [("content-type", b"application/json"), ("authorization", value.as_bytes())];
            let (status, text) = tenant.admin.send_bare(good.clone(), &headers).await;
            let shown: String = of.chars().take(60).collect();
            assert!(matches!(status, 200 | 400 | 401 | 431), "{shown}: {status} {text}");
            // A header that is beyond all measure is refused before anybody reads it.
            if status != 431 {
                let answer: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{shown}: {text}"));
                assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{shown}: {answer}");
            }
            assert_eq!(inside(&text), None, "{shown}: {text}");
        }
        let bearer = format!("Bearer {token}");
        let utf16: Vec<u8> = String::from_utf8(good.clone()).unwrap().encode_utf16().flat_map(u16::to_le_bytes).collect();
        let marked = [b"\xef\xbb\xbf".to_vec(), good.clone()].concat();
        let latin = b"{\"query\": \"{ customers(where: {name: {eq: \\\"M\xfcller\\\"}}) { totalCount } }\"}".to_vec();
        let bodies: Vec<Body<'_>> = vec![
            ("UTF-16", utf16, vec![("content-type", b"application/json")], &[400]),
            ("UTF-16 that says so", good.clone(), vec![("content-type", b"application/json; charset=utf-16")], &[415]),
            ("Latin-1", latin, vec![("content-type", b"application/json")], &[400]),
            ("a byte order mark", marked, vec![("content-type", b"application/json")], &[200, 400]),
            ("no type", good.clone(), vec![], &[415]),
            ("text", good.clone(), vec![("content-type", b"text/plain")], &[415]),
            ("a form", b"query=%7Bcustomers%7BtotalCount%7D%7D".to_vec(), vec![("content-type", b"application/x-www-form-urlencoded")], &[415]),
            ("a type that is none", good.clone(), vec![("content-type", b"\xff")], &[415]),
            ("gzip that is none", good.clone(), vec![("content-type", b"application/json"), ("content-encoding", b"gzip")], &[400, 415]),
            ("ten megabytes", vec![b' '; 10_000_000], vec![("content-type", b"application/json")], &[413]),
        ];
        for (what, body, mut headers, statuses) in bodies {
            headers.push(("authorization", bearer.as_bytes()));
            let (status, text) = tenant.admin.send_bare(body, &headers).await;
            assert!(statuses.contains(&status), "{what}: {status} {text:.300}");
            assert_eq!(inside(&text), None, "{what}: {text:.300}");
            let answer: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{what}: no JSON: {text:.300}"));
            if status != 200 {
                assert!(answer["errors"][0]["extensions"]["code"].is_string(), "{what}: no code: {answer}");
            }
        }
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
