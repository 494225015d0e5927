//! What subscribers are promised: every event that they may see, once, in order, whatever happens to the connection and
//! whatever node commits it.

use std::time::{Duration, Instant};

use entity::{
    record::Record,
    tenant::{
        activity::{self, ActivityStatus, ActivityType, Priority},
        customer, role,
    },
};
use rapport::services::identity::RoleChange;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    on_both_engines,
    support::{Engine, Session, Socket, TestApp, TestTenant, sequence, session::EventStream},
};

/// How long a test waits for an event.
const PATIENCE: Duration = Duration::from_secs(30);

/// After this long without an event nothing more comes.
const QUIET: Duration = Duration::from_millis(1500);

fn subscription(after: Option<i64>) -> String {
    let arguments = after.map(|after| format!("(after: \"{after}\")")).unwrap_or_default();
    format!("subscription {{ recordChanged{arguments} {{ event sequence recordId node {{ id }} }} }}")
}

/// The next answer of a stream.
async fn next(stream: &mut EventStream) -> Value {
    tokio::time::timeout(PATIENCE, stream.next()).await.expect("an answer in time").expect("the stream goes on")
}

/// The next `count` events.
async fn hear(stream: &mut EventStream, count: usize) -> Vec<Value> {
    let mut heard = Vec::new();
    while heard.len() < count {
        heard.push(next(stream).await);
    }
    heard
}

/// The names and records of events.
fn told(answers: &[Value]) -> Vec<(String, String)> {
    let text = |answer: &Value, field: &str| answer["data"]["recordChanged"][field].as_str().unwrap().to_owned();
    answers.iter().map(|answer| (text(answer, "event"), text(answer, "recordId"))).collect()
}

fn code(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_else(|| panic!("not an error: {answer:#}"))
}

async fn create(session: &Session, name: &str) -> String {
    let create = "mutation($name: String!) {
        customerCreate(input: { name: $name }) { customer { id } userErrors { code } } }";
    session.mutate(create, json!({ "name": name })).await["customer"]["id"].as_str().unwrap().to_owned()
}

async fn rename(session: &Session, id: &str, name: &str) {
    let update = "mutation($id: ID!, $name: String!) {
        customerUpdate(id: $id, input: { name: $name }) { userErrors { code } } }";
    session.mutate(update, json!({ "id": id, "name": name })).await;
}

async fn delete(session: &Session, id: &str) {
    session.mutate("mutation($id: ID!) { customerDelete(id: $id) { userErrors { code } } }", json!({ "id": id })).await;
}

/// A subscription to what meets a condition.
async fn meeting(session: &Session, types: Value, condition: Value) -> EventStream {
    let query = "subscription($types: [RecordType!], $condition: ConditionInput) {
        recordChanged(types: $types, condition: $condition, after: \"0\") { event sequence recordId node { id } } }";
    session.stream_with(query, json!({ "types": types, "condition": condition })).await
}

/// The number of the newest event.
async fn head(app: &TestApp, tenant: &TestTenant) -> i64 {
    let raw = app.raw(tenant.id).await;
    let row = raw.query_one_raw(statement(&raw, "SELECT event_seq FROM event_head")).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

fn statement(raw: &sea_orm::DatabaseConnection, sql: &str) -> sea_orm::Statement {
    sea_orm::Statement::from_string(raw.get_database_backend(), sql)
}

/// Makes so many activities in one transaction, with texts of so many characters.
async fn activities(app: &TestApp, tenant: &TestTenant, count: usize, characters: usize) {
    let owner = rapport::data::ids::decode(&tenant.admin.user_id).unwrap().1;
    let db = app.system(tenant.id).await;
    db.write(async |unit| {
        for index in 0..count {
            unit.insert::<activity::Entity>(activity::ActiveModel {
                r#type: Set(ActivityType::Task),
                subject: Set(format!("Task {index}")),
                description: Set(Some("x".repeat(characters))),
                status: Set(ActivityStatus::Planned),
                priority: Set(Priority::Normal),
                attendees: Set(json!([])),
                owner_id: Set(owner),
                ..Default::default()
            })
            .await?;
        }
        Ok(())
    })
    .await
    .unwrap();
}

on_both_engines! {
    /// Over all record types at once, by what the event tells of the record after it and before it.
    async fn a_condition_chooses_events(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let admin = &tenant.admin;
        let mut stream = meeting(admin, Value::Null, json!({ "any": [
            { "field": "status", "operator": "CHANGED_TO", "value": "ACTIVE" },
            { "all": [
                { "field": "title", "operator": "STARTS_WITH", "value": "ÜRG" },
                { "none": [{ "field": "priority", "operator": "IN", "value": ["LOW", "NORMAL"] }] },
            ] },
            { "field": "previous.name", "operator": "EQUALS", "value": "old" },
        ] })).await;
        let (one, two) = (create(admin, "One").await, create(admin, "Old").await);
        let ticket = "mutation($title: String!, $priority: Priority!) {
            ticketCreate(input: { title: $title, priority: $priority }) { ticket { id } userErrors { code } } }";
        let mut tickets = Vec::new();
        for (title, priority) in [("Urgent", "LOW"), ("urgent, really", "HIGH"), ("Later", "HIGH")] {
            let payload = admin.mutate(ticket, json!({ "title": title, "priority": priority })).await;
            tickets.push(payload["ticket"]["id"].as_str().unwrap().to_owned());
        }
        let update = "mutation($id: ID!, $input: CustomerUpdateInput!) {
            customerUpdate(id: $id, input: $input) { userErrors { code } } }";
        for input in [json!({ "industry": "Steel" }), json!({ "status": "ACTIVE" }), json!({ "industry": "Iron" })] {
            admin.mutate(update, json!({ "id": one, "input": input })).await;
        }
        rename(admin, &two, "New").await;
        rename(admin, &two, "Newer").await;
        let expected = [("ticket.created", &tickets[1]), ("customer.updated", &one), ("customer.updated", &two)];
        let expected: Vec<_> = expected.iter().map(|(event, id)| ((*event).to_owned(), (*id).clone())).collect();
        assert_eq!(told(&hear(&mut stream, 3).await), expected);
        // What comes is chosen like what was.
        rename(admin, &one, "Nothing").await;
        admin.mutate(update, json!({ "id": two, "input": { "status": "ACTIVE" } })).await;
        assert_eq!(told(&[next(&mut stream).await]), [("customer.updated".to_owned(), two)]);
    }

    async fn a_condition_that_cannot_be_meant_is_refused_with_the_reason(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let customer = json!(["CUSTOMER"]);
        let test = |field: &str, operator: &str, value: Value| {
            json!({ "field": field, "operator": operator, "value": value })
        };
        let mut deep = test("name", "IS_EMPTY", Value::Null);
        for _ in 0..20 {
            deep = json!({ "none": [deep] });
        }
        for (types, condition, reason) in [
            (customer.clone(), test("nmae", "EQUALS", json!("A")), "Customer has no field \"nmae\""),
            (Value::Null, test("nmae", "EQUALS", json!("A")), "none of the record types has a field"),
            (customer.clone(), test("owner.name", "EQUALS", json!("A")), "owner.name: \"owner\" is another record"),
            (customer.clone(), test("employeeCount", "EQUALS", json!("many")), "employeeCount: expected another kind"),
            (customer.clone(), test("employeeCount", "CONTAINS", json!(1)), "employeeCount: CONTAINS does not fit"),
            (customer.clone(), test("status", "EQUALS", json!("GONE")), "status: expected one of ACTIVE, "),
            (customer.clone(), test("status", "EQUALS", json!(1)), "status: expected one of "),
            (customer.clone(), test("status", "STARTS_WITH", json!("ACTIVE")), "status: STARTS_WITH does not fit"),
            (customer.clone(), test("tags", "EQUALS", json!("a")), "tags: EQUALS does not fit"),
            (customer.clone(), test("name", "EQUALS", Value::Null), "name: EQUALS needs a value"),
            (customer.clone(), test("name", "IS_EMPTY", json!("A")), "name: IS_EMPTY takes no value"),
            (customer.clone(), test("name", "IN", json!("A")), "name: IN takes a list"),
            (customer.clone(), test("foundedYear", "BETWEEN", json!([1])), "foundedYear: BETWEEN takes a list of two"),
            (customer.clone(), test("annualRevenue", "EQUALS", json!(1)), "annualRevenue: expected an amount"),
            (customer.clone(), test("ownerId", "EQUALS", json!("x")), "ownerId"),
            (customer.clone(), test("previous.name", "CHANGED", Value::Null), "previous.name: CHANGED is asked of"),
            (customer.clone(), json!({ "field": "name" }), "name: operator is missing"),
            (customer.clone(), json!({}), "a condition has one of"),
            (customer.clone(), json!({ "all": [], "any": [] }), "a condition has one of"),
            (customer.clone(), json!({ "all": [], "operator": "EQUALS" }), "belong to a field"),
            (customer.clone(), deep, "nest at most 16 deep"),
        ] {
            let mut stream = meeting(&tenant.admin, types, condition.clone()).await;
            let answer = next(&mut stream).await;
            assert_eq!(code(&answer), "BAD_USER_INPUT", "{condition}: {answer:#}");
            let message = answer["errors"][0]["message"].as_str().unwrap();
            assert!(message.contains(reason), "{condition}: {message}");
        }
    }

    async fn who_was_away_gets_what_was_missed_and_then_what_comes(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let before = head(&app, &tenant).await;
        let mut stream = tenant.admin.stream(&subscription(Some(before))).await;
        let first = create(&tenant.manager, "First").await;
        let heard = hear(&mut stream, 1).await;
        assert_eq!(told(&heard), [("customer.created".to_owned(), first.clone())]);
        let cursor = sequence(&heard[0]);
        assert_eq!(cursor, before + 1);
        drop(stream);

        // Missed: two pages of events and a few more.
        let mut expected = Vec::new();
        for name in ["Second", "Third"] {
            expected.push(("customer.created".to_owned(), create(&tenant.agent, name).await));
        }
        activities(&app, &tenant, 1000, 10).await;
        rename(&tenant.manager, &first, "Renamed").await;
        delete(&tenant.manager, &first).await;

        let mut stream = tenant.admin.stream(&subscription(Some(cursor))).await;
        let mut socket = Socket::open(&tenant.viewer, &subscription(Some(cursor))).await.unwrap();
        let by_stream = hear(&mut stream, 1004).await;
        let mut by_socket = Vec::new();
        while by_socket.len() < 1004 {
            by_socket.push(socket.next().await.unwrap());
        }
        // Then what comes.
        let last = create(&tenant.agent, "Live").await;
        for (mut heard, live) in [(by_stream, next(&mut stream).await), (by_socket, socket.next().await.unwrap())] {
            heard.push(live);
            let sequences: Vec<i64> = heard.iter().map(sequence).collect();
            assert_eq!(sequences, Vec::from_iter(cursor + 1..=cursor + 1005));
            for change in heard.iter().map(|answer| &answer["data"]["recordChanged"]) {
                let deleted = change["recordId"] == first.as_str();
                assert_eq!(change["node"]["id"], if deleted { Value::Null } else { change["recordId"].clone() });
            }
            let told = told(&heard);
            assert_eq!(told[..2], expected);
            assert_eq!(told[1002..], [
                ("customer.updated".to_owned(), first.clone()),
                ("customer.deleted".to_owned(), first.clone()),
                ("customer.created".to_owned(), last.clone()),
            ]);
        }
        assert!(tokio::time::timeout(QUIET, stream.next()).await.is_err(), "nothing comes twice");

        // As the documentation shows it to clients.
        let shown = include_str!("../tools/clients/changes.graphql");
        let mut stream = tenant.admin.stream_with(shown, json!({ "after": cursor.to_string() })).await;
        let customers = hear(&mut stream, 5).await;
        assert_eq!(told(&customers)[..2], expected);
        assert_eq!(customers[2]["data"]["recordChanged"]["changedFields"], json!(["name"]));

        // Without a cursor it begins now.
        let mut stream = tenant.admin.stream(&subscription(None)).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = create(&tenant.agent, "Now").await;
        assert_eq!(told(&hear(&mut stream, 1).await), [("customer.created".to_owned(), now)]);
    }

    async fn what_many_may_see_is_asked_in_one_statement(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let before = head(&app, &tenant).await;
        activities(&app, &tenant, 1000, 10).await;
        let opened = app.app.identity().tenants().open(tenant.id).await.unwrap();
        let mut changes = opened.changes(Some(before), 10_000).await.unwrap();
        let user_id = rapport::data::ids::decode(&tenant.admin.user_id).unwrap().1;
        let everything = rapport::auth::Permission::all().collect();
        let own = rapport::auth::Actor {
            tenant_id: tenant.id,
            user_id,
            kind: rapport::auth::ActorKind::User,
            permissions: std::sync::Arc::new(everything),
            scope: rapport::auth::DataScope::Own,
        };
        let (own, all) = (opened.for_actor(own.into(), None), app.system(tenant.id).await);
        let mut seen = 0;
        for batch in 1..=2u32 {
            let events = changes.next().await.unwrap();
            let ids: Vec<Uuid> = events.iter().map(|event| event.record_id).collect();
            seen += own.seen(activity::Entity::meta(), &ids).await.unwrap().len();
            assert_eq!(own.statements(), batch);
            // Who sees all records of the tenant need not be asked for.
            assert_eq!(all.seen(activity::Entity::meta(), &ids).await.unwrap().len(), ids.len());
            assert_eq!(all.statements(), 0);
        }
        assert_eq!(seen, 1000);
    }

    async fn each_change_is_heard_once_by_who_comes_and_goes_while_another_writes(app: TestApp) {
        const CHANGES: i64 = 300;
        let tenant = app.tenant("acme").await;
        let customer = create(&tenant.admin, "Changing").await;
        let before = head(&app, &tenant).await;
        let expected = Vec::from_iter(before + 1..=before + CHANGES);
        let steady = {
            let mut stream = tenant.admin.stream(&subscription(Some(before))).await;
            tokio::spawn(async move { hear(&mut stream, CHANGES as usize).await.iter().map(sequence).collect::<Vec<_>>() })
        };
        let writer = {
            let session = tenant.manager.clone();
            tokio::spawn(async move {
                for number in 0..CHANGES {
                    rename(&session, &customer, &format!("Change {number}")).await;
                }
            })
        };
        let (mut heard, mut cursor, mut visits) = (Vec::new(), before, 0u64);
        while heard.len() < expected.len() {
            // Now over one transport, now over the other, for as long as it takes to hear a few.
            let few = 1 + (visits * 7 % 23) as usize;
            let few = few.min(expected.len() - heard.len());
            let query = subscription(Some(cursor));
            if visits % 2 == 0 {
                let mut stream = tenant.admin.stream(&query).await;
                heard.extend(hear(&mut stream, few).await.iter().map(sequence));
            } else {
                let mut socket = Socket::open(&tenant.viewer, &query).await.unwrap();
                for _ in 0..few {
                    heard.push(sequence(&socket.next().await.unwrap()));
                }
            }
            cursor = *heard.last().unwrap();
            visits += 1;
        }
        writer.await.unwrap();
        assert!(visits > 20, "{visits}");
        assert_eq!(heard, expected);
        assert_eq!(steady.await.unwrap(), expected);
        let mut stream = tenant.admin.stream(&subscription(Some(cursor))).await;
        assert!(tokio::time::timeout(QUIET, stream.next()).await.is_err(), "there is nothing more");
    }

    async fn what_another_node_commits_is_heard_within_two_seconds(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let node = app.node().await;
        let here = head(&app, &tenant).await;
        let mut stream = tenant.admin.at(node.url.clone()).stream(&subscription(Some(here))).await;
        for round in 0..3 {
            tokio::time::sleep(Duration::from_millis(350)).await;
            let id = create(&tenant.agent, &format!("Customer {round}")).await;
            let committed = Instant::now();
            assert_eq!(told(&hear(&mut stream, 1).await), [("customer.created".to_owned(), id)]);
            assert!(committed.elapsed() < Duration::from_secs(2), "{:?}", committed.elapsed());
        }
    }

    async fn a_cursor_that_cannot_be_resumed_from_is_told(app: TestApp) {
        let tenant = app.tenant("acme").await;
        for number in 0..5 {
            create(&tenant.admin, &format!("Customer {number}")).await;
        }
        let newest = head(&app, &tenant).await;
        let raw = app.raw(tenant.id).await;
        raw.execute_unprepared(&format!("DELETE FROM event WHERE seq <= {}", newest - 2)).await.unwrap();

        // What is kept can be had.
        let mut stream = tenant.admin.stream(&subscription(Some(newest - 2))).await;
        assert_eq!(hear(&mut stream, 2).await.iter().map(sequence).collect::<Vec<_>>(), [newest - 1, newest]);

        for (after, hint) in [(newest - 3, "are kept any more"), (newest + 1, "there is no event")] {
            let mut stream = tenant.admin.stream(&subscription(Some(after))).await;
            let answer = next(&mut stream).await;
            assert_eq!(code(&answer), "RESYNC");
            let message = answer["errors"][0]["message"].as_str().unwrap();
            assert!(message.contains(hint) && message.contains("subscribe without `after`"), "{message}");
            assert_eq!(answer["errors"][0]["extensions"].get("cursor"), None);
            assert_eq!(stream.next().await, None);
            let mut socket = Socket::open(&tenant.admin, &subscription(Some(after))).await.unwrap();
            assert_eq!(code(&socket.next().await.unwrap()), "RESYNC");
        }
        // Nor does it go unsaid when what is missing goes while a reader is on its way.
        activities(&app, &tenant, 600, 10).await;
        let opened = app.app.identity().tenants().open(tenant.id).await.unwrap();
        let mut changes = opened.changes(Some(newest), 10_000).await.unwrap();
        assert_eq!(changes.next().await.unwrap().len(), 500);
        raw.execute_unprepared(&format!("DELETE FROM event WHERE seq <= {}", newest + 550)).await.unwrap();
        assert_eq!(changes.next().await.unwrap_err().code(), "RESYNC");
        let newest = newest + 600;

        // Nothing is kept, and nothing was missed.
        raw.execute_unprepared("DELETE FROM event").await.unwrap();
        let mut stream = tenant.admin.stream(&subscription(Some(newest - 1))).await;
        assert_eq!(code(&next(&mut stream).await), "RESYNC");
        let mut stream = tenant.admin.stream(&subscription(Some(newest))).await;
        create(&tenant.admin, "New").await;
        assert_eq!(sequence(&next(&mut stream).await), newest + 1);

        for wrong in ["x", "-1", "1.5", ""] {
            let query = format!("subscription {{ recordChanged(after: \"{wrong}\") {{ sequence }} }}");
            assert_eq!(code(&next(&mut tenant.admin.stream(&query).await).await), "BAD_USER_INPUT");
        }
    }

    async fn what_was_missed_is_told_to_those_only_who_may_see_it(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let clerk = app.user_with(&tenant, "Tess Tickets", &["tickets.read"]).await;
        let before = head(&app, &tenant).await;
        let own = create(&tenant.agent, "Own").await;
        let gone = create(&tenant.agent, "Gone").await;
        let theirs = create(&tenant.colleague, "Theirs").await;
        rename(&tenant.manager, &theirs, "Theirs still").await;
        rename(&tenant.manager, &own, "Own, by another").await;
        delete(&tenant.manager, &gone).await;
        let ticket = "mutation { ticketCreate(input: { title: \"Broken\" }) { ticket { id } userErrors { code } } }";
        let ticket = tenant.agent.mutate(ticket, json!({})).await["ticket"]["id"].as_str().unwrap().to_owned();

        let mut stream = tenant.agent.stream(&subscription(Some(before))).await;
        let event = |name: &str, id: &String| (name.to_owned(), id.clone());
        assert_eq!(told(&hear(&mut stream, 5).await), [
            event("customer.created", &own),
            event("customer.created", &gone),
            event("customer.updated", &own),
            event("customer.deleted", &gone),
            event("ticket.created", &ticket),
        ]);
        let mut stream = clerk.stream(&subscription(Some(before))).await;
        assert_eq!(told(&hear(&mut stream, 1).await), [event("ticket.created", &ticket)]);
    }

    async fn the_rights_of_now_decide(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let reader = app.user_with(&tenant, "Rita Reader", &["customers.read"]).await;
        let system = app.system(tenant.id).await;
        let named = role::Column::Name.eq("The role of Rita Reader");
        let role = system.find::<role::Entity>().unwrap().filter(named).one().await.unwrap().unwrap();
        let query = subscription(Some(head(&app, &tenant).await));
        let (mut stream, mut socket) = (reader.stream(&query).await, Socket::open(&reader, &query).await.unwrap());
        let customer = create(&tenant.admin, "Seen").await;
        for answer in [next(&mut stream).await, socket.next().await.unwrap()] {
            assert_eq!(answer["data"]["recordChanged"]["node"]["id"], customer.as_str());
        }

        let permissions = Some(vec!["products.read".to_owned()]);
        let change = RoleChange { permissions, ..Default::default() };
        app.app.identity().role_update(&system, role.id, None, change).await.unwrap();
        create(&tenant.admin, "Hidden").await;
        let product = "mutation { productCreate(input: { sku: \"P-1\", name: \"Pump\" }) {
            product { id } userErrors { code } } }";
        let product = tenant.admin.mutate(product, json!({})).await["product"]["id"].clone();
        for answer in [next(&mut stream).await, socket.next().await.unwrap()] {
            assert_eq!(answer["data"]["recordChanged"]["recordId"], product, "{answer:#}");
            assert_eq!(answer["data"]["recordChanged"]["node"]["id"], product, "read with the rights of now");
        }
    }
}

/// The server counts the transactions of a database; a statement by itself is one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn catching_up_costs_few_statements() {
    let app = TestApp::start(Engine::Postgres).await;
    let tenant = app.tenant("acme").await;
    let before = head(&app, &tenant).await;
    activities(&app, &tenant, 1000, 10).await;
    let raw = app.raw(tenant.id).await;
    let transactions = async || {
        // A connection reports what it did when it has been idle for a while.
        tokio::time::sleep(Duration::from_secs(11)).await;
        let count = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()";
        let row = raw.query_one_raw(statement(&raw, count)).await.unwrap().unwrap();
        row.try_get_by_index::<i64>(0).unwrap()
    };
    let earlier = transactions().await;
    let mut stream = tenant.admin.stream(&subscription(Some(before))).await;
    hear(&mut stream, 1000).await;
    drop(stream);
    let cost = transactions().await - earlier;
    // Three pages, what is seen of each, and forty batches of records; the follower looks once a second besides.
    assert!((45..200).contains(&cost), "{cost} statements");
}

/// A subscriber that does not read, on either engine.
async fn slow(engine: Engine) {
    let app = TestApp::start_with(engine, |config| config.limits.live_backlog = 100).await;
    let tenant = app.tenant("acme").await;
    let before = head(&app, &tenant).await;
    let text = |after: i64| {
        let often: String = (0..10).map(|index| format!("text{index}: description ")).collect();
        format!(
            "subscription {{ recordChanged(after: \"{after}\") {{ sequence node {{ ... on Activity {{ {often} }} }} }} }}"
        )
    };
    let mut stream = tenant.admin.stream(&text(before)).await;
    activities(&app, &tenant, 1, 10).await;
    assert_eq!(sequence(&next(&mut stream).await), before + 1);
    // It reads nothing while more is committed than buffers hold.
    activities(&app, &tenant, 2500, 4000).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut heard = vec![before + 1];
    let end = loop {
        let answer = next(&mut stream).await;
        if answer.get("errors").is_some() {
            break answer;
        }
        heard.push(sequence(&answer));
    };
    assert!(heard.len() < 2000, "it was fast enough: {}", heard.len());
    assert_eq!(code(&end), "RESYNC");
    assert!(end["errors"][0]["message"].as_str().unwrap().contains("subscribe again with `after:"));
    let cursor: i64 = end["errors"][0]["extensions"]["cursor"].as_str().unwrap().parse().unwrap();
    assert_eq!(heard, Vec::from_iter(before + 1..=cursor), "nothing is missing before the cursor");
    assert_eq!(stream.next().await, None);

    // Nor after it.
    let mut stream = tenant.admin.stream(&subscription(Some(cursor))).await;
    let rest: Vec<i64> = hear(&mut stream, 2500 - heard.len() + 1).await.iter().map(sequence).collect();
    assert_eq!(rest, Vec::from_iter(cursor + 1..=before + 2501));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_subscriber_is_closed_with_its_cursor_on_sqlite() {
    slow(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_subscriber_is_closed_with_its_cursor_on_postgres() {
    slow(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_and_tenants_hold_so_many_connections_and_no_more() {
    let app = TestApp::start_with(Engine::Sqlite, |config| {
        config.limits.live_connections_per_user = 2;
        config.limits.live_connections_per_tenant = 3;
    })
    .await;
    let (tenant, other) = (app.tenant("acme").await, app.tenant("globex").await);
    let query = subscription(None);
    let refused = async |session: &Session| {
        let (code, reason) = Socket::open(session, &query).await.err().unwrap();
        assert!(code == 4429 && reason.starts_with("THROTTLED"), "{code} {reason}");
        let stream = session.stream(&query).await;
        assert_eq!(stream.status(), (429, Some("10")));
    };
    let socket = Socket::open(&tenant.admin, &query).await.unwrap();
    let stream = tenant.admin.stream(&query).await;
    assert_eq!(stream.status().0, 200);
    refused(&tenant.admin).await;
    let third = tenant.agent.stream(&query).await;
    assert_eq!(third.status().0, 200);
    refused(&tenant.viewer).await;
    let _elsewhere = Socket::open(&other.admin, &query).await.unwrap();
    // Whoever reads once is no subscriber.
    tenant.viewer.data("{ customers { totalCount } }", json!({})).await;

    // A place becomes free with the connection that held it.
    drop(socket);
    let begin = Instant::now();
    while Socket::open(&tenant.viewer, &query).await.is_err() {
        assert!(begin.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop((stream, third));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_follows_the_outbox_of_a_tenant_without_subscribers() {
    let app = TestApp::start(Engine::Sqlite).await;
    let tenant = app.tenant("acme").await;
    let opened = app.app.identity().tenants().open(tenant.id).await.unwrap();
    let count = || std::sync::Arc::strong_count(&opened);
    let settled = async |expected: usize| {
        let begin = Instant::now();
        while count() != expected {
            assert!(begin.elapsed() < PATIENCE, "{} instead of {expected}", count());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    settled(2).await;
    let first = opened.changes(None, 100).await.unwrap();
    let second = opened.changes(None, 100).await.unwrap();
    // Two readers, and one task for both.
    settled(5).await;
    drop(first);
    settled(4).await;
    drop(second);
    settled(2).await;
    // The next one starts it anew.
    let mut third = opened.changes(None, 100).await.unwrap();
    create(&tenant.admin, "New").await;
    let events = tokio::time::timeout(PATIENCE, third.next()).await.unwrap().unwrap();
    assert_eq!(events[0].name, "customer.created");
    assert_eq!(events[0].record_type, customer::Entity::NAME);
}

/// A transaction that was begun first and ends last hides nothing: its event gets its number at the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_held_open_hides_no_event() {
    const OTHERS: usize = 1000;
    let app = TestApp::start(Engine::Postgres).await;
    let tenant = app.tenant("acme").await;
    let from = head(&app, &tenant).await;
    let mut stream = tenant.admin.stream(&subscription(Some(from))).await;
    let owner = rapport::data::ids::decode(&tenant.admin.user_id).unwrap().1;
    let db = app.system(tenant.id).await;
    let task = |subject: String| activity::ActiveModel {
        r#type: Set(ActivityType::Task),
        subject: Set(subject),
        status: Set(ActivityStatus::Planned),
        priority: Set(Priority::Normal),
        attendees: Set(json!([])),
        owner_id: Set(owner),
        ..Default::default()
    };
    let (held, is_held) = tokio::sync::oneshot::channel();
    let (let_go, may_go) = tokio::sync::oneshot::channel::<()>();
    let holding = {
        let (db, first) = (db.clone(), task("begun first".to_owned()));
        tokio::spawn(async move {
            db.write(async |unit| {
                let row = unit.insert::<activity::Entity>(first).await?;
                held.send(()).unwrap();
                may_go.await.unwrap();
                Ok(row.id)
            })
            .await
            .unwrap()
        })
    };
    is_held.await.unwrap();
    for index in 0..OTHERS {
        let one = task(format!("T{index}"));
        db.write(async |unit| unit.insert::<activity::Entity>(one).await.map(|_| ())).await.unwrap();
    }
    let early = hear(&mut stream, OTHERS).await;
    let_go.send(()).unwrap();
    let id = rapport::data::ids::encode("activity", holding.await.unwrap());
    let last = next(&mut stream).await;
    let sequences: Vec<_> = early.iter().chain([&last]).map(sequence).collect();
    assert_eq!(sequences, (from + 1..=from + 1 + OTHERS as i64).collect::<Vec<_>>());
    assert_eq!(told(&[last]), [("activity.created".to_owned(), id)]);
}
