//! `eth_call` and `eth_estimateGas`.

use alloy::consensus::Header;
use alloy::primitives::{Bytes, TxKind, U256};
use alloy::rpc::types::state::{AccountOverride, StateOverride};
use alloy::rpc::types::{BlockOverrides, TransactionRequest};
use revm::bytecode::Bytecode;
use revm::context::TxEnv;
use revm::context::result::{ExecutionResult, HaltReason};
use revm::database::CacheDB;

use super::evm::{self, Evm, Scratch};
use super::state::HISTORY;
use super::{Chain, Rules};
use crate::rpc::{FEE_TOO_LOW, Failure, INSUFFICIENT_FUNDS};

/// What a transfer to an account without code costs.
const TRANSFER_GAS: u64 = 21_000;
/// What a call that carries ether gives its callee.
const STIPEND: u64 = 2_300;

/// Where a question is asked: a block's surroundings and the state to see.
pub(crate) struct Scene<'a> {
    chain_id: u64,
    gas_cap: u64,
    header: Header,
    scratch: Scratch<'a>,
}

/// Which state a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    Latest,
    Pending,
    /// An older block's.
    Number(u64),
}

impl Chain {
    /// What a block number means for a question.
    pub(crate) fn at(&self, number: u64) -> At {
        if number == self.tip().header.number { At::Latest } else { At::Number(number) }
    }

    /// Sets the stage. Of the newest block it is the state, at the time the next block would have now: what a payment
    /// is valid for depends on the time, and a quiet chain's newest block may be old.
    pub(crate) fn scene(&self, at: At) -> Result<Scene<'_>, Failure> {
        let tip = &self.tip().header;
        let (header, back) = match at {
            At::Pending => {
                let header = self.open_header();
                let (scratch, _) = self.run_pool(&header);
                return Ok(self.on_stage(header, scratch));
            }
            At::Latest => {
                let header = Header {
                    timestamp: self.pending_timestamp(),
                    base_fee_per_gas: Some(self.next_base_fee()),
                    ..tip.inner.clone()
                };
                (header, 0)
            }
            At::Number(number) => {
                let block = self.block(number).ok_or_else(|| Failure::server("header not found"))?;
                (block.header.inner.clone(), tip.number - number)
            }
        };
        let view = self.state.view(&self.blocks, back).ok_or_else(|| {
            Failure::server(format!(
                "historical state is not available: only that of the last {HISTORY} blocks is kept"
            ))
        })?;
        Ok(self.on_stage(header, CacheDB::new(view)))
    }

    fn on_stage<'a>(&self, header: Header, scratch: Scratch<'a>) -> Scene<'a> {
        let Rules { chain_id, call_gas_cap: gas_cap, .. } = *self.rules;
        Scene { chain_id, gas_cap, header, scratch }
    }
}

impl<'a> Scene<'a> {
    /// The state to see.
    pub(crate) fn state(&mut self) -> &mut Scratch<'a> {
        &mut self.scratch
    }

    /// Pretends accounts other than they are.
    pub(crate) fn pretend(&mut self, accounts: StateOverride) -> Result<(), Failure> {
        use revm::Database as _;
        for (address, AccountOverride { balance, nonce, code, state, state_diff, .. }) in accounts {
            let Ok(found) = self.scratch.basic(address);
            let mut info = found.unwrap_or_default();
            info.balance = balance.unwrap_or(info.balance);
            info.nonce = nonce.unwrap_or(info.nonce);
            if let Some(code) = code {
                let code = Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code));
                info = info.with_code_and_hash(code.clone(), code.hash_slow());
            }
            self.scratch.insert_account_info(address, info);
            let slots = |map: alloy::primitives::map::B256HashMap<_>| {
                map.into_iter().map(|(slot, value): (_, alloy::primitives::B256)| {
                    (U256::from_be_bytes(slot.0), U256::from_be_bytes(value.0))
                })
            };
            match (state, state_diff) {
                (Some(_), Some(_)) => {
                    return Err(Failure::params(format!("account {address} has both 'state' and 'stateDiff'")));
                }
                (Some(all), None) => {
                    let Ok(()) = self.scratch.replace_account_storage(address, slots(all).collect());
                }
                (None, Some(some)) => {
                    for (slot, value) in slots(some) {
                        let Ok(()) = self.scratch.insert_account_storage(address, slot, value);
                    }
                }
                (None, None) => {}
            }
        }
        Ok(())
    }

    /// Pretends the block other than it is, in number, time and base fee.
    pub(crate) fn pretend_block(&mut self, block: &BlockOverrides) {
        let header = &mut self.header;
        header.number = block.number.map_or(header.number, |number| number.saturating_to());
        header.timestamp = block.time.unwrap_or(header.timestamp);
        if let Some(base_fee) = block.base_fee {
            header.base_fee_per_gas = Some(base_fee.saturating_to());
        }
    }

    /// Runs a call; answers what it returned. Without a `to` it runs as creation code, and what that returns is what
    /// would become the contract.
    pub(crate) fn call(mut self, request: TransactionRequest) -> Result<Bytes, Failure> {
        let question = self.question(request)?;
        match evm::ask(&mut self.evm(question.gas_limit), question)? {
            ExecutionResult::Success { output, .. } => Ok(output.into_data()),
            ExecutionResult::Revert { output, .. } => Err(Failure::reverted(output)),
            ExecutionResult::Halt { reason, .. } => Err(Failure::halted(&reason)),
        }
    }

    /// Finds the least gas with which a call succeeds.
    pub(crate) fn estimate(mut self, request: TransactionRequest) -> Result<u64, Failure> {
        let mut question = self.question(request)?;
        question.gas_limit = self.affordable(&question)?;
        if self.is_plain_transfer(&question) {
            return Ok(TRANSFER_GAS);
        }
        let mut evm = self.evm(question.gas_limit);
        let mut try_with = |gas_limit: u64| -> Result<ExecutionResult, Failure> {
            evm::ask(&mut evm, TxEnv { gas_limit, ..question.clone() })
        };

        let ceiling = question.gas_limit;
        let gas = match try_with(ceiling)? {
            ExecutionResult::Success { gas, .. } => gas,
            ExecutionResult::Revert { output, .. } => return Err(Failure::reverted(output)),
            ExecutionResult::Halt { reason: HaltReason::OutOfGas(_), .. } => {
                return Err(Failure::server(format!("gas required exceeds allowance ({ceiling})")));
            }
            ExecutionResult::Halt { reason, .. } => return Err(Failure::halted(&reason)),
        };

        // Less than what was used cannot be enough; the refund and what calls must hold back can need more.
        let (mut too_little, mut enough) = (gas.tx_gas_used() - 1, ceiling);
        let guess = (gas.total_gas_spent() + STIPEND).saturating_mul(64) / 63;
        let mut middle = guess.clamp(too_little + 1, enough);
        while too_little + 1 < enough {
            // Fees of intrinsic gas fail before they run, which is one more way of too little.
            if try_with(middle).is_ok_and(|result| result.is_success()) {
                enough = middle;
            } else {
                too_little = middle;
            }
            // Close is good enough: a payment's estimate is then within a hundred gas.
            if enough - too_little < enough / 500 {
                break;
            }
            middle = too_little + (enough - too_little) / 2;
        }
        Ok(enough)
    }

    fn evm(&mut self, gas_limit: u64) -> Evm<'a, '_> {
        // The cap of calls may be higher than a block's.
        let header = Header { gas_limit: self.header.gas_limit.max(gas_limit), ..self.header.clone() };
        evm::lenient(self.chain_id, &header, &mut self.scratch)
    }

    fn question(&self, request: TransactionRequest) -> Result<TxEnv, Failure> {
        if let Some(id) = request.chain_id.filter(|id| *id != self.chain_id) {
            return Err(Failure::server(format!("chainId does not match node's (have={id}, want={})", self.chain_id)));
        }
        if request.gas_price.is_some()
            && (request.max_fee_per_gas.is_some() || request.max_priority_fee_per_gas.is_some())
        {
            return Err(Failure::server("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified"));
        }
        let price = request.gas_price.or(request.max_fee_per_gas).unwrap_or_default();
        let base_fee = self.header.base_fee_per_gas.unwrap_or_default();
        if price > 0 && price < u128::from(base_fee) {
            return Err(Failure::server(format!("{FEE_TOO_LOW}: maxFeePerGas: {price}, baseFee: {base_fee}")));
        }
        let kind = request.to.unwrap_or(TxKind::Create);
        let authorizations = request.authorization_list.unwrap_or_default();
        if kind.is_create() && !authorizations.is_empty() {
            return Err(Failure::params("a transaction with authorizations needs a 'to'"));
        }
        // Without a price the tip would exceed the fee cap, which is zero.
        let tip = request.max_priority_fee_per_gas.filter(|_| request.max_fee_per_gas.is_some());
        Ok(TxEnv::builder()
            .caller(request.from.unwrap_or_default())
            .kind(kind)
            .value(request.value.unwrap_or_default())
            .data(request.input.into_input().unwrap_or_default())
            .gas_limit(request.gas.filter(|gas| *gas > 0).unwrap_or(self.gas_cap).min(self.gas_cap))
            .gas_price(price)
            .gas_priority_fee(tip)
            .access_list(request.access_list.unwrap_or_default())
            .authorization_list_signed(authorizations)
            .chain_id(Some(self.chain_id))
            .build_fill())
    }

    /// The most gas the sender can pay at the price named.
    fn affordable(&mut self, question: &TxEnv) -> Result<u64, Failure> {
        use revm::Database as _;
        let Ok(found) = self.scratch.basic(question.caller);
        let balance = found.unwrap_or_default().balance;
        let left = balance
            .checked_sub(question.value)
            .ok_or_else(|| Failure::server(format!("{INSUFFICIENT_FUNDS}: balance {balance}")))?;
        if question.gas_price == 0 {
            return Ok(question.gas_limit);
        }
        let gas: u64 = (left / U256::from(question.gas_price)).saturating_to();
        Ok(gas.min(question.gas_limit))
    }

    fn is_plain_transfer(&mut self, question: &TxEnv) -> bool {
        use revm::Database as _;
        let TxKind::Call(to) = question.kind else { return false };
        let bare = question.data.is_empty()
            && question.authorization_list.is_empty()
            && question.access_list.is_empty()
            && question.gas_limit >= TRANSFER_GAS;
        let Ok(callee) = self.scratch.basic(to);
        bare && callee.is_none_or(|callee| callee.is_empty_code_hash())
            && !revm::precompile::Precompiles::prague().contains(&to)
    }
}
