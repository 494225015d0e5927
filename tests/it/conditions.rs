//! The condition language: SQL and memory give one answer, and conditions that cannot be meant are refused with a reason.

use std::{
    cell::Cell,
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use chrono::{DateTime, NaiveDate, Utc};
use entity::{
    record::{Column, Kind, Record, RecordMeta},
    tenant::{customer, opportunity},
};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use rapport::{
    condition::{
        Condition, Operator,
        sql::{Compiler, Dialect},
    },
    data::feed::Event,
};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, Value as SqlValue,
    sea_query::{Condition as SqlCondition, Query},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    on_both_engines,
    support::{Session, TestApp, TestTenant},
};

/// How many conditions are tried on each record type and engine.
const TRIED: u32 = 300;

/// Texts that records hold and conditions ask for: case, accents, blanks, and what has a meaning in LIKE.
const TEXTS: [&str; 14] =
    ["a", "A", "Ä", "ab", "Ab c", "abc", "%", "a%", "_b", "ß", "Ström AG", "strom", "it's \"x\"", "\\b"];
const DAYS: [&str; 4] = ["2026-01-01", "2026-06-30", "2026-07-01", "2027-12-31"];
const MOMENTS: [&str; 3] = ["2026-01-01T00:00:00Z", "2026-06-30T12:00:00.000001Z", "2026-06-30T12:00:00.000002Z"];
const NUMBERS: [i64; 4] = [0, 1, 50, 100];

/// The columns that are asked about.
const CUSTOMER: &[&str] = &[
    "name",
    "industry",
    "status",
    "external_reference",
    "annual_revenue",
    "currency",
    "employee_count",
    "tags",
    "parent_id",
    "is_deleted",
];
const OPPORTUNITY: &[&str] =
    &["title", "value", "currency", "probability", "expected_close_date", "engaged_at", "status", "customer_id"];

fn pick(items: &[&'static str], index: usize) -> Value {
    items.get(index % (items.len() + 1)).map_or(Value::Null, |item| json!(item))
}

/// Records of both types in all sorts of states; answers what the outbox says of each last.
async fn records(app: &TestApp, tenant: &TestTenant) -> Vec<Arc<Event>> {
    let opened = app.app.identity().tenants().open(tenant.id).await.unwrap();
    let mut feed = opened.feed().listen();
    let create_customer = "mutation($input: CustomerCreateInput!) {
        customerCreate(input: $input) { customer { id } userErrors { field code message } } }";
    let create_opportunity = "mutation($input: OpportunityCreateInput!) {
        opportunityCreate(input: $input) { opportunity { id } userErrors { field code message } } }";
    let mut customers = Vec::new();
    for index in 0..48usize {
        let tags: Vec<_> = TEXTS.iter().skip(index).step_by(5).take(index % 4).collect();
        let status = ["PROSPECT", "ACTIVE", "CHURNED"][index % 3];
        let mut input = json!({
            "name": TEXTS[index % TEXTS.len()],
            "industry": pick(&TEXTS, index * 3 + 1),
            "status": status,
            "employeeCount": if index % 4 == 0 { Value::Null } else { json!(NUMBERS[index % NUMBERS.len()]) },
            "tags": tags,
        });
        if index % 3 > 0 {
            let currency = ["EUR", "USD", "JPY"][index % 3];
            input["annualRevenue"] = json!({ "amount": NUMBERS[index / 3 % 4].to_string(), "currency": currency });
        }
        if index < TEXTS.len() {
            input["externalReference"] = json!(TEXTS[index]);
        }
        if index > 40 {
            input["parentId"] = json!(customers[index % 3]);
        }
        let payload = tenant.admin.mutate(create_customer, json!({ "input": input })).await;
        customers.push(payload["customer"]["id"].as_str().unwrap().to_owned());
    }
    for index in 0..32usize {
        let mut input = json!({
            "title": TEXTS[index % TEXTS.len()],
            "customerId": customers.get(index % 5).filter(|_| index % 5 < 3),
            "probability": NUMBERS[index % NUMBERS.len()],
            "expectedCloseDate": pick(&DAYS, index),
            "engagedAt": pick(&MOMENTS, index / 2),
        });
        if index % 4 > 0 {
            let currency = ["EUR", "USD"][index % 2];
            input["value"] = json!({ "amount": NUMBERS[index % 4].to_string(), "currency": currency });
        }
        tenant.admin.mutate(create_opportunity, json!({ "input": input })).await;
    }
    delete(&tenant.admin, customers.last().unwrap()).await;
    let mut last = HashMap::new();
    while let Ok(event) = feed.try_recv() {
        last.insert(event.record_id, event);
    }
    last.into_values().collect()
}

async fn delete(session: &Session, id: &str) {
    session.mutate("mutation($id: ID!) { customerDelete(id: $id) { userErrors { code } } }", json!({ "id": id })).await;
}

/// A value such as the column may be compared with.
fn value(column: &Column, ids: &[Uuid]) -> BoxedStrategy<SqlValue> {
    let texts = || proptest::sample::select(TEXTS.to_vec()).prop_map(SqlValue::from);
    match (column.name, column.kind) {
        ("status", _) => {
            proptest::sample::select(vec!["PROSPECT", "ACTIVE", "CHURNED", "OPEN"]).prop_map(SqlValue::from).boxed()
        }
        ("currency", _) => proptest::sample::select(vec!["EUR", "USD", "JPY"]).prop_map(SqlValue::from).boxed(),
        (_, Kind::Text | Kind::Json) => {
            prop_oneof![4 => texts(), 1 => "[aAäÄß%_ ]{0,3}".prop_map(SqlValue::from)].boxed()
        }
        (_, Kind::Money) => proptest::sample::select(vec![0i64, 1, 100, 5000, 10_000]).prop_map(SqlValue::from).boxed(),
        (_, Kind::Int | Kind::Decimal(_)) => {
            proptest::sample::select(NUMBERS.to_vec()).prop_map(SqlValue::from).boxed()
        }
        (_, Kind::Bool) => any::<bool>().prop_map(SqlValue::from).boxed(),
        (_, Kind::Uuid) => proptest::sample::select(ids.to_vec()).prop_map(SqlValue::from).boxed(),
        (_, Kind::Date) => {
            proptest::sample::select(DAYS.to_vec()).prop_map(|day| day.parse::<NaiveDate>().unwrap().into()).boxed()
        }
        (_, Kind::Time) => proptest::sample::select(MOMENTS.to_vec())
            .prop_map(|at| at.parse::<DateTime<Utc>>().unwrap().into())
            .boxed(),
    }
}

fn test(column: &'static Column, ids: &[Uuid]) -> BoxedStrategy<Condition> {
    use Operator::{
        Between, Contains, EndsWith, Equals, GreaterOrEqual, GreaterThan, In, IsEmpty, IsNotEmpty, LessOrEqual,
        LessThan, NotContains, NotEquals, NotIn, StartsWith,
    };
    let mut operators = vec![IsEmpty, IsNotEmpty];
    match column.kind {
        Kind::Json => operators.extend([Contains, NotContains]),
        Kind::Bool => operators.extend([Equals, NotEquals]),
        Kind::Uuid => operators.extend([Equals, NotEquals, In, NotIn]),
        kind => {
            let ordered = [GreaterThan, GreaterOrEqual, LessThan, LessOrEqual, Between, Equals, NotEquals, In, NotIn];
            operators.extend(ordered);
            if kind == Kind::Text {
                operators.extend([Contains, NotContains, StartsWith, EndsWith]);
            }
        }
    }
    let values = proptest::collection::vec(value(column, ids), 3);
    (proptest::sample::select(operators), values, 0..4usize)
        .prop_map(|(operator, mut values, count)| {
            values.truncate(match operator {
                IsEmpty | IsNotEmpty => 0,
                Between => 2,
                In | NotIn => count,
                _ => 1,
            });
            Condition::Test { column: column.name, operator, values }
        })
        .boxed()
}

fn condition(meta: &'static RecordMeta, columns: &[&str], ids: &[Uuid]) -> impl Strategy<Value = Condition> + use<> {
    let tests = columns.iter().map(|name| test(meta.column(name).unwrap(), ids)).collect::<Vec<_>>();
    proptest::strategy::Union::new(tests).prop_recursive(3, 12, 4, |inner| {
        let parts = || proptest::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            parts().prop_map(Condition::All),
            parts().prop_map(Condition::Any),
            parts().prop_map(Condition::None),
        ]
    })
}

/// The records of a type that a condition finds in the database.
async fn in_sql(raw: &DatabaseConnection, condition: &Condition, meta: &'static RecordMeta) -> BTreeSet<Uuid> {
    let dialect = match raw.get_database_backend() {
        DbBackend::Sqlite => Dialect::Sqlite,
        _ => Dialect::Postgres,
    };
    let (reach, aliases) = (|_: &RecordMeta, _: &str| Ok(SqlCondition::all()), Cell::new(0));
    let compiler = Compiler { dialect, reach: &reach, aliases: &aliases };
    let condition = compiler.compile(condition, meta, meta.name).unwrap();
    let query = Query::select().column("id").from(meta.name).cond_where(condition).to_owned();
    raw.query_all(&query).await.unwrap().iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

fn in_memory(events: &[Arc<Event>], condition: &Condition, meta: &'static RecordMeta) -> BTreeSet<Uuid> {
    let of_type = events.iter().filter(|event| event.record_type == meta.name);
    of_type.filter(|event| event.meets(condition, meta).unwrap()).map(|event| event.record_id).collect()
}

on_both_engines! {
    /// Random conditions over records in all sorts of states.
    async fn sql_and_memory_agree(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let events = records(&app, &tenant).await;
        let raw = app.raw(tenant.id).await;
        let ids: Vec<_> = events.iter().map(|event| event.record_id).take(5).collect();
        let mut runner = TestRunner::new(Config::default());
        let mut found = 0;
        for (meta, columns) in [(customer::Entity::meta(), CUSTOMER), (opportunity::Entity::meta(), OPPORTUNITY)] {
            let conditions = condition(meta, columns, &ids);
            for _ in 0..TRIED {
                let mut tree = conditions.new_tree(&mut runner).unwrap();
                let sql = in_sql(&raw, &tree.current(), meta).await;
                found += usize::from(!sql.is_empty());
                if sql == in_memory(&events, &tree.current(), meta) {
                    continue;
                }
                // The smallest condition on which they differ.
                while tree.simplify() {
                    let current = tree.current();
                    if in_sql(&raw, &current, meta).await == in_memory(&events, &current, meta) && !tree.complicate() {
                        break;
                    }
                }
                let least = tree.current();
                let (sql, memory) = (in_sql(&raw, &least, meta).await, in_memory(&events, &least, meta));
                let differ: Vec<_> = events
                    .iter()
                    .filter(|event| sql.symmetric_difference(&memory).any(|id| *id == event.record_id))
                    .map(|event| (&event.data, sql.contains(&event.record_id)))
                    .collect();
                panic!("{least:?}\nby SQL (true) or in memory (false) alone: {differ:#?}");
            }
        }
        assert!(found > 200, "conditions that find nothing show nothing: {found}");
    }

    async fn an_event_knows_what_was_before(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let opened = app.app.identity().tenants().open(tenant.id).await.unwrap();
        let mut feed = opened.feed().listen();
        let create = "mutation { customerCreate(input: { name: \"A\", annualRevenue: { amount: \"10\", currency: EUR } })
            { customer { id } userErrors { code } } }";
        let id = tenant.admin.mutate(&create.replace("EUR", "\"EUR\""), json!({})).await["customer"]["id"].clone();
        let update = "mutation($id: ID!, $input: CustomerUpdateInput!) {
            customerUpdate(id: $id, input: $input) { userErrors { code message } } }";
        let input = json!({ "name": "B", "annualRevenue": { "amount": "20", "currency": "EUR" } });
        tenant.admin.mutate(update, json!({ "id": id, "input": input })).await;
        let (created, updated) = (feed.try_recv().unwrap(), feed.try_recv().unwrap());
        let meta = customer::Entity::meta();
        let bare = |column, operator| Condition::Test { column, operator, values: Vec::new() };
        let before = |condition| Condition::Before(Box::new(condition));
        for (condition, of_created, of_updated) in [
            (bare("name", Operator::Changed), false, true),
            (bare("industry", Operator::Changed), false, false),
            (Condition::test("name", Operator::ChangedTo, "b"), false, true),
            (Condition::test("annual_revenue", Operator::ChangedTo, 2000i64), false, true),
            (before(Condition::test("name", Operator::Equals, "a")), false, true),
            (before(Condition::test("annual_revenue", Operator::LessThan, 2000i64)), false, true),
            (before(bare("name", Operator::IsEmpty)), true, false),
        ] {
            let met = (created.meets(&condition, meta).unwrap(), updated.meets(&condition, meta).unwrap());
            assert_eq!(met, (of_created, of_updated), "{condition:?}");
        }
    }
}
