//! The `graphql-transport-ws` protocol, to the letter.
//!
//! One task owns the socket: it reads, writes, keeps the time and knows which operations run. Every operation is a task
//! of its own that hands its answers over through a short queue, so that a slow client makes its own operations wait and
//! nothing pile up. The socket ends when the client leaves or breaks the protocol, when it reads too slowly or falls
//! silent, when the session is revoked, and when the server stops.
//!
//! | code | the server closes because |
//! |---|---|
//! | 1001 | it stops |
//! | 1009 | a message is too large |
//! | 4400 | a message is not of the protocol |
//! | 4401 | an operation came before the connection was acknowledged |
//! | 4403 | the credentials count for nothing, or no longer; the reason begins with the error's code |
//! | 4406 | the subprotocol is not spoken here |
//! | 4408 | `connection_init` did not come in time |
//! | 4409 | an operation came under the id of one that runs |
//! | 4429 | `connection_init` came twice; the client's user or tenant holds too many connections (the reason begins with `THROTTLED`) |
//! | 4500 | it failed to find out who the client is |

mod message;
mod operations;

use std::{pin::Pin, sync::Arc, time::Duration};

use axum::{
    extract::{
        FromRequestParts, WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket},
    },
    http::{StatusCode, header, request::Parts},
    response::Response,
};
use futures_util::{FutureExt, future::BoxFuture};
use tokio::time::{Instant, Interval, MissedTickBehavior, Sleep, interval_at, sleep, timeout};

use self::{
    message::{Incoming, Outgoing, Payload},
    operations::Operations,
};
use super::{
    backend::{Backend, Credentials},
    graphql::{bearer, client_address, credentials},
    middleware::allows,
    refusal::Refusal,
    router::Shared,
};
use crate::{
    error::{Error, Result},
    graphql::request::{RequestInfo, Transport},
};

const SUBPROTOCOL: &str = "graphql-transport-ws";

/// Small, for most sockets are idle most of the time.
const BUFFER: usize = 4 * 1024;

/// How long a client may take to answer a close.
const FAREWELL: Duration = Duration::from_secs(2);

/// Whether the request asks to become a socket.
pub(crate) fn is_upgrade(parts: &Parts) -> bool {
    let upgrade = parts.headers.get(header::UPGRADE);
    upgrade.is_some_and(|upgrade| upgrade.as_bytes().eq_ignore_ascii_case(b"websocket"))
        || parts.method == axum::http::Method::CONNECT
}

/// Turns the connection into a socket.
pub(crate) async fn upgrade<B: Backend>(
    shared: &Shared<B>,
    mut parts: Parts,
    request_id: &Arc<str>,
) -> Result<Response, Refusal> {
    check_origin(shared, &parts)?;
    let info = RequestInfo {
        request_id: Arc::clone(request_id),
        client_address: client_address(&parts, &shared.settings),
        idempotency_key: None,
        transport: Transport::WebSocket,
    };
    let presented = credentials(&parts.headers, info.client_address, request_id)?;
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &())
        .await
        .map_err(|rejection| Refusal::bad(rejection.status(), rejection.body_text()))?;
    let settings = &shared.settings.websocket;
    let upgrade = upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_message_size(settings.message_bytes)
        .max_frame_size(settings.message_bytes);
    // The server waits for the farewell before it leaves.
    let (shared, unfinished) = (shared.clone(), shared.lifecycle.tasks().token());
    Ok(upgrade.on_upgrade(async move |socket| {
        Connection::new(shared, socket, info, presented).run().await;
        drop(unfinished);
    }))
}

/// A page of another origin may open a socket without asking first, so the origin is checked here as CORS would.
fn check_origin<B>(shared: &Shared<B>, parts: &Parts) -> Result<(), Refusal> {
    let Some(origin) = parts.headers.get(header::ORIGIN) else { return Ok(()) };
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| parts.uri.authority().map(|authority| authority.as_str()));
    let own = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    if (own.is_some() && own == host) || allows(&shared.settings, origin) {
        return Ok(());
    }
    Err(Refusal::new(StatusCode::FORBIDDEN, "FORBIDDEN", "pages of this origin may not open a socket"))
}

/// Why a socket ends, as the client is told.
type Close = (u16, String);

/// How far a connection has come.
enum Phase<B: Backend> {
    /// `connection_init` has not come.
    Waiting(Pin<Box<Sleep>>),
    /// The credentials are looked at.
    Checking(BoxFuture<'static, Result<B::Session>>),
    /// The connection is acknowledged.
    Ready { session: B::Session, revoked: BoxFuture<'static, Error>, _counted: B::Connection },
}

/// What happened next.
enum Happened<S> {
    Said(Option<Result<Message, axum::Error>>),
    Answered(Outgoing),
    InitTimedOut,
    Checked(Result<S>),
    Revoked(Error),
    Stopping,
    Tick,
}

struct Connection<B: Backend> {
    shared: Shared<B>,
    socket: WebSocket,
    info: RequestInfo,
    /// What the upgrade request presented; `connection_init` may present something else.
    presented: Credentials,
    phase: Phase<B>,
    operations: Operations,
    pings: Interval,
    /// The client has said something since the last ping.
    heard: bool,
}

impl<B: Backend> Connection<B> {
    fn new(shared: Shared<B>, socket: WebSocket, info: RequestInfo, presented: Credentials) -> Self {
        let settings = &shared.settings.websocket;
        let phase = Phase::Waiting(Box::pin(sleep(settings.init_timeout)));
        let operations = Operations::new(settings);
        let mut pings = interval_at(Instant::now() + settings.keep_alive, settings.keep_alive);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { shared, socket, info, presented, phase, operations, pings, heard: true }
    }

    async fn run(mut self) {
        let close = if self.socket.protocol().is_none_or(|protocol| protocol.as_bytes() != SUBPROTOCOL.as_bytes()) {
            Some((4406, "Subprotocol not acceptable".to_owned()))
        } else {
            self.serve().await
        };
        self.operations.end_all();
        if let Some((code, reason)) = close {
            tracing::debug!(request_id = %self.info.request_id, code, reason, "a socket is closed");
            self.say_farewell(code, &reason).await;
        }
    }

    /// Serves until there is a reason to close, or nobody to close with.
    async fn serve(&mut self) -> Option<Close> {
        loop {
            let close = match self.next().await {
                Happened::Said(None | Some(Ok(Message::Close(_)))) => return None,
                Happened::Said(Some(Err(error))) => return too_large(&error),
                Happened::Said(Some(Ok(message))) => {
                    self.heard = true;
                    self.hear(message).await
                }
                Happened::Answered(answer) => match self.operations.deliver(answer) {
                    Some(text) => self.send(Message::Text(text.into())).await,
                    None => Ok(()),
                },
                Happened::InitTimedOut => close(4408, "Connection initialisation timeout"),
                Happened::Checked(Ok(session)) => self.acknowledge(session).await,
                Happened::Checked(Err(Error::Internal(cause))) => {
                    tracing::error!(%cause, request_id = %self.info.request_id, "a socket's client was not identified");
                    close(4500, "INTERNAL_SERVER_ERROR: internal error")
                }
                Happened::Checked(Err(error)) | Happened::Revoked(error) => {
                    close(4403, format!("{}: {error}", error.code()))
                }
                Happened::Stopping => close(1001, "the server stops"),
                Happened::Tick => self.ping().await,
            };
            match close {
                Ok(()) => {}
                Err(close) => return close,
            }
        }
    }

    async fn next(&mut self) -> Happened<B::Session> {
        let phase = &mut self.phase;
        let progress = async {
            match phase {
                Phase::Waiting(limit) => {
                    limit.await;
                    Happened::InitTimedOut
                }
                Phase::Checking(check) => Happened::Checked(check.await),
                Phase::Ready { revoked, .. } => Happened::Revoked(revoked.await),
            }
        };
        tokio::select! {
            happened = progress => happened,
            () = self.shared.lifecycle.stopped() => Happened::Stopping,
            message = self.socket.recv() => Happened::Said(message),
            answer = self.operations.next() => Happened::Answered(answer),
            _ = self.pings.tick() => Happened::Tick,
        }
    }

    /// Does what a message of the client asks.
    async fn hear(&mut self, message: Message) -> Step {
        let text = match message {
            Message::Text(text) => text,
            // Answered by the socket itself, and counted as a sign of life.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => return Ok(()),
            Message::Binary(_) => return close(4400, "Messages are text"),
        };
        match Incoming::parse(&text) {
            Err(reason) => close(4400, reason),
            Ok(Incoming::Ping(payload)) => {
                let pong = message::pong(payload);
                self.send(Message::Text(pong.into())).await
            }
            Ok(Incoming::Pong) => Ok(()),
            Ok(Incoming::ConnectionInit(payload)) => self.identify(&payload),
            Ok(Incoming::Subscribe { id, params }) => {
                let Phase::Ready { session, .. } = &self.phase else { return close(4401, "Unauthorized") };
                if self.operations.contains(&id) {
                    return close(4409, format!("Subscriber for {id} already exists"));
                }
                match self.operations.start(&self.shared, session, &self.info, id, params) {
                    Some(refusal) => self.send(Message::Text(refusal.into())).await,
                    None => Ok(()),
                }
            }
            Ok(Incoming::Complete(id)) => {
                self.operations.end(&id);
                Ok(())
            }
        }
    }

    /// Begins to find out who the client is.
    fn identify(&mut self, payload: &Payload) -> Step {
        if !matches!(self.phase, Phase::Waiting(_)) {
            return close(4429, "Too many initialisation requests");
        }
        let mut presented = self.presented.clone();
        if let Some(token) = payload.token() {
            let Some(token) = token else { return close(4403, "UNAUTHENTICATED: the token is malformed") };
            presented.token = Some(token);
        }
        let (backend, deadline) = (self.shared.backend.clone(), self.shared.settings.deadline);
        let check = async move {
            let check = timeout(deadline, backend.authenticate(presented)).await;
            check.unwrap_or(Err(Error::Timeout))
        };
        self.phase = Phase::Checking(check.boxed());
        Ok(())
    }

    async fn acknowledge(&mut self, session: B::Session) -> Step {
        let _counted = match self.shared.backend.connect(&session) {
            Ok(counted) => counted,
            Err(error) => return close(4429, format!("{}: {error}", error.code())),
        };
        let (backend, watched) = (self.shared.backend.clone(), session.clone());
        let revoked = async move { backend.revoked(&watched).await }.boxed();
        self.phase = Phase::Ready { session, revoked, _counted };
        self.send(Message::Text(message::ACKNOWLEDGED.into())).await
    }

    /// Asks for a sign of life, or gives up on a client that gave none since the last time.
    async fn ping(&mut self) -> Step {
        if !std::mem::take(&mut self.heard) {
            return Err(None);
        }
        self.send(Message::Ping(axum::body::Bytes::new())).await
    }

    async fn send(&mut self, message: Message) -> Step {
        match timeout(self.shared.settings.websocket.send_timeout, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(None),
            Err(_) => {
                tracing::debug!(request_id = %self.info.request_id, "a socket's client reads too slowly");
                Err(None)
            }
        }
    }

    /// Closes with a reason, and waits a moment for the client to have read it.
    async fn say_farewell(&mut self, code: u16, reason: &str) {
        // A control frame holds 125 bytes, two of them for the code.
        let reason = &reason[..reason.floor_char_boundary(123)];
        let frame = CloseFrame { code, reason: reason.into() };
        let _ = timeout(FAREWELL, async {
            if self.socket.send(Message::Close(Some(frame))).await.is_ok() {
                while let Some(Ok(_)) = self.socket.recv().await {}
            }
        })
        .await;
    }
}

/// Go on, or end: with a word to the client, or without because there is no client to hear it.
type Step = Result<(), Option<Close>>;

fn close(code: u16, reason: impl Into<String>) -> Step {
    Err(Some((code, reason.into())))
}

/// The library tells a message that is too large only by its text.
fn too_large(error: &axum::Error) -> Option<Close> {
    error.to_string().contains("too long").then(|| (1009, "Message too large".to_owned()))
}

/// The token in the payload of `connection_init`: nothing, a malformed one, or one.
fn token_of(value: &str) -> Option<String> {
    bearer(value).or_else(|| bearer(&format!("Bearer {value}")))
}
