//! Running transactions and calls in revm.

use std::convert::Infallible;

use alloy::consensus::transaction::Recovered;
use alloy::consensus::{Header, Transaction as _, TxEnvelope, Typed2718 as _};
use alloy::primitives::U256;
use revm::context::result::{EVMError, ExecutionResult, InvalidTransaction};
use revm::context::transaction::AccessList;
use revm::context::{BlockEnv, CfgEnv, Context, TxEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::context_interface::either::Either;
use revm::database::CacheDB;
use revm::handler::validation::validate_initial_tx_gas;
use revm::primitives::hardfork::SpecId;
use revm::{ExecuteEvm as _, MainBuilder as _, MainContext as _};

use super::state::View;
use crate::rpc::Failure;

/// The rules of the chain: contracts with authorizations of EIP-7702, and no cap on a transaction's gas.
pub(crate) const RULES: SpecId = SpecId::PRAGUE;

/// The state as the EVM sees it, with room for what one execution changes.
pub(crate) type Scratch<'a> = CacheDB<View<'a>>;
pub(crate) type Evm<'a, 'db> =
    revm::MainnetEvm<Context<BlockEnv, TxEnv, CfgEnv, &'db mut Scratch<'a>, revm::Journal<&'db mut Scratch<'a>>>>;
pub(crate) type EvmFailure = EVMError<Infallible, InvalidTransaction>;

/// An EVM in which transactions count: every rule of the chain is enforced.
pub(crate) fn strict<'a, 'db>(chain_id: u64, header: &Header, db: &'db mut Scratch<'a>) -> Evm<'a, 'db> {
    build(settings(chain_id), header, db)
}

/// An EVM for questions: no nonce, no base fee unless a price is named, and contracts may ask too. Balances hold.
pub(crate) fn lenient<'a, 'db>(chain_id: u64, header: &Header, db: &'db mut Scratch<'a>) -> Evm<'a, 'db> {
    let mut settings = settings(chain_id);
    settings.disable_nonce_check = true;
    settings.disable_base_fee = true;
    settings.disable_eip3607 = true;
    build(settings, header, db)
}

fn settings(chain_id: u64) -> CfgEnv {
    CfgEnv::new_with_spec(RULES).with_chain_id(chain_id)
}

fn build<'a, 'db>(settings: CfgEnv, header: &Header, db: &'db mut Scratch<'a>) -> Evm<'a, 'db> {
    let block = BlockEnv {
        number: U256::from(header.number),
        beneficiary: header.beneficiary,
        timestamp: U256::from(header.timestamp),
        gas_limit: header.gas_limit,
        basefee: header.base_fee_per_gas.unwrap_or_default(),
        difficulty: U256::ZERO,
        prevrandao: Some(header.mix_hash),
        blob_excess_gas_and_price: Some(BlobExcessGasAndPrice { excess_blob_gas: 0, blob_gasprice: 1 }),
        slot_num: 0,
    };
    Context::mainnet().with_db(db).with_cfg(settings).with_block(block).build_mainnet()
}

/// A signed transaction as revm takes it.
pub(crate) fn environment(transaction: &Recovered<TxEnvelope>) -> TxEnv {
    TxEnv {
        tx_type: transaction.ty(),
        caller: transaction.signer(),
        gas_limit: transaction.gas_limit(),
        gas_price: transaction.max_fee_per_gas(),
        kind: transaction.kind(),
        value: transaction.value(),
        data: transaction.input().clone(),
        nonce: transaction.nonce(),
        chain_id: transaction.chain_id(),
        access_list: transaction.access_list().cloned().unwrap_or_else(AccessList::default),
        gas_priority_fee: transaction.max_priority_fee_per_gas(),
        blob_hashes: Vec::new(),
        max_fee_per_blob_gas: 0,
        authorization_list: transaction
            .authorization_list()
            .unwrap_or_default()
            .iter()
            .cloned()
            .map(Either::Left)
            .collect(),
    }
}

/// Whether the gas limit covers what a transaction costs before its first instruction.
pub(crate) fn check_intrinsic_gas(transaction: &TxEnv) -> Result<(), Failure> {
    validate_initial_tx_gas(transaction, RULES, false, false, u64::MAX, None)
        .map(drop)
        .map_err(|reason| Failure::invalid(&reason))
}

/// Runs a question; what it would change is thrown away.
pub(crate) fn ask(evm: &mut Evm<'_, '_>, question: TxEnv) -> Result<ExecutionResult, Failure> {
    evm.transact(question).map(|done| done.result).map_err(|error| failure(&error))
}

/// Why a transaction could not even start.
pub(crate) fn failure(error: &EvmFailure) -> Failure {
    match error {
        EVMError::Transaction(reason) => Failure::invalid(reason),
        other => Failure::internal(other),
    }
}
