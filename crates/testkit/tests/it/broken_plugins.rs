//! The conformance suite passes a sound plug-in and catches every one that is broken on purpose.
//!
//! One small chain, written once. `B` says which rule it breaks.

use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tollway_core::{
    AccountId, Amount, Ask, Asset, Build, BuildContext, Claim, ClaimKey, Clock, ErrorCode, Fault, FaultKind, Network,
    NetworkId, NoConfig, Object, Outcome, Payment, PaymentRequirements, Plugin, Rejected, Result, Scheme, SchemeClient,
    SchemeFacilitator, SchemeServer, Secret, SecretRef, SettleContext, Signable, Signed, Signer, SupportedKind,
    Verified, async_trait, codes,
};
use tollway_testkit::{Conformance, Report, Sample, block_on};

const SOUND: u8 = 0;
const NO_SUMMARY: u8 = 1;
const BAD_PATTERN: u8 = 2;
const LENIENT_CONFIG: u8 = 3;
const BAD_EXAMPLE: u8 = 4;
const WRONG_ID: u8 = 5;
const RESTLESS_SPELLING: u8 = 6;
const BAD_ASSET: u8 = 7;
const BAD_TICKER: u8 = 8;
const SIGNATURE_IN_KEY: u8 = 9;
const CASE_IN_KEY: u8 = 10;
const TEXT_IN_KEY: u8 = 11;
const RANDOM_KEY: u8 = 12;
const CONSTANT_KEY: u8 = 13;
const TRUSTS_ACCEPTED: u8 = 14;
const NO_NETWORK_IN_KEY: u8 = 15;
const PANICS_ON_SHORT: u8 = 16;
const ACCEPTS_ANYTHING: u8 = 17;
const NO_SIGNATURE_CHECK: u8 = 18;
const PANICS_ON_AMOUNT: u8 = 19;
const CHANGES_OFFERS: u8 = 20;
const WILD_HINTS: u8 = 21;
const SAME_NONCE: u8 = 22;
const WRONG_END: u8 = 23;
const SHOWS_LITERAL: u8 = 24;
const SHOWS_BAD_KEY: u8 = 25;
const SHOWS_IN_DEBUG: u8 = 26;
const SHOWS_IN_FAULT: u8 = 27;
const TAKES_LITERAL: u8 = 28;
const NO_CODE: u8 = 29;
const UNCANONICAL_PAYER: u8 = 30;
const BINDING_HINT: u8 = 31;

const SECRET: &str = "0x1122334455667788990011223344556677889900112233445566778899001122";

struct Net<const B: u8> {
    id: NetworkId,
    assets: Vec<Asset>,
}

#[derive(Deserialize)]
struct NetConfig {
    id: NetworkId,
    #[serde(default)]
    symbol: Option<String>,
    #[serde(flatten)]
    other: Object,
}

impl<const B: u8> Build for Net<B> {
    type Config = NetConfig;
    const EXAMPLE: &'static str = if B == BAD_EXAMPLE { r#"{ "ticker": "TST" }"# } else { r#"{ "symbol": "TST" }"# };

    async fn build(config: NetConfig, _: BuildContext) -> Result<Self, String> {
        if let (Some(key), true) = (config.other.keys().next(), B != LENIENT_CONFIG) {
            return Err(format!("unknown key `{key}`"));
        }
        let id = if B == WRONG_ID { "br:other".parse().map_err(|_| "")? } else { config.id };
        let address = if B == BAD_ASSET { "" } else { "Coin" };
        let symbol = if B == BAD_TICKER { "two words".to_owned() } else { config.symbol.unwrap_or("TST".to_owned()) };
        Ok(Self { id, assets: vec![Asset::new(address, symbol, 6)] })
    }
}

fn canonical<const B: u8>(address: &str) -> Result<String, Rejected> {
    if address.is_empty() || !address.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(Rejected::new(ErrorCode::new("br_address")));
    }
    Ok(if B == RESTLESS_SPELLING { format!("{}x", address.to_ascii_lowercase()) } else { address.to_ascii_lowercase() })
}

impl<const B: u8> Network for Net<B> {
    fn id(&self) -> &NetworkId {
        &self.id
    }

    fn assets(&self) -> &[Asset] {
        &self.assets
    }

    fn canonical(&self, address: &str) -> Result<String, Rejected> {
        canonical::<B>(address)
    }
}

struct Key<const B: u8> {
    secret: Secret,
    address: String,
}

impl<const B: u8> std::fmt::Debug for Key<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = if B == SHOWS_IN_DEBUG { self.secret.expose() } else { "…" };
        f.debug_struct("Key").field("secret", &shown).finish()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyConfig {
    key: String,
}

impl<const B: u8> Build for Key<B> {
    type Config = KeyConfig;
    const EXAMPLE: &'static str = r#"{ "key": "env:BR_KEY" }"#;

    async fn build(config: KeyConfig, cx: BuildContext) -> Result<Self, String> {
        let secret = match cx.secrets.resolve(&SecretRef::new(&config.key)) {
            Ok(secret) => secret,
            Err(_) if B == TAKES_LITERAL => Secret::new(&config.key),
            Err(_) if B == SHOWS_LITERAL => return Err(format!("`{}` is no reference", config.key)),
            Err(why) => return Err(why),
        };
        match secret.expose().strip_prefix("0x") {
            Some(_) => Ok(Self { secret, address: "alice".to_owned() }),
            None if B == SHOWS_BAD_KEY => Err(format!("`{}` is no key", secret.expose())),
            None => Err("the secret is no key".to_owned()),
        }
    }
}

#[async_trait]
impl<const B: u8> Signer for Key<B> {
    fn address(&self) -> &str {
        &self.address
    }

    async fn sign(&self, what: Signable<'_>) -> Result<Vec<u8>, Fault> {
        match what {
            Signable::Message(message) => Ok(message.to_vec()),
            _ if B == SHOWS_IN_FAULT => Err(Fault::new(FaultKind::Internal, format!("{:?}", self.secret.expose()))),
            _ => Err(Fault::new(FaultKind::Configuration, "messages only")),
        }
    }
}

struct Exact<const B: u8>;

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Loose {
    Right(Note),
    Wrong(serde_json::Value),
}

#[derive(Serialize, Deserialize)]
struct Note {
    from: String,
    nonce: String,
    until: u64,
    signature: String,
}

#[derive(Deserialize)]
struct Extra {
    #[serde(default)]
    #[expect(dead_code, reason = "decoded to see whether it can be")]
    grade: Option<String>,
}

impl Loose {
    fn note<const B: u8>(&self) -> Result<Note, Rejected> {
        let (from, nonce, until, signature) = match self {
            Self::Right(note) => (&*note.from, &*note.nonce, note.until, &*note.signature),
            Self::Wrong(_) if B == ACCEPTS_ANYTHING => ("nobody", "0", u64::MAX, ""),
            Self::Wrong(_) => return Err(Rejected::new(codes::INVALID_PAYLOAD)),
        };
        Ok(Note { from: from.to_owned(), nonce: nonce.to_owned(), until, signature: signature.to_owned() })
    }
}

static ROLLED: AtomicU64 = AtomicU64::new(0);

impl<const B: u8> Scheme for Exact<B> {
    const NAME: &'static str = "exact";
    const DYNAMIC_EXTRA: &'static [&'static str] = &["hint"];
    const BINDING_EXTRA: &'static [&'static str] = if B == BINDING_HINT { &["hint"] } else { &[] };
    type Payload = Loose;
    type Extra = Extra;

    fn claim(payment: &Payment<'_, Self>) -> Result<Claim, Rejected> {
        let note = payment.payload.note::<B>()?;
        if B == PANICS_ON_SHORT {
            assert!(note.nonce.len() == 2, "a nonce has two letters");
        }
        if B == PANICS_ON_AMOUNT {
            payment.offer.amount.checked_add(Amount::from(1)).expect("nobody has that much");
        }
        let refuse = || Rejected::new(ErrorCode::new(if B == NO_CODE { "" } else { "br_nonce" }));
        if note.nonce.len() > 64 || note.nonce.is_empty() {
            return Err(refuse());
        }
        let from = canonical::<B>(&note.from)?;
        let network = match B {
            NO_NETWORK_IN_KEY => &payment.raw.accepted.network,
            _ => &payment.offer.network,
        };
        let nonce = note.nonce.to_ascii_lowercase();
        let more = match B {
            SIGNATURE_IN_KEY => note.signature.clone(),
            TEXT_IN_KEY => payment.raw.payload.to_string(),
            RANDOM_KEY => ROLLED.fetch_add(1, Ordering::SeqCst).to_string(),
            TRUSTS_ACCEPTED => payment.raw.accepted.pay_to.clone(),
            _ => String::new(),
        };
        let parts: &[&str] = match B {
            CASE_IN_KEY => &[&note.from, &nonce],
            CONSTANT_KEY => &[&from],
            _ => &[&from, &nonce, &more],
        };
        let payer = if B == UNCANONICAL_PAYER { note.from.to_ascii_uppercase() } else { from.clone() };
        let payer = AccountId::new(payment.offer.network.clone(), &payer);
        Ok(Claim::new(ClaimKey::new(network, "br", parts), payer).dead_after(note.until))
    }
}

fn signature(from: &str, nonce: &str, offer: &PaymentRequirements) -> String {
    format!("signed:{}:{nonce}:{}:{}:{}", from.to_ascii_lowercase(), offer.amount, offer.asset, offer.pay_to)
}

struct Side<const B: u8> {
    clock: Arc<dyn Clock>,
    signed: AtomicU64,
}

impl<const B: u8> Build for Side<B> {
    type Config = NoConfig;

    async fn build(_: NoConfig, cx: BuildContext) -> Result<Self, String> {
        cx.network::<Net<B>>()?;
        Ok(Self { clock: cx.clock, signed: AtomicU64::new(0) })
    }
}

impl<const B: u8> SchemeClient for Side<B> {
    type Scheme = Exact<B>;

    async fn sign(&self, ask: Ask<'_, Exact<B>>) -> Result<Signed<Loose>> {
        let number = if B == SAME_NONCE { 7 } else { self.signed.fetch_add(1, Ordering::SeqCst) };
        let (from, nonce, until) = ("alice".to_owned(), format!("{number:02}"), self.clock.now() + 60);
        let signature = signature(&from, &nonce, ask.offer);
        let signed = Signed::new(Loose::Right(Note { from, nonce, until, signature }));
        Ok(signed.dead_after(if B == WRONG_END { until + 1 } else { until }))
    }
}

impl<const B: u8> SchemeServer for Side<B> {
    type Scheme = Exact<B>;

    fn offer(&self, mut draft: PaymentRequirements, _: &SupportedKind) -> Result<PaymentRequirements, String> {
        if B == CHANGES_OFFERS {
            draft.amount = Amount::from(1);
        }
        Ok(draft.with_extra("grade", "A"))
    }

    fn refresh(&self, offer: &mut PaymentRequirements) {
        let number = self.signed.fetch_add(1, Ordering::SeqCst);
        let key = if B == WILD_HINTS { "grade" } else { "hint" };
        offer.extra.get_or_insert_default().insert(key.to_owned(), json!(number.to_string()));
    }
}

impl<const B: u8> SchemeFacilitator for Side<B> {
    type Scheme = Exact<B>;

    fn check(&self, payment: &Payment<'_, Exact<B>>) -> Result<(), Rejected> {
        let note = payment.payload.note::<B>()?;
        let genuine = signature(&note.from, &note.nonce, payment.offer) == note.signature;
        match genuine || B == NO_SIGNATURE_CHECK || B == ACCEPTS_ANYTHING {
            true => Ok(()),
            false => Err(Rejected::new(ErrorCode::new("br_signature"))),
        }
    }

    async fn verify(&self, _: &Payment<'_, Exact<B>>) -> Result<Verified> {
        Ok(Verified::new("alice"))
    }

    async fn settle(&self, _: &Payment<'_, Exact<B>>, _: &SettleContext) -> Result<Outcome> {
        Err(Fault::new(FaultKind::Internal, "not needed here").into())
    }
}

const fn plugin<const B: u8>() -> Plugin {
    let summary = if B == NO_SUMMARY { " " } else { "a small chain for the suite" };
    Plugin::new("broken", summary, |r| {
        let at = if B == BAD_PATTERN { "br" } else { "br:*" };
        r.network::<Net<B>>(at).signer::<Key<B>>("local", at);
        r.client::<Side<B>>(at).server::<Side<B>>(at).facilitator::<Side<B>>(at);
    })
}

fn subject<const B: u8>() -> Conformance {
    let network = "br:1".parse().expect("a network");
    let offer = PaymentRequirements::new("exact", network, Amount::from(5), "Coin", "bob").with_extra("grade", "A");
    let payload = json!({ "from": "Alice", "nonce": "n1", "until": 9, "signature": signature("alice", "n1", &offer) });
    Conformance::of(plugin::<B>()).secret(SECRET).shows::<Key<B>>("br:*").sample(
        Sample::new(offer, payload)
            .signature("/signature")
            .any_case("/from")
            .identity("/nonce", "n2")
            .identity("/from", "carol")
            .signs(),
    )
}

fn run<const B: u8>() -> Report {
    block_on(subject::<B>().run())
}

#[test]
fn a_sound_plugin_passes_and_much_was_checked() {
    let report = run::<SOUND>();
    assert!(report.checks > 1000, "only {} checks ran", report.checks);
    report.assert();
}

#[test]
fn every_broken_plugin_is_caught_by_the_rule_it_breaks() {
    macro_rules! caught {
        ($($defect:ident => $rule:literal),+ $(,)?) => {$(
            let report = run::<$defect>();
            assert!(report.caught($rule), "{} should break `{}`: {report}", stringify!($defect), $rule);
        )+};
    }
    caught!(
        NO_SUMMARY => "registration: summary",
        BAD_PATTERN => "registration: alone",
        LENIENT_CONFIG => "configuration: unknown key",
        BAD_EXAMPLE => "networks: open",
        WRONG_ID => "networks: id",
        RESTLESS_SPELLING => "networks: canonical",
        BAD_ASSET => "networks: canonical",
        BAD_TICKER => "networks: ticker",
        SIGNATURE_IN_KEY => "claims: junk signature",
        CASE_IN_KEY => "claims: letter case",
        TEXT_IN_KEY => "claims: unknown member",
        RANDOM_KEY => "claims: deterministic",
        CONSTANT_KEY => "claims: identity",
        TRUSTS_ACCEPTED => "claims: client's words",
        NO_NETWORK_IN_KEY => "claims: network",
        PANICS_ON_SHORT => "malformed: panic",
        ACCEPTS_ANYTHING => "malformed: accepted",
        NO_SIGNATURE_CHECK => "claims: junk signature passes",
        PANICS_ON_AMOUNT => "malformed: panic",
        CHANGES_OFFERS => "offers: changed",
        WILD_HINTS => "offers: hints",
        BINDING_HINT => "offers: binding",
        SAME_NONCE => "signing: a new payment",
        WRONG_END => "signing: its end",
        SHOWS_LITERAL => "secrets: error",
        SHOWS_BAD_KEY => "secrets: error",
        SHOWS_IN_DEBUG => "secrets: debug",
        SHOWS_IN_FAULT => "secrets: error",
        TAKES_LITERAL => "secrets: literal",
        NO_CODE => "malformed: code",
        UNCANONICAL_PAYER => "claims: payer",
    );
}

#[test]
fn a_plugin_that_cannot_be_tried_does_not_pass() {
    const SCHEME_ONLY: Plugin = Plugin::new("scheme-only", "a scheme for a chain of others", |r| {
        r.server::<Side<SOUND>>("br:*");
    });
    let alone = block_on(Conformance::of(SCHEME_ONLY).run());
    assert!(alone.caught("networks: open") && alone.caught("schemes: sample"), "{alone}");
    const CHAIN: Plugin = Plugin::new("chain", "the chain alone", |r| {
        r.network::<Net<SOUND>>("br:*");
    });
    let beside = block_on(Conformance::of(SCHEME_ONLY).beside(CHAIN).run());
    assert!(beside.caught("schemes: sample"), "nobody signs here, so there is no payment to try: {beside}");
    let nothing = block_on(Conformance::of(Plugin::new("nothing", "no parts", |_| {})).run());
    assert!(nothing.caught("registration: parts"), "{nothing}");
}

#[test]
fn a_report_lists_everything() {
    let report = run::<CASE_IN_KEY>();
    let text = report.to_string();
    assert!(text.lines().count() > report.failures.len(), "one line each, and a headline: {text}");
    let panicked = std::panic::catch_unwind(|| report.assert());
    let message = panicked.unwrap_err().downcast::<String>().unwrap();
    assert_eq!(*message, text);
}
