//! Sends requests, so many at once, and measures what the process under test spent on them.

use crate::Load;
use crate::child::Served;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What one kind of request costs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// CPU of the process under test per request, in microseconds.
    pub(crate) cpu_us: f64,
}

type Make = Arc<dyn Fn(&reqwest::Client, usize) -> reqwest::RequestBuilder + Send + Sync>;

/// A kind of request, and the status it must be answered with.
#[derive(Clone)]
pub(crate) struct Kind {
    make: Make,
    status: u16,
}

impl Kind {
    /// `make` gets the number of the request, counted over the whole run.
    pub(crate) fn new(
        status: u16,
        make: impl Fn(&reqwest::Client, usize) -> reqwest::RequestBuilder + Send + Sync + 'static,
    ) -> Self {
        Self { make: Arc::new(make), status }
    }
}

/// Rounds of each kind, one after the other, so that what else the machine does falls on all alike.
const ROUNDS: usize = 9;

/// How many requests of one kind [`compare`] sends, the warm-up among them.
pub(crate) fn requests(load: Load) -> usize {
    warm_up(load) + load.requests.div_ceil(ROUNDS) * ROUNDS
}

fn warm_up(load: Load) -> usize {
    load.requests / 10 + load.at_once
}

/// Sends `load.requests` requests of each kind in alternating rounds and gives the median round of each. Warm-up
/// requests are sent first and not counted.
pub(crate) async fn compare(served: &Served, load: Load, kinds: &[Kind]) -> Result<Vec<Cost>, String> {
    let per_round = load.requests.div_ceil(ROUNDS);
    let mut costs = vec![Vec::with_capacity(ROUNDS); kinds.len()];
    for kind in kinds {
        series(Load { requests: warm_up(load), ..load }, 0, kind.clone()).await?;
    }
    for round in 0..ROUNDS {
        for (kind, costs) in kinds.iter().zip(&mut costs) {
            let before = served.cpu().await?;
            series(Load { requests: per_round, ..load }, warm_up(load) + round * per_round, kind.clone()).await?;
            let spent = served.cpu().await?.saturating_sub(before);
            costs.push(Cost { cpu_us: spent.as_secs_f64() * 1e6 / per_round as f64 });
        }
    }
    let median = |mut costs: Vec<Cost>| {
        costs.sort_by(|a, b| a.cpu_us.total_cmp(&b.cpu_us));
        costs[costs.len() / 2]
    };
    Ok(costs.into_iter().map(median).collect())
}

async fn series(load: Load, first: usize, kind: Kind) -> Result<(), String> {
    let http =
        reqwest::Client::builder().pool_max_idle_per_host(load.at_once).build().map_err(|why| why.to_string())?;
    let next = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..load.at_once)
        .map(|_| {
            let (http, next, kind) = (http.clone(), next.clone(), kind.clone());
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= load.requests {
                        return Ok(());
                    }
                    let answer = (kind.make)(&http, first + number).send().await.map_err(|why| format!("{why:?}"))?;
                    let got = answer.status().as_u16();
                    let body = answer.text().await.map_err(|why| why.to_string())?;
                    if got != kind.status || body.contains("\"isValid\":false") {
                        return Err(format!("request {number} was answered {got} instead of {}: {body}", kind.status));
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.map_err(|why| why.to_string())??;
    }
    Ok(())
}
