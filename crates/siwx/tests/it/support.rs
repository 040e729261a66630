//! A shop on fake networks, and visitors who come with a wallet.

use serde_json::{Value, json};
use std::sync::Arc;
use tollway_core::{AccountId, PaymentRequired, Registry};
use tollway_roles::server::{Finished, ResourceServerBuilder};
use tollway_roles::{Admission, PaymentClient, Refusal, ResourceServer, Route, Way};
use tollway_siwx::{Entitlement, Nonces, Proof, SESSION_TOKEN, SIGN_IN_WITH_X, SealedNonces, SessionKeys, Sessions};
use tollway_testkit::{FAKE, FakeClock, FakeFacilitator, FakeRequest, FakeSigner};

pub(crate) const ORIGIN: &str = "https://shop.test";
pub(crate) const NETWORK: &str = "fake:one";
pub(crate) const OTHER: &str = "fake:two";

pub(crate) fn registry() -> Registry {
    Registry::builder().plugin(FAKE).plugin(tollway_siwx::PLUGIN).build().unwrap()
}

/// One cent on either network.
pub(crate) fn way(network: &str) -> Way {
    Way::exact(network, "$0.01", "payee")
}

/// A route that costs a cent and has this section.
pub(crate) fn route(pattern: &str, session: Value) -> Route {
    Route::new(pattern).accepts(way(NETWORK)).extension("session", session)
}

pub(crate) fn keys() -> SessionKeys {
    SessionKeys::new(&[tollway_core::Secret::new("k".repeat(32))]).unwrap()
}

pub(crate) struct Shop {
    pub(crate) server: ResourceServer,
    pub(crate) sessions: Sessions,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) facilitator: Arc<FakeFacilitator>,
}

impl Shop {
    pub(crate) async fn with(routes: impl IntoIterator<Item = Route>) -> Self {
        Self::at(ORIGIN, routes).await
    }

    pub(crate) async fn at(origin: &str, routes: impl IntoIterator<Item = Route>) -> Self {
        let clock = FakeClock::new();
        let sessions = Sessions::builder().clock(clock.clone()).keys(keys()).build().unwrap();
        let facilitator = FakeFacilitator::serving("exact", NETWORK);
        let builder = Self::builder(origin, &clock, &sessions).facilitator(facilitator.clone());
        let server = routes.into_iter().fold(builder, ResourceServerBuilder::route).build().await.unwrap();
        Self { server, sessions, clock, facilitator }
    }

    pub(crate) fn builder(origin: &str, clock: &Arc<FakeClock>, sessions: &Sessions) -> ResourceServerBuilder {
        let builder = ResourceServer::builder(origin).registry(registry()).clock(clock.clone());
        builder.use_extension("session", sessions.extension())
    }

    /// A GET with headers.
    pub(crate) async fn get(&self, path: &str, headers: &[(String, String)]) -> Admission {
        let request = FakeRequest::get(path);
        let request = headers.iter().fold(request, |request, (name, value)| request.with_credential(name, value));
        self.server.admit(&request).await
    }

    pub(crate) async fn challenge(&self, path: &str) -> PaymentRequired {
        challenge(self.get(path, &[]).await)
    }

    /// A visitor's proof for a path.
    pub(crate) async fn proof(&self, visitor: &Visitor, path: &str) -> Proof {
        let headers = visitor.client.answer(&self.challenge(path).await, ORIGIN).await;
        assert_eq!(headers[0].0, SIGN_IN_WITH_X);
        Proof::decode(&headers[0].1).unwrap()
    }

    /// Shows a proof; gives who was let in.
    pub(crate) async fn show(&self, path: &str, proof: &Proof) -> Option<AccountId> {
        let header = (SIGN_IN_WITH_X.to_owned(), proof.encode().unwrap());
        match self.get(path, &[header]).await {
            Admission::Granted(granted) => {
                let account = granted.account().cloned();
                granted.finished(true).await;
                account
            }
            refused => {
                challenge(refused);
                None
            }
        }
    }

    /// Shows a token; `true` if it opens.
    pub(crate) async fn show_token(&self, path: &str, token: &str) -> bool {
        match self.get(path, &[(SESSION_TOKEN.to_owned(), token.to_owned())]).await {
            Admission::Granted(granted) => {
                assert!(granted.finished(true).await.is_empty(), "a token begets no token");
                true
            }
            refused => {
                challenge(refused);
                false
            }
        }
    }

    pub(crate) fn clock_now(&self) -> u64 {
        tollway_core::Clock::now(&*self.clock)
    }

    pub(crate) async fn held(&self, who: &str) -> Vec<Entitlement> {
        self.sessions.entitlements(&account(who)).await.unwrap()
    }
}

pub(crate) fn challenge(admission: Admission) -> PaymentRequired {
    match admission {
        Admission::Refused(Refusal::Challenge(challenge)) => challenge.required().clone(),
        other => panic!("no challenge: {other:?}"),
    }
}

pub(crate) fn account(who: &str) -> AccountId {
    format!("{NETWORK}:{who}").parse().unwrap()
}

/// How a visit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visit {
    /// The first request was answered: by a token.
    Token,
    /// The second was: by a proof.
    SignedIn,
    /// The third was: by a payment.
    Paid,
    /// None was.
    Refused,
}

/// A client with a wallet, and what a transport does with it.
pub(crate) struct Visitor {
    pub(crate) client: PaymentClient,
}

impl Visitor {
    pub(crate) async fn new(who: &str) -> Self {
        Self::at(who, NETWORK, FakeClock::new()).await
    }

    /// With a wallet for a network or a pattern, by a clock.
    pub(crate) async fn at(who: &str, network: &str, clock: Arc<FakeClock>) -> Self {
        let client =
            PaymentClient::builder().registry(registry()).clock(clock).signer(network, FakeSigner::shared(who));
        Self { client: client.build().await.unwrap() }
    }

    /// Gets a path: with what it has, by signing in, by paying.
    pub(crate) async fn visit(&self, shop: &Shop, path: &str) -> Visit {
        self.visit_served(shop, path, true).await
    }

    /// The same where the handler may fail.
    pub(crate) async fn visit_served(&self, shop: &Shop, path: &str, served: bool) -> Visit {
        let mut headers = self.client.prepare(ORIGIN, path).await;
        let first = shop.get(path, &headers).await;
        if let Admission::Granted(granted) = first {
            self.client.opened(ORIGIN, &granted.finished(served).await).await;
            return Visit::Token;
        }
        let mut required = challenge(first);
        let opening = self.client.answer(&required, ORIGIN).await;
        if !opening.is_empty() {
            headers.extend(opening);
            match shop.get(path, &headers).await {
                Admission::Granted(granted) => {
                    self.client.opened(ORIGIN, &granted.finished(served).await).await;
                    return Visit::SignedIn;
                }
                refused => required = challenge(refused),
            }
        }
        let Ok(payment) = self.client.pay(&required, ORIGIN).await else { return Visit::Refused };
        let request = FakeRequest::get(path).paying(&payment);
        match shop.server.admit(&request).await {
            Admission::Admitted(admitted) => match admitted.finish(served).await {
                Finished::Release { receipt, attach } => {
                    self.client.answered(&payment, ORIGIN, receipt.as_ref(), None, &attach).await;
                    Visit::Paid
                }
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }
}

/// Puts a nonce of the shop's own keys on a challenge that was changed.
pub(crate) fn resealed(mut proof: Proof) -> Proof {
    SealedNonces::new(keys()).issue(&mut proof.info).unwrap();
    proof
}

/// Signs a changed proof again as the wallet would.
pub(crate) async fn resigned(mut proof: Proof, who: &str) -> Proof {
    use tollway_core::Network as _;
    let chain = tollway_testkit::FakeChain::at(&proof.chain_id);
    proof.address = who.to_owned();
    proof.signature = chain.sign_in().unwrap().sign(&proof.info, &*FakeSigner::shared(who)).await.unwrap();
    proof
}

pub(crate) fn hour() -> Value {
    json!({ "for": "1h" })
}
