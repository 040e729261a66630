//! [`Serve`]: serves a router with the time-outs and limits that `axum::serve` leaves out.

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::fmt;
use std::future::{Future, IntoFuture, pending};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt;

/// Longest wait for a request's head, unless configured otherwise; also how long an idle connection is kept.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// Most connections open at once, unless configured otherwise.
const MAX_CONNECTIONS: usize = 4096;
/// Most connections that can be asked for.
const MOST_PLACES: u32 = 1 << 20;
/// Pause after the system would not give another connection: it is out of something, and asking harder does not help.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Longest wait for open requests once a shutdown has begun.
const DRAIN: Duration = Duration::from_secs(30);

/// Serves a router over HTTP/1. `await` it; it ends when the shutdown signal comes and open requests are answered.
///
/// A peer that sends its request's head slowly, or opens more connections than it should, costs no more than is
/// configured here.
///
/// ```no_run
/// # async fn run(router: axum::Router) -> std::io::Result<()> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:4021").await?;
/// tollway_http::Serve::new(listener, router).await
/// # }
/// ```
pub struct Serve {
    listener: TcpListener,
    router: Router,
    header_timeout: Duration,
    max_connections: usize,
    shutdown: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl fmt::Debug for Serve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve").field("listener", &self.listener).finish_non_exhaustive()
    }
}

impl Serve {
    /// Serves `router` on `listener` until the program ends.
    pub fn new(listener: TcpListener, router: Router) -> Self {
        Self {
            listener,
            router,
            header_timeout: HEADER_TIMEOUT,
            max_connections: MAX_CONNECTIONS,
            shutdown: Box::pin(pending()),
        }
    }

    /// Longest wait for a request's head; 15 seconds if left out.
    pub fn header_timeout(mut self, longest: Duration) -> Self {
        self.header_timeout = longest;
        self
    }

    /// Most connections open at once; 4096 if left out. Further peers wait.
    pub fn max_connections(mut self, most: usize) -> Self {
        self.max_connections = most;
        self
    }

    /// Ends when this does: no new connection is taken, open requests have 30 seconds.
    pub fn shutdown(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.shutdown = Box::pin(signal);
        self
    }

    async fn run(self) -> io::Result<()> {
        let Self { listener, router, header_timeout, max_connections, mut shutdown } = self;
        let most = u32::try_from(max_connections).unwrap_or(u32::MAX).clamp(1, MOST_PLACES);
        let places = Arc::new(Semaphore::new(most as usize));
        let (ending, ended) = watch::channel(());
        loop {
            let next = async {
                let place = places.clone().acquire_owned().await;
                (place, listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                next = next => next,
                () = &mut shutdown => break,
            };
            // The semaphore is never closed, so there always is a place.
            let Ok(place) = place else { break };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(why) => {
                    tracing::warn!(%why, "a connection could not be taken");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let connection = serve_connection(stream, peer, router.clone(), header_timeout, ended.clone());
            tokio::spawn(async move {
                if let Err(why) = connection.await {
                    tracing::debug!(%why, %peer, "a connection ended early");
                }
                drop(place);
            });
        }
        drop((listener, ending));
        // All places are free once all connections have ended.
        if tokio::time::timeout(DRAIN, places.acquire_many(most)).await.is_err() {
            tracing::warn!("some requests were still open when the server ended");
        }
        Ok(())
    }
}

/// Serves one connection to its end. Once `ended` has no sender any more, the request under way is the last.
async fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    header_timeout: Duration,
    mut ended: watch::Receiver<()>,
) -> Result<(), hyper::Error> {
    // Answers are written whole; waiting for more to say only delays them.
    let _ = stream.set_nodelay(true);
    let service = router.map_request(move |request: http::Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        request
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .with_upgrades();
    let mut connection = pin!(connection);
    tokio::select! {
        done = connection.as_mut() => done,
        _ = ended.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}

impl IntoFuture for Serve {
    type Output = io::Result<()>;
    type IntoFuture = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
