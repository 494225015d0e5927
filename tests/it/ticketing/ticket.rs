//! Tickets: their numbers, their requester, and what status follows what.

use std::sync::Arc;

use entity::{record::Record, tenant::ticket};
use rapport::data::ids;
use serde_json::{Value, json};

use crate::{
    on_both_engines,
    support::{Session, TestApp, TestTenant},
};

const CREATE: &str = "mutation($input: TicketCreateInput!) {
    ticketCreate(input: $input) {
        ticket { id number title status priority type channel tags version reopenedCount
            customer { id } contact { id } owner { id } createdBy { id } }
        userErrors { field message code }
    }
}";

const UPDATE: &str = "mutation($id: ID!, $input: TicketUpdateInput!) {
    ticketUpdate(id: $id, input: $input) {
        ticket { status version customer { id } contact { id } resolvedAt } userErrors { field message code }
    }
}";

async fn create(session: &Session, input: Value) -> Value {
    session.mutate(CREATE, json!({ "input": input })).await["ticket"].clone()
}

/// Runs `ticket<Verb>` on a ticket.
async fn act(session: &Session, verb: &str, id: &Value) -> Value {
    session.mutate(&action(verb), json!({ "id": id })).await["ticket"].clone()
}

fn action(verb: &str) -> String {
    format!(
        "mutation($id: ID!, $version: Int) {{ ticket{verb}(id: $id, expectedVersion: $version) {{
            ticket {{ status resolvedAt closedAt reopenedCount version }} userErrors {{ field message code }}
        }} }}"
    )
}

async fn customer(session: &Session, name: &str) -> Value {
    let create = "mutation($name: String!) {
        customerCreate(input: { name: $name }) { customer { id } userErrors { code } }
    }";
    session.mutate(create, json!({ "name": name })).await["customer"]["id"].clone()
}

async fn contact(session: &Session, customer: &Value, name: &str) -> Value {
    let create = "mutation($customer: ID!, $name: String!) {
        contactCreate(input: { customerId: $customer, lastName: $name }) { contact { id } userErrors { code } }
    }";
    session.mutate(create, json!({ "customer": customer, "name": name })).await["contact"]["id"].clone()
}

/// What was raised while `work` ran, by name.
pub async fn raised<T>(app: &TestApp, tenant: &TestTenant, work: impl AsyncFnOnce() -> T) -> (T, Vec<String>) {
    let opened = app.app.identity().tenants().open(tenant.id).await.unwrap();
    let mut feed = Arc::clone(&opened).feed().listen();
    let done = work().await;
    let mut names = Vec::new();
    while let Ok(event) = feed.try_recv() {
        names.push(event.name.clone());
    }
    (done, names)
}

on_both_engines! {
    /// What is left out gets its usual value; whoever creates it works on it.
    async fn a_ticket_is_created(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let (ticket, events) =
            raised(&app, &tenant, async || create(&tenant.agent, json!({ "title": " It is broken " })).await).await;
        assert_eq!(ticket["number"], "TKT-000001");
        assert_eq!(ticket["title"], "It is broken");
        for (field, value) in [("status", "NEW"), ("priority", "NORMAL"), ("type", "QUESTION"), ("channel", "WEB")] {
            assert_eq!(ticket[field], value);
        }
        assert_eq!(ticket["tags"], json!([]));
        assert_eq!(ticket["owner"]["id"], tenant.agent.user_id.as_str());
        assert_eq!(ticket["reopenedCount"], 0);
        assert_eq!(events, ["ticket.created"]);

        let (_, events) = raised(&app, &tenant, async || {
            create(&tenant.manager, json!({ "title": "For Ann", "ownerId": tenant.agent.user_id })).await
        }).await;
        assert_eq!(events, ["ticket.created", "ticket.assigned"]);
        let refused = tenant.agent.refused(CREATE, json!({ "input": { "title": " ", "status": "CLOSED" } })).await;
        assert_eq!(refused, [("INVALID_STATE".to_owned(), vec!["input".to_owned(), "status".to_owned()])]);
    }

    /// Numbers follow each other without gaps in each tenant, also past refusals, deletions and in a bulk, and stay.
    async fn numbers(app: TestApp) {
        let (tenant, other) = (app.tenant("acme").await, app.tenant("other").await);
        let first = create(&tenant.admin, json!({ "title": "One" })).await;
        tenant.admin.refused(CREATE, json!({ "input": { "title": " " } })).await;
        tenant.admin.refused(CREATE, json!({ "input": {
            "title": "x", "ownerId": "user_00000000000000000000000000",
        } })).await;
        let delete = "mutation($id: ID!) { ticketDelete(id: $id) { deletedId userErrors { code } } }";
        tenant.admin.mutate(delete, json!({ "id": first["id"] })).await;
        let upsert = "mutation($inputs: [TicketUpsertInput!]!) {
            ticketBulkUpsert(inputs: $inputs, errorPolicy: REJECT_FAILED) {
                results { ticket { number externalReference } userErrors { field code } }
            }
        }";
        let inputs = json!([
            { "externalReference": "a", "input": { "title": "A" } },
            { "externalReference": "b", "input": { "title": "" } },
            { "externalReference": "c", "input": { "title": "C" } },
            { "externalReference": "a", "input": { "priority": "HIGH" } },
        ]);
        let done = tenant.admin.data(upsert, json!({ "inputs": inputs })).await;
        let results = &done["ticketBulkUpsert"]["results"];
        assert_eq!(results[0]["ticket"]["number"], "TKT-000002", "{results:#}");
        assert_eq!(results[1]["userErrors"], json!([{ "field": ["input", "title"], "code": "BLANK" }]));
        assert_eq!(results[2]["ticket"]["number"], "TKT-000003");

        let many = futures_util::future::join_all((0..10).map(|index| {
            let session = if index % 2 == 0 { &tenant.admin } else { &tenant.agent };
            create(session, json!({ "title": format!("T{index}") }))
        })).await;
        let mut numbers: Vec<&str> = many.iter().map(|ticket| ticket["number"].as_str().unwrap()).collect();
        numbers.sort_unstable();
        let expected: Vec<String> = (4..14).map(|number| format!("TKT-{number:06}")).collect();
        assert_eq!(numbers, expected);
        assert_eq!(create(&other.admin, json!({ "title": "One" })).await["number"], "TKT-000001");

        let restore = "mutation($id: ID!) { ticketRestore(id: $id) { ticket { number } userErrors { code } } }";
        let restored = tenant.admin.mutate(restore, json!({ "id": first["id"] })).await;
        assert_eq!(restored["ticket"]["number"], "TKT-000001");
        let found = "{ tickets(where: { number: { eq: \"tkt-000002\" } }) { totalCount nodes { number } } }";
        assert_eq!(tenant.admin.data(found, json!({})).await["tickets"]["nodes"][0]["number"], "TKT-000002");
        let sorted = "{ tickets(first: 2, orderBy: [{ field: NUMBER, direction: DESC }]) { nodes { number } } }";
        assert_eq!(tenant.admin.data(sorted, json!({})).await["tickets"]["nodes"][0]["number"], "TKT-000013");
    }

    /// No writer changes a number, whoever it is.
    async fn a_number_never_changes(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let ticket = create(&tenant.admin, json!({ "title": "One" })).await;
        let (_, id) = ids::decode(ticket["id"].as_str().unwrap()).unwrap();
        let system = app.system(tenant.id).await;
        let change = ticket::ActiveModel {
            number: sea_orm::ActiveValue::Set("TKT-000099".to_owned()),
            ..Default::default()
        };
        let refused = system.write(async |unit| unit.update::<ticket::Entity>(id, None, change).await).await.unwrap_err();
        assert_eq!(refused.code(), "BAD_USER_INPUT");
        assert_eq!(ticket::Entity::NAME, "ticket");
        let number = system.find::<ticket::Entity>().unwrap().id(id).one().await.unwrap().unwrap().number;
        assert_eq!(number, "TKT-000001");
    }

    /// Every pair of statuses: what the table allows happens, the rest is INVALID_STATE, by the action and by an update.
    async fn transitions(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let paths: &[(&str, &[&str])] = &[
            ("NEW", &[]),
            ("OPEN", &["Open"]),
            ("PENDING", &["Pend"]),
            ("ON_HOLD", &["Hold"]),
            ("RESOLVED", &["Resolve"]),
            ("CLOSED", &["Resolve", "Close"]),
        ];
        let allowed = [
            ("NEW", "OPEN"), ("NEW", "PENDING"), ("NEW", "ON_HOLD"), ("NEW", "RESOLVED"),
            ("OPEN", "PENDING"), ("OPEN", "ON_HOLD"), ("OPEN", "RESOLVED"),
            ("PENDING", "OPEN"), ("PENDING", "ON_HOLD"), ("PENDING", "RESOLVED"),
            ("ON_HOLD", "OPEN"), ("ON_HOLD", "PENDING"), ("ON_HOLD", "RESOLVED"),
            ("RESOLVED", "CLOSED"), ("RESOLVED", "OPEN"), ("CLOSED", "OPEN"),
        ];
        for (from, path) in paths {
            for to in ["NEW", "OPEN", "PENDING", "ON_HOLD", "RESOLVED", "CLOSED"] {
                let verb = match to {
                    "OPEN" if matches!(*from, "RESOLVED" | "CLOSED") => Some("Reopen"),
                    "OPEN" => Some("Open"),
                    "PENDING" => Some("Pend"),
                    "ON_HOLD" => Some("Hold"),
                    "RESOLVED" => Some("Resolve"),
                    "CLOSED" => Some("Close"),
                    _ => None,
                };
                let fresh = async || {
                    let id = create(&tenant.admin, json!({ "title": format!("{from} to {to}") })).await["id"].clone();
                    for verb in *path {
                        act(&tenant.admin, verb, &id).await;
                    }
                    id
                };
                let id = fresh().await;
                let by_update = tenant.admin.data(UPDATE, json!({ "id": id, "input": { "status": to } })).await;
                let by_update = &by_update["ticketUpdate"];
                if from == &to {
                    assert_eq!(by_update["userErrors"], json!([]), "an update that changes nothing");
                } else if allowed.contains(&(from, to)) {
                    assert_eq!(by_update["ticket"]["status"], to, "{from} to {to}: {by_update:#}");
                } else {
                    assert_eq!(by_update["userErrors"][0]["code"], "INVALID_STATE", "{from} to {to}: {by_update:#}");
                    assert_eq!(by_update["userErrors"][0]["field"], json!(["input", "status"]));
                }
                let Some(verb) = verb else { continue };
                let id = fresh().await;
                if allowed.contains(&(from, to)) {
                    assert_eq!(act(&tenant.admin, verb, &id).await["status"], to);
                } else {
                    let refused = tenant.admin.refused(&action(verb), json!({ "id": id })).await;
                    assert_eq!(refused, [("INVALID_STATE".to_owned(), vec!["id".to_owned()])], "{verb} of {from}");
                }
            }
        }
    }

    /// What follows from the status is kept by the server, and each step raises its events.
    async fn a_ticket_lives(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let id = create(&tenant.admin, json!({ "title": "One" })).await["id"].clone();
        let steps: &[(&str, &[&str])] = &[
            ("Open", &["ticket.updated", "ticket.status_changed"]),
            ("Pend", &["ticket.updated", "ticket.status_changed"]),
            ("Resolve", &["ticket.updated", "ticket.status_changed", "ticket.resolved"]),
            ("Close", &["ticket.updated", "ticket.status_changed"]),
            ("Reopen", &["ticket.updated", "ticket.status_changed", "ticket.reopened"]),
            ("Resolve", &["ticket.updated", "ticket.status_changed", "ticket.resolved"]),
            ("Reopen", &["ticket.updated", "ticket.status_changed", "ticket.reopened"]),
        ];
        for (index, (verb, expected)) in steps.iter().enumerate() {
            let (ticket, events) = raised(&app, &tenant, async || act(&tenant.admin, verb, &id).await).await;
            assert_eq!(events, *expected, "{verb}");
            let done = matches!(*verb, "Resolve" | "Close");
            assert_eq!(!ticket["resolvedAt"].is_null(), done, "{verb}: {ticket}");
            assert_eq!(!ticket["closedAt"].is_null(), *verb == "Close", "{verb}: {ticket}");
            assert_eq!(ticket["version"], index + 2);
            assert_eq!(ticket["reopenedCount"], match index { 0..=3 => 0, 4..=5 => 1, _ => 2 });
        }
        // What others have done meanwhile is not undone unseen.
        let stale = tenant.admin.refused(&action("Hold"), json!({ "id": id, "version": 3 })).await;
        assert_eq!(stale, [("STALE_VERSION".to_owned(), vec!["expectedVersion".to_owned()])]);
    }

    /// A ticket is given to somebody by who may assign; a new one is thereby taken up.
    async fn assignment(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let id = create(&tenant.manager, json!({ "title": "One" })).await["id"].clone();
        let assign = "mutation($id: ID!, $owner: ID!) {
            ticketAssign(id: $id, input: { ownerId: $owner }) {
                ticket { status owner { name } } userErrors { field code }
            }
        }";
        let variables = json!({ "id": id, "owner": tenant.agent.user_id });
        let (payload, events) =
            raised(&app, &tenant, async || tenant.manager.mutate(assign, variables.clone()).await).await;
        assert_eq!(payload["ticket"], json!({ "status": "OPEN", "owner": { "name": "Ann Agent" } }));
        assert_eq!(events, ["ticket.updated", "ticket.assigned", "ticket.status_changed"]);
        // The agent sees it now, but may not give it away.
        let away = json!({ "id": id, "owner": tenant.colleague.user_id });
        let forbidden = tenant.agent.send(assign, away.clone()).await;
        assert_eq!(forbidden.body["errors"][0]["extensions"]["requiredPermission"], "tickets.assign");
        // Whoever does not see it is told that it is not there.
        assert_eq!(tenant.colleague.refused(assign, away).await[0], ("NOT_FOUND".to_owned(), vec!["id".to_owned()]));
        let nobody = json!({ "id": id, "owner": "user_00000000000000000000000000" });
        let refused = tenant.manager.refused(assign, nobody).await;
        assert_eq!(refused, [("NOT_FOUND".to_owned(), vec!["input".to_owned(), "ownerId".to_owned()])]);
    }

    /// A contact brings its customer along and must belong to it.
    async fn customer_and_contact(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let (one, two) = (customer(&tenant.admin, "One").await, customer(&tenant.admin, "Two").await);
        let (ann, bob) = (contact(&tenant.admin, &one, "Ann").await, contact(&tenant.admin, &two, "Bob").await);
        let ticket = create(&tenant.admin, json!({ "title": "x", "contactId": ann })).await;
        assert_eq!(ticket["customer"]["id"], one);
        let stranger = [("INVALID".to_owned(), vec!["input".to_owned(), "contactId".to_owned()])];
        let input = json!({ "title": "x", "contactId": ann, "customerId": two });
        assert_eq!(tenant.admin.refused(CREATE, json!({ "input": input })).await, stranger);
        for input in [
            json!({ "customerId": two }),
            json!({ "customerId": null }),
            json!({ "customerId": one, "contactId": bob }),
        ] {
            let refused = tenant.admin.refused(UPDATE, json!({ "id": ticket["id"], "input": input })).await;
            assert_eq!(refused, stranger, "{input}");
        }
        let moved = tenant.admin.mutate(UPDATE, json!({ "id": ticket["id"], "input": { "contactId": bob } })).await;
        assert_eq!(moved["ticket"]["customer"]["id"], two);
        let cleared = json!({ "contactId": null, "customerId": one });
        let cleared = tenant.admin.mutate(UPDATE, json!({ "id": ticket["id"], "input": cleared })).await;
        assert_eq!(cleared["ticket"]["contact"], Value::Null);
        assert_eq!(cleared["ticket"]["customer"]["id"], one);

        // What the actor does not see is answered like what is not there.
        let foreign = json!({ "input": { "title": "x", "contactId": ann } });
        let nowhere = json!({ "input": { "title": "x", "contactId": "contact_00000000000000000000000000" } });
        assert_eq!(tenant.agent.data(CREATE, foreign).await, tenant.agent.data(CREATE, nowhere).await);

        // And from the other side.
        create(&tenant.admin, json!({ "title": "y", "contactId": bob })).await;
        let tickets = "query($one: ID!, $bob: ID!) {
            customer(id: $one) { tickets { totalCount nodes { title customer { id } } } }
            contact(id: $bob) { tickets { nodes { title } } }
        }";
        let seen = tenant.admin.send(tickets, json!({ "one": one, "bob": bob })).await;
        assert_eq!(seen.body["data"]["customer"]["tickets"]["totalCount"], 1);
        assert_eq!(seen.body["data"]["contact"]["tickets"]["nodes"], json!([{ "title": "y" }]));
        assert_eq!(seen.statements, Some(2), "one for each root");
    }
}
