//! The GraphiQL IDE, with everything it needs in the binary. `README.md` beside this file says what it is made of.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::settings::HttpSettings;

/// No request leaves this server, no script stands in the page, nothing frames it. The editor styles itself by
/// `<style>` elements, and the style sheets carry their typefaces and pictures in themselves.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      font-src 'self' data:; connect-src 'self'; form-action 'none'; base-uri 'none'; \
                      frame-ancestors 'none'";

const PAGE: &str = include_str!("page.html");

/// A file that the page loads.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    /// Whether `content` is compressed by gzip.
    compressed: bool,
    content: &'static [u8],
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

const fn stored(name: &'static str, content_type: &'static str, content: &'static [u8]) -> Asset {
    Asset { name, content_type, compressed: true, content }
}

const fn own(name: &'static str, content_type: &'static str, content: &'static [u8]) -> Asset {
    Asset { name, content_type, compressed: false, content }
}

static ASSETS: [Asset; 8] = [
    stored("react.js", SCRIPT, include_bytes!("assets/react.js.gz")),
    stored("react-dom.js", SCRIPT, include_bytes!("assets/react-dom.js.gz")),
    stored("graphiql.js", SCRIPT, include_bytes!("assets/graphiql.js.gz")),
    stored("graphiql.css", STYLE, include_bytes!("assets/graphiql.css.gz")),
    stored("explorer.js", SCRIPT, include_bytes!("assets/explorer.js.gz")),
    stored("explorer.css", STYLE, include_bytes!("assets/explorer.css.gz")),
    own("page.js", SCRIPT, include_bytes!("page.js")),
    own("page.css", STYLE, include_bytes!("page.css")),
];

/// The page as it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    html: Bytes,
    /// Stands in the addresses of the assets: another binary with other assets has other addresses.
    version: Arc<str>,
}

impl Page {
    pub(crate) fn new(settings: &HttpSettings) -> Self {
        let mut hash = Sha256::new();
        for asset in &ASSETS {
            hash.update(asset.content);
        }
        let version: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let configuration = json!({ "firstQuery": settings.first_query, "logins": settings.demo_logins });
        // Inside a script element only `<` could end it.
        let configuration = configuration.to_string().replace('<', "\\u003c");
        let html = PAGE.replace("VERSION", &version).replace("CONFIGURATION", &configuration);
        Self { html: html.into(), version: version.into() }
    }

    pub(crate) fn response(&self) -> Response {
        let mut response = self.html.clone().into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }

    /// The page at `/`, and what it loads.
    pub(crate) fn routes(self) -> Router {
        Router::new()
            .route("/", get(async |State(page): State<Self>| page.response()))
            .route("/graphiql/{version}/{name}", get(asset))
            .with_state(self)
    }
}

async fn asset(State(page): State<Page>, Path((version, name)): Path<(String, String)>) -> Response {
    let found = ASSETS.iter().find(|asset| asset.name == name).filter(|_| *version == *page.version);
    let Some(asset) = found else { return StatusCode::NOT_FOUND.into_response() };
    let mut response = Bytes::from_static(asset.content).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    if asset.compressed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}
