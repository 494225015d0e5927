//! What a resolver may know of the request it serves, whatever transport brought it.

use std::{net::IpAddr, sync::Arc};

use async_graphql::Context;

use crate::{
    error::{Error, Result},
    services::identity::{Client, Principal},
};

/// The request around an operation. The transports put one into the data of every operation, so that a resolver reads
/// it with `ctx.data::<RequestInfo>()`.
#[derive(Clone, Debug)]
pub struct RequestInfo {
    /// Names this request in the log and in every error of its answer.
    pub request_id: Arc<str>,
    /// Where the request came from, as far as the proxies in front are trusted to say.
    pub client_address: IpAddr,
    /// The caller's `Idempotency-Key` (over a WebSocket the extension `idempotencyKey` of the operation).
    pub idempotency_key: Option<Arc<str>>,
    /// What brought the request.
    pub transport: Transport,
}

/// The ways an operation can come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One request, one answer.
    Http,
    /// An answer as a stream of server-sent events.
    EventStream,
    /// An operation over a socket.
    WebSocket,
}

/// Who asks, whatever transport brought the request. In the data of every operation.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who it is; `None` for somebody who has not logged in.
    pub principal: Option<Principal>,
    /// Where the request comes from.
    pub client: Client,
}

impl Caller {
    /// The caller of this operation.
    #[must_use]
    pub fn of<'a>(ctx: &Context<'a>) -> &'a Self {
        ctx.data_unchecked::<Self>()
    }

    /// Who it is.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when nobody is logged in.
    pub fn principal(&self) -> Result<&Principal> {
        self.principal.as_ref().ok_or_else(|| Error::Unauthenticated("log in first".to_owned()))
    }
}
