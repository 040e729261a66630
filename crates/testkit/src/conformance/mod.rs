//! The conformance suite: what every plug-in owes to the engines, checked from outside.

mod configuration;
mod junk;
mod networks;
mod registration;
mod sample;
mod schemes;
mod secrets;
mod stage;

pub use sample::Sample;

use crate::report::{Notes, Report};
use crate::{FakeClock, FakeSecrets};
use serde_json::Value;
use stage::Stage;
use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use tollway_core::{Build, BuildContext, NetworkId, Plugin};

/// A valid 32-byte key in hexadecimal that nothing else looks like.
const CANARY: &str = "0x00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee";

type Exhibit = fn(Value, BuildContext) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send>>;

/// A plug-in under test, and what the suite must know about it.
///
/// Most plug-ins need a [`Sample`] for each scheme. Without one the suite signs a payment itself, with the plug-in's
/// own paying side, and cannot know which of its members are signatures.
#[derive(Clone)]
pub struct Conformance {
    plugin: Plugin,
    beside: Vec<Plugin>,
    networks: BTreeMap<NetworkId, Value>,
    canary: String,
    secrets: FakeSecrets,
    clock: Arc<FakeClock>,
    samples: Vec<Sample>,
    addresses: Vec<String>,
    exhibits: Vec<(&'static str, &'static str, Exhibit)>,
}

impl fmt::Debug for Conformance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conformance").field("plugin", &self.plugin).finish_non_exhaustive()
    }
}

impl From<Plugin> for Conformance {
    fn from(plugin: Plugin) -> Self {
        Self::of(plugin)
    }
}

/// A part of the suite. [`conformance!`](crate::conformance!) makes a test of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Chapter {
    /// Registers alone, and not twice.
    Registration,
    /// Examples are accepted, unknown keys are refused.
    Configuration,
    /// Names and addresses have one spelling.
    Networks,
    /// Payments are told apart by what makes them, and junk is refused.
    Schemes,
    /// No key shows anywhere.
    Secrets,
}

impl Chapter {
    /// Every chapter.
    pub const ALL: [Self; 5] = [Self::Registration, Self::Configuration, Self::Networks, Self::Schemes, Self::Secrets];
}

impl Conformance {
    /// The suite for a plug-in.
    pub fn of(plugin: Plugin) -> Self {
        Self {
            plugin,
            beside: Vec::new(),
            networks: BTreeMap::new(),
            canary: CANARY.to_owned(),
            secrets: FakeSecrets::new(CANARY),
            clock: FakeClock::new(),
            samples: Vec::new(),
            addresses: Vec::new(),
            exhibits: Vec::new(),
        }
    }

    /// Registers another plug-in beside it, such as the chain a scheme is for.
    pub fn beside(mut self, plugin: Plugin) -> Self {
        self.beside.push(plugin);
        self
    }

    /// Tries it on this network, opened with this section, or with its example where that is `null`. Left out, the suite
    /// makes up an id for each pattern.
    ///
    /// # Panics
    /// The text is no network id.
    pub fn network(mut self, id: &str, section: Value) -> Self {
        self.networks.insert(crate::fixtures::network(id), section);
        self
    }

    /// The key that every reference to a secret resolves to, where 32 bytes in hexadecimal are none. Must be unlike
    /// anything else, since the suite looks for its text everywhere.
    pub fn secret(mut self, key: &str) -> Self {
        self.canary = key.to_owned();
        self.secrets = FakeSecrets::new(key);
        self
    }

    /// Sets the suite's clock, in Unix seconds, to a time at which the samples are valid.
    pub fn at(mut self, seconds: u64) -> Self {
        self.clock = FakeClock::at(seconds);
        self
    }

    /// Adds a valid payment of one of its schemes.
    pub fn sample(mut self, sample: Sample) -> Self {
        self.samples.push(sample);
        self
    }

    /// Adds a valid address, in a spelling people use.
    pub fn address(mut self, address: &str) -> Self {
        self.addresses.push(address.to_owned());
        self
    }

    /// Looks for the key also in the `Debug` of a part, made from its example for networks of this pattern.
    pub fn shows<B: Build + fmt::Debug>(mut self, at: &'static str) -> Self {
        let make: Exhibit = |section, cx| {
            Box::pin(async move {
                let config = serde_json::from_value(section).map_err(|why| why.to_string())?;
                Ok(format!("{0:?} {0:#?}", B::build(config, cx).await?))
            })
        };
        self.exhibits.push((at, B::EXAMPLE, make));
        self
    }

    /// Runs every chapter.
    pub async fn run(&self) -> Report {
        let notes = Notes::new(self.name());
        for chapter in Chapter::ALL {
            self.run_into(chapter, &notes).await;
        }
        notes.finish()
    }

    /// Runs one chapter.
    pub async fn chapter(&self, chapter: Chapter) -> Report {
        let notes = Notes::new(format!("{} ({chapter:?})", self.name()));
        self.run_into(chapter, &notes).await;
        notes.finish()
    }

    async fn run_into(&self, chapter: Chapter, notes: &Notes) {
        if chapter == Chapter::Registration {
            return registration::check(self, notes);
        }
        let Some(stage) = Stage::build(self, notes).await else { return };
        match chapter {
            Chapter::Registration => {}
            Chapter::Configuration => configuration::check(self, &stage, notes).await,
            Chapter::Networks => networks::check(self, &stage, notes).await,
            Chapter::Schemes => schemes::check(self, &stage, notes).await,
            Chapter::Secrets => secrets::check(self, &stage, notes).await,
        }
    }

    /// Runs one chapter to its end on a runtime of its own.
    ///
    /// # Panics
    /// The plug-in breaks a rule; lists every one.
    #[track_caller]
    pub fn assert(self, chapter: Chapter) {
        crate::block_on(self.chapter(chapter)).assert();
    }
}

/// Runs the whole suite on a plug-in that needs no samples.
pub async fn conformance(plugin: &Plugin) -> Report {
    Conformance::of(*plugin).run().await
}

/// Tests a plug-in: expands to one `#[test]` for each [`Chapter`]. Takes a [`Plugin`](tollway_core::Plugin) or a
/// [`Conformance`].
///
/// ```
/// tollway_testkit::conformance!(tollway_testkit::FAKE);
/// ```
#[macro_export]
macro_rules! conformance {
    ($subject:expr $(,)?) => {
        #[test]
        fn conformance_registration() {
            $crate::Conformance::from($subject).assert($crate::Chapter::Registration);
        }
        #[test]
        fn conformance_configuration() {
            $crate::Conformance::from($subject).assert($crate::Chapter::Configuration);
        }
        #[test]
        fn conformance_networks() {
            $crate::Conformance::from($subject).assert($crate::Chapter::Networks);
        }
        #[test]
        fn conformance_schemes() {
            $crate::Conformance::from($subject).assert($crate::Chapter::Schemes);
        }
        #[test]
        fn conformance_secrets() {
            $crate::Conformance::from($subject).assert($crate::Chapter::Secrets);
        }
    };
}
