//! The published verifiers accept what is sent, and nothing that was changed: `standardwebhooks` and `svix` for
//! JavaScript and Python, and `standardwebhooks` for Rust. They are pinned in `tests/tools`.

use std::process::Command;

use serde_json::{Value, json};

use super::{act, customer, drain, webhook, webhook_with};
use crate::support::{
    Engine, TestApp,
    receiver::{Got, Receiver},
};

const HEADERS: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];

/// Deliveries as they arrived, each with a secret that its receiver may have: of texts of many kinds, before, while and
/// after a secret was changed.
async fn delivered() -> Value {
    let app = TestApp::start_for(module_path!(), Engine::Sqlite).await;
    let (tenant, receiver) = (app.tenant("acme").await, Receiver::start().await);
    let (id, first) = webhook(&tenant.admin, &receiver.url("/"), &["*"]).await;
    let own = json!({ "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" });
    let (_, own) = webhook_with(&tenant.admin, &receiver.url("/own"), &["customer.*"], own).await;
    for name in ["Acme", "Größe & Söhne \"GmbH\"", "株式会社 🚀", "a\\b<c>", "\u{7ff}\u{ffff}"] {
        customer(&tenant.admin, name).await;
    }
    drain(&app).await;
    let delivery = |got: &Got, secret: &str| {
        let headers: serde_json::Map<String, Value> =
            HEADERS.into_iter().map(|name| (name.to_owned(), got.header(name).into())).collect();
        json!({ "secret": secret, "headers": headers, "body": String::from_utf8(got.body.clone()).unwrap() })
    };
    let all = receiver.all();
    assert!(all.len() > 10, "{}", all.len());
    let mut deliveries: Vec<Value> =
        all.iter().map(|got| delivery(got, if got.path == "/own" { &own } else { &first })).collect();
    let rotate = "mutation($id: ID!) { webhookRotateSecret(id: $id) { secret userErrors { code } } }";
    let second = tenant.admin.mutate(rotate, json!({ "id": id })).await["secret"].as_str().unwrap().to_owned();
    act(&tenant.admin, "webhookPing", &id).await;
    drain(&app).await;
    let both = receiver.all().pop().unwrap();
    deliveries.extend([delivery(&both, &first), delivery(&both, &second)]);
    deliveries.into()
}

/// Runs a program over a file of deliveries; answers how many verdicts it gave, all of which must be right.
async fn all_accepted(program: &std::path::Path, script: &str, deliveries: &Value) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deliveries.json");
    std::fs::write(&file, deliveries.to_string()).unwrap();
    let script = format!("{}/tests/tools/webhooks/{script}", env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(program);
    command.arg(script).arg(file);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let output = output.unwrap_or_else(|error| panic!("{} cannot be run: {error}", program.display()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let verdicts: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    for verdict in &verdicts {
        assert_eq!((&verdict["genuine"], &verdict["changed"]), (&json!(true), &json!(false)), "{verdict}");
    }
    verdicts.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_libraries_for_javascript_accept_every_delivery() {
    let deliveries = delivered().await;
    let count = all_accepted("node".as_ref(), "verify.mjs", &deliveries).await;
    assert_eq!(count, 2 * deliveries.as_array().unwrap().len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_libraries_for_python_accept_every_delivery() {
    let python = format!("{}/tests/tools/.venv/bin/python", env!("CARGO_MANIFEST_DIR"));
    assert!(
        std::path::Path::new(&python).exists(),
        "this test runs libraries from PyPI; install them once: python3 -m venv tests/tools/.venv && \
         tests/tools/.venv/bin/pip install -r tests/tools/webhooks/requirements.txt"
    );
    let deliveries = delivered().await;
    let count = all_accepted(python.as_ref(), "verify.py", &deliveries).await;
    assert_eq!(count, 2 * deliveries.as_array().unwrap().len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_library_for_rust_accepts_every_delivery() {
    for delivery in delivered().await.as_array().unwrap() {
        let verifier = standardwebhooks::Webhook::new(delivery["secret"].as_str().unwrap()).unwrap();
        let mut headers = reqwest::header::HeaderMap::new();
        for name in HEADERS {
            headers.insert(name, delivery["headers"][name].as_str().unwrap().parse().unwrap());
        }
        let body = delivery["body"].as_str().unwrap();
        verifier.verify(body.as_bytes(), &headers).unwrap();
        assert!(verifier.verify(format!("{body} ").as_bytes(), &headers).is_err());
    }
}
