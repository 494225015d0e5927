//! Clients whose code or types are generated from `schema.graphql`, each against a running server; `docs/clients.md`
//! shows them.

use std::fs;

use graphql_client::{GraphQLQuery, Response};
use serde_json::{Value, json};

use super::{node, repository, tools, workshop};
use crate::support::{Engine, Session, TestApp};

/// A customer with a contact, a deal and an activity; answers its id.
async fn acme(session: &Session) -> String {
    let create = "mutation($input: CustomerCreateInput!) { customerCreate(input: $input) {
        customer { id } userErrors { message } } }";
    let input = json!({ "name": "Acme", "status": "ACTIVE", "website": "https://acme.example", "tags": ["key"] });
    let id = session.mutate(create, json!({ "input": input })).await["customer"]["id"].clone();
    let rest = "mutation($id: ID!) {
        contactCreate(input: { lastName: \"Doe\", firstName: \"Joan\", customerId: $id }) { userErrors { message } }
        opportunityCreate(input: { title: \"Deal\", customerId: $id, value: { amount: \"1200.50\", currency: \"EUR\" } })
            { userErrors { message } }
        activityCreate(input: { type: TASK, subject: \"A first\", relatedToId: $id }) { userErrors { message } }
        second: activityCreate(input: { type: TASK, subject: \"B second\", relatedToId: $id }) { userErrors { message } }
        third: activityCreate(input: { type: TASK, subject: \"C third\", relatedToId: $id }) { userErrors { message } }
    }";
    for (field, payload) in session.data(rest, json!({ "id": id })).await.as_object().unwrap() {
        assert_eq!(payload["userErrors"], json!([]), "{field}");
    }
    id.as_str().unwrap().to_owned()
}

/// The compiler understands the schema as Relay does: nodes, connections, the query of a next page that it writes
/// itself. What it wrote is what the server answers.
#[tokio::test]
async fn relay_compiles_a_page_that_the_server_answers() {
    let folder = workshop("clients/relay");
    let compiler = tools("node_modules/relay-compiler/cli.js");
    node(folder.path(), &compiler, &["relay.config.json"]).await.well();
    let compiled = |name: &str| {
        let artifact = folder.path().join(format!("__generated__/{name}.graphql.ts"));
        let artifact = fs::read_to_string(&artifact).unwrap_or_else(|error| panic!("{name} was not compiled: {error}"));
        let text = artifact.lines().find_map(|line| line.trim().strip_prefix("\"text\": ")).unwrap().to_owned();
        serde_json::from_str::<String>(text.trim_end_matches(',')).unwrap()
    };

    let app = TestApp::start(Engine::Sqlite).await;
    let session = app.tenant("acme").await.agent;
    let id = acme(&session).await;
    let page = session.data(&compiled("CustomerPageQuery"), json!({ "id": id })).await;
    let customer = &page["customer360"]["customer"];
    assert_eq!(customer["owner"]["name"], "Ann Agent");
    let subjects = |activities: &Value| {
        let edges = activities["edges"].as_array().unwrap();
        edges.iter().map(|edge| edge["node"]["subject"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let activities = &customer["activities"];
    assert_eq!(subjects(activities), ["A first", "B second"]);
    assert_eq!(activities["pageInfo"]["hasNextPage"], true);
    assert_eq!(page["customer360"]["timeline"]["edges"].as_array().unwrap().len(), 4);

    let next = compiled("CustomerPageActivitiesQuery");
    let next = session.data(&next, json!({ "id": id, "after": activities["pageInfo"]["endCursor"] })).await;
    assert_eq!(subjects(&next["node"]["activities"]), ["C third"]);

    let input = json!({ "type": "CALL", "subject": "Call Joan", "relatedToId": id });
    let created = session.mutate(&compiled("CustomerPageActivityCreateMutation"), json!({ "input": input })).await;
    assert_eq!(created["activity"]["status"], "PLANNED");

    let mut changes = session.stream(&compiled("CustomerPageChangesSubscription")).await;
    // The stream may open after the change is made, so the change is made until it is heard.
    let heard = loop {
        let rename = "mutation($id: ID!) { customerUpdate(id: $id, input: { name: \"Acme & Sons\" }) {
            userErrors { message } } }";
        session.mutate(rename, json!({ "id": id })).await;
        let touch =
            "mutation($id: ID!) { customerUpdate(id: $id, input: { name: \"Acme\" }) { userErrors { message } } }";
        session.mutate(touch, json!({ "id": id })).await;
        if let Ok(heard) = tokio::time::timeout(std::time::Duration::from_secs(1), changes.next()).await {
            break heard.unwrap();
        }
    };
    assert_eq!(heard["data"]["recordChanged"]["recordId"], json!(id), "{heard:#}");
    assert_eq!(heard["data"]["recordChanged"]["node"]["customerStatus"], "ACTIVE", "{heard:#}");
}

/// The types that graphql-codegen writes hold a client to the schema, and the client works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typescript_by_graphql_codegen() {
    let folder = workshop("clients/codegen");
    let operations = tools("clients/customer360.graphql");
    let generate = folder.path().join("generate.mjs");
    node(folder.path(), &generate, &["schema.graphql", operations.to_str().unwrap(), "."]).await.well();
    for (file, declared) in [
        ("schema.ts", "export type Customer360 = {"),
        ("schema.ts", "export type CustomerWhere = {"),
        ("operations.ts", "export const Customer360Document ="),
    ] {
        assert!(fs::read_to_string(folder.path().join(file)).unwrap().contains(declared), "{declared}");
    }
    node(folder.path(), &tools("node_modules/typescript/bin/tsc"), &["--project", "."]).await.well();

    let app = TestApp::start(Engine::Sqlite).await;
    let session = app.tenant("acme").await.agent;
    let id = acme(&session).await;
    let client = folder.path().join("out/main.js");
    let arguments = [&app.url("/graphql"), session.token.as_ref().unwrap(), &id];
    let said = node(folder.path(), &client, &arguments.map(String::as_str)).await.well();
    assert_eq!(
        serde_json::from_str::<Value>(&said).unwrap(),
        json!({
            "customer": "Acme", "contacts": ["Joan Doe"], "worth": "1200.50 EUR",
            "planned": "Call Acme", "about": "Acme", "refused": [],
        })
    );
}

// Scalars travel as JSON strings; a client may choose richer types for them.
#[expect(clippy::upper_case_acronyms, reason = "so the schema calls it")]
type URL = String;
type CurrencyCode = String;
type Date = chrono::NaiveDate;
type DateTime = chrono::DateTime<chrono::Utc>;
type Decimal = rust_decimal::Decimal;
type EmailAddress = String;

#[derive(GraphQLQuery)]
#[graphql(schema_path = "schema.graphql", query_path = "tests/tools/clients/customer360.graphql")]
struct Customer360;

#[derive(GraphQLQuery)]
#[graphql(
    schema_path = "schema.graphql",
    query_path = "tests/tools/clients/customer360.graphql",
    response_derives = "Debug",
    skip_serializing_none
)]
struct ActivityCreate;

async fn post<Q: GraphQLQuery>(url: &str, token: &str, variables: Q::Variables) -> Q::ResponseData {
    #[expect(clippy::disallowed_methods, reason = "tests speak to the server that they started")]
    let client = reqwest::Client::new();
    let request = client.post(url).bearer_auth(token).json(&Q::build_query(variables));
    let answer: Response<Q::ResponseData> = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer.errors, None);
    answer.data.unwrap()
}

#[tokio::test]
async fn rust_by_graphql_client() {
    let app = TestApp::start(Engine::Sqlite).await;
    let session = app.tenant("acme").await.agent;
    let id = acme(&session).await;
    let (url, token) = (app.url("/graphql"), session.token.as_ref().unwrap());

    let variables = customer360::Variables { id: id.clone(), contacts: Some(5) };
    let customer360 = post::<Customer360>(&url, token, variables).await.customer360.unwrap();
    let customer = customer360.customer.unwrap();
    assert_eq!(customer.customer_card.name, "Acme");
    assert!(matches!(customer.customer_card.status, customer360::CustomerStatus::ACTIVE));
    let metrics = customer360.metrics.unwrap();
    let worth = &metrics.open_pipeline_value.unwrap()[0];
    assert_eq!((worth.amount, worth.currency.as_str()), (Decimal::new(120_050, 2), "EUR"));
    assert_eq!(customer360.contacts.unwrap().nodes[0].name, "Joan Doe");
    assert_eq!(customer360.timeline.unwrap().nodes.len(), 4);

    let variables = activity_create::Variables {
        input: activity_create::ActivityCreateInput {
            type_: activity_create::ActivityType::CALL,
            subject: "Call Joan".to_owned(),
            related_to_id: Some(id),
            description: None,
            status: None,
            priority: None,
            start_at: None,
            due_at: Some("2026-12-01T09:00:00Z".parse().unwrap()),
            completed_at: None,
            remind_at: None,
            recurrence: None,
            attendees: None,
            owner_id: None,
            external_reference: None,
        },
    };
    let payload = post::<ActivityCreate>(&url, token, variables).await.activity_create.unwrap();
    assert!(payload.user_errors.is_empty(), "{:?}", payload.user_errors);
    let activity = payload.activity.unwrap();
    assert_eq!((activity.subject.as_str(), activity.due_at.unwrap().timestamp()), ("Call Joan", 1_796_115_600));
}

/// What `docs/clients.md` shows is what these tests run: every block of code stands, line by line, in the file that is
/// named before it.
#[test]
fn the_examples_in_the_documentation_are_run() {
    let lines = |text: &str| text.lines().map(|line| format!("{}\n", line.trim())).collect::<String>();
    let page = fs::read_to_string(repository().join("docs/clients.md")).unwrap();
    let mut blocks = 0;
    let mut parts = page.split("```");
    let mut before = parts.next().unwrap();
    while let (Some(block), Some(after)) = (parts.next(), parts.next()) {
        let (language, code) = block.split_once('\n').unwrap();
        if language != "sh" {
            let named = before.rsplit("](../").next().and_then(|link| link.split(')').next()).unwrap();
            let file = fs::read_to_string(repository().join(named)).unwrap_or_else(|error| panic!("{named}: {error}"));
            assert!(lines(&file).contains(&lines(code)), "{named} does not hold this:\n{code}");
            blocks += 1;
        }
        before = after;
    }
    assert!(blocks >= 5, "only {blocks} examples were found");
}
