//! The paying side: a permit for an offer, and what became of one.

use super::contracts::{PERMIT2, Permit, Permit2Contract, is_spent};
use super::{Kind, METHOD};
use crate::chain::json_number;
use crate::exact::types::word_of;
use crate::exact::{agrees, offer_address};
use crate::rpc::{Call, CallError, missing, read};
use crate::signer::sign_digest;
use crate::{Evm, codes, exact::Extra};
use alloy::primitives::{Address, Bytes, U64, U256};
use alloy::sol_types::SolCall as _;
use serde_json::json;
use tollway_core::{PaymentRequirements, Rejected, Result, Signer, Standing};

/// Signs a permit of exactly the offer's amount with a nonce. Gives also the signature in text, and when it ends in
/// Unix seconds.
///
/// # Errors
/// The offer asks for something else than it says, or the signer failed.
pub(crate) async fn sign(
    kind: &'static Kind,
    network: &Evm,
    signer: &dyn Signer,
    owner: Address,
    (offer, extra): (&PaymentRequirements, &Extra),
    facilitator: Option<Address>,
    nonce: [u8; 32],
) -> Result<(Permit, String, u64)> {
    let (token, to) = (offer_address(offer, "asset")?, offer_address(offer, "payTo")?);
    if let Some(asset) = network.known_asset(&offer.asset) {
        agrees(asset, METHOD, extra)?;
    }
    let end = network.now().checked_add(offer.max_timeout_seconds.get()).ok_or_else(|| {
        Rejected::new(codes::PERMIT2_DEADLINE).because("the offer's maxTimeoutSeconds is beyond the end of time")
    })?;
    let permit = Permit {
        owner,
        token,
        amount: word_of(offer.amount),
        spender: kind.proxy,
        nonce: U256::from_be_bytes(nonce),
        deadline: U256::from(end),
        to,
        facilitator,
        valid_after: U256::ZERO,
    };
    let signature = sign_digest(signer, owner, &permit.digest(network.chain_id())).await?;
    Ok((permit, alloy::hex::encode_prefixed(signature.to_bytes()), end))
}

/// What has become of a permit.
///
/// # Errors
/// The chain could not be asked.
pub(crate) async fn permit_state(network: &Evm, permit: &Permit) -> Result<Standing> {
    let Ok(chain) = network.chain() else { return Ok(Standing::Unknown) };
    let asked = async {
        let stamp = chain.stamp().await?;
        let calls =
            [bitmap_call(permit.owner, permit.nonce, &json_number(stamp.number)), Call::new("eth_chainId", &())];
        let mut answers = chain.rpc.batch(&calls).await?.into_iter();
        let mut next = || answers.next().unwrap_or_else(|| Err(missing()));
        let (word, id): (Bytes, U64) = (read(&next()?)?, read(&next()?)?);
        Ok::<_, CallError>((word, id, stamp))
    };
    let (word, id, stamp) = asked.await.map_err(|error| chain.rpc.fault("asking for a permit's state", error))?;
    if id != U64::from(chain.id()) {
        return Err(chain.wrong_chain(id.to()).into());
    }
    Ok(match spent(permit.nonce, &word) {
        // An invalidated nonce counts as used too. Taking it for spent errs on the budget's safe side.
        true => Standing::Spent,
        // The chain's own time: this computer's clock cannot prove that the chain is past the end.
        false if U256::from(stamp.timestamp) > permit.deadline => Standing::Dead,
        false => Standing::Open,
    })
}

/// The call that asks Permit2 for the word a nonce is in, at a block or a tag.
pub(super) fn bitmap_call(owner: Address, nonce: U256, block: &str) -> Call {
    let data = Bytes::from(Permit2Contract::nonceBitmapCall { owner, word: nonce >> 8 }.abi_encode());
    Call::new("eth_call", &(json!({ "to": PERMIT2, "data": data }), block))
}

/// Whether the answer of [`bitmap_call`] says that the nonce is used.
pub(super) fn spent(nonce: U256, answer: &Bytes) -> bool {
    let word = U256::try_from_be_slice(answer.get(..32).unwrap_or_default());
    word.is_some_and(|word| is_spent(nonce, word))
}
