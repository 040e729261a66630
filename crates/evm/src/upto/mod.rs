//! The scheme `upto`: the payer signs a maximum by Permit2, the server charges any part of it once, and only the
//! facilitator that the permit names can carry it out (specification `upto` on EVM).

mod client;
mod facilitator;
mod server;

pub use client::UptoClient;
pub use facilitator::UptoFacilitator;
pub use server::UptoServer;

use crate::codes;
use crate::exact::{Extra, offer_address};
use crate::permit2::{NOT_UPTO, PermitView, UptoPayload};
use tollway_core::codes::{INVALID_PAYLOAD, INVALID_PAYMENT_REQUIREMENTS};
use tollway_core::{Claim, Flow, Payment, Rejected, Scheme, WirePart};

/// The member of `extra` that tells which facilitator a permit is to name.
const FACILITATOR: &str = "facilitatorAddress";

/// The scheme. Its claim key is `<network>/permit2/<owner>/<nonce>`, as that of `exact` by Permit2: one nonce is one
/// payment, whichever proxy spends it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Upto;

impl Scheme for Upto {
    const NAME: &'static str = "upto";
    const FLOWS: &'static [Flow] = &[Flow::Authorization];
    const BINDING_EXTRA: &'static [&'static str] = &[FACILITATOR];
    const METERED: bool = true;
    type Payload = UptoPayload;
    type Extra = Extra;

    fn claim(payment: &Payment<'_, Self>) -> Result<Claim, Rejected> {
        Ok(PermitView::upto(payment).claim(offer_address(payment.offer, "asset")?))
    }

    fn malformed(part: WirePart, why: &serde_json::Error) -> Rejected {
        let why = why.to_string();
        let code = match part {
            WirePart::Payload if why == NOT_UPTO => codes::UNSUPPORTED_PAYLOAD,
            WirePart::Payload => INVALID_PAYLOAD,
            WirePart::Extra => INVALID_PAYMENT_REQUIREMENTS,
        };
        Rejected::new(code).because(why)
    }
}
