//! Asking the token.

use super::{TokenDomain, TokenFacts};
use crate::Evm;
use crate::abi::Token;
use crate::assets;
use crate::permit2::{EXACT, PERMIT2, UPTO};
use crate::rpc::{Call, missing, read};
use crate::sponsor::PERMIT_TYPE;
use alloy::primitives::{Address, B256, Bytes, U64, U256};
use alloy::sol_types::{SolCall as _, SolValue as _};
use serde_json::json;
use tollway_core::{Asset, Fault};

/// Members a domain of EIP-5267 must have, and may alone have, for clients to build it: name, version, chain, contract.
const FIELDS: u8 = 0x0f;
/// Longest text believed, in bytes.
const LONGEST_TEXT: usize = 128;
/// Versions that tokens without `version()` have.
const USUAL_VERSIONS: [&str; 2] = ["1", "2"];

alloy::sol! {
    interface Described {
        function eip712Domain() external view returns (
            bytes1 fields, string name, string version, uint256 chainId, address verifyingContract, bytes32 salt,
            uint256[] extensions
        );
        function DOMAIN_SEPARATOR() external view returns (bytes32);
        function PERMIT_TYPEHASH() external view returns (bytes32);
        function name() external view returns (string);
        function symbol() external view returns (string);
        function version() external view returns (string);
        function decimals() external view returns (uint8);
        function nonces(address owner) external view returns (uint256);
        function allowance(address owner, address spender) external view returns (uint256);
    }
}

/// Asks all there is to ask, in one batch.
pub(super) async fn read_facts(evm: &Evm, token: Address, configured: Option<&Asset>) -> Result<TokenFacts, Fault> {
    let chain = evm.chain()?;
    let view = |data: Vec<u8>| Call::new("eth_call", &(json!({ "to": token, "data": Bytes::from(data) }), "latest"));
    let code = |at: Address| Call::new("eth_getCode", &(at, "latest"));
    let (authorizer, owner, spender) = (PERMIT2, PERMIT2, PERMIT2);
    let calls = [
        Call::new("eth_chainId", &()),
        code(token),
        code(PERMIT2),
        code(EXACT.proxy),
        code(UPTO.proxy),
        view(Described::eip712DomainCall {}.abi_encode()),
        view(Described::DOMAIN_SEPARATORCall {}.abi_encode()),
        view(Described::PERMIT_TYPEHASHCall {}.abi_encode()),
        view(Described::nameCall {}.abi_encode()),
        view(Described::symbolCall {}.abi_encode()),
        view(Described::versionCall {}.abi_encode()),
        view(Described::decimalsCall {}.abi_encode()),
        view(Described::noncesCall { owner }.abi_encode()),
        view(Described::allowanceCall { owner, spender }.abi_encode()),
        view(Token::authorizationStateCall { authorizer, nonce: B256::ZERO }.abi_encode()),
    ];
    let fault = |error| chain.rpc.fault("asking a token what it is", error);
    let mut answers = chain.rpc.batch(&calls).await.map_err(fault)?.into_iter();
    let mut next = || answers.next().unwrap_or_else(|| Err(missing()));
    let id: U64 = next().and_then(|answer| read(&answer)).map_err(fault)?;
    if id != U64::from(chain.id()) {
        return Err(chain.wrong_chain(id.to()));
    }
    // A contract that reverts has no such function; a node that will not answer says nothing about the contract.
    let mut bytes = || match next().and_then(|answer| read::<Bytes>(&answer)) {
        Err(error) if error.is_revert() => Ok(Bytes::new()),
        answer => answer.map_err(fault),
    };
    let has_code = |code: Bytes| !code.is_empty();
    let mut facts = TokenFacts {
        deployed: has_code(bytes()?),
        permit2: has_code(bytes()?),
        exact_proxy: has_code(bytes()?),
        upto_proxy: has_code(bytes()?),
        ..TokenFacts::default()
    };
    let (told, separator, typehash) = (bytes()?, bytes()?, bytes()?);
    let separator = word(&separator).map(B256::from).filter(|word| !word.is_zero());
    (facts.name, facts.symbol, facts.version) = (text(&bytes()?), text(&bytes()?), text(&bytes()?));
    facts.decimals = word(&bytes()?).and_then(|word| u8::try_from(word).ok());
    let other_permit = word(&typehash).is_some_and(|hash| !hash.is_zero() && B256::from(hash) != PERMIT_TYPE);
    facts.eip2612 = word(&bytes()?).is_some() && separator.is_some() && !other_permit;
    facts.allowances = word(&bytes()?).is_some();
    facts.eip3009 = word(&bytes()?).is_some_and(|word| word <= U256::ONE);
    facts.domain_separator = separator.map(|separator| separator.to_string());
    facts.domain = domain(evm, token, configured, &facts, separator, &told);
    Ok(facts)
}

/// The name and the version that make the token's separator; where it tells none, those it tells by EIP-5267.
fn domain(
    evm: &Evm,
    token: Address,
    configured: Option<&Asset>,
    facts: &TokenFacts,
    separator: Option<B256>,
    told: &[u8],
) -> Option<TokenDomain> {
    let own = |name: Option<&str>, version: Option<&str>| {
        let short = |text: &&str| !text.is_empty() && text.len() <= LONGEST_TEXT;
        Some(TokenDomain { name: name.filter(short)?.to_owned(), version: version.filter(short)?.to_owned() })
    };
    let told = Described::eip712DomainCall::abi_decode_returns(told).ok().filter(|told| {
        told.fields.0 == [FIELDS] && told.verifyingContract == token && told.chainId == U256::from(evm.chain_id())
    });
    let told = told.and_then(|told| own(Some(&told.name), Some(&told.version)));
    let Some(separator) = separator else { return told };
    let listed = configured.and_then(|asset| own(assets::text(asset, "name"), assets::text(asset, "version")));
    let names = [facts.name.as_deref(), facts.symbol.as_deref(), listed.as_ref().map(|domain| &*domain.name)];
    let versions = [facts.version.as_deref(), Some(USUAL_VERSIONS[0]), Some(USUAL_VERSIONS[1])];
    let guesses = names.into_iter().flat_map(|name| versions.map(|version| own(name, version)));
    let mut candidates = [listed.clone(), told].into_iter().chain(guesses).flatten();
    candidates.find(|domain| evm.domains().separator(token, &domain.name, &domain.version) == separator)
}

/// An answer of one word.
fn word(answer: &[u8]) -> Option<U256> {
    (answer.len() == 32).then(|| U256::from_be_slice(answer))
}

/// A text; old tokens answer one word, filled up with zeros.
fn text(answer: &[u8]) -> Option<String> {
    let text = match <[u8; 32]>::try_from(answer) {
        Ok(word) => String::from_utf8(word.into_iter().take_while(|byte| *byte != 0).collect()).ok()?,
        Err(_) => String::abi_decode(answer).ok()?,
    };
    (!text.is_empty() && text.len() <= LONGEST_TEXT).then_some(text)
}
