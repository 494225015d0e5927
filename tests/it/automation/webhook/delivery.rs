//! What is sent, when again, and until when.

use chrono::Duration;
use rapport::auth::DataScope;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};

use super::{act, customer, deliveries, drain, state, webhook, webhook_with};
use crate::{
    on_both_engines,
    support::receiver::{Receiver, Reply},
};

const REPLAY: &str = "mutation($id: ID!, $from: Int!, $to: Int!, $all: Boolean) {
    webhookReplay(id: $id, fromSequence: $from, toSequence: $to, all: $all) { count userErrors { code field } } }";

async fn delete_customer(session: &crate::support::Session, id: &str) {
    let delete = "mutation($id: ID!) { customerDelete(id: $id) { deletedId userErrors { code } } }";
    session.mutate(delete, json!({ "id": id })).await;
}

on_both_engines! {
    async fn an_event_arrives_whole_and_signed(app: TestApp) {
        let (tenant, receiver) = (app.tenant("acme").await, Receiver::start().await);
        let (id, secret) = webhook(&tenant.admin, &receiver.url("/hook?a=b"), &["customer.*"]).await;
        let made = customer(&tenant.agent, "Größe & Söhne").await;
        let update = "mutation($id: ID!) { customerUpdate(id: $id, input: { name: \"Acme\" }) { userErrors { code } } }";
        tenant.agent.mutate(update, json!({ "id": made })).await;
        drain(&app).await;
        let mut all = receiver.all();
        // Several are on their way at the same time.
        all.sort_by_key(|got| got.json()["sequence"].as_i64());
        assert_eq!(all.iter().map(|got| got.event()).collect::<Vec<_>>(), ["webhook.ping", "customer.created", "customer.updated"]);
        assert_eq!(all[0].json()["data"]["id"], json!(id));
        let (created, updated) = (all[1].json(), all[2].json());
        assert_eq!((&created["data"]["name"], &created["data"]["id"]), (&json!("Größe & Söhne"), &json!(made)));
        assert_eq!(created["actor"]["id"], json!(tenant.agent.user_id));
        assert_eq!((&updated["changedFields"], &updated["previous"]["name"]), (&json!(["name"]), &json!("Größe & Söhne")));
        let sequence = |body: &Value| body["sequence"].as_i64().unwrap();
        assert_eq!(sequence(&updated), sequence(&created) + 1);
        for got in &all {
            let body = got.json();
            assert_eq!(body.as_object().unwrap().keys().collect::<std::collections::BTreeSet<_>>().len(), 9);
            assert!(body["tenantId"].as_str().unwrap().starts_with("tenant_"));
            assert!(chrono::DateTime::parse_from_rfc3339(body["timestamp"].as_str().unwrap()).is_ok());
            assert_eq!((got.path.as_str(), got.header("content-type")), ("/hook?a=b", "application/json"));
            assert!(got.header("user-agent").starts_with("Rapport/"));
            assert_eq!(got.header("webhook-id"), body["id"].as_str().unwrap());
            let mut headers = standardwebhooks_headers(got);
            let verifier = standardwebhooks::Webhook::new(&secret).unwrap();
            verifier.verify(&got.body, &headers).unwrap();
            assert!(verifier.verify(&[&got.body[..], b" "].concat(), &headers).is_err());
            headers.insert("webhook-id", "another".parse().unwrap());
            assert!(verifier.verify(&got.body, &headers).is_err());
        }
        let sent = &deliveries(&tenant.admin).await[0];
        assert_eq!((&sent["status"], &sent["attemptCount"], &sent["lastStatusCode"]), (&json!("SUCCEEDED"), &json!(1), &json!(200)));
        assert_eq!((&sent["recordId"], &sent["eventId"]), (&json!(made), &created["id"]));
        let attempt = &sent["attempts"]["nodes"][0];
        assert_eq!((&attempt["number"], &attempt["statusCode"], &attempt["failure"]), (&json!(1), &json!(200), &json!(null)));
        assert!(attempt["durationMs"].as_i64().unwrap() < 2000);
        let state = state(&tenant.admin, &id).await;
        assert!(state["lastSuccessAt"].is_string() && state["failingSince"].is_null() && state["version"] == 1, "{state}");
        assert_eq!(app.app.worker().late_finds(), 0);
        // Nothing of all this is an event or an audit entry of its own.
        let raised = tenant.admin.data("{ auditLogs(last: 100) { nodes { recordType action } } }", json!({})).await;
        assert!(!raised.to_string().contains("webhook_"), "{raised}");
    }

    /// What is sent is what the creator may see when it happens: by permission, by DataScope, by being let in.
    async fn a_webhook_sends_what_its_creator_may_see(app: TestApp) {
        let (tenant, receiver) = (app.tenant("acme").await, Receiver::start().await);
        let rights = ["webhooks.read", "webhooks.write", "customers.read", "customers.write", "customers.delete"];
        let own = app.user_scoped(&tenant, "Olga Own", &rights, DataScope::Own).await;
        webhook(&own, &receiver.url("/own"), &["*"]).await;
        webhook(&tenant.admin, &receiver.url("/all"), &["customer.*", "lead.*"]).await;
        let mine = customer(&own, "Mine").await;
        customer(&tenant.agent, "Another's").await;
        let lead = "mutation { leadCreate(input: { lastName: \"Doe\", title: \"A lead\" }) { userErrors { code field } } }";
        tenant.admin.mutate(lead, json!({})).await;
        delete_customer(&own, &mine).await;
        drain(&app).await;
        let of = |path: &str| {
            let got = receiver.got().into_iter().filter(|got| got.path == path && got.event() != "webhook.created");
            let mut got: Vec<Value> = got.map(|got| got.json()).collect();
            got.sort_by_key(|body| body["sequence"].as_i64().unwrap());
            got.iter().map(|body| (body["event"].as_str().unwrap().to_owned(), body["data"]["name"].clone())).collect::<Vec<_>>()
        };
        let event = |name: &str, data: Value| (name.to_owned(), data);
        assert_eq!(of("/own"), [event("customer.created", json!("Mine")), event("customer.deleted", json!("Mine"))]);
        assert_eq!(of("/all").len(), 4);
        let disable = "mutation($id: ID!) { userDisable(id: $id) { userErrors { code } } }";
        tenant.admin.mutate(disable, json!({ "id": own.user_id })).await;
        customer(&tenant.admin, "Later").await;
        drain(&app).await;
        assert_eq!((of("/own").len(), of("/all").len()), (2, 5));
    }

    async fn the_default_schedule_has_three_attempts_with_the_same_bytes(app: TestApp) {
        let (tenant, receiver) = (app.tenant("acme").await, Receiver::start().await);
        let (id, _) = webhook(&tenant.admin, &receiver.url("/"), &["customer.created"]).await;
        drain(&app).await;
        receiver.answer(|_| Reply::Full(500, "x-why: broken\r\nset-cookie: a=b\r\n".to_owned(), b"Sorry".to_vec()));
        customer(&tenant.admin, "Acme").await;
        drain(&app).await;
        for (attempts, minutes) in [(1, 5), (2, 30)] {
            assert_eq!(receiver.got().len(), attempts);
            let delivery = &deliveries(&tenant.admin).await[0];
            assert_eq!((&delivery["status"], &delivery["attemptCount"]), (&json!("PENDING"), &json!(attempts)));
            app.clock.advance(Duration::minutes(minutes) - Duration::seconds(10));
            drain(&app).await;
            assert_eq!(receiver.got().len(), attempts, "not yet");
            app.clock.advance(Duration::seconds(11));
            drain(&app).await;
        }
        let got = receiver.got();
        assert_eq!(got.len(), 3);
        assert!(got.iter().all(|one| one.body == got[0].body && one.header("webhook-id") == got[0].header("webhook-id")));
        assert_ne!(got[0].header("webhook-signature"), got[2].header("webhook-signature"), "each is signed when it leaves");
        let delivery = &deliveries(&tenant.admin).await[0];
        assert_eq!((&delivery["status"], &delivery["nextAttemptAt"]), (&json!("FAILED"), &json!(null)));
        assert_eq!(delivery["lastError"], "the receiver answered 500");
        let attempts = delivery["attempts"]["nodes"].as_array().unwrap();
        assert_eq!(attempts.len(), 3);
        assert_eq!((&attempts[0]["failure"], &attempts[0]["responseBody"]), (&json!("BAD_STATUS"), &json!("Sorry")));
        assert_eq!(attempts[0]["responseHeaders"]["x-why"], "broken");
        assert!(attempts[0]["responseHeaders"].get("set-cookie").is_none());
        assert!(state(&tenant.admin, &id).await["failingSince"].is_string());
        app.clock.advance(Duration::days(1));
        drain(&app).await;
        assert_eq!((receiver.got().len(), app.app.worker().late_finds()), (3, 0));

        // Sent again by hand, it begins anew.
        receiver.answer(|_| Reply::Status(204));
        act(&tenant.admin, "webhookDeliveryRetry", delivery["id"].as_str().unwrap()).await;
        drain(&app).await;
        let again = receiver.got();
        assert_eq!((again.len(), &again[3].body), (4, &got[0].body));
        assert_eq!(deliveries(&tenant.admin).await[0]["status"], "SUCCEEDED");
        assert!(state(&tenant.admin, &id).await["failingSince"].is_null());
    }

    async fn the_extended_schedule_has_eight_attempts(app: TestApp) {
        let (tenant, receiver) = (app.tenant("acme").await, Receiver::start().await);
        let more = json!({ "retrySchedule": "EXTENDED" });
        webhook_with(&tenant.admin, &receiver.url("/"), &["customer.created"], more).await;
        drain(&app).await;
        receiver.answer(|_| Reply::HangUp);
        let begin = app.clock.now();
        customer(&tenant.admin, "Acme").await;
        drain(&app).await;
        while deliveries(&tenant.admin).await[0]["status"] == "PENDING" {
            app.clock.advance(Duration::minutes(2));
            drain(&app).await;
        }
        let hours = (app.clock.now() - begin).num_minutes() as f64 / 60.0;
        assert!((22.0..34.5).contains(&hours), "{hours}");
        let delivery = &deliveries(&tenant.admin).await[0];
        assert_eq!((&delivery["status"], &delivery["attemptCount"], receiver.got().len()), (&json!("FAILED"), &json!(8), 8));
        assert_eq!(delivery["attempts"]["nodes"][0]["failure"], "BROKEN");
    }

    async fn redirects_are_not_followed_and_a_receiver_may_ask_for_time(app: TestApp) {
        let (tenant, receiver, elsewhere) = (app.tenant("acme").await, Receiver::start().await, Receiver::start().await);
        webhook(&tenant.admin, &receiver.url("/"), &["customer.created"]).await;
        drain(&app).await;
        let location = format!("location: {}\r\n", elsewhere.url("/"));
        receiver.answer(move |_| Reply::Full(307, location.clone(), Vec::new()));
        customer(&tenant.admin, "Acme").await;
        drain(&app).await;
        assert_eq!((receiver.got().len(), elsewhere.connections()), (1, 0));
        assert_eq!(deliveries(&tenant.admin).await[0]["attempts"]["nodes"][0]["failure"], "REDIRECTED");
        receiver.answer(|_| Reply::Full(503, "retry-after: 7200\r\n".to_owned(), Vec::new()));
        app.clock.advance(Duration::minutes(6));
        drain(&app).await;
        receiver.answer(|_| Reply::Status(200));
        app.clock.advance(Duration::minutes(119));
        drain(&app).await;
        assert_eq!(receiver.got().len(), 2, "it asked for two hours");
        app.clock.advance(Duration::minutes(2));
        drain(&app).await;
        assert_eq!(receiver.got().len(), 3);
        assert_eq!(deliveries(&tenant.admin).await[0]["status"], "SUCCEEDED");
    }

    async fn a_receiver_that_is_gone_switches_the_webhook_off(app: TestApp) {
        let (tenant, receiver, witness) = (app.tenant("acme").await, Receiver::start().await, Receiver::start().await);
        let (id, _) = webhook(&tenant.admin, &receiver.url("/"), &["customer.created"]).await;
        webhook(&tenant.admin, &witness.url("/"), &["webhook.disabled"]).await;
        drain(&app).await;
        receiver.answer(|_| Reply::Status(410));
        customer(&tenant.admin, "Acme").await;
        let ((), raised) = app.raised(&tenant, async || drain(&app).await).await;
        // Others react to it, in the same turn of the worker or later.
        assert_eq!(raised[..2], ["webhook.updated", "webhook.disabled"]);
        let off = state(&tenant.admin, &id).await;
        assert_eq!((&off["status"], &off["disabledReason"]), (&json!("AUTO_DISABLED"), &json!("the receiver answered 410 Gone")));
        assert_eq!(deliveries(&tenant.admin).await[0]["status"], "FAILED");
        drain(&app).await;
        assert_eq!(witness.got().len(), 1);
        assert_eq!(witness.got()[0].json()["data"]["status"], "AUTO_DISABLED");
        // While it is off it is told of nothing; afterwards what it missed can be had.
        customer(&tenant.admin, "Missed").await;
        drain(&app).await;
        assert_eq!(receiver.got().len(), 1);
        act(&tenant.admin, "webhookEnable", &id).await;
        receiver.answer(|_| Reply::Status(200));
        drain(&app).await;
        assert_eq!(receiver.got().len(), 1);
        let replayed = tenant.admin.mutate(REPLAY, json!({ "id": id, "from": 1, "to": 900 })).await;
        drain(&app).await;
        // The one that had failed, and the one that was missed: customers made before the webhook there are none.
        assert_eq!((&replayed["count"], receiver.got().len()), (&json!(2), 3));
    }

    async fn five_days_of_nothing_but_failures_switch_a_webhook_off(app: TestApp) {
        let (tenant, receiver) = (app.tenant("acme").await, Receiver::start().await);
        let (id, _) = webhook(&tenant.admin, &receiver.url("/"), &["customer.created"]).await;
        drain(&app).await;
        receiver.answer(|_| Reply::Status(500));
        for day in 0..6 {
            assert_eq!(state(&tenant.admin, &id).await["status"], "ENABLED", "day {day}");
            customer(&tenant.admin, &format!("Day {day}")).await;
            drain(&app).await;
            app.clock.advance(Duration::hours(23));
        }
        assert_eq!(state(&tenant.admin, &id).await["status"], "ENABLED", "it is not five days yet");
        app.clock.advance(Duration::hours(24));
        drain(&app).await;
        let off = state(&tenant.admin, &id).await;
        assert_eq!((&off["status"], &off["disabledReason"]), (&json!("AUTO_DISABLED"), &json!("nothing but failures came back for five days")));
        assert_eq!(app.app.worker().late_finds(), 0);
    }

    async fn while_a_secret_is_changed_both_count(app: TestApp) {
        let (tenant, receiver) = (app.tenant("acme").await, Receiver::start().await);
        let (id, first) = webhook(&tenant.admin, &receiver.url("/"), &["customer.created"]).await;
        let rotate = "mutation($id: ID!) { webhookRotateSecret(id: $id) { secret userErrors { code } } }";
        let second = tenant.admin.mutate(rotate, json!({ "id": id })).await["secret"].as_str().unwrap().to_owned();
        customer(&tenant.admin, "Acme").await;
        drain(&app).await;
        let got = receiver.got().remove(0);
        assert_eq!(got.header("webhook-signature").split(' ').count(), 2);
        for secret in [&first, &second] {
            standardwebhooks::Webhook::new(secret).unwrap().verify(&got.body, &standardwebhooks_headers(&got)).unwrap();
        }
        app.clock.advance(Duration::hours(25));
        act(&tenant.admin, "webhookPing", &id).await;
        drain(&app).await;
        let got = receiver.all().pop().unwrap();
        assert_eq!(got.header("webhook-signature").split(' ').count(), 1);
        assert!(signed_with(&second, &got) && !signed_with(&first, &got));
        // A third within a day: the first of them counts no more, at once.
        let third = tenant.admin.mutate(rotate, json!({ "id": id })).await["secret"].as_str().unwrap().to_owned();
        tenant.admin.mutate(rotate, json!({ "id": id })).await;
        act(&tenant.admin, "webhookPing", &id).await;
        drain(&app).await;
        let got = receiver.all().pop().unwrap();
        assert!(signed_with(&third, &got) && !signed_with(&second, &got));
    }

    async fn a_range_is_replayed(app: TestApp) {
        let (tenant, receiver) = (app.tenant("acme").await, Receiver::start().await);
        customer(&tenant.admin, "Before").await;
        let (id, _) = webhook(&tenant.admin, &receiver.url("/"), &["customer.created"]).await;
        for name in ["One", "Two", "Three"] {
            customer(&tenant.admin, name).await;
        }
        drain(&app).await;
        let mut sequences: Vec<i64> =
            receiver.got().iter().map(|got| got.json()["sequence"].as_i64().unwrap()).collect();
        sequences.sort_unstable();
        assert_eq!(sequences.len(), 3);
        let replay = async |from: i64, to: i64, all: bool| {
            let replayed = tenant.admin.mutate(REPLAY, json!({ "id": id, "from": from, "to": to, "all": all })).await;
            drain(&app).await;
            replayed["count"].as_i64().unwrap()
        };
        assert_eq!(replay(sequences[0], sequences[2], false).await, 0, "all were taken");
        assert_eq!(replay(sequences[1], sequences[2], true).await, 2);
        assert_eq!(receiver.got().len(), 5);
        assert_eq!(replay(1, sequences[0], false).await, 1, "the one from before the webhook");
        assert_eq!(receiver.got()[5].json()["data"]["name"], "Before");
        for (from, to, field) in [(0, 5, "fromSequence"), (5, 4, "toSequence"), (1, 1001, "toSequence")] {
            let refused = tenant.admin.refused(REPLAY, json!({ "id": id, "from": from, "to": to })).await;
            assert_eq!(refused, [("INVALID".to_owned(), vec![field.to_owned()])]);
        }
    }

    /// An event that no delivery can be made of: a trigger in the database refuses it.
    async fn a_poisoned_event_ends_as_a_dead_letter_and_blocks_nothing(app: TestApp) {
        let (tenant, receiver) = (app.tenant("acme").await, Receiver::start().await);
        webhook(&tenant.admin, &receiver.url("/"), &["customer.*"]).await;
        drain(&app).await;
        let raw = app.raw(tenant.id).await;
        let poison = match raw.get_database_backend() {
            sea_orm::DbBackend::Postgres => "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF NEW.event = 'customer.deleted' THEN RAISE EXCEPTION 'as it was told'; END IF; RETURN NEW; END $$;
                CREATE TRIGGER poison BEFORE INSERT ON webhook_delivery FOR EACH ROW EXECUTE FUNCTION poison()",
            _ => "CREATE TRIGGER poison BEFORE INSERT ON webhook_delivery WHEN NEW.event = 'customer.deleted'
                BEGIN SELECT RAISE(ABORT, 'as it was told'); END",
        };
        raw.execute_unprepared(poison).await.unwrap();
        let id = customer(&tenant.admin, "Before").await;
        delete_customer(&tenant.admin, &id).await;
        customer(&tenant.admin, "After").await;
        drain(&app).await;
        assert_eq!(receiver.got().len(), 1, "what came before it is sent");
        for _ in 0..6 {
            app.clock.advance(Duration::minutes(6));
            drain(&app).await;
        }
        let names: Vec<_> = receiver.got().iter().map(|got| got.json()["data"]["name"].clone()).collect();
        assert_eq!(names, ["Before", "After"]);
        let dead = Statement::from_string(raw.get_database_backend(), "SELECT name, reason, attempts FROM dead_event");
        let dead = raw.query_all_raw(dead).await.unwrap();
        let (name, reason): (String, String) = (dead[0].try_get_by_index(0).unwrap(), dead[0].try_get_by_index(1).unwrap());
        assert_eq!((dead.len(), name.as_str()), (1, "customer.deleted"));
        assert!(reason.contains("as it was told"), "{reason}");
        assert_eq!(app.app.worker().late_finds(), 0);
    }
}

/// The headers of a request as the verifier wants them.
fn standardwebhooks_headers(got: &crate::support::receiver::Got) -> reqwest::header::HeaderMap {
    let mut headers = reqwest::header::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, got.header(name).parse().unwrap());
    }
    headers
}

/// Whether one of the signatures is that of this secret, whatever the time.
fn signed_with(secret: &str, got: &crate::support::receiver::Got) -> bool {
    let verifier = standardwebhooks::Webhook::new(secret).unwrap();
    let timestamp = got.header("webhook-timestamp").parse().unwrap();
    let own = verifier.sign(got.header("webhook-id"), timestamp, &got.body).unwrap();
    got.header("webhook-signature").split(' ').any(|signature| signature == own)
}
