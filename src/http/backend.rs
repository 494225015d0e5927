//! What the transports need of the application.

use std::{future::Future, net::IpAddr, sync::Arc};

use async_graphql::{Request, Response};
use futures_util::stream::BoxStream;

use crate::{
    error::{Error, Result},
    graphql::limits::Documents,
};

/// The application as the transports see it.
///
/// A transport asks who the caller is (once a request, or once a socket), admits the document, and hands the operation
/// over with a [`RequestInfo`](crate::graphql::request::RequestInfo) in its data and its document already parsed.
pub trait Backend: Clone + Send + Sync + 'static {
    /// Who asks, possibly nobody in particular. Lives as long as a request or a socket.
    type Session: Clone + Send + Sync + 'static;

    /// A connection that counts while it lives.
    type Connection: Send + 'static;

    /// The gate that every document passes before it is executed.
    fn documents(&self) -> &Documents;

    /// Finds out who asks. A request without a token is somebody too: it may log in.
    fn authenticate(&self, credentials: Credentials) -> impl Future<Output = Result<Self::Session>> + Send;

    /// Takes the cost of an operation from what the caller may spend over time; answers what is left, where that is
    /// bounded.
    ///
    /// # Errors
    /// [`Error::Throttled`] when it does not suffice.
    fn charge(&self, session: &Self::Session, cost: u64) -> Result<Option<u64>>;

    /// Counts a connection that the session is about to keep open, for as long as the answer lives.
    ///
    /// # Errors
    /// [`Error::Throttled`] when it holds too many.
    fn connect(&self, session: &Self::Session) -> Result<Self::Connection>;

    /// Runs a query or a mutation.
    fn execute(&self, session: &Self::Session, request: Request) -> impl Future<Output = Response> + Send;

    /// Starts a subscription. A first response without data means that there will be no events.
    fn subscribe(&self, session: &Self::Session, request: Request) -> BoxStream<'static, Response>;

    /// Resolves, with the reason, when the session may no longer be used: its token has ended, its rights were taken.
    /// Never resolves while it may. Sockets and event streams wait for it.
    fn revoked(&self, session: &Self::Session) -> impl Future<Output = Error> + Send;
}

/// What a caller presents to say who it is.
#[derive(Clone)]
pub struct Credentials {
    /// The bearer token: an access token or an API key.
    pub token: Option<String>,
    /// Where the request comes from, as far as the proxies in front are trusted to say.
    pub client_address: IpAddr,
    /// How the browser or program names itself.
    pub user_agent: Option<String>,
    /// Names the request, or the one that opened the socket.
    pub request_id: Arc<str>,
}

// A token must not end up in a log.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Credentials")
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("client_address", &self.client_address)
            .field("request_id", &self.request_id)
            .finish()
    }
}
