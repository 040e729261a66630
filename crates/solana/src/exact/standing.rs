//! What became of a payment that this client signed: whether the network ran its message, or never will.
//!
//! On chain a transaction is named by its first signature, which is the fee payer's and which the client never saw. So it
//! is looked for by its message, among what touched the account that the tokens would have left.

use super::{AUTHORITY, TRANSFER};
use crate::chain::Chain;
use crate::message::Transaction;
use crate::programs::{MEMO, is_token};
use crate::rpc::{CallError, Entry, MOST_ENTRIES};
use solana_pubkey::Pubkey;
use tollway_core::Standing;

/// Most transactions read to find one.
const MOST_READ: usize = 64;
/// Which account of a transfer the tokens leave.
const SOURCE: usize = 0;

impl Chain {
    /// How a payment stands. It is looked for once no block to come can carry it and all that could are final: until then
    /// it can land at any time.
    ///
    /// # Errors
    /// The node could not be asked, or keeps no history.
    pub(super) async fn standing(&self, payment: &Transaction) -> Result<Standing, CallError> {
        if !self.confirmations.expiry.has_passed(&self.rpc, &payment.blockhash()).await? {
            return Ok(Standing::Open);
        }
        let Some(source) = source(payment) else { return Ok(Standing::Unknown) };
        let entries = self.rpc.entries(&source).await?;
        let (mut read, all) = (0usize, entries.len() < MOST_ENTRIES);
        for entry in entries.iter().filter(|entry| may_be(payment, entry)) {
            read = read.saturating_add(1);
            let found = if read > MOST_READ { None } else { self.rpc.transaction(&entry.signature).await? };
            match found.map(Transaction::decode) {
                Some(Ok(found)) if found.message() == payment.message() => return Ok(Standing::Spent),
                Some(_) => {}
                // One that the node cannot show may be the one.
                None => return Ok(Standing::Unknown),
            }
        }
        Ok(if all { Standing::Dead } else { Standing::Unknown })
    }
}

/// The account that the tokens leave.
fn source(payment: &Transaction) -> Option<Pubkey> {
    let transfer = payment.instructions().nth(TRANSFER).filter(|it| is_token(&it.program))?;
    transfer.accounts.get(AUTHORITY)?;
    payment.key(*transfer.accounts.get(SOURCE)?)
}

/// Whether what the node says of a transaction leaves it open that it is this payment. One that failed moved nothing, and
/// the network does not run a message twice.
fn may_be(payment: &Transaction, entry: &Entry) -> bool {
    let memo = payment.instructions().find(|it| it.program == MEMO).and_then(|it| str::from_utf8(it.data).ok());
    let same = || match (memo, &entry.memo) {
        (Some(ours), Some(theirs)) => theirs.contains(ours),
        // Not every node tells memos.
        _ => true,
    };
    entry.err.is_none() && same()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{Script, block_on, golden_bytes, network_over, splice};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use serde_json::{Value, json};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    const FLOW: &str = "exact-svm";
    const MEMO_TEXT: &str = "1e6d9ea110a627d5bb23abb7d2046d7a";

    /// A node on which the payment's blockhash is long gone, with this history.
    fn node(entries: Value) -> Script {
        let (script, height) = (Script::default(), AtomicU64::new(1000));
        // Every look finds the chain a hundred blocks further on.
        script.on("getBlockHeight", move |_| Ok(json!(height.fetch_add(100, Relaxed))));
        script.on("isBlockhashValid", |_| Ok(json!({ "context": { "slot": 1 }, "value": false })));
        script.on("getSignaturesForAddress", move |params| {
            assert_eq!(params[1]["limit"], MOST_ENTRIES);
            Ok(entries.clone())
        });
        let bytes = |name: &str| match name {
            "landed" => Some(splice(&golden_bytes(FLOW), 1, &[7; 64])),
            "other" => Some(golden_bytes("multi-svm")),
            _ => None,
        };
        script.on("getTransaction", move |params| {
            let found = bytes(params[0].as_str().unwrap());
            Ok(json!(found.map(|bytes| json!({ "transaction": [BASE64.encode(bytes), "base64"], "slot": 5 }))))
        });
        script
    }

    fn entry(signature: &str, memo: Option<&str>) -> Value {
        json!({ "signature": signature, "memo": memo, "err": null, "slot": 5, "confirmationStatus": "finalized" })
    }

    fn standing(script: &Script) -> Result<Standing, CallError> {
        let network = Arc::new(network_over(script.clone()));
        let chain = network.chain().unwrap();
        let payment = Transaction::decode(golden_bytes(FLOW)).unwrap();
        assert_eq!(block_on(chain.standing(&payment)).unwrap(), Standing::Open, "one look proves nothing");
        block_on(chain.standing(&payment))
    }

    #[test]
    fn what_is_in_the_history_was_spent_whoever_paid_the_fee() {
        let memo = format!("[32] {MEMO_TEXT}");
        for memo in [Some(&*memo), None] {
            let script = node(json!([entry("other", None), entry("landed", memo)]));
            assert_eq!(standing(&script).unwrap(), Standing::Spent);
        }
    }

    #[test]
    fn what_is_not_in_the_whole_history_is_dead() {
        let failed = json!({ "signature": "landed", "memo": null, "err": { "InstructionError": [2, "x"] }, "slot": 5 });
        let script = node(json!([entry("other", None), entry("landed", Some("[5] other")), failed]));
        assert_eq!(standing(&script).unwrap(), Standing::Dead);
        assert_eq!(script.calls("getTransaction"), 1, "what has another memo or failed is not read");
        assert_eq!(standing(&node(json!([]))).unwrap(), Standing::Dead);
    }

    #[test]
    fn what_could_be_in_a_part_that_is_not_seen_is_unknown() {
        let many = |count: usize, memo: Option<&str>| json!(vec![entry("other", memo); count]);
        assert_eq!(standing(&node(many(MOST_ENTRIES, Some("[5] other")))).unwrap(), Standing::Unknown, "more follow");
        let script = node(many(MOST_READ + 1, None));
        assert_eq!(standing(&script).unwrap(), Standing::Unknown, "too many to read");
        assert_eq!(script.calls("getTransaction"), MOST_READ);
        assert_eq!(standing(&node(json!([entry("forgotten", None)]))).unwrap(), Standing::Unknown);
    }

    #[test]
    fn a_node_without_history_proves_nothing() {
        let script = node(json!([]));
        script.on("getSignaturesForAddress", |_| Err((-32011, "Transaction history is not available".to_owned())));
        assert!(standing(&script).is_err());
    }
}
