//! [`Chain`]: all that one network's schemes and signers share of a node: calls, fees, gas, blocks and limits.

use crate::blocks::Blocks;
use crate::fees::Fees;
use crate::finality::Finals;
use crate::gas::GasTable;
use crate::limits::Limits;
use crate::probe::{Answer, Question};
use crate::prove::{is_used, state_call};
use crate::rpc::{Call, CallError, Rpc, missing, read};
use crate::spend::Spend;
use crate::sponsor::Quota;
use alloy::primitives::{Address, B256, Bytes, U64};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tollway_core::{Fault, FaultKind, NetworkId};

/// One network's node and what is shared around it.
#[derive(Debug)]
pub(crate) struct Chain {
    name: NetworkId,
    id: u64,
    pub(crate) rpc: Rpc,
    pub(crate) fees: Fees,
    pub(crate) blocks: Blocks,
    pub(crate) gas: GasTable,
    pub(crate) spend: Arc<Spend>,
    /// What a day of sponsored payments may take, and has taken.
    pub(crate) sponsoring: Quota,
    pub(crate) limits: Limits,
    pub(crate) finals: Finals,
    /// Set once the chain turned out to have no Multicall3.
    pub(crate) unshared: AtomicBool,
}

/// A block, as far as its time matters.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Stamp {
    pub(crate) number: U64,
    pub(crate) timestamp: U64,
}

impl Chain {
    pub(crate) fn new(
        (name, id): (NetworkId, u64),
        rpc: Rpc,
        fees: Fees,
        blocks: Blocks,
        (spend, sponsoring): (Arc<Spend>, Quota),
        limits: Limits,
        finals: Finals,
    ) -> Self {
        let (gas, unshared) = (GasTable::default(), AtomicBool::new(false));
        Self { name, id, rpc, fees, blocks, gas, spend, sponsoring, limits, finals, unshared }
    }

    pub(crate) fn name(&self) -> &NetworkId {
        &self.name
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Whether payments may share transactions, as far as is known.
    pub(crate) fn shares(&self) -> bool {
        self.limits.sharing.payments > 1 && !self.unshared.load(Relaxed)
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
