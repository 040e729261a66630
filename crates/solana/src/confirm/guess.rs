//! [`Guess`]: when a settlement is looked for first. Learnt, so that a little more often than not it is there.

use std::time::Duration;

/// Where learning begins, and its limits.
const FIRST: Duration = Duration::from_millis(400);
const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(15);
/// How the guess moves, in thousandths of itself: up where it was too early, down where it was not, each time in a row
/// half as much again.
const UP: u32 = 25;
const DOWN: u32 = 3;
const DOWN_MOST: u32 = 150;
/// A look was not too early where it missed at most one for so many that were there.
const ENOUGH: usize = 8;

/// How long confirmation usually takes, and how far that is lowered next.
#[derive(Debug)]
pub(super) struct Guess {
    usual: Duration,
    down: u32,
}

impl Default for Guess {
    fn default() -> Self {
        Self { usual: FIRST, down: DOWN }
    }
}

impl Guess {
    /// How long after a send to look for the first time.
    pub(super) fn usual(&self) -> Duration {
        self.usual
    }

    /// Moves by one step for one look, however many transactions it was for: so many were there, so many were missed.
    pub(super) fn learn(&mut self, there: usize, missed: usize) {
        if missed > there / ENOUGH {
            self.usual = (self.usual + self.usual * UP / 1000).min(LONGEST);
            self.down = DOWN;
        } else if there > 0 {
            self.usual = (self.usual - self.usual * self.down / 1000).max(SHORTEST);
            self.down = (self.down + self.down.div_ceil(2)).min(DOWN_MOST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the guess ends up when confirmation takes this long.
    fn learnt(latency: Duration) -> Duration {
        let mut guess = Guess::default();
        for _ in 0..2000 {
            let there = usize::from(guess.usual() >= latency);
            guess.learn(there, 1 - there);
        }
        guess.usual()
    }

    #[test]
    fn it_settles_near_what_is_true_and_stays_within_its_limits() {
        for millis in [50, 400, 2000, 10_000] {
            let (latency, guess) = (Duration::from_millis(millis), learnt(Duration::from_millis(millis)));
            assert!(guess > latency * 8 / 10 && guess < latency * 11 / 10, "{guess:?} for {latency:?}");
        }
        assert!(learnt(Duration::ZERO) >= SHORTEST && learnt(Duration::from_secs(3600)) <= LONGEST);
    }

    #[test]
    fn a_crowd_moves_it_no_more_than_one_does() {
        let (mut one, mut crowd) = (Guess::default(), Guess::default());
        one.learn(1, 0);
        crowd.learn(1000, 100);
        assert_eq!(one.usual(), crowd.usual());
        crowd.learn(8, 2);
        assert!(crowd.usual() > one.usual(), "missing more than one in eight is too early");
        let before = crowd.usual();
        crowd.learn(0, 0);
        assert_eq!(crowd.usual(), before, "nothing was looked for");
    }
}
