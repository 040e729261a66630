//! The chain's half of verifying: one simulation, which also tells what is not yet known of the token.

use super::Exact;
use super::facilitator::ExactFacilitator;
use super::types::Examined;
use crate::chain::Chain;
use crate::codes;
use crate::mint::{Mint, TokenPower};
use crate::rpc::{CallError, Simulated};
use crate::signer::sign_message;
use serde_json::Value;
use solana_pubkey::Pubkey;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tollway_core::codes::DUPLICATE_SETTLEMENT;
use tollway_core::{Failure, Fault, FaultKind, Payment, Rejected, Result};

/// Verifications kept. The oldest make room for new ones.
const MOST_RECENT: usize = 8192;
/// JSON-RPC code for a transaction whose signatures a node finds bad.
const BAD_SIGNATURE: i64 = -32003;

/// A transaction with all its signatures.
#[derive(Debug, Clone)]
pub(super) struct FullySigned {
    /// The fee payer's, by which the transaction is known.
    pub(super) signature: [u8; 64],
    pub(super) bytes: Vec<u8>,
}

/// Payments verified a moment ago, by their message.
#[derive(Debug, Default)]
pub(super) struct Recent {
    verified: Mutex<HashMap<[u8; 32], Instant>>,
}

impl Recent {
    fn verified(&self) -> MutexGuard<'_, HashMap<[u8; 32], Instant>> {
        // A map of times is whole whatever panicked while it was locked.
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, hash: [u8; 32], trust: Duration) {
        let now = Instant::now();
        let mut verified = self.verified();
        if verified.len() >= MOST_RECENT {
            verified.retain(|_, at| now.duration_since(*at) < trust);
        }
        // Full of fresh ones: the settlement asks again.
        if verified.len() < MOST_RECENT {
            verified.insert(hash, now);
        }
    }

    /// Whether a payment was verified a moment ago. Asked once: the next settlement asks the chain.
    pub(super) fn take(&self, hash: &[u8; 32], trust: Duration) -> bool {
        self.verified().remove(hash).is_some_and(|at| at.elapsed() < trust)
    }
}

/// Signs the transaction as fee payer.
pub(super) async fn sign(
    side: &ExactFacilitator,
    payment: &Payment<'_, Exact>,
    examined: &Examined,
) -> Result<FullySigned> {
    let transaction = payment.payload.decoded().map_err(|_| Rejected::new(codes::NOT_DECODED))?;
    let signer = side.signers.get(examined.signer).ok_or(Rejected::new(codes::SIGNING_FAILED))?;
    let signature = sign_message(&**signer, &examined.fee_payer, transaction.message()).await?;
    Ok(FullySigned { signature, bytes: transaction.signed(&signature) })
}

/// Asks the chain whether the payment would settle, and remembers that it would.
pub(super) async fn assess(
    side: &ExactFacilitator,
    payment: &Payment<'_, Exact>,
    examined: &Examined,
) -> Result<FullySigned> {
    let chain = side.network.chain()?;
    let signed = sign(side, payment, examined).await?;
    let judged = async {
        let known = chain.mints.get(&examined.mint);
        let unread = known.is_none().then_some(&examined.mint);
        let simulated = chain.rpc.simulate(&signed.bytes, unread).await.map_err(|why| unanswered(chain, why))?;
        if let Some(why) = &simulated.err {
            return Err(refusal(why, examined));
        }
        let mint = match known {
            Some(mint) => mint,
            None => read(chain, &simulated, &examined.mint).await?,
        };
        accepts(side, examined, &mint)?;
        arrives(side, examined, &simulated, &mint)?;
        if let Ok(transaction) = payment.payload.decoded() {
            chain.confirmations.expiry.seen(&transaction.blockhash());
        }
        Ok(())
    };
    judged.await.map_err(|failure| match failure {
        Failure::Rejected(rejected) => Failure::Rejected(rejected.payer(examined.authority.to_string())),
        fault => fault,
    })?;
    side.recent.put(examined.hash, side.limits.trust);
    Ok(signed)
}

fn unanswered(chain: &Chain, why: CallError) -> Failure {
    if let CallError::Refused { code: BAD_SIGNATURE, message } = &why {
        // Every other signature was checked here, by the same rules.
        let message = format!("{}: the node finds the fee payer's signature bad: {message}", chain.rpc.network());
        return Fault::new(FaultKind::Internal, message).into();
    }
    chain.rpc.fault("simulating a payment", why).into()
}

/// The mint as the simulation shows it, or else asked for.
async fn read(chain: &Chain, simulated: &Simulated, address: &Pubkey) -> Result<Mint> {
    match simulated.account().and_then(Mint::read) {
        Some(mint) => {
            chain.mints.put(*address, mint.clone());
            Ok(mint)
        }
        // Not every node shows accounts.
        None => {
            let mint = chain.mints.read(&chain.rpc, address).await;
            let mint = mint.map_err(|why| chain.rpc.fault("reading the token's mint", why))?;
            mint.ok_or_else(|| {
                Rejected::new(codes::MINT_MISMATCH).because(format!("there is no token {address}")).into()
            })
        }
    }
}

/// Whether the token's powers are all allowed.
fn accepts(side: &ExactFacilitator, examined: &Examined, mint: &Mint) -> Result<(), Rejected> {
    let listed = side.network.known_token(&examined.mint).is_some_and(|token| token.listed);
    let allowed =
        |power: &TokenPower| side.limits.allowed.contains(power) || listed && *power == TokenPower::PermanentDelegate;
    match mint.powers.iter().find(|power| !allowed(power)) {
        Some(power) => {
            let message = format!(
                "the token {} has {power}, which this facilitator does not accept (schemes.exact.\"{}\".allowTokenPowers)",
                examined.mint,
                tollway_core::Network::id(&*side.network)
            );
            Err(Rejected::new(codes::MINT_NOT_ALLOWED).because(message))
        }
        None => Ok(()),
    }
}

/// Whether what was paid would arrive, as far as the node tells.
fn arrives(side: &ExactFacilitator, examined: &Examined, simulated: &Simulated, mint: &Mint) -> Result<(), Rejected> {
    let whole = i128::from(examined.amount);
    let fee = mint.powers.contains(&TokenPower::TransferFee) && side.limits.allowed.contains(&TokenPower::TransferFee);
    match simulated.gain(examined.destination) {
        // An older node, which does not tell: the token programs move what they are told to.
        None => Ok(()),
        Some(gain) if gain == whole || fee && (1..whole).contains(&gain) => Ok(()),
        Some(gain) => {
            let message = format!("of {whole} units {gain} would arrive");
            Err(Rejected::new(codes::AMOUNT_MISMATCH).because(message))
        }
    }
}

/// What a failed simulation means: the payer's fault, or the facilitator's own.
fn refusal(why: &Value, examined: &Examined) -> Failure {
    let failed = |why: &str| Rejected::new(codes::SIMULATION_FAILED).because(why);
    let unfunded = || {
        let message = format!("the fee payer {} has too little SOL; send it some", examined.fee_payer);
        Failure::from(Fault::new(FaultKind::Configuration, message))
    };
    match why {
        Value::String(word) => match word.as_str() {
            "AlreadyProcessed" => {
                Rejected::new(DUPLICATE_SETTLEMENT).because("this payment is on chain already").into()
            }
            "BlockhashNotFound" => {
                failed("the transaction's blockhash has expired or is of another chain; sign a new payment").into()
            }
            // Both are about the account that pays the fee.
            "AccountNotFound" | "InsufficientFundsForFee" => unfunded(),
            other => failed(&crate::rpc::cut(other)).into(),
        },
        Value::Object(object) => match object.get("InstructionError").and_then(Value::as_array).map(Vec::as_slice) {
            Some([place, error]) => instruction(place, error).into(),
            _ if object.get("InsufficientFundsForRent").and_then(|at| at["account_index"].as_u64()) == Some(0) => {
                unfunded()
            }
            _ => failed(&crate::rpc::cut(&why.to_string())).into(),
        },
        other => failed(&crate::rpc::cut(&other.to_string())).into(),
    }
}

fn instruction(place: &Value, error: &Value) -> Rejected {
    const INSUFFICIENT_FUNDS: u64 = 1;
    const FROZEN: u64 = 17;
    let custom = error.get("Custom").and_then(Value::as_u64);
    let transfer = place.as_u64() == u64::try_from(super::TRANSFER).ok();
    let message = match custom {
        Some(INSUFFICIENT_FUNDS) if transfer => "the payer has too few tokens".to_owned(),
        Some(FROZEN) if transfer => "a token account is frozen".to_owned(),
        _ if transfer && error == "InvalidAccountData" => {
            "a token account does not exist: the payer's or the recipient's must be created first".to_owned()
        }
        _ => crate::rpc::cut(&format!("instruction {place} fails: {error}")),
    };
    Rejected::new(codes::SIMULATION_FAILED).because(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Transaction;
    use crate::programs::{TOKEN, TOKEN_2022};
    use crate::test::{
        Script, account_json, block_on, extension, facilitator_over, golden_bytes, golden_offer, golden_payment,
        mint_data, simulated,
    };
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use serde_json::json;
    use tollway_core::erased::FacilitatorDyn;
    use tollway_core::{ErrorCode, PaymentRequirements, Verified};
    use tollway_testkit::golden;

    /// A node that finds the payment good, and tells the token's mint.
    fn node(program: Pubkey, extensions: Vec<(u16, Vec<u8>)>) -> Script {
        let script = Script::default();
        script.on("simulateTransaction", move |params| Ok(simulated(params, program, &extensions, 1000)));
        script
    }

    fn verify_by(facilitator: &ExactFacilitator, offer: &PaymentRequirements) -> Result<Verified> {
        let payment = golden_payment("exact-svm");
        block_on(async {
            let open = FacilitatorDyn::open(facilitator, &payment, offer).unwrap();
            open.check().unwrap();
            open.verify().await
        })
    }

    fn verify(script: &Script, config: Value) -> Result<Verified> {
        verify_by(&facilitator_over(script.clone(), config), &golden_offer("exact-svm"))
    }

    fn code(result: Result<Verified>) -> ErrorCode {
        match result {
            Err(Failure::Rejected(rejected)) => {
                assert_eq!(rejected.payer.as_deref(), Some("F5VXWaBNSv1khZWE1wwCusDZ7o9hp8Nsii9R2j24xuKs"));
                rejected.code
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_golden_payment_is_verified_in_one_round_trip_warm_and_cold() {
        let script = node(TOKEN, Vec::new());
        let facilitator = facilitator_over(script.clone(), json!({}));
        for round in 1..=3 {
            let verified = verify_by(&facilitator, &golden_offer("exact-svm")).unwrap();
            assert_eq!(verified.payer.as_deref(), Some("F5VXWaBNSv1khZWE1wwCusDZ7o9hp8Nsii9R2j24xuKs"));
            assert_eq!(script.total(), round);
        }
    }

    #[test]
    fn a_node_that_shows_no_accounts_takes_two_and_only_once() {
        let script = node(TOKEN, Vec::new());
        script.on("simulateTransaction", |_| Ok(json!({ "context": { "slot": 1 }, "value": { "err": null } })));
        script.on("getAccountInfo", |_| {
            Ok(json!({ "context": { "slot": 1 }, "value": account_json(TOKEN, &mint_data(6, &[])) }))
        });
        let facilitator = facilitator_over(script.clone(), json!({}));
        verify_by(&facilitator, &golden_offer("exact-svm")).unwrap();
        assert_eq!(script.total(), 2);
        verify_by(&facilitator, &golden_offer("exact-svm")).unwrap();
        assert_eq!(script.total(), 3);
    }

    /// What is simulated is the very transaction the reference implementation sent: same bytes, same signature.
    #[test]
    fn the_simulation_checks_signatures_and_the_fee_payers_is_filled_in() {
        let script = node(TOKEN, Vec::new());
        script.on("simulateTransaction", |params| {
            assert_eq!((&params[1]["sigVerify"], &params[1]["replaceRecentBlockhash"]), (&json!(true), &json!(false)));
            let bytes = BASE64.decode(params[0].as_str().unwrap()).unwrap();
            let sent = Transaction::decode(bytes.clone()).unwrap();
            assert!(sent.signatures().all(|(key, signature)| crate::signer::is_good(&signature, &key, sent.message())));
            let first = solana_signature::Signature::from(sent.signatures().next().unwrap().1).to_string();
            let settled = &golden::flow("exact-svm")["facilitator"][1]["response"]["body"]["transaction"];
            assert_eq!(first, settled.as_str().unwrap());
            assert_eq!(bytes[65..], golden_bytes("exact-svm")[65..]);
            Ok(simulated(params, TOKEN, &[], 1000))
        });
        verify(&script, json!({})).unwrap();
    }

    /// Security, "Token-2022 fee, hook, permanent delegate, frozen by default": one mint for each.
    #[test]
    fn a_token_with_a_power_is_refused_unless_it_is_allowed() {
        for (extension, power) in [
            (extension::fee(100), "transferFee"),
            (extension::hook([7; 32]), "transferHook"),
            (extension::delegate([7; 32]), "permanentDelegate"),
            (extension::default_state(2), "defaultFrozen"),
            ((9, Vec::new()), "nonTransferable"),
            ((4711, Vec::new()), "unknown"),
        ] {
            // Not of the table, where issuers' delegates are accepted.
            let script = node(TOKEN_2022, vec![extension]);
            let result = verify_unlisted(&script, json!({}));
            let Err(Failure::Rejected(rejected)) = &result else { panic!("{result:?}") };
            assert_eq!(rejected.code, codes::MINT_NOT_ALLOWED);
            assert!(rejected.message.as_ref().unwrap().contains(power), "{rejected}");
            verify_unlisted(&script, json!({ "allowTokenPowers": [power] })).unwrap();
            let others = ["transferFee", "permanentDelegate"].into_iter().filter(|other| *other != power);
            let others: Vec<_> = others.collect();
            assert!(verify_unlisted(&script, json!({ "allowTokenPowers": others })).is_err());
        }
    }

    /// Verifies with the recorded token taken off the table.
    fn verify_unlisted(script: &Script, config: Value) -> Result<Verified> {
        let offer = golden_offer("exact-svm");
        let own = crate::TokenConfig::new(&offer.asset, "OWN", 6);
        let network = crate::Solana::builder(offer.network.clone())
            .rpc(crate::test::client_over(script.clone()))
            .tokens([own])
            .build()
            .unwrap();
        let keys: Vec<std::sync::Arc<dyn tollway_core::Signer>> =
            vec![std::sync::Arc::new(crate::test::key(crate::test::FACILITATOR_SEED))];
        let config = serde_json::from_value(config).unwrap();
        let facilitator = ExactFacilitator::with_config(std::sync::Arc::new(network), keys, config).unwrap();
        verify_by(&facilitator, &offer)
    }

    #[test]
    fn the_listed_issuers_delegates_are_accepted_and_nothing_else_of_theirs() {
        verify(&node(TOKEN_2022, vec![extension::delegate([7; 32])]), json!({})).unwrap();
        let both = vec![extension::delegate([7; 32]), extension::fee(1)];
        assert_eq!(code(verify(&node(TOKEN_2022, both), json!({}))), codes::MINT_NOT_ALLOWED);
    }

    #[test]
    fn what_arrives_is_what_was_paid() {
        for gain in [0, 1, 999, 1001] {
            let script = Script::default();
            script.on("simulateTransaction", move |params| Ok(simulated(params, TOKEN, &[], gain)));
            assert_eq!(code(verify(&script, json!({}))), codes::AMOUNT_MISMATCH);
        }
        // A fee that is allowed may be withheld, and no more than all of it.
        for (gain, good) in [(1000, true), (990, true), (1, true), (0, false), (1001, false)] {
            let script = Script::default();
            script.on("simulateTransaction", move |params| {
                Ok(simulated(params, TOKEN_2022, &[extension::fee(100)], gain))
            });
            let result = verify(&script, json!({ "allowTokenPowers": ["transferFee"] }));
            assert_eq!(result.is_ok(), good, "{gain}");
        }
    }

    #[test]
    fn failed_simulations_say_why() {
        for (err, code_wanted, part) in [
            (json!("AlreadyProcessed"), DUPLICATE_SETTLEMENT, "already"),
            (json!("BlockhashNotFound"), codes::SIMULATION_FAILED, "blockhash"),
            (json!({ "InstructionError": [2, { "Custom": 1 }] }), codes::SIMULATION_FAILED, "too few tokens"),
            (json!({ "InstructionError": [2, { "Custom": 17 }] }), codes::SIMULATION_FAILED, "frozen"),
            (json!({ "InstructionError": [2, "InvalidAccountData"] }), codes::SIMULATION_FAILED, "does not exist"),
            (json!({ "InstructionError": [3, { "Custom": 1 }] }), codes::SIMULATION_FAILED, "instruction 3"),
            (json!({ "InsufficientFundsForRent": { "account_index": 2 } }), codes::SIMULATION_FAILED, "account_index"),
            (json!("SomethingNew"), codes::SIMULATION_FAILED, "SomethingNew"),
            (json!([1, 2]), codes::SIMULATION_FAILED, "[1,2]"),
        ] {
            let script = Script::default();
            let shown = err.to_string();
            script.on("simulateTransaction", move |_| Ok(json!({ "context": { "slot": 1 }, "value": { "err": err } })));
            let result = verify(&script, json!({}));
            let Err(Failure::Rejected(rejected)) = &result else { panic!("{shown}: {result:?}") };
            assert!(rejected.message.as_ref().unwrap().contains(part), "{rejected}");
            assert_eq!(code(result), code_wanted, "{shown}");
        }
    }

    #[test]
    fn a_fee_payer_without_sol_is_the_facilitators_own_trouble() {
        for err in [
            json!("AccountNotFound"),
            json!("InsufficientFundsForFee"),
            json!({ "InsufficientFundsForRent": { "account_index": 0 } }),
        ] {
            let script = Script::default();
            script.on("simulateTransaction", move |_| Ok(json!({ "context": { "slot": 1 }, "value": { "err": err } })));
            let Err(Failure::Fault(fault)) = verify(&script, json!({})) else { panic!("refused") };
            assert_eq!(fault.kind, FaultKind::Configuration);
            assert!(fault.message.contains("GGYWSW4X8JEWMH8uz3CokSSGyPAwCLEXtYaz4paCdDdM"), "{fault}");
        }
    }

    #[test]
    fn a_node_that_fails_is_a_fault_and_no_refusal() {
        for (code, kind) in
            [(0, FaultKind::Unreachable), (-32005, FaultKind::Unreachable), (-32003, FaultKind::Internal)]
        {
            let script = Script::default();
            script.on("simulateTransaction", move |_| Err((code, "no".to_owned())));
            let Err(Failure::Fault(fault)) = verify(&script, json!({})) else { panic!("refused") };
            assert_eq!((fault.kind, fault.sent), (kind, tollway_core::Sent::No), "{code}");
        }
        let script = Script::default();
        script.on("simulateTransaction", |_| Ok(json!({ "context": { "slot": 1 }, "value": "nonsense" })));
        let Err(Failure::Fault(fault)) = verify(&script, json!({})) else { panic!("refused") };
        assert_eq!(fault.kind, FaultKind::Invalid);
    }

    #[tokio::test(start_paused = true)]
    async fn memory_of_verifications_is_short_and_bounded() {
        let (recent, trust) = (Recent::default(), Duration::from_secs(10));
        recent.put([1; 32], trust);
        assert!(recent.take(&[1; 32], trust) && !recent.take(&[1; 32], trust), "once");
        recent.put([1; 32], trust);
        tokio::time::advance(trust).await;
        assert!(!recent.take(&[1; 32], trust));
        for number in 0..2 * MOST_RECENT {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&number.to_le_bytes());
            recent.put(hash, trust);
        }
        assert_eq!(recent.verified().len(), MOST_RECENT);
        tokio::time::advance(trust).await;
        recent.put([1; 32], trust);
        assert_eq!(recent.verified().len(), 1);
    }
}
