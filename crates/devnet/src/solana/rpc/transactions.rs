//! Methods that run, send and find transactions.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use solana_account::Account;
use solana_message::VersionedMessage;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_transaction::versioned::VersionedTransaction;
use solana_transaction_error::TransactionError;

use super::accounts::{amount, encoded};
use super::params::{Params, address};
use super::{Reply, RpcFailure, contextual};
use crate::solana::chain::{Chain, Commitment, Done, Simulation};
use crate::solana::token::{Holding, decimals};

/// Most signatures and transactions one call may ask for.
const MOST_STATUSES: usize = 256;
const MOST_SIGNATURES: usize = 1000;
/// Slots after which a status is only found where history is searched.
const RECENT: u64 = 150;
/// The programs that write memos, the old one and the present one.
const MEMOS: [Pubkey; 2] = [
    Pubkey::from_str_const("Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo"),
    Pubkey::from_str_const("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"),
];
/// What a signature costs.
const LAMPORTS_PER_SIGNATURE: u64 = 5000;

pub(crate) fn send(chain: &mut Chain, params: Params<'_>) -> Reply {
    let config = params.config(1);
    let transaction = params.transaction(config)?;
    let signature = first(&transaction)?;
    if !config.is("skipPreflight") {
        verified(&transaction)?;
        let simulation = chain.simulate(&transaction, false);
        if let Some(err) = &simulation.err {
            let data = simulated(chain, &transaction, &simulation, &[], config.get("accounts"))?;
            let message = format!("Transaction simulation failed: {err}");
            return Err(RpcFailure { data: Some(data), ..RpcFailure::new(-32002, message) });
        }
    }
    // From here on nobody hears of what goes wrong, as with a transaction that a leader drops.
    let _ = chain.run(transaction);
    Ok(json!(signature))
}

/// Answers as [`send`] does, and does nothing.
pub(crate) fn lose(params: Params<'_>) -> Reply {
    first(&params.transaction(params.config(1))?).map(Value::from)
}

pub(crate) fn simulate(chain: &mut Chain, params: Params<'_>) -> Reply {
    let config = params.config(1);
    let transaction = params.transaction(config)?;
    let replace = config.is("replaceRecentBlockhash");
    match (config.is("sigVerify"), replace) {
        (true, true) => return Err(RpcFailure::params("sigVerify may not be used with replaceRecentBlockhash")),
        (true, false) => verified(&transaction)?,
        (false, _) => {}
    }
    let asked = config.get("accounts").get("addresses").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let asked: Vec<Pubkey> = asked.iter().map(address).collect::<Result<_, _>>()?;
    if asked.len() > transaction.message.static_account_keys().len() {
        return Err(RpcFailure::params("Too many accounts provided"));
    }
    let simulation = chain.simulate(&transaction, replace);
    let mut value = simulated(chain, &transaction, &simulation, &asked, config.get("accounts"))?;
    if replace {
        let (hash, last) = chain.blockhash(config.commitment());
        value["replacementBlockhash"] = json!({ "blockhash": hash.to_string(), "lastValidBlockHeight": last });
    }
    Ok(contextual(chain, config.commitment(), value))
}

fn first(transaction: &VersionedTransaction) -> Result<String, RpcFailure> {
    let first = transaction.signatures.first();
    first.map(Signature::to_string).ok_or_else(|| RpcFailure::params("a transaction has a signature"))
}

fn verified(transaction: &VersionedTransaction) -> Result<(), RpcFailure> {
    match transaction.verify_with_results().iter().all(|good| *good) {
        true => Ok(()),
        false => Err(RpcFailure::new(-32003, "Transaction signature verification failure")),
    }
}

fn error(err: &Option<TransactionError>) -> Value {
    serde_json::to_value(err).unwrap_or(Value::Null)
}

fn simulated(
    chain: &Chain,
    transaction: &VersionedTransaction,
    simulation: &Simulation,
    asked: &[Pubkey],
    config: &Value,
) -> Reply {
    let keys = transaction.message.static_account_keys();
    let after = |key: &Pubkey| simulation.written.get(key).cloned().or_else(|| chain.account(key));
    let config = [Value::Null, config.clone()];
    let config = Value::from(config.to_vec());
    let config = Params(&config).config(1);
    let accounts = match simulation.err {
        _ if asked.is_empty() => Value::Null,
        Some(_) => json!(vec![Value::Null; asked.len()]),
        None => asked.iter().map(|key| encoded(after(key).as_ref(), config)).collect(),
    };
    let lamports = |of: &dyn Fn(&Pubkey) -> Option<Account>| -> Value {
        keys.iter().map(|key| of(key).map_or(0, |account| account.lamports)).collect()
    };
    let before = |key: &Pubkey| chain.account(key);
    Ok(json!({
        "err": error(&simulation.err),
        "logs": simulation.logs,
        "accounts": accounts,
        "unitsConsumed": simulation.units,
        "loadedAccountsDataSize": null,
        "returnData": null,
        "innerInstructions": null,
        "replacementBlockhash": null,
        "fee": simulation.fee,
        "preBalances": lamports(&before),
        "postBalances": lamports(&after),
        "preTokenBalances": token_balances(chain, keys, &before),
        "postTokenBalances": token_balances(chain, keys, &after),
        "loadedAddresses": { "writable": [], "readonly": [] },
    }))
}

fn token_balances(chain: &Chain, keys: &[Pubkey], of: &dyn Fn(&Pubkey) -> Option<Account>) -> Value {
    let mut known: HashMap<Pubkey, Option<u8>> = HashMap::new();
    let mut balances = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        let Some(holding) = of(key).as_ref().and_then(Holding::read) else { continue };
        let decimals =
            *known.entry(holding.mint).or_insert_with(|| chain.account(&holding.mint).as_ref().and_then(decimals));
        balances.push(json!({
            "accountIndex": index,
            "mint": holding.mint.to_string(),
            "owner": holding.owner.to_string(),
            "programId": holding.program.to_string(),
            "uiTokenAmount": amount(holding.amount, decimals.unwrap_or_default()),
        }));
    }
    balances.into()
}

pub(crate) fn statuses(chain: &mut Chain, params: Params<'_>) -> Reply {
    let thorough = params.config(1).is("searchTransactionHistory");
    let now = chain.slot(Commitment::Processed);
    let mut found = Vec::new();
    for text in params.list(0, MOST_STATUSES)? {
        let done = chain.done(&signature(text)?).filter(|(done, _)| thorough || now - done.slot <= RECENT);
        found.push(done.map_or(Value::Null, |(done, sure)| status(done, sure, now)));
    }
    Ok(contextual(chain, Commitment::Processed, found))
}

fn signature(value: &Value) -> Result<Signature, RpcFailure> {
    let signature = value.as_str().and_then(|text| text.parse().ok());
    signature.ok_or_else(|| RpcFailure::params("Invalid signature: base58 of 64 bytes is wanted"))
}

fn status(done: &Done, sure: Commitment, now: u64) -> Value {
    json!({
        "slot": done.slot,
        "confirmations": if sure == Commitment::Finalized { Value::Null } else { json!(now - done.slot) },
        "err": error(&done.err),
        "status": outcome(done),
        "confirmationStatus": name(sure),
    })
}

fn outcome(done: &Done) -> Value {
    match &done.err {
        None => json!({ "Ok": null }),
        some => json!({ "Err": error(some) }),
    }
}

fn name(sure: Commitment) -> &'static str {
    match sure {
        Commitment::Processed => "processed",
        Commitment::Confirmed => "confirmed",
        Commitment::Finalized => "finalized",
    }
}

pub(crate) fn get(chain: &mut Chain, params: Params<'_>) -> Reply {
    let Some((done, _)) = chain.done(&signature(params.at(0))?) else { return Ok(Value::Null) };
    let config = match params.at(1) {
        Value::String(_) => params.at(1).as_str(),
        _ => params.config(1).text("encoding"),
    };
    let bytes = bincode::serialize(&done.transaction).map_err(|why| RpcFailure::new(-32603, why.to_string()))?;
    let encoded = match config {
        Some("base64") => json!([BASE64.encode(bytes), "base64"]),
        Some("base58") => json!([bs58::encode(bytes).into_string(), "base58"]),
        _ => return Err(RpcFailure::params("this devnet gives transactions as base64 or base58; set `encoding`")),
    };
    let version = match done.transaction.message {
        VersionedMessage::Legacy(_) => json!("legacy"),
        _ => json!(0),
    };
    Ok(json!({
        "slot": done.slot,
        "blockTime": null,
        "version": version,
        "transaction": encoded,
        "meta": {
            "err": error(&done.err),
            "status": outcome(done),
            "fee": done.fee,
            "computeUnitsConsumed": done.units,
            "logMessages": done.logs,
            "preBalances": [], "postBalances": [],
            "innerInstructions": [],
            "loadedAddresses": { "writable": [], "readonly": [] },
        },
    }))
}

pub(crate) fn of_address(chain: &mut Chain, params: Params<'_>) -> Reply {
    let (address, config) = (params.address(0)?, params.config(1));
    let limit = config.get("limit").as_u64().and_then(|limit| usize::try_from(limit).ok()).unwrap_or(MOST_SIGNATURES);
    let names = |done: &Done| done.transaction.message.static_account_keys().contains(&address);
    let found = chain.history().filter(|(_, done)| names(done)).take(limit.min(MOST_SIGNATURES));
    let described = found.map(|(signature, done)| {
        json!({
            "signature": signature.to_string(), "slot": done.slot, "err": error(&done.err),
            "memo": memos(done), "blockTime": null, "confirmationStatus": "confirmed",
        })
    });
    Ok(described.collect())
}

/// The memos of a transaction as a node tells them: each behind its length, `null` where there is none.
fn memos(done: &Done) -> Value {
    let message = &done.transaction.message;
    let keys = message.static_account_keys();
    let of_memo = |program: u8| keys.get(usize::from(program)).is_some_and(|key| MEMOS.contains(key));
    let texts: Vec<_> = message
        .instructions()
        .iter()
        .filter(|instruction| of_memo(instruction.program_id_index))
        .map(|memo| format!("[{}] {}", memo.data.len(), String::from_utf8_lossy(&memo.data)))
        .collect();
    if texts.is_empty() { Value::Null } else { texts.join("; ").into() }
}

pub(crate) fn fee(chain: &mut Chain, params: Params<'_>) -> Reply {
    let bytes = BASE64.decode(params.text(0)?).map_err(|why| RpcFailure::params(format!("invalid base64: {why}")))?;
    let message: VersionedMessage =
        bincode::deserialize(&bytes).map_err(|why| RpcFailure::params(format!("invalid message: {why}")))?;
    let fee = LAMPORTS_PER_SIGNATURE * u64::from(message.header().num_required_signatures);
    let valid = chain.is_valid(message.recent_blockhash(), Commitment::Processed);
    Ok(contextual(chain, params.config(1).commitment(), if valid { json!(fee) } else { Value::Null }))
}

pub(crate) fn airdrop(chain: &mut Chain, params: Params<'_>) -> Reply {
    let (address, lamports) = (params.address(0)?, params.number(1)?);
    chain.airdrop(&address, lamports).map_err(|why| RpcFailure::new(-32603, why))?;
    chain.advance(1);
    // There is no transaction behind it; the signature names none.
    Ok(json!(Signature::default().to_string()))
}
