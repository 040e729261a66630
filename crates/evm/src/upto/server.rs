//! [`UptoServer`]: completes offers with the facilitator's address and the transfer method.

use super::{FACILITATOR, Upto};
use crate::Evm;
use crate::assets::METHOD;
use crate::exact::permit2_offer;
use serde_json::Value;
use std::sync::Arc;
use tollway_core::{Build, BuildContext, NoConfig, PaymentRequirements, SchemeServer, SupportedKind};

/// The selling side of `upto`. Needs no RPC, and a facilitator that tells its address.
#[derive(Debug)]
pub struct UptoServer {
    network: Arc<Evm>,
}

impl UptoServer {
    /// A server of offers on this network.
    pub fn new(network: Arc<Evm>) -> Self {
        Self { network }
    }
}

impl SchemeServer for UptoServer {
    type Scheme = Upto;

    fn offer(&self, mut draft: PaymentRequirements, kind: &SupportedKind) -> Result<PaymentRequirements, String> {
        let extra = draft.extra.get_or_insert_default();
        match extra.get(METHOD) {
            None | Some(Value::Null) => {}
            Some(method) if method == crate::permit2::METHOD => {}
            Some(method) => return Err(format!("`upto` is paid by permit2 only, the price asks for {method}")),
        }
        let told = kind.extra.as_ref().and_then(|extra| extra.get(FACILITATOR)).filter(|told| told.is_string());
        let Some(told) = told else {
            return Err(format!(
                "the facilitator tells no {FACILITATOR} for `upto` on {}, which clients bind their permits to; use one \
                 that does",
                kind.network
            ));
        };
        extra.insert(FACILITATOR.to_owned(), told.clone());
        permit2_offer(&self.network, draft)
    }
}

impl Build for UptoServer {
    type Config = NoConfig;

    async fn build(_: NoConfig, cx: BuildContext) -> Result<Self, String> {
        Ok(Self::new(cx.network()?))
    }
}
