//! One of the programs, running; it ends with the test.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use tokio::task::block_in_place;

pub(crate) struct Program {
    child: Child,
    out: BufReader<ChildStdout>,
    asked: u64,
}

impl Program {
    /// Starts a program with these settings and no others.
    pub(crate) fn start(path: &str, settings: &[(&str, String)]) -> Self {
        let mut command = Command::new(path);
        command.env_clear().envs(settings.iter().cloned()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out, asked: 0 }
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        block_in_place(|| self.out.read_line(&mut line)).unwrap();
        line.trim_end().to_owned()
    }

    /// Where it serves, as its first line says.
    pub(crate) fn url(&mut self) -> String {
        let line = self.line();
        line.strip_prefix("READY ").unwrap_or_else(|| panic!("it says `{line}`")).to_owned()
    }

    pub(crate) fn write(&mut self, line: &str) {
        self.child.stdin.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    pub(crate) fn answer(&mut self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }

    /// One errand to its end.
    pub(crate) fn ask(&mut self, url: &str, more: Value) -> Value {
        self.asked += 1;
        let mut errand = json!({ "id": self.asked, "url": url });
        errand.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        self.write(&errand.to_string());
        let answer = self.answer();
        assert_eq!(answer["id"], self.asked);
        answer
    }

    /// Closes its input, and waits until it ends by itself.
    pub(crate) fn end(mut self) -> Vec<Value> {
        drop(self.child.stdin.take());
        let mut rest = Vec::new();
        loop {
            match self.line() {
                line if line.is_empty() => break,
                line => rest.push(serde_json::from_str(&line).unwrap()),
            }
        }
        assert!(block_in_place(|| self.child.wait()).unwrap().success());
        rest
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
