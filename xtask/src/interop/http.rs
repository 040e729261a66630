//! As much of HTTP as it takes to stand between two programs on this machine: messages that end, within bounds.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Longest head, and longest body.
const MOST: u64 = 1024 * 1024;
/// Longest wait for one read. A settlement may be behind it.
const PATIENCE: Duration = Duration::from_secs(100);

/// A request or an answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Message {
    /// `GET /path HTTP/1.1`, or `HTTP/1.1 200 OK`.
    pub(super) first: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Message {
    /// A request for a URL's path.
    pub(super) fn request(method: &str, target: &str) -> Self {
        // Answers to 1.0 are never chunked, and end with their connection.
        Self { first: format!("{method} {target} HTTP/1.0"), ..Self::default() }
    }

    pub(super) fn json(mut self, body: &serde_json::Value) -> Self {
        self.body = body.to_string().into_bytes();
        self.set("content-type", "application/json");
        self
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// The second word of the first line: a request's target, or an answer's status.
    pub(super) fn second(&self) -> &str {
        self.first.split(' ').nth(1).unwrap_or_default()
    }

    pub(super) fn status(&self) -> u16 {
        self.second().parse().unwrap_or_default()
    }

    /// Reads one. An answer without a length ends with its connection, a request without one has no body.
    pub(super) fn read(stream: &TcpStream) -> Result<Self, String> {
        stream.set_read_timeout(Some(PATIENCE)).map_err(|why| why.to_string())?;
        let mut reader = BufReader::new(stream.take(MOST));
        let line = |reader: &mut BufReader<_>| {
            let mut line = String::new();
            reader.read_line(&mut line).map_err(|why| why.to_string())?;
            Ok::<_, String>(line.trim_end().to_owned())
        };
        let mut message = Self { first: line(&mut reader)?, ..Self::default() };
        if message.first.is_empty() {
            return Err("the connection was closed".to_owned());
        }
        loop {
            let header = line(&mut reader)?;
            let Some((name, value)) = header.split_once(':') else { break };
            message.headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let length = message.header("content-length").and_then(|text| text.parse::<u64>().ok());
        let chunked = message.header("transfer-encoding").is_some_and(|kind| kind.eq_ignore_ascii_case("chunked"));
        let mut take =
            |most: u64, into: &mut Vec<u8>| (&mut reader).take(most).read_to_end(into).map_err(|e| e.to_string());
        if chunked {
            return Err("a chunked body where none was expected".to_owned());
        } else if let Some(length) = length {
            take(length, &mut message.body)?;
        } else if message.first.starts_with("HTTP/") {
            take(MOST, &mut message.body)?;
        }
        Ok(message)
    }

    /// Writes it as the last on its connection.
    pub(super) fn write(&self, mut stream: &TcpStream) -> Result<(), String> {
        let mut head = format!("{}\r\n", self.first);
        let ours = ["connection", "content-length", "transfer-encoding", "keep-alive"];
        for (name, value) in self.headers.iter().filter(|(name, _)| !ours.contains(&&*name.to_ascii_lowercase())) {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let _ = write!(head, "connection: close\r\ncontent-length: {}\r\n\r\n", self.body.len());
        stream.write_all(&[head.as_bytes(), &self.body].concat()).map_err(|why| why.to_string())
    }

    /// Sends it to an origin such as `http://127.0.0.1:4020`, and reads the answer. A `Host` that it has it keeps.
    pub(super) fn send(&self, origin: &str) -> Result<Self, String> {
        let host = origin.strip_prefix("http://").unwrap_or(origin);
        let stream = TcpStream::connect(host).map_err(|why| format!("{origin}: {why}"))?;
        let mut request = self.clone();
        if request.header("host").is_none() {
            request.set("host", host);
        }
        request.write(&stream)?;
        Self::read(&stream).map_err(|why| format!("{origin}: {why}"))
    }
}
