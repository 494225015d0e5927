//! Who listens: from the first event on, and from where it was cut off whenever a node dies.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::fleet::Fleet;

const SUBSCRIPTION: &str = "subscription($after: String) { recordChanged(after: $after) { event sequence } }";

/// A node that says nothing for so long is left for another. It says at least that it is there every 10 s or so.
const SILENCE: Duration = Duration::from_secs(30);

/// A subscriber and what it was told.
pub struct Subscriber {
    told: Arc<Mutex<Told>>,
    _task: AbortOnDropHandle<()>,
}

/// What it was told.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// The numbers of the events, as they came.
    pub sequences: Vec<i64>,
    /// How often it was cut off.
    pub resumed: usize,
    /// What it was told instead of events.
    pub errors: Vec<String>,
}

impl Subscriber {
    /// Starts listening.
    pub fn start(fleet: Arc<Fleet>) -> Self {
        let told = Arc::new(Mutex::new(Told::default()));
        let task = tokio::spawn({
            let told = told.clone();
            async move {
                for node in 0.. {
                    listen(&fleet, node, &told).await;
                    told.lock().unwrap().resumed += 1;
                    sleep(Duration::from_millis(20)).await;
                }
            }
        });
        Self { told, _task: AbortOnDropHandle::new(task) }
    }

    /// What it was told so far.
    pub fn told(&self) -> Told {
        self.told.lock().unwrap().clone()
    }
}

/// Listens to a node until it is cut off.
#[expect(clippy::disallowed_methods, reason = "it speaks to a server of its own, for longer than requests take")]
async fn listen(fleet: &Fleet, node: usize, told: &Mutex<Told>) {
    let Some(url) = fleet.url(node) else { return };
    let after = told.lock().unwrap().sequences.last().copied().unwrap_or(0);
    let request = reqwest::Client::new()
        .post(url)
        .bearer_auth(&fleet.token)
        .header("accept", "text/event-stream")
        .json(&json!({ "query": SUBSCRIPTION, "variables": { "after": after.to_string() } }));
    let Ok(Ok(mut response)) = timeout(SILENCE, request.send()).await else { return };
    let mut text = String::new();
    while let Ok(Ok(Some(chunk))) = timeout(SILENCE, response.chunk()).await {
        text.push_str(&String::from_utf8_lossy(&chunk));
        while let Some((message, rest)) = text.split_once("\n\n") {
            let data = message.lines().find_map(|line| line.strip_prefix("data:")).map(str::trim).unwrap_or_default();
            if let Ok(answer) = serde_json::from_str::<Value>(data) {
                let mut told = told.lock().unwrap();
                match answer["data"]["recordChanged"]["sequence"].as_str() {
                    Some(sequence) => told.sequences.push(sequence.parse().unwrap()),
                    None => told.errors.push(answer["errors"][0]["extensions"]["code"].to_string()),
                }
            }
            text = rest.to_owned();
        }
    }
}
