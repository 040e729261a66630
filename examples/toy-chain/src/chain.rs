//! The chain, in memory and shared by everybody in this process, and the kind of key its accounts have.

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use tollway_core::*;

static BOOKS: LazyLock<Mutex<Books>> = LazyLock::new(Mutex::default);

#[derive(Default)]
pub(crate) struct Books {
    pub(crate) pins: BTreeMap<String, Secret>,
    balances: BTreeMap<AccountId, u64>,
    spent: BTreeSet<ClaimKey>,
}

pub(crate) fn books() -> MutexGuard<'static, Books> {
    BOOKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an account has, in cents.
pub fn balance(account: &AccountId) -> u64 {
    books().balances.get(account).copied().unwrap_or(0)
}

impl Books {
    /// What paying would move, if it could be paid now.
    pub(crate) fn check(&self, claim: &Claim, offer: &PaymentRequirements) -> Result<u64, Rejected> {
        let (has, wants) = (self.balances.get(&claim.payer), offer.amount.to_u64().unwrap_or(u64::MAX));
        let code = match self.spent.contains(&claim.key) {
            true => "toy_note_spent",
            false if has.is_none_or(|has| *has < wants) => "insufficient_funds",
            false => return Ok(wants),
        };
        Err(Rejected::new(ErrorCode::new(code)).payer(claim.payer.address()))
    }

    /// Moves money. Takes a [`Durable`] and nothing else, so nothing moves that the ledger does not know.
    pub(crate) fn send(&mut self, tx: &Durable, claim: &Claim, offer: &PaymentRequirements) -> Outcome {
        let (hash, to) = (&tx.tx().hash, canonical(&offer.pay_to).unwrap_or_default());
        match self.check(claim, offer) {
            Ok(amount) => {
                *self.balances.entry(claim.payer.clone()).or_default() -= amount;
                *self.balances.entry(AccountId::new(offer.network.clone(), &to)).or_default() += amount;
                self.spent.insert(claim.key.clone());
                Outcome::Settled(Settled::new(hash, claim.payer.address()))
            }
            Err(why) => Outcome::Released(why.transaction(hash)),
        }
    }
}

/// The one spelling of an address.
pub(crate) fn canonical(address: &str) -> Result<String, Rejected> {
    let is_one = !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_one.then(|| address.to_ascii_lowercase()).ok_or(Rejected::new(ErrorCode::new("toy_invalid_address")))
}

pub(crate) struct Toy {
    id: NetworkId,
    assets: [Asset; 1],
    gift: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToyConfig {
    id: NetworkId,
    /// What a new account begins with, in cents.
    #[serde(default)]
    gift: u32,
}

impl Build for Toy {
    type Config = ToyConfig;
    const EXAMPLE: &'static str = r#"{ "gift": 1000 }"#;

    async fn build(ToyConfig { id, gift }: ToyConfig, _: BuildContext) -> Result<Self, String> {
        Ok(Self { id, assets: [Asset::new("coin", "TOY", 2)], gift })
    }
}

impl Network for Toy {
    fn id(&self) -> &NetworkId {
        &self.id
    }

    fn assets(&self) -> &[Asset] {
        &self.assets
    }

    fn canonical(&self, address: &str) -> Result<String, Rejected> {
        canonical(address)
    }
}

/// What whoever knows a PIN puts under a message. **A toy**: this is no cryptography, and the chain knows every PIN.
pub(crate) fn seal(pin: &Secret, message: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    (pin.expose(), message).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

pub(crate) struct Pin {
    pin: Secret,
    address: String,
}

impl Build for Pin {
    type Config = KeyConfig;
    const EXAMPLE: &'static str = r#"{ "key": "env:TOY_PIN" }"#;

    async fn build(config: KeyConfig, cx: BuildContext) -> Result<Self, String> {
        let (chain, pin) = (cx.network::<Toy>()?, cx.secrets.resolve(&config.key)?);
        let (address, mut books) = (format!("toy{}", seal(&pin, b"address")), books());
        books.balances.entry(AccountId::new(chain.id.clone(), &address)).or_insert(chain.gift.into());
        books.pins.insert(address.clone(), pin.clone());
        Ok(Self { pin, address })
    }
}

#[async_trait]
impl Signer for Pin {
    fn address(&self) -> &str {
        &self.address
    }

    async fn sign(&self, what: Signable<'_>) -> Result<Vec<u8>, Fault> {
        let unfit = || Fault::new(FaultKind::Configuration, "a PIN seals messages and nothing else");
        let Signable::Message(message) = what else { return Err(unfit()) };
        Ok(seal(&self.pin, message).into_bytes())
    }
}
