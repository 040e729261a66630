//! What an account has.

use alloy::primitives::{Address, B256, Bytes, U64, U256};
use alloy::serde::JsonStorageKey;
use revm::Database as _;
use revm::state::AccountInfo;

use super::{Failure, Params, Reply, reply};
use crate::chain::At;
use crate::devnet::Devnet;

pub(super) fn balance(devnet: &Devnet, params: Params<'_>) -> Reply {
    reply(&info(devnet, &params)?.balance)
}

pub(super) fn code(devnet: &Devnet, params: Params<'_>) -> Reply {
    let code = info(devnet, &params)?.code;
    reply(&code.map(|code| code.original_bytes()).unwrap_or_else(Bytes::new))
}

pub(super) fn transaction_count(devnet: &Devnet, params: Params<'_>) -> Reply {
    let address: Address = params.get(0)?;
    let chain = devnet.chain();
    // Asked before each transaction, so it does not run the pool to count it.
    if params.at(1, &chain)? == At::Pending {
        return reply(&U64::from(chain.pending_nonce(&address)));
    }
    drop(chain);
    reply(&U64::from(info(devnet, &params)?.nonce))
}

pub(super) fn storage_at(devnet: &Devnet, params: Params<'_>) -> Reply {
    let (address, slot): (Address, JsonStorageKey) = (params.get(0)?, params.get(1)?);
    let chain = devnet.chain();
    let mut scene = chain.scene(params.at(2, &chain)?)?;
    let Ok(value) = scene.state().storage(address, U256::from_be_bytes(slot.as_b256().0));
    reply(&B256::from(value))
}

fn info(devnet: &Devnet, params: &Params<'_>) -> Result<AccountInfo, Failure> {
    let address: Address = params.get(0)?;
    let chain = devnet.chain();
    let mut scene = chain.scene(params.at(1, &chain)?)?;
    let Ok(info) = scene.state().basic(address);
    Ok(info.unwrap_or_default())
}
