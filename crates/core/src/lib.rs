#![doc = include_str!("../README.md")]

#[macro_use]
mod text;

mod amount;
mod asset;
mod budget;
mod caip;
mod claim;
mod clock;
mod config;
mod echo;
pub mod erased;
mod error;
mod extension;
mod facilitator;
pub mod json;
mod ledger;
mod matching;
mod network;
mod outcome;
mod plugin;
mod price;
mod registry;
mod request;
mod scheme;
mod secret;
mod sign_in;
mod wire;

pub use amount::{Amount, AmountError};
pub use asset::Asset;
/// Some traits here are objects from birth; whoever implements one needs this attribute and not a dependency for it.
pub use async_trait::async_trait;
pub use budget::{
    BudgetStore, Fate, Reserved, SharedBudget, SignedSpend, Spend, SpendKey, SpendRow, SpendState, SpendStep, Tally,
};
pub use caip::{AccountId, CaipError, NetworkId, NetworkPattern};
pub use claim::{Caller, Claim, ClaimKey, ClaimRow, Scope, Ticket};
pub use clock::{Clock, SystemClock};
pub use config::{
    AssetLimits, BudgetConfig, ClientConfig, FacilitatorConfig, LedgerConfig, Limits, PreferencesConfig, RouteConfig,
    SelectorConfig, ServerConfig, SharedConfig, SignerConfig, WayConfig, Weights,
};
pub use echo::{EchoRules, echo_is_faithful};
pub use error::{ErrorCode, Failure, Fault, FaultKind, Rejected, Result, Sent, codes};
pub use extension::{
    Asking, Binding, ClientExtension, Declaring, FacilitatorExtension, Gate, Grant, Observed, Offers, Paid, Replay,
    ServerExtension, Stage,
};
pub use facilitator::{CallEvent, Candidate, Facilitator, FacilitatorCall, FacilitatorSelector};
pub use json::Object;
pub use ledger::{
    ClaimState, Durable, Found, Hold, Ledger, LedgerHandle, OpenSlot, SettleContext, SignedTx, Slot, Step, Taken,
};
pub use matching::matches_offer;
pub use network::{Network, NetworkWords, Realm, Settler, Signable, Signer, Vocabulary};
pub use outcome::{Outcome, Settled, Verified};
pub use plugin::{Build, BuildContext, Host, Part, PartKind, Plugin, Registrar};
pub use price::{AssetAmount, Money, Price, PriceError};
pub use registry::{Registry, RegistryBuilder, RegistryError};
pub use request::{Reply, Request, Transport};
pub use scheme::{
    Ask, NoConfig, Nothing, Payment, PlainServer, Scheme, SchemeClient, SchemeFacilitator, SchemeServer, Signed,
    Standing, WirePart, decode,
};
pub use secret::{EnvironmentSecrets, KeyConfig, Secret, SecretRef, Secrets};
pub use sign_in::{SignIn, SignInInfo, SignedIn};
pub use wire::{
    Flow, PaymentPayload, PaymentRequired, PaymentRequirements, ResourceInfo, SettleResponse, SupportedKind,
    SupportedResponse, VerifyResponse, X402_VERSION,
};

/// What `register!` expands to. Not for direct use.
#[doc(hidden)]
#[cfg(feature = "inventory")]
pub mod __private {
    pub use inventory;

    /// A plug-in submitted before `main`.
    #[derive(Debug)]
    pub struct Submitted(pub crate::Plugin);

    inventory::collect!(Submitted);
}
