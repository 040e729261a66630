//! Everything that can be said about a payment without asking the chain (specification §2, "Verify").
//!
//! The specification checks the signature fourth, before the authorization's members. Whether a signature is wrong is
//! known only once the chain has said that the payer is no contract, so here the members come first: a payment that is
//! wrong in both ways is refused for its members, for two microseconds and without a round trip.

use super::types::{Eip3009Payload, Examined};
use super::{Exact, offer_address};
use crate::codes;
use crate::eip712::Domains;
use crate::signature::Received;
use alloy::primitives::Address;
use tollway_core::{Amount, NetworkId, Payment, Rejected, Scheme};

/// Seconds an authorization must at least stay good: a settlement takes time.
pub(crate) const TIME_BUFFER: u64 = 6;

/// Checks a payment locally, in the specification's order but for the signature, and leaves what it found in the
/// payload. `factories` are those that may make a payer's wallet; `now` is in Unix seconds.
pub(super) fn check(
    payment: &Payment<'_, Exact>,
    payload: &Eip3009Payload,
    network: &NetworkId,
    domains: &Domains,
    factories: &[Address],
    now: u64,
) -> Result<(), Rejected> {
    examine(payment, payload, network, domains, factories, now)
        .map(|examined| {
            // A payload that was checked before keeps what was found then.
            let _ = payload.examined.set(examined);
        })
        .map_err(|rejected| rejected.payer(payload.authorization.from.to_checksum(None)))
}

fn examine(
    payment: &Payment<'_, Exact>,
    payload: &Eip3009Payload,
    network: &NetworkId,
    domains: &Domains,
    factories: &[Address],
    now: u64,
) -> Result<Examined, Rejected> {
    let (offer, accepted) = (payment.offer, &payment.raw.accepted);
    let authorization = &payload.authorization;

    if accepted.scheme != Exact::NAME || offer.scheme != Exact::NAME {
        return Err(Rejected::new(codes::SCHEME));
    }
    let Some((name, version)) = payment.extra.domain() else {
        return Err(
            Rejected::new(codes::MISSING_DOMAIN).because("the offer's extra needs the token's name and version")
        );
    };
    if accepted.network != offer.network || offer.network != *network {
        return Err(Rejected::new(codes::NETWORK_MISMATCH));
    }
    if payment.extra.method() != crate::assets::EIP3009 {
        return Err(Rejected::new(codes::UNSUPPORTED_PAYLOAD)
            .because(format!("the offer asks for the transfer method {}", payment.extra.method())));
    }
    let asset = offer_address(offer, "asset")?;
    let pay_to = offer_address(offer, "payTo")?;

    let signature = Received::parse(&payload.signature).ok_or_else(|| {
        Rejected::new(codes::SIGNATURE).because("the signature is no hexadecimal text of a signature")
    })?;
    if authorization.to != pay_to {
        return Err(Rejected::new(codes::RECIPIENT).because(format!("the authorization must pay {}", offer.pay_to)));
    }
    if authorization.valid_before < Amount::from(now.saturating_add(TIME_BUFFER)) {
        let message = format!("the authorization must stay valid for {TIME_BUFFER} seconds from {now}");
        return Err(Rejected::new(codes::VALID_BEFORE).because(message));
    }
    if authorization.valid_after > Amount::from(now) {
        return Err(Rejected::new(codes::VALID_AFTER).because(format!("the authorization is not valid yet at {now}")));
    }
    if authorization.value != offer.amount {
        return Err(
            Rejected::new(codes::VALUE).because(format!("the authorization must be of exactly {}", offer.amount))
        );
    }

    let digest = authorization.transfer().digest(&domains.separator(asset, name, version));
    // What is wrapped is for a contract; nobody's key signs it.
    let plain = if signature.deployment.is_some() { None } else { signature.ecdsa() };
    let recovered = plain.and_then(|plain| plain.recover(&digest));
    let recovers = recovered == Some(authorization.from) && authorization.from != Address::ZERO;
    let allowed = signature.deployment.as_ref().is_some_and(|made| factories.contains(&made.factory));
    Ok(Examined { asset, digest, signature, recovers, allowed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{CLIENT_KEY, Signed, key};
    use alloy::primitives::U256;
    use tollway_core::decode;

    const NOW: u64 = 1_800_000_000;

    /// The code a payment is refused with, or what the check found.
    fn outcome(signed: &Signed) -> Result<Examined, String> {
        let network = "eip155:84532".parse().unwrap();
        let payment = decode::<Exact>(&signed.raw, &signed.offer).map_err(|rejected| rejected.code.to_string())?;
        check(&payment, payment.payload.eip3009().unwrap(), &network, &Domains::new(84532), &[], NOW).map_err(
            |rejected| {
                assert_eq!(rejected.payer.as_deref(), Some("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"));
                rejected.code.to_string()
            },
        )?;
        Ok(payment.payload.eip3009().unwrap().examined.get().unwrap().clone())
    }

    fn refused(signed: &Signed) -> String {
        outcome(signed).unwrap_err()
    }

    fn good() -> Signed {
        Signed::new(NOW)
    }

    #[test]
    fn a_good_payment_passes_and_recovers() {
        let examined = outcome(&good()).unwrap();
        assert!(examined.recovers && examined.signature.deployment.is_none());
    }

    #[test]
    fn both_schemes_must_be_exact() {
        let mut signed = good();
        signed.raw.accepted.scheme = "upto".to_owned();
        assert_eq!(refused(&signed), "invalid_exact_evm_scheme");
        let mut signed = good();
        signed.offer.scheme = "upto".to_owned();
        assert_eq!(refused(&signed), "invalid_exact_evm_scheme");
    }

    #[test]
    fn name_and_version_must_be_offered() {
        for member in ["name", "version"] {
            let mut signed = good();
            signed.offer.extra.as_mut().unwrap().remove(member);
            assert_eq!(refused(&signed), "invalid_exact_evm_missing_eip712_domain");
        }
    }

    #[test]
    fn both_networks_must_be_this_one() {
        let mut signed = good();
        signed.raw.accepted.network = "eip155:8453".parse().unwrap();
        assert_eq!(refused(&signed), "invalid_exact_evm_network_mismatch");
        signed.offer.network = "eip155:8453".parse().unwrap();
        assert_eq!(refused(&signed), "invalid_exact_evm_network_mismatch");
    }

    #[test]
    fn another_transfer_method_is_not_served() {
        let mut signed = good();
        signed.offer = signed.offer.with_extra("assetTransferMethod", "permit2");
        assert_eq!(refused(&signed), "unsupported_payload_type");
    }

    #[test]
    fn an_offer_without_addresses_is_refused() {
        for member in ["asset", "payTo"] {
            let mut signed = good();
            if member == "asset" { &mut signed.offer.asset } else { &mut signed.offer.pay_to }.push('0');
            assert_eq!(refused(&signed), "invalid_payment_requirements");
        }
    }

    #[test]
    fn row_11_value_one_off_is_a_value_mismatch() {
        for value in [999u64, 1001] {
            let signed = good().authorize(|authorization| authorization.value = value.into());
            assert_eq!(refused(&signed), "invalid_exact_evm_payload_authorization_value_mismatch");
        }
    }

    #[test]
    fn row_12_wrong_to_is_a_recipient_mismatch() {
        let signed = good().authorize(|authorization| authorization.to = Address::repeat_byte(1));
        assert_eq!(refused(&signed), "invalid_exact_evm_recipient_mismatch");
    }

    #[test]
    fn row_13_valid_before_less_than_now_plus_6_is_expired() {
        let ends = |at: u64| good().authorize(|authorization| authorization.valid_before = at.into());
        assert_eq!(refused(&ends(NOW + 5)), "invalid_exact_evm_payload_authorization_valid_before");
        assert!(outcome(&ends(NOW + 6)).is_ok());
        let forever = good().authorize(|authorization| authorization.valid_before = Amount::MAX);
        assert!(outcome(&forever).is_ok());
    }

    #[test]
    fn row_14_valid_after_in_the_future() {
        let begins = |at: u64| good().authorize(|authorization| authorization.valid_after = at.into());
        assert_eq!(refused(&begins(NOW + 1)), "invalid_exact_evm_payload_authorization_valid_after");
        assert!(outcome(&begins(NOW)).is_ok());
    }

    #[test]
    fn a_clock_at_the_end_of_time_does_not_overflow() {
        let signed = good();
        let payment = decode::<Exact>(&signed.raw, &signed.offer).unwrap();
        let network = "eip155:84532".parse().unwrap();
        let refused =
            check(&payment, payment.payload.eip3009().unwrap(), &network, &Domains::new(84532), &[], u64::MAX)
                .unwrap_err();
        assert_eq!(refused.code, codes::VALID_BEFORE);
    }

    #[test]
    fn text_that_is_no_signature_is_refused_locally() {
        for bad in ["", "0x0", "signature", &format!("0x{}", "00".repeat(5000))] {
            let mut signed = good();
            signed.raw.payload["signature"] = bad.into();
            assert_eq!(refused(&signed), "invalid_exact_evm_signature");
        }
    }

    /// These may still be good for a contract, so the check lets them pass and says that they are not the key's.
    #[test]
    fn row_10_high_s_odd_v_compact_and_short_signatures_do_not_recover() {
        let text = good().raw.payload["signature"].as_str().unwrap().to_owned();
        let bytes = alloy::hex::decode(text).unwrap();
        let mut high = bytes.clone();
        let order =
            U256::from_str_radix("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16).unwrap();
        high[32..64].copy_from_slice(&(order - U256::from_be_slice(&bytes[32..64])).to_be_bytes::<32>());
        high[64] ^= 27 ^ 28;
        let mut odd = bytes.clone();
        odd[64] -= 27;
        for forged in [&high[..], &odd, &bytes[..64], &bytes[..10], &[]] {
            let mut signed = good();
            signed.raw.payload["signature"] = alloy::hex::encode_prefixed(forged).into();
            assert!(!outcome(&signed).unwrap().recovers);
        }
    }

    /// Domain confusion: each signed member, and each part of the domain, is bound by the signature.
    #[test]
    fn mutating_any_field_of_the_digest_breaks_recovery() {
        let broken = |signed: &Signed| assert!(!outcome(signed).unwrap().recovers);
        let mut name = good();
        name.offer = name.offer.with_extra("name", "USD Coin");
        broken(&name);
        let mut version = good();
        version.offer = version.offer.with_extra("version", "1");
        broken(&version);
        let mut asset = good();
        asset.offer.asset = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913".to_owned();
        broken(&asset);
        for (member, value) in [
            ("validAfter", "1".to_owned()),
            ("validBefore", (NOW + 299).to_string()),
            ("nonce", format!("0x{}", "12".repeat(32))),
        ] {
            let mut signed = good();
            signed.raw.payload["authorization"][member] = value.into();
            broken(&signed);
        }
        let mut value = good();
        value.offer.amount = Amount::from(1001);
        value.raw.payload["authorization"]["value"] = "1001".into();
        broken(&value);
        let mut to = good();
        to.offer.pay_to = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C".to_owned();
        to.raw.payload["authorization"]["to"] = to.offer.pay_to.clone().into();
        broken(&to);
    }

    #[test]
    fn the_zero_address_never_recovers() {
        // Some recovery routines answer the zero address for garbage.
        let mut signed = good();
        signed.raw.payload["authorization"]["from"] = format!("0x{}", "0".repeat(40)).into();
        let payment = decode::<Exact>(&signed.raw, &signed.offer).unwrap();
        check(
            &payment,
            payment.payload.eip3009().unwrap(),
            &"eip155:84532".parse().unwrap(),
            &Domains::new(84532),
            &[],
            NOW,
        )
        .unwrap();
        assert!(!payment.payload.eip3009().unwrap().examined.get().unwrap().recovers);
    }

    #[test]
    fn row_18_a_6492_wrapper_is_recognised_and_not_recovered() {
        let signed = good();
        let inner = alloy::hex::decode(signed.raw.payload["signature"].as_str().unwrap()).unwrap();
        let usdc: Address = signed.offer.asset.parse().unwrap();
        let mut wrapped = good();
        let wrapper = crate::erc6492::wrap(usdc, b"transfer", &inner);
        wrapped.raw.payload["signature"] = alloy::hex::encode_prefixed(wrapper).into();
        let examined = outcome(&wrapped).unwrap();
        assert!(examined.signature.deployment.is_some() && !examined.recovers && !examined.allowed);
        assert_eq!(examined.signature.bytes, inner);
    }

    #[test]
    fn somebody_elses_signature_does_not_recover() {
        let stranger = "0xdbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97";
        assert!(outcome(&good().sign_with(&key(CLIENT_KEY))).unwrap().recovers);
        assert!(!outcome(&good().sign_with(&key(stranger))).unwrap().recovers);
    }
}
