#![doc = include_str!("../README.md")]

mod budget;
mod catalogue;
mod chain;
mod clock;
mod conformance;
mod facilitator;
pub mod fixtures;
pub mod golden;
mod host;
mod ledger;
#[cfg(all(feature = "postgres", unix))]
pub mod postgres;
mod report;
mod request;
mod secrets;
mod sessions;

pub use budget::budget_suite;
pub use catalogue::catalogue_suite;
pub use chain::{
    Auditor, COIN, EURO, FAKE, FakeChain, FakeChainConfig, FakeClient, FakeClientConfig, FakeExact, FakePayload,
    FakeServer, FakeServerConfig, FakeSigner, FakeTeller, Fate, OnSettle, OnVerify, Script, Transfer, codes,
};
pub use clock::FakeClock;
pub use conformance::{Chapter, Conformance, Sample, conformance};
pub use facilitator::{Answer, Call, FakeFacilitator, Lie};
pub use host::FakeHost;
pub use ledger::{SharedLedger, ledger_suite, shared_ledger_suite};
pub use report::{Failure, Report};
pub use request::FakeRequest;
pub use secrets::FakeSecrets;
pub use sessions::session_suite;

/// Runs a future to its end on a runtime of its own, so that plug-ins need no runtime to be tested.
///
/// # Panics
/// The system gives no threads.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be started").block_on(future)
}
