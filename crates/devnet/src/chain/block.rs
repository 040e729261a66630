//! Mined blocks in the form in which they are asked for.

use alloy::consensus::constants::EMPTY_WITHDRAWALS;
use alloy::consensus::proofs::{calculate_receipt_root, calculate_transaction_root};
use alloy::consensus::transaction::Recovered;
use alloy::consensus::{
    Header, Receipt, ReceiptEnvelope, ReceiptWithBloom, Transaction as _, TxEnvelope, TxReceipt as _,
};
use alloy::eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy::primitives::{Address, B256, Bytes, Log, U256, keccak256};
use alloy::rpc::types::{self as rpc, BlockTransactions, TransactionReceipt};

/// Who earns the priority fees: the sequencer's fee vault of OP-stack chains.
const BENEFICIARY: Address = alloy::primitives::address!("0x4200000000000000000000000000000000000011");

/// A block with all that can be asked about it.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) header: rpc::Header,
    pub(crate) transactions: Vec<rpc::Transaction>,
    pub(crate) receipts: Vec<TransactionReceipt>,
}

/// A transaction and what became of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) transaction: Recovered<TxEnvelope>,
    pub(crate) success: bool,
    pub(crate) gas_used: u64,
    pub(crate) logs: Vec<Log>,
    pub(crate) created: Option<Address>,
}

/// The header of a block to be mined, complete but for what its transactions decide.
pub(crate) fn open_header(
    parent: Option<&rpc::Header>,
    timestamp: u64,
    base_fee: u64,
    gas_limit: u64,
    fork: u64,
) -> Header {
    let parent_hash = parent.map(|parent| parent.hash).unwrap_or_default();
    Header {
        parent_hash,
        beneficiary: BENEFICIARY,
        number: parent.map_or(0, |parent| parent.number + 1),
        gas_limit,
        timestamp,
        // Blocks that replace others must differ from them even where they hold the same.
        extra_data: if fork == 0 { Bytes::new() } else { fork.to_be_bytes().into() },
        mix_hash: keccak256(parent_hash),
        base_fee_per_gas: Some(base_fee),
        withdrawals_root: Some(EMPTY_WITHDRAWALS),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        ..Header::default()
    }
}

impl Block {
    /// Closes a block over its transactions. The state root stays zero: nobody proves anything against it, and
    /// hashing the whole state for each block would be the most expensive thing this chain does.
    pub(crate) fn seal(mut header: Header, outcomes: Vec<Outcome>) -> Self {
        let mut gas_used = 0;
        let envelopes: Vec<ReceiptEnvelope<Log>> = outcomes
            .iter()
            .map(|outcome| {
                gas_used += outcome.gas_used;
                let receipt = Receipt {
                    status: outcome.success.into(),
                    cumulative_gas_used: gas_used,
                    logs: outcome.logs.clone(),
                };
                let with_bloom: ReceiptWithBloom<Receipt<Log>> = receipt.into();
                ReceiptEnvelope::from_typed(outcome.transaction.tx_type(), with_bloom)
            })
            .collect();
        let bodies: Vec<&TxEnvelope> = outcomes.iter().map(|outcome| outcome.transaction.inner()).collect();
        header.transactions_root = calculate_transaction_root(&bodies);
        header.receipts_root = calculate_receipt_root(&envelopes);
        header.gas_used = gas_used;
        for envelope in &envelopes {
            header.logs_bloom |= envelope.bloom();
        }

        let header = rpc::Header::new(header);
        let base_fee = header.base_fee_per_gas;
        let mut transactions = Vec::with_capacity(outcomes.len());
        let mut receipts = Vec::with_capacity(outcomes.len());
        let mut log_index = 0;
        for ((index, outcome), envelope) in (0_u64..).zip(outcomes).zip(envelopes) {
            let transaction = outcome.transaction;
            let hash = *transaction.tx_hash();
            let price = transaction.effective_gas_price(base_fee);
            let inner = envelope.map_logs(|inner| {
                log_index += 1;
                rpc::Log {
                    inner,
                    block_hash: Some(header.hash),
                    block_number: Some(header.number),
                    block_timestamp: Some(header.timestamp),
                    transaction_hash: Some(hash),
                    transaction_index: Some(index),
                    log_index: Some(log_index - 1),
                    removed: false,
                }
            });
            receipts.push(TransactionReceipt {
                inner,
                transaction_hash: hash,
                transaction_index: Some(index),
                block_hash: Some(header.hash),
                block_number: Some(header.number),
                gas_used: outcome.gas_used,
                effective_gas_price: price,
                blob_gas_used: None,
                blob_gas_price: None,
                from: transaction.signer(),
                to: transaction.to(),
                contract_address: outcome.created,
            });
            transactions.push(rpc::Transaction {
                inner: transaction,
                block_hash: Some(header.hash),
                block_number: Some(header.number),
                transaction_index: Some(index),
                effective_gas_price: Some(price),
                block_timestamp: Some(header.timestamp),
            });
        }
        let mut block = Self { header, transactions, receipts };
        block.header.size = Some(U256::from(block.header.inner.size()));
        block
    }

    /// The block as JSON-RPC answers it, with whole transactions or their hashes.
    pub(crate) fn to_rpc(&self, full: bool) -> rpc::Block {
        let transactions = if full {
            BlockTransactions::Full(self.transactions.clone())
        } else {
            let hashes = self.receipts.iter().map(|receipt| receipt.transaction_hash);
            BlockTransactions::Hashes(hashes.collect())
        };
        rpc::Block {
            header: self.header.clone(),
            uncles: Vec::new(),
            transactions,
            withdrawals: Some(Vec::new().into()),
        }
    }
}
