//! GraphQL over server-sent events, in distinct connections.

use std::time::Duration;

use rapport::http::HttpSettings;
use reqwest::{
    Response,
    header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE},
};
use serde_json::{Value, json};

use super::toy::Server;

const PATIENCE: Duration = Duration::from_secs(10);

async fn stream(server: &Server, query: &str) -> Response {
    let request = server.client.post(server.url("/graphql")).header(ACCEPT, "text/event-stream");
    request.json(&json!({ "query": query })).send().await.unwrap()
}

/// The events of a stream that ends: their names and data.
async fn events(response: Response) -> Vec<(String, Value)> {
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream");
    let text = tokio::time::timeout(PATIENCE, response.text()).await.unwrap().unwrap();
    let blocks = text.split("\n\n").filter(|block| block.contains("event:"));
    let field = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim_start().to_owned()
    };
    let parse = |data: String| if data.is_empty() { Value::Null } else { serde_json::from_str(&data).unwrap() };
    blocks.map(|block| (field(block, "event:"), parse(field(block, "data:")))).collect()
}

#[tokio::test]
async fn a_subscription_is_a_stream_of_events() {
    let server = Server::start().await;
    let response = stream(&server, "subscription { counter(to: 2) }").await;
    assert_eq!(response.headers()[CACHE_CONTROL], "no-cache");
    let events = events(response).await;
    let numbers: Vec<&Value> = events.iter().map(|(_, data)| &data["data"]["counter"]).collect();
    assert_eq!(numbers, [&json!(1), &json!(2), &Value::Null]);
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["next", "next", "complete"]);
}

#[tokio::test]
async fn queries_mutations_and_errors_come_the_same_way() {
    let server = Server::start().await;
    for (query, pointer, expected) in [
        ("{ hello }", "/data/hello", json!("Hello, world!")),
        ("{ caller { transport } }", "/data/caller/transport", json!("EventStream")),
        ("mutation { rename(name: \"x\") }", "/data/rename", json!("x")),
        ("{", "/errors/0/extensions/code", json!("GRAPHQL_PARSE_FAILED")),
        ("{ nothing }", "/errors/0/extensions/code", json!("GRAPHQL_VALIDATION_FAILED")),
        ("subscription { forbidden }", "/errors/0/extensions/code", json!("FORBIDDEN")),
        ("{ ...A } fragment A on Query { ...A }", "/errors/0/extensions/code", json!("GRAPHQL_VALIDATION_FAILED")),
        ("{ panicking }", "/errors/0/extensions/code", json!("INTERNAL_SERVER_ERROR")),
    ] {
        let events = events(stream(&server, query).await).await;
        assert_eq!(events.len(), 2, "{query}: {events:?}");
        assert_eq!(events[0].1.pointer(pointer), Some(&expected), "{query}: {events:?}");
        assert_eq!(events[1].0, "complete");
    }
}

#[tokio::test]
async fn the_bounds_hold_for_streams() {
    let server = Server::start().await;
    for (query, code) in super::limits::over_the_bounds() {
        let events = events(stream(&server, &query).await).await;
        assert_eq!(events[0].1.pointer("/errors/0/extensions/code"), Some(&json!(code)), "{query:.100}: {events:?}");
    }
}

#[tokio::test]
async fn a_stream_can_be_had_by_get() {
    let server = Server::start().await;
    let get = async |query: &str| {
        let url = server.url(&format!("/graphql?query={query}"));
        server.client.get(url).header(ACCEPT, "text/event-stream").send().await.unwrap()
    };
    assert_eq!(events(get("subscription%7Bcounter(to:1)%7D").await).await.len(), 2);
    assert_eq!(get("mutation%7Brename(name:%22x%22)%7D").await.status(), 405);
}

#[tokio::test]
async fn who_takes_both_gets_events_as_a_stream_and_the_rest_at_once() {
    let server = Server::start().await;
    let accept = "application/graphql-response+json, application/json, text/event-stream";
    for (query, content_type) in [
        ("{ hello }", "application/graphql-response+json; charset=utf-8"),
        ("{ nothing }", "application/graphql-response+json; charset=utf-8"),
        ("subscription { counter(to: 1) }", "text/event-stream"),
    ] {
        let request = server.client.post(server.url("/graphql")).header(ACCEPT, accept);
        let response = request.json(&json!({ "query": query })).send().await.unwrap();
        assert_eq!(response.headers()[CONTENT_TYPE], content_type, "{query}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_request_is_refused_before_the_stream() {
    let server = Server::start().await;
    let request = || server.client.post(server.url("/graphql")).header(ACCEPT, "text/event-stream");
    let query = json!({ "query": "{ hello }" });
    for (request, status) in [
        (request().json(&json!({ "query": 1 })), 400),
        (request().json(&query).bearer_auth("bad"), 401),
        (request().json(&query).bearer_auth("throttled"), 429),
        (request().body("{}"), 415),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status);
        assert!(response.json::<Value>().await.unwrap()["errors"][0]["extensions"]["code"].is_string());
    }
}

#[tokio::test]
async fn who_holds_too_many_streams_gets_no_more() {
    let server = Server::start().await;
    let ask = async |query: &str| {
        let request = server.client.post(server.url("/graphql")).header(ACCEPT, "text/event-stream");
        request.bearer_auth("everywhere").json(&json!({ "query": query })).send().await.unwrap()
    };
    let response = ask("subscription { waiting }").await;
    assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (429, &"7".parse().unwrap()));
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["errors"][0]["extensions"]["code"], "THROTTLED");
    // What ends by itself is no connection that is kept.
    assert_eq!(ask("{ hello }").await.status(), 200);
}

#[tokio::test]
async fn an_idle_stream_is_kept_alive_and_ends_with_its_reader() {
    let settings = HttpSettings { sse_keep_alive: Duration::from_millis(50), ..HttpSettings::default() };
    let server = Server::with(settings).await;
    let mut open = server.toy.open.subscribe();
    let mut response = stream(&server, "subscription { waiting }").await;
    let mut text = String::new();
    while text.matches("\n:").count() < 2 {
        let chunk = tokio::time::timeout(PATIENCE, response.chunk()).await.unwrap().unwrap().unwrap();
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert!(text.starts_with("event: next\ndata: {"), "{text}");
    drop(response);
    tokio::time::timeout(PATIENCE, open.wait_for(|count| *count == 0)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stream_ends_when_access_is_revoked() {
    let server = Server::start().await;
    let response = stream(&server, "subscription { waiting }").await;
    let mut open = server.toy.open.subscribe();
    tokio::time::timeout(PATIENCE, open.wait_for(|count| *count == 1)).await.unwrap().unwrap();
    let events = tokio::spawn(events(response));
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.toy.revoke.notify_waiters();
    let events = events.await.unwrap();
    assert_eq!(events[1].1["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
    assert_eq!(events[2].0, "complete");
}

#[tokio::test]
async fn a_stream_ends_when_the_server_stops() {
    let mut server = Server::start().await;
    let response = stream(&server, "subscription { waiting }").await;
    let text = tokio::spawn(response.text());
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.lifecycle.stop();
    let text = tokio::time::timeout(PATIENCE, text).await.expect("the stream ends").unwrap().unwrap();
    assert!(text.contains("event: next") && !text.contains("event: complete"));
    tokio::time::timeout(PATIENCE, server.serving.take().unwrap()).await.unwrap().unwrap().unwrap();
}
