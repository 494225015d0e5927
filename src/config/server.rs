//! `[server]`: how the server is reached, and what one request may take.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use serde::Deserialize;
use url::Url;

use super::{
    problem::Problem,
    value::{ByteSize, duration, optional},
};

/// What a node does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The API, and what nobody waits for
    #[default]
    All,
    /// The API alone
    Api,
    /// What nobody waits for, and /health
    Worker,
}

impl Role {
    /// Whether it serves the API.
    #[must_use]
    pub const fn serves(self) -> bool {
        matches!(self, Self::All | Self::Api)
    }

    /// Whether it does what nobody waits for.
    #[must_use]
    pub const fn works(self) -> bool {
        matches!(self, Self::All | Self::Worker)
    }
}

/// How the server is reached, and what one request may take.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// The address to listen on.
    pub host: String,
    /// What this node does.
    pub role: Role,
    /// The TCP port to listen on; 0 lets the system choose (tests).
    pub port: u16,
    /// Where users reach this server, when that is not `http://<host>:<port>`.
    #[serde(deserialize_with = "optional")]
    pub public_url: Option<String>,
    /// Serve GraphiQL.
    pub graphiql: bool,
    /// Answer introspection queries and `_service { sdl }`.
    pub introspection: bool,
    /// Tell in the header `Server-Timing` how many SQL statements an answer took.
    pub show_statements: bool,
    /// Origins whose pages may call the API; `*` allows all.
    pub cors_origins: Vec<String>,
    /// How many proxies stand in front of this server.
    pub trusted_proxies: usize,
    /// How many connections may be open at the same time.
    pub max_connections: usize,
    /// How long one request may take.
    #[serde(deserialize_with = "duration")]
    pub request_timeout: Duration,
    /// How long running requests may go on after the order to stop.
    #[serde(deserialize_with = "duration")]
    pub drain_timeout: Duration,
    /// The largest request body that is read.
    pub body_limit: ByteSize,
    /// Where Prometheus is answered.
    #[serde(deserialize_with = "optional")]
    pub metrics: Option<String>,
    /// This is the demo: its logins may be shown. Not a setting: only the command `demo` turns it on.
    #[serde(skip)]
    pub demo: bool,
}

impl Server {
    /// Where users reach this server, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> String {
        match &self.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("http://{}", authority(&self.host, self.port)),
        }
    }

    /// Where a program on this machine reaches this server: an address that means "all interfaces" cannot be called.
    #[must_use]
    pub fn local_authority(&self) -> String {
        let host = match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) if address.is_unspecified() => "127.0.0.1",
            Ok(IpAddr::V6(address)) if address.is_unspecified() => "::1",
            _ => &self.host,
        };
        authority(host, self.port)
    }

    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        if self.host.parse::<IpAddr>().is_err() && self.host != "localhost" {
            problems.push(Problem::new(
                "server.host",
                format!("`{}` is not an address to listen on", self.host),
                "Use 127.0.0.1 for this machine only, 0.0.0.0 for every interface, or the address of one interface.",
            ));
        }
        if let Some(url) = &self.public_url
            && origin(url).is_none()
        {
            problems.push(Problem::new(
                "server.public_url",
                format!("`{url}` is not the address of a server"),
                "Write scheme and host, without a path, such as https://crm.example.com.",
            ));
        }
        if let Some(address) = &self.metrics
            && address.parse::<SocketAddr>().is_err()
        {
            problems.push(Problem::new(
                "server.metrics",
                format!("`{address}` is not an address with a port"),
                "Write for example 127.0.0.1:9464, or leave it out.",
            ));
        }
        for given in self.cors_origins.iter().filter(|given| *given != "*") {
            if origin(given).is_none_or(|origin| origin != *given) {
                problems.push(Problem::new(
                    "server.cors_origins",
                    format!("`{given}` is not an origin"),
                    "Write scheme, host and, where it is not the usual one, port, without a slash at the end, such as \
                     https://app.example.com; or * to allow all.",
                ));
            }
        }
        for (setting, value) in
            [("server.request_timeout", self.request_timeout), ("server.drain_timeout", self.drain_timeout)]
        {
            if value.is_zero() || value > Duration::from_secs(600) {
                problems.push(Problem::new(
                    setting,
                    "must be more than nothing and at most ten minutes",
                    "Write for example \"10s\".",
                ));
            }
        }
        if !(1..=1_000_000).contains(&self.max_connections) {
            problems.push(Problem::new(
                "server.max_connections",
                format!("is {}", self.max_connections),
                "It must be from 1 to 1000000 connections.",
            ));
        }
        if self.body_limit < ByteSize(1024) {
            problems.push(Problem::new(
                "server.body_limit",
                "is below 1 KiB, too small for most queries",
                "Write for example \"1MiB\".",
            ));
        }
    }

    pub(super) fn check_serving(&self, problems: &mut Vec<Problem>) {
        if self.demo {
            problems.push(Problem::new(
                "server",
                "the demo shows its logins to everyone and cannot be served to others",
                "Use `rapport demo`.",
            ));
        }
    }
}

/// `host:port` as it stands in an address: an IPv6 address in brackets.
fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The origin of an address that has nothing after it.
fn origin(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    (matches!(url.scheme(), "http" | "https") && bare).then(|| url.origin().ascii_serialization())
}
