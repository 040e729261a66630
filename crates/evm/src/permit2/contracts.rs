//! Permit2, its two x402 proxies, and what a payer signs for them.

use alloy::primitives::{Address, B256, Bytes, U256, address, b256, keccak256};
use alloy::sol_types::{SolCall as _, SolError as _};
use tollway_core::ErrorCode;

use crate::codes;

/// Where Permit2 is on every chain.
pub(crate) const PERMIT2: Address = address!("000000000022D473030F116dDEE9F6B43aC78BA3");

/// Hash of `EIP712Domain(string name,uint256 chainId,address verifyingContract)`: Permit2's domain has no version.
const DOMAIN_TYPE: B256 = b256!("8cad95687ba82c2ce50e74f7b754645e5117c3a5bec8151c0726d5857980a866");
const TOKEN_TYPE: B256 = b256!("618358ac3db8dc274f0cd8829da7e234bd48cd73c4a740aede1adec9846d06a1");
const EXACT_WITNESS: B256 = b256!("d97b3239a7f32295517bd14cb074edfdd188dfe5eb42f802bb26d4fd1eb12c37");
const UPTO_WITNESS: B256 = b256!("d4171c445a74218b01d4fd8af34ff1106580ea1e36ff837e64484bfaa2253b75");
const EXACT_PERMIT: B256 = b256!("ebc156cd23678a74c94df13d772ef5478420637f0c94bd10d509e1dc98f521c7");
const UPTO_PERMIT: B256 = b256!("51dff6974ad4388c499e7fcfe838d2bd767162553a144098ce20ea661d70c2ee");

alloy::sol! {
    struct TokenPermissions { address token; uint256 amount; }
    struct PermitTransferFrom { TokenPermissions permitted; uint256 nonce; uint256 deadline; }
    struct ExactWitness { address to; uint256 validAfter; }
    struct WitnessOfUpto { address to; address facilitator; uint256 validAfter; }
    /// An EIP-2612 permit as the proxies take it.
    #[derive(Debug, PartialEq, Eq)]
    struct Permit2612 { uint256 value; uint256 deadline; bytes32 r; bytes32 s; uint8 v; }

    interface ExactProxy {
        function settle(PermitTransferFrom permit, address owner, ExactWitness witness, bytes signature) external;
        function settleWithPermit(
            Permit2612 permit2612, PermitTransferFrom permit, address owner, ExactWitness witness, bytes signature
        ) external;
    }

    interface UptoProxy {
        function settle(
            PermitTransferFrom permit, uint256 amount, address owner, WitnessOfUpto witness, bytes signature
        ) external;
        function settleWithPermit(
            Permit2612 permit2612, PermitTransferFrom permit, uint256 amount, address owner, WitnessOfUpto witness,
            bytes signature
        ) external;
    }

    /// What both proxies say.
    interface Proxy {
        event Settled();
        event SettledWithPermit();
        error InvalidAmount();
        error InvalidOwner();
        error InvalidDestination();
        error PaymentTooEarly();
        error Permit2612AmountMismatch();
        error AmountExceedsPermitted();
        error UnauthorizedFacilitator();
    }

    interface Permit2Contract {
        event UnorderedNonceInvalidation(address indexed owner, uint256 word, uint256 mask);
        function nonceBitmap(address owner, uint256 word) external view returns (uint256);
        error InvalidNonce();
        error InvalidSignatureLength();
        error InvalidSignature();
        error InvalidSigner();
        error InvalidContractSignature();
        error SignatureExpired(uint256 signatureDeadline);
    }
}

/// What a payer signs, of either scheme: with a facilitator it is a permit of `upto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Permit {
    pub(crate) owner: Address,
    pub(crate) token: Address,
    pub(crate) amount: U256,
    pub(crate) spender: Address,
    pub(crate) nonce: U256,
    pub(crate) deadline: U256,
    pub(crate) to: Address,
    pub(crate) facilitator: Option<Address>,
    pub(crate) valid_after: U256,
}

/// Hash of words in a row.
pub(crate) fn hash_words(words: &[B256]) -> B256 {
    keccak256(words.as_flattened_bytes())
}

/// Words as bytes.
trait Flatten {
    fn as_flattened_bytes(&self) -> Vec<u8>;
}

impl Flatten for [B256] {
    fn as_flattened_bytes(&self) -> Vec<u8> {
        self.iter().flat_map(|word| word.0).collect()
    }
}

impl Permit {
    /// What is signed on a chain. The owner is not in it.
    pub(crate) fn digest(&self, chain: u64) -> B256 {
        let word = |number: U256| B256::from(number);
        let (kind, witness) = match self.facilitator {
            None => (EXACT_PERMIT, vec![EXACT_WITNESS, self.to.into_word(), word(self.valid_after)]),
            Some(facilitator) => {
                let words = [UPTO_WITNESS, self.to.into_word(), facilitator.into_word(), word(self.valid_after)];
                (UPTO_PERMIT, words.to_vec())
            }
        };
        let content = hash_words(&[
            kind,
            hash_words(&[TOKEN_TYPE, self.token.into_word(), word(self.amount)]),
            self.spender.into_word(),
            word(self.nonce),
            word(self.deadline),
            hash_words(&witness),
        ]);
        let separator = hash_words(&[DOMAIN_TYPE, keccak256("Permit2"), word(U256::from(chain)), PERMIT2.into_word()]);
        keccak256([&[0x19, 0x01][..], separator.as_slice(), content.as_slice()].concat())
    }

    /// The calldata for the proxy that settles `amount` of it. The proxy of `exact` always takes all.
    pub(crate) fn settle_call(&self, amount: U256, permit2612: Option<&Permit2612>, signature: &Bytes) -> Bytes {
        let permitted = TokenPermissions { token: self.token, amount: self.amount };
        let permit = PermitTransferFrom { permitted, nonce: self.nonce, deadline: self.deadline };
        let (owner, signature) = (self.owner, signature.clone());
        let given = permit2612.map(|given| Permit2612 { ..*given });
        match (self.facilitator, given) {
            (None, None) => {
                let witness = ExactWitness { to: self.to, validAfter: self.valid_after };
                ExactProxy::settleCall { permit, owner, witness, signature }.abi_encode()
            }
            (None, Some(permit2612)) => {
                let witness = ExactWitness { to: self.to, validAfter: self.valid_after };
                ExactProxy::settleWithPermitCall { permit2612, permit, owner, witness, signature }.abi_encode()
            }
            (Some(facilitator), None) => {
                let witness = WitnessOfUpto { to: self.to, facilitator, validAfter: self.valid_after };
                UptoProxy::settleCall { permit, amount, owner, witness, signature }.abi_encode()
            }
            (Some(facilitator), Some(permit2612)) => {
                let witness = WitnessOfUpto { to: self.to, facilitator, validAfter: self.valid_after };
                UptoProxy::settleWithPermitCall { permit2612, permit, amount, owner, witness, signature }.abi_encode()
            }
        }
        .into()
    }

    /// Whether a call of a proxy spends this owner's nonce: what a stranger's transaction carried out.
    pub(crate) fn spent_by(owner: Address, nonce: U256, metered: bool, input: &[u8]) -> bool {
        let (their_owner, permit) = if metered {
            if let Ok(call) = UptoProxy::settleCall::abi_decode(input) {
                (call.owner, call.permit)
            } else if let Ok(call) = UptoProxy::settleWithPermitCall::abi_decode(input) {
                (call.owner, call.permit)
            } else {
                return false;
            }
        } else if let Ok(call) = ExactProxy::settleCall::abi_decode(input) {
            (call.owner, call.permit)
        } else if let Ok(call) = ExactProxy::settleWithPermitCall::abi_decode(input) {
            (call.owner, call.permit)
        } else {
            return false;
        };
        their_owner == owner && permit.nonce == nonce
    }
}

/// The code for what a proxy or Permit2 reverted with, by the error's selector; `None` for a selector nobody knows.
pub(crate) fn reverted(selector: [u8; 4]) -> Option<ErrorCode> {
    Some(match selector {
        Proxy::InvalidAmount::SELECTOR => codes::PERMIT2_INVALID_AMOUNT,
        Proxy::InvalidOwner::SELECTOR => codes::PERMIT2_OWNER,
        Proxy::InvalidDestination::SELECTOR => codes::PERMIT2_DESTINATION,
        Proxy::PaymentTooEarly::SELECTOR => codes::PERMIT2_EARLY,
        Proxy::Permit2612AmountMismatch::SELECTOR => codes::PERMIT2_2612_AMOUNT,
        Proxy::AmountExceedsPermitted::SELECTOR => codes::UPTO_AMOUNT_EXCEEDS,
        Proxy::UnauthorizedFacilitator::SELECTOR => codes::UPTO_UNAUTHORIZED,
        Permit2Contract::InvalidNonce::SELECTOR => codes::PERMIT2_NONCE,
        Permit2Contract::SignatureExpired::SELECTOR => codes::PERMIT2_DEADLINE,
        Permit2Contract::InvalidSignatureLength::SELECTOR
        | Permit2Contract::InvalidSignature::SELECTOR
        | Permit2Contract::InvalidSigner::SELECTOR
        | Permit2Contract::InvalidContractSignature::SELECTOR => codes::PERMIT2_SIGNATURE,
        _ => return None,
    })
}

/// Whether a nonce's bit is set in its word of the bitmap.
pub(crate) fn is_spent(nonce: U256, word: U256) -> bool {
    word.bit(usize::from(nonce.byte(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::Ecdsa;
    use crate::test::{CLIENT_KEY, key};

    fn vector() -> Permit {
        Permit {
            owner: address!("70997970C51812dc3A010C7d01b50e0d17dc79C8"),
            token: address!("036CbD53842c5426634e7929541eC2318f3dCF7e"),
            amount: U256::from(10_000),
            spender: crate::permit2::EXACT.proxy,
            nonce: U256::from(12345),
            deadline: U256::from(1_900_000_000),
            to: address!("209693Bc6afc0C5328bA36FaF03C514EF312287C"),
            facilitator: None,
            valid_after: U256::ZERO,
        }
    }

    fn signed(permit: &Permit) -> String {
        alloy::hex::encode_prefixed(Ecdsa::sign(&key(CLIENT_KEY), &permit.digest(84532)).to_bytes())
    }

    #[test]
    fn type_hashes_are_those_of_their_texts() {
        let token = "TokenPermissions(address token,uint256 amount)";
        let head = "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,\
                    uint256 deadline,Witness witness)";
        let exact = "Witness(address to,uint256 validAfter)";
        let upto = "Witness(address to,address facilitator,uint256 validAfter)";
        assert_eq!(DOMAIN_TYPE, keccak256("EIP712Domain(string name,uint256 chainId,address verifyingContract)"));
        assert_eq!(TOKEN_TYPE, keccak256(token));
        assert_eq!((EXACT_WITNESS, UPTO_WITNESS), (keccak256(exact), keccak256(upto)));
        assert_eq!(EXACT_PERMIT, keccak256(format!("{head}{token}{exact}")));
        assert_eq!(UPTO_PERMIT, keccak256(format!("{head}{token}{upto}")));
    }

    #[test]
    fn vector_a_2_exact() {
        let digest = b256!("dcdd1f2d3ac888232f890192db9e2f2b48d849f01aab9c2ffc381bd6153617ac");
        assert_eq!(vector().digest(84532), digest);
        assert_eq!(
            signed(&vector()),
            "0x5f336ac9ef6c0e5f035a312c234393a815594f9371e31e4146a36469979b53c1089cb39e8adf96b8bf726c89dd7eadf94f110890\
             fd2142ee93a52ec8d576130b1b"
        );
    }

    #[test]
    fn vector_a_3_upto() {
        let permit = Permit { spender: crate::permit2::UPTO.proxy, facilitator: Some(vector().owner), ..vector() };
        let digest = b256!("c1f90f3cefa68803f37abae5b213c1069ce806329bb1a0ccba05443161786183");
        assert_eq!(permit.digest(84532), digest);
        assert_eq!(
            signed(&permit),
            "0xf19492b52b218a040bbfb7a6af713717c71c207e531613c5c0d887bc051bd6ba27d701744bac7c3d519ceb7413d8c8c63e27f4a9\
             134b397eec66ca7527859a2a1b"
        );
    }

    #[test]
    fn every_signed_member_changes_the_digest() {
        let plain = vector();
        let digest = plain.digest(84532);
        let one = U256::from(1);
        for other in [
            Permit { token: plain.to, ..plain },
            Permit { amount: plain.amount + one, ..plain },
            Permit { spender: plain.to, ..plain },
            Permit { nonce: one, ..plain },
            Permit { deadline: one, ..plain },
            Permit { to: plain.token, ..plain },
            Permit { facilitator: Some(plain.to), ..plain },
            Permit { valid_after: one, ..plain },
        ] {
            assert_ne!(other.digest(84532), digest);
        }
        assert_ne!(plain.digest(8453), digest);
    }

    #[test]
    fn a_bit_is_a_nonce() {
        assert!(is_spent(U256::from(256 + 3), U256::from(8)) && !is_spent(U256::from(2), U256::from(8)));
        assert!(is_spent(U256::MAX, U256::from(1) << 255));
    }

    #[test]
    fn only_this_owners_nonce_in_a_call_of_the_proxy_counts() {
        let permit = vector();
        let call = permit.settle_call(permit.amount, None, &Bytes::from_static(&[7; 65]));
        assert!(Permit::spent_by(permit.owner, permit.nonce, false, &call));
        assert!(!Permit::spent_by(permit.to, permit.nonce, false, &call));
        assert!(!Permit::spent_by(permit.owner, U256::ZERO, false, &call));
        assert!(!Permit::spent_by(permit.owner, permit.nonce, true, &call));
        assert!(!Permit::spent_by(permit.owner, permit.nonce, false, &call[..100]));
        assert!(!Permit::spent_by(permit.owner, permit.nonce, false, &[]));
    }
}
