//! What the tests of both stores share.

use tollway_core::{Ledger, NetworkId, Outcome, Rejected, Scope, Settled, Taken, Ticket, codes};
use tollway_testkit::fixtures;

pub(crate) fn settled(transaction: &str) -> Outcome {
    Outcome::Settled(Settled::new(transaction, "alice"))
}

pub(crate) fn released() -> Outcome {
    Outcome::Released(Rejected::new(codes::UNEXPECTED_SETTLE_ERROR))
}

pub(crate) fn network() -> NetworkId {
    fixtures::network("fake:fixture")
}

/// Takes a row of a facilitator that nobody has.
pub(crate) async fn taken(ledger: &dyn Ledger, name: &str) -> Ticket {
    match ledger.take(&fixtures::row(Scope::Facilitator, name, "mine")).await.unwrap() {
        Taken::New(ticket) => ticket,
        other => panic!("`{name}` is {other:?}"),
    }
}
