//! What subscribers cost: the memory of many idle ones on one node, and how long one event takes to a thousand of them.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

use super::{Arguments, fleet::Fleet};

/// How many of them are told of an event while it is measured.
const TOLD: usize = 1000;
/// How many events are measured.
const EVENTS: usize = 20;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Measures on one node; answers whether everybody was told.
pub async fn run(arguments: &Arguments, count: usize) -> bool {
    let fleet = Fleet::start(&Arguments { nodes: 1, ..arguments.clone() }).await;
    create(&fleet, "the first").await;
    let process = fleet.process_id(0);
    let before = resident(process);
    let mut sockets = Vec::with_capacity(count);
    while sockets.len() < count {
        // All subscribe to something that does not happen, but for those that are told of it later.
        let types = if sockets.len() < TOLD { "[CUSTOMER]" } else { "[PRODUCT]" };
        sockets.push(subscribe(&fleet, types).await);
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let after = resident(process);
    println!(
        "{count} idle subscribers over WebSocket: {before} KiB before, {after} KiB with them: {:.1} KiB each",
        (after - before) as f64 / count as f64
    );
    let told = TOLD.min(count);
    let mut took = Vec::with_capacity(told * EVENTS);
    for event in 0..EVENTS {
        let (name, begin) = (format!("C{event}"), Instant::now());
        let hearing =
            sockets[..told].iter_mut().map(|socket| async move { next(socket).await.map(|_| begin.elapsed()) });
        let (heard, ()) = tokio::join!(futures_util::future::join_all(hearing), create(&fleet, &name));
        took.extend(heard.into_iter().flatten());
    }
    took.sort();
    let at = |percent: usize| took[took.len() * percent / 100 - 1];
    println!(
        "one event to {told} subscribers, {EVENTS} times: {} of {} told, from the order p50 {:.0?}, p95 {:.0?}, the last {:.0?}",
        took.len(),
        told * EVENTS,
        at(50),
        at(95),
        at(100)
    );
    let well = took.len() == told * EVENTS;
    drop(sockets);
    fleet.end().await;
    well
}

async fn create(fleet: &Fleet, name: &str) {
    let create = "mutation($name: String!) { customerCreate(input: { name: $name }) { userErrors { code } } }";
    let answer = fleet.ask(0, create, json!({ "name": name }), None).await.unwrap();
    assert_eq!(answer["data"]["customerCreate"]["userErrors"], json!([]), "{answer}");
}

async fn subscribe(fleet: &Fleet, types: &str) -> Socket {
    let mut request = fleet.url(0).unwrap().replace("http://", "ws://").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let token = format!("Bearer {}", fleet.token);
    say(&mut socket, json!({ "type": "connection_init", "payload": { "Authorization": token } })).await;
    next(&mut socket).await.unwrap();
    let query = format!("subscription {{ recordChanged(types: {types}) {{ event sequence recordId }} }}");
    say(&mut socket, json!({ "type": "subscribe", "id": "1", "payload": { "query": query } })).await;
    socket
}

async fn say(socket: &mut Socket, message: Value) {
    socket.send(Message::text(message.to_string())).await.unwrap();
}

/// The next message that is not a ping; nothing when none comes.
async fn next(socket: &mut Socket) -> Option<Value> {
    loop {
        match timeout(Duration::from_secs(30), socket.next()).await.ok()??.ok()? {
            Message::Text(text) => {
                let message: Value = serde_json::from_str(&text).unwrap();
                if message["type"] != "ping" {
                    return Some(message);
                }
            }
            Message::Close(_) => return None,
            _ => {}
        }
    }
}

/// The memory of a process that is in use, in KiB.
fn resident(process: u32) -> i64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
