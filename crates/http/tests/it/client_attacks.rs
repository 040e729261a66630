//! Attacks on a paying client, each named after its row in the list of what can go wrong.

use crate::support::*;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use std::sync::{Arc, Mutex};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tollway_http::header::{self, PAYMENT_REQUIRED, PAYMENT_SIGNATURE, SIGN_IN_WITH_X};
use tollway_http::{Client, PaymentError, PaymentMiddleware, client, install_crypto};
use tollway_testkit::fixtures;

/// Both ways to build a client. The second stands on a reqwest client that follows redirects wherever they lead.
async fn clients() -> [(&'static str, Client); 2] {
    let payer = payer().build().await.unwrap();
    install_crypto();
    let plain = reqwest_middleware::ClientBuilder::new(reqwest::Client::new());
    [("client()", client(payer.clone()).unwrap()), ("middleware", plain.with(PaymentMiddleware::new(payer)).build())]
}

/// Answers everything 200 and remembers the heads.
#[derive(Clone, Default)]
struct Trap(Arc<Mutex<Vec<(Uri, HeaderMap)>>>);

impl Trap {
    async fn serve(&self) -> Site {
        async fn fall_in(State(trap): State<Trap>, uri: Uri, headers: HeaderMap) -> &'static str {
            trap.0.lock().unwrap().push((uri, headers));
            "caught"
        }
        Site::serve(Router::new().fallback(fall_in).with_state(self.clone())).await
    }

    /// How many requests arrived with a payment or a session on board.
    fn caught(&self) -> usize {
        let secret = |(_, headers): &&(Uri, HeaderMap)| {
            headers.contains_key(PAYMENT_SIGNATURE) || headers.contains_key(SIGN_IN_WITH_X)
        };
        self.0.lock().unwrap().iter().filter(secret).count()
    }
}

/// 402 without a payment, a redirect with one or with a session.
#[derive(Clone)]
struct Lure {
    challenge: HeaderValue,
    status: StatusCode,
    to: String,
}

async fn lure(State(lure): State<Lure>, headers: HeaderMap) -> Response {
    let mut response = Response::new(axum::body::Body::from("{}"));
    if headers.contains_key(PAYMENT_SIGNATURE) || headers.contains_key(SIGN_IN_WITH_X) {
        *response.status_mut() = lure.status;
        response.headers_mut().insert("location", lure.to.parse().unwrap());
    } else {
        *response.status_mut() = StatusCode::PAYMENT_REQUIRED;
        response.headers_mut().insert(PAYMENT_REQUIRED, lure.challenge);
    }
    response
}

fn challenge() -> HeaderValue {
    let required = fixtures::required("https://shop.test/", vec![fixtures::offer(&network())]);
    header::encode(&required).unwrap().parse().unwrap()
}

async fn lure_to(status: StatusCode, to: &str) -> Site {
    let state = Lure { challenge: challenge(), status, to: to.to_owned() };
    Site::serve(Router::new().fallback(lure).with_state(state)).await
}

const REDIRECTS: [StatusCode; 5] = [
    StatusCode::MOVED_PERMANENTLY,
    StatusCode::FOUND,
    StatusCode::SEE_OTHER,
    StatusCode::TEMPORARY_REDIRECT,
    StatusCode::PERMANENT_REDIRECT,
];

/// A redirect carries the payment header to another origin: other host, port, scheme; zero headers arrive.
#[tokio::test]
async fn a_redirect_carries_no_payment_to_another_host_or_port() {
    for (name, http) in clients().await {
        for status in REDIRECTS {
            let trap = Trap::default();
            let target = trap.serve().await;
            let other_port = target.at("/caught");
            let other_host = other_port.replace("127.0.0.1", "localhost");
            for to in [other_port, other_host] {
                let site = lure_to(status, &to).await;
                let response = http.get(site.at("/a")).send().await.unwrap();
                assert_eq!(response.status(), status, "{name}: handed to the caller");
                let session = http.get(site.at("/a")).header(SIGN_IN_WITH_X, "token").send().await.unwrap();
                assert_eq!(session.status(), status, "{name}");
                assert_eq!(trap.0.lock().unwrap().len(), 0, "{name} {status} {to}");
            }
        }
    }
}

#[tokio::test]
async fn a_redirect_carries_no_payment_to_another_scheme() {
    for (name, http) in clients().await {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = format!("https://{}/", listener.local_addr().unwrap());
        let connections = Arc::new(Mutex::new(0));
        let counted = connections.clone();
        let listening = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                *counted.lock().unwrap() += 1;
                let _ = stream.read(&mut [0; 16]).await;
            }
        });
        let site = lure_to(StatusCode::TEMPORARY_REDIRECT, &to).await;
        let response = http.get(site.at("/a")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
        assert_eq!(*connections.lock().unwrap(), 0, "{name}: not even a connection");
        listening.abort();
    }
}

/// Nor to the same origin: what is paid for is what was asked for.
#[tokio::test]
async fn a_redirect_carries_no_payment_within_its_origin() {
    for (name, http) in clients().await {
        let site = lure_to(StatusCode::TEMPORARY_REDIRECT, "/elsewhere").await;
        let response = http.get(site.at("/a")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT, "{name}");
        assert_eq!(response.url().path(), "/a");
    }
}

/// An unpaid request is redirected to where a payment is asked: paid within the origin, refused elsewhere.
#[tokio::test]
async fn the_payment_goes_to_the_origin_that_asked_for_it() {
    for (name, http) in clients().await {
        let network = network();
        let facilitator = fake(&network);
        let shop = app(shop(&network, facilitator.clone()).await);
        let redirect = |to: String| {
            axum::routing::any(move || async move { (StatusCode::PERMANENT_REDIRECT, [("location", to)]) })
        };
        let site = Site::serve(shop.route("/moved", redirect("/report".to_owned()))).await;
        let response = http.get(site.at("/moved")).send().await.unwrap();
        assert_eq!((response.status(), response.url().path()), (StatusCode::OK, "/report"), "{name}");
        assert_eq!(facilitator.moved(), 1);
        let elsewhere = Site::serve(Router::new().route("/a", redirect(site.at("/report?secret=1")))).await;
        match (name, http.get(elsewhere.at("/a")).send().await) {
            // Ours does not go there; a client that was made without us has gone there before anybody asked us.
            ("client()", Ok(response)) => assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT),
            ("middleware", Err(why)) => {
                let redirected = matches!(PaymentError::of(&why), Some(PaymentError::Redirected { .. }));
                assert!(redirected && !why.to_string().contains("secret"), "{why}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(facilitator.moved(), 1, "{name}: nothing more is paid");
    }
}

/// A redirect loop ends, and a session does not leave its origin with it.
#[tokio::test]
async fn redirects_without_end() {
    let payer = payer().build().await.unwrap();
    let again = axum::routing::any(|| async { (StatusCode::FOUND, [("location", "/again")]) });
    let site = Site::serve(Router::new().route("/again", again)).await;
    let response = client(payer).unwrap().get(site.at("/again")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::FOUND);
}

/// A server that never stops talking gets no more of our time than we give it.
#[tokio::test]
async fn a_challenge_with_an_endless_body() {
    let network = network();
    let required = fixtures::required("https://shop.test/", vec![fixtures::offer(&network)]);
    let header = header::encode(&required).unwrap();
    let endless = move |headers: HeaderMap| {
        let header = header.clone();
        async move {
            let mut response = match headers.contains_key(PAYMENT_SIGNATURE) {
                true => return Response::new(axum::body::Body::from("paid")),
                false => Response::new(axum::body::Body::from_stream(futures_util::stream::repeat_with(|| {
                    Ok::<_, std::io::Error>("endless ".repeat(1000))
                }))),
            };
            *response.status_mut() = StatusCode::PAYMENT_REQUIRED;
            response.headers_mut().insert(PAYMENT_REQUIRED, header.parse().unwrap());
            response
        }
    };
    let site = Site::serve(Router::new().fallback(endless)).await;
    for (name, http) in clients().await {
        let response = http.get(site.at("/")).send().await.unwrap();
        assert_eq!(response.text().await.unwrap(), "paid", "{name}");
    }
}

/// Signatures are as good as money: they are in no log and no error.
#[tokio::test]
async fn payments_are_not_in_debug_output() {
    let trap = Trap::default();
    let site = trap.serve().await;
    let payment = pay(&fixtures::offer(&network()), "n-canary");
    let again = tollway_http::Represent::new(payment, site.url.clone());
    assert!(!format!("{again:?}").contains("canary"));
    let (_, http) = clients().await.into_iter().next().unwrap();
    let response = tollway_http::present(http.get(site.at("/")), again).await.unwrap();
    assert_eq!(trap.caught(), 1);
    assert!(!format!("{response:?}").contains("canary"));
}
