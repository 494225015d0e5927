//! Making and changing webhooks through the API.

use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};

use super::{act, customer, deliveries, drain, state, webhook, webhook_with};
use crate::{
    on_both_engines,
    support::{TestApp, receiver::Receiver},
};

/// What a table of the tenant holds, as one text.
async fn dump(app: &TestApp, tenant: uuid::Uuid, table: &str, column: &str) -> String {
    let raw = app.raw(tenant).await;
    let query = format!("SELECT CAST({column} AS text) FROM {table}");
    let rows = raw.query_all_raw(Statement::from_string(raw.get_database_backend(), query)).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index::<String>(0).unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

on_both_engines! {
    /// A condition chooses among the events, and one that cannot be meant is refused when it is saved.
    async fn a_condition_chooses_among_the_events(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let receiver = Receiver::start().await;
        let more = json!({ "condition": { "any": [
            { "field": "name", "operator": "CONTAINS", "value": "big" },
            { "field": "status", "operator": "CHANGED_TO", "value": "ACTIVE" },
        ] } });
        let (id, _) = webhook_with(&tenant.admin, &receiver.url("/"), &["customer.*"], more.clone()).await;
        let small = customer(&tenant.admin, "A small one").await;
        customer(&tenant.admin, "A BIG one").await;
        let update = "mutation($id: ID!, $input: CustomerUpdateInput!) {
            customerUpdate(id: $id, input: $input) { userErrors { code } } }";
        tenant.admin.mutate(update, json!({ "id": small, "input": { "industry": "Toys" } })).await;
        tenant.admin.mutate(update, json!({ "id": small, "input": { "status": "ACTIVE" } })).await;
        drain(&app).await;
        let sent: Vec<_> = deliveries(&tenant.admin).await;
        let events: Vec<_> = sent.iter().map(|one| one["event"].as_str().unwrap()).collect();
        assert_eq!(events, ["customer.created", "customer.updated"]);
        assert_eq!(sent[1]["recordId"], small.as_str());

        let shown = "query($id: ID!) { webhook(id: $id) { condition } }";
        let shown = tenant.admin.data(shown, json!({ "id": id })).await;
        assert_eq!(shown["webhook"]["condition"], more["condition"]);
        let change = "mutation($id: ID!, $input: WebhookUpdateInput!) {
            webhookUpdate(id: $id, input: $input) { webhook { condition } userErrors { code field message } } }";
        for (condition, reason) in [
            (json!({ "field": "nmae", "operator": "EQUALS", "value": "x" }), "none of the record types has a field \"nmae\""),
            (json!({ "field": "name" }), "name: "),
            (json!({}), "a condition has one of all, any, none and field"),
        ] {
            let answer = tenant.admin.send(change, json!({ "id": id, "input": { "condition": condition } })).await.body;
            let error = &answer["data"]["webhookUpdate"]["userErrors"][0];
            assert_eq!(error["field"], json!(["input", "condition"]), "{answer:#}");
            assert!(error["message"].as_str().unwrap().starts_with(reason), "{error}");
        }
        let cleared = tenant.admin.mutate(change, json!({ "id": id, "input": { "condition": null } })).await;
        assert_eq!(cleared["webhook"]["condition"], Value::Null);
        customer(&tenant.admin, "Another small one").await;
        drain(&app).await;
        assert_eq!(deliveries(&tenant.admin).await.len(), 3);
    }

    async fn a_webhook_is_made_changed_switched_deleted_and_restored(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let admin = &tenant.admin;
        let ((id, secret), raised) = app.raised(&tenant, async || {
            webhook(admin, "http://127.0.0.1:9/hook", &["customer.*", " *.deleted ", "customer.*"]).await
        }).await;
        assert!(secret.starts_with("whsec_") && secret.len() == 6 + 44, "{secret}");
        assert_eq!(raised, ["webhook.created"]);
        let made = state(admin, &id).await;
        assert_eq!(made["events"], json!(["customer.*", "*.deleted"]));
        assert_eq!((&made["status"], &made["retrySchedule"], &made["version"]), (&json!("ENABLED"), &json!("DEFAULT"), &json!(1)));
        assert_eq!(made["createdBy"]["name"], "Ada Admin");

        let update = "mutation($id: ID!, $version: Int) { webhookUpdate(id: $id, expectedVersion: $version, input: {
            name: \"Another\", events: [\"opportunity.won\"], retrySchedule: EXTENDED }) { userErrors { code field } } }";
        let (_, raised) = app.raised(&tenant, async || admin.mutate(update, json!({ "id": id, "version": 1 })).await).await;
        assert_eq!(raised, ["webhook.updated"]);
        let stale = admin.refused(update, json!({ "id": id, "version": 1 })).await;
        assert_eq!(stale, [("STALE_VERSION".to_owned(), vec!["expectedVersion".to_owned()])]);
        let changed = state(admin, &id).await;
        assert_eq!((&changed["name"], &changed["retrySchedule"]), (&json!("Another"), &json!("EXTENDED")));

        act(admin, "webhookDisable", &id).await;
        assert_eq!(state(admin, &id).await["status"], "DISABLED");
        for off in ["webhookPing", "webhookReplay"] {
            let more = if off == "webhookReplay" { ", fromSequence: 1, toSequence: 2" } else { "" };
            let query = format!("mutation($id: ID!) {{ {off}(id: $id{more}) {{ userErrors {{ code field }} }} }}");
            assert_eq!(admin.refused(&query, json!({ "id": id })).await[0].0, "INVALID_STATE");
        }
        act(admin, "webhookEnable", &id).await;
        assert_eq!(state(admin, &id).await["status"], "ENABLED");

        let delete = "mutation($id: ID!) { webhookDelete(id: $id) { deletedId userErrors { code } } }";
        let (_, raised) = app.raised(&tenant, async || admin.mutate(delete, json!({ "id": id })).await).await;
        assert_eq!(raised, ["webhook.deleted"]);
        assert!(state(admin, &id).await.is_null());
        assert_eq!(dump(&app, tenant.id, "webhook_delivery", "status").await, "CANCELLED", "the ping that waited");
        act(admin, "webhookRestore", &id).await;
        assert_eq!(state(admin, &id).await["name"], "Another");
    }

    /// A secret is in the answer of who makes it, and nowhere else.
    async fn secrets_are_shown_once_and_stored_sealed(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let own = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let (id, shown) = webhook_with(&tenant.admin, "http://127.0.0.1:9/", &["*"], json!({ "secret": own })).await;
        assert_eq!(shown, own);
        let rotate = "mutation($id: ID!) { webhookRotateSecret(id: $id) { secret userErrors { code } } }";
        let key = [("idempotency-key", "once")];
        let first = tenant.admin.send_with(rotate, json!({ "id": id }), &key).await;
        let new = first.body["data"]["webhookRotateSecret"]["secret"].as_str().unwrap().to_owned();
        let again = tenant.admin.send_with(rotate, json!({ "id": id }), &key).await;
        assert_eq!(again.body["data"]["webhookRotateSecret"]["secret"], json!(null));
        for (table, column) in [("webhook_secret", "sealed"), ("event", "data"), ("audit_log", "changes"),
            ("webhook_delivery", "body"), ("idempotency_key", "outcome")] {
            let dump = dump(&app, tenant.id, table, column).await;
            for secret in [own, &new] {
                let bare = secret.trim_start_matches("whsec_");
                assert!(!dump.contains(bare), "{table}");
            }
        }
        assert_eq!(dump(&app, tenant.id, "webhook_secret", "sealed").await.lines().count(), 2);
        // Sealed for its row: another row's text opens nothing, and nothing is sent unsigned.
        let receiver = Receiver::start().await;
        let (other, _) = webhook(&tenant.admin, &receiver.url("/"), &["*"]).await;
        let raw = app.raw(tenant.id).await;
        raw.execute_unprepared("UPDATE webhook_secret SET sealed = (SELECT MIN(sealed) FROM webhook_secret)").await.unwrap();
        act(&tenant.admin, "webhookPing", &other).await;
        drain(&app).await;
        let attempts = dump(&app, tenant.id, "webhook_attempt", "failure").await;
        assert!(attempts.lines().any(|failure| failure == "NOT_SENT"), "{attempts}");
    }

    async fn what_cannot_be_meant_is_refused_with_the_reason(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let create = "mutation($input: WebhookCreateInput!) { webhookCreate(input: $input) {
            webhook { id } secret userErrors { code field message } } }";
        let good = json!({ "name": "x", "url": "https://example.org/hook", "events": ["customer.created"] });
        let with = |field: &str, value: serde_json::Value| {
            let mut input = good.clone();
            input[field] = value;
            json!({ "input": input })
        };
        for url in [
            "nonsense", "", "ftp://example.org", "javascript:alert(1)", "https://user:secret@example.org/", "https://example.org/#x",
            "https://10.0.0.1/", "https://169.254.169.254/latest/meta-data", "https://0xa9fea9fe/", "https://[::ffff:127.0.0.1]/",
            "https://[fd00::1]/", "https://0/", "https://example.org:0/",
        ] {
            let refused = tenant.admin.refused(create, with("url", json!(url))).await;
            assert_eq!(refused, [("INVALID".to_owned(), vec!["input".to_owned(), "url".to_owned()])], "{url}");
        }
        for (events, code) in [
            (json!(["customer.made"]), "INVALID"), (json!(["customers.*"]), "INVALID"), (json!(["customer.*", "*.nothing"]), "INVALID"),
            (json!([""]), "INVALID"), (json!([]), "BLANK"),
        ] {
            let refused = tenant.admin.refused(create, with("events", events.clone())).await;
            assert_eq!(refused, [(code.to_owned(), vec!["input".to_owned(), "events".to_owned()])], "{events}");
        }
        for secret in ["", "secret", "whsec_", "whsec_c2hvcnQ=", "whsec_!!!"] {
            let refused = tenant.admin.refused(create, with("secret", json!(secret))).await;
            assert_eq!(refused, [("INVALID".to_owned(), vec!["input".to_owned(), "secret".to_owned()])], "{secret}");
        }
        assert_eq!(tenant.admin.refused(create, with("name", json!("  "))).await[0].0, "BLANK");
        assert_eq!(dump(&app, tenant.id, "webhook", "name").await, "");
        // Two at once are told at once.
        let both = json!({ "input": { "name": "x", "url": "nonsense", "events": ["nonsense"] } });
        assert_eq!(tenant.admin.refused(create, both).await.len(), 2);
    }

    async fn webhooks_are_for_administrators_and_nobody_sees_more_through_them(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let (id, _) = webhook(&tenant.admin, "http://127.0.0.1:9/", &["*"]).await;
        for session in [&tenant.manager, &tenant.agent, &tenant.viewer] {
            let answer = session.send("query($id: ID!) { webhook(id: $id) { id } }", json!({ "id": id })).await;
            assert_eq!(answer.codes(), ["FORBIDDEN"]);
        }
        let all = ["webhooks.read", "webhooks.write", "users.read"];
        let helper = app.user_with(&tenant, "Hal Helper", &all).await;
        let update = |input: serde_json::Value| json!({ "id": id, "input": input });
        let query = "mutation($id: ID!, $input: WebhookUpdateInput!) { webhookUpdate(id: $id, input: $input) { userErrors { code field } } }";
        helper.mutate(query, update(json!({ "name": "Renamed" }))).await;
        for input in [json!({ "url": "http://127.0.0.1:9/elsewhere" }), json!({ "events": ["lead.*"] })] {
            assert_eq!(helper.refused(query, update(input)).await, [("INVALID_STATE".to_owned(), vec!["id".to_owned()])]);
        }
        // An own webhook is made and changed by whoever may.
        let (own, _) = webhook(&helper, "http://127.0.0.1:9/", &["*"]).await;
        helper.mutate(query, json!({ "id": own, "input": { "events": ["lead.*"] } })).await;
        // A program whose key may do less than its owner would send more than it may read.
        let key = "mutation { apiKeyCreate(input: { name: \"key\", permissions: [\"webhooks.write\", \"webhooks.read\"],
            dataScope: ALL }) { secret userErrors { code } } }";
        let secret = tenant.admin.mutate(key, json!({})).await["secret"].as_str().unwrap().to_owned();
        let program = crate::support::Session::new(app.url("/graphql"), Some(secret));
        let create = "mutation { webhookCreate(input: { name: \"x\", url: \"http://127.0.0.1:9/\", events: [\"*\"] }) {
            userErrors { code field } } }";
        assert_eq!(program.refused(create, json!({})).await, [("INVALID_STATE".to_owned(), vec![])]);
        // What a delivery holds is for those who see its record.
        let body = "query($id: ID!) { webhookDeliveryBody(id: $id) }";
        customer(&tenant.admin, "Acme").await;
        drain(&app).await;
        let of_customer = |delivery: &serde_json::Value| delivery["recordType"] == "customer";
        let delivery = deliveries(&tenant.admin).await.into_iter().find(of_customer).unwrap();
        let sent = tenant.admin.data(body, json!({ "id": delivery["id"] })).await;
        assert!(sent["webhookDeliveryBody"].as_str().unwrap().contains("\"name\":\"Acme\""));
        assert_eq!(helper.send(body, json!({ "id": delivery["id"] })).await.codes(), ["NOT_FOUND"]);
    }

    async fn the_events_are_named_and_described(app: TestApp) {
        let tenant = app.tenant("acme").await;
        let types = tenant.admin.data("{ webhookEventTypes { name description } }", json!({})).await;
        let names: Vec<_> = types["webhookEventTypes"].as_array().unwrap().iter().map(|of| of["name"].as_str().unwrap()).collect();
        for name in ["customer.created", "opportunity.won", "ticket.restored", "webhook.disabled", "webhook.ping"] {
            assert!(names.contains(&name), "{name}");
        }
        assert!(!names.iter().any(|name| name.starts_with("webhook_delivery") || name.starts_with("audit_log")));
        let answer = tenant.agent.send("{ webhookEventTypes { name } }", json!({})).await;
        assert_eq!(answer.codes(), ["FORBIDDEN"]);
    }
}

/// What rules raise can be subscribed to.
#[test]
fn every_event_that_a_rule_raises_is_in_the_catalogue() {
    let listed = std::fs::read_to_string("src/services/automation/webhook/events.rs").unwrap();
    let mut raised = 0;
    let mut folders = vec![std::path::PathBuf::from("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let code = std::fs::read_to_string(&path).unwrap_or_default();
            for call in code.split("raise::<").skip(1) {
                let Some(name) =
                    call.split_once(">(\"").and_then(|(_, rest)| rest.split_once('"')).map(|(name, _)| name)
                else {
                    continue;
                };
                raised += 1;
                assert!(
                    listed.contains(&format!(".{name}\"")),
                    "{}: add `{name}` to OTHERS in services/automation/webhook/events.rs",
                    path.display()
                );
            }
        }
    }
    assert!(raised > 10, "{raised}");
}
