//! The operations that run on one socket.

use std::{collections::HashMap, sync::Arc};

use async_graphql::parser::types::OperationType;
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, field::Empty};

use super::message::{Event, Outgoing};
use crate::{
    graphql::request::RequestInfo,
    http::{
        answer::Answer, backend::Backend, execution::Operation, graphql::idempotency_key, graphql::params::Params,
        router::Shared, settings::WebSocketSettings,
    },
};

/// The operations of a socket by their ids. To forget one is to end it.
pub(super) struct Operations {
    running: HashMap<String, Running>,
    limit: usize,
    /// Numbers the operations: an answer of an ended one must not pass for one of a later one under the same id.
    count: u64,
    answers: mpsc::Receiver<Outgoing>,
    answer: mpsc::Sender<Outgoing>,
}

struct Running {
    number: u64,
    _task: AbortOnDropHandle<()>,
}

/// Where an operation's answers go.
struct Outlet {
    id: String,
    number: u64,
    answer: mpsc::Sender<Outgoing>,
}

impl Operations {
    pub(super) fn new(settings: &WebSocketSettings) -> Self {
        let (answer, answers) = mpsc::channel(settings.queue.max(1));
        Self { running: HashMap::new(), limit: settings.operations, count: 0, answers, answer }
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.running.contains_key(id)
    }

    /// Starts an operation, or tells the message that refuses it.
    pub(super) fn start<B: Backend>(
        &mut self,
        shared: &Shared<B>,
        session: &B::Session,
        socket: &RequestInfo,
        id: String,
        params: Params,
    ) -> Option<String> {
        self.count += 1;
        let number = self.count;
        let request_id: Arc<str> = format!("{}/{number}", socket.request_id).into();
        let refuse = |code, message: String| {
            let answer = Answer::failed(code, message, &request_id);
            Some(Event::error(answer.errors()).write(&id))
        };
        if self.running.len() >= self.limit {
            return refuse("THROTTLED", format!("more than {} operations run on this socket", self.limit));
        }
        let idempotency_key = match idempotency_key(&axum::http::HeaderMap::new(), &params) {
            Ok(key) => key,
            Err(refusal) => return refuse(refusal.code, refusal.message),
        };
        let info = RequestInfo { request_id, idempotency_key, ..socket.clone() };
        let outlet = Outlet { id: id.clone(), number, answer: self.answer.clone() };
        let span = tracing::info_span!("operation", request_id = %info.request_id, tenant = Empty, operation = Empty);
        let task = tokio::spawn(run(shared.clone(), session.clone(), params, info, outlet).instrument(span));
        self.running.insert(id, Running { number, _task: AbortOnDropHandle::new(task) });
        None
    }

    /// The next thing that an operation has to say. Waits for ever when none has.
    pub(super) async fn next(&mut self) -> Outgoing {
        match self.answers.recv().await {
            Some(outgoing) => outgoing,
            // Never: this end holds a sender as well.
            None => std::future::pending().await,
        }
    }

    /// The message for the client, unless the operation has been ended meanwhile.
    pub(super) fn deliver(&mut self, outgoing: Outgoing) -> Option<String> {
        let Outgoing { id, number, event } = outgoing;
        self.running.get(&id).filter(|running| running.number == number)?;
        if event.ends() {
            self.running.remove(&id);
        }
        Some(event.write(&id))
    }

    pub(super) fn end(&mut self, id: &str) {
        self.running.remove(id);
    }

    pub(super) fn end_all(&mut self) {
        self.running.clear();
    }
}

impl Outlet {
    /// Waits while the client is slow. An error means that there is no client any more.
    async fn say(&self, event: Event) -> Result<(), mpsc::error::SendError<Outgoing>> {
        self.answer.send(Outgoing { id: self.id.clone(), number: self.number, event }).await
    }
}

async fn run<B: Backend>(shared: Shared<B>, session: B::Session, params: Params, info: RequestInfo, outlet: Outlet) {
    let _ = match Operation::admit(&shared.backend, &session, params, info) {
        Err(answer) => outlet.say(Event::error(answer.errors())).await,
        Ok(operation) if operation.kind == OperationType::Subscription => {
            subscribe(&shared, &session, operation, &outlet).await
        }
        Ok(operation) => {
            let answer = operation.execute(&shared.backend, &session, shared.settings.deadline).await;
            finish(answer, &outlet).await
        }
    };
}

type Said = Result<(), mpsc::error::SendError<Outgoing>>;

/// A single answer: an error when the operation could not be run.
async fn finish(answer: Answer, outlet: &Outlet) -> Said {
    if answer.refused {
        return outlet.say(Event::error(answer.errors())).await;
    }
    outlet.say(Event::Next(answer.json())).await?;
    outlet.say(Event::Complete).await
}

async fn subscribe<B: Backend>(
    shared: &Shared<B>,
    session: &B::Session,
    operation: Operation,
    outlet: &Outlet,
) -> Said {
    let mut events = operation.subscribe(&shared.backend, session);
    let mut begun = false;
    while let Some(answer) = events.next().await {
        // Without an event there was no stream to begin with.
        if answer.refused || (!begun && answer.has_no_data()) {
            return outlet.say(Event::error(answer.errors())).await;
        }
        begun = true;
        outlet.say(Event::Next(answer.json())).await?;
    }
    outlet.say(Event::Complete).await
}
