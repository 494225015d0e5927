//! Jobs through the API, for platform administrators; what `/health` says of the loops; what Prometheus is told.

use chrono::{DateTime, Duration};
use rapport::http::{Lifecycle, metrics};
use serde_json::{Value, json};

use crate::{on_both_engines, support::Session};

const RECURRING: &str = "{ recurringJobs {
    name description schedule timeZone nextAt misfirePolicy catchUp overlapPolicy paused version
    lastJob { id kind status isManual attempts maxAttempts summary { name count } }
} }";

fn change(name: &str, selection: &str) -> String {
    format!("mutation($name: String!) {{ {name}(name: $name) {{ {selection} userErrors {{ field code message }} }} }}")
}

#[expect(clippy::disallowed_methods, reason = "tests speak to the server that they started")]
async fn get(url: &str) -> (u16, String) {
    let response = reqwest::get(url).await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

async fn one(session: &Session, name: &str) -> Value {
    let all = session.data(RECURRING, json!({})).await;
    all["recurringJobs"].as_array().unwrap().iter().find(|job| job["name"] == name).unwrap().clone()
}

on_both_engines! {
    async fn platform_administrators_see_and_steer_jobs(app: TestApp) {
        app.app.jobs().declare().await.unwrap();
        let admin = app.platform_admin("root@platform.example").await;
        let name = json!({ "name": "ProcessEmailQueueJob" });
        let email = one(&admin, "ProcessEmailQueueJob").await;
        assert_eq!((&email["schedule"], &email["timeZone"], &email["paused"]), (&json!("*/2 * * * *"), &json!("UTC"), &json!(false)));
        assert_eq!((&email["misfirePolicy"], &email["overlapPolicy"], &email["lastJob"]), (&json!("COALESCE"), &json!("SKIP"), &Value::Null));
        let next: DateTime<chrono::Utc> = email["nextAt"].as_str().unwrap().parse().unwrap();
        assert!(next > app.clock.now() && next <= app.clock.now() + Duration::minutes(2));

        let made = admin.mutate(&change("cronRunNow", "job { id status isManual }"), name.clone()).await["job"].clone();
        assert_eq!((&made["status"], &made["isManual"]), (&json!("QUEUED"), &json!(true)));
        app.app.jobs().drain().await.unwrap();
        let last = one(&admin, "ProcessEmailQueueJob").await["lastJob"].clone();
        assert_eq!((&last["id"], &last["status"], &last["attempts"]), (&made["id"], &json!("SUCCEEDED"), &json!(1)));
        assert_eq!(last["summary"], json!([{ "name": "failing", "count": 0.0 }, { "name": "late", "count": 0.0 }, { "name": "tenants", "count": 0.0 }]));

        let paused = admin.mutate(&change("cronPause", "cron { paused version }"), name.clone()).await;
        assert_eq!(paused["cron"], json!({ "paused": true, "version": 2 }));
        let resumed = admin.mutate(&change("cronResume", "cron { paused version }"), name.clone()).await;
        assert_eq!(resumed["cron"], json!({ "paused": false, "version": 3 }));
        let update = "mutation($name: String!, $input: CronUpdateInput!, $version: Int) {
            cronUpdate(name: $name, input: $input, expectedVersion: $version) {
                cron { schedule timeZone version } userErrors { field code message }
            }
        }";
        let with = |input: Value, version: i32| json!({ "name": "ProcessEmailQueueJob", "input": input, "version": version });
        let refused = admin.refused(update, with(json!({ "schedule": "never" }), 3)).await;
        assert_eq!(refused, [("INVALID".to_owned(), vec!["input".to_owned(), "schedule".to_owned()])]);
        let stale = admin.refused(update, with(json!({ "schedule": "0 * * * *" }), 1)).await;
        assert_eq!(stale, [("STALE_VERSION".to_owned(), vec!["expectedVersion".to_owned()])]);
        let updated = admin.mutate(update, with(json!({ "schedule": "*/3 * * * *", "timeZone": "Asia/Kathmandu" }), 3)).await;
        assert_eq!(updated["cron"], json!({ "schedule": "*/3 * * * *", "timeZone": "Asia/Kathmandu", "version": 4 }));
        let unknown = admin.refused(&change("cronPause", "cron { name }"), json!({ "name": "Nothing" })).await;
        assert_eq!(unknown, [("NOT_FOUND".to_owned(), vec!["name".to_owned()])]);
        let retry = "mutation($id: ID!) { jobRetry(id: $id) { job { id } userErrors { field code message } } }";
        let refused = admin.refused(retry, json!({ "id": made["id"] })).await;
        assert_eq!(refused, [("INVALID_STATE".to_owned(), vec!["id".to_owned()])], "it is done");

        for _ in 0..4 {
            admin.mutate(&change("cronRunNow", "job { id }"), json!({ "name": "CleanupOldDataJob" })).await;
            app.app.jobs().drain().await.unwrap();
        }
        let list = "query($after: String) { jobs(first: 3, after: $after, status: [SUCCEEDED]) {
            nodes { id kind } pageInfo { hasNextPage hasPreviousPage endCursor }
        } }";
        let first = admin.data(list, json!({})).await["jobs"].clone();
        assert_eq!((first["nodes"].as_array().unwrap().len(), &first["pageInfo"]["hasNextPage"]), (3, &json!(true)));
        let rest = admin.data(list, json!({ "after": first["pageInfo"]["endCursor"] })).await["jobs"].clone();
        assert_eq!((rest["nodes"].as_array().unwrap().len(), &rest["pageInfo"]["hasNextPage"]), (2, &json!(false)));
        assert_eq!(rest["nodes"][1]["id"], made["id"], "the oldest comes last");
        let of = "{ jobs(cron: \"CleanupOldDataJob\", status: [DEAD]) { nodes { id } } }";
        assert_eq!(admin.data(of, json!({})).await["jobs"]["nodes"], json!([]));

        let told = admin.data("{ jobThroughput(hours: 2) { from succeeded dead skipped } workQueues { kind due leased failing oldestDueAt } }", json!({})).await;
        let hours = told["jobThroughput"].as_array().unwrap();
        let done: i64 = hours.iter().map(|hour| hour["succeeded"].as_i64().unwrap()).sum();
        assert_eq!((hours.len(), done), (2, 5));
        assert!(told["workQueues"].as_array().unwrap().iter().any(|queue| queue["kind"] == "EMAIL"));
        for wrong in ["{ jobs(first: 101) { nodes { id } } }", "{ jobs(after: \"x\") { nodes { id } } }", "{ jobThroughput(hours: 0) { dead } }"] {
            assert_eq!(admin.send(wrong, json!({})).await.codes(), ["BAD_USER_INPUT"]);
        }
    }

    async fn who_follows_a_job_hears_of_every_change_until_it_ends(app: TestApp) {
        app.app.jobs().declare().await.unwrap();
        let admin = app.platform_admin("root@platform.example").await;
        let made = admin.mutate(&change("cronRunNow", "job { id }"), json!({ "name": "CleanupOldDataJob" })).await;
        let id = made["job"]["id"].as_str().unwrap();
        let follow = format!("subscription {{ jobProgress(id: \"{id}\") {{ id status attempts }} }}");
        let mut stream = admin.stream(&follow).await;
        let told = stream.next().await.unwrap();
        assert_eq!(told["data"]["jobProgress"], json!({ "id": id, "status": "QUEUED", "attempts": 0 }));
        app.app.jobs().drain().await.unwrap();
        let mut last = Value::Null;
        while let Some(told) = stream.next().await {
            last = told;
        }
        assert_eq!(last["data"]["jobProgress"], json!({ "id": id, "status": "SUCCEEDED", "attempts": 1 }));
        // It has ended already: told once.
        let mut stream = admin.stream(&follow).await;
        assert_eq!(stream.next().await.unwrap()["data"]["jobProgress"]["status"], "SUCCEEDED");
        assert!(stream.next().await.is_none());

        let tenant = app.tenant("acme").await;
        let refused = tenant.admin.stream(&follow).await.next().await.unwrap();
        assert_eq!(refused["errors"][0]["extensions"]["code"], "FORBIDDEN");
        let never = rapport::data::ids::encode("job", uuid::Uuid::from_u128(7));
        let missing = admin.stream(&follow.replace(id, &never)).await.next().await.unwrap();
        assert_eq!(missing["errors"][0]["extensions"]["code"], "NOT_FOUND");
    }

    /// No role of a tenant can see jobs, nor can nobody.
    async fn nobody_else_sees_or_steers_jobs(app: TestApp) {
        app.app.jobs().declare().await.unwrap();
        let tenant = app.tenant("acme").await;
        for query in ["{ recurringJobs { name } }", "{ jobs { nodes { id } } }", "{ jobThroughput { dead } }", "{ workQueues { due } }"] {
            let answer = tenant.admin.send(query, json!({})).await;
            assert_eq!(answer.codes(), ["FORBIDDEN"], "{query}");
            assert_eq!(answer.body["errors"][0]["extensions"]["requiredPermission"], "jobs.read");
            assert_eq!(app.anonymous().send(query, json!({})).await.codes(), ["UNAUTHENTICATED"]);
        }
        for (name, selection) in [("cronPause", "cron { name }"), ("cronResume", "cron { name }"), ("cronRunNow", "job { id }")] {
            let answer = tenant.admin.send(&change(name, selection), json!({ "name": "ProcessEmailQueueJob" })).await;
            assert_eq!(answer.codes(), ["FORBIDDEN"], "{name}");
            assert_eq!(answer.body["errors"][0]["extensions"]["requiredPermission"], "jobs.run");
        }
        let grant = "mutation { roleCreate(input: { name: \"Jobs\", scope: ALL, permissions: [\"jobs.read\"] }) {
            role { id } userErrors { code }
        } }";
        let answer = tenant.admin.send(grant, json!({})).await;
        assert_ne!(answer.body["data"]["roleCreate"]["userErrors"], json!([]), "{}", answer.body);
    }

    async fn the_loops_are_a_part_of_health(app: TestApp) {
        let background = app.app.begin_background();
        let parts = async || -> Value { serde_json::from_str(&get(&app.url("/health")).await.1).unwrap() };
        let names = ["worker", "job_clock", "job_runner"];
        let of = |health: &Value, name: &str| {
            health["components"].as_array().unwrap().iter().find(|part| part["name"] == name).cloned()
        };
        let mut health = parts().await;
        for _ in 0..200 {
            if names.iter().all(|name| of(&health, name).is_some()) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            health = parts().await;
        }
        for name in names {
            let part = of(&health, name).unwrap();
            assert_eq!(part["status"], "up", "{part}");
            assert!(part["detail"].as_str().unwrap().starts_with("last success "), "{part}");
        }
        assert_eq!(get(&app.url("/health/ready")).await.0, 200);
        background.end(std::time::Duration::from_secs(10)).await;
        assert!(of(&parts().await, "job_clock").is_none(), "a node without loops has none to look at");
    }

    async fn prometheus_is_told_and_learns_no_names(app: TestApp) {
        let tenant = app.tenant("acme").await;
        app.app.jobs().declare().await.unwrap();
        app.app.jobs().run_now("CleanupOldDataJob").await.unwrap();
        app.app.jobs().drain().await.unwrap();
        app.app.worker().drain().await.unwrap();
        tenant.admin.data("query Mine { me { id } }", json!({})).await;
        tenant.admin.send("query Wrong { customer(id: \"nonsense\") { id } }", json!({})).await;
        let (listener, lifecycle) = (tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(), Lifecycle::new());
        let url = format!("http://{}/metrics", listener.local_addr().unwrap());
        let serving = tokio::spawn(metrics(listener, app.app.clone(), lifecycle.clone()));
        let (status, text) = get(&url).await;
        assert_eq!(status, 200);
        for figure in [
            "rapport_operations_total{operation=\"Mine\",outcome=\"ok\"} 1",
            "rapport_operation_seconds_bucket{le=\"0.001\",operation=\"Mine\"}",
            "rapport_job_runs_total{job=\"CleanupOldDataJob\",outcome=\"succeeded\"} 1",
            "rapport_work_runs_total{kind=\"SWEEP\",outcome=\"ok\"}",
            "rapport_work_due{kind=\"EMAIL\"}",
            "rapport_work_oldest_due_seconds{kind=\"EMAIL\"}",
            "rapport_outbox_lag_seconds{}",
            "rapport_tenant_connections_free{}",
            "rapport_subscribers{} 0.0",
            "rapport_late_finds{} 0.0",
        ] {
            assert!(text.contains(figure), "{figure} is missing in\n{text}");
        }
        assert!(!text.contains("acme") && !text.contains("user_") && !text.contains("tenant_0"), "{text}");
        // The API's own port says nothing of it.
        assert_eq!(get(&app.url("/metrics")).await.0, 404);
        lifecycle.stop();
        serving.await.unwrap();
    }
}
