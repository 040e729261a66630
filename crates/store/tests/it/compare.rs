//! A store beside the ledger in memory: whatever is done to both, they answer the same.

use crate::support::network;
use proptest::prelude::*;
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;
use tollway_core::{
    Amount, Caller, ClaimKey, ClaimRow, Found, Hold, Ledger, OpenSlot, Outcome, Rejected, Scope, Settled, SignedTx,
    Taken, Ticket, codes,
};
use tollway_roles::MemoryLedger;
use tollway_testkit::{FakeClock, fixtures};

/// Two payments in two scopes: no more rows than are forgotten at once, so that both forget the same ones.
const NAMES: [&str; 2] = ["one", "two"];
const SIGNERS: [&str; 2] = ["signer", "other-signer"];

/// What is done. Numbers choose among what there is.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Take { who: usize, what: Row },
    Retake { who: usize, what: Row },
    Find { who: usize, what: Row },
    Sign { who: usize, claims: Vec<usize>, signer: usize, sequence: Option<u64> },
    Resolve { who: usize, ticket: usize, how: usize },
    Hold { who: usize, signer: usize },
    HandOver { who: usize, ticket: usize, signer: usize },
    Handed { who: usize },
    Open { who: usize },
    Leave { who: usize },
    Wait { seconds: u64 },
}

#[derive(Debug, Clone)]
pub(crate) struct Row {
    server: bool,
    name: usize,
    token: usize,
    dear: bool,
}

impl Row {
    fn scope(&self) -> Scope {
        if self.server { Scope::Server } else { Scope::Facilitator }
    }

    fn row(&self) -> ClaimRow {
        let name = NAMES[self.name];
        let mut row = fixtures::row(self.scope(), name, "");
        if self.name == 0 {
            row.claim = row.claim.dead_after(FakeClock::START + 100);
        }
        if self.dear {
            row.offer.amount = Amount::from(1_000_000);
        }
        row.caller = match self.token {
            0 => Caller::ANONYMOUS,
            1 => Caller::new("shared by all"),
            number => fixtures::caller_of(name, &number.to_string()),
        };
        row
    }
}

fn row() -> impl Strategy<Value = Row> {
    let parts = (any::<bool>(), 0..NAMES.len(), 0usize..4, prop::bool::weighted(0.1));
    parts.prop_map(|(server, name, token, dear)| Row { server, name, token, dear })
}

fn acts(holders: usize) -> impl Strategy<Value = Vec<Act>> {
    let who = move || 0..holders;
    let act = prop_oneof![
        6 => (who(), row()).prop_map(|(who, what)| Act::Take { who, what }),
        3 => (who(), row()).prop_map(|(who, what)| Act::Retake { who, what }),
        2 => (who(), row()).prop_map(|(who, what)| Act::Find { who, what }),
        4 => (who(), prop::collection::vec(any::<usize>(), 0..3), 0..2usize, prop::option::of(0u64..2))
            .prop_map(|(who, claims, signer, sequence)| Act::Sign { who, claims, signer, sequence }),
        6 => (who(), any::<usize>(), 0usize..6).prop_map(|(who, ticket, how)| Act::Resolve { who, ticket, how }),
        2 => (who(), 0..2usize).prop_map(|(who, signer)| Act::Hold { who, signer }),
        2 => (who(), any::<usize>(), 0..2usize).prop_map(|(who, ticket, signer)| Act::HandOver { who, ticket, signer }),
        2 => who().prop_map(|who| Act::Handed { who }),
        1 => who().prop_map(|who| Act::Open { who }),
        1 => who().prop_map(|who| Act::Leave { who }),
        1 => prop::sample::select(vec![300u64, 700, 90_000]).prop_map(|seconds| Act::Wait { seconds }),
    ];
    prop::collection::vec(act, 1..60)
}

/// The tickets that both ledgers gave out for the same thing.
#[derive(Default)]
struct Tickets {
    given: Vec<(Scope, Ticket, Ticket)>,
    turns: HashMap<(Scope, ClaimKey, u64), u64>,
}

impl Tickets {
    fn give(&mut self, scope: Scope, memory: Ticket, store: Ticket) {
        assert_eq!(memory.key, store.key);
        let turn = *self.turns.entry((scope, memory.key.clone(), memory.turn)).or_insert(store.turn);
        assert_eq!(turn, store.turn, "the same ticket of {} here, another there", memory.key);
        self.given.push((scope, memory, store));
    }

    fn row(&mut self, memory: &ClaimRow, store: &ClaimRow) {
        assert_eq!(memory.clone().with_turn(0), store.clone().with_turn(0));
        self.give(memory.scope, memory.ticket(), store.ticket());
    }

    fn rows(&mut self, memory: &[ClaimRow], store: &[ClaimRow]) {
        assert_eq!(memory.len(), store.len(), "{memory:?}\n{store:?}");
        let sorted = |rows: &[ClaimRow]| {
            let mut rows = rows.to_vec();
            rows.sort_by(|one, other| one.claim.key.cmp(&other.claim.key));
            rows
        };
        for (memory, store) in sorted(memory).iter().zip(&sorted(store)) {
            self.row(memory, store);
        }
    }

    fn slot(&mut self, memory: &OpenSlot<SignedTx>, store: &OpenSlot<SignedTx>) {
        assert_eq!(memory.attempts, store.attempts);
        self.rows(&memory.claims, &store.claims);
        for row in &memory.claims {
            let key = &row.claim.key;
            assert!(memory.carrying(key).eq(store.carrying(key)), "{key}: {memory:?}\n{store:?}");
        }
    }

    fn found(&mut self, memory: Option<Found<SignedTx>>, store: Option<Found<SignedTx>>) {
        match (memory, store) {
            (None, None) => {}
            (Some(memory), Some(store)) => {
                self.row(&memory.row, &store.row);
                assert_eq!(memory.outcome, store.outcome);
                match (memory.slot, store.slot) {
                    (None, None) => {}
                    (Some(memory), Some(store)) => self.slot(&memory, &store),
                    other => panic!("a slot in one of the two: {other:?}"),
                }
            }
            other => panic!("found in one of the two: {other:?}"),
        }
    }

    fn pick(&self, number: usize) -> Option<&(Scope, Ticket, Ticket)> {
        self.given.get(number.checked_rem(self.given.len())?)
    }
}

fn outcome(number: usize) -> Outcome {
    let settled = || Settled::new("tx", "alice");
    match number {
        0 => Outcome::Settled(settled()),
        1 => Outcome::Included(settled()),
        2 => Outcome::Undelivered(settled()),
        3 => Outcome::Pending { transaction: "tx".to_owned() },
        _ => Outcome::Released(Rejected::new(codes::UNEXPECTED_SETTLE_ERROR)),
    }
}

fn same<T: PartialEq + Debug>(memory: T, store: T) {
    assert_eq!(memory, store, "memory, store");
}

/// Does everything to both. `leave` makes one of the store's holders count as dead.
pub(crate) async fn compare(
    acts: &[Act],
    clock: &FakeClock,
    memory: &[MemoryLedger],
    stores: &[Arc<dyn Ledger>],
    leave: impl AsyncFn(usize),
) {
    let mut tickets = Tickets::default();
    // What each holder was told last, for each signer.
    let mut epochs = HashMap::new();
    for (number, act) in acts.iter().enumerate() {
        match act {
            Act::Take { who, what } => {
                let row = what.row();
                match (memory[*who].take(&row).await.unwrap(), stores[*who].take(&row).await.unwrap()) {
                    (Taken::New(memory), Taken::New(store)) => tickets.give(row.scope, memory, store),
                    (memory, store) => same(memory, store),
                }
            }
            Act::Retake { who, what } => {
                let row = what.row();
                let both = (memory[*who].retake(&row).await.unwrap(), stores[*who].retake(&row).await.unwrap());
                tickets.found(both.0, both.1);
            }
            Act::Find { who, what } => {
                let (scope, key) = (what.scope(), what.row().claim.key);
                let both =
                    (memory[*who].find(scope, &key).await.unwrap(), stores[*who].find(scope, &key).await.unwrap());
                tickets.found(both.0, both.1);
            }
            Act::Sign { who, claims, signer, sequence } => {
                let mut tx = fixtures::signed_tx(SIGNERS[*signer], *sequence, &format!("tx-{number}"));
                tx.slot.epoch = epochs.get(&(*who, *signer)).copied().unwrap_or_default();
                let picked = || claims.iter().filter_map(|claim| tickets.pick(*claim));
                let picked: HashMap<_, _> =
                    picked().map(|(_, memory, store)| (memory.key.clone(), (memory, store))).collect();
                let of_memory: Vec<_> = picked.values().map(|(memory, _)| (*memory).clone()).collect();
                let of_store: Vec<_> = picked.values().map(|(_, store)| (*store).clone()).collect();
                let answers =
                    (memory[*who].write_signed(&tx, &of_memory).await, stores[*who].write_signed(&tx, &of_store).await);
                same(answers.0.map_err(|why| why.to_string()), answers.1.map_err(|why| why.to_string()));
            }
            Act::Resolve { who, ticket, how } => {
                let Some((scope, of_memory, of_store)) = tickets.pick(*ticket) else { continue };
                memory[*who].resolve(*scope, &[(of_memory.clone(), outcome(*how))]).await.unwrap();
                stores[*who].resolve(*scope, &[(of_store.clone(), outcome(*how))]).await.unwrap();
            }
            Act::Hold { who, signer } => {
                let (network, name) = (network(), SIGNERS[*signer]);
                let hold = stores[*who].hold(&network, name).await.unwrap();
                same(memory[*who].hold(&network, name).await.unwrap(), hold);
                if let Hold::Ours { epoch } = hold {
                    epochs.insert((*who, *signer), epoch);
                }
            }
            Act::HandOver { who, ticket, signer } => {
                let Some((_, of_memory, of_store)) = tickets.pick(*ticket) else { continue };
                let (network, signer) = (network(), SIGNERS[*signer]);
                same(
                    memory[*who].hand_over(of_memory, &network, signer).await.unwrap(),
                    stores[*who].hand_over(of_store, &network, signer).await.unwrap(),
                );
            }
            Act::Handed { who } => {
                let both = (memory[*who].handed(10).await.unwrap(), stores[*who].handed(10).await.unwrap());
                tickets.rows(&both.0, &both.1);
            }
            Act::Open { who } => {
                let both = (memory[*who].open(10).await.unwrap(), stores[*who].open(10).await.unwrap());
                assert_eq!(both.0.len(), both.1.len(), "{both:?}");
                both.0.iter().zip(&both.1).for_each(|(memory, store)| tickets.slot(memory, store));
            }
            Act::Leave { who } => {
                memory[*who].leave();
                leave(*who).await;
            }
            Act::Wait { seconds } => clock.advance(*seconds),
        }
    }
}

/// Tries sequences, each on a fresh store that `run` makes.
pub(crate) fn sequences(cases: u32, holders: usize, run: impl AsyncFn(Vec<Act>)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let result = runner.run(&acts(holders), |acts| {
        runtime.block_on(run(acts));
        Ok(())
    });
    result.unwrap_or_else(|why| panic!("{why}"));
}
