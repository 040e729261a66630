//! Sends requests, so many at once, and measures what the process under test spent on them.

use crate::Load;
use crate::child::Served;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What one series of requests cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// CPU of the process under test per request, in microseconds.
    pub(crate) cpu_us: f64,
    /// Wall time of the whole series.
    pub(crate) wall: Duration,
}

/// Sends `load.requests` requests made by `make`, each of which must be answered with `status`. A tenth as many are
/// sent first and not counted.
pub(crate) async fn measure(
    served: &Served,
    load: Load,
    status: u16,
    make: impl Fn(&reqwest::Client, usize) -> reqwest::RequestBuilder + Send + Sync + 'static,
) -> Result<Cost, String> {
    let make = Arc::new(make);
    let warm = load.requests / 10 + load.at_once;
    series(Load { requests: warm, ..load }, 0, status, make.clone()).await?;
    let (before, started) = (served.cpu().await?, Instant::now());
    series(load, warm, status, make).await?;
    let wall = started.elapsed();
    let spent = served.cpu().await?.saturating_sub(before);
    Ok(Cost { cpu_us: spent.as_secs_f64() * 1e6 / load.requests as f64, wall })
}

async fn series(
    load: Load,
    first: usize,
    status: u16,
    make: Arc<impl Fn(&reqwest::Client, usize) -> reqwest::RequestBuilder + Send + Sync + 'static>,
) -> Result<(), String> {
    let http =
        reqwest::Client::builder().pool_max_idle_per_host(load.at_once).build().map_err(|why| why.to_string())?;
    let next = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..load.at_once)
        .map(|_| {
            let (http, next, make) = (http.clone(), next.clone(), make.clone());
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= load.requests {
                        return Ok(());
                    }
                    let answer = make(&http, first + number).send().await.map_err(|why| format!("{why:?}"))?;
                    let got = answer.status().as_u16();
                    let body = answer.text().await.map_err(|why| why.to_string())?;
                    if got != status || body.contains("\"isValid\":false") {
                        return Err(format!("request {number} was answered {got} instead of {status}: {body}"));
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
