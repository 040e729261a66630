//! Programs that end when this one does, however it ends.

use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Longest wait for a line.
const PATIENCE: Duration = Duration::from_secs(120);
/// Runs a program until the shell's input ends. The kernel closes it even if nobody is left to.
const LEASH: &str = "\"$@\" & pid=$!; exec >/dev/null 2>&1; read -r line; kill $pid 2>/dev/null; wait $pid";

/// How a program is started.
#[derive(Debug, Clone)]
pub(super) struct Start {
    words: Vec<String>,
}

impl Start {
    pub(super) fn new<W: AsRef<Path>>(words: impl IntoIterator<Item = W>) -> Self {
        Self { words: words.into_iter().map(|word| word.as_ref().display().to_string()).collect() }
    }

    /// Starts a program whose input nobody needs.
    pub(super) fn leashed(&self, settings: &[(&str, &str)], log: &File) -> Result<Program, String> {
        let words = ["sh", "-c", LEASH, "leash"].map(str::to_owned);
        Program::start(&[&words[..], &self.words].concat(), settings, log)
    }

    /// Starts a program that ends with its input by itself.
    pub(super) fn talking(&self, settings: &[(&str, &str)], log: &File) -> Result<Program, String> {
        Program::start(&self.words, settings, log)
    }
}

/// A running program.
pub(super) struct Program {
    child: Child,
    name: String,
    lines: Receiver<String>,
    asked: u64,
}

impl Program {
    fn start(words: &[String], settings: &[(&str, &str)], log: &File) -> Result<Self, String> {
        let name = words.last().cloned().unwrap_or_default();
        let log = log.try_clone().map_err(|why| format!("the log: {why}"))?;
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .envs(settings.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = command.spawn().map_err(|why| format!("{name} cannot be started: {why}"))?;
        let (sender, lines) = channel();
        if let Some(out) = child.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Self { child, name, lines, asked: 0 })
    }

    pub(super) fn line(&self) -> Result<String, String> {
        self.lines.recv_timeout(PATIENCE).map_err(|_| format!("{} ended, or says nothing", self.name))
    }

    pub(super) fn json(&self) -> Result<Value, String> {
        let line = self.line()?;
        serde_json::from_str(&line).map_err(|_| format!("{} says `{line}`, which is no JSON", self.name))
    }

    /// Where it serves: the first line of a server or a facilitator.
    pub(super) fn ready(&self) -> Result<String, String> {
        let line = self.line()?;
        let url = line.strip_prefix("READY ").ok_or_else(|| format!("{} says `{line}` and not READY", self.name))?;
        Ok(url.to_owned())
    }

    /// One errand of a client to its end.
    pub(super) fn ask(&mut self, url: &str, more: &Value) -> Result<Value, String> {
        self.asked += 1;
        let mut errand = json!({ "id": self.asked, "url": url });
        if let (Some(errand), Some(more)) = (errand.as_object_mut(), more.as_object()) {
            errand.extend(more.clone());
        }
        let input = self.child.stdin.as_mut().ok_or("its input is closed")?;
        input.write_all(format!("{errand}\n").as_bytes()).map_err(|why| format!("{}: {why}", self.name))?;
        let answer = self.json()?;
        match answer["id"] == self.asked {
            true => Ok(answer),
            false => Err(format!("{} answers {} to errand {}", self.name, answer["id"], self.asked)),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The end of its input is the end of it; whoever does not see that is ended.
        drop(self.child.stdin.take());
        let until = Instant::now() + Duration::from_secs(5);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
