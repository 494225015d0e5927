//! From a request's parameters to its answer: the part that all transports share.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_graphql::{Request, parser::types::OperationType};
use futures_util::{FutureExt, StreamExt, stream::BoxStream};

use super::{answer::Answer, backend::Backend, graphql::params::Params};
use crate::graphql::{limits::Cost, request::RequestInfo};

/// An operation that was admitted.
pub(crate) struct Operation {
    request: Request,
    pub(crate) kind: OperationType,
    cost: Cost,
    request_id: Arc<str>,
}

impl Operation {
    /// Bounds the document, fills in the variables and charges the caller.
    ///
    /// # Errors
    /// The answer to a document that must not be executed.
    pub(crate) fn admit<B: Backend>(
        backend: &B,
        session: &B::Session,
        params: Params,
        info: RequestInfo,
    ) -> Result<Self, Answer> {
        let request_id = Arc::clone(&info.request_id);
        let mut request = Request::new(params.query).variables(params.variables.unwrap_or_default());
        request.operation_name = params.operation_name;
        match backend.documents().admit(&mut request) {
            Ok(admission) => {
                if let Some(name) = &admission.operation_name {
                    tracing::Span::current().record("operation", name);
                }
                let mut cost = admission.cost;
                cost.left = match backend.charge(session, cost.requested) {
                    Ok(left) => left,
                    Err(error) => return Err(Answer::throttled(error, &request_id, cost)),
                };
                Ok(Self { request: request.data(info), kind: admission.kind, cost, request_id })
            }
            Err(refusal) => Err(Answer::not_admitted(refusal, &request_id)),
        }
    }

    /// Runs a query or a mutation within the deadline.
    pub(crate) async fn execute<B: Backend>(self, backend: &B, session: &B::Session, deadline: Duration) -> Answer {
        let Self { request, cost, request_id, .. } = self;
        let run = AssertUnwindSafe(async { backend.execute(session, request).await }).catch_unwind();
        match tokio::time::timeout(deadline, run).await {
            Ok(Ok(response)) => Answer::executed(response, &request_id, cost),
            Ok(Err(panic)) => panicked(&*panic, &request_id),
            Err(_) => Answer::failed("TIMEOUT", "the request took too long", &request_id),
        }
    }

    /// Starts a subscription.
    pub(crate) fn subscribe<B: Backend>(self, backend: &B, session: &B::Session) -> BoxStream<'static, Answer> {
        let Self { request, cost, request_id, .. } = self;
        let events = AssertUnwindSafe(backend.subscribe(session, request)).catch_unwind();
        let answers = events.map(move |event| match event {
            Ok(response) => Answer::executed(response, &request_id, cost),
            Err(panic) => panicked(&*panic, &request_id),
        });
        answers.boxed()
    }
}

/// The panic itself is for the log alone.
pub(crate) fn panicked(panic: &(dyn Any + Send), request_id: &str) -> Answer {
    tracing::error!(request_id, panic = panic_message(panic), "a resolver panicked");
    Answer::failed("INTERNAL_SERVER_ERROR", "internal error", request_id)
}

pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
