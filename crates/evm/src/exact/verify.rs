//! What the chain's answer means for a payment, in the specification's order (§2, "Verify").

use super::Exact;
use super::types::{Eip3009Payload, Examined, word_of};
use crate::codes;
use crate::probe::{Answer, Diagnosis};
use tollway_core::{ErrorCode, Payment, Rejected};

/// Judges a payment that passed the local checks.
pub(super) fn verdict(
    payment: &Payment<'_, Exact>,
    payload: &Eip3009Payload,
    examined: &Examined,
    answer: &Answer,
) -> Result<(), Rejected> {
    let refuse = |code: ErrorCode, why: &str| {
        Err(Rejected::new(code).because(why).payer(payload.authorization.from.to_checksum(None)))
    };
    if answer.payer_has_code || answer.deployed {
        // An account with code answers for itself, even where its key signed: the key may have been given up.
        if !answer.confirmed {
            return refuse(codes::SIGNATURE, "the payer's contract did not confirm the signature (EIP-1271)");
        }
    } else if let Some(deployment) = &examined.signature.deployment {
        if !examined.allowed {
            let why = format!(
                "the payer's wallet is not deployed, and this facilitator does not call {}; deploy the wallet first",
                deployment.factory
            );
            return refuse(codes::FACTORY_NOT_ALLOWED, &why);
        }
        let why = "the factory left no wallet at the payer's address, or the chain has no Multicall3 to call it by";
        return refuse(codes::DEPLOYMENT_FAILED, why);
    } else if !examined.recovers {
        let why = "the signature is not the payer's (65 bytes, low s, v 27 or 28)";
        return refuse(codes::SIGNATURE, why);
    }
    if !answer.asset_has_code {
        return refuse(codes::ASSET_NOT_DEPLOYED, "there is no contract at the asset's address");
    }
    if !answer.knows_nonces {
        return refuse(codes::EIP3009_NOT_SUPPORTED, "the asset does not answer authorizationState");
    }
    if answer.nonce_used {
        return refuse(codes::NONCE_USED, "the authorization was used or cancelled");
    }
    if answer.moved {
        return Ok(());
    }
    if answer.ran {
        let why = "the token let the transfer succeed without moving exactly the amount";
        return refuse(codes::SIMULATION_FAILED, why);
    }
    let Diagnosis { balance, name, version } = answer.diagnosis.clone().unwrap_or_default();
    let (offered_name, offered_version) = payment.extra.domain().unwrap_or_default();
    if name.is_some_and(|name| name != offered_name) {
        return refuse(codes::TOKEN_NAME, "the token has another name than extra.name");
    }
    if version.is_some_and(|version| version != offered_version) {
        return refuse(codes::TOKEN_VERSION, "the token has another version than extra.version");
    }
    if balance.is_some_and(|balance| balance < word_of(payment.offer.amount)) {
        return refuse(codes::INSUFFICIENT_BALANCE, "the payer has less than the amount");
    }
    refuse(codes::SIMULATION_FAILED, "the transfer would revert")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eip712::Domains;
    use crate::erc6492::{Deployment, wrap};
    use crate::exact::check::check;
    use crate::test::Signed;
    use alloy::primitives::U256;
    use tollway_core::decode;

    const NOW: u64 = 1_800_000_000;

    /// `wrapped` is whether the factory of a wrapped signature is allowed.
    fn judge(recovers: bool, wrapped: Option<bool>, change: impl FnOnce(&mut Answer)) -> Result<(), String> {
        let signed = Signed::new(NOW);
        let payment = decode::<Exact>(&signed.raw, &signed.offer).unwrap();
        let payload = payment.payload.eip3009().unwrap();
        check(&payment, payload, &"eip155:84532".parse().unwrap(), &Domains::new(84532), &[], NOW).unwrap();
        let mut examined = payload.examined.get().unwrap().clone();
        examined.recovers = recovers;
        let factory = alloy::primitives::Address::repeat_byte(7);
        examined.signature.deployment = wrapped.map(|_| Deployment::open(&wrap(factory, b"create", b"")).unwrap().0);
        examined.allowed = wrapped == Some(true);
        let mut answer = Answer {
            chain: 84532,
            payer_has_code: false,
            deployed: false,
            confirmed: false,
            asset_has_code: true,
            knows_nonces: true,
            nonce_used: false,
            ran: false,
            moved: false,
            diagnosis: Some(Diagnosis {
                balance: Some(U256::from(999)),
                name: Some("other".into()),
                version: Some("other".into()),
            }),
        };
        change(&mut answer);
        verdict(&payment, payload, &examined, &answer).map_err(|rejected| rejected.code.to_string())
    }

    #[test]
    fn diagnoses_come_in_the_specifications_order() {
        let mut order = vec![
            (judge(false, None, |_| ()), "invalid_exact_evm_signature"),
            (judge(false, Some(false), |_| ()), "eip6492_factory_not_allowed"),
            (judge(true, None, |answer| answer.asset_has_code = false), "asset_not_deployed_contract"),
            (judge(true, None, |answer| answer.knows_nonces = false), "invalid_exact_evm_eip3009_not_supported"),
            (judge(true, None, |answer| answer.nonce_used = true), "invalid_exact_evm_nonce_already_used"),
            (judge(true, None, |_| ()), "invalid_exact_evm_token_name_mismatch"),
        ];
        let named = |answer: &mut Answer| answer.diagnosis.as_mut().unwrap().name = Some("USDC".into());
        order.push((judge(true, None, named), "invalid_exact_evm_token_version_mismatch"));
        let silent = |balance: Option<u64>| {
            let balance = balance.map(U256::from);
            move |answer: &mut Answer| answer.diagnosis = Some(Diagnosis { balance, ..Diagnosis::default() })
        };
        order.push((judge(true, None, silent(Some(999))), "invalid_exact_evm_insufficient_balance"));
        for other in [judge(true, None, silent(Some(1000))), judge(true, None, silent(None))] {
            order.push((other, "invalid_exact_evm_transaction_simulation_failed"));
        }
        order.push((judge(true, None, |answer| answer.ran = true), "invalid_exact_evm_transaction_simulation_failed"));
        for (refused, code) in order {
            assert_eq!(refused, Err(code.to_owned()));
        }
        assert_eq!(judge(true, None, |answer| answer.moved = true), Ok(()));
    }

    #[test]
    fn an_account_with_code_is_never_believed_for_its_key() {
        let coded = |confirmed: bool| {
            move |answer: &mut Answer| {
                answer.payer_has_code = true;
                answer.confirmed = confirmed;
                answer.moved = true;
            }
        };
        assert_eq!(judge(true, None, coded(false)), Err("invalid_exact_evm_signature".to_owned()));
        assert_eq!(judge(false, None, coded(true)), Ok(()));
        assert_eq!(judge(false, Some(true), |_| ()), Err("smart_wallet_deployment_failed".to_owned()));
        let made = |confirmed: bool| {
            move |answer: &mut Answer| {
                answer.deployed = true;
                answer.confirmed = confirmed;
                answer.moved = true;
            }
        };
        assert_eq!(judge(false, Some(true), made(false)), Err("invalid_exact_evm_signature".to_owned()));
        assert_eq!(judge(false, Some(true), made(true)), Ok(()));
        // A wrapper whose wallet exists by now is opened, and its factory never called.
        assert_eq!(judge(false, Some(false), coded(true)), Ok(()));
    }
}
