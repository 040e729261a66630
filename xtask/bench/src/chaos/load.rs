//! The load: resource servers that present payments until they have an answer, as ours do.

use super::below;
use super::facilitators::Urls;
use crate::payments::{Payer, envelope, offer};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tollway_devnet::accounts::CLIENT;

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(50);
/// Longest wait for one answer.
const ANSWER: Duration = Duration::from_secs(15);

/// What came of one payment.
#[derive(Debug)]
pub(super) struct Presented {
    /// Its authorization's nonce, lower-case hex.
    pub(super) nonce: String,
    pub(super) end: End,
    /// How often it was presented.
    pub(super) times: usize,
}

#[derive(Debug)]
pub(super) enum End {
    /// In this transaction.
    Settled(String),
    /// For this reason.
    Refused(String),
    /// No answer in time; the last one that was none.
    Unanswered(String),
}

pub(super) struct Load {
    workers: JoinSet<Vec<Presented>>,
    stop: Arc<AtomicBool>,
    settled: Arc<AtomicUsize>,
}

impl Load {
    pub(super) async fn start(at_once: usize, urls: Urls) -> Result<Self, String> {
        let (stop, settled) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let payer = Arc::new(Payer::new(&CLIENT, &offer()?).await?);
        let http = reqwest::Client::builder().timeout(ANSWER).build().map_err(|why| why.to_string())?;
        let mut workers = JoinSet::new();
        for _ in 0..at_once {
            let (stop, settled) = (stop.clone(), settled.clone());
            let (payer, http, urls) = (payer.clone(), http.clone(), urls.clone());
            workers.spawn(async move {
                let mut all = Vec::new();
                while !stop.load(Relaxed) {
                    match present(&payer, &http, &urls).await {
                        Ok(presented) => {
                            settled.fetch_add(usize::from(matches!(presented.end, End::Settled(_))), Relaxed);
                            all.push(presented);
                        }
                        Err(why) => {
                            eprintln!("a payment could not be signed: {why}");
                            return all;
                        }
                    }
                }
                all
            });
        }
        Ok(Self { workers, stop, settled })
    }

    pub(super) fn settled(&self) -> usize {
        self.settled.load(Relaxed)
    }

    /// Presents nothing new, and waits for what is under way.
    pub(super) async fn finish(mut self, patience: Duration) -> Vec<Presented> {
        self.stop.store(true, Relaxed);
        let mut all = Vec::new();
        // Each gives up by itself; the rest is room for it.
        let rest = patience * 3;
        while let Ok(Some(Ok(more))) = timeout(rest, self.workers.join_next()).await {
            all.extend(more);
        }
        all
    }
}

/// Presents one payment, to any facilitator, under one idempotency key, until it is answered.
async fn present(payer: &Payer, http: &reqwest::Client, urls: &Urls) -> Result<Presented, String> {
    let payment = payer.sign().await?;
    let nonce = payment.payload["authorization"]["nonce"].as_str().unwrap_or_default().to_lowercase();
    let (body, key) = (envelope(&payment), format!("{:016x}{:016x}", below(u64::MAX), below(u64::MAX)));
    let until = Instant::now() + super::PATIENCE;
    let mut times = 0;
    loop {
        times += 1;
        let which = usize::try_from(below(urls.len() as u64)).unwrap_or_default();
        let url = urls[which].read().unwrap_or_else(PoisonError::into_inner).clone();
        let request = http.post(format!("{url}/settle")).header("content-type", "application/json");
        let answer = request.header("idempotency-key", &key).body(body.clone()).send().await;
        let why = match answer {
            Ok(answer) if answer.status().is_success() => match answer.json::<Value>().await {
                Ok(answer) if answer["success"] == true => {
                    let transaction = answer["transaction"].as_str().unwrap_or_default().to_owned();
                    return Ok(Presented { nonce, end: End::Settled(transaction), times });
                }
                Ok(answer) if answer["errorReason"] == "settlement_pending" => answer.to_string(),
                Ok(answer) => return Ok(Presented { nonce, end: End::Refused(answer.to_string()), times }),
                Err(why) => why.to_string(),
            },
            Ok(answer) => answer.status().to_string(),
            Err(why) => why.to_string(),
        };
        if Instant::now() >= until {
            return Ok(Presented { nonce, end: End::Unanswered(why), times });
        }
        sleep(PAUSE).await;
    }
}
