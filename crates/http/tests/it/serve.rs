//! The server with time-outs: slow heads, too many connections, an end in good order.

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tollway_http::{Serve, plain_client};

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn router() -> Router {
    Router::new().route("/", get(|peer: ConnectInfo<SocketAddr>| async move { peer.0.ip().to_string() }))
}

/// A head that drips in byte by byte.
#[tokio::test]
async fn a_slow_head_costs_its_sender_the_connection() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(Serve::new(listener, router()).header_timeout(Duration::from_millis(200)).into_future());
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"GET / HT").await.unwrap();
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(30), slow.read_to_end(&mut answer)).await;
    assert!(closed.is_ok(), "the server hangs up");
    let response = plain_client().unwrap().get(format!("http://{address}/")).send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "127.0.0.1", "and others are served, with their address");
    server.abort();
}

#[tokio::test]
async fn connections_above_the_limit_wait() {
    let (listener, address) = listen().await;
    let serve = Serve::new(listener, router()).max_connections(1).header_timeout(Duration::from_millis(200));
    let server = tokio::spawn(serve.into_future());
    let _idle = TcpStream::connect(address).await.unwrap();
    // Served once the idle one has had its time.
    let response = plain_client().unwrap().get(format!("http://{address}/")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    server.abort();
}

#[tokio::test]
async fn a_shutdown_lets_open_requests_finish() {
    let (listener, address) = listen().await;
    let (started, has_started) = oneshot::channel();
    let (finish, may_finish) = oneshot::channel::<()>();
    let gates = std::sync::Arc::new(std::sync::Mutex::new(Some((started, may_finish))));
    let slow = move || {
        let (started, may_finish) = gates.lock().unwrap().take().unwrap();
        async move {
            started.send(()).unwrap();
            may_finish.await.unwrap();
            "finished"
        }
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let signal = async move { drop(stopped.await) };
    let router = Router::new().route("/slow", get(slow));
    let server = tokio::spawn(Serve::new(listener, router).shutdown(signal).into_future());
    let request = plain_client().unwrap().get(format!("http://{address}/slow"));
    let request = tokio::spawn(async move { request.send().await.unwrap().text().await.unwrap() });
    has_started.await.unwrap();
    stop.send(()).unwrap();
    // No new connection is taken any more, sooner or later.
    while TcpStream::connect(address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    finish.send(()).unwrap();
    assert_eq!(request.await.unwrap(), "finished");
    server.await.unwrap().unwrap();
}
