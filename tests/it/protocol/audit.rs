//! The audits that the authors of GraphQL over HTTP publish.

use std::{path::Path, process::Command};

use super::toy::Server;

#[tokio::test]
async fn every_published_audit_is_met() {
    let server = Server::start().await;
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools");
    assert!(
        tools.join("node_modules/graphql-http").exists(),
        "this test runs the audits of the npm package graphql-http; install it once: npm ci --prefix tests/tools"
    );
    let mut audit = Command::new("node");
    audit.arg("graphql-http-audit.mjs").arg(server.url("/graphql")).current_dir(&tools);
    let audit = tokio::task::spawn_blocking(move || audit.output()).await.unwrap();
    let audit = audit.unwrap_or_else(|error| panic!("this test needs Node.js 20 or later as `node`: {error}"));
    let (said, complained) = (String::from_utf8_lossy(&audit.stdout), String::from_utf8_lossy(&audit.stderr));
    assert!(audit.status.success(), "{said}{complained}");
    // A package that audits less than this one did would say little.
    let count: u32 = said.split(' ').next().and_then(|count| count.parse().ok()).unwrap_or_default();
    assert!(count >= 60, "{said}");
}
