//! Methods that read accounts. All of them read the newest state, whatever the commitment.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use solana_account::Account;

use super::params::{Config, Params, address};
use super::{Reply, RpcFailure, contextual};
use crate::solana::chain::Chain;
use crate::solana::token::{Holding, TOKEN_2022_PROGRAM, TOKEN_PROGRAM, decimals, token_account};

/// Most accounts one call may ask for.
const MOST_ACCOUNTS: usize = 100;

pub(crate) fn info(chain: &mut Chain, params: Params<'_>) -> Reply {
    let (account, config) = (chain.account(&params.address(0)?), params.config(1));
    Ok(contextual(chain, config.commitment(), encoded(account.as_ref(), config)))
}

pub(crate) fn multiple(chain: &mut Chain, params: Params<'_>) -> Reply {
    let config = params.config(1);
    let mut accounts = Vec::new();
    for text in params.list(0, MOST_ACCOUNTS)? {
        accounts.push(encoded(chain.account(&address(text)?).as_ref(), config));
    }
    Ok(contextual(chain, config.commitment(), accounts))
}

pub(crate) fn balance(chain: &mut Chain, params: Params<'_>) -> Reply {
    let lamports = chain.account(&params.address(0)?).map_or(0, |account| account.lamports);
    Ok(contextual(chain, params.config(1).commitment(), lamports))
}

pub(crate) fn rent(chain: &mut Chain, params: Params<'_>) -> Reply {
    let length = usize::try_from(params.number(0)?).map_err(|_| RpcFailure::params("too long"))?;
    Ok(json!(chain.rent(length)))
}

pub(crate) fn token_balance(chain: &mut Chain, params: Params<'_>) -> Reply {
    let missing = || RpcFailure::params("could not find account");
    let account = chain.account(&params.address(0)?).ok_or_else(missing)?;
    let holding = Holding::read(&account).ok_or_else(|| RpcFailure::params("not a Token account"))?;
    let decimals = chain.account(&holding.mint).as_ref().and_then(decimals).ok_or_else(missing)?;
    Ok(contextual(chain, params.config(1).commitment(), amount(holding.amount, decimals)))
}

pub(crate) fn supply(chain: &mut Chain, params: Params<'_>) -> Reply {
    let account = chain.account(&params.address(0)?);
    let mint = account.filter(|account| decimals(account).is_some());
    let mint = mint.ok_or_else(|| RpcFailure::params("not a Token mint"))?;
    let supply = mint.data.get(36..44).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
    let decimals = decimals(&mint).unwrap_or_default();
    Ok(contextual(chain, params.config(1).commitment(), amount(supply, decimals)))
}

/// The associated account of one mint, for wallets that look there first. Other accounts are not searched for.
pub(crate) fn tokens_of(chain: &mut Chain, params: Params<'_>) -> Reply {
    let (owner, config) = (params.address(0)?, params.config(2));
    let mint = address(params.config(1).get("mint"))?;
    let mut found = Vec::new();
    for program in [TOKEN_PROGRAM, TOKEN_2022_PROGRAM] {
        let at = token_account(owner, mint, program);
        if let Some(account) = chain.account(&at) {
            found.push(json!({ "pubkey": at.to_string(), "account": encoded(Some(&account), config) }));
        }
    }
    Ok(contextual(chain, config.commitment(), found))
}

/// An account in JSON. What would be asked for parsed is given in base64, as nodes do for programs they do not know.
pub(crate) fn encoded(account: Option<&Account>, config: Config<'_>) -> Value {
    let Some(account) = account else { return Value::Null };
    let slice = config.get("dataSlice");
    let of = |member: &str, otherwise: usize| {
        slice.get(member).and_then(Value::as_u64).and_then(|at| usize::try_from(at).ok()).unwrap_or(otherwise)
    };
    let (start, length) = (of("offset", 0).min(account.data.len()), of("length", account.data.len()));
    let data = &account.data[start..start.saturating_add(length).min(account.data.len())];
    let data = match config.text("encoding") {
        Some("base58") => json!([bs58::encode(data).into_string(), "base58"]),
        None | Some("binary") => json!(bs58::encode(data).into_string()),
        _ => json!([BASE64.encode(data), "base64"]),
    };
    json!({
        "data": data,
        "executable": account.executable,
        "lamports": account.lamports,
        "owner": account.owner.to_string(),
        "rentEpoch": account.rent_epoch,
        "space": account.data.len(),
    })
}

/// An amount of a token in JSON.
pub(crate) fn amount(units: u64, decimals: u8) -> Value {
    let places = usize::from(decimals);
    let digits = format!("{units:0>width$}", width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let text = match fraction.trim_end_matches('0') {
        "" => whole.to_owned(),
        fraction => format!("{whole}.{fraction}"),
    };
    json!({
        "amount": units.to_string(),
        "decimals": decimals,
        "uiAmount": text.parse::<f64>().ok(),
        "uiAmountString": text,
    })
}
