//! A chain, a facilitator on it, and payments of every kind.

use alloy::primitives::{Address, B256, U256, hex};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tollway_core::erased::FacilitatorDyn;
use tollway_core::{
    Amount, ClaimKey, ClaimRow, Clock, Failure, Fault, FaultKind, Found, Hold, Ledger, LedgerHandle, Network as _,
    NetworkId, OpenSlot, Outcome, PaymentPayload, PaymentRequirements, Rejected, Scope, Settled, SignedTx, Signer,
    Taken, Ticket, Verified,
};
use tollway_devnet::accounts::{CLIENT, DevAccount, FACILITATOR, PAY_TO};
use tollway_devnet::contracts::addresses::USDC;
use tollway_devnet::{Devnet, DevnetBuilder, Mining, Transfer};
use tollway_evm::{Evm, EvmBuilder, ExactFacilitator, Finality, LocalKey};

/// When everything begins.
pub(crate) const NOW: u64 = 1_800_000_000;

/// A clock that goes when it is told to.
#[derive(Debug)]
pub(crate) struct Watch(pub(crate) AtomicU64);

impl Clock for Watch {
    fn now(&self) -> u64 {
        self.0.load(SeqCst)
    }
}

/// A chain with a facilitator.
pub(crate) struct World {
    pub(crate) devnet: Devnet,
    pub(crate) evm: Arc<Evm>,
    pub(crate) side: Arc<ExactFacilitator>,
    pub(crate) ledger: Arc<Books>,
    pub(crate) clock: Arc<Watch>,
}

impl World {
    /// A block for each transaction.
    pub(crate) fn new() -> Self {
        Self::with(Mining::Auto, |chain| chain, |evm| evm)
    }

    /// Blocks when the test says so.
    pub(crate) fn manual() -> Self {
        Self::with(Mining::Manual, |chain| chain, |evm| evm)
    }

    /// Blocks when the test says so, and a transaction for each payment.
    pub(crate) fn unshared() -> Self {
        Self::with(Mining::Manual, |chain| chain, |evm| evm.batch_max_payments(1))
    }

    /// With the contracts that cheat.
    pub(crate) fn hostile(mining: Mining) -> Self {
        Self::with(mining, DevnetBuilder::hostile_contracts, |evm| evm)
    }

    pub(crate) fn with(
        mining: Mining,
        chain: impl FnOnce(DevnetBuilder) -> DevnetBuilder,
        evm: impl FnOnce(EvmBuilder) -> EvmBuilder,
    ) -> Self {
        let clock = Arc::new(Watch(AtomicU64::new(NOW)));
        let time = clock.clone();
        let builder = Devnet::builder().mining(mining).time(Arc::new(move || time.now()));
        let devnet = chain(builder).build().unwrap();
        let builder = Evm::builder("eip155:84532".parse().unwrap())
            .provider(devnet.provider())
            .clock(clock.clone())
            .block_time(Duration::from_millis(100))
            .settle_timeout(Duration::from_secs(10))
            .finality(Finality::Blocks(0));
        let evm = Arc::new(evm(builder).build().unwrap());
        let side = Arc::new(ExactFacilitator::new(evm.clone(), &[key(&FACILITATOR)]).unwrap());
        Self { devnet, evm, side, ledger: Arc::default(), clock }
    }

    /// The same chain and ledger, seen by a process that starts anew.
    pub(crate) fn restarted(&self) -> Self {
        self.restarted_with(|evm| evm.finality(Finality::Blocks(0)))
    }

    /// As [`restarted`](Self::restarted), set up otherwise.
    pub(crate) fn restarted_with(&self, set: impl FnOnce(EvmBuilder) -> EvmBuilder) -> Self {
        let builder = Evm::builder("eip155:84532".parse().unwrap()).provider(self.devnet.provider());
        let builder = builder.clock(self.clock.clone()).block_time(Duration::from_millis(100));
        let evm = Arc::new(set(builder).build().unwrap());
        let side = Arc::new(ExactFacilitator::new(evm.clone(), &[key(&FACILITATOR)]).unwrap());
        let (devnet, ledger, clock) = (self.devnet.clone(), self.ledger.clone(), self.clock.clone());
        Self { devnet, evm, side, ledger, clock }
    }

    pub(crate) async fn verify(&self, payment: &Pay) -> Result<Verified, Failure> {
        let (raw, offer) = payment.wire();
        FacilitatorDyn::open(&*self.side, &raw, &offer)?.verify().await
    }

    /// The code a payment is refused with.
    pub(crate) async fn refused(&self, payment: &Pay) -> String {
        code(self.verify(payment).await.map(|_| ()))
    }

    /// Settles as the facilitator's engine does.
    pub(crate) async fn settle(&self, payment: &Pay) -> Result<Outcome, Failure> {
        let (raw, offer) = payment.wire();
        let open = FacilitatorDyn::open(&*self.side, &raw, &offer)?;
        let claim = open.claim().clone();
        let cx = tollway_testkit::fixtures::taken(self.ledger.clone(), &claim, &raw, &offer).await;
        let result = open.settle(&cx).await;
        let written = match &result {
            Ok(outcome) => outcome.clone(),
            Err(Failure::Rejected(rejected)) => Outcome::Released(rejected.clone()),
            Err(Failure::Fault(fault)) => {
                assert_eq!(fault.sent, tollway_core::Sent::No, "what may have been sent is an outcome: {fault}");
                Outcome::Released(Rejected::new(tollway_core::codes::UNEXPECTED_SETTLE_ERROR))
            }
        };
        cx.ledger.resolve(&[(cx.ticket, written)]).await.unwrap();
        result
    }

    /// Settles beside the test.
    pub(crate) fn settling(self: &Arc<Self>, payment: &Pay) -> tokio::task::JoinHandle<Result<Outcome, Failure>> {
        let (world, payment) = (self.clone(), payment.clone());
        tokio::spawn(async move { world.settle(&payment).await })
    }

    pub(crate) fn handle(&self) -> LedgerHandle {
        LedgerHandle::new(self.ledger.clone(), Scope::Facilitator)
    }

    /// One round of the reconciler.
    pub(crate) async fn reconcile(&self) -> Vec<Outcome> {
        let mut all = Vec::new();
        for slot in self.handle().open(100).await.unwrap() {
            let outcomes = self.evm.settler().unwrap().reconcile(&slot, &self.handle()).await.unwrap();
            self.handle().resolve(&outcomes).await.unwrap();
            all.extend(outcomes.into_iter().map(|(_, outcome)| outcome));
        }
        all
    }

    /// Waits until so many transactions wait for a block.
    pub(crate) async fn waiting(&self, count: usize) {
        for _ in 0..100_000 {
            if self.devnet.waiting().len() == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("{} transactions wait, not {count}", self.devnet.waiting().len());
    }

    pub(crate) fn earned(&self) -> U256 {
        self.devnet.balance_of(USDC, PAY_TO.address).unwrap()
    }
}

pub(crate) fn key(account: &DevAccount) -> Arc<dyn Signer> {
    Arc::new(LocalKey::from_hex(&hex::encode_prefixed(account.private_key())).unwrap())
}

/// The code of a refusal.
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
    match result {
        Err(Failure::Rejected(rejected)) => rejected.code.to_string(),
        other => panic!("not refused: {other:?}"),
    }
}

pub(crate) fn fault<T: std::fmt::Debug>(result: Result<T, Failure>) -> Fault {
    match result {
        Err(Failure::Fault(fault)) => fault,
        other => panic!("no fault: {other:?}"),
    }
}

pub(crate) fn settled(result: Result<Outcome, Failure>) -> Settled {
    match result {
        Ok(Outcome::Settled(settled)) => settled,
        other => panic!("not settled: {other:?}"),
    }
}

pub(crate) fn released(result: Result<Outcome, Failure>) -> Rejected {
    match result {
        Ok(Outcome::Released(rejected)) => rejected,
        other => panic!("not released: {other:?}"),
    }
}

/// A payment in the making. Signed by alloy and not by the crate, so that the two check each other.
#[derive(Clone)]
pub(crate) struct Pay {
    pub(crate) asset: Address,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) from: Address,
    pub(crate) to: Address,
    pub(crate) value: u64,
    pub(crate) valid_after: u64,
    pub(crate) valid_before: u64,
    pub(crate) nonce: B256,
    pub(crate) signer: DevAccount,
    /// In place of the signature.
    pub(crate) signature: Option<Vec<u8>>,
    pub(crate) pay_to: Address,
    pub(crate) amount: u64,
}

impl Pay {
    /// A thousandth of a dollar of `client`, good until five minutes after the beginning.
    pub(crate) fn new(nonce: u8) -> Self {
        Self {
            asset: USDC,
            name: "USDC".to_owned(),
            version: "2".to_owned(),
            from: CLIENT.address,
            to: PAY_TO.address,
            value: 1000,
            valid_after: 0,
            valid_before: NOW + 300,
            nonce: B256::repeat_byte(nonce),
            signer: CLIENT,
            signature: None,
            pay_to: PAY_TO.address,
            amount: 1000,
        }
    }

    pub(crate) fn change(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// In another token.
    pub(crate) fn of(self, asset: Address, name: &str, version: &str) -> Self {
        let (name, version) = (name.to_owned(), version.to_owned());
        Self { asset, name, version, ..self }
    }

    /// From another account, signed by whoever signs for it.
    pub(crate) fn from(self, from: Address, signer: DevAccount) -> Self {
        Self { from, signer, ..self }
    }

    pub(crate) fn digest(&self) -> B256 {
        let transfer = Transfer {
            from: self.from,
            to: self.to,
            value: U256::from(self.value),
            valid_after: U256::from(self.valid_after),
            valid_before: U256::from(self.valid_before),
            nonce: self.nonce,
        };
        transfer.digest(84532, self.asset, &self.name, &self.version)
    }

    /// `r ‖ s ‖ v` of the signer.
    pub(crate) fn ecdsa(&self) -> Vec<u8> {
        self.signer.sign(&self.digest()).to_vec()
    }

    pub(crate) fn signature(&self) -> Vec<u8> {
        self.signature.clone().unwrap_or_else(|| self.ecdsa())
    }

    /// The same with its signature in a wrapper of EIP-6492.
    pub(crate) fn wrapped(self, factory: Address, call: &[u8]) -> Self {
        let signature = Some(tollway_devnet::wrapped(factory, call, &self.signature()));
        Self { signature, ..self }
    }

    pub(crate) fn wire(&self) -> (PaymentPayload, PaymentRequirements) {
        let network = "eip155:84532".parse().unwrap();
        let pay_to = self.pay_to.to_string();
        let offer =
            PaymentRequirements::new("exact", network, Amount::from(self.amount), self.asset.to_string(), pay_to)
                .with_extra("name", self.name.clone())
                .with_extra("version", self.version.clone());
        let payload = serde_json::json!({
            "authorization": {
                "from": self.from,
                "to": self.to,
                "value": self.value.to_string(),
                "validAfter": self.valid_after.to_string(),
                "validBefore": self.valid_before.to_string(),
                "nonce": self.nonce,
            },
            "signature": hex::encode_prefixed(self.signature()),
        });
        (PaymentPayload::new(offer.clone(), payload), offer)
    }
}

type Row = (ClaimRow, Option<Outcome>);

/// A ledger that can fail.
#[derive(Default)]
pub(crate) struct Books {
    rows: Mutex<BTreeMap<ClaimKey, Row>>,
    signed: Mutex<Vec<(SignedTx, Vec<Ticket>)>>,
    trouble: AtomicU8,
    /// Signers that another process holds.
    theirs: Mutex<Vec<String>>,
}

/// How the next write of a signed transaction goes.
#[derive(Clone, Copy)]
pub(crate) enum Trouble {
    None,
    /// Nothing is written.
    Fails,
    /// It is written, and then the process dies.
    Crash,
}

impl Books {
    pub(crate) fn trouble(&self, trouble: Trouble) {
        self.trouble.store(trouble as u8, SeqCst);
    }

    /// From now on another process signs for this account.
    pub(crate) fn lose(&self, signer: &DevAccount) {
        self.theirs.lock().unwrap().push(signer.address.to_string());
    }

    /// Every transaction ever signed.
    pub(crate) fn signed(&self) -> Vec<SignedTx> {
        self.signed.lock().unwrap().iter().map(|(tx, _)| tx.clone()).collect()
    }

    /// Forgets a transaction, with what it carries.
    pub(crate) fn forget(&self, hash: &str) {
        let mut signed = self.signed.lock().unwrap();
        let mut rows = self.rows.lock().unwrap();
        signed.retain(|(tx, claims)| {
            let gone = tx.hash == hash;
            claims.iter().filter(|_| gone).for_each(|ticket| drop(rows.remove(&ticket.key)));
            !gone
        });
    }

    pub(crate) fn nonces(&self) -> Vec<u64> {
        self.signed().iter().filter_map(|tx| tx.slot.sequence).collect()
    }
}

#[async_trait]
impl Ledger for Books {
    async fn take(&self, row: &ClaimRow) -> Result<Taken, Fault> {
        let mut rows = self.rows.lock().unwrap();
        if rows.contains_key(&row.claim.key) {
            return Ok(Taken::Foreign);
        }
        let row = row.clone().with_turn(1);
        let ticket = row.ticket();
        rows.insert(row.claim.key.clone(), (row, None));
        Ok(Taken::New(ticket))
    }

    async fn hold(&self, _: &NetworkId, signer: &str) -> Result<Hold, Fault> {
        let theirs = self.theirs.lock().unwrap().iter().any(|held| held == signer);
        Ok(if theirs { Hold::Theirs } else { Hold::Ours { epoch: 0 } })
    }

    async fn retake(&self, _: &ClaimRow) -> Result<Option<Found<SignedTx>>, Fault> {
        Ok(None)
    }

    async fn find(&self, _: Scope, _: &ClaimKey) -> Result<Option<Found<SignedTx>>, Fault> {
        Ok(None)
    }

    async fn write_signed(&self, tx: &SignedTx, claims: &[Ticket]) -> Result<(), Fault> {
        let trouble = self.trouble.swap(Trouble::None as u8, SeqCst);
        if trouble == Trouble::Fails as u8 {
            return Err(Fault::new(FaultKind::Unreachable, "the store is gone"));
        }
        self.signed.lock().unwrap().push((tx.clone(), claims.to_vec()));
        if trouble == Trouble::Crash as u8 {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn resolve(&self, _: Scope, outcomes: &[(Ticket, Outcome)]) -> Result<(), Fault> {
        let mut rows = self.rows.lock().unwrap();
        for (Ticket { key, .. }, outcome) in outcomes {
            if matches!(outcome, Outcome::Released(_)) {
                rows.remove(key);
            } else if let Some((_, known)) = rows.get_mut(key)
                && !matches!(known, Some(Outcome::Settled(_)))
            {
                *known = Some(outcome.clone());
            }
        }
        Ok(())
    }

    async fn open(&self, _: usize) -> Result<Vec<OpenSlot<SignedTx>>, Fault> {
        let rows = self.rows.lock().unwrap();
        let open = |ticket: &Ticket| {
            rows.get(&ticket.key)
                .filter(|(_, outcome)| !matches!(outcome, Some(Outcome::Settled(_))))
                .map(|(row, _)| row)
        };
        let mut slots: Vec<OpenSlot<SignedTx>> = Vec::new();
        for (tx, claims) in &*self.signed.lock().unwrap() {
            let claims: Vec<ClaimRow> = claims.iter().filter_map(open).cloned().collect();
            if claims.is_empty() {
                continue;
            }
            let index = slots.iter().position(|slot| slot.attempts[0].slot == tx.slot).unwrap_or_else(|| {
                slots.push(OpenSlot::empty());
                slots.len() - 1
            });
            slots[index].push(tx.clone(), claims);
        }
        Ok(slots)
    }
}
