//! What a tenant may spend over time: points of cost, given back evenly, counted for each tenant.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::{Engine, TestApp};

/// A list of 20 with one field: 1 + 20 × (1 + 1).
const QUERY: &str = "{ customers { nodes { name } } }";
const COST: u64 = 41;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_that_has_spent_its_points_waits_and_no_other_does() {
    let app = TestApp::start_with(Engine::Sqlite, |config| {
        config.limits.complexity = 50;
        config.limits.tenant_points = 100;
        config.limits.tenant_points_per_second = 1;
    })
    .await;
    let (acme, other) = (app.tenant("acme").await, app.tenant("globex").await);

    let left = |body: &Value| body["extensions"]["cost"]["left"].as_u64().unwrap();
    let first = acme.admin.send(QUERY, json!({})).await;
    let cost = &first.body["extensions"]["cost"];
    assert_eq!((&cost["requested"], &cost["max"]), (&json!(COST), &json!(50)), "{:#}", first.body);
    // A colleague spends from the same budget, to which one point a second comes back.
    let second = acme.agent.send(QUERY, json!({})).await;
    assert!((100 - 2 * COST..COST).contains(&left(&second.body)), "{:#}", second.body);

    let third = acme.admin.send(QUERY, json!({})).await;
    assert_eq!(third.status, 429, "{:#}", third.body);
    assert_eq!(third.codes(), ["THROTTLED"]);
    assert_eq!(third.body.get("data"), None, "nothing was run");
    let wait = third.body["errors"][0]["extensions"]["retryAfter"].as_i64().unwrap();
    assert!((1..=23).contains(&wait), "41 are wanted and 18 were left: {:#}", third.body);
    assert_eq!(third.retry_after, Some(wait.to_string()));
    assert_eq!(other.admin.send(QUERY, json!({})).await.status, 200);

    // A refusal takes nothing.
    app.clock.advance(TimeDelta::seconds(wait));
    assert_eq!(acme.admin.send(QUERY, json!({})).await.status, 200);

    // The same budget behind server-sent events and sockets.
    let mut events = acme.admin.stream(QUERY).await;
    let told = tokio::time::timeout(Duration::from_secs(10), events.next()).await.unwrap().unwrap();
    assert_eq!(told["errors"][0]["extensions"]["code"], "THROTTLED", "{told:#}");
}
