//! Webhooks: managing them, what they send, to whom they may send, and what becomes of those that do not answer well.

mod delivery;
mod guard;
mod hostile;
mod manage;
mod running;
mod verifiers;

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{Session, TestApp};

/// Makes a webhook with these events, besides what `more` says; answers its id and its secret.
async fn webhook_with(session: &Session, url: &str, events: &[&str], more: Value) -> (String, String) {
    let create = "mutation($input: WebhookCreateInput!) { webhookCreate(input: $input) {
        webhook { id } secret userErrors { code field message } } }";
    let mut input = json!({ "name": "A receiver", "url": url, "events": events });
    input.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    let made = session.mutate(create, json!({ "input": input })).await;
    (made["webhook"]["id"].as_str().unwrap().to_owned(), made["secret"].as_str().unwrap().to_owned())
}

async fn webhook(session: &Session, url: &str, events: &[&str]) -> (String, String) {
    webhook_with(session, url, events, json!({})).await
}

/// Makes a customer; answers its id.
async fn customer(session: &Session, name: &str) -> String {
    let create = "mutation($name: String!) { customerCreate(input: { name: $name }) {
        customer { id } userErrors { code field } } }";
    session.mutate(create, json!({ "name": name })).await["customer"]["id"].as_str().unwrap().to_owned()
}

/// Runs one of the mutations that take an id and answer a webhook or a delivery.
async fn act(session: &Session, mutation: &str, id: &str) -> Value {
    let query = format!("mutation($id: ID!) {{ {mutation}(id: $id) {{ userErrors {{ code field }} }} }}");
    session.mutate(&query, json!({ "id": id })).await
}

/// A webhook as it is now.
async fn state(session: &Session, id: &str) -> Value {
    let query = "query($id: ID!) { webhook(id: $id) {
        name url events retrySchedule status disabledReason lastSuccessAt failingSince version createdBy { name } } }";
    session.data(query, json!({ "id": id })).await["webhook"].clone()
}

/// The deliveries of events, the oldest first, without pings.
async fn deliveries(session: &Session) -> Vec<Value> {
    let query = "{ webhookDeliveries(first: 100) { nodes { id event eventId sequence recordType recordId status
        attemptCount nextAttemptAt finishedAt lastStatusCode lastError webhook { id }
        attempts { nodes { number statusCode failure error durationMs responseHeaders responseBody responseTruncated } } } } }";
    let data = session.data(query, json!({})).await;
    let nodes = data["webhookDeliveries"]["nodes"].as_array().unwrap();
    let mut events: Vec<Value> = nodes.iter().filter(|node| node["event"] != "webhook.ping").cloned().collect();
    events.sort_by_key(|delivery| delivery["sequence"].as_str().unwrap().parse::<i64>().unwrap());
    events
}

async fn drain(app: &TestApp) {
    app.app.worker().drain().await.unwrap();
}

/// A worker that runs until it is told to stop.
struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start(app: &rapport::app::App) -> Self {
        let (stop, worker) = (CancellationToken::new(), app.worker().clone());
        let task = tokio::spawn({
            let stop = stop.clone();
            async move { worker.run(stop).await }
        });
        Self { stop, task }
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}
