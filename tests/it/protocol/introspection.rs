//! A server that does not answer what its schema is: neither to tools nor to a federation's router.

use serde_json::json;

use crate::support::{Engine, TestApp};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn introspection_can_be_turned_off() {
    let app = TestApp::start_with(Engine::Sqlite, |config| config.server.introspection = false).await;
    let tenant = app.tenant("acme").await;
    for query in [
        "{ __schema { queryType { name } } }",
        "{ __type(name: \"Customer\") { name } }",
        "{ _service { sdl } }",
        "query { ...F } fragment F on Query { s: _service { sdl } }",
    ] {
        let answer = tenant.admin.send(query, json!({})).await;
        assert_eq!(answer.codes(), ["INTROSPECTION_DISABLED"], "{query}");
    }
    let plain = tenant.admin.data("{ __typename customers { __typename totalCount } }", json!({})).await;
    assert_eq!(plain["__typename"], "Query");

    let open = TestApp::start(Engine::Sqlite).await;
    let tenant = open.tenant("acme").await;
    let sdl = tenant.admin.data("{ _service { sdl } }", json!({})).await;
    assert!(sdl["_service"]["sdl"].as_str().unwrap().contains("type Customer"));
}
