//! Notifications: who is told of what, how, and that nobody else is.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use entity::tenant::{email_message, ticket};
use sea_orm::{ActiveValue::Set, EntityTrait};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    on_both_engines,
    support::{Session, Socket, TestApp, TestTenant},
};

const MINE: &str = "{ notificationUnreadCount notifications(first: 100) { nodes {
    id kind title body channels readAt relatedToId actor { id } relatedTo { __typename id } } } }";

async fn drain(app: &TestApp) {
    app.app.worker().drain().await.unwrap();
}

async fn mine(session: &Session) -> Vec<Value> {
    let data = session.data(MINE, json!({})).await;
    let nodes = data["notifications"]["nodes"].as_array().unwrap().clone();
    let unread = nodes.iter().filter(|node| node["readAt"].is_null()).count();
    assert_eq!(data["notificationUnreadCount"], unread);
    nodes
}

/// What somebody was told, the newest first.
async fn titles(session: &Session) -> Vec<String> {
    mine(session).await.iter().map(|node| node["title"].as_str().unwrap().to_owned()).collect()
}

async fn lead(by: &Session, title: &str, owner: Option<&str>) -> String {
    let create = "mutation($title: String!, $owner: ID) {
        leadCreate(input: { title: $title, lastName: \"Lee\", ownerId: $owner }) { lead { id } userErrors { code } } }";
    let payload = by.mutate(create, json!({ "title": title, "owner": owner })).await;
    payload["lead"]["id"].as_str().unwrap_or_else(|| panic!("{payload}")).to_owned()
}

async fn ticket_of(by: &Session, title: &str, owner: &str) -> String {
    let create = "mutation($title: String!, $owner: ID) {
        ticketCreate(input: { title: $title, ownerId: $owner }) { ticket { id } userErrors { code } } }";
    let payload = by.mutate(create, json!({ "title": title, "owner": owner })).await;
    payload["ticket"]["id"].as_str().unwrap_or_else(|| panic!("{payload}")).to_owned()
}

async fn comment(by: &Session, ticket: &str, body: &str, contact: Option<&str>) -> String {
    let add = "mutation($ticket: ID!, $body: String!, $contact: ID) {
        ticketCommentAdd(input: { ticketId: $ticket, body: $body, contactId: $contact }) {
            ticketComment { id } userErrors { message } } }";
    let payload = by.mutate(add, json!({ "ticket": ticket, "body": body, "contact": contact })).await;
    payload["ticketComment"]["id"].as_str().unwrap_or_else(|| panic!("{payload}")).to_owned()
}

async fn prefer(session: &Session, kind: &str, in_app: Option<bool>, email: Option<bool>) -> Value {
    let set = "mutation($kind: NotificationKind!, $inApp: Boolean, $email: Boolean) {
        notificationPreferenceSet(kind: $kind, inApp: $inApp, email: $email) {
            preference { kind inApp email } userErrors { code } } }";
    let payload = session.mutate(set, json!({ "kind": kind, "inApp": in_app, "email": email })).await;
    payload["preference"].clone()
}

async fn mail(app: &TestApp, tenant: &TestTenant) -> Vec<email_message::Model> {
    let raw = app.raw(tenant.id).await;
    let mut mail = email_message::Entity::find().all(&raw).await.unwrap();
    mail.retain(|message| message.template == "notification");
    mail
}

async fn raise(app: &TestApp, tenant: &TestTenant, event: &str, ticket: &str) {
    let id = rapport::data::ids::decode(ticket).unwrap().1;
    let db = app.system(tenant.id).await;
    let event = event.to_owned();
    db.write(async |unit| {
        // With the record's own event before it, as a rule raises it.
        let row = unit.lock_row::<ticket::Entity>(id).await?.unwrap();
        let urgent = row.priority == ticket::Priority::Urgent;
        let level = Set(if urgent { ticket::Priority::High } else { ticket::Priority::Urgent });
        unit.update_by_rule::<ticket::Entity>(&row, ticket::ActiveModel { priority: level, ..Default::default() })
            .await?;
        unit.raise::<ticket::Entity>(&event, id);
        Ok(())
    })
    .await
    .unwrap();
}

on_both_engines! {
    /// The whole way: from the mutation of one to the screen of another.
    async fn who_is_given_a_record_hears_of_it_at_once(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let (stop, worker) = (CancellationToken::new(), app.app.worker().clone());
        let running = tokio::spawn({
            let stop = stop.clone();
            async move { worker.run(stop).await }
        });
        let query = "subscription { notificationReceived {
            sequence unreadCount notification { title kind actor { id } relatedTo { id } } } }";
        let mut agent = Socket::open(&tenant.agent, query).await.unwrap();
        let mut colleague = Socket::open(&tenant.colleague, query).await.unwrap();
        // Both listen when the first has heard something.
        let begin = Instant::now();
        let id = lead(&tenant.manager, "A big deal", Some(&tenant.agent.user_id)).await;
        let told = agent.next().await.unwrap();
        eprintln!("heard after {:?}", begin.elapsed());
        let received = &told["data"]["notificationReceived"];
        assert_eq!(received["unreadCount"], 1, "{told:#}");
        assert_eq!(received["notification"]["title"], "Lead “A big deal” was assigned to you");
        assert_eq!(received["notification"]["kind"], "ASSIGNED");
        assert_eq!(received["notification"]["actor"]["id"], tenant.manager.user_id.as_str());
        assert_eq!(received["notification"]["relatedTo"]["id"], id.as_str());

        // Who was away gets what he missed; nobody gets what is another's.
        drop(agent);
        lead(&tenant.manager, "Another", Some(&tenant.agent.user_id)).await;
        lead(&tenant.manager, "For the colleague", Some(&tenant.colleague.user_id)).await;
        let told = colleague.next().await.unwrap();
        assert_eq!(told["data"]["notificationReceived"]["notification"]["title"], "Lead “For the colleague” was assigned to you");
        let after = received["sequence"].as_str().unwrap();
        let resumed = format!(
            "subscription {{ notificationReceived(after: \"{after}\") {{ unreadCount notification {{ title }} }} }}"
        );
        let mut agent = Socket::open(&tenant.agent, &resumed).await.unwrap();
        let told = agent.next().await.unwrap();
        assert_eq!(told["data"]["notificationReceived"]["notification"]["title"], "Lead “Another” was assigned to you");
        assert_eq!(told["data"]["notificationReceived"]["unreadCount"], 2);
        stop.cancel();
        running.await.unwrap();
        assert_eq!(app.app.worker().late_finds(), 0);
    }

    async fn nobody_is_told_of_what_he_did_himself_or_may_not_see(app: TestApp) {
        let tenant = app.tenant("acme").await;
        lead(&tenant.agent, "My own", None).await;
        let mention = format!("@{} and @[The agent]({}) and @{}", tenant.colleague.user_id, tenant.agent.user_id, tenant.manager.user_id);
        let ticket = ticket_of(&tenant.manager, "No light", &tenant.agent.user_id).await;
        comment(&tenant.manager, &ticket, &mention, None).await;
        drain(&app).await;
        assert_eq!(
            titles(&tenant.agent).await,
            ["You were mentioned in ticket comment", "Ticket TKT-000001 “No light” was assigned to you"]
        );
        assert_eq!(mine(&tenant.agent).await[0]["body"], "@… and @The agent and @…");
        assert_eq!(titles(&tenant.colleague).await, [] as [String; 0], "he does not see the ticket");
        assert_eq!(titles(&tenant.manager).await, [] as [String; 0], "he wrote it");
        assert_eq!(titles(&tenant.admin).await, [] as [String; 0], "not even an administrator sees those of others");
        let theirs = mine(&tenant.agent).await[0]["id"].clone();
        let one = tenant.admin.data("query($id: ID!) { notification(id: $id) { id } node(id: $id) { id } }", json!({ "id": theirs })).await;
        assert_eq!(one, json!({ "notification": null, "node": null }));
        let mark = "mutation($id: ID!) { notificationMarkRead(id: $id) { notification { id } userErrors { code } } }";
        assert_eq!(tenant.admin.refused(mark, json!({ "id": theirs })).await[0].0, "NOT_FOUND");
    }

    async fn a_mention_that_stays_is_told_once(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let ticket = ticket_of(&tenant.manager, "No light", &tenant.agent.user_id).await;
        let id = comment(&tenant.manager, &ticket, &format!("@{} look", tenant.agent.user_id), None).await;
        let update = "mutation($id: ID!, $body: String!) {
            ticketCommentUpdate(id: $id, input: { body: $body }) { userErrors { code } } }";
        let changed = format!("@{} please look, @{}", tenant.agent.user_id, tenant.admin.user_id);
        tenant.manager.mutate(update, json!({ "id": id, "body": changed })).await;
        drain(&app).await;
        let mentions = titles(&tenant.agent).await.into_iter().filter(|title| title.contains("mentioned")).count();
        assert_eq!(mentions, 1);
        assert_eq!(titles(&tenant.admin).await, ["You were mentioned in ticket comment"]);
    }

    async fn an_answer_of_the_requester_and_a_missed_target_reach_the_owner(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let create = "mutation { customerCreate(input: { name: \"Acme\" }) { customer { id } userErrors { code } } }";
        let customer = tenant.manager.mutate(create, json!({})).await["customer"]["id"].clone();
        let create = "mutation($customer: ID!) { contactCreate(input: { customerId: $customer, lastName: \"Lee\" }) {
            contact { id } userErrors { code } } }";
        let contact = tenant.manager.mutate(create, json!({ "customer": customer })).await["contact"]["id"].clone();
        let ticket = ticket_of(&tenant.manager, "No light", &tenant.agent.user_id).await;
        let update = "mutation($id: ID!, $customer: ID!) {
            ticketUpdate(id: $id, input: { customerId: $customer }) { userErrors { message } } }";
        tenant.manager.mutate(update, json!({ "id": ticket, "customer": customer })).await;
        comment(&tenant.manager, &ticket, "Still dark", contact.as_str()).await;
        raise(&app, &tenant, "sla_warning", &ticket).await;
        raise(&app, &tenant, "sla_breached", &ticket).await;
        drain(&app).await;
        let told = mine(&tenant.agent).await;
        let kinds: Vec<_> = told.iter().map(|one| one["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["SLA_BREACHED", "SLA_WARNING", "TICKET_REPLY", "ASSIGNED"]);
        assert_eq!(told[2]["body"], "Still dark");
        assert_eq!(told[2]["relatedToId"], ticket.as_str());
        assert_eq!(told[0]["channels"], json!(["IN_APP", "EMAIL"]));
        assert_eq!(told[0]["actor"], Value::Null, "the platform did it");
        assert_eq!(mail(&app, &tenant).await.len(), 2, "of the targets, by default");
    }

    async fn everybody_chooses_how_he_hears_of_what(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let agent = tenant.agent.user_id.as_str();
        let all = tenant.agent.data("{ notificationPreferences { kind description inApp email } }", json!({})).await;
        let all = all["notificationPreferences"].as_array().unwrap().clone();
        assert_eq!(all[0], json!({ "kind": "ASSIGNED", "description": "a record was given to you", "inApp": true, "email": false }));
        assert_eq!(prefer(&tenant.agent, "ASSIGNED", Some(false), Some(true)).await,
            json!({ "kind": "ASSIGNED", "inApp": false, "email": true }));
        lead(&tenant.manager, "First <b>", Some(agent)).await;
        drain(&app).await;
        assert_eq!(titles(&tenant.agent).await, [] as [String; 0]);
        let sent = mail(&app, &tenant).await;
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].recipient, "ann.agent@acme.example");
        assert_eq!(sent[0].variables["title"], "Lead “First <b>” was assigned to you");
        assert!(sent[0].variables["link"].as_str().unwrap().contains("/open/lead_"), "{}", sent[0].variables);
        // One at a time, and what is left out stays.
        prefer(&tenant.agent, "ASSIGNED", Some(true), None).await;
        assert_eq!(prefer(&tenant.agent, "ASSIGNED", None, Some(false)).await,
            json!({ "kind": "ASSIGNED", "inApp": true, "email": false }));
        lead(&tenant.manager, "Second", Some(agent)).await;
        prefer(&tenant.agent, "MENTIONED", Some(false), Some(false)).await;
        let ticket = ticket_of(&tenant.manager, "No light", agent).await;
        comment(&tenant.manager, &ticket, &format!("@{agent}"), None).await;
        drain(&app).await;
        assert_eq!(titles(&tenant.agent).await,
            ["Ticket TKT-000001 “No light” was assigned to you", "Lead “Second” was assigned to you"]);
        assert_eq!(mail(&app, &tenant).await.len(), 1);
        // The choice of one is nothing to another.
        let theirs = tenant.colleague.data("{ notificationPreferences { kind inApp email } }", json!({})).await;
        assert_eq!(theirs["notificationPreferences"][1], json!({ "kind": "MENTIONED", "inApp": true, "email": false }));
    }

    async fn much_of_the_same_is_told_in_one(app: TestApp) {
        let tenant = app.tenant("acme").await;
        for index in 0..12 {
            lead(&tenant.manager, &format!("Lead {index}"), Some(&tenant.agent.user_id)).await;
        }
        for index in 0..5 {
            lead(&tenant.admin, &format!("Lead {index}"), Some(&tenant.agent.user_id)).await;
        }
        drain(&app).await;
        let titles = titles(&tenant.agent).await;
        assert_eq!(titles.len(), 6, "{titles:?}");
        assert!(titles.contains(&"12 leads were assigned to you".to_owned()), "{titles:?}");
    }

    async fn what_was_read_is_marked_one_by_one_or_all_at_once(app: TestApp) {
        let tenant = app.tenant("acme").await;
        for index in 0..4 {
            lead(&tenant.manager, &format!("Lead {index}"), Some(&tenant.agent.user_id)).await;
        }
        lead(&tenant.manager, "Theirs", Some(&tenant.colleague.user_id)).await;
        drain(&app).await;
        let all = mine(&tenant.agent).await;
        let id = all[1]["id"].as_str().unwrap();
        let mark = "mutation($id: ID!) { notificationMarkRead(id: $id) { notification { readAt version } userErrors { code } } }";
        let first = tenant.agent.mutate(mark, json!({ "id": id })).await;
        assert!(first["notification"]["readAt"].is_string());
        app.clock.advance(TimeDelta::seconds(5));
        assert_eq!(tenant.agent.mutate(mark, json!({ "id": id })).await, first, "once is enough");
        let unmark = "mutation($id: ID!) { notificationMarkUnread(id: $id) { notification { readAt } userErrors { code } } }";
        assert_eq!(tenant.agent.mutate(unmark, json!({ "id": id })).await["notification"]["readAt"], Value::Null);
        tenant.agent.mutate(mark, json!({ "id": id })).await;
        let unread = tenant.agent.data("{ notifications(where: { readAt: { isNull: true } }) { totalCount } }", json!({})).await;
        assert_eq!(unread["notifications"]["totalCount"], 3);
        let mark_all = "mutation { notificationMarkAllRead { markedCount unreadCount userErrors { code } } }";
        let payload = tenant.agent.mutate(mark_all, json!({})).await;
        assert_eq!((&payload["markedCount"], &payload["unreadCount"]), (&json!(3), &json!(0)));
        let payload = tenant.agent.mutate(mark_all, json!({})).await;
        assert_eq!((&payload["markedCount"], &payload["unreadCount"]), (&json!(0), &json!(0)));
        assert_eq!(mine(&tenant.colleague).await[0]["readAt"], Value::Null);
        // What somebody has read stands in no log.
        let logged = tenant.admin.data("{ auditLogs(first: 100) { nodes { recordType } } }", json!({})).await;
        assert!(!logged.to_string().contains("\"notification\""), "{logged}");
    }

    /// Over a worker that is cut off again and again: each is told once.
    async fn a_worker_that_stops_in_the_midst_tells_nothing_twice(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let db = app.system(tenant.id).await;
        let mut expected = Vec::new();
        for round in 0..8 {
            // Four at a time stay four notifications, however they are taken together.
            for index in 0..4 {
                let session = if round % 2 == 0 { &tenant.manager } else { &tenant.admin };
                lead(session, &format!("Lead {round}.{index}"), Some(&tenant.agent.user_id)).await;
                expected.push(format!("Lead “Lead {round}.{index}” was assigned to you"));
            }
            let worker = app.app.worker().clone();
            let cut = tokio::spawn(async move { worker.drain().await });
            tokio::time::sleep(Duration::from_millis(3 * round)).await;
            cut.abort();
            let _ = cut.await;
            app.clock.advance(TimeDelta::seconds(16));
            // A statement that was cut off may hold a row for a moment longer.
            while db.events_wait("notification").await.unwrap().is_some() {
                drain(&app).await;
            }
        }
        let mut all = titles(&tenant.agent).await;
        all.sort();
        expected.sort();
        assert_eq!(all, expected);
    }
}
