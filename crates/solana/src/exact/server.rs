//! [`ExactServer`]: completes offers with the account that pays the fee, and hands out blockhashes.

use super::Exact;
use super::types::LONGEST_MEMO;
use crate::Solana;
use crate::address::{parse_address, shown};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use tollway_core::{Build, BuildContext, Network as _, Object, PaymentRequirements, SchemeServer, SupportedKind};

/// The member of `extra` that names the account that pays the fee, in offers and in `/supported`.
pub(super) const FEE_PAYER: &str = "feePayer";

/// The selling side of `exact`. Needs no node; with one it spares its clients a call per payment.
#[derive(Debug)]
pub struct ExactServer {
    network: Arc<Solana>,
}

impl ExactServer {
    /// A server on this network.
    pub fn new(network: Arc<Solana>) -> Self {
        Self { network }
    }
}

impl SchemeServer for ExactServer {
    type Scheme = Exact;

    fn offer(&self, draft: PaymentRequirements, kind: &SupportedKind) -> Result<PaymentRequirements, String> {
        let id = self.network.id();
        for (member, address) in [("asset", &draft.asset), ("payTo", &draft.pay_to)] {
            if parse_address(address).is_none() {
                return Err(format!("the {member} `{}` is no Solana address", shown(address)));
            }
        }
        if draft.amount.to_u64().is_none() {
            return Err(format!("{} units are more than a token account on {id} can hold", draft.amount));
        }
        match draft.extra_member("memo") {
            None => {}
            Some(Value::String(memo)) if memo.len() <= LONGEST_MEMO => {}
            Some(_) => return Err(format!("extra.memo must be text of at most {LONGEST_MEMO} bytes")),
        }
        let said = kind.extra.as_ref().and_then(|extra| extra.get(FEE_PAYER)).and_then(Value::as_str);
        let fee_payer = said.and_then(parse_address).ok_or_else(|| {
            format!(
                "the facilitator says of `exact` on {id} no feePayer that is a Solana address; ask it what it supports, \
                 or configure another"
            )
        })?;
        let fee_payer = Value::String(fee_payer.to_string());
        match draft.extra_member(FEE_PAYER) {
            Some(other) if *other != fee_payer => Err(format!(
                "the facilitator pays the fee from {fee_payer}, not from {other}; leave extra.feePayer out"
            )),
            _ => Ok(draft.with_extra(FEE_PAYER, fee_payer)),
        }
    }

    /// Writes `recentBlockhash` and `lastValidBlockHeight`, where the network has a node that told a recent one.
    fn refresh(&self, offer: &mut PaymentRequirements) {
        let Some(hint) = self.network.node().and_then(|chain| chain.blockhashes.hint()) else { return };
        let extra = offer.extra.get_or_insert_with(Object::new);
        extra.insert("recentBlockhash".to_owned(), hint.blockhash.into());
        extra.insert("lastValidBlockHeight".to_owned(), hint.last_valid_block_height.to_string().into());
    }
}

/// The section of the server side. It has no keys yet.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ExactServerConfig {}

impl Build for ExactServer {
    type Config = ExactServerConfig;

    async fn build(_: ExactServerConfig, cx: BuildContext) -> Result<Self, String> {
        Ok(Self::new(cx.network()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{Script, golden_offer, network_over};
    use serde_json::json;
    use std::time::Duration;
    use tollway_core::Amount;

    const FACILITATOR: &str = "GGYWSW4X8JEWMH8uz3CokSSGyPAwCLEXtYaz4paCdDdM";

    fn offer(change: impl FnOnce(PaymentRequirements) -> PaymentRequirements) -> Result<PaymentRequirements, String> {
        said(json!({ "feePayer": FACILITATOR }), change)
    }

    fn said(
        extra: Value,
        change: impl FnOnce(PaymentRequirements) -> PaymentRequirements,
    ) -> Result<PaymentRequirements, String> {
        let golden = golden_offer("exact-svm");
        let draft =
            PaymentRequirements::new("exact", golden.network.clone(), golden.amount, golden.asset, golden.pay_to);
        let kind = SupportedKind::new("exact", &golden.network, extra.as_object().cloned());
        let network = Solana::builder(golden.network).build().unwrap();
        ExactServer::new(Arc::new(network)).offer(change(draft), &kind)
    }

    fn with(mut draft: PaymentRequirements, change: impl FnOnce(&mut PaymentRequirements)) -> PaymentRequirements {
        change(&mut draft);
        draft
    }

    #[test]
    fn the_golden_offers_are_made() {
        assert_eq!(offer(|draft| draft).unwrap(), golden_offer("exact-svm"));
        assert_eq!(offer(|draft| draft.with_extra("memo", "order-42")).unwrap(), golden_offer("exact-svm-memo"));
    }

    #[test]
    fn what_cannot_work_is_refused_with_advice() {
        for (error, part) in [
            (offer(|draft| draft.with_extra("memo", "x".repeat(257))), "256"),
            (offer(|draft| draft.with_extra("memo", 42)), "memo"),
            (
                offer(|draft| draft.with_extra("feePayer", "11111111111111111111111111111111")),
                "leave extra.feePayer out",
            ),
            (offer(|draft| with(draft, |draft| draft.pay_to = "alice.sol".to_owned())), "alice.sol"),
            (offer(|draft| with(draft, |draft| draft.asset = "USDC".to_owned())), "USDC"),
            (offer(|draft| with(draft, |draft| draft.amount = Amount::MAX)), "more than"),
            (said(json!({}), |draft| draft), "feePayer"),
            (said(json!({ "feePayer": 7 }), |draft| draft), "feePayer"),
            (said(json!({ "feePayer": "0x12" }), |draft| draft), "feePayer"),
        ] {
            let error = error.unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        assert!(offer(|draft| draft.with_extra("memo", "x".repeat(256))).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn hints_are_written_once_there_is_one_and_never_waited_for() {
        let script = Script::default();
        script.on("getLatestBlockhash", |_| {
            Ok(json!({ "context": { "slot": 1 }, "value": { "blockhash": FACILITATOR, "lastValidBlockHeight": 250 } }))
        });
        let server = ExactServer::new(Arc::new(network_over(script.clone())));
        let mut offer = golden_offer("exact-svm");
        server.refresh(&mut offer);
        assert_eq!(offer, golden_offer("exact-svm"));
        tokio::time::sleep(Duration::from_millis(1)).await;
        server.refresh(&mut offer);
        assert_eq!(offer.extra_member("recentBlockhash"), Some(&json!(FACILITATOR)));
        assert_eq!(offer.extra_member("lastValidBlockHeight"), Some(&json!("250")));
        let hinted = offer.clone();
        for _ in 0..1000 {
            server.refresh(&mut offer);
        }
        assert_eq!((offer, script.calls("getLatestBlockhash")), (hinted, 1));
    }

    #[test]
    fn without_a_node_there_are_no_hints() {
        let network = Solana::builder(golden_offer("exact-svm").network).build().unwrap();
        let mut offer = golden_offer("exact-svm");
        ExactServer::new(Arc::new(network)).refresh(&mut offer);
        assert_eq!(offer, golden_offer("exact-svm"));
    }
}
