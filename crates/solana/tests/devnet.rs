//! The crate against a chain in the same process. No ports, no system clock, no order.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::*;
use serde_json::{Value, json};
use solana_pubkey::Pubkey;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tollway_core::erased::FacilitatorDyn;
use tollway_core::{
    Amount, Caller, Facilitator, Failure, Fault as CoreFault, Network, Outcome, PaymentPayload, PaymentRequirements,
    Rejected, Settled, Verified,
};
use tollway_devnet::solana::accounts as dev;
use tollway_devnet::solana::{Devnet, DevnetBuilder, Fault, PYUSD, Slots, Token, USDC};
use tollway_roles::{LocalFacilitator, MemoryLedger};
use tollway_solana::{ExactFacilitator, ExactFacilitatorConfig, Solana};

/// A chain, a facilitator's side on it, and the engine around the side.
struct World {
    devnet: Devnet,
    network: Arc<Solana>,
    side: Arc<ExactFacilitator>,
    ledger: Arc<MemoryLedger>,
}

impl World {
    fn new() -> Self {
        Self::with(Slots::PerTransaction, json!({}), |devnet| devnet)
    }

    fn with(slots: Slots, config: Value, devnet: impl FnOnce(DevnetBuilder) -> DevnetBuilder) -> Self {
        let devnet = devnet(Devnet::builder().slots(slots)).build().unwrap();
        Self::on(devnet, config, Arc::default())
    }

    fn on(devnet: Devnet, config: Value, ledger: Arc<MemoryLedger>) -> Self {
        let network = Solana::builder(DEVNET.parse().unwrap()).rpc(devnet.client()).build().unwrap();
        let network = Arc::new(network);
        let config: ExactFacilitatorConfig = serde_json::from_value(config).unwrap();
        let side = ExactFacilitator::with_config(network.clone(), vec![FACILITATOR.signer()], config).unwrap();
        Self { devnet, network, side: Arc::new(side), ledger }
    }

    /// The engine, with books that outlive it.
    async fn engine(&self) -> LocalFacilitator {
        LocalFacilitator::builder()
            .registry(tollway_core::Registry::builder().plugin(tollway_solana::PLUGIN).build().unwrap())
            .open_network(self.network.clone())
            .signer("solana:*", FACILITATOR.signer())
            .ledger(self.ledger.clone())
            .build()
            .await
            .unwrap()
    }

    /// A payment on the newest blockhash.
    fn draft(&self, note: &str) -> Draft {
        self.paying(&golden_offer(), TOKEN, CLIENT, note)
    }

    fn paying(&self, offer: &PaymentRequirements, program: Pubkey, payer: Key, note: &str) -> Draft {
        let mut draft = Draft::paying(offer, program, payer);
        draft.blockhash = self.devnet.latest_blockhash().0.parse().unwrap();
        draft.instructions[3] = memo(note);
        draft
    }

    async fn verify(&self, payment: &PaymentPayload, offer: &PaymentRequirements) -> Result<Verified, Failure> {
        let open = FacilitatorDyn::open(&*self.side, payment, offer)?;
        open.check()?;
        open.verify().await
    }

    /// Settles as the engine does, without its books.
    async fn settle(&self, payment: &PaymentPayload, offer: &PaymentRequirements) -> Result<Outcome, Failure> {
        let open = FacilitatorDyn::open(&*self.side, payment, offer)?;
        open.check()?;
        open.settle(&tollway_testkit::fixtures::taken(self.ledger.clone(), open.claim(), payment, offer).await).await
    }

    fn earned(&self) -> u64 {
        self.devnet.token_balance(dev::PAY_TO.address, USDC).unwrap()
    }
}

fn settled(result: Result<Outcome, Failure>) -> Settled {
    match result {
        Ok(Outcome::Settled(settled)) => settled,
        other => panic!("not settled: {other:?}"),
    }
}

fn rejected<T: std::fmt::Debug>(result: Result<T, Failure>) -> Rejected {
    match result {
        Err(Failure::Rejected(rejected)) => rejected,
        other => panic!("not refused: {other:?}"),
    }
}

fn fault<T: std::fmt::Debug>(result: Result<T, Failure>) -> CoreFault {
    match result {
        Err(Failure::Fault(fault)) => fault,
        other => panic!("no fault: {other:?}"),
    }
}

/// The goals of the issue: 1 warm, at most 2 cold; settling does not simulate what was verified a moment ago.
#[tokio::test(start_paused = true)]
async fn round_trips_are_as_few_as_promised() {
    let (world, offer) = (World::new(), golden_offer());
    let cost = |what: &str, wanted: &[(&str, u64)]| {
        let calls = world.devnet.calls();
        println!("{what}: {:?}", calls.methods);
        for (method, count) in wanted {
            assert_eq!(calls.of(method), *count, "{what}: {method}");
        }
        assert_eq!(calls.total(), wanted.iter().map(|(_, count)| count).sum::<u64>(), "{what}");
        world.devnet.reset_calls();
    };
    let first = world.draft("first").payment(&offer);
    world.verify(&first, &offer).await.unwrap();
    cost("verify, cold", &[("simulateTransaction", 1)]);
    world.verify(&first, &offer).await.unwrap();
    cost("verify, warm", &[("simulateTransaction", 1)]);
    settled(world.settle(&first, &offer).await);
    cost("settle, verified a moment ago", &[("sendTransaction", 1), ("getSignatureStatuses", 1)]);
    let second = world.draft("second").payment(&offer);
    settled(world.settle(&second, &offer).await);
    let all = [("simulateTransaction", 1), ("sendTransaction", 1), ("getSignatureStatuses", 1)];
    cost("settle, not verified", &all);
    let third = world.draft("third").payment(&offer);
    world.verify(&third, &offer).await.unwrap();
    tokio::time::advance(Duration::from_secs(10)).await;
    world.devnet.reset_calls();
    settled(world.settle(&third, &offer).await);
    cost("settle, verified long ago", &all);
    assert_eq!(world.earned(), 3000);
}

#[tokio::test(start_paused = true)]
async fn sixty_four_at_once_share_their_looks() {
    let (world, offer) = (Arc::new(World::new()), golden_offer());
    let mut tasks = Vec::new();
    for number in 0..64 {
        let (world, offer) = (world.clone(), offer.clone());
        let payment = world.draft(&format!("number {number}")).payment(&offer);
        tasks.push(tokio::spawn(async move { world.settle(&payment, &offer).await }));
    }
    for task in tasks {
        settled(task.await.unwrap());
    }
    let calls = world.devnet.calls();
    println!("64 settlements at once: {:?}", calls.methods);
    assert!(calls.of("getSignatureStatuses") <= 2);
    assert_eq!((calls.of("sendTransaction"), world.earned()), (64, 64_000));
}

#[tokio::test(start_paused = true)]
async fn both_token_programs_and_both_versions_settle() {
    let world = World::new();
    let mut offer = golden_offer();
    let mut legacy = world.draft("legacy");
    legacy.legacy = true;
    let receipt = settled(world.settle(&legacy.payment(&offer), &offer).await);
    assert_eq!(receipt.payer.as_deref(), Some(&*CLIENT.address().to_string()));
    assert_eq!(world.devnet.succeeded(&receipt.transaction.parse().unwrap()), Some(true));
    offer.asset = PYUSD.to_string();
    let draft = world.paying(&offer, TOKEN_2022, CLIENT, "new");
    settled(world.settle(&draft.payment(&offer), &offer).await);
    assert_eq!(world.devnet.token_balance(dev::PAY_TO.address, PYUSD), Some(1000));
    // A transfer by the other program than the token's own fails where it would run.
    let wrong = world.paying(&offer, TOKEN, CLIENT, "wrong");
    let code = rejected(world.verify(&wrong.payment(&offer), &offer).await).code;
    assert_eq!(code.as_str(), "invalid_exact_svm_transaction_simulation_failed");
}

/// Security, "fee payer drained": what a settlement costs is bounded, to the lamport.
#[tokio::test(start_paused = true)]
async fn a_settlement_costs_the_fee_payer_its_signatures_and_the_capped_price() {
    let (world, offer) = (World::new(), golden_offer());
    for (units, micro, priority) in [(40_000, 0, 0), (40_000, 1, 1), (20_000, 5_000_000, 100_000)] {
        let before = world.devnet.lamports(&dev::FACILITATOR.address);
        let mut draft = world.draft("cost");
        draft.instructions[0] = limit(units);
        draft.instructions[1] = price(micro);
        settled(world.settle(&draft.payment(&offer), &offer).await);
        let spent = before - world.devnet.lamports(&dev::FACILITATOR.address);
        assert_eq!(spent, 2 * 5000 + priority);
    }
}

/// Security, "same message, other junk in the fee-payer slot".
#[tokio::test(start_paused = true)]
async fn two_hundred_and_fifty_six_variants_of_one_message_settle_once() {
    let (world, offer) = (World::new(), golden_offer());
    let engine = world.engine().await;
    let bytes = world.draft("once").bytes();
    let mut tasks = Vec::new();
    for junk in 0..=255u8 {
        let mut bytes = bytes.clone();
        bytes[1..65].fill(junk);
        let (engine, offer) = (engine.clone(), offer.clone());
        let payment = payment_of(&bytes, &offer);
        let caller = Caller::new(format!("caller {junk}"));
        tasks.push(tokio::spawn(async move { engine.settle(&payment, &offer, &caller).await }));
    }
    let mut successes = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(Outcome::Settled(_)) => successes += 1,
            other => assert_eq!(rejected(other).code.as_str(), "duplicate_settlement"),
        }
    }
    assert_eq!((successes, world.earned(), world.devnet.transaction_count()), (1, 1000, 1));
}

/// What a facilitator forgot, the chain remembers: a payment is credited to nobody a second time.
#[tokio::test(start_paused = true)]
async fn a_payment_that_is_on_chain_is_not_credited_again_by_empty_books() {
    let (world, offer) = (World::new(), golden_offer());
    let payment = world.draft("once").payment(&offer);
    settled(world.settle(&payment, &offer).await);
    let other = World::on(world.devnet.clone(), json!({}), Arc::default());
    for result in [other.verify(&payment, &offer).await.map(|_| ()), other.settle(&payment, &offer).await.map(|_| ())] {
        assert_eq!(rejected(result).code.as_str(), "duplicate_settlement");
    }
    assert_eq!(world.earned(), 1000);
}

#[tokio::test(start_paused = true)]
async fn what_would_fail_is_refused_with_the_reason() {
    let (world, offer) = (World::new(), golden_offer());
    let told = async |draft: &Draft, offer: &PaymentRequirements| {
        let rejected = rejected(world.verify(&draft.payment(offer), offer).await);
        assert_eq!(rejected.code.as_str(), "invalid_exact_svm_transaction_simulation_failed");
        rejected.message.unwrap()
    };
    let poor = world.paying(&offer, TOKEN, POOR, "poor");
    assert!(told(&poor, &offer).await.contains("too few tokens"));
    let mut stale = world.draft("stale");
    stale.blockhash = Pubkey::from([9; 32]);
    assert!(told(&stale, &offer).await.contains("blockhash"));
    let mut nowhere = offer.clone();
    nowhere.pay_to = STRANGER.address().to_string();
    let missing = world.paying(&nowhere, TOKEN, CLIENT, "nowhere");
    assert!(told(&missing, &nowhere).await.contains("does not exist"));
    let mut cheap = world.draft("cheap");
    cheap.instructions[0] = limit(100);
    told(&cheap, &offer).await;
    let mut decimals = world.draft("decimals");
    decimals.instructions[2].data[9] = 9;
    told(&decimals, &offer).await;
    world.devnet.set_lamports(dev::FACILITATOR.address, 0).unwrap();
    let fault = fault(world.verify(&world.draft("unfunded").payment(&offer), &offer).await);
    assert!(fault.message.contains("too little SOL"), "{fault}");
    assert_eq!(world.devnet.transaction_count(), 0);
}

/// Security, "Token-2022 fee, hook, permanent delegate, frozen by default", with real mints where they can move at all.
#[tokio::test(start_paused = true)]
async fn tokens_with_powers_are_refused_unless_allowed_and_what_arrives_is_looked_at() {
    let mut fee = vec![0; 108];
    for place in [80, 98] {
        fee[place..place + 8].copy_from_slice(&u64::MAX.to_le_bytes());
        fee[place + 8..place + 10].copy_from_slice(&100u16.to_le_bytes());
    }
    let hook = [[9; 32], [7; 32]].concat();
    let mints: Vec<(Pubkey, Token)> = [(1u16, fee), (12, vec![7; 32]), (6, vec![2]), (9, vec![]), (14, hook)]
        .into_iter()
        .map(|(kind, value)| (Pubkey::from([kind as u8; 32]), Token::new_2022(6).extension(kind, value)))
        .collect();
    let place = |mut builder: DevnetBuilder| {
        for (mint, token) in &mints {
            builder = builder
                .token(*mint, token.clone())
                .token_balance(dev::CLIENT.address, *mint, 1_000_000)
                .token_balance(dev::PAY_TO.address, *mint, 0);
        }
        builder
    };
    let strict = World::with(Slots::PerTransaction, json!({}), place);
    let powers = json!({
        "allowTokenPowers": ["transferFee", "transferHook", "permanentDelegate", "defaultFrozen", "nonTransferable"]
    });
    let lenient = World::on(strict.devnet.clone(), powers, Arc::default());
    for (index, (mint, _)) in mints.iter().enumerate() {
        let mut offer = golden_offer();
        offer.asset = mint.to_string();
        let payment = strict.paying(&offer, TOKEN_2022, CLIENT, "power").payment(&offer);
        let code = rejected(strict.verify(&payment, &offer).await).code;
        // Nothing moves that cannot be transferred at all, or without the hook's own accounts.
        let moves = index < 3;
        let wanted = if moves {
            "invalid_exact_svm_mint_not_allowed"
        } else {
            "invalid_exact_svm_transaction_simulation_failed"
        };
        assert_eq!(code.as_str(), wanted, "{mint}");
        assert_eq!(lenient.settle(&payment, &offer).await.is_ok(), moves, "{mint}");
    }
    assert_eq!(lenient.devnet.token_balance(dev::PAY_TO.address, mints[0].0), Some(990), "the fee is withheld");
}

#[tokio::test(start_paused = true)]
async fn a_lost_send_is_made_good_and_pays_once() {
    let (world, offer) = (World::new(), golden_offer());
    world.devnet.inject("sendTransaction", Fault::Lose, 2);
    let start = Instant::now();
    settled(world.settle(&world.draft("lost").payment(&offer), &offer).await);
    assert_eq!((world.earned(), world.devnet.calls().of("sendTransaction")), (1000, 3));
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_came_is_no_failure() {
    let (world, offer) = (World::new(), golden_offer());
    world.devnet.inject("sendTransaction", Fault::DropAnswer, 1);
    settled(world.settle(&world.draft("unheard").payment(&offer), &offer).await);
    assert_eq!((world.earned(), world.devnet.transaction_count()), (1000, 1));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_refuses_leaves_the_payment_free() {
    let (world, offer) = (World::new(), golden_offer());
    let engine = world.engine().await;
    let payment = world.draft("again").payment(&offer);
    let refusal = Fault::Error { code: -32003, message: "no".to_owned() };
    world.devnet.inject("sendTransaction", refusal, 1);
    let caller = Caller::new("somebody");
    match engine.settle(&payment, &offer, &caller).await {
        Ok(Outcome::Released(why)) => assert_eq!(why.code.as_str(), "invalid_exact_svm_transaction_failed"),
        other => panic!("{other:?}"),
    }
    settled(engine.settle(&payment, &offer, &caller).await);
    assert_eq!(world.earned(), 1000);
}

#[tokio::test(start_paused = true)]
async fn a_failure_on_chain_is_released_with_its_hash() {
    let (world, offer) = (World::new(), golden_offer());
    let payment = world.draft("drained").payment(&offer);
    world.verify(&payment, &offer).await.unwrap();
    // The payer empties the account between verification and settlement.
    world.devnet.set_token_balance(dev::CLIENT.address, USDC, 10).unwrap();
    match world.settle(&payment, &offer).await {
        Ok(Outcome::Released(why)) => {
            assert_eq!(why.code.as_str(), "invalid_exact_svm_transaction_failed");
            let hash = why.transaction.unwrap().parse().unwrap();
            assert_eq!(world.devnet.succeeded(&hash), Some(false));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(world.earned(), 0);
}

/// Lets slots pass at the network's own pace, by the test's clock.
fn pass_slots(devnet: &Devnet) -> tokio::task::JoinHandle<()> {
    let devnet = devnet.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(400)).await;
            devnet.advance(1);
        }
    })
}

/// Reliability, "Solana fail-over": released only when the last valid height has passed and the signature is absent.
#[tokio::test(start_paused = true)]
async fn at_the_expiry_edge_nothing_is_given_up_that_could_still_land() {
    for (late, lands) in [(149, true), (151, false)] {
        let world = World::with(Slots::Manual, json!({}), |devnet| devnet);
        let offer = golden_offer();
        // The blockhash is already old; the transaction is lost, and sent again while it can land.
        let payment = world.draft("edge").payment(&offer);
        world.devnet.advance(100);
        world.verify(&payment, &offer).await.unwrap();
        world.devnet.inject("sendTransaction", Fault::Lose, u32::MAX);
        let settling = {
            let (side, ledger) = (world.side.clone(), world.ledger.clone());
            let (payment, offer) = (payment.clone(), offer.clone());
            tokio::spawn(async move {
                let open = FacilitatorDyn::open(&*side, &payment, &offer).unwrap();
                open.settle(&tollway_testkit::fixtures::taken(ledger, open.claim(), &payment, &offer).await).await
            })
        };
        // A second at a time, as slots pass, until the edge; then the node takes transactions again.
        let edge = world.devnet.slot() + late - 100;
        while world.devnet.slot() < edge {
            tokio::time::sleep(Duration::from_millis(400)).await;
            world.devnet.advance(1);
            assert!(!settling.is_finished(), "given up at {} of 150", world.devnet.slot() - edge + late);
        }
        world.devnet.clear_faults();
        let slots = if lands { None } else { Some(pass_slots(&world.devnet)) };
        if lands {
            // Until it has been sent again; the edge must not pass meanwhile.
            tokio::time::sleep(Duration::from_secs(3)).await;
            world.devnet.advance(1);
        }
        let outcome = settling.await.unwrap();
        match outcome {
            Ok(Outcome::Settled(_)) if lands => {}
            Ok(Outcome::Released(why)) if !lands => {
                assert_eq!(why.code.as_str(), "invalid_exact_svm_transaction_failed");
                assert!(why.message.unwrap().contains("expired") && why.transaction.is_none());
                let waited = world.devnet.slot() - (edge - late + 150);
                assert!(waited >= 32, "{waited} slots after the last valid one, none of them was final");
            }
            other => panic!("{late}: {other:?}"),
        }
        assert_eq!(world.earned(), if lands { 1000 } else { 0 });
        slots.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_knows_is_pending_and_found_by_asking_again() {
    let world = World::with(Slots::Manual, json!({}), |devnet| devnet);
    let (offer, engine) = (golden_offer(), world.engine().await);
    let payment = world.draft("pending").payment(&offer);
    world.devnet.inject("getSignatureStatuses", Fault::Refuse, u32::MAX);
    let caller = Caller::new("somebody");
    let Ok(Outcome::Pending { transaction }) = engine.settle(&payment, &offer, &caller).await else {
        panic!("not pending")
    };
    assert_eq!(world.devnet.succeeded(&transaction.parse().unwrap()), Some(true));
    world.devnet.clear_faults();
    world.devnet.advance(1);
    let receipt = settled(engine.settle(&payment, &offer, &caller).await);
    assert_eq!((receipt.transaction, world.devnet.transaction_count()), (transaction, 1));
}

/// Reliability, "crash between broadcast and receipt", and before the broadcast.
#[test]
fn a_crash_after_signing_is_finished_by_the_next_process() {
    for (what, sent) in [("before sending", Fault::Refuse), ("after sending", Fault::DropAnswer)] {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let devnet = Devnet::new().unwrap();
        let (ledger, offer) = (Arc::<MemoryLedger>::default(), golden_offer());
        let first = runtime();
        first.block_on(async {
            let world = World::on(devnet.clone(), json!({}), ledger.clone());
            let engine = world.engine().await;
            let payment = world.draft(what).payment(&offer);
            devnet.inject("sendTransaction", sent, 1);
            devnet.inject("getSignatureStatuses", Fault::Refuse, u32::MAX);
            let (task_engine, task_offer) = (engine.clone(), offer.clone());
            tokio::spawn(async move { task_engine.settle(&payment, &task_offer, &Caller::ANONYMOUS).await });
            // Signed, written and handed to the node; then the process ends.
            while devnet.calls().of("sendTransaction") == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        drop(first);
        devnet.clear_faults();
        runtime().block_on(async {
            let world = World::on(devnet.clone(), json!({}), ledger.clone());
            let engine = world.engine().await;
            assert_eq!(engine.reconcile().await.unwrap(), 1, "{what}");
            assert_eq!(engine.reconcile().await.unwrap(), 0, "nothing is open any more");
            assert_eq!((world.earned(), devnet.transaction_count()), (1000, 1), "{what}");
        });
    }
}

#[test]
fn a_crash_long_ago_ends_released_within_a_minute() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let devnet = Devnet::builder().slots(Slots::Manual).build().unwrap();
    let (ledger, offer) = (Arc::<MemoryLedger>::default(), golden_offer());
    let first = runtime();
    first.block_on(async {
        let world = World::on(devnet.clone(), json!({}), ledger.clone());
        let engine = world.engine().await;
        let payment = world.draft("never sent").payment(&offer);
        devnet.inject("sendTransaction", Fault::Lose, u32::MAX);
        let (engine, offer) = (engine.clone(), offer.clone());
        tokio::spawn(async move { engine.settle(&payment, &offer, &Caller::ANONYMOUS).await });
        while devnet.calls().of("sendTransaction") == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    drop(first);
    devnet.clear_faults();
    devnet.advance(1000);
    runtime().block_on(async {
        let world = World::on(devnet.clone(), json!({}), ledger.clone());
        let (engine, slots, start) = (world.engine().await, pass_slots(&devnet), Instant::now());
        while engine.reconcile().await.unwrap() == 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let took = start.elapsed();
        assert!(took < Duration::from_secs(60), "{took:?}");
        assert_eq!((world.earned(), devnet.transaction_count()), (0, 0));
        slots.abort();
    });
}

#[tokio::test(start_paused = true)]
async fn several_fee_payers_take_turns_and_each_settles_what_names_it() {
    let devnet = Devnet::builder().lamports(dev::PAY_TO.address, 1_000_000_000).build().unwrap();
    let network = Arc::new(Solana::builder(DEVNET.parse().unwrap()).rpc(devnet.client()).build().unwrap());
    let keys = vec![FACILITATOR.signer(), PAY_TO.signer()];
    let side = ExactFacilitator::new(network.clone(), keys).unwrap();
    let named = || FacilitatorDyn::kind_extra(&side).unwrap()["feePayer"].as_str().unwrap().to_owned();
    let turns = [named(), named(), named()];
    assert_eq!(turns[0], turns[2]);
    assert_ne!(turns[0], turns[1]);
    let world = World { side: Arc::new(side), network, ledger: Arc::default(), devnet };
    for payer in [FACILITATOR, PAY_TO] {
        let mut offer = golden_offer().with_extra("feePayer", payer.address().to_string());
        offer.amount = Amount::from(7);
        let mut draft = world.paying(&offer, TOKEN, CLIENT, "turn");
        draft.fee_payer = payer.address();
        settled(world.settle(&draft.payment(&offer), &offer).await);
    }
    assert_eq!(world.earned(), 14);
}

#[test]
fn the_network_names_its_parts() {
    let world = World::new();
    assert!(world.network.settler().is_some());
    assert_eq!(world.devnet.network_id(), DEVNET);
    assert_eq!(dev::CLIENT.address, CLIENT.address());
}
