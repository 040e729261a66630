//! A relay before the server: clients know the server by its address, so that every request can be seen, held back and
//! presented again, and every challenge rewritten.

use super::http::Message;
use super::wire;
use serde_json::Value;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Changes a challenge on its way to the client.
pub(super) type Edit = fn(&mut Value);

#[derive(Default)]
struct Inner {
    /// Where the server is.
    server: String,
    /// Requests that carried a payment or a sign-in, as the client sent them.
    seen: Vec<Message>,
    /// Payments are not passed on but answered as if they had been lost.
    holding: bool,
    edit: Option<Edit>,
}

/// A running relay; its thread ends with the process.
#[derive(Clone)]
pub(super) struct Relay {
    pub(super) url: String,
    inner: Arc<Mutex<Inner>>,
}

impl Relay {
    pub(super) fn start() -> Result<Self, String> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|why| why.to_string())?;
        let url = format!("http://{}", listener.local_addr().map_err(|why| why.to_string())?);
        let relay = Self { url, inner: Arc::default() };
        let serving = relay.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let relay = serving.clone();
                thread::spawn(move || {
                    if let Err(why) = relay.pass(&stream) {
                        let answer = Message { first: "HTTP/1.1 502 Relay".to_owned(), ..Message::default() };
                        let _ = Message { body: why.into_bytes(), ..answer }.write(&stream);
                    }
                });
            }
        });
        Ok(relay)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn point_at(&self, server: &str) {
        self.lock().server = server.to_owned();
    }

    /// What the client sends while `act` runs, with every payment held back and every challenge changed.
    pub(super) fn holding<T>(&self, edit: Option<Edit>, act: impl FnOnce() -> T) -> (T, Vec<Message>) {
        (self.lock().holding, self.lock().edit) = (true, edit);
        let done = self.watching(act);
        (self.lock().holding, self.lock().edit) = (false, None);
        done
    }

    /// What the client sends while `act` runs.
    pub(super) fn watching<T>(&self, act: impl FnOnce() -> T) -> (T, Vec<Message>) {
        self.lock().seen.clear();
        let done = act();
        (done, std::mem::take(&mut self.lock().seen))
    }

    fn pass(&self, stream: &TcpStream) -> Result<(), String> {
        let request = Message::read(stream)?;
        let pays = request.header("payment-signature").is_some();
        let (server, hold, edit) = {
            let mut inner = self.lock();
            if pays || request.header("sign-in-with-x").is_some() {
                inner.seen.push(request.clone());
            }
            (inner.server.clone(), inner.holding && pays, inner.edit)
        };
        if hold {
            return Message { first: "HTTP/1.1 503 Held".to_owned(), ..Message::default() }.write(stream);
        }
        let forwarded = Message { first: request.first.replace("HTTP/1.1", "HTTP/1.0"), ..request };
        let mut answer = forwarded.send(&server)?;
        if let (Some(edit), Some(header)) = (edit, answer.header("payment-required")) {
            let mut challenge = wire::decode(header)?;
            edit(&mut challenge);
            answer.set("payment-required", &wire::encode(&challenge));
        }
        answer.write(stream)
    }
}
