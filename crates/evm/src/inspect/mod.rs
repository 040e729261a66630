//! [`Evm::inspect`]: what a token says of itself on chain, held against what is configured for it.
//!
//! An offer under a wrong name, version or number of decimals cannot be paid, or costs a million times too much; a
//! token's own contract knows better. One batch of calls asks it.

mod facts;
mod judge;

use crate::Evm;
use crate::address::parse_address;
use crate::config::TokenConfig;
use serde::Serialize;
use tollway_core::{Fault, FaultKind, Network as _, NetworkId};

/// A token's account of itself, and what is wrong with its configuration.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Inspection {
    /// The network asked.
    pub network: NetworkId,
    /// The token's contract, in the spelling of EIP-55.
    pub address: String,
    /// What is known of it here, by the table or by configuration; `None` for a token nobody listed.
    pub configured: Option<TokenConfig>,
    /// What the chain says.
    pub on_chain: TokenFacts,
    /// What differs, the worst first. Empty where all is as configured.
    pub findings: Vec<Finding>,
    /// The entry of `assets` that is right; `None` where there is no token, or none that can be paid with.
    pub entry: Option<TokenConfig>,
}

impl Inspection {
    /// Whether the token can be paid with as configured.
    pub fn is_right(&self) -> bool {
        self.findings.iter().all(|finding| !finding.wrong)
    }

    /// The lines of configuration that are right, as TOML: this token's entry in the network's section.
    pub fn lines(&self) -> Option<String> {
        let entry = self.entry.as_ref()?;
        let serde_json::Value::Object(members) = serde_json::to_value(entry).ok()? else { return None };
        // JSON's texts, numbers and booleans are TOML's too.
        let member = |name: &&str| members.get(*name).map(|value| format!("{name} = {}", plain(&value.to_string())));
        let lines: Vec<String> = TokenConfig::MEMBERS.iter().filter_map(member).collect();
        Some(format!("[[shared.networks.\"{}\".assets]]\n{}", self.network, lines.join("\n")))
    }
}

/// What a token's contract says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TokenFacts {
    /// There is a contract.
    pub deployed: bool,
    /// `symbol()`.
    pub symbol: Option<String>,
    /// `decimals()`.
    pub decimals: Option<u8>,
    /// `name()`, which need not be its EIP-712 name.
    pub name: Option<String>,
    /// `version()`, which need not be its EIP-712 version.
    pub version: Option<String>,
    /// `DOMAIN_SEPARATOR()`, as `0x` and 64 digits.
    pub domain_separator: Option<String>,
    /// Its EIP-712 domain, where it tells one or a name and a version make its separator.
    pub domain: Option<TokenDomain>,
    /// It answers `authorizationState`, so it has `transferWithAuthorization` (EIP-3009).
    pub eip3009: bool,
    /// It answers `nonces`, and no typehash that is another's, so it has `permit` (EIP-2612).
    pub eip2612: bool,
    /// It answers `allowance`, so Permit2 can move it.
    pub allowances: bool,
    /// Permit2 is on this chain.
    pub permit2: bool,
    /// The x402 proxy of `exact` is on this chain.
    pub exact_proxy: bool,
    /// The x402 proxy of `upto` is on this chain.
    pub upto_proxy: bool,
}

/// A token's EIP-712 domain; chain and contract are the token's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TokenDomain {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// Something that is not as configured, or worth knowing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// Payments fail, or cost another amount than meant; where this is not set it is mere advice.
    pub wrong: bool,
    /// The key of the entry it is about.
    pub about: &'static str,
    /// What it is and what to do, in a sentence. Holds texts of the contract, cut and without control characters.
    pub text: String,
}

/// Text without what a terminal would obey, or show otherwise than it is: such characters are written as `\u202e`.
fn plain(text: &str) -> String {
    let odd = |c: char| {
        c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match odd(c) {
            true => plain.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => plain.push(c),
        }
    }
    plain
}

impl Evm {
    /// Asks a token what it is and says whether what is configured for it is right. One round trip, where the node takes
    /// batches. A token that is not known is described, with the entry that would make it known.
    ///
    /// # Errors
    /// The address is none, the network has no node, or the node could not be asked or is of another chain.
    pub async fn inspect(&self, address: &str) -> Result<Inspection, Fault> {
        let token = parse_address(address).ok_or_else(|| {
            let shown: String = address.chars().take(64).collect();
            let message = format!("`{shown}` is no address: 0x and 40 hexadecimal digits");
            Fault::new(FaultKind::Configuration, message)
        })?;
        let configured = self.known_asset(address);
        let on_chain = facts::read_facts(self, token, configured).await?;
        let (findings, entry) = judge::judge(token, configured, &on_chain);
        Ok(Inspection {
            network: self.id().clone(),
            address: token.to_checksum(None),
            configured: configured.map(TokenConfig::from),
            on_chain,
            findings,
            entry,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{Scripted, block_on, evm_over};
    use alloy::primitives::{Address, B256, U256, address, keccak256};
    use alloy::sol_types::SolValue as _;
    use serde_json::{Value, json};
    use tollway_core::Asset;

    const TOKEN: Address = address!("1111111111111111111111111111111111111111");

    type Answers = Vec<(&'static str, Value)>;

    fn hex(bytes: &[u8]) -> Value {
        alloy::hex::encode_prefixed(bytes).into()
    }

    fn text(text: &str) -> Value {
        hex(&text.to_owned().abi_encode())
    }

    /// An ERC-20 token that answers these too.
    fn token(more: Answers) -> Answers {
        let basics = vec![
            ("eth_chainId", json!("0x14a34")),
            ("eth_getCode", json!("0x60")),
            ("0x313ce567", hex(&U256::from(18).to_be_bytes::<32>())),
            ("0x06fdde03", text("Odd Dollar")),
            ("0x95d89b41", text("ODD")),
            ("0xdd62ed3e", hex(&[0; 32])),
        ];
        more.into_iter().chain(basics).collect()
    }

    fn separator(name: &str, version: &str) -> Value {
        let kind = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
        let words: [B256; 5] =
            [keccak256(kind), keccak256(name), keccak256(version), U256::from(84532).into(), TOKEN.into_word()];
        hex(keccak256(words.concat()).as_slice())
    }

    const SEPARATOR: &str = "0x3644e515";
    const STATE: &str = "0xe94a0102";
    const NONCES: &str = "0x7ecebe00";
    const TYPEHASH: &str = "0x30adf81f";
    const EIP5267: &str = "0x84b0196e";

    fn told(fields: u8, name: &str, version: &str, chain: u64) -> Value {
        let salt: (B256, Vec<U256>) = (B256::ZERO, Vec::new());
        let fields = alloy::primitives::FixedBytes::<1>::from([fields]);
        let parts = (fields, name.to_owned(), version.to_owned(), U256::from(chain), TOKEN, salt.0, salt.1);
        hex(&parts.abi_encode_params())
    }

    fn inspect(answers: Answers, asset: Option<Asset>) -> Inspection {
        let evm = evm_over(Scripted::new(answers)).assets(asset).build().unwrap();
        block_on(evm.inspect(&TOKEN.to_string())).unwrap()
    }

    fn zero() -> Value {
        hex(&[0; 32])
    }

    #[test]
    fn a_version_nobody_tells_is_found_by_the_separator() {
        let answers = token(vec![(SEPARATOR, separator("Odd Dollar", "1")), (STATE, zero())]);
        let seen = inspect(answers, None);
        let domain = TokenDomain { name: "Odd Dollar".to_owned(), version: "1".to_owned() };
        assert_eq!((seen.on_chain.version, seen.on_chain.domain), (None, Some(domain)));
        assert_eq!(seen.entry.unwrap().version.as_deref(), Some("1"));
    }

    #[test]
    fn eip_5267_tells_a_domain_only_where_clients_can_build_it() {
        let with = |told: Value| {
            let seen = inspect(token(vec![(EIP5267, told), (STATE, zero())]), None);
            (seen.on_chain.domain.map(|domain| domain.name), seen.entry.unwrap().asset_transfer_method)
        };
        assert_eq!(with(told(0x0f, "Named", "3", 84532)), (Some("Named".to_owned()), None));
        let by_permit2 = (None, Some("permit2".to_owned()));
        assert_eq!(with(told(0x1f, "Salted", "3", 84532)), by_permit2);
        assert_eq!(with(told(0x0d, "Versionless", "", 84532)), by_permit2);
        assert_eq!(with(told(0x0f, "Elsewhere", "3", 1)), by_permit2);
        assert_eq!(with(hex(&[0xff; 64])), by_permit2);
    }

    #[test]
    fn a_separator_that_no_name_makes_rules_eip_3009_out() {
        let answers = token(vec![(SEPARATOR, hex(&[9; 32])), (STATE, zero())]);
        let asset =
            Asset::new(TOKEN.to_string(), "ODD", 18).with_extra("name", "Odd Dollar").with_extra("version", "1");
        let seen = inspect(answers, Some(asset));
        assert!(seen.findings[0].wrong && seen.findings[0].text.contains("DOMAIN_SEPARATOR"), "{seen:?}");
        assert_eq!(seen.entry.unwrap().asset_transfer_method.as_deref(), Some("permit2"));
    }

    #[test]
    fn what_nobody_can_prove_is_believed_and_said() {
        let asset =
            Asset::new(TOKEN.to_string(), "ODD", 18).with_extra("name", "Odd Dollar").with_extra("version", "1");
        let seen = inspect(token(vec![(STATE, zero())]), Some(asset));
        assert!(seen.is_right() && seen.findings.len() == 1, "{seen:?}");
        assert_eq!(seen.entry, seen.configured);
    }

    #[test]
    fn another_permit_than_eip_2612s_is_none() {
        let permit = |typehash: Value| {
            let parts = vec![(SEPARATOR, separator("Odd Dollar", "1")), (NONCES, zero()), (TYPEHASH, typehash)];
            inspect(token(parts), None).on_chain.eip2612
        };
        let right = "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)";
        let dais = "Permit(address holder,address spender,uint256 nonce,uint256 expiry,bool allowed)";
        assert!(permit(hex(keccak256(right).as_slice())) && permit(zero()));
        assert!(!permit(hex(keccak256(dais).as_slice())));
    }

    #[test]
    fn names_of_one_word_and_of_strangers_do_no_harm() {
        let mut word = [0; 32];
        word[..5].copy_from_slice(b"Maker");
        let old = token(vec![("0x95d89b41", hex(&word)), ("0x06fdde03", hex(&word))]);
        let seen = inspect(old, None);
        assert_eq!((seen.on_chain.name.as_deref(), seen.entry.unwrap().symbol.as_str()), (Some("Maker"), "Maker"));
        let evil = "\u{1b}[2J\u{9b}31m\u{202e}USDC\n\"";
        let parts = vec![("0x95d89b41", text(evil)), (SEPARATOR, separator(evil, "1")), (STATE, zero())];
        let asset =
            Asset::new(TOKEN.to_string(), "ODD", 18).with_extra("name", "Odd Dollar").with_extra("version", "1");
        let seen = inspect(token(parts), Some(asset));
        let shown = format!("{} {}", seen.lines().unwrap(), seen.findings.iter().map(|f| &*f.text).collect::<String>());
        assert!(shown.contains("\\u202eUSDC"), "{shown}");
        assert!(shown.chars().all(|c| c == '\n' || plain(&c.to_string()) == c.to_string()), "{shown:?}");
        // Endless, empty and broken texts are none.
        for odd in [text(&"x".repeat(129)), text(""), hex(&[0xff; 64]), hex(&[]), hex(&[0xff; 32])] {
            assert_eq!(inspect(token(vec![("0x06fdde03", odd)]), None).on_chain.name, None);
        }
    }
}
