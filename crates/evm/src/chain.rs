//! [`Chain`]: all that one network's schemes share of a node: calls, fees, blocks and the signers' lanes.

use crate::blocks::Blocks;
use crate::fees::Fees;
use crate::lane::Lane;
use crate::probe::{Answer, Question};
use crate::prove::{is_used, state_call};
use crate::rpc::{Call, CallError, Rpc, missing, read};
use crate::sponsor::Quota;
use alloy::primitives::{Address, B256, Bytes, U64};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tollway_core::{Fault, FaultKind, NetworkId, Signer};

/// Limits an operator may set.
#[derive(Debug)]
pub(crate) struct Limits {
    /// Most gas of one payment's transaction, and of a wallet's verdict.
    pub(crate) max_gas: u64,
    /// How long a settlement is waited for.
    pub(crate) settle_timeout: Duration,
    /// Factories that may make payers' wallets (ERC-6492).
    pub(crate) factories: Vec<Address>,
    /// What a day of sponsored payments may take, and has taken.
    pub(crate) sponsoring: Quota,
}

/// One network's node and what is shared around it.
#[derive(Debug)]
pub(crate) struct Chain {
    name: NetworkId,
    id: u64,
    pub(crate) rpc: Rpc,
    pub(crate) fees: Fees,
    pub(crate) blocks: Blocks,
    pub(crate) limits: Limits,
    lanes: Mutex<BTreeMap<Address, Arc<Lane>>>,
}

/// A block, as far as its time matters.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Stamp {
    pub(crate) number: U64,
    pub(crate) timestamp: U64,
}

impl Chain {
    pub(crate) fn new(name: NetworkId, id: u64, rpc: Rpc, fees: Fees, blocks: Blocks, limits: Limits) -> Self {
        Self { name, id, rpc, fees, blocks, limits, lanes: Mutex::default() }
    }

    pub(crate) fn name(&self) -> &NetworkId {
        &self.name
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// The lane of a signer; one per address, whoever asks.
    pub(crate) fn lane(&self, signer: &Arc<dyn Signer>, address: Address) -> Arc<Lane> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let (rpc, blocks) = (self.rpc.clone(), self.blocks.clone());
            Arc::new(Lane::new(self.name.clone(), self.id, rpc, blocks, signer.clone(), address))
        };
        lanes.entry(address).or_insert_with(make).clone()
    }

    /// Asks the chain about a payment.
    ///
    /// # Errors
    /// The chain could not be asked, or it is another chain.
    pub(crate) async fn probe(&self, question: &Question<'_>) -> Result<Answer, Fault> {
        let answer = self.rpc.call::<Bytes>(&question.call()).await;
        self.probed(answer)
    }

    /// Reads the answer to a probe.
    ///
    /// # Errors
    /// As [`probe`](Self::probe).
    pub(crate) fn probed(&self, answer: Result<Bytes, CallError>) -> Result<Answer, Fault> {
        let doing = "asking the chain about a payment";
        let bytes = answer.map_err(|error| self.rpc.fault(doing, error))?;
        let answer = Answer::read(&bytes).ok_or_else(|| {
            let message = format!(
                "{}: {doing}: the node's answer is none of the probe's; it must run eth_call without `to` as creation \
                 code",
                self.name
            );
            Fault::new(FaultKind::Invalid, message)
        })?;
        if answer.chain != self.id {
            return Err(self.wrong_chain(answer.chain));
        }
        Ok(answer)
    }

    pub(crate) fn wrong_chain(&self, found: u64) -> Fault {
        let message = format!("{}: the node is of chain {found}; correct the network's `rpc`", self.name);
        Fault::new(FaultKind::Configuration, message)
    }

    /// The newest block's number and time.
    pub(crate) async fn stamp(&self) -> Result<Stamp, CallError> {
        self.rpc.call(&Call::new("eth_getBlockByNumber", &("latest", false))).await
    }

    /// Whether a nonce is used, and the time of the block in which it is or is not, in Unix seconds.
    ///
    /// # Errors
    /// The chain could not be asked.
    pub(crate) async fn authorization_state(
        &self,
        asset: Address,
        from: Address,
        nonce: B256,
    ) -> Result<(bool, u64), Fault> {
        let asked = async {
            let stamp = self.stamp().await?;
            let calls = [state_call(asset, from, nonce, &json_number(stamp.number)), Call::new("eth_chainId", &())];
            let mut answers = self.rpc.batch(&calls).await?.into_iter();
            let mut next = || answers.next().unwrap_or_else(|| Err(missing()));
            let (state, id): (Bytes, U64) = (read(&next()?)?, read(&next()?)?);
            Ok::<_, CallError>((state, id, stamp))
        };
        let asked = asked.await.map_err(|error| self.rpc.fault("asking for an authorization's state", error))?;
        let (state, id, stamp) = asked;
        if id != U64::from(self.id) {
            return Err(self.wrong_chain(id.to()));
        }
        Ok((is_used(&state), stamp.timestamp.to()))
    }
}

/// A block's number as calls take it.
pub(crate) fn json_number(number: U64) -> String {
    match json!(number) {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    }
}
