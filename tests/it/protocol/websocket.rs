//! `graphql-transport-ws` over real sockets: the messages, the order they come in, and every way a socket ends.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rapport::http::{HttpSettings, WebSocketSettings};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{
        self, Message,
        client::IntoClientRequest,
        http::{HeaderMap, HeaderValue, Response},
    },
};

use super::toy::Server;

const PATIENCE: Duration = Duration::from_secs(10);

struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// Opens a socket with these headers.
async fn open(server: &Server, headers: &[(&'static str, &str)]) -> Result<(Socket, HeaderMap), tungstenite::Error> {
    let mut request = format!("ws://{}/graphql", server.address).into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, HeaderValue::from_str(value).unwrap());
    }
    let (stream, response): (_, Response<_>) = tokio_tungstenite::connect_async(request).await?;
    Ok((Socket { stream }, response.headers().clone()))
}

impl Socket {
    /// A socket before `connection_init`.
    async fn open(server: &Server) -> Self {
        open(server, &[("sec-websocket-protocol", "graphql-transport-ws")]).await.unwrap().0
    }

    /// A socket that may be used.
    async fn ready(server: &Server) -> Self {
        let mut socket = Self::open(server).await;
        socket.say(json!({ "type": "connection_init" })).await;
        socket.hears(json!({ "type": "connection_ack" })).await;
        socket
    }

    async fn say(&mut self, message: Value) {
        self.stream.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn subscribe(&mut self, id: &str, query: &str) {
        self.say(json!({ "type": "subscribe", "id": id, "payload": { "query": query } })).await;
    }

    async fn next(&mut self) -> Message {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.stream.next()).await.expect("a message comes in time");
            match next.expect("the socket is open").unwrap() {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return message,
            }
        }
    }

    async fn hear(&mut self) -> Value {
        match self.next().await {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("not a message of the protocol: {other:?}"),
        }
    }

    async fn hears(&mut self, message: Value) {
        assert_eq!(self.hear().await, message);
    }

    /// The `data` of a `next` message of this operation.
    async fn data(&mut self, id: &str) -> Value {
        let message = self.hear().await;
        assert_eq!((&message["type"], &message["id"]), (&json!("next"), &json!(id)), "{message}");
        message["payload"]["data"].clone()
    }

    async fn is_closed(&mut self, code: u16) -> String {
        match self.next().await {
            Message::Close(Some(frame)) => {
                assert_eq!(u16::from(frame.code), code, "{}", frame.reason);
                frame.reason.to_string()
            }
            other => panic!("not a close: {other:?}"),
        }
    }
}

fn with(websocket: WebSocketSettings) -> HttpSettings {
    HttpSettings { websocket, ..HttpSettings::default() }
}

#[tokio::test]
async fn a_subscription_runs_to_its_end() {
    let server = Server::start().await;
    let mut socket = Socket::ready(&server).await;
    socket.subscribe("a", "subscription { counter(to: 3) }").await;
    for number in 1..=3 {
        assert_eq!(socket.data("a").await, json!({ "counter": number }));
    }
    socket.hears(json!({ "type": "complete", "id": "a" })).await;
    socket.subscribe("a", "subscription($to: Int!) { counter(to: $to) }").await;
    assert_eq!(socket.hear().await["type"], "error", "the id is free again, and the variable is missing");
}

#[tokio::test]
async fn queries_and_mutations_run_too() {
    let server = Server::start().await;
    let mut socket = Socket::ready(&server).await;
    socket.subscribe("q", "{ hello forbidden }").await;
    let message = socket.hear().await;
    assert_eq!(message["payload"]["data"], json!({ "hello": "Hello, world!", "forbidden": null }));
    let error = &message["payload"]["errors"][0];
    assert_eq!(error["extensions"]["code"], "FORBIDDEN");
    assert!(error["extensions"]["requestId"].as_str().unwrap().ends_with("/1"));
    assert_eq!(message["payload"]["extensions"]["cost"]["requested"], 2);
    socket.hears(json!({ "type": "complete", "id": "q" })).await;

    let payload = json!({ "query": "mutation M($n: String!) { rename(name: $n) } query Q { hello }",
        "operationName": "M", "variables": { "n": "é\u{1F3C3}" } });
    socket.say(json!({ "type": "subscribe", "id": "m", "payload": payload })).await;
    assert_eq!(socket.data("m").await, json!({ "rename": "é\u{1F3C3}" }));
    socket.hears(json!({ "type": "complete", "id": "m" })).await;

    let payload =
        json!({ "query": "{ caller { idempotencyKey transport } }", "extensions": { "idempotencyKey": "k" } });
    socket.say(json!({ "type": "subscribe", "id": "c", "payload": payload })).await;
    assert_eq!(socket.data("c").await["caller"], json!({ "idempotencyKey": "k", "transport": "WebSocket" }));
}

#[tokio::test]
async fn an_operation_that_cannot_run_ends_with_its_errors() {
    let server = Server::start().await;
    let mut socket = Socket::ready(&server).await;
    for (query, code) in [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { counter(to: 1) again: counter(to: 2) }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { forbidden }", "FORBIDDEN"),
        (
            "{ customers(first: 100) { nodes { contacts(first: 100) { nodes { contacts { nodes { id } } } } } } }",
            "COMPLEXITY_EXCEEDED",
        ),
        ("{ ...A } fragment A on Query { ...A }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ panicking }", "INTERNAL_SERVER_ERROR"),
    ] {
        socket.subscribe("x", query).await;
        let message = socket.hear().await;
        assert_eq!((&message["type"], &message["id"]), (&json!("error"), &json!("x")), "{query}: {message}");
        let errors = message["payload"].as_array().expect("a list of errors");
        assert_eq!(errors[0]["extensions"]["code"], code, "{message}");
        assert!(errors[0]["extensions"]["requestId"].is_string());
    }
    // No complete follows an error, and the socket lives on.
    socket.say(json!({ "type": "ping" })).await;
    socket.hears(json!({ "type": "pong" })).await;
}

#[tokio::test]
async fn the_bounds_hold_on_a_socket() {
    let server = Server::start().await;
    let mut socket = Socket::ready(&server).await;
    for (query, code) in super::limits::over_the_bounds() {
        socket.subscribe("x", &query).await;
        let message = socket.hear().await;
        assert_eq!(message["payload"][0]["extensions"]["code"], code, "{query:.100}: {message}");
    }
}

#[tokio::test]
async fn a_stream_that_fails_midway_says_so() {
    let server = Server::start().await;
    let mut socket = Socket::ready(&server).await;
    socket.subscribe("f", "subscription { failing }").await;
    assert_eq!(socket.data("f").await, json!({ "failing": 1 }));
    let message = socket.hear().await;
    assert_eq!((&message["type"], &message["payload"]["data"]), (&json!("next"), &Value::Null));
    assert_eq!(message["payload"]["errors"][0]["extensions"]["code"], "RESYNC");

    let mut socket = Socket::ready(&server).await;
    socket.subscribe("p", "subscription { panicking }").await;
    assert_eq!(socket.data("p").await, json!({ "panicking": 1 }));
    let message = socket.hear().await;
    assert_eq!(message["type"], "error");
    assert_eq!(message["payload"][0]["extensions"]["code"], "INTERNAL_SERVER_ERROR");
    assert!(!message.to_string().contains("secret"));
    socket.subscribe("q", "{ hello }").await;
    assert_eq!(socket.data("q").await["hello"], "Hello, world!");
}

#[tokio::test]
async fn a_client_ends_what_it_began() {
    let server = Server::start().await;
    let mut open = server.toy.open.subscribe();
    let mut socket = Socket::ready(&server).await;
    for round in 0..3 {
        socket.subscribe("w", "subscription { waiting }").await;
        assert_eq!(socket.data("w").await, json!({ "waiting": 1 }), "round {round}");
        socket.say(json!({ "type": "complete", "id": "w" })).await;
        tokio::time::timeout(PATIENCE, open.wait_for(|count| *count == 0)).await.unwrap().unwrap();
    }
    socket.say(json!({ "type": "complete", "id": "never there" })).await;

    socket.subscribe("w", "subscription { waiting }").await;
    socket.data("w").await;
    drop(socket);
    tokio::time::timeout(PATIENCE, open.wait_for(|count| *count == 0)).await.expect("ends with the socket").unwrap();
}

#[tokio::test]
async fn pings_are_answered_at_any_time() {
    let server = Server::start().await;
    let mut socket = Socket::open(&server).await;
    socket.say(json!({ "type": "ping" })).await;
    socket.hears(json!({ "type": "pong" })).await;
    socket.say(json!({ "type": "ping", "payload": { "at": 1 } })).await;
    socket.hears(json!({ "type": "pong", "payload": { "at": 1 } })).await;
    socket.say(json!({ "type": "pong" })).await;
    socket.say(json!({ "type": "pong", "payload": {} })).await;
    socket.say(json!({ "type": "connection_init", "payload": {} })).await;
    socket.hears(json!({ "type": "connection_ack" })).await;
    socket.say(json!({ "type": "ping", "payload": null })).await;
    socket.hears(json!({ "type": "pong" })).await;
}

#[tokio::test]
async fn the_client_says_who_it_is() {
    let server = Server::start().await;
    let ask = async |headers: &[(&'static str, &str)], payload: Value| {
        let mut all = vec![("sec-websocket-protocol", "graphql-transport-ws")];
        all.extend_from_slice(headers);
        let mut socket = open(&server, &all).await.unwrap().0;
        socket.say(json!({ "type": "connection_init", "payload": payload })).await;
        socket.hears(json!({ "type": "connection_ack" })).await;
        socket.subscribe("c", "{ caller { name } }").await;
        socket.data("c").await["caller"]["name"].as_str().unwrap().to_owned()
    };
    assert_eq!(ask(&[], json!(null)).await, "nobody");
    assert_eq!(ask(&[], json!({ "authorization": "Bearer ada" })).await, "ada");
    assert_eq!(ask(&[], json!({ "Authorization": "bearer ada" })).await, "ada");
    assert_eq!(ask(&[], json!({ "token": "ada" })).await, "ada");
    assert_eq!(ask(&[("authorization", "Bearer grace")], json!({})).await, "grace");
    assert_eq!(ask(&[("authorization", "Bearer grace")], json!({ "token": "ada" })).await, "ada");

    for (payload, reason) in [
        (json!({ "token": "bad" }), "UNAUTHENTICATED: the token has ended"),
        (json!({ "token": "suspended" }), "TENANT_SUSPENDED"),
        (json!({ "token": "throttled" }), "THROTTLED"),
        (json!({ "token": 1 }), "UNAUTHENTICATED"),
        (json!({ "authorization": "Basic YTpi" }), "UNAUTHENTICATED"),
    ] {
        let mut socket = Socket::open(&server).await;
        socket.say(json!({ "type": "connection_init", "payload": payload })).await;
        assert!(socket.is_closed(4403).await.starts_with(reason));
    }
    let mut socket = Socket::open(&server).await;
    socket.say(json!({ "type": "connection_init", "payload": { "token": "broken" } })).await;
    assert!(!socket.is_closed(4500).await.contains("10.0.0.5"));
}

#[tokio::test]
async fn nothing_runs_before_the_acknowledgement() {
    let server = Server::start().await;
    let mut socket = Socket::open(&server).await;
    socket.subscribe("a", "{ hello }").await;
    socket.is_closed(4401).await;

    // Not even while the credentials are looked at.
    let mut socket = Socket::open(&server).await;
    socket.say(json!({ "type": "connection_init", "payload": { "token": "slow" } })).await;
    socket.say(json!({ "type": "ping" })).await;
    socket.hears(json!({ "type": "pong" })).await;
    socket.subscribe("a", "{ hello }").await;
    socket.is_closed(4401).await;
}

#[tokio::test]
async fn a_second_init_is_too_many() {
    let server = Server::start().await;
    let mut socket = Socket::ready(&server).await;
    socket.say(json!({ "type": "connection_init" })).await;
    socket.is_closed(4429).await;

    let mut socket = Socket::open(&server).await;
    socket.say(json!({ "type": "connection_init", "payload": { "token": "slow" } })).await;
    socket.say(json!({ "type": "connection_init" })).await;
    socket.is_closed(4429).await;
}

#[tokio::test]
async fn who_holds_too_many_sockets_gets_no_more() {
    let server = Server::start().await;
    let mut socket = Socket::open(&server).await;
    socket.say(json!({ "type": "connection_init", "payload": { "token": "everywhere" } })).await;
    let reason = socket.is_closed(4429).await;
    assert!(reason.starts_with("THROTTLED") && reason.contains("7 s"), "{reason}");
}

#[tokio::test]
async fn an_id_is_used_once_at_a_time() {
    let server = Server::start().await;
    let mut socket = Socket::ready(&server).await;
    socket.subscribe("a", "subscription { waiting }").await;
    socket.data("a").await;
    socket.subscribe("a", "{ hello }").await;
    assert_eq!(socket.is_closed(4409).await, "Subscriber for a already exists");
}

#[tokio::test]
async fn what_is_not_of_the_protocol_ends_the_socket() {
    let server = Server::start().await;
    let long = "x".repeat(129);
    for wrong in [
        "",
        "nonsense",
        "[]",
        "null",
        "\"ping\"",
        "{}",
        "{\"type\":1}",
        "{\"type\":\"start\"}",
        "{\"type\":\"next\",\"id\":\"a\"}",
        "{\"type\":\"connection_ack\"}",
        "{\"type\":\"connection_init\",\"payload\":1}",
        "{\"type\":\"ping\",\"payload\":[]}",
        "{\"type\":\"complete\"}",
        "{\"type\":\"complete\",\"id\":1}",
        "{\"type\":\"subscribe\",\"id\":\"a\"}",
        "{\"type\":\"subscribe\",\"id\":\"\",\"payload\":{\"query\":\"{hello}\"}}",
        "{\"type\":\"subscribe\",\"payload\":{\"query\":\"{hello}\"}}",
        "{\"type\":\"subscribe\",\"id\":\"a\",\"payload\":{}}",
        "{\"type\":\"subscribe\",\"id\":\"a\",\"payload\":[\"{hello}\"]}",
        "{\"type\":\"subscribe\",\"id\":\"a\",\"payload\":{\"query\":1}}",
        "{\"type\":\"subscribe\",\"id\":\"a\",\"payload\":{\"query\":\"{hello}\",\"variables\":[]}}",
        &format!("{{\"type\":\"subscribe\",\"id\":\"{long}\",\"payload\":{{\"query\":\"{{hello}}\"}}}}"),
    ] {
        let mut socket = Socket::ready(&server).await;
        socket.stream.send(Message::text(wrong)).await.unwrap();
        let reason = socket.is_closed(4400).await;
        assert!(reason.starts_with("Invalid message"), "{wrong}: {reason}");
    }
    let mut socket = Socket::ready(&server).await;
    socket.stream.send(Message::binary(b"{\"type\":\"ping\"}".to_vec())).await.unwrap();
    socket.is_closed(4400).await;
}

#[tokio::test]
async fn only_this_subprotocol_is_spoken() {
    let server = Server::start().await;
    let (mut socket, headers) =
        open(&server, &[("sec-websocket-protocol", "graphql-ws, graphql-transport-ws")]).await.unwrap();
    assert_eq!(headers["sec-websocket-protocol"], "graphql-transport-ws");
    socket.say(json!({ "type": "connection_init" })).await;
    socket.hears(json!({ "type": "connection_ack" })).await;
    let (mut socket, _) = open(&server, &[]).await.unwrap();
    socket.is_closed(4406).await;
    // A client that asked for another one only does not even accept the handshake.
    let refused = open(&server, &[("sec-websocket-protocol", "graphql-ws")]).await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn pages_of_other_origins_open_no_socket() {
    let origins = vec!["https://crm.example.com".to_owned()];
    let server = Server::with(HttpSettings { cors_origins: origins, ..HttpSettings::default() }).await;
    let from = async |origin: &str| {
        let protocol = ("sec-websocket-protocol", "graphql-transport-ws");
        open(&server, &[protocol, ("origin", origin)]).await.map(|_| ())
    };
    assert!(from(&format!("http://{}", server.address)).await.is_ok());
    assert!(from("https://crm.example.com").await.is_ok());
    for other in ["https://evil.example.com", "null", "http://localhost:1"] {
        match from(other).await {
            Err(tungstenite::Error::Http(response)) => assert_eq!(response.status(), 403),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_silent_client_does_not_stay() {
    let settings = WebSocketSettings {
        init_timeout: Duration::from_millis(100),
        keep_alive: Duration::from_millis(100),
        ..WebSocketSettings::default()
    };
    let server = Server::with(with(settings)).await;
    let mut socket = Socket::open(&server).await;
    socket.is_closed(4408).await;

    // Who answers pings stays: reading is what answers them.
    let mut socket = Socket::ready(&server).await;
    let stays = tokio::time::timeout(
        Duration::from_millis(600),
        socket.stream.by_ref().for_each(async |message| {
            assert!(message.unwrap().is_ping());
        }),
    )
    .await;
    assert!(stays.is_err(), "the socket is still open");

    let mut open = server.toy.open.subscribe();
    let mut socket = Socket::ready(&server).await;
    socket.subscribe("w", "subscription { waiting }").await;
    socket.data("w").await;
    let gone = tokio::time::timeout(PATIENCE, open.wait_for(|count| *count == 0)).await;
    assert!(gone.is_ok(), "a client that no longer answers is given up");
}

#[tokio::test]
async fn operations_and_messages_are_bounded() {
    let settings = WebSocketSettings { operations: 2, message_bytes: 10_000, ..WebSocketSettings::default() };
    let server = Server::with(with(settings)).await;
    let mut socket = Socket::ready(&server).await;
    for id in ["a", "b"] {
        socket.subscribe(id, "subscription { waiting }").await;
        socket.data(id).await;
    }
    socket.subscribe("c", "{ hello }").await;
    let message = socket.hear().await;
    assert_eq!((&message["type"], &message["id"]), (&json!("error"), &json!("c")));
    assert_eq!(message["payload"][0]["extensions"]["code"], "THROTTLED");
    socket.say(json!({ "type": "complete", "id": "a" })).await;
    socket.subscribe("c", "{ hello }").await;
    assert_eq!(socket.data("c").await["hello"], "Hello, world!");
    socket.hears(json!({ "type": "complete", "id": "c" })).await;

    socket.say(json!({ "type": "ping", "payload": { "x": "x".repeat(20_000) } })).await;
    socket.is_closed(1009).await;
}

#[tokio::test]
async fn a_slow_reader_is_given_up_and_holds_little() {
    let settings = WebSocketSettings { send_timeout: Duration::from_millis(300), ..WebSocketSettings::default() };
    let server = Server::with(with(settings)).await;
    let mut socket = Socket::ready(&server).await;
    socket.subscribe("f", "subscription { flood }").await;
    socket.data("f").await;
    // Does not read until the buffers of the connection are full and the server has lost patience.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let mut received = 0_usize;
    let drained = tokio::time::timeout(PATIENCE, async {
        while let Some(Ok(message)) = socket.stream.next().await {
            received += message.len();
        }
    });
    assert!(drained.await.is_ok(), "the connection has ended");
    assert!(received < 64 * 1024 * 1024, "no more than the connection's buffers: {received}");
}

#[tokio::test]
async fn a_revoked_session_loses_its_socket() {
    let server = Server::start().await;
    let mut socket = Socket::ready(&server).await;
    socket.subscribe("w", "subscription { waiting }").await;
    socket.data("w").await;
    server.toy.revoke.notify_waiters();
    assert_eq!(socket.is_closed(4403).await, "UNAUTHENTICATED: access was revoked");
    let mut open = server.toy.open.subscribe();
    tokio::time::timeout(PATIENCE, open.wait_for(|count| *count == 0)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stopping_server_takes_leave() {
    let mut server = Server::start().await;
    let mut waiting = Socket::open(&server).await;
    let mut socket = Socket::ready(&server).await;
    socket.subscribe("w", "subscription { waiting }").await;
    socket.data("w").await;
    server.lifecycle.stop();
    socket.is_closed(1001).await;
    waiting.is_closed(1001).await;
    drop((socket, waiting));
    let serving = server.serving.take().unwrap();
    tokio::time::timeout(PATIENCE, serving).await.expect("the server leaves").unwrap().unwrap();
}
