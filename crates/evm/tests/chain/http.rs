//! The transport over real sockets, on whatever port is free.

use crate::support::*;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tollway_core::erased::FacilitatorDyn;
use tollway_core::{Fault, FaultKind};
use tollway_devnet::accounts::FACILITATOR;
use tollway_evm::{Evm, ExactFacilitator, Finality};

/// The world's facilitator, over HTTP to this URL.
fn over(world: World, url: &str, timeout: Duration) -> World {
    let builder = Evm::builder("eip155:84532".parse().unwrap()).rpc(url).unwrap().finality(Finality::Blocks(0));
    let builder = builder.clock(world.clock.clone()).rpc_timeout(timeout).block_time(Duration::from_millis(100));
    let evm = Arc::new(builder.build().unwrap());
    let side = Arc::new(ExactFacilitator::new(evm.clone(), &[key(&FACILITATOR)]).unwrap());
    World { evm, side, ..world }
}

#[tokio::test]
async fn payments_verify_and_settle_over_http() {
    let world = World::new();
    let server = world.devnet.serve("127.0.0.1:0").await.unwrap();
    let world = over(world, &server.url(), Duration::from_secs(30));
    world.devnet.reset_calls();
    world.verify(&Pay::new(1)).await.unwrap();
    assert_eq!(world.devnet.calls().round_trips, 1);
    settled(world.settle(&Pay::new(1)).await);
    assert_eq!(world.refused(&Pay::new(1)).await, "invalid_exact_evm_nonce_already_used");
}

#[tokio::test]
async fn an_http_status_on_sending_is_read_for_what_it_means() {
    let world = World::new();
    let server = world.devnet.serve("127.0.0.1:0").await.unwrap();
    let world = over(world, &server.url(), Duration::from_secs(30));
    // Turned away at the door: certainly not sent.
    world.devnet.inject("eth_sendRawTransaction", tollway_devnet::Fault::Status(429), 1);
    assert_eq!(fault(world.settle(&Pay::new(1)).await).kind, FaultKind::Unreachable);
    // An answer from further in, or none: maybe sent, so it goes again.
    world.devnet.inject("eth_sendRawTransaction", tollway_devnet::Fault::Status(502), 1);
    settled(world.settle(&Pay::new(1)).await);
    world.devnet.inject("eth_sendRawTransaction", tollway_devnet::Fault::DropAnswer, 1);
    settled(world.settle(&Pay::new(2)).await);
}

/// The world's facilitator, which looks for blocks once a minute unless it is told of them.
fn told(world: World, url: &str, ws: &str, block_time: Duration) -> World {
    let builder = Evm::builder("eip155:84532".parse().unwrap()).rpc(url).unwrap().subscribe(ws).unwrap();
    let builder = builder.clock(world.clock.clone()).block_time(block_time).settle_timeout(Duration::from_secs(20));
    let evm = Arc::new(builder.finality(Finality::Blocks(0)).build().unwrap());
    let side = Arc::new(ExactFacilitator::new(evm.clone(), &[key(&FACILITATOR)]).unwrap());
    World { evm, side, ..world }
}

#[tokio::test]
async fn a_settlement_is_seen_when_the_node_announces_its_block() {
    let world = World::manual();
    let server = world.devnet.serve("127.0.0.1:0").await.unwrap();
    let world = Arc::new(told(world, &server.url(), &server.ws_url(), Duration::from_secs(30)));
    let settling = world.settling(&Pay::new(1));
    world.waiting(1).await;
    while world.devnet.calls().of("eth_subscribe") == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The looks before it was told are over; the next would come after the settlement's time.
    let mut looks = 0;
    while std::mem::replace(&mut looks, world.devnet.calls().of("eth_getBlockByNumber")) != looks {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    world.devnet.mine();
    settled(settling.await.unwrap());
}

#[tokio::test]
async fn where_no_block_is_announced_they_are_looked_for() {
    let world = World::with(tollway_devnet::Mining::Interval(Duration::from_millis(50)), |chain| chain, |evm| evm);
    let server = world.devnet.serve("127.0.0.1:0").await.unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let world = told(world, &server.url(), &format!("ws://{gone}"), Duration::from_millis(50));
    settled(world.settle(&Pay::new(1)).await);
}

#[test]
fn announcements_without_a_node_to_ask_are_a_mistake() {
    let builder = Evm::builder("eip155:84532".parse().unwrap()).subscribe("wss://node.test").unwrap();
    assert!(builder.build().unwrap_err().contains("add `rpc`"));
}

/// A server that says `answer` to everybody, again and again if `endless`.
async fn server(answer: &'static str, endless: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut asked = [0; 1024];
                let _ = socket.read(&mut asked).await;
                let _ = socket.write_all(answer.as_bytes()).await;
                let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
                while endless && socket.write_all(chunk.as_bytes()).await.is_ok() {}
            });
        }
    });
    address
}

async fn asked(address: SocketAddr, timeout: Duration) -> Fault {
    let world = over(World::new(), &format!("http://{address}/v2/canary"), timeout);
    let (raw, offer) = Pay::new(1).wire();
    let fault = fault(FacilitatorDyn::open(&*world.side, &raw, &offer).unwrap().verify().await);
    assert!(!fault.to_string().contains("canary") && !format!("{fault:?}").contains("canary"), "{fault:?}");
    fault
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let fault = asked(server(head, true).await, Duration::from_secs(60)).await;
    assert!(fault.message.contains("larger than"), "{fault}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let fault = asked(listener.local_addr().unwrap(), Duration::from_millis(50)).await;
    assert_eq!(fault.kind, FaultKind::Timeout);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let other = server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", false).await;
    let answer = format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{other}/\r\nContent-Length: 0\r\n\r\n");
    let fault = asked(server(answer.leak(), false).await, Duration::from_secs(60)).await;
    assert!(fault.message.contains("307"), "{fault}");
}

#[tokio::test]
async fn what_is_no_json_rpc_is_a_fault() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        "HTTP/1.1 200 OK\r\nContent-Length: 38\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":null} ",
        "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":\"0x12\"}",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"jso",
        "garbage",
    ] {
        asked(server(answer, false).await, Duration::from_millis(500)).await;
    }
}
