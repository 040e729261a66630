//! A client that pays for what it is told to get: a line of JSON in, a line of JSON out, until its input ends.
#![allow(clippy::print_stdout, reason = "answers are for whoever started the program")]

#[path = "client/errand.rs"]
mod errand;

use errand::Errand;
use interop::{Failure, Settings};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, stdin, stdout};
use tokio::sync::{Semaphore, mpsc};
use tollway::http::install_crypto;

/// Most errands under way at a time; further lines wait.
const AT_ONCE: usize = 64;

#[tokio::main(flavor = "multi_thread")]
async fn main() -> Result<(), Failure> {
    install_crypto();
    let settings = Arc::new(Settings::read());
    let (answers, mut written) = mpsc::channel::<Value>(AT_ONCE);
    let writer = tokio::spawn(async move {
        let mut out = stdout();
        while let Some(answer) = written.recv().await {
            out.write_all(format!("{answer}\n").as_bytes()).await?;
            out.flush().await?;
        }
        Ok::<_, std::io::Error>(())
    });
    answers.send(json!({ "ready": true })).await?;
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        if line.trim().is_empty() {
            continue;
        }
        let place = places.clone().acquire_owned().await?;
        let (settings, answers) = (settings.clone(), answers.clone());
        tokio::spawn(async move {
            // Nobody to answer is nobody to tell.
            let _ = answers.send(answer(&settings, &line).await).await;
            drop(place);
        });
    }
    // The writer ends once every errand has given its answer.
    drop(answers);
    Ok(writer.await??)
}

/// What a line is answered with.
async fn answer(settings: &Settings, line: &str) -> Value {
    let id = serde_json::from_str::<Value>(line).map(|line| line["id"].clone()).unwrap_or_default();
    let run = async { serde_json::from_str::<Errand>(line)?.run(settings).await };
    match run.await {
        Ok(answered) => {
            json!({ "id": id, "status": answered.status, "headers": answered.headers, "body": answered.body })
        }
        Err(why) => json!({ "id": id, "error": why.to_string() }),
    }
}
