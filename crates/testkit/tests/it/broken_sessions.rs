//! The suite for stores of sessions passes a correct store and catches every broken one.

use async_trait::async_trait;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use tollway_core::{AccountId, Amount, Fault};
use tollway_siwx::{
    Credit, Draw, Drawn, Entered, Entitlement, Entry, Left, MemorySessions, Revocation, Scope, SessionStore, Shown,
    Token,
};
use tollway_testkit::{COIN, block_on, fixtures, session_suite};

/// What is wrong with a store, and the rule it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    RacyNonces,
    BurnsNonces,
    UsedNoncesDraw,
    ForgetsNonces,
    FoldsNonces,
    IgnoresRevocations,
    RevokedTokensDraw,
    RevokesForEver,
    RevokesNoAccounts,
    RevokesProofs,
    TakesNothing,
    GivesNothingBack,
    GivesBackTwice,
    CreditInMachineWords,
    AnyAsset,
    RoundsPrices,
    LastEndFirst,
    AnyScope,
    FoldsAccounts,
    FirstAccountOnly,
    EndsLate,
    EndsEarly,
    RecordsAgain,
    ListsBackwards,
    AnybodyShares,
    SharesWithoutEnd,
    SharesCopies,
    KeepsGuests,
    EndsNothing,
    RevivesEnded,
}

const RULES: [(Defect, &str); 30] = [
    (Defect::RacyNonces, "nonce: once"),
    (Defect::BurnsNonces, "nonce: kept"),
    (Defect::UsedNoncesDraw, "nonce: draws nothing"),
    (Defect::ForgetsNonces, "nonce: forgotten too early"),
    (Defect::FoldsNonces, "nonce: letter case"),
    (Defect::IgnoresRevocations, "token: revoked"),
    (Defect::RevokedTokensDraw, "token: draws nothing"),
    (Defect::RevokesForEver, "token: made later"),
    (Defect::RevokesNoAccounts, "token: signed out"),
    (Defect::RevokesProofs, "token: signs in again"),
    (Defect::TakesNothing, "calls: exactly"),
    (Defect::GivesNothingBack, "calls: given back"),
    (Defect::GivesBackTwice, "calls: given back"),
    (Defect::CreditInMachineWords, "credit: exact"),
    (Defect::AnyAsset, "credit: own asset"),
    (Defect::RoundsPrices, "credit: no more than there is"),
    (Defect::LastEndFirst, "draw: order"),
    (Defect::AnyScope, "draw: whose and where"),
    (Defect::FoldsAccounts, "draw: whose and where"),
    (Defect::FirstAccountOnly, "draw: one of several"),
    (Defect::EndsLate, "ends: to the second"),
    (Defect::EndsEarly, "ends: not before"),
    (Defect::RecordsAgain, "record: once"),
    (Defect::ListsBackwards, "list: faithful"),
    (Defect::AnybodyShares, "share: owner only"),
    (Defect::SharesWithoutEnd, "share: so many"),
    (Defect::SharesCopies, "share: one pot"),
    (Defect::KeepsGuests, "unshare: at once"),
    (Defect::EndsNothing, "end: for everybody"),
    (Defect::RevivesEnded, "end: for everybody"),
];

/// A correct store with a defect around it.
struct Store {
    inner: MemorySessions,
    defect: Option<Defect>,
    nonces: Mutex<HashSet<String>>,
}

impl Store {
    fn shared(defect: Option<Defect>) -> Arc<dyn SessionStore> {
        Arc::new(Self { inner: MemorySessions::new(), defect, nonces: Mutex::default() })
    }

    fn is(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    /// Enters in two steps that are not one: first the draw, then the rest.
    async fn draw_first(&self, entry: &Entry<'_>) -> Result<Entered, Fault> {
        let mut drawing = *entry;
        (drawing.nonce, drawing.token) = (None, None);
        let drawn = self.inner.enter(&drawing).await?;
        let mut rest = *entry;
        rest.draw = None;
        match self.inner.enter(&rest).await? {
            Entered::In(_) => Ok(drawn),
            refused => Ok(refused),
        }
    }
}

fn alice() -> AccountId {
    AccountId::new(fixtures::network("fake:sessions"), "alice")
}

fn folded(accounts: &[AccountId]) -> Vec<AccountId> {
    let fold = |account: &AccountId| AccountId::new(account.network().clone(), &account.address().to_lowercase());
    accounts.iter().map(fold).collect()
}

#[async_trait]
impl SessionStore for Store {
    async fn enter(&self, entry: &Entry<'_>) -> Result<Entered, Fault> {
        let mut entry = *entry;
        let (lower, accounts, prices);
        match self.defect {
            Some(Defect::RacyNonces) => {
                let Some(shown) = entry.nonce.take() else { return self.inner.enter(&entry).await };
                if self.nonces.lock().expect("no entry panics").contains(shown.nonce) {
                    return Ok(Entered::NonceUsed);
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                self.nonces.lock().expect("no entry panics").insert(shown.nonce.to_owned());
            }
            Some(Defect::BurnsNonces) => {
                let entered = self.inner.enter(&entry).await?;
                entry.draw = None;
                self.inner.enter(&entry).await?;
                return Ok(entered);
            }
            Some(Defect::UsedNoncesDraw) if entry.nonce.is_some() && entry.draw.is_some() => {
                return self.draw_first(&entry).await;
            }
            Some(Defect::RevokedTokensDraw) if entry.token.is_some() && entry.draw.is_some() => {
                return self.draw_first(&entry).await;
            }
            Some(Defect::ForgetsNonces) => {
                entry.nonce = entry.nonce.map(|shown| Shown::new(shown.nonce, entry.now + 1));
            }
            Some(Defect::FoldsNonces) => {
                lower = entry.nonce.map(|shown| (shown.nonce.to_lowercase(), shown.until));
                entry.nonce = lower.as_ref().map(|(nonce, until)| Shown::new(nonce, *until));
            }
            Some(Defect::IgnoresRevocations) => entry.token = None,
            Some(Defect::RevokesForEver) => entry.token = entry.token.map(|token| Token::new(token.id, 0)),
            Some(Defect::RevokesNoAccounts) if entry.draw.is_none() => entry.accounts = &[],
            Some(Defect::RevokesProofs) => entry.token = entry.token.or(Some(Token::new("proof", 0))),
            Some(Defect::AnyAsset | Defect::RoundsPrices) => {
                let change = |price: &Credit| match self.is(Defect::AnyAsset) {
                    true => Credit::new(fixtures::network("fake:sessions"), COIN, price.amount),
                    false => {
                        let less = price.amount.checked_sub(Amount::from(1)).unwrap_or(price.amount);
                        Credit::new(price.network.clone(), &price.asset, less)
                    }
                };
                if let Some(draw) = entry.draw {
                    prices = draw.prices.iter().map(change).collect::<Vec<_>>();
                    entry.draw = Some(draw.priced(&prices));
                }
            }
            Some(Defect::AnyScope) => {
                let any = [Scope::route("https://shop.test", "GET /report")];
                let draw = entry.draw.filter(|draw| !draw.scopes.is_empty());
                return match draw {
                    Some(draw) => self.inner.enter(&entry.drawing(Draw::new(&any).priced(draw.prices))).await,
                    None => self.inner.enter(&entry).await,
                };
            }
            Some(Defect::FoldsAccounts) => {
                accounts = folded(entry.accounts);
                entry.accounts = &accounts;
            }
            Some(Defect::FirstAccountOnly) => entry.accounts = &entry.accounts[..entry.accounts.len().min(1)],
            Some(Defect::EndsLate) => entry.now -= 1,
            Some(Defect::EndsEarly) => entry.now += 1,
            _ => {}
        }
        let entered = self.inner.enter(&entry).await?;
        if let (true, Entered::In(Some(drawn))) = (self.is(Defect::TakesNothing), &entered) {
            self.inner.give_back(drawn).await?;
        }
        Ok(entered)
    }

    async fn give_back(&self, drawn: &Drawn) -> Result<(), Fault> {
        match self.defect {
            Some(Defect::GivesNothingBack) => Ok(()),
            Some(Defect::GivesBackTwice) => {
                self.inner.give_back(drawn).await?;
                self.inner.give_back(drawn).await
            }
            Some(Defect::RevivesEnded) => {
                self.inner.give_back(drawn).await?;
                let revived =
                    Entitlement::new(&drawn.id, alice(), drawn.scope.clone(), drawn.ends, drawn.taken.clone());
                self.inner.record(&revived, 0).await
            }
            _ => self.inner.give_back(drawn).await,
        }
    }

    async fn record(&self, entitlement: &Entitlement, now: u64) -> Result<(), Fault> {
        let mut entitlement = entitlement.clone();
        match self.defect {
            Some(Defect::CreditInMachineWords) => {
                if let Left::Credit(credit) = &mut entitlement.left {
                    credit.amount = Amount::from(credit.amount.to_u64().unwrap_or(u64::MAX));
                }
            }
            Some(Defect::LastEndFirst) if entitlement.left != Left::Time => {
                let middle = tollway_testkit::FakeClock::START + 3600;
                entitlement.ends = middle + (middle - entitlement.ends.min(middle));
            }
            Some(Defect::RecordsAgain) => drop(self.inner.end(&entitlement.id).await?),
            _ => {}
        }
        self.inner.record(&entitlement, now).await
    }

    async fn entitlements(&self, account: &AccountId, now: u64) -> Result<Vec<Entitlement>, Fault> {
        let mut listed = self.inner.entitlements(account, now).await?;
        if self.is(Defect::ListsBackwards) {
            listed.reverse();
        }
        Ok(listed)
    }

    async fn share(&self, id: &str, owner: &AccountId, guest: &AccountId, now: u64) -> Result<bool, Fault> {
        match self.defect {
            Some(Defect::AnybodyShares) => self.inner.share(id, &alice(), guest, now).await,
            Some(Defect::SharesWithoutEnd) => self.inner.share(id, owner, guest, now).await.map(|_| *owner == alice()),
            Some(Defect::SharesCopies) => {
                let owned = self.inner.entitlements(owner, now).await?;
                let Some(one) = owned.iter().find(|one| *one.id == *id && one.owner == *owner) else {
                    return Ok(false);
                };
                let name = format!("{id}-{guest}");
                let copy = Entitlement::new(&name, guest.clone(), one.scope.clone(), one.ends, one.left.clone());
                self.inner.record(&copy, now).await.map(|()| true)
            }
            _ => self.inner.share(id, owner, guest, now).await,
        }
    }

    async fn unshare(&self, id: &str, owner: &AccountId, guest: &AccountId) -> Result<bool, Fault> {
        match self.defect {
            Some(Defect::KeepsGuests) => Ok(*owner == alice() && guest.address() == "bob"),
            _ => self.inner.unshare(id, owner, guest).await,
        }
    }

    async fn end(&self, id: &str) -> Result<bool, Fault> {
        match self.defect {
            Some(Defect::EndsNothing) => Ok(true),
            _ => self.inner.end(id).await,
        }
    }

    async fn revoke(&self, revocation: &Revocation, now: u64) -> Result<(), Fault> {
        self.inner.revoke(revocation, now).await
    }
}

#[test]
fn a_correct_store_passes() {
    let report = block_on(session_suite("correct", || async { Store::shared(None) }));
    assert!(report.checks > 150, "only {} checks ran", report.checks);
    report.assert();
}

#[test]
fn every_broken_store_breaks_the_rule_it_is_meant_to() {
    for (defect, rule) in RULES {
        let report = block_on(session_suite("broken", || async move { Store::shared(Some(defect)) }));
        assert!(report.caught(rule), "{defect:?} should break `{rule}`: {report}");
    }
}
