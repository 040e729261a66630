//! Settling: make sure once more unless that was a moment ago, sign, write down, send, wait (specification §5).
//!
//! Until the transaction is handed to the node, whatever goes wrong is a refusal or a fault and the payment is free
//! again. From then on there are only outcomes, and what is not known is `Pending`.

use super::Exact;
use super::facilitator::ExactFacilitator;
use super::verify;
use crate::codes;
use crate::settler::outcome;
use solana_signature::Signature;
use tollway_core::{Network as _, Outcome, Payment, Rejected, Result, SettleContext, SignedTx, Slot};

pub(super) async fn settle(
    side: &ExactFacilitator,
    payment: &Payment<'_, Exact>,
    cx: &SettleContext,
) -> Result<Outcome> {
    let chain = side.network.chain()?;
    let examined = side.examined(payment)?;
    let transaction = payment.payload.decoded().map_err(|_| Rejected::new(codes::NOT_DECODED))?;
    let signed = match side.recent.take(&examined.hash, side.limits.trust) {
        true => verify::sign(side, payment, examined).await?,
        false => verify::assess(side, payment, examined).await?,
    };
    let hash = Signature::from(signed.signature).to_string();
    let (network, signer) = (side.network.id(), examined.fee_payer.to_string());
    let epoch = cx.ledger.hold(network, &signer).await?;
    let slot = Slot::new(network.clone(), signer, None).with_epoch(epoch);
    let durable = cx.ledger.signed(SignedTx::new(slot, &hash, signed.bytes), std::slice::from_ref(&cx.ticket)).await?;
    let fate = chain.confirmations.send(&durable, &transaction.blockhash()).await;
    let known = outcome(&fate, &hash, &examined.authority.to_string());
    Ok(known.unwrap_or(Outcome::Pending { transaction: hash }))
}

#[cfg(test)]
mod tests {
    use crate::programs::TOKEN;
    use crate::test::{Script, facilitator_over, golden_bytes, golden_offer, golden_payment, simulated};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use serde_json::{Value, json};
    use std::sync::Arc;
    use tollway_core::erased::FacilitatorDyn;
    use tollway_core::{
        ClaimKey, ClaimRow, Failure, Fault, FaultKind, Found, Ledger, OpenSlot, Outcome, Result, Scope, SignedTx,
        Taken, Ticket,
    };
    use tollway_roles::MemoryLedger;
    use tollway_testkit::golden;

    fn node() -> Script {
        let script = Script::default();
        script.on("simulateTransaction", |params| Ok(simulated(params, TOKEN, &[], 1000)));
        script.on("sendTransaction", |_| Ok(json!("whatever")));
        script.on("getSignatureStatuses", |_| {
            let status = json!({ "slot": 1, "err": null, "confirmationStatus": "confirmed" });
            Ok(json!({ "context": { "slot": 1 }, "value": [status] }))
        });
        script
    }

    async fn settle(script: &Script, flow: &str, ledger: Arc<dyn Ledger>) -> Result<Outcome> {
        let facilitator = facilitator_over(script.clone(), json!({}));
        let (payment, offer) = (golden_payment(flow), golden_offer(flow));
        let open = FacilitatorDyn::open(&facilitator, &payment, &offer)?;
        open.check()?;
        let claim = open.claim().clone();
        open.settle(&tollway_testkit::fixtures::taken(ledger, &claim, &payment, &offer).await).await
    }

    /// Message, signatures and so the transaction's name are those of the reference implementation.
    #[tokio::test(start_paused = true)]
    async fn golden_payments_settle_to_the_recorded_receipts() {
        for flow in ["exact-svm", "exact-svm-memo", "multi-svm"] {
            let script = node();
            script.on("sendTransaction", move |params| {
                let bytes = BASE64.decode(params[0].as_str().unwrap()).unwrap();
                assert_eq!(bytes[65..], golden_bytes(flow)[65..]);
                assert_eq!(params[1]["skipPreflight"], true);
                Ok(json!("whatever"))
            });
            let Ok(Outcome::Settled(settled)) = settle(&script, flow, Arc::<MemoryLedger>::default()).await else {
                panic!("{flow} does not settle")
            };
            let recorded = &golden::flow(flow)["facilitator"][1]["response"]["body"];
            assert_eq!(settled.transaction, recorded["transaction"].as_str().unwrap());
            assert_eq!(settled.payer.as_deref(), recorded["payer"].as_str());
            assert_eq!(script.total(), 3, "simulate, send, one look");
        }
    }

    /// A ledger that cannot write.
    struct Gone;

    #[tollway_core::async_trait]
    impl Ledger for Gone {
        async fn take(&self, row: &ClaimRow) -> Result<Taken, Fault> {
            Ok(Taken::New(row.ticket()))
        }
        async fn retake(&self, _: &ClaimRow) -> Result<Option<Found<SignedTx>>, Fault> {
            Ok(None)
        }
        async fn find(&self, _: Scope, _: &ClaimKey) -> Result<Option<Found<SignedTx>>, Fault> {
            Ok(None)
        }
        async fn write_signed(&self, _: &SignedTx, _: &[Ticket]) -> Result<(), Fault> {
            Err(Fault::new(FaultKind::Unreachable, "the store is gone"))
        }
        async fn resolve(&self, _: Scope, _: &[(Ticket, Outcome)]) -> Result<(), Fault> {
            Ok(())
        }
        async fn open(&self, _: usize) -> Result<Vec<OpenSlot<SignedTx>>, Fault> {
            Ok(Vec::new())
        }
    }

    /// Reliability, "database gone": no claim, no broadcast.
    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_written_down_is_not_sent() {
        let script = node();
        let Err(Failure::Fault(fault)) = settle(&script, "exact-svm", Arc::new(Gone)).await else { panic!("settled") };
        assert_eq!(fault.sent, tollway_core::Sent::No);
        assert_eq!((script.calls("simulateTransaction"), script.calls("sendTransaction")), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_signed_is_in_the_ledger_before_it_is_sent() {
        let (script, ledger) = (node(), Arc::<MemoryLedger>::default());
        let seen: Arc<std::sync::Mutex<Vec<Value>>> = Arc::default();
        let (books, notes) = (ledger.clone(), seen.clone());
        script.on("sendTransaction", move |params| {
            // The send runs within a runtime; a look into memory needs none.
            let open = futures_now(books.open(10)).unwrap();
            let attempt = &open[0].attempts[0];
            assert_eq!(BASE64.encode(&attempt.bytes), params[0].as_str().unwrap());
            assert_eq!(attempt.slot.signer, "GGYWSW4X8JEWMH8uz3CokSSGyPAwCLEXtYaz4paCdDdM");
            assert_eq!((attempt.slot.sequence, attempt.dead_after), (None, None));
            notes.lock().unwrap().push(params[0].clone());
            Ok(json!("whatever"))
        });
        settle(&script, "exact-svm", ledger).await.unwrap();
        assert_eq!(seen.lock().unwrap().len(), 1);
    }

    /// Drives a future that never waits.
    fn futures_now<T>(future: impl Future<Output = T>) -> T {
        let mut future = Box::pin(future);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(ready) => ready,
            std::task::Poll::Pending => panic!("it waits"),
        }
    }
}
