//! The timeline: what it rolls up, in what order, for whom, and page by page.

use std::collections::BTreeSet;

use entity::tenant::{activity, contact, interaction, opportunity, ticket};
use rapport::data::{TenantDb, ids};
use serde_json::{Value, json};
use uuid::Uuid;

use super::world::{activity, created, door, holder, uuid, world};
use crate::{on_both_engines, support::Session};

const PAGE: &str = "query($id: ID!, $first: Int, $after: String, $types: [TimelineEntryKind!]) {
    customer360(id: $id) { timeline(first: $first, after: $after, types: $types) {
        edges { cursor node { id at kind title recordId } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    } }
}";

async fn page(session: &Session, id: &Value, first: u32, after: Option<&Value>, types: &Value) -> Value {
    let variables = json!({ "id": id, "first": first, "after": after, "types": types });
    session.data(PAGE, variables).await["customer360"]["timeline"].clone()
}

fn nodes(page: &Value) -> Vec<Value> {
    page["edges"].as_array().unwrap().iter().map(|edge| edge["node"].clone()).collect()
}

/// All entries, in pages of this size.
async fn walk(session: &Session, id: &Value, size: u32, types: &Value) -> Vec<Value> {
    let (mut walked, mut after) = (Vec::new(), None);
    loop {
        let found = page(session, id, size, after.as_ref(), types).await;
        let entries = nodes(&found);
        assert!(entries.len() <= size as usize);
        assert_eq!(found["pageInfo"]["hasPreviousPage"], after.is_some());
        assert_eq!(found["pageInfo"]["startCursor"], found["edges"][0]["cursor"]);
        walked.extend(entries);
        if found["pageInfo"]["hasNextPage"] == json!(false) {
            return walked;
        }
        after = Some(found["pageInfo"]["endCursor"].clone());
    }
}

/// What the timeline must hold, put together from the rows that the owner of the door finds.
async fn expected(db: &TenantDb, customer: Uuid) -> BTreeSet<(String, &'static str, String)> {
    let deals = db.find::<opportunity::Entity>().unwrap().all().await.unwrap();
    let tickets = db.find::<ticket::Entity>().unwrap().all().await.unwrap();
    let contacts = db.find::<contact::Entity>().unwrap().all().await.unwrap();
    let activities = db.find::<activity::Entity>().unwrap().all().await.unwrap();
    let moment = rapport::data::value::moment;
    let mut about = BTreeSet::from([customer]);
    about.extend(contacts.iter().filter(|row| row.customer_id == customer).map(|row| row.id));
    let mut entries = BTreeSet::new();
    for deal in deals.iter().filter(|row| row.customer_id == Some(customer)) {
        about.insert(deal.id);
        let id = ids::encode("opportunity", deal.id);
        entries.insert((moment(deal.created_at), "OPPORTUNITY_CREATED", id.clone()));
        let kind = match deal.status {
            opportunity::OpportunityStatus::Won => "OPPORTUNITY_WON",
            opportunity::OpportunityStatus::Lost => "OPPORTUNITY_LOST",
            opportunity::OpportunityStatus::Open => continue,
        };
        entries.insert((moment(deal.closed_at.unwrap()), kind, id));
    }
    for ticket in tickets.iter().filter(|row| row.customer_id == Some(customer)) {
        about.insert(ticket.id);
        let id = ids::encode("ticket", ticket.id);
        entries.insert((moment(ticket.created_at), "TICKET_OPENED", id.clone()));
        if let Some(at) = ticket.resolved_at {
            entries.insert((moment(at), "TICKET_RESOLVED", id));
        }
    }
    for activity in activities.iter().filter(|row| row.related_id.is_some_and(|id| about.contains(&id))) {
        let id = ids::encode("activity", activity.id);
        entries.insert((moment(activity.created_at), "ACTIVITY_PLANNED", id.clone()));
        if let Some(at) = activity.completed_at {
            entries.insert((moment(at), "ACTIVITY_COMPLETED", id));
        }
    }
    let interactions = db.find::<interaction::Entity>().unwrap().all().await.unwrap();
    for interaction in interactions.iter().filter(|row| row.related_id.is_some_and(|id| about.contains(&id))) {
        entries.insert((moment(interaction.occurred_at), "INTERACTION", ids::encode("interaction", interaction.id)));
    }
    entries
}

/// A moment as text that sorts.
fn at(node: &Value) -> chrono::DateTime<chrono::Utc> {
    node["at"].as_str().unwrap().parse().unwrap()
}

on_both_engines! {
    /// Everything around the customer that the actor reaches, once, newest first; whoever the actor is.
    async fn what_it_rolls_up(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let world = world(&app, &tenant).await;
        let mut sizes = Vec::new();
        for session in [&tenant.viewer, &tenant.agent] {
            let db = door(&app, &tenant, session).await;
            let expected = expected(&db, uuid(&world.customer)).await;
            let shown = nodes(&page(session, &world.customer, 100, None, &Value::Null).await);
            let moments: Vec<_> = shown.iter().map(at).collect();
            assert!(moments.is_sorted_by(|a, b| a >= b), "newest first");
            let found: BTreeSet<_> = shown.iter().map(|node| {
                let kind = node["kind"].as_str().unwrap();
                let moment = rapport::data::value::moment(at(node));
                (moment, kind.to_owned(), node["recordId"].as_str().unwrap().to_owned())
            }).collect();
            assert_eq!(found.len(), shown.len(), "each entry once");
            let expected: BTreeSet<_> =
                expected.into_iter().map(|(moment, kind, id)| (moment, kind.to_owned(), id)).collect();
            assert_eq!(found, expected);
            sizes.push(found.len());
        }
        assert!(sizes[0] > sizes[1] && sizes[1] > 10, "{sizes:?}");
        // What is known only through a record out of sight is not shown, though the activity itself is the agent's.
        let titles: Vec<_> = nodes(&page(&tenant.agent, &world.customer, 100, None, &Value::Null).await)
            .iter().map(|node| node["title"].as_str().unwrap().to_owned()).collect();
        assert!(titles.contains(&"Call Aab".to_owned()) && !titles.iter().any(|title| title.contains("out of sight")));
    }

    /// Walking all pages, of any size and any choice of kinds, gives every entry once and in order, also where many
    /// happened at one moment and where more happens meanwhile.
    async fn pages(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let world = world(&app, &tenant).await;
        let db = door(&app, &tenant, &tenant.admin).await;
        let now = app.clock.now();
        for index in 0..7 {
            // Planned and completed at the same moment, and several at once.
            activity(&db, &world.customer, &format!("At once {index}"), None, Some(now)).await;
        }
        for types in [
            Value::Null,
            json!(["ACTIVITY_COMPLETED"]),
            json!(["ACTIVITY_PLANNED", "ACTIVITY_COMPLETED", "ACTIVITY_PLANNED"]),
            json!(["TICKET_OPENED", "OPPORTUNITY_WON", "INTERACTION", "TICKET_RESOLVED"]),
            json!([]),
        ] {
            let whole = nodes(&page(&tenant.admin, &world.customer, 100, None, &types).await);
            for size in [1, 2, 3, 7, 100] {
                assert_eq!(walk(&tenant.admin, &world.customer, size, &types).await, whole, "{size} of {types}");
            }
            let ids: BTreeSet<_> = whole.iter().map(|node| node["id"].as_str().unwrap()).collect();
            assert_eq!(ids.len(), whole.len());
        }
        let first = page(&tenant.admin, &world.customer, 5, None, &Value::Null).await;
        let rest = nodes(&page(&tenant.admin, &world.customer, 100, Some(&first["pageInfo"]["endCursor"]), &Value::Null).await);
        app.clock.advance(chrono::Duration::days(30));
        created(&tenant.admin, "Ticket", json!({ "title": "New", "customerId": world.customer })).await;
        let again = nodes(&page(&tenant.admin, &world.customer, 100, Some(&first["pageInfo"]["endCursor"]), &Value::Null).await);
        assert_eq!(again, rest, "what is new comes before the cursor");
        let none = page(&tenant.admin, &world.customer, 0, None, &Value::Null).await;
        assert_eq!((nodes(&none).len(), &none["pageInfo"]["hasNextPage"]), (0, &json!(true)));
    }

    /// Records that may not be read contribute nothing, and nothing is known through them.
    async fn denied_modules(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let world = world(&app, &tenant).await;
        let all = nodes(&page(&tenant.viewer, &world.customer, 100, None, &Value::Null).await);
        let modules = [("contacts", ""), ("opportunities", "OPPORTUNITY"), ("tickets", "TICKET"), ("activities", "ACTIVITY"), ("interactions", "INTERACTION")];
        for (denied, prefix) in modules {
            let granted: Vec<String> = modules.iter().filter(|(module, _)| *module != denied).map(|(m, _)| format!("{m}.read")).collect();
            let mut granted: Vec<&str> = granted.iter().map(String::as_str).collect();
            granted.push("customers.read");
            let session = holder(&app, &tenant, &format!("no-{denied}"), rapport::auth::DataScope::All, &granted).await;
            let shown = nodes(&page(&session, &world.customer, 100, None, &Value::Null).await);
            let hidden: BTreeSet<&str> = match denied {
                "contacts" => BTreeSet::from(["Call Aab", "Call Zyx", "Wrote to Aab", "Met Zyx"]),
                "opportunities" => BTreeSet::from(["Offer", "Of a deal out of sight", "Haggled"]),
                "tickets" => BTreeSet::from(["Look", "Asked again", "About a ticket out of sight"]),
                _ => BTreeSet::new(),
            };
            let expected: Vec<Value> = all.iter().filter(|node| {
                let of_module = !prefix.is_empty() && node["kind"].as_str().unwrap().starts_with(prefix);
                !of_module && !hidden.contains(node["title"].as_str().unwrap())
            }).cloned().collect();
            assert_eq!(shown, expected, "without {denied}");
            assert!(shown.len() < all.len(), "without {denied}");
            // Without users.read nobody is named, and that is said.
            let actors = session.send(
                "query($id: ID!) { customer360(id: $id) { timeline(first: 1) { nodes { kind actor { name } } } } }",
                json!({ "id": world.customer }),
            ).await;
            assert_eq!(actors.codes(), ["FORBIDDEN"]);
        }
    }

    /// An entry leads to its record and to who did it.
    async fn links(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let world = world(&app, &tenant).await;
        let query = "query($id: ID!, $types: [TimelineEntryKind!]) { customer360(id: $id) { timeline(types: $types) { nodes {
            kind actor { name } recordId record { __typename id ... on Ticket { number who: contact { lastName } }
                ... on Opportunity { title who: owner { name } } }
        } } } }";
        let types = json!(["TICKET_OPENED", "OPPORTUNITY_LOST"]);
        let shown = tenant.admin.data(query, json!({ "id": world.customer, "types": types })).await;
        let shown = shown["customer360"]["timeline"]["nodes"].as_array().unwrap().clone();
        assert_eq!(shown.len(), 7);
        assert_eq!(shown[0], json!({
            "kind": "TICKET_OPENED", "actor": { "name": "Max Manager" }, "recordId": world.tickets[4],
            "record": { "__typename": "Ticket", "id": world.tickets[4], "number": "TKT-000005", "who": null },
        }));
        assert_eq!(shown[4]["record"]["who"], json!({ "lastName": "Aab" }));
        assert_eq!(shown[6], json!({
            "kind": "OPPORTUNITY_LOST", "actor": { "name": "Ann Agent" }, "recordId": world.deals[4],
            "record": { "__typename": "Opportunity", "id": world.deals[4], "title": "Deal 4", "who": { "name": "Ann Agent" } },
        }));
        assert!(world.contacts[0].is_string());
    }

    /// What cannot be meant is told as such.
    async fn bad_arguments(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let customer = created(&tenant.admin, "Customer", json!({ "name": "C" })).await;
        for arguments in ["first: -1", "first: 101", "after: \"\"", "after: \"nonsense\"", "after: \"dGltZWxpbmUgMSAy\""] {
            let query = format!("query($id: ID!) {{ customer360(id: $id) {{ timeline({arguments}) {{ nodes {{ id }} }} owner {{ name }} }} }}");
            let answer = tenant.admin.send(&query, json!({ "id": customer })).await;
            assert_eq!(answer.codes(), ["BAD_USER_INPUT"], "{arguments}");
            assert_eq!(answer.body["data"]["customer360"], json!({ "timeline": null, "owner": { "name": "Ada Admin" } }));
        }
    }
}
