//! Signing in with a Solana wallet (SIWS): the message of CAIP-122 in Solana's words, and strict ed25519.

use crate::address::parse_address;
use crate::network::Solana;
use crate::signer::{is_good, sign_message};
use async_trait::async_trait;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use std::fmt::Write as _;
use tollway_core::codes::{INVALID_SIWX_MALFORMED_SIGNATURE, INVALID_SIWX_SIGNATURE};
use tollway_core::{AccountId, Fault, FaultKind, Network as _, Rejected, Result, SignIn, SignInInfo, SignedIn, Signer};

/// Longest base58 text of 64 bytes.
const LONGEST: usize = 88;

/// The message of a challenge for an address. One blank line where there is no statement, and none where the EVM has a
/// second; `chain` is the reference of the CAIP-2 id.
fn message(info: &SignInInfo, address: &str, chain: &str) -> String {
    let SignInInfo { domain, uri, version, nonce, issued_at, .. } = info;
    let mut text = format!("{domain} wants you to sign in with your Solana account:\n{address}\n");
    // Writing to a text cannot fail.
    if let Some(statement) = &info.statement {
        let _ = write!(text, "\n{statement}\n");
    }
    let _ = write!(text, "\nURI: {uri}\nVersion: {version}\nChain ID: {chain}\nNonce: {nonce}\nIssued At: {issued_at}");
    let optional = [
        ("Expiration Time", &info.expiration_time),
        ("Not Before", &info.not_before),
        ("Request ID", &info.request_id),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            let _ = write!(text, "\n{name}: {value}");
        }
    }
    let resources = info.resources.as_deref().unwrap_or_default();
    if !resources.is_empty() {
        text.push_str("\nResources:");
    }
    for uri in resources {
        let _ = write!(text, "\n- {uri}");
    }
    text
}

/// Whether an address is the one encoding of its point. Some points have a second, with a coordinate above the field's
/// order, which the arithmetic reads all the same.
fn is_canonical(address: &Pubkey) -> bool {
    let [lowest, middle @ .., highest] = address.as_array();
    let beyond = *lowest >= 0xed && middle.iter().all(|byte| *byte == 0xff) && highest & 0x7f == 0x7f;
    !beyond
}

#[async_trait]
impl SignIn for Solana {
    fn kind(&self) -> &'static str {
        "ed25519"
    }

    async fn sign(&self, info: &SignInInfo, signer: &(dyn Signer + 'static)) -> Result<String> {
        let address = parse_address(signer.address()).ok_or_else(|| {
            let message = format!("the signer's address `{}` is no Solana address", signer.address());
            Fault::new(FaultKind::Configuration, message)
        })?;
        let message = message(info, signer.address(), self.id().reference());
        let signature = sign_message(signer, &address, message.as_bytes()).await?;
        Ok(Signature::from(signature).to_string())
    }

    /// A key is the same on every cluster.
    async fn verify(&self, info: &SignInInfo, address: &str, signature: &str) -> Result<SignedIn> {
        let malformed = || Rejected::new(INVALID_SIWX_MALFORMED_SIGNATURE);
        let key = parse_address(address).ok_or_else(malformed)?;
        if signature.len() > LONGEST {
            return Err(malformed().into());
        }
        let signature: Signature = signature.parse().map_err(|_| malformed())?;
        let message = message(info, address, self.id().reference());
        match is_canonical(&key) && is_good(signature.as_array(), &key, message.as_bytes()) {
            true => Ok(SignedIn::new(AccountId::new(self.id().clone(), address)).everywhere()),
            false => Err(Rejected::new(INVALID_SIWX_SIGNATURE).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{CLIENT_SEED, block_on, key};
    use proptest::prelude::*;
    use serde_json::Value;
    use tollway_core::Failure;

    const CLIENT: &str = "F5VXWaBNSv1khZWE1wwCusDZ7o9hp8Nsii9R2j24xuKs";
    const DEVNET: &str = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1";

    fn solana(id: &str) -> Solana {
        Solana::builder(id.parse().unwrap()).build().unwrap()
    }

    fn rows() -> impl Iterator<Item = Value> {
        let Value::Array(rows) = tollway_testkit::golden::vectors::siwx() else { panic!("no list") };
        rows.into_iter().filter(|row| row["chainId"] == DEVNET)
    }

    fn info(row: &Value) -> SignInInfo {
        serde_json::from_value(row["info"].clone()).unwrap()
    }

    fn good() -> (SignInInfo, String) {
        let row = rows().find(|row| row["name"] == "all").unwrap();
        (info(&row), row["signature"].as_str().unwrap().to_owned())
    }

    fn verify(info: &SignInInfo, address: &str, signature: &str) -> Result<SignedIn> {
        block_on(SignIn::verify(&solana(DEVNET), info, address, signature))
    }

    fn code(result: Result<SignedIn>) -> String {
        match result {
            Err(Failure::Rejected(rejected)) => rejected.code.to_string(),
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn golden_messages_and_signatures() {
        let mut signed = 0;
        for row in rows() {
            let (info, name) = (info(&row), &row["name"]);
            let network = solana(DEVNET);
            assert_eq!(
                message(&info, CLIENT, network.id().reference()),
                row["message"]["ok"].as_str().unwrap(),
                "{name}"
            );
            let signature = row["signature"].as_str().unwrap();
            assert_eq!(block_on(network.sign(&info, &key(CLIENT_SEED))).unwrap(), signature, "{name}");
            let verified = verify(&info, CLIENT, signature).unwrap();
            assert_eq!(verified.account.to_string(), format!("{DEVNET}:{CLIENT}"));
            assert!(verified.everywhere);
            signed += 1;
        }
        assert_eq!(signed, 11);
    }

    #[test]
    fn base58_keeps_its_case() {
        let (info, signature) = good();
        for other in [CLIENT.to_lowercase(), CLIENT.to_uppercase(), CLIENT.replace('F', "f")] {
            assert!(verify(&info, &other, &signature).is_err(), "{other}");
        }
        assert_eq!(verify(&info, CLIENT, &signature).unwrap().account.address(), CLIENT);
    }

    #[test]
    fn a_signature_is_good_for_one_challenge_one_cluster_and_one_address() {
        let (info, signature) = good();
        let changes: [fn(&mut SignInInfo); 10] = [
            |info| info.domain = "api.example.org".into(),
            |info| info.uri = "https://api.example.com/dato".into(),
            |info| info.version = "2".into(),
            |info| info.nonce = "0123456789abcdef0123456789abcdee".into(),
            |info| info.issued_at = "2026-01-02T03:04:05.679Z".into(),
            |info| info.statement = None,
            |info| info.expiration_time = None,
            |info| info.not_before = None,
            |info| info.request_id = None,
            |info| info.resources = None,
        ];
        for (i, change) in changes.iter().enumerate() {
            let mut info = info.clone();
            change(&mut info);
            assert_eq!(code(verify(&info, CLIENT, &signature)), "invalid_siwx_signature", "change {i}");
        }
        let mainnet = solana("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp");
        assert_eq!(code(block_on(mainnet.verify(&info, CLIENT, &signature))), "invalid_siwx_signature");
        let other = "HzQEyvJr4YZqj6Ga52JBkT7HncThepogpRPjKMTNSxAH";
        assert_eq!(code(verify(&info, other, &signature)), "invalid_siwx_signature");
    }

    /// With a key of small order, the all-zero one among them, a lenient check takes a signature for any message.
    #[test]
    fn keys_of_small_order_and_second_encodings_are_refused() {
        let info = good().0;
        let zero_signature = Signature::from([0; 64]).to_string();
        // R is the identity and S is zero: S·B = R + k·A holds for every A of order one, and for others by chance.
        let mut identity = [0; 64];
        identity[0] = 1;
        let identity = Signature::from(identity).to_string();
        let mut keys = vec![[0; 32]];
        keys.push(std::array::from_fn(|i| u8::from(i == 0)));
        let mut order_two = [0xff; 32];
        (order_two[0], order_two[31]) = (0xec, 0x7f);
        keys.push(order_two);
        for key in keys {
            let address = Pubkey::from(key).to_string();
            for signature in [&zero_signature, &identity] {
                assert_eq!(code(verify(&info, &address, signature)), "invalid_siwx_signature", "{address}");
            }
        }
        // The field's order itself stands for zero, a second time.
        for (lowest, canonical) in [(0xec, true), (0xed, false), (0xff, false)] {
            for highest in [0x7f, 0xff] {
                let mut key = [0xff; 32];
                (key[0], key[31]) = (lowest, highest);
                assert_eq!(is_canonical(&Pubkey::from(key)), canonical, "{lowest:x} {highest:x}");
            }
        }
    }

    #[test]
    fn signatures_have_one_form() {
        let (info, good) = good();
        let mut bytes = *good.parse::<Signature>().unwrap().as_array();
        for bad in ["", "0x", &good[1..], &format!("{good}1"), &"1".repeat(64), &"z".repeat(88), &"é".repeat(44)] {
            assert!(code(verify(&info, CLIENT, bad)).starts_with("invalid_siwx_"), "{bad}");
        }
        // The same S plus the group's order: another text for the same equation.
        let order: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut carry = 0u16;
        for (byte, add) in bytes[32..].iter_mut().zip(order) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            *byte = sum as u8;
            carry = sum >> 8;
        }
        let second = Signature::from(bytes).to_string();
        assert_eq!(code(verify(&info, CLIENT, &second)), "invalid_siwx_signature");
    }

    proptest! {
        #[test]
        fn no_text_panics(address in ".{0,50}", signature in ".{0,100}", statement in "(?s).{0,30}") {
            let mut info = good().0;
            info.statement = Some(statement);
            let _ = verify(&info, &address, &signature);
            let _ = verify(&info, CLIENT, &signature);
        }
    }
}
