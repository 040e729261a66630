//! Asking facilitators: every call is told to the selector, a verdict is asked of one after the other, and of two at once
//! where the first takes long.

use super::Engine;
use super::admitted::Deal;
use super::offers::{Offer, Several};
use smallvec::SmallVec;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::time::{Instant, timeout};
use tollway_core::{
    CallEvent, Candidate, FacilitatorCall, FacilitatorSelector, Failure, Fault, FaultKind, Result, Verified,
};

/// The order in which facilitators were added, preferences aside.
pub(super) struct InOrder;

impl FacilitatorSelector for InOrder {
    fn rank(&self, _: &mut [Candidate<'_>]) {}
}

/// A call under way. However it ends, the selector is told.
struct Call<'a> {
    engine: &'a Engine,
    position: usize,
    call: FacilitatorCall,
    open: bool,
}

impl<'a> Call<'a> {
    fn begin(engine: &'a Engine, position: usize, call: FacilitatorCall) -> Self {
        engine.selector.observe(position, call, CallEvent::Asked);
        Self { engine, position, call, open: true }
    }

    fn end(mut self, event: CallEvent<'_>) {
        self.open = false;
        self.engine.selector.observe(self.position, self.call, event);
        match event {
            CallEvent::Failed(_) => self.engine.suspect(self.position, self.call),
            _ => self.engine.trust(self.position, self.call),
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if self.open {
            self.engine.selector.observe(self.position, self.call, CallEvent::Dropped);
        }
    }
}

impl Engine {
    /// Makes a call and tells the selector what became of it. A refusal is an answer.
    pub(super) async fn call<T>(
        &self,
        position: usize,
        call: FacilitatorCall,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let (open, since) = (Call::begin(self, position, call), Instant::now());
        let answer = work.await;
        open.end(match &answer {
            Err(Failure::Fault(why)) => CallEvent::Failed(why),
            _ => CallEvent::Answered(since.elapsed()),
        });
        answer
    }

    /// Offers for the same way to pay, best first.
    pub(super) fn order(&self, offers: &mut [Arc<Offer>]) {
        if offers.len() < 2 {
            return;
        }
        let before: Several = offers.iter().cloned().collect();
        let mut candidates: SmallVec<[_; 16]> = before.iter().map(|offer| offer.candidate()).collect();
        self.selector.order(&mut candidates);
        for (place, candidate) in offers.iter_mut().zip(&candidates) {
            if let Some(offer) = before.iter().find(|offer| offer.position == candidate.position) {
                place.clone_from(offer);
            }
        }
    }
}

/// A verdict that is being waited for.
type Asked<'a> = Pin<Box<dyn Future<Output = Result<Verified>> + Send + 'a>>;

/// The first of several that is ready, with its number; it is taken out.
async fn first_of<F: Future + ?Sized>(running: &mut Vec<(usize, Pin<Box<F>>)>) -> (usize, F::Output) {
    poll_fn(|cx| {
        for at in 0..running.len() {
            if let Poll::Ready(output) = running[at].1.as_mut().poll(cx) {
                let (number, _) = running.swap_remove(at);
                return Poll::Ready((number, output));
            }
        }
        Poll::Pending
    })
    .await
}

impl Deal {
    /// The verdict of whoever gives one first, with its number among those asked: the offer's own facilitator is 0, the
    /// others follow. Verifying moves nothing, so two may be asked at once. A refusal is a verdict; only who gave none is
    /// passed over.
    pub(super) async fn ask_any(&self) -> Result<(usize, Verified)> {
        let selector = &self.server.engine.selector;
        let mut left = std::iter::once(&self.offer).chain(&self.others).enumerate();
        let mut running: Vec<(usize, Asked<'_>)> = Vec::new();
        let mut failed = None;
        loop {
            let mut patience = None;
            if let Some((number, offer)) = left.next() {
                running.push((number, Box::pin(self.ask_facilitator(offer))));
                patience = selector.patience(offer.position).filter(|_| number < self.others.len());
            } else if running.is_empty() {
                let none = || Fault::new(FaultKind::Internal, "no facilitator was asked");
                return Err(failed.unwrap_or_else(none).into());
            }
            let answer = match patience {
                Some(longest) => timeout(longest, first_of(&mut running)).await.ok(),
                None => Some(first_of(&mut running).await),
            };
            match answer {
                Some((winner, Ok(verified))) => {
                    self.tell_late(running.iter().map(|(number, _)| *number), winner);
                    return Ok((winner, verified));
                }
                Some((winner, Err(Failure::Rejected(why)))) => {
                    self.tell_late(running.iter().map(|(number, _)| *number), winner);
                    return Err(why.into());
                }
                Some((_, Err(Failure::Fault(why)))) => drop(failed.get_or_insert(why)),
                None => {}
            }
        }
    }

    /// Those asked before the winner were given their time.
    fn tell_late(&self, running: impl Iterator<Item = usize>, winner: usize) {
        let asked: SmallVec<[_; 16]> = std::iter::once(&self.offer).chain(&self.others).collect();
        for number in running.filter(|number| *number < winner) {
            let (engine, position) = (&self.server.engine, asked[number].position);
            engine.selector.observe(position, FacilitatorCall::Verify, CallEvent::Late);
            engine.suspect(position, FacilitatorCall::Verify);
        }
    }

    async fn ask_facilitator(&self, offer: &Offer) -> Result<Verified> {
        let longest = self.server.engine.verify_timeout;
        let verdict = async {
            let asked = timeout(longest, offer.facilitator.verify(&self.raw, &offer.requirements)).await;
            let verified = asked.unwrap_or_else(|_| {
                let message = format!("the facilitator `{}` gave no verdict in {longest:?}", offer.facilitator.name());
                Err(Fault::new(FaultKind::Timeout, message).into())
            })?;
            self.check_payer(offer, verified.payer.as_deref())?;
            Ok(verified)
        };
        self.server.engine.call(offer.position, FacilitatorCall::Verify, verdict).await
    }

    /// A facilitator that names another payer than the payment does is lying or broken.
    pub(super) fn check_payer(&self, offer: &Offer, named: Option<&str>) -> Result<(), Fault> {
        let Some(named) = named else { return Ok(()) };
        if offer.network.canonical(named).is_ok_and(|named| named == self.payer.address()) {
            return Ok(());
        }
        let message = format!("the facilitator `{}` answered for another payer", offer.facilitator.name());
        Err(Fault::new(FaultKind::Invalid, message))
    }

    /// Turns to the facilitator with this number; the others are left for later, those after it first.
    pub(super) fn turn_to(&mut self, number: usize) {
        if number > 0 {
            self.others.insert(0, self.offer.clone());
            self.others.rotate_left(number);
            self.offer = self.others.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_that_is_ready_is_taken_out() {
        let never: Pin<Box<dyn Future<Output = u8>>> = Box::pin(std::future::pending());
        let mut running = vec![(0, never), (1, Box::pin(async { 7 }))];
        assert_eq!(first_of(&mut running).await, (1, 7));
        assert_eq!(running.len(), 1);
    }
}
