//! Stores of budgets that are broken on purpose: the suite names what is wrong with each.

use std::sync::Arc;
use tollway_core::{
    Amount, BudgetStore, Fate, Fault, Reserved, SignedSpend, Spend, SpendKey, SpendRow, SpendState, Tally, async_trait,
};
use tollway_roles::client::MemoryBudget;
use tollway_testkit::{Report, block_on, budget_suite};

/// A way to get it wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    None,
    /// Looks, and reserves later.
    RacyReserve,
    /// Counts on the counters that allow it, although another does not.
    CountsHalf,
    /// Gives back what the server refused.
    BelievesServers,
    /// Never gives anything back.
    KeepsReleased,
    /// Lets a reservation that is gone be signed for.
    SignsAnything,
    /// Takes what is spent for lost.
    FindsSpent,
    /// Finds no payment by what was signed.
    ForgetsDigests,
    /// Lists as open what is not.
    OpenIsAll,
    /// Gives more rows than it was asked for.
    NoPages,
    /// Counts in 64 bits.
    Narrow,
    /// Forgets a payment that came back from the dead.
    DeadForGood,
    /// Names no transaction.
    ForgetsTransactions,
}

struct Broken {
    books: MemoryBudget,
    defect: Defect,
}

impl Broken {
    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    async fn row(&self, id: &str) -> Option<SpendRow> {
        self.books.export(0, 10_000).await.unwrap_or_default().into_iter().find(|row| row.spend.id == id)
    }
}

#[async_trait]
impl BudgetStore for Broken {
    async fn reserve(&self, spend: &Spend) -> Result<Reserved, Fault> {
        let mut spend = spend.clone();
        if self.is(Defect::RacyReserve) {
            for tally in &spend.tallies {
                if let Err(left) = tally.added_to(self.books.counted(&tally.key).await?) {
                    return Ok(Reserved::Over { key: tally.key.clone(), left });
                }
            }
            tokio::task::yield_now().await;
            spend.tallies.iter_mut().for_each(|tally| tally.cap = None);
        }
        if self.is(Defect::Narrow) {
            let narrow = |amount: Amount| Amount::from(amount.to_u64().unwrap_or(u64::MAX));
            spend.tallies.iter_mut().for_each(|tally| tally.amount = narrow(tally.amount));
        }
        let answer = self.books.reserve(&spend).await?;
        if self.is(Defect::CountsHalf)
            && let Reserved::Over { key, .. } = &answer
        {
            let allowed: Vec<Tally> = spend.tallies.iter().take_while(|tally| tally.key != *key).cloned().collect();
            let mut half = spend.clone();
            half.id = format!("half of {}", spend.id);
            self.books.reserve(&half.counted(allowed)).await?;
        }
        Ok(answer)
    }

    async fn sign(&self, id: &str, signed: &SignedSpend, now: u64) -> Result<(), Fault> {
        match self.books.sign(id, signed, now).await {
            Err(_) if self.is(Defect::SignsAnything) => Ok(()),
            answer => answer,
        }
    }

    async fn resolve(&self, id: &str, fate: &Fate, now: u64) -> Result<(), Fault> {
        let fate = match fate {
            Fate::Refused if self.is(Defect::BelievesServers) => Fate::Released,
            Fate::Released if self.is(Defect::KeepsReleased) => return Ok(()),
            Fate::Spent { .. } if self.is(Defect::ForgetsTransactions) => Fate::Spent { transaction: String::new() },
            fate => fate.clone(),
        };
        let dead = self.row(id).await.is_some_and(|row| row.state == SpendState::Released);
        if dead && self.is(Defect::DeadForGood) {
            return Ok(());
        }
        self.books.resolve(id, &fate, now).await
    }

    async fn find(&self, by: SpendKey<'_>) -> Result<Vec<SpendRow>, Fault> {
        match by {
            SpendKey::Payment(_) if self.is(Defect::ForgetsDigests) => Ok(Vec::new()),
            SpendKey::Purchase(purchase) if self.is(Defect::FindsSpent) => {
                let rows = self.books.export(0, 10_000).await?.into_iter();
                Ok(rows.filter(|row| row.spend.purchase.as_deref() == Some(purchase) && row.signed.is_some()).collect())
            }
            by => self.books.find(by).await,
        }
    }

    async fn open(&self, after: u64, limit: usize) -> Result<Vec<SpendRow>, Fault> {
        match self.is(Defect::OpenIsAll) {
            true => self.books.export(after, limit).await,
            false => self.books.open(after, limit).await,
        }
    }

    async fn export(&self, after: u64, limit: usize) -> Result<Vec<SpendRow>, Fault> {
        self.books.export(after, if self.is(Defect::NoPages) { 10_000 } else { limit }).await
    }

    async fn counted(&self, key: &str) -> Result<Amount, Fault> {
        self.books.counted(key).await
    }
}

async fn tried(defect: Defect) -> Report {
    budget_suite("broken", || async { Arc::new(Broken { books: MemoryBudget::new(), defect }) as Arc<dyn BudgetStore> })
        .await
}

#[test]
fn a_store_without_a_defect_passes() {
    let report = block_on(tried(Defect::None));
    assert!(report.checks > 50, "only {} checks ran", report.checks);
    report.assert();
}

#[test]
fn every_defect_is_caught() {
    for (defect, rule) in [
        (Defect::RacyReserve, "caps: hold"),
        (Defect::CountsHalf, "counters: right"),
        (Defect::BelievesServers, "fates: state"),
        (Defect::KeepsReleased, "counters: right"),
        (Defect::SignsAnything, "sign: fenced"),
        (Defect::FindsSpent, "find: purchase"),
        (Defect::ForgetsDigests, "find: payment"),
        (Defect::OpenIsAll, "pages: complete and in order"),
        (Defect::NoPages, "pages: limit"),
        (Defect::Narrow, "amounts: 256 bits"),
        (Defect::DeadForGood, "fates: state"),
        (Defect::ForgetsTransactions, "fates: transaction"),
    ] {
        let report = block_on(tried(defect));
        assert!(report.caught(rule), "{defect:?} should break `{rule}`: {report}");
    }
}
