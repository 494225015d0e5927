//! What subscribers hear: of records in their scope, and of no other tenant, over both transports.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest, http::HeaderValue};

use super::{surface::Surface, world};
use crate::{
    on_both_engines,
    support::{Session, TestApp},
};

const SUBSCRIPTION: &str = "subscription { recordChanged { event recordId node { __typename id } } }";

/// After this long without an event, when all is done, nothing more comes.
const QUIET: Duration = Duration::from_millis(1500);

on_both_engines! {
    async fn subscribers_hear_what_they_may_see(app: TestApp) {
        let surface = Surface::read();
        let (tenant, other) = (app.tenant("acme").await, app.tenant("other").await);
        let listeners: Vec<(&str, &Session)> = vec![
            ("Admin", &tenant.admin), ("Manager", &tenant.manager), ("Agent", &tenant.agent),
            ("Viewer", &tenant.viewer), ("other", &other.admin),
        ];
        let finished = Arc::new(AtomicBool::new(false));
        let mut tasks = Vec::new();
        for (name, session) in &listeners {
            let mut stream = session.stream(SUBSCRIPTION).await;
            let done = Arc::clone(&finished);
            tasks.push((format!("{name} over SSE"), tokio::spawn(async move {
                let mut heard = Vec::new();
                loop {
                    match tokio::time::timeout(QUIET, stream.next()).await {
                        Ok(Some(event)) => heard.push(event),
                        Ok(None) => break,
                        Err(_) if done.load(Ordering::Relaxed) => break,
                        Err(_) => {}
                    }
                }
                heard
            })));
            let mut socket = socket(&app, session).await;
            let done = Arc::clone(&finished);
            tasks.push((format!("{name} over WebSocket"), tokio::spawn(async move {
                let mut heard = Vec::new();
                loop {
                    match tokio::time::timeout(QUIET, socket.next()).await {
                        Ok(Some(Ok(Message::Text(text)))) => {
                            let message: Value = serde_json::from_str(&text).unwrap();
                        assert_eq!(message["type"], "next", "{message}");
                        heard.push(message["payload"].clone());
                        }
                        Ok(Some(Ok(_))) => {}
                        Ok(_) => break,
                        Err(_) if done.load(Ordering::Relaxed) => break,
                        Err(_) => {}
                    }
                }
                heard
            })));
        }
        // A subscription begins a moment after its request.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let own = world::plant(&surface, &tenant.agent, &tenant.admin, "AGENT").await;
        let colleagues = world::plant(&surface, &tenant.colleague, &tenant.admin, "COLLEAGUE").await;
        let foreign = world::plant(&surface, &other.admin, &other.admin, "FOREIGN").await;
        finished.store(true, Ordering::Relaxed);
        let scoped = ["customer", "contact", "opportunity", "opportunity_line", "ticket", "ticket_comment"];
        for (name, task) in tasks {
            let heard = task.await.unwrap();
            for event in &heard {
                assert_eq!(event.get("errors"), None, "{name}: {event}");
            }
            let of = |id: &String| heard.iter().filter(|event| event["data"]["recordChanged"]["recordId"] == id.as_str()).count();
            let (mine, theirs) = if name.starts_with("other") { (&foreign, &own) } else { (&own, &foreign) };
            for record in scoped {
                assert!(of(&mine[record]) > 0, "{name} did not hear of {record}");
                assert_eq!(of(&theirs[record]), 0, "{name} heard of another tenant's {record}");
            }
            for (record, id) in &colleagues {
                let reference = ["user", "pipeline", "pipeline_stage", "product", "role", "audit_log", "api_key"].contains(&record.as_str());
                if name.starts_with("Agent") && !reference {
                    assert_eq!(of(id), 0, "{name} heard of a colleague's {record}");
                } else if !name.starts_with("other") && scoped.contains(&record.as_str()) {
                    assert!(of(id) > 0, "{name} did not hear of {record}");
                }
            }
            // Whatever is told can be read.
            let told = heard.iter().filter(|event| event["data"]["recordChanged"]["node"]["id"].is_string()).count();
            assert!(told * 10 >= heard.len() * 9, "{name}: {} of {} could be read", told, heard.len());
        }
    }

    async fn nobody_subscribes_without_logging_in(app: TestApp) {
        let mut stream = app.anonymous().stream(SUBSCRIPTION).await;
        let answer = stream.next().await.unwrap();
        assert_eq!(answer["errors"][0]["extensions"]["code"], json!("UNAUTHENTICATED"));
        assert_eq!(stream.next().await, None);
    }
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// A socket on which the subscription runs.
async fn socket(app: &TestApp, session: &Session) -> Socket {
    let mut request = app.url("/graphql").replace("http://", "ws://").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let authorization = format!("Bearer {}", session.token.as_deref().unwrap_or_default());
    let init = json!({ "type": "connection_init", "payload": { "Authorization": authorization } });
    socket.send(Message::text(init.to_string())).await.unwrap();
    let acknowledged = socket.next().await.unwrap().unwrap();
    assert!(acknowledged.to_text().unwrap().contains("connection_ack"), "{acknowledged}");
    let subscribe = json!({ "type": "subscribe", "id": "1", "payload": { "query": SUBSCRIPTION } });
    socket.send(Message::text(subscribe.to_string())).await.unwrap();
    socket
}
