//! Customers with all that a Customer-360 shows, some of it an agent's, some of it not.

use chrono::{DateTime, Utc};
use entity::tenant::activity::{self, ActivityStatus, ActivityType, Priority};
use rapport::{
    auth::DataScope,
    data::{TenantDb, ids},
    services::identity::{Access, NewRole, NewUser},
};
use sea_orm::ActiveValue::Set;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Session, TestApp, TestTenant, app::PASSWORD};

/// The UUID of an id.
pub fn uuid(id: &Value) -> Uuid {
    ids::decode(id.as_str().unwrap()).unwrap().1
}

/// Creates a record and answers its id.
pub async fn created(session: &Session, record: &str, input: Value) -> Value {
    let field = format!("{}{}", record[..1].to_lowercase(), &record[1..]);
    let create = format!(
        "mutation($input: {record}CreateInput!) {{ {field}Create(input: $input) {{
            {field} {{ id }} userErrors {{ field message code }}
        }} }}"
    );
    session.mutate(&create, json!({ "input": input })).await[&field]["id"].clone()
}

/// Runs a mutation of one record that takes its id.
pub async fn act(session: &Session, mutation: &str, arguments: &str, id: &Value) {
    let action =
        format!("mutation($id: ID!) {{ {mutation}(id: $id{arguments}) {{ userErrors {{ field message code }} }} }}");
    session.mutate(&action, json!({ "id": id })).await;
}

/// The door as this caller has it.
pub async fn door(app: &TestApp, tenant: &TestTenant, session: &Session) -> TenantDb {
    let principal = app.app.identity().authenticate(session.token.as_deref().unwrap()).await.unwrap();
    let opened = app.app.identity().tenants().open(tenant.id).await.unwrap();
    opened.for_actor(principal.member().unwrap().actor.clone(), None)
}

/// An activity about a record, made by the owner of the door.
pub async fn activity(
    db: &TenantDb,
    about: &Value,
    subject: &str,
    due_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
) -> Uuid {
    let (name, id) = ids::decode(about.as_str().unwrap()).unwrap();
    let row = activity::ActiveModel {
        r#type: Set(ActivityType::Task),
        subject: Set(subject.to_owned()),
        status: Set(if completed_at.is_some() { ActivityStatus::Completed } else { ActivityStatus::Planned }),
        priority: Set(Priority::Normal),
        due_at: Set(due_at),
        completed_at: Set(completed_at),
        related_type: Set(Some(name.to_owned())),
        related_id: Set(Some(id)),
        ..Default::default()
    };
    db.write(async |unit| unit.insert_by_rule::<activity::Entity>(row).await).await.unwrap().id
}

/// A user who holds these permissions only.
pub async fn holder(app: &TestApp, tenant: &TestTenant, name: &str, scope: DataScope, permissions: &[&str]) -> Session {
    let system = app.system(tenant.id).await;
    let role = NewRole {
        name: name.to_owned(),
        description: None,
        scope,
        permissions: permissions.iter().map(ToString::to_string).collect(),
    };
    let role = app.app.identity().role_create(&system, role).await.unwrap().single();
    let email = format!("{name}@{}.example", tenant.slug);
    let user = NewUser {
        name: name.to_owned(),
        email: email.clone(),
        role_id: role.id.unwrap(),
        job_title: None,
        manager_id: None,
        external_reference: None,
        access: Access::Password(PASSWORD.to_owned()),
    };
    let (outcome, _) = app.app.identity().user_invite(&system, user).await.unwrap();
    assert!(outcome.single().errors.is_empty());
    app.login(&email, &tenant.slug).await
}

/// A customer with its surroundings.
pub struct World {
    /// The customer, of the agent.
    pub customer: Value,
    /// The customers above it, from its parent up: the agent sees the first.
    pub above: [Value; 2],
    /// Its contacts: the first is the agent's, the second is primary.
    pub contacts: [Value; 2],
    /// The deals, those of the agent first.
    pub deals: Vec<Value>,
    /// The tickets, those of the agent first.
    pub tickets: Vec<Value>,
}

/// Makes a world. The clock moves between its records, so that their order is known.
pub async fn world(app: &TestApp, tenant: &TestTenant) -> World {
    let (agent, manager) = (&tenant.agent, &tenant.manager);
    let tick = || app.clock.advance(chrono::Duration::minutes(10));
    created(&tenant.admin, "Pipeline", json!({ "name": "Deals" })).await;
    let top = created(manager, "Customer", json!({ "name": "Top" })).await;
    let middle =
        created(manager, "Customer", json!({ "name": "Middle", "parentId": top, "ownerId": agent.user_id })).await;
    let customer = created(agent, "Customer", json!({ "name": "Acme", "parentId": middle })).await;
    for (session, name) in [(agent, "Child A"), (manager, "Child B"), (agent, "Child C")] {
        tick();
        created(session, "Customer", json!({ "name": name, "parentId": customer })).await;
    }
    let hers = created(agent, "Contact", json!({ "customerId": customer, "lastName": "Aab" })).await;
    let other =
        created(manager, "Contact", json!({ "customerId": customer, "lastName": "Zyx", "isPrimary": true })).await;

    let mut deals = Vec::new();
    let eur = |amount: &str| json!({ "amount": amount, "currency": "EUR" });
    for (session, value, probability, outcome) in [
        (agent, eur("100.00"), 33, ""),
        (agent, eur("0.05"), 50, ""),
        (agent, eur("90071992547409.93"), 10, "win"),
        (agent, json!({ "amount": "7", "currency": "JPY" }), 50, ""),
        (agent, Value::Null, 50, "lose"),
        (manager, eur("92233720368547758.07"), 99, "win"),
        (manager, eur("92233720368547758.07"), 99, "win"),
        (manager, eur("92233720368547758.07"), 99, ""),
        (manager, json!({ "amount": "12.345", "currency": "KWD" }), 1, "win"),
        (manager, json!({ "amount": "5", "currency": "USD" }), 20, "lose"),
    ] {
        tick();
        let mut input = json!({ "title": format!("Deal {}", deals.len()), "customerId": customer });
        if !value.is_null() {
            input["value"] = value;
        }
        input["probability"] = json!(probability);
        let deal = created(session, "Opportunity", input).await;
        tick();
        match outcome {
            "win" => act(session, "opportunityWin", "", &deal).await,
            "lose" => act(session, "opportunityLose", ", lostReason: \"Price\"", &deal).await,
            _ => {}
        }
        deals.push(deal);
    }

    let mut tickets = Vec::new();
    for (session, contact, verbs) in [
        (agent, Some(&hers), &["ticketResolve"] as &[&str]),
        (agent, None, &["ticketPend"]),
        (agent, Some(&hers), &[]),
        (manager, Some(&other), &["ticketResolve", "ticketClose"]),
        (manager, None, &["ticketHold"]),
    ] {
        tick();
        let mut input = json!({ "title": format!("Ticket {}", tickets.len()), "customerId": customer });
        if let Some(contact) = contact {
            input["contactId"] = contact.clone();
        }
        let ticket = created(session, "Ticket", input).await;
        for verb in verbs {
            tick();
            act(session, verb, "", &ticket).await;
        }
        tickets.push(ticket);
    }

    let (by_agent, by_manager) = (door(app, tenant, agent).await, door(app, tenant, manager).await);
    let now = app.clock.now();
    for (db, about, subject, due, completed) in [
        (&by_agent, &customer, "Later", Some(2), None),
        (&by_agent, &customer, "Sooner", Some(1), None),
        (&by_agent, &customer, "Some time", None, None),
        (&by_agent, &customer, "Done", Some(1), Some(0)),
        (&by_agent, &hers, "Call Aab", Some(3), None),
        (&by_agent, &deals[0], "Offer", None, Some(1)),
        (&by_agent, &deals[9], "Of a deal out of sight", None, None),
        (&by_agent, &tickets[1], "Look", None, None),
        (&by_manager, &customer, "The manager's", Some(0), None),
        (&by_manager, &other, "Call Zyx", None, Some(2)),
    ] {
        tick();
        let day = |days: i64| now + chrono::Duration::days(days);
        activity(db, about, subject, due.map(day), completed.map(day)).await;
    }
    let now = app.clock.now();
    for (session, about, subject, hours) in [
        (agent, &customer, "Met", 50),
        (agent, &customer, "Phoned", 3000),
        (agent, &hers, "Wrote to Aab", 49),
        (agent, &deals[0], "Haggled", 100),
        (agent, &tickets[1], "Asked again", 200),
        (agent, &tickets[4], "About a ticket out of sight", 3),
        (manager, &customer, "Dined", 26),
        (manager, &other, "Met Zyx", 25),
    ] {
        let at = rapport::data::value::moment(now - chrono::Duration::hours(hours));
        // The agent may write about what he sees; where he does not, the manager writes and gives it to him.
        let hidden = subject.contains("out of sight");
        let mut input = json!({ "type": "MEETING", "subject": subject, "occurredAt": at, "relatedToId": about });
        if hidden {
            input["ownerId"] = json!(agent.user_id);
        }
        created(if hidden { manager } else { session }, "Interaction", input).await;
    }
    World { customer, above: [middle, top], contacts: [hers, other], deals, tickets }
}
