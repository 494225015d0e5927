//! The page at `/jobs`: recurring jobs, queues, retries, dead letters, and how much was done over time, for platform
//! administrators.
//!
//! The page itself says nothing: it logs in through the API, keeps the token in memory alone, and asks and steers through the
//! API. Everything that it needs is in the binary; no request leaves this server, and nothing but its own files runs in it.

use std::sync::LazyLock;

use axum::{
    Router,
    body::Bytes,
    extract::Path,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use sha2::{Digest, Sha256};

/// No request leaves this server, no script or style stands in the page, nothing frames it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; \
                      form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

const PAGE: &str = include_str!("page.html");

/// What the page loads: name, type and content.
static FILES: [(&str, &str, &str); 5] = [
    ("page.css", "text/css; charset=utf-8", include_str!("page.css")),
    ("page.js", SCRIPT, include_str!("page.js")),
    ("api.js", SCRIPT, include_str!("api.js")),
    ("picture.js", SCRIPT, include_str!("picture.js")),
    ("tables.js", SCRIPT, include_str!("tables.js")),
];

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Stands in the addresses of the files: another binary with other files has other addresses.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for (.., content) in &FILES {
        hash.update(content);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
});

/// The page, and what it loads.
pub(crate) fn routes() -> Router {
    Router::new().route("/jobs", get(page)).route("/jobs/{version}/{name}", get(file))
}

async fn page() -> Response {
    let mut response = PAGE.replace("VERSION", &VERSION).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

async fn file(Path((version, name)): Path<(String, String)>) -> Response {
    let found = FILES.iter().find(|(of, ..)| *of == name).filter(|_| version == *VERSION);
    let Some((_, content_type, content)) = found else { return StatusCode::NOT_FOUND.into_response() };
    let mut response = Bytes::from_static(content.as_bytes()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    response
}
