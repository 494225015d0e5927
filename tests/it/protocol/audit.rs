//! The audits that the authors of GraphQL over HTTP publish.

use super::{
    tools::{node, tools},
    toy::Server,
};

#[tokio::test]
async fn every_published_audit_is_met() {
    let server = Server::start().await;
    let said = node(&tools(""), &tools("graphql-http-audit.mjs"), &[&server.url("/graphql")]).await.well();
    // A package that audits less than this one did would say little.
    let count: u32 = said.split(' ').next().and_then(|count| count.parse().ok()).unwrap_or_default();
    assert!(count >= 60, "{said}");
}
