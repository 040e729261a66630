//! The small fakes.

use tollway_core::{Clock, Request, SecretRef, Secrets, Transport};
use tollway_testkit::{FakeClock, FakeRequest, FakeSecrets, fixtures};

#[test]
fn a_clock_goes_where_it_is_told() {
    let clock = FakeClock::at(10);
    let same = clock.clone();
    clock.advance(5);
    assert_eq!(same.now(), 15);
    clock.set(3);
    assert_eq!(same.now(), 3, "backwards too");
    assert_eq!(FakeClock::new().now(), FakeClock::START);
}

#[test]
fn secrets_come_by_reference_alone() {
    let secrets = FakeSecrets::new("common").with("env:MINE", "mine");
    let resolve =
        |reference: &str| secrets.resolve(&SecretRef::new(reference)).map(|secret| secret.expose().to_owned());
    assert_eq!(resolve("env:MINE").as_deref(), Ok("mine"));
    assert_eq!(resolve("env:OTHER").as_deref(), Ok("common"));
    assert_eq!(resolve("file:/no/such/file").as_deref(), Ok("common"));
    assert!(resolve("0x1234").is_err_and(|why| !why.contains("1234")));
    assert!(!format!("{secrets:?}").contains("common"));
}

#[test]
fn a_request_says_what_it_was_made_with() {
    let payment = fixtures::payment(&fixtures::offer("fake:request"), serde_json::json!({}));
    let request = FakeRequest::get("/a?b=c&d=e")
        .with_method("POST")
        .with_credential("Sign-In", "token")
        .with_body("text")
        .over(Transport::Mcp)
        .paying(&payment);
    assert_eq!((request.method(), request.target(), request.query()), ("POST", "/a", "b=c&d=e"));
    assert_eq!(request.resource("https://a.example"), "https://a.example/a?b=c&d=e");
    assert_eq!(FakeRequest::get("/x").resource("https://a.example"), "https://a.example/x");
    assert_eq!(request.argument("d").as_deref(), Some("e"));
    assert_eq!(request.argument("x"), None);
    assert_eq!(request.credential("sign-in").as_deref(), Some("token"));
    assert_eq!(request.body(), Some(&b"text"[..]));
    assert_eq!(request.transport(), Transport::Mcp);
    assert_eq!(request.to_shared().payment(), Some(payment));
}
