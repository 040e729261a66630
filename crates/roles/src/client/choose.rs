//! Which offer to pay: what is understood, allowed, and chosen.

use super::{Candidate, Engine, PayError, PaymentClient, Purchase};
use crate::prefer::{Explanation, Liking, Subject, Worth};
use crate::setup::SetupError;
use std::cmp::Reverse;
use std::sync::{Arc, MutexGuard, PoisonError};
use tollway_core::erased::ClientDyn;
use tollway_core::{Flow, Network, NetworkId, NetworkWords, PartKind, PaymentRequired, PaymentRequirements};

/// Most paying sides kept ready. A challenge may name any number of networks.
const MAX_READY: usize = 64;
/// Most offers of a challenge that are looked at.
const MAX_OFFERS: usize = 64;
/// Most networks opened to look at the offers of one challenge.
const MAX_OPENED: usize = 8;

/// A scheme's paying side, with its network.
#[derive(Clone)]
pub(super) struct Ready {
    side: Arc<dyn ClientDyn>,
    network: Arc<dyn Network>,
}

impl Ready {
    pub(super) fn side(&self) -> &dyn ClientDyn {
        &*self.side
    }

    fn is(&self, scheme: &str, id: &NetworkId) -> bool {
        self.side.scheme() == scheme && self.network.id() == id
    }
}

/// What was made to look at the offers of one challenge.
#[derive(Default)]
struct Looked {
    ready: Vec<Ready>,
    opened: usize,
}

impl Engine {
    /// Paying sides of offers that policies allowed, those used last at the end.
    pub(super) fn ready(&self) -> MutexGuard<'_, Vec<Ready>> {
        // Whatever panicked, every entry is whole.
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a paying side ready, instead of the one that was not used for longest.
    fn keep(&self, used: &Ready) {
        let mut ready = self.ready();
        ready.retain(|old| !old.is(used.side.scheme(), used.network.id()));
        if ready.len() >= MAX_READY {
            ready.remove(0);
        }
        ready.push(used.clone());
    }
}

/// An offer that can be paid and may be.
struct Payable {
    candidate: Candidate,
    ready: Ready,
    liking: Liking,
}

impl Payable {
    fn is_authorized(&self) -> bool {
        self.candidate.offer.flow() == Ok(Flow::Authorization)
    }
}

/// The offers of a challenge, looked at.
#[derive(Default)]
struct Weighed {
    payable: Vec<Payable>,
    /// Name of an offer, and why it is not paid.
    dropped: Vec<(String, String)>,
}

impl PaymentClient {
    /// The offer to pay.
    pub(super) async fn choose(&self, purchase: &Purchase<'_>) -> Result<(PaymentRequirements, Ready), PayError> {
        // The first is paid unless something is to be compared: what comes after it need not even be opened.
        let all = self.engine.chooser.is_some() || self.engine.preferences.compares();
        let Weighed { payable, dropped } = self.weigh(purchase, all).await;
        if payable.is_empty() {
            return Err(PayError::NoOffer(dropped));
        }
        let likings: Vec<_> = payable.iter().map(|payable| &payable.liking).collect();
        let places = self.engine.preferences.order(&likings);
        let chosen = match &self.engine.chooser {
            Some(chooser) => {
                let offered: Vec<_> = places.iter().map(|at| payable[*at].candidate.clone()).collect();
                chooser(purchase, &offered)
            }
            None => Some(0),
        };
        match chosen.and_then(|chosen| places.get(chosen)) {
            Some(at) => {
                let Payable { candidate, ready, .. } = &payable[*at];
                Ok((candidate.offer.clone(), ready.clone()))
            }
            None => Err(PayError::Refused("the chooser chose none of the offers".to_owned())),
        }
    }

    /// What this client makes of a challenge: which offers it could pay, in which order, and why it would not pay the
    /// others. Signs nothing. Give `origin` as the request had it.
    pub async fn explain(&self, required: &PaymentRequired, origin: &str) -> Explanation {
        let purchase = Purchase { origin, resource: &required.resource, required };
        let Weighed { payable, dropped } = self.weigh(&purchase, true).await;
        let kept: Vec<_> = payable
            .into_iter()
            .map(|Payable { candidate, liking, .. }| (shown(&candidate.offer, Some(&*candidate.network)), liking))
            .collect();
        Explanation::new(&self.engine.preferences, &kept, &dropped)
    }

    /// Looks at the offers of a challenge, those on preferred networks first; at `all` of them, or until one is found.
    async fn weigh(&self, purchase: &Purchase<'_>, all: bool) -> Weighed {
        let Engine { parts, preferences, .. } = &*self.engine;
        let mut weighed = Weighed::default();
        let mut looked = Looked::default();
        // Words about networks come before any is opened: what is avoided is no reason to open one.
        let mut offers = Vec::new();
        for offer in purchase.required.accepts.iter().take(MAX_OFFERS) {
            let words = parts.registry.network_words(&offer.network);
            let subject = subject(offer, &words, None);
            match preferences.refusal(&subject) {
                Some(why) => weighed.dropped.push((shown(offer, None), why)),
                None => offers.push((Reverse(preferences.preferred(&subject)), offer, words)),
            }
        }
        offers.sort_by_key(|(preferred, ..)| *preferred);
        for (_, offer, words) in offers {
            match self.consider(purchase, offer, &words, &mut looked).await {
                Ok(payable) => weighed.payable.push(payable),
                Err(why) => weighed.dropped.push((shown(offer, None), why)),
            }
            if !all && weighed.payable.last().is_some_and(Payable::is_authorized) {
                break;
            }
        }
        // Paying after the work is done is safer than before: keep the other flows only where nothing else is offered.
        if weighed.payable.iter().any(Payable::is_authorized) {
            let (authorized, others) = weighed.payable.into_iter().partition(Payable::is_authorized);
            weighed.payable = authorized;
            weighed.dropped.extend(others.into_iter().map(|other: Payable| {
                let why = "it is paid before the work is done, and another offer is not".to_owned();
                (shown(&other.candidate.offer, Some(&*other.candidate.network)), why)
            }));
        }
        weighed
    }

    /// Whether an offer can be paid and may be. What needs no network comes first: opening one is work that a stranger
    /// asks for.
    async fn consider(
        &self,
        purchase: &Purchase<'_>,
        offer: &PaymentRequirements,
        words: &NetworkWords,
        looked: &mut Looked,
    ) -> Result<Payable, String> {
        let engine = &self.engine;
        let flow = offer.flow().map_err(|name| format!("its payment flow `{name}` is not known"))?;
        engine.time_limit.check(offer)?;
        let ready = self.ready(&offer.scheme, &offer.network, looked).await?;
        if !ready.side.flows().contains(&flow) {
            return Err(format!("`{}` is not paid `{flow}` by this client", offer.scheme));
        }
        let network = &*ready.network;
        let subject = subject(offer, words, Some(network));
        if let Some(why) = engine.preferences.refusal(&subject) {
            return Err(why);
        }
        let candidate = Candidate::new(offer.clone(), ready.network.clone());
        engine.policies.iter().try_for_each(|policy| policy.allows(purchase, &candidate))?;
        engine.keep(&ready);
        let liking = Liking {
            preferred: engine.preferences.preferred(&subject),
            worth: Worth::of(network, &offer.asset, offer.amount),
            pace: words.pace,
        };
        Ok(Payable { candidate, ready, liking })
    }

    /// The paying side for a scheme on a network this client has a key for.
    async fn ready(&self, scheme: &str, id: &NetworkId, looked: &mut Looked) -> Result<Ready, String> {
        let parts = &self.engine.parts;
        if !parts.has_signer(id) {
            return Err(format!("no key is configured for {id}; add .key(\"{id}\", \"env:MY_KEY\")"));
        }
        let names = parts.registry.schemes(PartKind::SchemeClient, id);
        let Some(name) = names.iter().copied().find(|name| *name == scheme) else {
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Err(format!("no plug-in pays this scheme on {id} (registered: {known})"));
        };
        let known = |ready: &&Ready| ready.is(scheme, id);
        if let Some(ready) = looked.ready.iter().find(known).or(self.engine.ready().iter().find(known)) {
            return Ok(ready.clone());
        }
        let network = match parts.opened(id).await {
            Some(network) => Ok(network),
            None if looked.opened >= MAX_OPENED => {
                return Err(format!(
                    "not looked at: {MAX_OPENED} networks were opened for this challenge before; configure {id} with \
                     .network(…)"
                ));
            }
            None => {
                looked.opened = looked.opened.saturating_add(1);
                parts.network(id).await
            }
        };
        let network = network.map_err(|why| why.to_string())?;
        let ready = self.make(name, network).await.map_err(|why| why.to_string())?;
        looked.ready.push(ready.clone());
        Ok(ready)
    }

    async fn make(&self, name: &str, network: Arc<dyn Network>) -> Result<Ready, SetupError> {
        let parts = &self.engine.parts;
        let cx = parts.context(&network).await?;
        let section = parts.shared.scheme(name, network.id());
        let side = parts.registry.client(name, network.id(), section, cx).await?;
        Ok(Ready { side, network })
    }
}

/// An offer, for preferences. Clients do not know facilitators by name, but by an address their offers carry.
fn subject<'a>(offer: &'a PaymentRequirements, words: &'a NetworkWords, open: Option<&'a dyn Network>) -> Subject<'a> {
    Subject {
        network: &offer.network,
        words,
        scheme: &offer.scheme,
        open,
        asset: Some(&offer.asset),
        facilitator: None,
        extra: offer.extra.as_ref(),
    }
}

/// An offer, for errors and explanations: short, whatever a stranger wrote.
fn shown(offer: &PaymentRequirements, network: Option<&dyn Network>) -> String {
    let text = match network {
        Some(network) => crate::prefer::shown(offer, network),
        None => format!("{} on {}", offer.scheme, offer.network),
    };
    text.chars().take(96).collect()
}
