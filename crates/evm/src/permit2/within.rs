//! Verifying and settling within what a day sponsors, and why a permit's transaction that was mined reverted.

use super::PermitView;
use super::probe::Answer;
use super::prove::PermitExpect;
use super::settle::{Asked, Permits};
use super::verify::verdict;
use crate::codes;
use crate::exact::types::word_of;
use crate::prove::Expected;
use crate::revert::explained;
use tollway_core::{Outcome, Result, SettleContext, Verified};

impl Permits<'_> {
    /// Asks the chain, in one round trip. A payment that needs sponsoring is refused where the day's is taken.
    pub(crate) async fn verify_within(&self, view: &PermitView<'_>) -> Result<Verified> {
        let verified = self.verify(view).await?;
        let (chain, sponsor) = (self.network.chain()?, &self.examined(view)?.sponsor);
        chain.limits.sponsoring.room(sponsor.pays(), view.permit.owner, codes::PERMIT2_ALLOWANCE)?;
        Ok(verified)
    }

    /// Settles. A payment that needs sponsoring is taken out of the day's, and given back where nothing was sent.
    pub(crate) async fn settle_within(&self, view: &PermitView<'_>, cx: &SettleContext) -> Result<Outcome> {
        let (chain, sponsor) = (self.network.chain()?, &self.examined(view)?.sponsor);
        let (owner, gas) = (view.permit.owner, chain.limits.max_gas);
        let share = chain.limits.sponsoring.take(sponsor.pays(), owner, gas, codes::PERMIT2_ALLOWANCE)?;
        let outcome = self.settle(view, cx).await?;
        // A metered payment of nothing has no transaction.
        if !matches!(&outcome, Outcome::Settled(settled) if settled.transaction.is_empty()) {
            share.spent();
        }
        Ok(self.explained(view, outcome).await)
    }

    /// The outcome of a settlement with the code of the reason, where its transaction reverted for one that can be told.
    async fn explained(&self, view: &PermitView<'_>, outcome: Outcome) -> Outcome {
        // Settling needed both; what was sent is not unsent for want of words.
        let (Ok(chain), Ok(examined)) = (self.network.chain(), self.examined(view)) else { return outcome };
        let amount = word_of(view.charge());
        let asked = Asked::new(chain, examined, amount);
        let judge = |answer: &[u8]| verdict(examined, amount, &Answer::read(answer)?, None, true).err();
        let expect =
            Expected::Permit2(PermitExpect::new(view.kind, examined.permit.token, &examined.permit, view.charge()));
        let ask = |block: &str| asked.question.call_at(block);
        explained(chain, outcome, ask, judge, |time| expect.ended(time)).await
    }
}
