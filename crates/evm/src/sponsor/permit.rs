//! An EIP-2612 permit for Permit2, as a payment carries it.

use super::{is_address, is_hex, is_number, is_version, text};
use crate::address::parse_address;
use crate::codes;
use crate::exact::TIME_BUFFER;
use crate::permit2::{PERMIT2, Permit, Permit2612, hash_words};
use alloy::primitives::{Address, B256, U256, b256, keccak256};
use tollway_core::{ErrorCode, Object, Rejected};

/// What the client adds to the declaration.
pub(super) const MEMBERS: &[&str] =
    &["from", "asset", "spender", "amount", "nonce", "deadline", "signature", "version"];

/// Hash of `Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)`.
pub(crate) const PERMIT_TYPE: B256 = b256!("6e71edae12b1b97f4d1f60370fef10105fa2faae0126114a169c64845d6126c9");

/// Checks a permit in the specification's order. Whether the token takes it, the simulation shows.
pub(super) fn check(info: &Object, permit: &Permit, now: u64) -> Result<Permit2612, Rejected> {
    let refuse = |code: ErrorCode, why: &str| Rejected::new(code).because(why);
    let read = || {
        let address = |member| text(info, member, is_address).and_then(parse_address);
        let number = |member| text(info, member, is_number).and_then(|text| U256::from_str_radix(text, 10).ok());
        number("nonce")?;
        text(info, "version", is_version)?;
        let signature = alloy::hex::decode(text(info, "signature", is_hex)?).ok()?;
        let signature: [u8; 65] = signature.try_into().ok()?;
        let parties = (address("from")?, address("asset")?, address("spender")?);
        Some((parties, number("amount")?, number("deadline")?, signature))
    };
    let Some(((from, asset, spender), amount, deadline, signature)) = read() else {
        return Err(refuse(codes::EIP2612_FORMAT, "a member of the EIP-2612 permit is missing or of the wrong form"));
    };
    if from != permit.owner {
        return Err(refuse(codes::EIP2612_FROM, "the EIP-2612 permit must be the payer's"));
    }
    if asset != permit.token {
        return Err(refuse(codes::EIP2612_ASSET, "the EIP-2612 permit must be for the payment's token"));
    }
    if spender != PERMIT2 {
        return Err(refuse(codes::EIP2612_SPENDER, "the EIP-2612 permit must name Permit2 as spender"));
    }
    if deadline < U256::from(now.saturating_add(TIME_BUFFER)) {
        return Err(refuse(codes::EIP2612_DEADLINE, "the EIP-2612 permit ends too soon"));
    }
    if amount != permit.amount {
        return Err(refuse(
            codes::PERMIT2_2612_AMOUNT,
            "the proxy takes EIP-2612 permits of exactly the permitted amount",
        ));
    }
    let (r, s) = (B256::from_slice(&signature[..32]), B256::from_slice(&signature[32..64]));
    Ok(Permit2612 { value: amount, deadline, r, s, v: signature[64] })
}

/// What the payer signs for a token whose domain has this separator.
pub(super) fn digest(separator: B256, owner: Address, value: U256, nonce: U256, deadline: U256) -> B256 {
    let content =
        hash_words(&[PERMIT_TYPE, owner.into_word(), PERMIT2.into_word(), value.into(), nonce.into(), deadline.into()]);
    keccak256([&[0x19, 0x01][..], separator.as_slice(), content.as_slice()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eip712::Domains;
    use crate::signature::Ecdsa;
    use crate::test::{CLIENT_KEY, key, vector_a1};
    use alloy::primitives::address;

    #[test]
    fn vector_a_4_eip_2612() {
        let text = "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)";
        assert_eq!(PERMIT_TYPE, keccak256(text));
        let usdc = address!("036CbD53842c5426634e7929541eC2318f3dCF7e");
        let separator = Domains::new(84532).separator(usdc, "USDC", "2");
        let end = U256::from(1_900_000_000);
        let digest = digest(separator, vector_a1().from, U256::from(10_000), U256::ZERO, end);
        assert_eq!(digest, b256!("adab447465ade72dd0f227db408e5c8f967c7596c471adc2faaa9420d62cdd80"));
        assert_eq!(
            alloy::hex::encode_prefixed(Ecdsa::sign(&key(CLIENT_KEY), &digest).to_bytes()),
            "0x32e48d93731d9241b4b633eb4a11ab0f4dd15f8f1cbfd49cd81b8fee5b55dbe1548217c5cf488174a745f789e2e0c19c46135963\
             d3c26b94047c0c882b1f5c621b"
        );
    }
}
