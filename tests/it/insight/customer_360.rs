//! The Customer-360: its blocks, who may see them, its figures and what it costs.

use std::collections::BTreeMap;

use entity::tenant::{
    contact, interaction,
    opportunity::{self, OpportunityStatus},
    ticket::{self, TicketStatus},
};
use rapport::{auth::DataScope, data::money};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use uuid::Uuid;

use super::world::{created, holder, uuid, world};
use crate::{
    on_both_engines,
    support::{Session, TestApp, TestTenant},
};

const EVERYTHING: &str = "query($id: ID!) { customer360(id: $id) {
    customer { name owner { name } opportunities(first: 2, where: { status: { eq: OPEN } }) { totalCount nodes { title
        customer { name } owner { name manager { name } } } } tickets(first: 1) { nodes { comments { totalCount } } } }
    owner { name }
    hierarchy { ancestors { name owner { name } contacts { totalCount } }
        children(orderBy: [{ field: NAME }]) { totalCount nodes { name owner { name } } } }
    contacts { totalCount nodes { lastName isPrimary tickets { totalCount nodes { number } } } }
    opportunities(first: 3) { totalCount edges { cursor node { title value { amount currency } customer { name } } } }
    open: opportunities(where: { status: { eq: OPEN } }) { totalCount }
    tickets { totalCount nodes { number title contact { lastName } comments(last: 1) { nodes { body } } } }
    activities { totalCount nodes { subject dueAt owner { name } } }
    metrics { lifetimeValue { amount currency } openPipelineValue { amount currency }
        weightedPipelineValue { amount currency } wonCount lostCount openCount winRate openTickets lastInteractionAt daysSinceContact }
    interactions { totalCount nodes { subject occurredAt owner { name } } }
    timeline(first: 50) { nodes { id at kind title recordId } pageInfo { hasNextPage } }
} }";

const FIGURES: &str = "query($id: ID!) { customer360(id: $id) { metrics {
    lifetimeValue { amount currency } openPipelineValue { amount currency } weightedPipelineValue { amount currency }
    wonCount lostCount openCount winRate openTickets lastInteractionAt daysSinceContact
} } }";

async fn figures(session: &Session, id: &Value) -> Value {
    session.data(FIGURES, json!({ "id": id })).await["customer360"]["metrics"].clone()
}

/// The figures of a customer over the rows that `whose` names, added up one by one.
async fn added_up(app: &TestApp, tenant: &TestTenant, customer: Uuid, whose: impl Fn(Uuid, Uuid) -> bool) -> Value {
    let system = app.system(tenant.id).await;
    let deals = system.find::<opportunity::Entity>().unwrap().all().await.unwrap();
    let deals: Vec<_> = deals
        .into_iter()
        .filter(|deal| deal.customer_id == Some(customer) && whose(deal.owner_id, deal.created_by))
        .collect();
    let count = |status| deals.iter().filter(|deal| deal.status == status).count();
    let sum = |status, amount: fn(&opportunity::Model) -> i128| {
        let mut sums: BTreeMap<String, i128> = BTreeMap::new();
        for deal in deals.iter().filter(|deal| deal.status == status && deal.value.is_some()) {
            *sums.entry(deal.currency.clone().unwrap()).or_default() += amount(deal);
        }
        sums
    };
    let shown = |sums: BTreeMap<String, i128>, percent: bool| {
        let amounts = sums.into_iter().map(|(code, sum)| {
            let decimals = money::exponent(money::currency(&code).unwrap());
            let mut amount = Decimal::from_i128_with_scale(sum, decimals + if percent { 2 } else { 0 });
            amount = amount.round_dp_with_strategy(decimals, rust_decimal::RoundingStrategy::MidpointAwayFromZero);
            amount.rescale(decimals);
            json!({ "amount": amount.to_string(), "currency": code })
        });
        Value::Array(amounts.collect())
    };
    let value = |deal: &opportunity::Model| i128::from(deal.value.unwrap());
    let weighted = |deal: &opportunity::Model| i128::from(deal.value.unwrap()) * i128::from(deal.probability);
    let (won, lost) = (count(OpportunityStatus::Won), count(OpportunityStatus::Lost));
    let tickets = system.find::<ticket::Entity>().unwrap().all().await.unwrap();
    let tickets: Vec<_> = tickets
        .into_iter()
        .filter(|ticket| ticket.customer_id == Some(customer) && whose(ticket.owner_id, ticket.created_by))
        .collect();
    let open_tickets =
        tickets.iter().filter(|ticket| !matches!(ticket.status, TicketStatus::Resolved | TicketStatus::Closed));
    let contacts = system.find::<contact::Entity>().unwrap().all().await.unwrap();
    let mut about = vec![customer];
    about.extend(deals.iter().map(|deal| deal.id));
    about.extend(tickets.iter().map(|ticket| ticket.id));
    about
        .extend(contacts.iter().filter(|c| c.customer_id == customer && whose(c.owner_id, c.created_by)).map(|c| c.id));
    let interactions = system.find::<interaction::Entity>().unwrap().all().await.unwrap();
    let last = interactions
        .iter()
        .filter(|i| i.related_id.is_some_and(|id| about.contains(&id)) && whose(i.owner_id, i.created_by))
        .map(|i| i.occurred_at)
        .max();
    json!({
        "lifetimeValue": shown(sum(OpportunityStatus::Won, value), false),
        "openPipelineValue": shown(sum(OpportunityStatus::Open, value), false),
        "weightedPipelineValue": shown(sum(OpportunityStatus::Open, weighted), true),
        "wonCount": won,
        "lostCount": lost,
        "openCount": count(OpportunityStatus::Open),
        "winRate": if won + lost > 0 { json!(won as f64 / (won + lost) as f64) } else { Value::Null },
        "openTickets": open_tickets.count(),
        "lastInteractionAt": last.map(|at| at.to_rfc3339()),
        "daysSinceContact": last.map(|at| (app.clock.now() - at).num_days()),
    })
}

on_both_engines! {
    /// Every block shows what belongs into it, in its order.
    async fn every_block(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let world = world(&app, &tenant).await;
        let data = tenant.viewer.data(EVERYTHING, json!({ "id": world.customer })).await;
        let seen = &data["customer360"];
        assert_eq!(seen["customer"]["name"], "Acme");
        assert_eq!(seen["customer"]["opportunities"]["totalCount"], 4);
        assert_eq!(seen["owner"], json!({ "name": "Ann Agent" }));
        let names = |list: &Value, field: &str| -> Vec<String> {
            list.as_array().unwrap().iter().map(|row| row[field].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names(&seen["hierarchy"]["ancestors"], "name"), ["Middle", "Top"]);
        assert_eq!(names(&seen["hierarchy"]["children"]["nodes"], "name"), ["Child A", "Child B", "Child C"]);
        assert_eq!(names(&seen["contacts"]["nodes"], "lastName"), ["Zyx", "Aab"], "the primary one first");
        assert_eq!(seen["contacts"]["nodes"][1]["tickets"]["totalCount"], 2);
        let deals: Vec<_> = seen["opportunities"]["edges"].as_array().unwrap().iter().map(|edge| edge["node"]["title"].clone()).collect();
        assert_eq!(deals, ["Deal 9", "Deal 8", "Deal 7"], "the newest first");
        assert_eq!((&seen["opportunities"]["totalCount"], &seen["open"]["totalCount"]), (&json!(10), &json!(4)));
        assert_eq!(seen["tickets"]["totalCount"], 5);
        assert_eq!(
            names(&seen["activities"]["nodes"], "subject"),
            ["The manager's", "Sooner", "Later", "Some time"],
            "what is due first, and nothing that is done"
        );
        assert_eq!(names(&seen["interactions"]["nodes"], "subject"), ["Dined", "Met", "Phoned"], "the last first");
        let more = tenant.viewer.data(
            "query($id: ID!) { customer360(id: $id) {
                activities(where: { subject: { contains: \"e\" } }, orderBy: [{ field: SUBJECT }], first: 2) {
                    totalCount nodes { subject } }
                contacts(orderBy: [{ field: LAST_NAME }]) { nodes { lastName } }
            } }",
            json!({ "id": world.customer }),
        ).await;
        let more = &more["customer360"];
        assert_eq!(more["activities"]["totalCount"], 4, "the choice is among those that are open");
        assert_eq!(names(&more["activities"]["nodes"], "subject"), ["Later", "Some time"]);
        assert_eq!(names(&more["contacts"]["nodes"], "lastName"), ["Aab", "Zyx"]);
    }

    /// Pages of a block go on where the last one ended, in the block's own order.
    async fn blocks_are_paged(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let world = world(&app, &tenant).await;
        for (block, field, expected) in [("activities", "subject", 4), ("contacts", "lastName", 2)] {
            let page = async |arguments: &str| {
                let query = format!(
                    "query($id: ID!) {{ customer360(id: $id) {{ {block}(first: {arguments}) {{
                        nodes {{ {field} }} pageInfo {{ hasNextPage endCursor }} }} }} }}"
                );
                tenant.viewer.data(&query, json!({ "id": world.customer })).await["customer360"][block].clone()
            };
            let whole = page("100").await["nodes"].as_array().unwrap().clone();
            let (mut walked, mut after) = (Vec::new(), String::new());
            loop {
                let found = page(&format!("1{after}")).await;
                walked.extend(found["nodes"].as_array().unwrap().iter().cloned());
                if found["pageInfo"]["hasNextPage"] == json!(false) {
                    break;
                }
                after = format!(", after: {}", found["pageInfo"]["endCursor"]);
            }
            assert_eq!((walked.len(), walked), (expected, whole), "{block}");
        }
    }

    /// The figures are those of plain addition over the rows that the actor reaches, exact whatever their size.
    async fn figures_by_scope(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let world = world(&app, &tenant).await;
        let customer = uuid(&world.customer);
        let agent = uuid(&json!(tenant.agent.user_id));
        let all = added_up(&app, &tenant, customer, |_, _| true).await;
        let own = added_up(&app, &tenant, customer, |owner, creator| owner == agent || creator == agent).await;
        assert_ne!(all, own);
        assert_eq!(figures(&tenant.viewer, &world.customer).await, all);
        assert_eq!(figures(&tenant.agent, &world.customer).await, own);
        // Known by hand, so that the addition itself is not taken on trust.
        assert_eq!(own["lifetimeValue"], json!([{ "amount": "90071992547409.93", "currency": "EUR" }]));
        assert_eq!(own["weightedPipelineValue"], json!([
            { "amount": "33.03", "currency": "EUR" }, { "amount": "4", "currency": "JPY" },
        ]));
        assert_eq!(own["daysSinceContact"], json!(2));
        assert_eq!((&own["openTickets"], &all["openTickets"]), (&json!(2), &json!(3)));
        assert_eq!(all["lifetimeValue"], json!([
            { "amount": "184557512729642926.07", "currency": "EUR" }, { "amount": "12.345", "currency": "KWD" },
        ]));
        // Nothing there is nothing, not an error.
        let empty = created(&tenant.agent, "Customer", json!({ "name": "New" })).await;
        let none = figures(&tenant.agent, &empty).await;
        assert_eq!(none, added_up(&app, &tenant, uuid(&empty), |_, _| true).await);
        assert_eq!((&none["winRate"], &none["lifetimeValue"]), (&Value::Null, &json!([])));
        // Deleted rows do not count.
        let delete = "mutation($id: ID!) { opportunityDelete(id: $id) { deletedId userErrors { code } } }";
        tenant.manager.mutate(delete, json!({ "id": world.deals[5] })).await;
        let less = figures(&tenant.viewer, &world.customer).await;
        assert_eq!(less, added_up(&app, &tenant, customer, |_, _| true).await);
        assert_eq!(less["wonCount"], 3);
    }

    /// Each block is denied by itself: null with one FORBIDDEN at its path, and the rest stands.
    async fn denial(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let world = world(&app, &tenant).await;
        let id = json!({ "id": world.customer });
        let modules = ["users", "contacts", "opportunities", "tickets", "activities", "interactions"];
        let query = "query($id: ID!) { customer360(id: $id) {
            customer { name } hierarchy { ancestors { name } children { totalCount } }
            owner { name } contacts { totalCount } opportunities { totalCount } tickets { totalCount }
            activities { totalCount } interactions { totalCount }
            metrics { lifetimeValue { amount } winRate openTickets wonCount lastInteractionAt daysSinceContact }
            timeline { nodes { kind } }
        } }";
        for denied in modules {
            let granted: Vec<String> = modules.iter().filter(|module| **module != denied).map(|m| format!("{m}.read")).collect();
            let mut granted: Vec<&str> = granted.iter().map(String::as_str).collect();
            granted.push("customers.read");
            let session = holder(&app, &tenant, &format!("without-{denied}"), DataScope::All, &granted).await;
            let answer = session.send(query, id.clone()).await;
            let expected: &[&str] = match denied {
                "users" => &["owner"],
                "contacts" => &["contacts"],
                "opportunities" => &["metrics.lifetimeValue", "metrics.winRate", "metrics.wonCount", "opportunities"],
                "tickets" => &["metrics.openTickets", "tickets"],
                "interactions" => &["interactions", "metrics.daysSinceContact", "metrics.lastInteractionAt"],
                _ => &["activities"],
            };
            let mut paths: Vec<String> = answer.body["errors"].as_array().unwrap().iter().map(|error| {
                assert_eq!(error["extensions"]["code"], "FORBIDDEN");
                assert_eq!(error["extensions"]["requiredPermission"], format!("{denied}.read"));
                let path = error["path"].as_array().unwrap();
                path[1..].iter().map(|part| part.as_str().unwrap()).collect::<Vec<_>>().join(".")
            }).collect();
            paths.sort();
            assert_eq!(paths, expected, "without {denied}");
            let seen = &answer.body["data"]["customer360"];
            assert_eq!(seen["customer"]["name"], "Acme");
            assert_eq!(seen["hierarchy"]["children"]["totalCount"], 3);
            for block in modules.map(|module| if module == "users" { "owner" } else { module }) {
                assert_eq!(seen[block].is_null(), expected.contains(&block), "{block} without {denied}");
            }
            assert!(seen["metrics"].is_object() && seen["timeline"].is_object());
        }
        let nobody = holder(&app, &tenant, "nobody", DataScope::All, &["users.read"]).await;
        let answer = nobody.send(query, id).await;
        assert_eq!(answer.codes(), ["FORBIDDEN"]);
        assert_eq!(answer.body["data"]["customer360"], Value::Null);
    }

    /// DataScope holds in every block; the chain of ancestors ends where the actor's sight does.
    async fn scope_own(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let world = world(&app, &tenant).await;
        let seen = tenant.agent.data(EVERYTHING, json!({ "id": world.customer })).await["customer360"].clone();
        assert_eq!(seen["hierarchy"]["ancestors"].as_array().unwrap().len(), 1, "Top is the manager's");
        assert_eq!(seen["hierarchy"]["ancestors"][0]["name"], "Middle");
        for (block, expected) in [("contacts", 1), ("opportunities", 5), ("tickets", 3), ("activities", 3), ("interactions", 2)] {
            assert_eq!(seen[block]["totalCount"], expected, "{block}");
        }
        assert_eq!(seen["hierarchy"]["children"]["totalCount"], 2);
        // A customer out of sight, of another tenant, never there: all null, without an error.
        let other = app.tenant("other").await;
        for (session, id) in [
            (&tenant.colleague, world.customer.clone()),
            (&tenant.agent, world.above[1].clone()),
            (&other.admin, world.customer.clone()),
            (&tenant.admin, json!("customer_00000000000000000000000000")),
        ] {
            assert_eq!(session.data(FIGURES, json!({ "id": id })).await, json!({ "customer360": null }));
        }
        assert_eq!(tenant.admin.send(FIGURES, json!({ "id": "contact_00000000000000000000000000" })).await.codes(), ["BAD_USER_INPUT"]);
    }

    /// A fixed number of statements: one for the records however they nest, one for the chain of ancestors, one for the
    /// figures, one for the timeline.
    async fn statements(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let world = world(&app, &tenant).await;
        let empty = created(&tenant.admin, "Customer", json!({ "name": "New" })).await;
        let deep = "query($id: ID!) { customer360(id: $id) {
            customer { name parent { name parent { name owner { manager { name } } } } contacts { nodes {
                customer { opportunities { nodes { primaryContact { name } activities { nodes { owner { name } } } } } } } } }
            owner { name reports { nodes { name } } } hierarchy { children { nodes { children { totalCount } } } }
            a: contacts(first: 1) { nodes { name } } b: contacts(last: 1) { nodes { tickets { nodes { comments { nodes { body } } } } } }
            opportunities { nodes { owner { name } } } tickets { nodes { owner { name } } } activities { nodes { subject } }
        } }";
        for session in [&tenant.admin, &tenant.agent] {
            for id in [&world.customer, &empty] {
                if session.data("query($id: ID!) { node(id: $id) { id } }", json!({ "id": id })).await["node"].is_null() {
                    continue;
                }
                let records = session.send(deep, json!({ "id": id })).await;
                assert_eq!((records.body.get("errors"), records.statements), (None, Some(1)), "{:#}", records.body);
                let whole = session.send(EVERYTHING, json!({ "id": id })).await;
                assert_eq!((whole.body.get("errors"), whole.statements), (None, Some(4)), "{:#}", whole.body);
                let figures = session.send(FIGURES, json!({ "id": id })).await;
                assert_eq!(figures.statements, Some(2));
            }
        }
        // The records and actors of the timeline: one more for the actors, and one for each type of record.
        let linked = "query($id: ID!, $first: Int!) { customer360(id: $id) { timeline(first: $first) { nodes {
            actor { name } record { __typename ... on Ticket { number comments { totalCount } }
                ... on Opportunity { title value { amount } customer { name } } ... on Activity { subject }
                ... on Interaction { subject relatedToId } }
        } } } }";
        for first in [45, 100] {
            let answer = tenant.admin.send(linked, json!({ "id": world.customer, "first": first })).await;
            assert_eq!((answer.body.get("errors"), answer.statements), (None, Some(7)), "{:#}", answer.body);
        }
    }
}
