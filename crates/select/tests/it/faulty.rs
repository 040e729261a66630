//! Facilitators that go wrong on purpose, in this process and over HTTP: at a given step, in a given way.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tollway_core::{
    Caller, Facilitator, FacilitatorCall, Fault, FaultKind, Outcome, PaymentPayload, PaymentRequirements, Result,
    SupportedResponse, Verified, async_trait,
};

/// How a step goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// HTTP 500 and nothing readable.
    Broken,
    /// A page for people, with 200.
    Html,
    /// 200 with an error in JSON.
    OkError,
    /// Turned away before anything was done: 503, and it says so.
    Unsent,
    /// Never an answer.
    Hangs,
    /// The connection breaks before anything is done.
    Drops,
    /// Everything is done, and the connection breaks before the answer.
    DropsAfter,
    /// Everything is done, and the answer names another payer.
    Lies,
    /// Broken every other time.
    Flaps,
    /// It can do nothing, it says.
    Empty,
}

/// What is to go wrong; changes while the facilitator runs.
#[derive(Clone, Default)]
pub(crate) struct Plan(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    wrong: Option<(FacilitatorCall, Wrong)>,
    /// Calls since the plan was made that it is about.
    met: usize,
    calls: Vec<FacilitatorCall>,
}

impl Plan {
    pub(crate) fn set(&self, wrong: Option<(FacilitatorCall, Wrong)>) {
        let mut state = self.0.lock().unwrap();
        (state.wrong, state.met) = (wrong, 0);
    }

    /// How often this was asked.
    pub(crate) fn asked(&self, call: FacilitatorCall) -> usize {
        self.0.lock().unwrap().calls.iter().filter(|asked| **asked == call).count()
    }

    fn at(&self, call: FacilitatorCall) -> Option<Wrong> {
        let mut state = self.0.lock().unwrap();
        state.calls.push(call);
        let wrong = state.wrong.filter(|(at, _)| *at == call).map(|(_, wrong)| wrong)?;
        state.met += 1;
        match wrong {
            Wrong::Flaps if state.met.is_multiple_of(2) => None,
            Wrong::Flaps => Some(Wrong::Broken),
            wrong => Some(wrong),
        }
    }
}

/// A facilitator over HTTP, on a thread and a runtime of its own: killed, it leaves no connection open.
pub(crate) struct Site {
    pub(crate) url: String,
    pub(crate) plan: Plan,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Site {
    pub(crate) fn serve(router: Router, unbound: bool) -> Self {
        let plan = Plan::default();
        let router = router.layer(from_fn_with_state((plan.clone(), unbound), misbehave));
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(format!("http://{}", listener.local_addr().unwrap())).unwrap();
                let serving = async { axum::serve(listener, router).await.unwrap() };
                tokio::select! { () = serving => {}, _ = stopped => {} }
            });
        });
        Self { url: told.recv().unwrap(), plan, stop: Some(stop), thread: Some(thread) }
    }

    /// Ends it in the middle of whatever it does.
    pub(crate) fn kill(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.kill();
    }
}

fn answer(status: u16, kind: &'static str, body: impl Into<Body>) -> Response {
    Response::builder().status(status).header("content-type", kind).body(body.into()).unwrap()
}

async fn json_of(response: Response) -> Value {
    serde_json::from_slice(&to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap()
}

async fn misbehave(State((plan, unbound)): State<(Plan, bool)>, request: Request, next: Next) -> Response {
    let call = match request.uri().path() {
        "/verify" => FacilitatorCall::Verify,
        "/settle" => FacilitatorCall::Settle,
        _ => FacilitatorCall::Supported,
    };
    match plan.at(call) {
        Some(Wrong::Broken | Wrong::Flaps) => answer(500, "text/plain", "out of order"),
        Some(Wrong::Html) => answer(200, "text/html", "<!doctype html><title>Maintenance</title>"),
        Some(Wrong::OkError) => answer(200, "application/json", r#"{"error":"internal"}"#),
        Some(Wrong::Unsent) => answer(503, "application/json", r#"{"sent":false}"#),
        Some(Wrong::Empty) => answer(200, "application/json", r#"{"kinds":[]}"#),
        Some(Wrong::Hangs) => std::future::pending().await,
        // A connection whose task ends breaks.
        Some(Wrong::Drops) => panic!("scripted: the connection breaks"),
        Some(Wrong::DropsAfter) => {
            drop(next.run(request).await);
            panic!("scripted: the connection breaks");
        }
        Some(Wrong::Lies) => {
            let mut said = json_of(next.run(request).await).await;
            said["payer"] = json!("somebody-else");
            answer(200, "application/json", said.to_string())
        }
        None if unbound && call == FacilitatorCall::Supported => {
            let mut said = json_of(next.run(request).await).await;
            said["signers"] = json!({});
            answer(200, "application/json", said.to_string())
        }
        None => next.run(request).await,
    }
}

/// The same in this process.
pub(crate) struct Own {
    pub(crate) name: &'static str,
    pub(crate) inner: Arc<dyn Facilitator>,
    pub(crate) plan: Plan,
    pub(crate) unbound: bool,
}

impl Own {
    fn before(&self, call: FacilitatorCall) -> Result<Option<Wrong>> {
        let sent = |fault: Fault| if call == FacilitatorCall::Settle { fault.maybe_sent() } else { fault };
        match self.plan.at(call) {
            Some(Wrong::Unsent) => Err(Fault::new(FaultKind::Overloaded, "scripted").into()),
            Some(Wrong::Broken | Wrong::Html | Wrong::OkError) => {
                Err(sent(Fault::new(FaultKind::Invalid, "scripted")).into())
            }
            Some(Wrong::Drops) => Err(sent(Fault::new(FaultKind::Unreachable, "scripted")).into()),
            other => Ok(other),
        }
    }
}

#[async_trait]
impl Facilitator for Own {
    fn name(&self) -> &str {
        self.name
    }

    async fn supported(&self) -> Result<SupportedResponse> {
        let mut said = match self.before(FacilitatorCall::Supported)? {
            Some(Wrong::Hangs) => std::future::pending().await,
            Some(Wrong::Empty) => SupportedResponse::default(),
            Some(_) => return Err(Fault::new(FaultKind::Invalid, "scripted").into()),
            None => self.inner.supported().await?,
        };
        if self.unbound {
            said.signers.clear();
        }
        Ok(said)
    }

    async fn verify(&self, raw: &PaymentPayload, offer: &PaymentRequirements) -> Result<Verified> {
        match self.before(FacilitatorCall::Verify)? {
            Some(Wrong::Hangs) => std::future::pending().await,
            Some(Wrong::Lies) => Ok(Verified::new("somebody-else")),
            Some(_) => Err(Fault::new(FaultKind::Invalid, "scripted").into()),
            None => self.inner.verify(raw, offer).await,
        }
    }

    async fn settle(&self, raw: &PaymentPayload, offer: &PaymentRequirements, caller: &Caller) -> Result<Outcome> {
        match self.before(FacilitatorCall::Settle)? {
            Some(Wrong::Hangs) => std::future::pending().await,
            Some(Wrong::Lies) => {
                let mut outcome = self.inner.settle(raw, offer, caller).await?;
                if let Outcome::Settled(settled) = &mut outcome {
                    settled.payer = Some("somebody-else".to_owned());
                }
                Ok(outcome)
            }
            Some(_) => {
                drop(self.inner.settle(raw, offer, caller).await);
                Err(Fault::new(FaultKind::Unreachable, "scripted").maybe_sent().into())
            }
            None => self.inner.settle(raw, offer, caller).await,
        }
    }
}
