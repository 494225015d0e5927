//! Webhooks while the worker runs: how fast they leave, and what becomes of them when a node stops or dies.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Running, customer, deliveries, webhook};
use crate::{
    on_both_engines,
    support::receiver::{Receiver, Reply},
};

on_both_engines! {
    async fn an_event_leaves_at_once(app: TestApp) {
        let (tenant, receiver) = (app.tenant("acme").await, Receiver::start().await);
        webhook(&tenant.admin, &receiver.url("/"), &["customer.created"]).await;
        let running = Running::start(&app.app);
        receiver.wait_until(|_| true, 1).await;
        let mut took = Vec::new();
        for index in 1..=100 {
            customer(&tenant.admin, "Acme").await;
            let answered = Instant::now();
            let got = receiver.wait_for(index).await;
            took.push(got[index - 1].at.saturating_duration_since(answered));
        }
        took.sort_unstable();
        eprintln!("from answer to arrival: p50 {:?}, p99 {:?}, most {:?}", took[50], took[98], took[99]);
        assert!(took[98] < Duration::from_millis(1000), "{:?}", &took[90..]);
        running.end().await;
        assert_eq!(app.app.worker().late_finds(), 0);
    }

    /// In the order of the events, each once, with several on their way at the same time.
    async fn many_events_arrive_each_once(app: TestApp) {
        let (tenant, receiver) = (app.tenant("acme").await, Receiver::start().await);
        webhook(&tenant.admin, &receiver.url("/"), &["customer.created"]).await;
        let running = Running::start(&app.app);
        receiver.wait_until(|_| true, 1).await;
        let upsert = "mutation($inputs: [CustomerUpsertInput!]!) { customerBulkUpsert(inputs: $inputs, errorPolicy: REJECT_ALL) {
            results { customer { id } userErrors { code } } } }";
        for page in 0..4 {
            let inputs: Vec<_> = (0..100).map(|index| json!({ "input": { "name": format!("Customer {page} {index}") } })).collect();
            tenant.admin.data(upsert, json!({ "inputs": inputs })).await;
        }
        let begin = Instant::now();
        receiver.wait_for(400).await;
        eprintln!("400 deliveries to one receiver after {:?}", begin.elapsed());
        running.end().await;
        let mut ids: Vec<_> = receiver.got().iter().map(|got| got.header("webhook-id").to_owned()).collect();
        let sequences: Vec<_> = receiver.got().iter().map(|got| got.json()["sequence"].as_i64().unwrap()).collect();
        let out_of_place = sequences.iter().enumerate().filter(|(place, sequence)| {
            let in_order = sequences.iter().filter(|other| other < sequence).count();
            in_order.abs_diff(*place) > 8
        });
        assert_eq!(out_of_place.count(), 0, "with four on their way, none is far from its place");
        ids.sort_unstable();
        ids.dedup();
        assert_eq!((ids.len(), receiver.got().len()), (400, 400));
    }

    async fn a_node_that_stops_finishes_what_is_on_its_way(app: TestApp) {
        let (tenant, receiver) = (app.tenant("acme").await, Receiver::start().await);
        webhook(&tenant.admin, &receiver.url("/"), &["customer.created"]).await;
        let running = Running::start(&app.app);
        receiver.wait_until(|_| true, 1).await;
        receiver.answer(|_| Reply::After(Duration::from_millis(600)));
        customer(&tenant.admin, "Acme").await;
        receiver.wait_for(1).await;
        running.end().await;
        let delivery = &deliveries(&tenant.admin).await[0];
        assert_eq!((&delivery["status"], &delivery["attemptCount"]), (&json!("SUCCEEDED"), &json!(1)));
    }

    /// A node is cut off with a request on its way: another one sends it again, with the same id and the same bytes.
    async fn a_node_that_dies_is_followed_by_another(app: TestApp) {
        let (tenant, receiver) = (app.tenant("acme").await, Receiver::start().await);
        webhook(&tenant.admin, &receiver.url("/"), &["customer.created"]).await;
        let running = Running::start(&app.app);
        receiver.wait_until(|_| true, 1).await;
        receiver.answer(|_| Reply::Hang);
        customer(&tenant.admin, "Acme").await;
        receiver.wait_for(1).await;
        running.task.abort();
        let _ = running.task.await;
        receiver.answer(|_| Reply::Status(200));
        let other = app.node().await;
        // The lease ends, and the attempt counts as cut off.
        app.clock.advance(chrono::Duration::seconds(31));
        other.app.worker().drain().await.unwrap();
        let got = receiver.got();
        assert_eq!(got.len(), 2);
        assert_eq!((got[0].header("webhook-id"), &got[0].body), (got[1].header("webhook-id"), &got[1].body));
        let delivery = &deliveries(&tenant.admin).await[0];
        assert_eq!((&delivery["status"], &delivery["attemptCount"]), (&json!("SUCCEEDED"), &json!(2)));
        assert_eq!(other.app.worker().late_finds(), 0);
    }
}
