//! Why a permit's transaction that was mined reverted.

use super::PermitView;
use super::probe::Answer;
use super::prove::PermitExpect;
use super::settle::{Asked, Permits};
use super::verify::verdict;
use crate::exact::types::word_of;
use crate::prove::Expected;
use crate::revert::explained;
use tollway_core::Outcome;

impl Permits<'_> {
    /// The outcome of a settlement with the code of the reason, where its transaction reverted for one that can be told.
    pub(crate) async fn explained(&self, view: &PermitView<'_>, outcome: Outcome) -> Outcome {
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
