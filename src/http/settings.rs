//! The settings of the HTTP server.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How the server listens, limits and answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSettings {
    /// The size of a request's body.
    pub body_bytes: usize,
    /// How long a caller may take to send the headers of a request.
    #[serde(rename = "header_timeout_ms", with = "milliseconds")]
    pub header_timeout: Duration,
    /// How long a caller may take to send the body of a request.
    #[serde(rename = "body_timeout_ms", with = "milliseconds")]
    pub body_timeout: Duration,
    /// How long a query or a mutation may run.
    #[serde(rename = "deadline_ms", with = "milliseconds")]
    pub deadline: Duration,
    /// Connections that are open at the same time; more wait to be accepted.
    pub connections: usize,
    /// How long requests may go on after the server was told to stop.
    #[serde(rename = "drain_ms", with = "milliseconds")]
    pub drain: Duration,
    /// The number of proxies in front of the server: so many addresses at the end of `X-Forwarded-For` are believed.
    pub trusted_proxies: usize,
    /// The origins whose pages may call the API from a browser, such as `https://crm.example.com`, or `*` for all.
    pub cors_origins: Vec<String>,
    /// How often an idle event stream sends a comment, so that nothing between closes it.
    #[serde(rename = "sse_keep_alive_ms", with = "milliseconds")]
    pub sse_keep_alive: Duration,
    /// The WebSocket transport.
    pub websocket: WebSocketSettings,
    /// Where Prometheus is answered: an address with a port of its own.
    pub metrics: Option<String>,
    /// Whether the GraphiQL IDE is served at `/` and, to browsers, at `/graphql`.
    pub graphiql: bool,
    /// The query that GraphiQL begins with.
    pub first_query: Option<String>,
    /// The logins that GraphiQL offers as buttons. For demonstrations only: the page shows them to everyone.
    pub demo_logins: Vec<DemoLogin>,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            body_bytes: 1024 * 1024,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            deadline: Duration::from_secs(10),
            connections: 10_000,
            drain: Duration::from_secs(20),
            trusted_proxies: 0,
            cors_origins: Vec::new(),
            sse_keep_alive: Duration::from_secs(12),
            websocket: WebSocketSettings::default(),
            metrics: None,
            graphiql: false,
            first_query: None,
            demo_logins: Vec::new(),
        }
    }
}

/// How a socket is limited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebSocketSettings {
    /// How long a client may take to send `connection_init`.
    #[serde(rename = "init_timeout_ms", with = "milliseconds")]
    pub init_timeout: Duration,
    /// How often the server pings. A client that was silent from one ping to the next is gone.
    #[serde(rename = "keep_alive_ms", with = "milliseconds")]
    pub keep_alive: Duration,
    /// How long a client may take to read a message before it is given up.
    #[serde(rename = "send_timeout_ms", with = "milliseconds")]
    pub send_timeout: Duration,
    /// The size of a message from the client.
    pub message_bytes: usize,
    /// Operations that run at the same time on one socket.
    pub operations: usize,
    /// Messages that wait for a slow client; after that its operations wait.
    pub queue: usize,
}

impl Default for WebSocketSettings {
    fn default() -> Self {
        Self {
            init_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(20),
            send_timeout: Duration::from_secs(10),
            message_bytes: 1024 * 1024,
            operations: 100,
            queue: 16,
        }
    }
}

/// A login of the demonstration data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemoLogin {
    /// What the button says, such as `Acme: sales manager`.
    pub label: String,
    /// The e-mail address to log in with.
    pub email: String,
    /// The password to log in with.
    pub password: String,
    /// The tenant to log in to, where the e-mail address does not say it alone.
    #[serde(default)]
    pub tenant: Option<String>,
}

/// Durations as whole milliseconds, which every configuration format and the environment can hold.
mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_milliseconds_and_the_rest_has_defaults() {
        let written = r#"{ "deadline_ms": 1500, "websocket": { "keep_alive_ms": 250 } }"#;
        let settings: HttpSettings = serde_json::from_str(written).unwrap();
        let websocket = WebSocketSettings { keep_alive: Duration::from_millis(250), ..WebSocketSettings::default() };
        let expected = HttpSettings { deadline: Duration::from_millis(1500), websocket, ..HttpSettings::default() };
        assert_eq!(settings, expected);
        let read_back = serde_json::from_str(&serde_json::to_string(&settings).unwrap()).unwrap();
        assert_eq!(settings, read_back);
        assert!(serde_json::from_str::<HttpSettings>(r#"{ "deadline": 1 }"#).is_err(), "a name that is not known");
    }
}
