//! The facilitator's own CPU time per verification, HTTP to the node included and the node excluded:
//! `cargo bench -p tollway-evm --bench verify`. Linux only, where a thread can read its time.
//!
//! The node is a thread that answers every probe with "valid". The facilitator runs on one other thread.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a benchmark")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Instant;
use tollway_core::erased::FacilitatorDyn;
use tollway_core::{Clock, PaymentPayload, PaymentRequirements};
use tollway_evm::{Evm, ExactFacilitator, LocalKey};

/// The hour of the golden payment.
#[derive(Debug)]
struct Then;

impl Clock for Then {
    fn now(&self) -> u64 {
        1_795_188_022 - 300
    }
}

/// Answers "chain 84532; asset has code, knows nonces; the transfer ran and moved" to whatever is asked.
fn node(socket: TcpStream) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let (mut reader, mut writer) = (BufReader::new(socket.try_clone()?), socket);
    let mut body = Vec::new();
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end();
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if line.is_empty() {
                break;
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        let text = String::from_utf8_lossy(&body);
        let id = text.rsplit("\"id\":").next().unwrap_or("0");
        let id: String = id.chars().take_while(char::is_ascii_digit).collect();
        let word = format!("{:064x}", (84532u64 << 8) | 0b0110_1100);
        let answer = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":\"0x{word}\"}}");
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length:";
        write!(writer, "{head} {}\r\n\r\n{answer}", answer.len())?;
    }
}

/// Nanoseconds this thread ran.
fn thread_time() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            std::thread::spawn(move || node(socket));
        }
    });

    let flow = tollway_testkit::golden::flow("exact-evm-eip3009");
    let body = &flow["facilitator"][0]["request"]["body"];
    let raw: PaymentPayload = serde_json::from_value(body["paymentPayload"].clone()).unwrap();
    let offer: PaymentRequirements = serde_json::from_value(body["paymentRequirements"].clone()).unwrap();
    let evm = Evm::builder(offer.network.clone()).rpc(&url).unwrap().clock(Arc::new(Then)).build().unwrap();
    let key = LocalKey::from_hex("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80").unwrap();
    let side = ExactFacilitator::new(Arc::new(evm), &[Arc::new(key)]).unwrap();

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let side = Arc::new(side);
    for at_once in [1usize, 16, 64] {
        let rounds = 20_000 / at_once;
        let run = |rounds: usize| {
            runtime.block_on(async {
                let tasks: Vec<_> = (0..at_once)
                    .map(|_| {
                        let (side, raw, offer) = (side.clone(), raw.clone(), offer.clone());
                        tokio::task::spawn(async move {
                            for _ in 0..rounds {
                                FacilitatorDyn::open(&*side, &raw, &offer).unwrap().verify().await.unwrap();
                            }
                        })
                    })
                    .collect();
                for task in tasks {
                    task.await.unwrap();
                }
            });
        };
        run(rounds / 10 + 1);
        let (cpu, wall) = (thread_time(), Instant::now());
        run(rounds);
        let count = (rounds * at_once) as f64;
        let (cpu, wall) = ((thread_time() - cpu) as f64 / count, wall.elapsed().as_nanos() as f64 / count);
        println!("{at_once:>2} at once: {:6.1} µs CPU, {:6.1} µs passed, per verification", cpu / 1e3, wall / 1e3);
    }
}
