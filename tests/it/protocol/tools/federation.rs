//! A subgraph of Apollo Federation 2: what a router asks with `_entities`, and a gateway before Rapport and a neighbour.

use serde_json::{Value, json};

use super::{node, tools};
use crate::{
    on_both_engines,
    support::{Engine, Session, TestApp},
};

const ENTITIES: &str = "query($references: [_Any!]!) { _entities(representations: $references) {
    __typename
    ... on Customer { id name contacts { totalCount } owner { name } }
    ... on Ticket { id title }
    ... on User { name }
} }";

async fn created(session: &Session, record: &str, input: Value) -> Value {
    let field = record.to_lowercase();
    let create = format!(
        "mutation($input: {record}CreateInput!) {{ {field}Create(input: $input) {{
            {field} {{ id }} userErrors {{ field message }} }} }}"
    );
    session.mutate(&create, json!({ "input": input })).await[&field]["id"].clone()
}

fn by(record: &str, key: &str, value: impl Into<Value>) -> Value {
    json!({ "__typename": record, key: value.into() })
}

on_both_engines! {
    /// In the order of the references, one statement for each type and key, and null without an error for what is not
    /// there and for what is not to be seen.
    async fn entities_are_batched(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let mut customers = Vec::new();
        for index in 0..5 {
            let input = json!({ "name": format!("C{index}"), "externalReference": format!("K-{index}") });
            customers.push(created(&tenant.agent, "Customer", input).await);
        }
        created(&tenant.agent, "Contact", json!({ "lastName": "P", "customerId": customers[1] })).await;
        let ticket = created(&tenant.agent, "Ticket", json!({ "title": "T" })).await;
        let hidden = json!({ "name": "Hidden", "externalReference": "K-hidden" });
        let hidden = created(&tenant.colleague, "Customer", hidden).await;
        let gone = created(&tenant.agent, "Customer", json!({ "name": "Gone", "externalReference": "K-gone" })).await;
        let delete = "mutation($id: ID!) { customerDelete(id: $id) { userErrors { message } } }";
        tenant.admin.mutate(delete, json!({ "id": gone })).await;

        let mut references: Vec<Value> = customers.iter().map(|id| by("Customer", "id", id.clone())).collect();
        references.extend([
            by("Ticket", "id", ticket.clone()),
            by("Customer", "externalReference", "K-3"),
            by("Customer", "externalReference", "K-1"),
            by("User", "email", "Ann.Agent@ACME.example"),
        ]);
        let there = references.len();
        references.extend([
            by("Customer", "id", hidden.clone()),
            by("Customer", "externalReference", "K-hidden"),
            by("Customer", "id", gone),
            by("Customer", "externalReference", "K-gone"),
            by("Customer", "id", "customer_00000000000000000000000000"),
            by("Customer", "externalReference", "k-1"),
            by("Customer", "externalReference", Value::Null),
            by("User", "email", "nobody@acme.example"),
        ]);
        // A reference may come again, and with more than its key.
        references.push(json!({ "__typename": "Customer", "id": customers[1], "externalReference": "K-2", "name": "?" }));

        let answer = tenant.agent.send(ENTITIES, json!({ "references": references })).await;
        assert_eq!(answer.body.get("errors"), None, "{:#}", answer.body);
        assert_eq!(answer.statements, Some(4), "customers by id and by reference, tickets, users");
        let found = answer.body["data"]["_entities"].as_array().unwrap();
        assert_eq!(found.len(), references.len());
        for (index, id) in customers.iter().enumerate() {
            assert_eq!((&found[index]["id"], &found[index]["name"]), (id, &json!(format!("C{index}"))));
        }
        assert_eq!(found[1], json!({
            "__typename": "Customer", "id": customers[1], "name": "C1", "contacts": { "totalCount": 1 },
            "owner": { "name": "Ann Agent" },
        }));
        assert_eq!(found[5], json!({ "__typename": "Ticket", "id": ticket, "title": "T" }));
        assert_eq!(found[6]["id"], customers[3]);
        assert_eq!(found[7], found[1]);
        assert_eq!(found[8], json!({ "__typename": "User", "name": "Ann Agent" }));
        assert_eq!(found[there..references.len() - 1], vec![Value::Null; references.len() - 1 - there]);
        assert_eq!(found[references.len() - 1]["id"], customers[1]);

        // One reference costs what five do.
        let answer = tenant.agent.send(ENTITIES, json!({ "references": [references[0]] })).await;
        assert_eq!(answer.statements, Some(1));
        // Who may read none of them is told the same as who asks for what never was.
        let outsider = app.user_with(&tenant, "Olga Outsider", &["products.read"]).await;
        let answer = outsider.send(ENTITIES, json!({ "references": references })).await;
        let nothing = vec![Value::Null; references.len()];
        assert_eq!(answer.body["data"], json!({ "_entities": nothing }));
        assert_eq!(answer.body.get("errors"), None, "{:#}", answer.body);
        // Nor does another tenant see anything.
        let other = app.tenant("other").await;
        let answer = other.admin.send(ENTITIES, json!({ "references": references })).await;
        assert_eq!(answer.body["data"], json!({ "_entities": nothing }));
        assert_eq!(answer.body.get("errors"), None, "{:#}", answer.body);
    }

    /// Every record can be referred to by every key that the subgraph's SDL names.
    async fn every_key_finds_its_record(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let sdl = rapport::graphql::schema::sdl(true);
        let mut keys = Vec::new();
        for line in sdl.lines().filter(|line| line.starts_with("type ")) {
            let record = line.split(' ').nth(1).unwrap();
            keys.extend(line.split("@key(fields: \"").skip(1).map(|key| (record, key.split('"').next().unwrap())));
        }
        let ids = keys.iter().filter(|(_, key)| *key == "id").count();
        assert!(ids >= 17, "{keys:?}");
        let customer = created(&tenant.admin, "Customer", json!({ "name": "C" })).await;
        let by_reference = |record: &str| keys.contains(&(record, "externalReference"));
        for record in ["Customer", "Contact", "Lead", "Opportunity", "Product", "Activity", "Interaction", "Ticket", "Pipeline"] {
            assert!(by_reference(record), "{record}");
            let mut input = match record {
                "Contact" => json!({ "lastName": "P", "customerId": customer }),
                "Lead" => json!({ "lastName": "L", "companyName": "Co" }),
                "Opportunity" | "Ticket" => json!({ "title": "T" }),
                "Product" => json!({ "name": "P", "sku": "S", "unitPrice": { "amount": "1", "currency": "EUR" } }),
                "Activity" => json!({ "type": "TASK", "subject": "S" }),
                "Interaction" => json!({ "type": "NOTE", "subject": "S" }),
                _ => json!({ "name": "N" }),
            };
            input["externalReference"] = json!(format!("X {record}"));
            let id = created(&tenant.admin, record, input).await;
            let query = format!("query($references: [_Any!]!) {{ _entities(representations: $references) {{
                ... on {record} {{ id externalReference }} }} }}");
            let references = json!([
                by(record, "id", id.clone()), by(record, "externalReference", format!("X {record}")),
            ]);
            let answer = tenant.admin.data(&query, json!({ "references": references })).await;
            let expected = json!({ "id": id, "externalReference": format!("X {record}") });
            assert_eq!(answer["_entities"], json!([expected, expected]));
        }
        assert!(keys.contains(&("User", "email")) && by_reference("User"), "{keys:?}");
    }

    /// A reference that is none is told, and does not spoil those beside it; a request that is none is refused.
    async fn wrong_references(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let customer = created(&tenant.agent, "Customer", json!({ "name": "C" })).await;
        let right = by("Customer", "id", customer.clone());
        for wrong in ["nonsense", "", "ticket_00000000000000000000000000", "customer_!"] {
            let references = json!([by("Customer", "id", wrong), right]);
            let answer = tenant.agent.send(ENTITIES, json!({ "references": references })).await;
            let found = answer.body["data"]["_entities"].as_array().unwrap();
            assert_eq!((&found[0], &found[1]["id"]), (&Value::Null, &customer), "{:#}", answer.body);
            assert_eq!(answer.codes(), ["BAD_USER_INPUT"], "{:#}", answer.body);
        }
        for wrong in [
            by("Unicorn", "id", "unicorn_1"),
            by("Customer", "name", "C"),
            by("Customer", "externalReference", 5),
            by("Customer", "id", json!({ "deep": ["er"] })),
            json!({ "id": customer }),
            json!({ "__typename": 5, "id": customer }),
            json!("Customer"),
            json!(null),
            json!([]),
        ] {
            let answer = tenant.agent.send(ENTITIES, json!({ "references": [wrong, right] })).await;
            assert_eq!(answer.codes(), ["BAD_USER_INPUT"], "{wrong}: {:#}", answer.body);
        }
        let answer = app.anonymous().send(ENTITIES, json!({ "references": [right] })).await;
        assert_eq!(answer.codes(), ["UNAUTHENTICATED"]);
        assert_eq!(answer.body["data"], json!({ "_entities": [null] }));
    }
}

/// Composed by Apollo's composition, asked through Apollo's gateway: one query goes from Rapport to its neighbours and
/// from them back to Rapport, by all keys, as the caller whose token the gateway passes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_through_a_gateway() {
    let app = TestApp::start(Engine::Sqlite).await;
    let tenant = app.tenant("acme").await;
    let acme = created(&tenant.agent, "Customer", json!({ "name": "Acme", "externalReference": "K-1" })).await;
    let value = json!({ "amount": "1200.50", "currency": "EUR" });
    created(&tenant.agent, "Opportunity", json!({ "title": "Deal", "customerId": acme, "value": value })).await;
    let mut points = json!({});
    for (index, session) in [&tenant.agent, &tenant.colleague, &tenant.agent].into_iter().enumerate() {
        let input = json!({ "name": format!("C{index}"), "externalReference": format!("C-{index}") });
        points[created(session, "Customer", input).await.as_str().unwrap()] = json!(index);
    }
    points[acme.as_str().unwrap()] = json!(120);

    let query = "query($id: ID!) {
        customer360(id: $id) { customer { name loyaltyPoints } metrics { openPipelineValue { amount currency } } }
        members { loyaltyPoints version opportunities { nodes { title } } }
        invoices { number total { amount currency } payer { name loyaltyPoints owner { email } } soldBy { name } }
    }";
    let request = json!({ "query": query, "variables": { "id": acme } });
    let total = json!({ "amount": "7", "currency": "USD" });
    let invoice = |number: &str, payer: &str| {
        json!({ "number": number, "total": total, "payer": { "externalReference": payer },
            "soldBy": { "email": "ann.agent@acme.example" } })
    };
    let invoices = [invoice("R-1", "K-1"), invoice("R-2", "C-1"), invoice("R-3", "C-2")];
    let known = json!({ "points": points, "invoices": invoices });
    let arguments = [app.url("/graphql"), tenant.agent.token.clone().unwrap(), request.to_string(), known.to_string()];
    let arguments = arguments.each_ref().map(String::as_str);
    let said = node(&tools("federation"), &tools("federation/gateway.mjs"), &arguments).await.well();
    let said: Value = serde_json::from_str(&said).unwrap();
    let answer = &said["answer"];
    assert_eq!(answer.get("errors"), None, "{said:#}");
    let customer360 = json!({
        "customer": { "name": "Acme", "loyaltyPoints": 120 }, "metrics": { "openPipelineValue": [value] },
    });
    assert_eq!(answer["data"]["customer360"], customer360, "{said:#}");
    let ann = json!({ "email": "ann.agent@acme.example" });
    let paid = |number: &str, payer: Value| json!({ "number": number, "total": total, "payer": payer, "soldBy": { "name": "Ann Agent" } });
    let invoices = json!([
        paid("R-1", json!({ "name": "Acme", "loyaltyPoints": 120, "owner": ann })),
        // A colleague's: not to be seen, so it is not there.
        paid("R-2", Value::Null),
        paid("R-3", json!({ "name": "C2", "loyaltyPoints": 2, "owner": ann })),
    ]);
    assert_eq!(answer["data"]["invoices"], invoices, "{said:#}");
    let members = answer["data"]["members"].as_array().unwrap();
    let member = |points: i32, deals: Value| {
        members.contains(&json!({ "loyaltyPoints": points, "version": 1, "opportunities": { "nodes": deals } }))
    };
    assert!(member(120, json!([{ "title": "Deal" }])) && member(0, json!([])) && member(2, json!([])), "{said:#}");
    assert!(members.len() == 4 && members.contains(&Value::Null), "{said:#}");
    assert_eq!(said["hints"], json!([]), "{said:#}");
    // Its own fields, then customers by id, customers by reference, users by e-mail: a list is asked for at once.
    assert_eq!(said["asked"]["rapport"], 4, "{said:#}");
}
