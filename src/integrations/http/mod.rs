//! Requests to addresses that users have named: webhooks and the like. Whoever sends one goes through [`HttpClient`].
//!
//! - A request goes to public addresses only (see [`address`]). Names are resolved here, every answer is checked, and the
//!   connection is made to the very addresses that were checked: a name that answers otherwise the next time changes
//!   nothing. One answer that is not public refuses the whole name.
//! - `https:` alone, certificates checked against Mozilla's roots. No redirects, no proxies from the environment.
//! - One deadline over everything: the name, the connection, TLS, the request, the answer's headers and its body.
//! - Of the answer's body 64 KiB are read, and the rest is dropped with the connection. Nothing is decompressed.
//! - A connection is for one request: nothing that was left over from one receiver can reach another.
//!
//! For development one setting allows this machine, and `http:` with it.

pub mod address;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::BoxFuture};
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap,
    body::{Bytes, Incoming},
    client::conn::http1,
    header::{HOST, HeaderName, HeaderValue},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName},
};
use tokio_util::task::AbortOnDropHandle;
use url::{Host, Url};

use crate::error::{Error, Result};

/// How much of an answer's body is read.
pub const BODY: usize = 64 * 1024;
/// How long one of several addresses of a name is tried.
const CONNECT: Duration = Duration::from_secs(5);
/// How many addresses of a name are tried.
const ADDRESSES: usize = 4;
/// How large the headers of an answer may be.
const HEAD: usize = 32 * 1024;
/// How long an address may be.
const URL: usize = 2000;
/// Names that mean this machine or this network.
const LOCAL_NAMES: [&str; 5] = ["localhost", "local", "internal", "home.arpa", "lan"];

/// Finds the addresses of a name.
pub trait Resolve: Send + Sync {
    /// All of them, with this port.
    fn resolve<'a>(&'a self, name: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
}

/// The resolver of the operating system.
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        async move { Ok(tokio::net::lookup_host((name, port)).await?.collect()) }.boxed()
    }
}

/// What is sent: always a POST.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where to.
    pub url: Url,
    /// The headers, without `host` and `content-length`.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
}

/// What came back, and how long it took.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The status, as soon as it came, also where the rest did not.
    pub status: Option<u16>,
    /// The headers of the answer.
    pub headers: Vec<(String, String)>,
    /// The beginning of its body.
    pub body: Vec<u8>,
    /// Whether there was more of it.
    pub truncated: bool,
    /// What went wrong on the way.
    pub failure: Option<Failure>,
    /// From the first look at the name to the end.
    pub duration: Duration,
}

/// What goes wrong on the way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No request may go there.
    #[error("{0}")]
    Forbidden(String),
    /// The name has no address.
    #[error("the name could not be resolved: {0}")]
    Name(String),
    /// Nobody takes a connection.
    #[error("no connection: {0}")]
    Connection(String),
    /// TLS fails: a certificate that does not count, most likely.
    #[error("no TLS: {0}")]
    Tls(String),
    /// The time was over.
    #[error("no complete answer within {} s", .0.as_secs_f32())]
    Timeout(Duration),
    /// The connection broke, or what came is no HTTP.
    #[error("the exchange broke off: {0}")]
    Broken(String),
}

/// How requests leave.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// For development: this machine may be called, and `http:` used.
    pub allow_loopback: bool,
    /// How long an exchange may take, from the name to the last byte that is read.
    pub deadline: Duration,
}

/// Sends requests. Cheap to clone.
#[derive(Clone)]
pub struct HttpClient(Arc<Inner>);

struct Inner {
    settings: HttpSettings,
    resolver: Box<dyn Resolve>,
    tls: TlsConnector,
}

impl HttpClient {
    /// A client with these settings.
    ///
    /// # Errors
    /// When TLS cannot be set up, which a test rules out.
    pub fn new(settings: HttpSettings, resolver: impl Resolve + 'static) -> Result<Self> {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(Error::internal)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(Inner { settings, resolver: Box::new(resolver), tls: Arc::new(tls).into() })))
    }

    /// An address that users have named, if requests can go there as far as can be told without resolving its name.
    ///
    /// # Errors
    /// Why not, for people.
    pub fn check(&self, address: &str) -> Result<Url, String> {
        if address.len() > URL {
            return Err(format!("it is longer than {URL} characters"));
        }
        let url = Url::parse(address.trim()).map_err(|error| format!("it is no address: {error}"))?;
        self.check_url(&url)?;
        Ok(url)
    }

    fn check_url(&self, url: &Url) -> Result<(), String> {
        let development = self.0.settings.allow_loopback;
        match url.scheme() {
            "https" => {}
            "http" if development => {}
            _ => return Err("it must begin with https://".to_owned()),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it must not hold a user or a password".to_owned());
        }
        if url.fragment().is_some() {
            return Err("it must not have a fragment (#)".to_owned());
        }
        match url.host() {
            None => return Err("it names no host".to_owned()),
            Some(Host::Ipv4(address)) => self.allowed(address.into())?,
            Some(Host::Ipv6(address)) => self.allowed(address.into())?,
            Some(Host::Domain(name)) => {
                let name = name.trim_end_matches('.');
                let local = |own: &str| name == own || name.strip_suffix(own).is_some_and(|rest| rest.ends_with('.'));
                let single = !name.contains('.');
                if !development && (single || LOCAL_NAMES.into_iter().any(local)) {
                    return Err(format!("{name} is a name within a network"));
                }
            }
        }
        if url.port() == Some(0) {
            return Err("there is no port 0".to_owned());
        }
        Ok(())
    }

    fn allowed(&self, address: IpAddr) -> Result<(), String> {
        match address::forbidden(address, self.0.settings.allow_loopback) {
            Some(what) => Err(format!("no request goes to {address}, {what}")),
            None => Ok(()),
        }
    }

    /// Sends a request and reads the answer, within the deadline.
    pub async fn send(&self, request: Request) -> Exchange {
        let begin = Instant::now();
        let mut exchange = Exchange {
            status: None,
            headers: Vec::new(),
            body: Vec::new(),
            truncated: false,
            failure: None,
            duration: Duration::ZERO,
        };
        let deadline = self.0.settings.deadline;
        exchange.failure = match tokio::time::timeout(deadline, self.exchange(request, &mut exchange)).await {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(failure),
            Err(_) => Some(Failure::Timeout(deadline)),
        };
        exchange.duration = begin.elapsed();
        exchange
    }

    async fn exchange(&self, request: Request, into: &mut Exchange) -> Result<(), Failure> {
        self.check_url(&request.url).map_err(Failure::Forbidden)?;
        let stream = self.connect(&request.url).await?;
        if request.url.scheme() == "http" {
            return talk(stream, request, into).await;
        }
        let host = request.url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host).map_err(|error| Failure::Tls(error.to_string()))?;
        let stream = self.0.tls.connect(name, stream).await.map_err(|error| Failure::Tls(error.to_string()))?;
        talk(stream, request, into).await
    }

    /// A connection to one of the addresses of the host, all of which are public.
    async fn connect(&self, url: &Url) -> Result<TcpStream, Failure> {
        let port = url.port_or_known_default().unwrap_or(443);
        let addresses = match url.host() {
            Some(Host::Ipv4(address)) => vec![SocketAddr::new(address.into(), port)],
            Some(Host::Ipv6(address)) => vec![SocketAddr::new(address.into(), port)],
            Some(Host::Domain(name)) => {
                let found = self.0.resolver.resolve(name, port).await;
                found.map_err(|error| Failure::Name(error.to_string()))?
            }
            None => Vec::new(),
        };
        if addresses.is_empty() {
            return Err(Failure::Name("it has no address".to_owned()));
        }
        for address in &addresses {
            self.allowed(address.ip()).map_err(Failure::Forbidden)?;
        }
        let mut failure = Failure::Connection("nobody answers".to_owned());
        for address in addresses.into_iter().take(ADDRESSES) {
            match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => failure = Failure::Connection(error.to_string()),
                Err(_) => failure = Failure::Connection(format!("nobody answers within {} s", CONNECT.as_secs())),
            }
        }
        Err(failure)
    }
}

/// Sends the request on a connection, reads the answer, and closes the connection.
async fn talk<S>(stream: S, request: Request, into: &mut Exchange) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let broken = |error: hyper::Error| Failure::Broken(error.to_string());
    let handshake = http1::Builder::new().max_buf_size(HEAD).handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(broken)?;
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let url = &request.url;
    let mut target = url.path().to_owned();
    if let Some(query) = url.query() {
        target = format!("{target}?{query}");
    }
    let host = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
        None => url.host_str().unwrap_or_default().to_owned(),
    };
    let mut message = hyper::Request::post(target).header(HOST, host).header("connection", "close");
    for (name, value) in &request.headers {
        message = message.header(HeaderName::from_static(name), value);
    }
    let message = message.body(Full::new(request.body)).map_err(|error| Failure::Broken(error.to_string()))?;
    let answer = sender.send_request(message).await.map_err(broken)?;
    into.status = Some(answer.status().as_u16());
    into.headers = readable(answer.headers());
    let mut body: Incoming = answer.into_body();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        let room = BODY - into.body.len();
        into.body.extend_from_slice(data.get(..room).unwrap_or(&data));
        if data.len() > room {
            into.truncated = true;
            break;
        }
    }
    Ok(())
}

fn readable(headers: &HeaderMap<HeaderValue>) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into())).collect()
}
