//! Taking signed transactions in.

use alloy::consensus::transaction::{Recovered, SignerRecoverable as _};
use alloy::consensus::{Transaction as _, TxEnvelope};
use alloy::eips::eip2718::Decodable2718 as _;
use alloy::primitives::{TxHash, U256};

use super::pool::Refused;
use super::{Chain, evm};
use crate::rpc::{FEE_TOO_LOW, Failure, INSUFFICIENT_FUNDS};

/// The largest transaction a node takes, in bytes.
const MAX_BYTES: usize = 128 * 1024;

impl Chain {
    /// Takes a transaction in, and mines it at once where the chain automines.
    pub(crate) fn submit(&mut self, transaction: Recovered<TxEnvelope>) -> Result<TxHash, Failure> {
        let hash = *transaction.tx_hash();
        if self.pool.contains(&hash) {
            return Err(Failure::server("already known"));
        }
        self.check(&transaction)?;
        self.pool.insert(transaction).map_err(|refused| {
            Failure::server(match refused {
                Refused::AlreadyKnown => "already known",
                Refused::Underpriced => "replacement transaction underpriced",
                Refused::Full => "txpool is full",
            })
        })?;
        if self.rules.automine {
            self.mine_ready();
        }
        Ok(hash)
    }

    /// What a node checks before it lets a transaction wait.
    fn check(&self, transaction: &Recovered<TxEnvelope>) -> Result<(), Failure> {
        match transaction.chain_id() {
            Some(id) if id == self.rules.chain_id => {}
            Some(id) => {
                return Err(Failure::server(format!(
                    "invalid chain id for signer: have {id} want {}",
                    self.rules.chain_id
                )));
            }
            None => {
                return Err(Failure::server("only replay-protected (EIP-155) transactions allowed over RPC"));
            }
        }
        let (cap, tip) = (transaction.max_fee_per_gas(), transaction.max_priority_fee_per_gas());
        if tip.is_some_and(|tip| tip > cap) {
            return Err(Failure::server("max priority fee per gas higher than max fee per gas"));
        }
        if transaction.gas_limit() > self.rules.block_gas_limit {
            return Err(Failure::server("exceeds block gas limit"));
        }
        let environment = evm::environment(transaction);
        evm::check_intrinsic_gas(&environment)?;

        let account = self.state.info(transaction.signer());
        let nonce = transaction.nonce();
        if nonce < account.nonce {
            return Err(Failure::server(format!("nonce too low: next nonce {}, tx nonce {nonce}", account.nonce)));
        }
        let cost =
            U256::from(transaction.gas_limit()).saturating_mul(U256::from(cap)).saturating_add(transaction.value());
        if cost > account.balance {
            return Err(Failure::server(format!(
                "{INSUFFICIENT_FUNDS}: balance {}, tx cost {cost}, overshot {}",
                account.balance,
                cost - account.balance
            )));
        }
        let base_fee = self.next_base_fee();
        if cap < u128::from(base_fee) {
            return Err(Failure::server(format!(
                "{FEE_TOO_LOW}: address {}, maxFeePerGas: {cap}, baseFee: {base_fee}",
                transaction.signer()
            )));
        }
        Ok(())
    }
}

/// Decodes a signed transaction and finds its sender, which is slow enough to be done before the chain is locked.
pub(crate) fn decode(raw: &[u8]) -> Result<Recovered<TxEnvelope>, Failure> {
    if raw.len() > MAX_BYTES {
        return Err(Failure::server("oversized data"));
    }
    let envelope = TxEnvelope::decode_2718_exact(raw)
        .map_err(|error| Failure::server(format!("transaction does not decode: {error}")))?;
    if envelope.is_eip4844() {
        return Err(Failure::server("transaction type not supported"));
    }
    let signer = envelope.recover_signer().map_err(|_| Failure::server("invalid sender: bad signature"))?;
    Ok(Recovered::new_unchecked(envelope, signer))
}
