//! Signing in with an Ethereum wallet: EIP-4361 messages, keys by EIP-191, contract wallets by EIP-1271.
//!
//! The `siwe` crate writes and reads the message. It lets pass what it should not (a nonce of any characters, fields that
//! smuggle lines in), so every message is read back and must be the one that was written.

use crate::abi::Wallet;
use crate::address::parse_address;
use crate::network::Evm;
use crate::rpc::{Call, CallError, missing, read};
use crate::signature::Received;
use alloy::primitives::{Address, B256, Bytes, U64, eip191_hash_message};
use alloy::sol_types::SolCall as _;
use async_trait::async_trait;
use serde_json::json;
use tollway_core::codes::{INVALID_PAYLOAD, INVALID_SIWX_MALFORMED_SIGNATURE, INVALID_SIWX_SIGNATURE};
use tollway_core::{
    AccountId, Failure, Fault, FaultKind, Network as _, Rejected, Result, SignIn, SignInInfo, Signable, SignedIn,
    Signer,
};

/// Shortest nonce of EIP-4361, in characters.
const SHORTEST_NONCE: usize = 8;

/// The message of a challenge for an address.
///
/// # Errors
/// The challenge is none that EIP-4361 can say; names the field.
pub(crate) fn message(info: &SignInInfo, address: Address, chain: u64) -> Result<String, Rejected> {
    let wrong = |field: &str| Rejected::new(INVALID_PAYLOAD).because(format!("`{field}` fits no EIP-4361 message"));
    if info.nonce.len() < SHORTEST_NONCE || !info.nonce.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(wrong("nonce"));
    }
    let time = |field: &str, text: &Option<String>| {
        text.as_deref().map(|text| text.parse::<siwe::TimeStamp>().map_err(|_| wrong(field))).transpose()
    };
    let resources = info.resources.iter().flatten().map(|uri| uri.parse().map_err(|_| wrong("resources")));
    let message = siwe::Message {
        domain: info.domain.parse().map_err(|_| wrong("domain"))?,
        address: address.into_array(),
        statement: info.statement.clone(),
        uri: info.uri.parse().map_err(|_| wrong("uri"))?,
        version: info.version.parse().map_err(|_| wrong("version"))?,
        chain_id: chain,
        nonce: info.nonce.clone(),
        issued_at: info.issued_at.parse().map_err(|_| wrong("issuedAt"))?,
        expiration_time: time("expirationTime", &info.expiration_time)?,
        not_before: time("notBefore", &info.not_before)?,
        request_id: info.request_id.clone(),
        resources: resources.collect::<Result<_, _>>()?,
    };
    let mut text = message.to_string();
    // Whatever holds a line break, or is empty where a line belongs, comes back as something else.
    if !text.parse::<siwe::Message>().is_ok_and(|read| read == message) {
        return Err(wrong("statement or requestId"));
    }
    if info.resources.as_ref().is_some_and(Vec::is_empty) {
        // The reference writes the heading of a list that is there and empty.
        text.push_str("\nResources:");
    }
    Ok(text)
}

#[async_trait]
impl SignIn for Evm {
    fn kind(&self) -> &'static str {
        "eip191"
    }

    /// A signer may be a contract wallet's: what it answers is sent as it is.
    async fn sign(&self, info: &SignInInfo, signer: &(dyn Signer + 'static)) -> Result<String> {
        let address = parse_address(signer.address()).ok_or_else(|| {
            let message = format!("the signer's address `{}` is no EVM address", signer.address());
            Fault::new(FaultKind::Configuration, message)
        })?;
        let message = message(info, address, self.chain_id())?;
        let signature = signer.sign(Signable::Message(message.as_bytes())).await?;
        Ok(alloy::hex::encode_prefixed(signature))
    }

    /// A key's own signature needs no chain, and is the key's on every chain: who holds an account's key controls the
    /// account wherever it has no code, and can set or clear its code by EIP-7702 where it has. Whatever is not such a
    /// signature is put before the account's code on this chain, and proves nothing elsewhere.
    async fn verify(&self, info: &SignInInfo, address: &str, signature: &str) -> Result<SignedIn> {
        let malformed = || Rejected::new(INVALID_SIWX_MALFORMED_SIGNATURE);
        let address = parse_address(address).ok_or_else(malformed)?;
        let received = Received::parse(signature).ok_or_else(malformed)?;
        let digest = eip191_hash_message(message(info, address, self.chain_id())?);
        let account = SignedIn::new(AccountId::new(self.id().clone(), &address.to_checksum(None)));
        if received.ecdsa().and_then(|signature| signature.recover(&digest)) == Some(address) {
            return Ok(account.everywhere());
        }
        match self.chain() {
            Ok(_) if self.wallet_says_yes(address, digest, received.bytes).await? => Ok(account),
            Ok(_) => Err(Rejected::new(INVALID_SIWX_SIGNATURE).into()),
            Err(_) => {
                let why = format!("not the account's own key, and {} has no node to ask a contract wallet", self.id());
                Err(Rejected::new(INVALID_SIWX_SIGNATURE).because(why).into())
            }
        }
    }
}

impl Evm {
    /// Asks an account's code about a signature, with the gas a payment's wallet gets, and the node about its chain.
    async fn wallet_says_yes(&self, wallet: Address, digest: B256, signature: Bytes) -> Result<bool, Failure> {
        let chain = self.chain()?;
        let data = Bytes::from(Wallet::isValidSignatureCall { digest, signature }.abi_encode());
        let gas = U64::from(chain.limits.max_gas);
        let ask = Call::new("eth_call", &(json!({ "to": wallet, "data": data, "gas": gas }), "latest"));
        let asked = async {
            let mut answers = chain.rpc.batch(&[ask, Call::new("eth_chainId", &())]).await?.into_iter();
            let mut next = || answers.next().unwrap_or_else(|| Err(missing()));
            let said = match next() {
                Ok(answer) => read::<Bytes>(&answer)?,
                // It reverted, or ran out of gas.
                Err(CallError::Refused { .. }) => Bytes::new(),
                Err(failed) => return Err(failed),
            };
            Ok((said, read::<U64>(&next()?)?))
        };
        let asked = asked.await.map_err(|error: CallError| chain.rpc.fault("asking a wallet about a sign-in", error));
        let (said, id) = asked?;
        if id != U64::from(chain.id()) {
            return Err(chain.wrong_chain(id.to()).into());
        }
        // The function's own selector, and nothing beside it. An account without code answers nothing.
        let mut yes = [0; 32];
        yes[..4].copy_from_slice(&Wallet::isValidSignatureCall::SELECTOR);
        Ok(said[..] == yes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LocalKey;
    use crate::test::{CLIENT_KEY, block_on};
    use proptest::prelude::*;
    use serde_json::Value;
    use tollway_core::Network;

    const CLIENT: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

    fn evm(id: &str) -> Evm {
        Evm::builder(id.parse().unwrap()).build().unwrap()
    }

    fn rows() -> impl Iterator<Item = Value> {
        let Value::Array(rows) = tollway_testkit::golden::vectors::siwx() else { panic!("no list") };
        rows.into_iter().filter(|row| row["chainId"] == "eip155:84532")
    }

    fn info(row: &Value) -> SignInInfo {
        serde_json::from_value(row["info"].clone()).unwrap()
    }

    fn row(name: &str) -> SignInInfo {
        info(&rows().find(|row| row["name"] == name).unwrap())
    }

    fn code(result: Result<SignedIn>) -> String {
        match result {
            Err(Failure::Rejected(rejected)) => rejected.code.to_string(),
            other => panic!("not refused: {other:?}"),
        }
    }

    fn verify(info: &SignInInfo, address: &str, signature: &str) -> Result<SignedIn> {
        block_on(SignIn::verify(&evm("eip155:84532"), info, address, signature))
    }

    #[test]
    fn golden_messages_and_signatures() {
        let key = LocalKey::from_hex(CLIENT_KEY).unwrap();
        let (mut written, mut refused, mut signed) = (0, 0, 0);
        for row in rows() {
            let (info, name) = (info(&row), &row["name"]);
            let message = message(&info, CLIENT.parse().unwrap(), 84532);
            match row["message"]["ok"].as_str() {
                Some(expected) => assert_eq!(message.unwrap(), expected, "{name}"),
                None => assert!(message.is_err(), "{name}"),
            }
            written += usize::from(row["message"]["ok"].is_string());
            refused += usize::from(row["message"]["error"].is_string());
            let Some(signature) = row["signature"].as_str() else { continue };
            assert_eq!(block_on(evm("eip155:84532").sign(&info, &key)).unwrap(), signature, "{name}");
            let verified = verify(&info, CLIENT, signature).unwrap();
            assert_eq!(verified.account.to_string(), format!("eip155:84532:{CLIENT}"));
            signed += 1;
        }
        assert_eq!((written, refused, signed), (9, 2, 8));
    }

    /// Vector A.7 of the specification's vectors.
    #[test]
    fn the_specification_vectors_are_reproduced() {
        let mut info = row("resources");
        let uri = "https://api.example.com/premium-data";
        info.uri = uri.into();
        info.resources = Some(vec![uri.into()]);
        info.nonce = "a1b2c3d4e5f67890a1b2c3d4e5f67890".into();
        info.issued_at = "2026-01-15T10:30:00.000Z".into();
        let key = LocalKey::from_hex(CLIENT_KEY).unwrap();
        let sign = |info: &SignInInfo| block_on(evm("eip155:8453").sign(info, &key)).unwrap();
        assert!(sign(&info).starts_with("0x45aa0f5bc81ad7f17fe5c9f9abe3b49f814203e2d34a9f1a35047f1992ec33dc"));
        info.expiration_time = Some("2026-01-15T10:35:00.000Z".into());
        assert!(sign(&info).starts_with("0xfe91ff95376cdb43c76011130e4ace685349b26fd66500cf929446f90f9f90de"));
        info.expiration_time = None;
        info.statement = Some("Sign in".into());
        assert!(sign(&info).starts_with("0xbdc2f697849c17062cac9a255aadebecb091531eb42d3beb8e0c631f22e2d23d"));
    }

    #[test]
    fn letter_case_of_an_address_is_no_matter() {
        let info = row("minimal");
        let signature = rows().find(|row| row["name"] == "minimal").unwrap()["signature"].as_str().unwrap().to_owned();
        for address in [CLIENT.to_lowercase(), format!("0x{}", CLIENT[2..].to_uppercase())] {
            let verified = verify(&info, &address, &signature).unwrap();
            assert_eq!(verified.account.address(), CLIENT, "equal accounts are equal text");
            assert!(verified.everywhere, "a key is the same on every chain");
        }
    }

    #[test]
    fn a_signature_is_good_for_one_challenge_one_chain_and_one_address() {
        let good = rows().find(|row| row["name"] == "all").unwrap();
        let (info, signature) = (info(&good), good["signature"].as_str().unwrap());
        verify(&info, CLIENT, signature).unwrap();
        let changes: [fn(&mut SignInInfo); 9] = [
            |info| info.domain = "api.example.org".into(),
            |info| info.uri = "https://api.example.com/dato".into(),
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
            assert_eq!(code(verify(&info, CLIENT, signature)), "invalid_siwx_signature", "change {i}");
        }
        let elsewhere = evm("eip155:8453");
        assert_eq!(code(block_on(elsewhere.verify(&info, CLIENT, signature))), "invalid_siwx_signature");
        let other = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
        assert_eq!(code(verify(&info, other, signature)), "invalid_siwx_signature");
    }

    #[test]
    fn signatures_of_another_form_are_refused() {
        let (info, good) = (row("minimal"), rows().next().unwrap()["signature"].as_str().unwrap().to_owned());
        for bad in ["", "0x", &good[2..], &good[..130], &format!("{good}00"), &good.replace("1c", "01"), "0xzz"] {
            assert!(code(verify(&info, CLIENT, bad)).starts_with("invalid_siwx_"), "{bad}");
        }
        assert_eq!(code(verify(&info, "alice.eth", &good)), "invalid_siwx_malformed_signature");
        let v = |v: &str| format!("{}{v}", &good[..130]);
        assert_eq!(code(verify(&info, CLIENT, &v("01"))), "invalid_siwx_signature", "v is 27 or 28");
    }

    /// The checks that the crate for EIP-4361 lacks.
    #[test]
    fn what_would_say_something_else_in_the_message_is_refused() {
        let changes: [fn(&mut SignInInfo); 12] = [
            |info| info.statement = Some("two\nlines".into()),
            |info| info.statement = Some(String::new()),
            |info| info.request_id = Some("r\nResources:\n- https://evil.test".into()),
            |info| info.nonce = "0123456789abcdef\n".into(),
            |info| info.nonce = "0123-456789".into(),
            |info| info.nonce = "short".into(),
            |info| info.domain = "api.example.com wants".into(),
            |info| info.uri = "https://a.test/\nVersion: 2".into(),
            |info| info.version = "2".into(),
            |info| info.issued_at = "yesterday".into(),
            |info| info.expiration_time = Some("2026-01-02".into()),
            |info| info.resources = Some(vec!["not a uri".into()]),
        ];
        for (i, change) in changes.iter().enumerate() {
            let mut info = row("minimal");
            change(&mut info);
            assert!(message(&info, CLIENT.parse().unwrap(), 84532).is_err(), "change {i}");
        }
    }

    #[test]
    fn without_a_node_no_contract_wallet_is_believed() {
        let error = verify(&row("minimal"), CLIENT, &format!("0x{}", "11".repeat(100))).unwrap_err();
        assert!(error.to_string().contains("no node"), "{error}");
        assert!(Network::sign_in(&evm("eip155:1")).is_some());
    }

    proptest! {
        #[test]
        fn no_field_panics(texts in proptest::collection::vec("(?s).{0,30}", 9), lists in proptest::option::of(proptest::collection::vec(".{0,20}", 0..3))) {
            let mut info = row("minimal");
            let [domain, uri, nonce, issued, version, statement, expires, request, signature] = &texts[..] else { return Ok(()) };
            let _ = verify(&SignInInfo::clone(&info), uri, signature);
            (info.domain, info.uri, info.nonce) = (domain.clone(), uri.clone(), nonce.clone());
            (info.issued_at, info.version) = (issued.clone(), version.clone());
            (info.statement, info.expiration_time) = (Some(statement.clone()), Some(expires.clone()));
            (info.request_id, info.resources) = (Some(request.clone()), lists);
            let _ = verify(&info, CLIENT, signature);
        }

        /// Whatever can be written says what it was written from.
        #[test]
        fn a_written_message_has_one_meaning(statement in "[ -~\n]{0,20}", request in "[ -~\n]{0,20}") {
            let mut info = row("minimal");
            (info.statement, info.request_id) = (Some(statement), Some(request.clone()));
            if let Ok(text) = message(&info, CLIENT.parse().unwrap(), 84532) {
                prop_assert_eq!(text.matches('\n').count(), 10);
                let last = format!("\nRequest ID: {request}");
                prop_assert!(text.ends_with(&last));
            }
        }
    }
}
