//! [`Script`]: how a payment on the fake chain will go, written into its payload.

use serde::{Deserialize, Serialize};

/// What happens to a payment, call by call: the first entry is for the first call, the last one for all that follow.
/// Empty lists mean that all goes well.
///
/// Every fault of a real chain can be had through an engine's public face this way: the script rides in the payload.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Script {
    /// How each verification goes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub verify: Vec<OnVerify>,
    /// How each settlement goes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub settle: Vec<OnSettle>,
    /// What the chain makes of each transaction it is sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fate: Vec<Fate>,
    /// Milliseconds every call takes.
    #[serde(skip_serializing_if = "is_zero")]
    pub delay_ms: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// How one verification goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnVerify {
    /// By the chain's books.
    #[default]
    Check,
    /// Refused with `fake_refused`.
    Refuse,
    /// The chain cannot be asked.
    Unreachable,
    /// Never answers.
    Hang,
    /// Panics.
    Panic,
}

/// How one settlement goes. The steps are: check, sign, write down, send, watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnSettle {
    /// Through all steps; the answer is the transaction's fate.
    #[default]
    Go,
    /// Refused with `fake_refused` before anything is signed.
    Refuse,
    /// A fault before anything is signed.
    Unreachable,
    /// Written down, but the node never got it. A fault that says money may be on its way.
    LoseSend,
    /// Sent, and the answer got lost. A fault that says money may be on its way.
    LoseAnswer,
    /// Stops for ever before signing, as a killed process does.
    CrashBeforeSigned,
    /// Stops for ever between writing down and sending.
    CrashSigned,
    /// Stops for ever between sending and watching.
    CrashSent,
    /// Panics before signing.
    PanicBeforeSigned,
    /// Panics after sending.
    PanicSent,
    /// Settles, and names somebody else as the payer.
    LiePayer,
    /// Settles, and claims another amount.
    LieAmount,
    /// Moves nothing and says that it settled.
    LieSettled,
}

/// What the chain makes of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fate {
    /// In a block at once: the money moves.
    #[default]
    Included,
    /// In a block at once, and reverted.
    Reverted,
    /// Waits until [`FakeChain::mine`](crate::FakeChain::mine): nobody knows.
    Waiting,
    /// Waits, and can never be included: a second look finds it dead.
    Dropped,
}

impl Script {
    /// All goes well.
    pub fn well() -> Self {
        Self::default()
    }

    /// Verifications go like this.
    pub fn verify(steps: impl Into<Vec<OnVerify>>) -> Self {
        Self { verify: steps.into(), ..Self::default() }
    }

    /// Settlements go like this.
    pub fn settle(steps: impl Into<Vec<OnSettle>>) -> Self {
        Self { settle: steps.into(), ..Self::default() }
    }

    /// Transactions end like this.
    pub fn fate(steps: impl Into<Vec<Fate>>) -> Self {
        Self { fate: steps.into(), ..Self::default() }
    }

    /// Settlements also go like this.
    pub fn and_settle(mut self, steps: impl Into<Vec<OnSettle>>) -> Self {
        self.settle = steps.into();
        self
    }

    /// Transactions also end like this.
    pub fn and_fate(mut self, steps: impl Into<Vec<Fate>>) -> Self {
        self.fate = steps.into();
        self
    }

    /// Every call takes this long.
    pub fn delayed(mut self, milliseconds: u64) -> Self {
        self.delay_ms = milliseconds;
        self
    }

    /// The points at which a process can die while it settles, each as a script.
    pub fn crashes() -> [(&'static str, Self); 3] {
        [
            ("before signing", Self::settle([OnSettle::CrashBeforeSigned, OnSettle::Go])),
            ("between signing and sending", Self::settle([OnSettle::CrashSigned, OnSettle::Go])),
            ("between sending and watching", Self::settle([OnSettle::CrashSent, OnSettle::Go])),
        ]
    }

    /// Every way in which a settlement can end with nobody knowing, each as a script.
    pub fn uncertain() -> [(&'static str, Self); 4] {
        [
            ("the send was lost", Self::settle([OnSettle::LoseSend, OnSettle::Go])),
            ("the answer was lost", Self::settle([OnSettle::LoseAnswer, OnSettle::Go])),
            ("the transaction waits", Self::fate([Fate::Waiting])),
            ("the transaction is dropped", Self::fate([Fate::Dropped])),
        ]
    }
}

/// The step for a call, counted from zero.
pub(crate) fn step<T: Copy + Default>(steps: &[T], call: usize) -> T {
    steps.get(call).or(steps.last()).copied().unwrap_or_default()
}
