//! Accepts connections, and ends them in an orderly way.
//!
//! A caller has a bounded time for the headers of a request, and the number of connections is bounded. When the server
//! is told to stop it takes no more connections, closes sockets and event streams with a word, lets requests finish, and
//! leaves when all have or when the time for it is over.

use std::{
    io,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, extract::ConnectInfo, http::Request};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_service::Service;

use super::settings::HttpSettings;

/// Tells sockets and event streams when to end, and the server when they have. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Lifecycle {
    /// A server that runs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells the server to stop.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Resolves when the server was told to stop.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// A token that is cancelled when the server is told to stop.
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        &self.stop
    }

    /// What the server waits for before it leaves.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }
}

/// Serves until the lifecycle is stopped, and then until all is finished or the time to drain is over.
///
/// # Errors
/// When the listener itself fails for good.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    settings: &HttpSettings,
    lifecycle: &Lifecycle,
) -> io::Result<()> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(settings.header_timeout).max_buf_size(64 * 1024);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(20)).enable_connect_protocol();
    let builder = Arc::new(builder);
    let slots = Arc::new(Semaphore::new(settings.connections.min(Semaphore::MAX_PERMITS)));
    loop {
        let accepted = tokio::select! {
            () = lifecycle.stopped() => break,
            accepted = accept(&listener, &slots) => accepted?,
        };
        let Some((stream, peer, slot)) = accepted else { continue };
        let _ = stream.set_nodelay(true);
        let (builder, service) = (Arc::clone(&builder), WithPeer { router: router.clone(), peer });
        let stop = lifecycle.stop.clone();
        lifecycle.tasks.spawn(async move {
            let service = TowerToHyperService::new(service);
            let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
            let ended = tokio::select! {
                ended = &mut connection => ended,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, %peer, "a connection ended early");
            }
            drop(slot);
        });
    }
    drop(listener);
    lifecycle.tasks.close();
    if tokio::time::timeout(settings.drain, lifecycle.tasks.wait()).await.is_err() {
        tracing::warn!(unfinished = lifecycle.tasks.len(), "requests were cut off");
    }
    Ok(())
}

type Accepted = (tokio::net::TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

/// A connection, when there is room for one. Nothing when one was lost before it was accepted.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> io::Result<Option<Accepted>> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    match listener.accept().await {
        Ok((stream, peer)) => Ok(Some((stream, peer, slot))),
        Err(error) if is_of_one_connection(&error) => Ok(None),
        Err(error) => {
            // Out of file descriptors, most likely: some will be closed.
            tracing::error!(%error, "a connection could not be accepted");
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(None)
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// The router, with the address of the connection in every request.
#[derive(Clone)]
struct WithPeer {
    router: Router,
    peer: SocketAddr,
}

impl<B> Service<Request<B>> for WithPeer
where
    Router: Service<Request<B>>,
{
    type Response = <Router as Service<Request<B>>>::Response;
    type Error = <Router as Service<Request<B>>>::Error;
    type Future = <Router as Service<Request<B>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::<Request<B>>::poll_ready(&mut self.router, context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        request.extensions_mut().insert(ConnectInfo(self.peer));
        self.router.call(request)
    }
}
