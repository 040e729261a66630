//! [`ExactFacilitator`]: verifies in one round trip, and settles as the account that pays the fee.

use super::check::{Rules, check};
use super::server::FEE_PAYER;
use super::types::Examined;
use super::verify::Recent;
use super::{Exact, settle, verify};
use crate::address::parse_address;
use crate::mint::TokenPower;
use crate::{Solana, codes};
use serde::Deserialize;
use solana_pubkey::Pubkey;
use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tollway_core::{
    Build, BuildContext, Network as _, Object, Outcome, Payment, Rejected, Result, SchemeFacilitator, SettleContext,
    Signer, Verified,
};

/// The verifying and settling side of `exact`. Needs a network with a node and at least one key that has some SOL.
pub struct ExactFacilitator {
    pub(super) network: Arc<Solana>,
    /// The keys that pay fees, in the order of the rules' addresses.
    pub(super) signers: Vec<Arc<dyn Signer>>,
    pub(super) limits: Limits,
    rules: Rules,
    pub(super) recent: Recent,
    /// Whose turn it is to be named as fee payer.
    turn: AtomicUsize,
}

/// The limits that are asked of the chain's half.
#[derive(Debug)]
pub(super) struct Limits {
    /// Powers of a token that are accepted.
    pub(super) allowed: BTreeSet<TokenPower>,
    /// Age at which a verification no longer stands in for another.
    pub(super) trust: Duration,
}

impl ExactFacilitator {
    /// A facilitator whose fees are paid by these keys in turn, with the limits of a section that says nothing.
    ///
    /// # Errors
    /// As [`with_config`](Self::with_config).
    pub fn new(network: Arc<Solana>, signers: Vec<Arc<dyn Signer>>) -> Result<Self, String> {
        Self::with_config(network, signers, ExactFacilitatorConfig::default())
    }

    /// A facilitator with limits of its own.
    ///
    /// # Errors
    /// The network has no node, or there is no key, or one that is no Solana key.
    pub fn with_config(
        network: Arc<Solana>,
        signers: Vec<Arc<dyn Signer>>,
        config: ExactFacilitatorConfig,
    ) -> Result<Self, String> {
        network.chain().map_err(|fault| fault.to_string())?;
        let keys: Result<Vec<Pubkey>, String> = signers
            .iter()
            .map(|signer| {
                parse_address(signer.address())
                    .ok_or_else(|| format!("the signer's address `{}` is no Solana address", signer.address()))
            })
            .collect();
        let keys = keys?;
        if keys.is_empty() {
            let id = network.id();
            return Err(format!(
                "no key pays fees on {id}; add signers = {{ \"{id}\" = [{{ key = \"env:MY_KEY\" }}] }}"
            ));
        }
        let rules = Rules {
            keys,
            max_signatures: config.max_signatures.map_or(2, |most| usize::try_from(most.get()).unwrap_or(usize::MAX)),
            max_compute_units: config.max_compute_units,
            max_compute_unit_price: config.max_compute_unit_price.unwrap_or(5_000_000),
            max_priority_fee: config.max_priority_fee.unwrap_or(100_000),
        };
        let limits = Limits {
            allowed: config.allow_token_powers,
            trust: Duration::from_secs(config.trust_verification_seconds.unwrap_or(10)),
        };
        Ok(Self { network, signers, limits, rules, recent: Recent::default(), turn: AtomicUsize::new(0) })
    }

    /// What the local checks found; they are done now where they were not.
    pub(super) fn examined<'p>(&self, payment: &'p Payment<'_, Exact>) -> Result<&'p Examined, Rejected> {
        if payment.payload.examined.get().is_none() {
            self.check(payment)?;
        }
        payment.payload.examined.get().ok_or(Rejected::new(codes::NOT_DECODED))
    }
}

impl SchemeFacilitator for ExactFacilitator {
    type Scheme = Exact;

    /// The account that pays the fee, another with each call where there are several: the network locks it while a
    /// transaction runs.
    fn kind_extra(&self) -> Option<Object> {
        let turn = self.turn.fetch_add(1, Relaxed).checked_rem(self.rules.keys.len())?;
        let named = self.rules.keys.get(turn)?.to_string();
        Some(Object::from_iter([(FEE_PAYER.to_owned(), named.into())]))
    }

    fn signers(&self) -> Vec<String> {
        self.rules.keys.iter().map(Pubkey::to_string).collect()
    }

    fn check(&self, payment: &Payment<'_, Exact>) -> Result<(), Rejected> {
        check(payment, self.network.id(), &self.rules)
    }

    async fn verify(&self, payment: &Payment<'_, Exact>) -> Result<Verified> {
        let examined = self.examined(payment)?;
        verify::assess(self, payment, examined).await?;
        Ok(Verified::new(examined.authority.to_string()))
    }

    async fn settle(&self, payment: &Payment<'_, Exact>, cx: &SettleContext) -> Result<Outcome> {
        settle::settle(self, payment, cx).await
    }
}

impl fmt::Debug for ExactFacilitator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExactFacilitator")
            .field("network", self.network.id())
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

/// The section of the facilitator side. Every key may be left out.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ExactFacilitatorConfig {
    /// Most signatures to pay for, the facilitator's own among them: 2. Each costs 5000 lamports. Wallets with several
    /// signers need more.
    pub max_signatures: Option<NonZeroU32>,
    /// Most compute units: whatever the network allows.
    pub max_compute_units: Option<u32>,
    /// Most micro-lamports for a compute unit: 5 000 000.
    pub max_compute_unit_price: Option<u64>,
    /// Most lamports for all compute units of a payment together: 100 000.
    pub max_priority_fee: Option<u64>,
    /// Powers over transfers that a Token-2022 mint may have: none. The listed stablecoins' issuers may have
    /// `permanentDelegate` in any case.
    pub allow_token_powers: BTreeSet<TokenPower>,
    /// Seconds for which a settlement trusts the verification before it: 10.
    pub trust_verification_seconds: Option<u64>,
}

impl Build for ExactFacilitator {
    type Config = ExactFacilitatorConfig;
    const EXAMPLE: &'static str = r#"{
  "maxSignatures": 2,
  "maxComputeUnits": 400000,
  "maxComputeUnitPrice": 5000000,
  "maxPriorityFee": 100000,
  "allowTokenPowers": ["transferFee", "permanentDelegate"],
  "trustVerificationSeconds": 10
}"#;

    async fn build(config: ExactFacilitatorConfig, cx: BuildContext) -> Result<Self, String> {
        Self::with_config(cx.network()?, cx.signers, config)
    }
}
