//! Reading parameters.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;
use solana_pubkey::Pubkey;
use solana_transaction::versioned::VersionedTransaction;

use super::RpcFailure;
use crate::solana::chain::Commitment;

/// Largest transaction the network carries, in bytes.
const LARGEST: usize = 1232;

/// The parameters of one request.
#[derive(Clone, Copy)]
pub(crate) struct Params<'a>(pub(crate) &'a Value);

impl<'a> Params<'a> {
    pub(crate) fn at(self, index: usize) -> &'a Value {
        self.0.get(index).unwrap_or(&Value::Null)
    }

    pub(crate) fn text(self, index: usize) -> Result<&'a str, RpcFailure> {
        self.at(index).as_str().ok_or_else(|| RpcFailure::params(format!("parameter {index} must be a text")))
    }

    pub(crate) fn number(self, index: usize) -> Result<u64, RpcFailure> {
        self.at(index).as_u64().ok_or_else(|| RpcFailure::params(format!("parameter {index} must be a number")))
    }

    pub(crate) fn list(self, index: usize, most: usize) -> Result<&'a [Value], RpcFailure> {
        let list = self.at(index).as_array();
        let list = list.ok_or_else(|| RpcFailure::params(format!("parameter {index} must be a list")))?;
        match list.len() <= most {
            true => Ok(list),
            false => Err(RpcFailure::params(format!("Too many inputs provided; max {most}"))),
        }
    }

    pub(crate) fn address(self, index: usize) -> Result<Pubkey, RpcFailure> {
        address(self.at(index))
    }

    pub(crate) fn config(self, index: usize) -> Config<'a> {
        Config(self.at(index))
    }

    /// A transaction in the encoding that the configuration at `config` names; base58 where it names none.
    pub(crate) fn transaction(self, config: Config<'_>) -> Result<VersionedTransaction, RpcFailure> {
        let text = self.text(0)?;
        let bytes = match config.text("encoding") {
            Some("base64") => {
                BASE64.decode(text).map_err(|why| RpcFailure::params(format!("invalid base64: {why}")))?
            }
            Some("base58") | None => {
                bs58::decode(text).into_vec().map_err(|why| RpcFailure::params(format!("invalid base58: {why}")))?
            }
            Some(other) => return Err(RpcFailure::params(format!("unsupported encoding: {other}"))),
        };
        if bytes.len() > LARGEST {
            let message = format!("decoded solana_transaction too large: {} bytes (max: {LARGEST} bytes)", bytes.len());
            return Err(RpcFailure::params(message));
        }
        let transaction: VersionedTransaction = bincode::deserialize(&bytes)
            .map_err(|why| RpcFailure::params(format!("failed to deserialize solana_transaction: {why}")))?;
        transaction.sanitize().map_err(|why| RpcFailure::params(format!("invalid transaction: {why}")))?;
        Ok(transaction)
    }
}

/// A text as an address.
pub(crate) fn address(value: &Value) -> Result<Pubkey, RpcFailure> {
    let address = value.as_str().and_then(|text| text.parse().ok());
    address.ok_or_else(|| RpcFailure::params("Invalid address: base58 of 32 bytes is wanted"))
}

/// A configuration object; members that are not known are passed over.
#[derive(Clone, Copy)]
pub(crate) struct Config<'a>(&'a Value);

impl<'a> Config<'a> {
    pub(crate) fn get(self, member: &str) -> &'a Value {
        self.0.get(member).unwrap_or(&Value::Null)
    }

    pub(crate) fn text(self, member: &str) -> Option<&'a str> {
        self.get(member).as_str()
    }

    pub(crate) fn is(self, member: &str) -> bool {
        self.get(member) == &Value::Bool(true)
    }

    pub(crate) fn commitment(self) -> Commitment {
        match self.text("commitment") {
            Some("processed" | "recent") => Commitment::Processed,
            Some("confirmed" | "single" | "singleGossip") => Commitment::Confirmed,
            _ => Commitment::Finalized,
        }
    }
}
