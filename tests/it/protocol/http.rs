//! GraphQL over HTTP: what is accepted, what is refused, and how each is answered.

use std::time::Duration;

use rapport::http::HttpSettings;
use reqwest::{
    Method, Response, StatusCode,
    header::{ACCEPT, ALLOW, CONTENT_TYPE, RETRY_AFTER, VARY, WWW_AUTHENTICATE},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::toy::Server;

const JSON: &str = "application/json; charset=utf-8";
const GRAPHQL: &str = "application/graphql-response+json; charset=utf-8";

fn header(response: &Response, name: impl reqwest::header::AsHeaderName) -> &str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// Reads an answer that must be a refusal before GraphQL.
async fn refused(response: Response, status: u16) -> Value {
    assert_eq!(response.status(), status);
    assert_eq!(header(&response, CONTENT_TYPE), JSON);
    let request_id = header(&response, "x-request-id").to_owned();
    let body: Value = response.json().await.unwrap();
    let errors = body["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{body}");
    assert!(body.get("data").is_none());
    assert_eq!(errors[0]["extensions"]["requestId"], json!(request_id));
    assert!(!errors[0]["message"].as_str().unwrap().is_empty());
    errors[0].clone()
}

fn code(error: &Value) -> &str {
    error["extensions"]["code"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_query_is_answered_in_the_form_that_is_accepted() {
    let server = Server::start().await;
    for (accept, content_type) in [
        (None, JSON),
        (Some("*/*"), JSON),
        (Some("application/json"), JSON),
        (Some("application/graphql-response+json"), GRAPHQL),
        (Some("application/graphql-response+json, application/json;q=0.9"), GRAPHQL),
        (Some("application/graphql-response+json;q=0.5, application/json"), JSON),
    ] {
        let mut request = server.client.post(server.url("/graphql")).json(&json!({ "query": "{ hello }" }));
        if let Some(accept) = accept {
            request = request.header(ACCEPT, accept);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, CONTENT_TYPE), content_type, "{accept:?}");
        assert!(header(&response, VARY).contains("accept"));
        assert_eq!(response.json::<Value>().await.unwrap()["data"], json!({ "hello": "Hello, world!" }));
    }
}

#[tokio::test]
async fn the_status_says_whether_the_operation_ran_only_where_it_should() {
    let server = Server::start().await;
    for (body, status, error_code) in [
        (json!({ "query": "{" }), 400, "GRAPHQL_PARSE_FAILED"),
        (json!({ "query": "" }), 400, "GRAPHQL_PARSE_FAILED"),
        (json!({ "query": "{ hello \u{0} }" }), 400, "GRAPHQL_PARSE_FAILED"),
        (json!({ "query": "{ nothing }" }), 400, "GRAPHQL_VALIDATION_FAILED"),
        (json!({ "query": "{ hello { a } }" }), 400, "GRAPHQL_VALIDATION_FAILED"),
        (json!({ "query": "query($a: Int) { hello }" }), 400, "GRAPHQL_VALIDATION_FAILED"),
        (json!({ "query": "{ ...F }" }), 400, "GRAPHQL_VALIDATION_FAILED"),
        (json!({ "query": "query A { hello } query A { hello }" }), 400, "GRAPHQL_VALIDATION_FAILED"),
        (json!({ "query": "query A { hello } query B { hello }" }), 400, "BAD_USER_INPUT"),
        (json!({ "query": "query A { hello }", "operationName": "B" }), 400, "BAD_USER_INPUT"),
        (json!({ "query": "query($n: String!) { hello(name: $n) }" }), 400, "BAD_USER_INPUT"),
        (json!({ "query": "query($n: String!) { hello(name: $n) }", "variables": { "n": 1 } }), 400, "BAD_USER_INPUT"),
        (json!({ "query": "{ hello(name: 1) }" }), 400, "BAD_USER_INPUT"),
        (json!({ "query": "subscription { counter(to: 1) }" }), 400, "GRAPHQL_VALIDATION_FAILED"),
        (json!({ "query": format!("{{ {} hello }}", "...{".repeat(40)) }), 400, "DEPTH_EXCEEDED"),
        (json!({ "query": "{ panicking }" }), 500, "INTERNAL_SERVER_ERROR"),
    ] {
        for (accept, expected) in [("application/json", 200), ("application/graphql-response+json", status)] {
            let request = server.client.post(server.url("/graphql")).header(ACCEPT, accept).json(&body);
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), expected, "{accept} {body}");
            let answer: Value = response.json().await.unwrap();
            assert!(answer.get("data").is_none(), "{answer}");
            assert_eq!(code(&answer["errors"][0]), error_code, "{answer}");
            assert!(answer["errors"][0]["extensions"]["requestId"].is_string());
        }
    }
}

#[tokio::test]
async fn errors_of_fields_leave_the_rest_standing() {
    let server = Server::start().await;
    let ask = async |query: &str| {
        let request = server.client.post(server.url("/graphql")).header(ACCEPT, "application/graphql-response+json");
        let response = request.json(&json!({ "query": query })).send().await.unwrap();
        assert_eq!(response.status(), 200, "{query}");
        response.json::<Value>().await.unwrap()
    };
    let answer = ask("{ forbidden hello }").await;
    assert_eq!(answer["data"], json!({ "forbidden": null, "hello": "Hello, world!" }));
    assert_eq!(answer["errors"][0]["path"], json!(["forbidden"]));
    assert_eq!(code(&answer["errors"][0]), "FORBIDDEN");

    let answer = ask("{ forbidden forbidden hello }").await;
    assert_eq!(answer["errors"].as_array().unwrap().len(), 1, "told once: {answer}");

    let answer = ask("{ required }").await;
    assert_eq!(answer["data"], Value::Null);
    assert_eq!(code(&answer["errors"][0]), "NOT_FOUND");

    let answer = ask("{ leaking }").await;
    assert_eq!(code(&answer["errors"][0]), "INTERNAL_SERVER_ERROR");
    assert!(!answer.to_string().contains("secrets"));

    let answer = ask("{ even(number: 3) }").await;
    assert_eq!(code(&answer["errors"][0]), "BAD_USER_INPUT", "{answer}");
}

#[tokio::test]
async fn what_is_not_a_request_is_refused_under_every_form() {
    let server = Server::start().await;
    let bodies: [(&[u8], u16); 16] = [
        (b"", 400),
        (b"{", 400),
        (b"null", 400),
        (b"[]", 400),
        (br#"[{"query":"{hello}"}]"#, 400),
        (br#"["{hello}",null,null,null]"#, 400),
        (br#""{hello}""#, 400),
        (b"{}", 400),
        (br#"{"query":null}"#, 400),
        (br#"{"query":1}"#, 400),
        (br#"{"query":"{hello}","operationName":1}"#, 400),
        (br#"{"query":"{hello}","variables":[]}"#, 400),
        (br#"{"query":"{hello}","variables":"{}"}"#, 400),
        (br#"{"query":"{hello}","extensions":1}"#, 400),
        (b"{\"query\":\"{hello \xff}\"}", 400),
        (b"\xff\xfe{\0\"\0q\0", 400),
    ];
    for (body, status) in bodies {
        for accept in ["*/*", "application/json"] {
            let request = server.client.post(server.url("/graphql")).header(CONTENT_TYPE, "application/json");
            let response = request.header(ACCEPT, accept).body(body.to_vec()).send().await.unwrap();
            assert_eq!(code(&refused(response, status).await), "BAD_USER_INPUT", "{}", String::from_utf8_lossy(body));
        }
    }
    let deep = format!(r#"{{"query":"{{hello}}","variables":{{"a":{}{}}}}}"#, "[".repeat(500), "]".repeat(500));
    let request = server.client.post(server.url("/graphql")).header(CONTENT_TYPE, "application/json");
    refused(request.body(deep).send().await.unwrap(), 400).await;

    let request = server.client.post(server.url("/graphql")).header(CONTENT_TYPE, "application/json");
    let response = request.header(ACCEPT, "application/graphql-response+json").body("[]").send().await.unwrap();
    assert_eq!(response.status(), 400);
    assert_eq!(header(&response, CONTENT_TYPE), GRAPHQL);
}

#[tokio::test]
async fn only_json_in_utf_8_is_taken() {
    let server = Server::start().await;
    let send = async |content_type: Option<&str>, encoding: Option<&str>| {
        let mut request = server.client.post(server.url("/graphql")).body(r#"{"query":"{hello}"}"#);
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        if let Some(encoding) = encoding {
            request = request.header("content-encoding", encoding);
        }
        request.send().await.unwrap()
    };
    for right in ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=\"UTF-8\""] {
        assert_eq!(send(Some(right), None).await.status(), 200, "{right}");
    }
    for wrong in [
        None,
        Some("text/plain"),
        Some("text/plain; application/json"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
        Some("application/graphql"),
        Some("application/json; charset=utf-16"),
        Some("application/jsonp"),
    ] {
        refused(send(wrong, None).await, 415).await;
    }
    refused(send(Some("application/json"), Some("gzip")).await, 415).await;
}

#[tokio::test]
async fn an_unacceptable_form_is_406() {
    let server = Server::start().await;
    for accept in ["text/plain", "image/*", "application/json;q=0", "application/json; charset=latin1"] {
        let request = server.client.post(server.url("/graphql")).header(ACCEPT, accept);
        refused(request.json(&json!({ "query": "{ hello }" })).send().await.unwrap(), 406).await;
    }
}

#[tokio::test]
async fn get_reads_and_never_writes() {
    let server = Server::start().await;
    let get = async |parameters: &str| server.client.get(server.url(&format!("/graphql?{parameters}"))).send().await;
    let response = get("query=%7Bhello%7D").await.unwrap();
    assert_eq!((response.status(), header(&response, CONTENT_TYPE)), (StatusCode::OK, JSON));
    let variables =
        "query=query+A($n:String!)%7Bhello(name:$n)%7D&variables=%7B%22n%22:%22%C3%A9%22%7D&operationName=A";
    assert_eq!(get(variables).await.unwrap().json::<Value>().await.unwrap()["data"]["hello"], "Hello, é!");
    for wrong in [
        "",
        "query",
        "x=y&variables=%7B%7D",
        "query=%7Bhello%7D&query=%7Bhello%7D",
        "query=%ff",
        "query=%7Bhello%7D&variables=%5B%5D",
    ] {
        let response = get(wrong).await.unwrap();
        if wrong == "query" {
            assert_eq!(response.status(), 200, "an empty document is a request");
        } else {
            refused(response, 400).await;
        }
    }
    let response = get("query=mutation%7Brename(name:%22x%22)%7D").await.unwrap();
    assert_eq!(header(&response, ALLOW), "POST");
    refused(response, 405).await;
    let response = get("query=query+A%7Bhello%7Dmutation+B%7Brename(name:%22x%22)%7D&operationName=A").await.unwrap();
    assert_eq!(response.status(), 200, "a query beside a mutation");
}

#[tokio::test]
async fn other_methods_are_told_which_are_allowed() {
    let server = Server::start().await;
    for method in [Method::PUT, Method::DELETE, Method::PATCH] {
        let response = server.client.request(method, server.url("/graphql")).send().await.unwrap();
        assert!(header(&response, ALLOW).contains("POST"));
        refused(response, 405).await;
    }
    refused(server.client.get(server.url("/nothing")).send().await.unwrap(), 404).await;
    refused(server.client.post(server.url("/health")).send().await.unwrap(), 405).await;
}

#[tokio::test]
async fn a_large_body_is_refused_with_a_reason() {
    let server = Server::start().await;
    let query = format!("{{ hello(name: \"{}\") }}", "x".repeat(1024 * 1024));
    for size in [1024 * 1024, 10 * 1024 * 1024] {
        let response = server.post(json!({ "query": "{ hello }", "variables": { "x": "x".repeat(size) } })).await;
        assert!(refused(response, 413).await["message"].as_str().unwrap().contains("1048576"));
    }
    refused(server.post(json!({ "query": query })).await, 413).await;

    // Announced as a gigabyte, and asking first: told at once.
    for expect in ["", "expect: 100-continue\r\n"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
        stream.write_all(format!("{head}{expect}content-length: 1000000000\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, b"HTTP/1.1 413");
    }
    // In chunks, without a length.
    let chunks = futures_util::stream::iter((0..30).map(|_| Ok::<_, std::io::Error>(vec![b' '; 100_000])));
    let request = server.client.post(server.url("/graphql")).header(CONTENT_TYPE, "application/json");
    refused(request.body(reqwest::Body::wrap_stream(chunks)).send().await.unwrap(), 413).await;
}

#[tokio::test]
async fn slow_callers_and_slow_fields_meet_a_deadline() {
    let settings = HttpSettings {
        deadline: Duration::from_millis(150),
        body_timeout: Duration::from_millis(150),
        header_timeout: Duration::from_millis(150),
        ..HttpSettings::default()
    };
    let server = Server::with(settings).await;
    let answer = server.ask("{ slow(milliseconds: 5000) }").await;
    assert_eq!(code(&answer["errors"][0]), "TIMEOUT");
    let request = server.client.post(server.url("/graphql")).header(ACCEPT, "application/graphql-response+json");
    let response = request.json(&json!({ "query": "{ slow(milliseconds: 5000) }" })).send().await.unwrap();
    assert_eq!(response.status(), 503);
    let response =
        server.client.post(server.url("/graphql")).bearer_auth("slow").json(&json!({ "query": "{ hello }" }));
    refused(response.send().await.unwrap(), 503).await;

    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 30\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 408");

    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"POST /graphql HTTP/1.1\r\nhost").await.unwrap();
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
    assert!(read.is_ok(), "headers that never end keep no connection");
}

#[tokio::test]
async fn credentials_decide_before_the_operation() {
    let server = Server::start().await;
    let with = async |authorization: &str| {
        let request = server.client.post(server.url("/graphql")).header("authorization", authorization);
        request.json(&json!({ "query": "{ caller { name } }" })).send().await.unwrap()
    };
    for right in ["Bearer ada", "bearer ada", "BEARER  ada "] {
        assert_eq!(with(right).await.json::<Value>().await.unwrap()["data"]["caller"]["name"], "ada");
    }
    assert_eq!(server.ask("{ caller { name } }").await["data"]["caller"]["name"], "nobody");
    for wrong in ["Basic YTpi", "Bearer", "Bearer ", "Bearer a b", "ada", "Bearer bad"] {
        let response = with(wrong).await;
        assert!(header(&response, WWW_AUTHENTICATE).starts_with("Bearer"));
        assert_eq!(code(&refused(response, 401).await), "UNAUTHENTICATED", "{wrong}");
    }
    let response = with("Bearer throttled").await;
    assert_eq!(header(&response, RETRY_AFTER), "7");
    assert_eq!(code(&refused(response, 429).await), "THROTTLED");
    assert_eq!(code(&refused(with("Bearer suspended").await, 403).await), "TENANT_SUSPENDED");
    assert_eq!(code(&refused(with("Bearer migrating").await, 503).await), "TENANT_MIGRATING");
    let error = refused(with("Bearer broken").await, 500).await;
    assert_eq!((code(&error), error["message"].as_str()), ("INTERNAL_SERVER_ERROR", Some("internal error")));
}

#[tokio::test]
async fn a_panic_tells_nothing_and_breaks_nothing() {
    let server = Server::start().await;
    let answer = server.ask("{ hello panicking }").await;
    assert_eq!(code(&answer["errors"][0]), "INTERNAL_SERVER_ERROR");
    assert!(!answer.to_string().contains("bounds"));
    assert_eq!(server.ask("{ hello }").await["data"]["hello"], "Hello, world!");
}

#[tokio::test]
async fn a_request_has_an_id() {
    let server = Server::start().await;
    let send = async |id: &str| {
        let request = server.client.post(server.url("/graphql")).header("x-request-id", id);
        header(&request.json(&json!({ "query": "{ nothing }" })).send().await.unwrap(), "x-request-id").to_owned()
    };
    assert_eq!(send("my-id:1/2_3.4").await, "my-id:1/2_3.4");
    for insane in ["", "a b", "<script>", "x\"y", &"x".repeat(129)] {
        let id = send(insane).await;
        assert!(id.len() == 32 && id != insane, "{id}");
    }
    assert_ne!(send("").await, send("").await);
}

#[tokio::test]
async fn resolvers_learn_about_the_request() {
    let server = Server::with(HttpSettings { trusted_proxies: 1, ..HttpSettings::default() }).await;
    let ask = async |headers: &[(&str, &str)], extensions: Value| {
        let mut request = server.client.post(server.url("/graphql"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let query = "{ caller { address idempotencyKey transport } }";
        let response = request.json(&json!({ "query": query, "extensions": extensions })).send().await.unwrap();
        response.json::<Value>().await.unwrap()["data"]["caller"].clone()
    };
    let plain = ask(&[], Value::Null).await;
    assert_eq!(plain, json!({ "address": "127.0.0.1", "idempotencyKey": null, "transport": "Http" }));
    let forwarded = ask(&[("x-forwarded-for", "6.6.6.6, 10.1.2.3"), ("idempotency-key", "k-1")], Value::Null).await;
    assert_eq!(forwarded, json!({ "address": "10.1.2.3", "idempotencyKey": "k-1", "transport": "Http" }));
    let extension = ask(&[("x-forwarded-for", "nonsense")], json!({ "idempotencyKey": "k-2" })).await;
    assert_eq!(extension, json!({ "address": "127.0.0.1", "idempotencyKey": "k-2", "transport": "Http" }));
    for insane in ["", "two words", &"k".repeat(256)] {
        let request = server.client.post(server.url("/graphql")).header("idempotency-key", insane);
        refused(request.json(&json!({ "query": "{ hello }" })).send().await.unwrap(), 400).await;
    }
}

#[tokio::test]
async fn other_origins_are_let_in_by_name() {
    let preflight = async |server: &Server, origin: &str| {
        let request = server.client.request(Method::OPTIONS, server.url("/graphql")).header("origin", origin);
        request.header("access-control-request-method", "POST").send().await.unwrap()
    };
    let closed = Server::start().await;
    let response = preflight(&closed, "https://crm.example.com").await;
    assert!(!response.headers().keys().any(|name| name.as_str().starts_with("access-control")));

    let origins = vec!["https://crm.example.com".to_owned()];
    let open = Server::with(HttpSettings { cors_origins: origins, ..HttpSettings::default() }).await;
    let response = preflight(&open, "https://crm.example.com").await;
    assert_eq!(response.status(), 204);
    assert_eq!(header(&response, "access-control-allow-origin"), "https://crm.example.com");
    assert!(header(&response, "access-control-allow-headers").contains("idempotency-key"));
    let response = preflight(&open, "https://evil.example.com").await;
    assert_eq!(header(&response, "access-control-allow-origin"), "");
    let request = open.client.post(open.url("/graphql")).header("origin", "https://crm.example.com");
    let response = request.json(&json!({ "query": "{ hello }" })).send().await.unwrap();
    assert_eq!(header(&response, "access-control-allow-origin"), "https://crm.example.com");
    assert!(header(&response, "access-control-expose-headers").contains("x-request-id"));
}

#[tokio::test]
async fn answers_carry_protective_headers() {
    let server = Server::start().await;
    for path in ["/graphql?query=%7Bhello%7D", "/health/live", "/nothing"] {
        let response = server.client.get(server.url(path)).send().await.unwrap();
        assert_eq!(header(&response, "x-content-type-options"), "nosniff");
        assert_eq!(header(&response, "x-frame-options"), "DENY");
        assert_eq!(header(&response, "cache-control"), "no-store");
        assert!(header(&response, "content-security-policy").contains("default-src 'none'"));
    }
}

#[tokio::test]
async fn health_tells_the_process_from_its_parts() {
    let server = Server::start().await;
    let get = async |path: &str| {
        let response = server.client.get(server.url(path)).send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    assert_eq!(get("/health/live").await, (200, json!({ "status": "up" })));
    assert_eq!(get("/health/ready").await, (200, json!({ "status": "up" })));
    server.up.send_replace(false);
    assert_eq!(get("/health/live").await, (200, json!({ "status": "up" })));
    assert_eq!(get("/health/ready").await, (503, json!({ "status": "down" })));
    let (status, all) = get("/health").await;
    assert_eq!(status, 503);
    let expected = json!([
        { "name": "master", "status": "down" },
        { "name": "bus", "status": "up", "detail": "not configured" },
    ]);
    assert_eq!(all["components"], expected);
    assert_eq!(all["version"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn a_stopping_server_finishes_what_it_began() {
    let mut server = Server::start().await;
    let asking = tokio::spawn({
        let request =
            server.client.post(server.url("/graphql")).json(&json!({ "query": "{ slow(milliseconds: 400) }" }));
        async move { request.send().await.unwrap().json::<Value>().await.unwrap() }
    });
    tokio::time::sleep(Duration::from_millis(150)).await;
    server.lifecycle.stop();
    assert_eq!(asking.await.unwrap()["data"]["slow"], true);
    let serving = server.serving.take().unwrap();
    tokio::time::timeout(Duration::from_secs(5), serving).await.unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err(), "no longer listens");
}

#[tokio::test]
async fn a_stopping_server_does_not_wait_for_ever() {
    let mut server = Server::with(HttpSettings { drain: Duration::from_millis(200), ..HttpSettings::default() }).await;
    let request = server.client.post(server.url("/graphql")).json(&json!({ "query": "{ slow(milliseconds: 9000) }" }));
    let asking = tokio::spawn(request.send());
    tokio::time::sleep(Duration::from_millis(150)).await;
    server.lifecycle.stop();
    let serving = server.serving.take().unwrap();
    tokio::time::timeout(Duration::from_secs(3), serving).await.unwrap().unwrap().unwrap();
    asking.abort();
}
