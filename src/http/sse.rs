//! GraphQL over server-sent events, in its "distinct connections" mode: one request, one stream of `next` events, a
//! `complete` event. What is wrong with the operation itself is told in the stream, for the caller accepts nothing else;
//! what is wrong with the request is refused before.

use std::{convert::Infallible, sync::Arc};

use async_graphql::parser::types::OperationType;
use axum::{
    http::{HeaderName, HeaderValue},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{
    FutureExt, StreamExt,
    future::{self, Either},
    stream::{self, BoxStream},
};

use super::{answer::Answer, backend::Backend, execution::Operation, router::Shared};

/// Answers with a stream, which keeps the connection `counted` while it lives.
pub(crate) fn respond<B: Backend>(
    shared: &Shared<B>,
    session: B::Session,
    operation: Result<Operation, Answer>,
    counted: Option<B::Connection>,
    request_id: &Arc<str>,
) -> Response {
    let answers = match operation {
        Ok(operation) => run(shared, session, operation, request_id),
        Err(answer) => stream::iter([answer]).boxed(),
    };
    let next = answers.map(move |answer| {
        let _open = &counted;
        Event::default().event("next").data(answer.json())
    });
    let events = next.chain(stream::iter([Event::default().event("complete").data("")]));
    // A stream that is not told to end is cut off when the server stops.
    let stopped = shared.lifecycle.token().clone().cancelled_owned();
    let events = events.take_until(stopped).map(Ok::<_, Infallible>);
    let keep_alive = KeepAlive::new().interval(shared.settings.sse_keep_alive);
    let mut response = Sse::new(events).keep_alive(keep_alive).into_response();
    // Proxies that collect an answer before they pass it on must not.
    let unbuffered = (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response.headers_mut().insert(unbuffered.0, unbuffered.1);
    response
}

fn run<B: Backend>(
    shared: &Shared<B>,
    session: B::Session,
    operation: Operation,
    request_id: &Arc<str>,
) -> BoxStream<'static, Answer> {
    let (backend, deadline) = (shared.backend.clone(), shared.settings.deadline);
    if operation.kind != OperationType::Subscription {
        return async move { operation.execute(&backend, &session, deadline).await }.into_stream().boxed();
    }
    let events = operation.subscribe(&backend, &session);
    let request_id = Arc::clone(request_id);
    let revoked = async move {
        let reason = backend.revoked(&session).await;
        Answer::failed(reason.code(), reason.to_string(), &request_id)
    };
    until(events, revoked.boxed())
}

/// The events, ended by the answer to which `end` comes.
fn until(events: BoxStream<'static, Answer>, end: future::BoxFuture<'static, Answer>) -> BoxStream<'static, Answer> {
    let state = Some((events, end));
    stream::unfold(state, |state| async move {
        let (mut events, end) = state?;
        match future::select(end, events.next()).await {
            Either::Left((last, _)) => Some((last, None)),
            Either::Right((event, end)) => event.map(|event| (event, Some((events, end)))),
        }
    })
    .boxed()
}
