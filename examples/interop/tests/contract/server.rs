//! The server's routes: what each asks for, what it gives, and what it earns.

use crate::world::*;
use serde_json::{Value, json};
use tollway_devnet::contracts::addresses::{PLAIN, USDC};

/// What a route's offers are: scheme, network, amount, asset, and some members of `extra`.
fn offers(challenge: &Value) -> Vec<Value> {
    let offer = |offer: &Value| {
        assert_eq!(offer["maxTimeoutSeconds"], 300);
        json!([offer["scheme"], offer["network"], offer["amount"], offer["asset"]])
    };
    challenge["accepts"].as_array().unwrap().iter().map(offer).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_asks_for_what_it_should() {
    let world = World::new().await;
    let (usdc, plain) = (USDC.to_checksum(None), PLAIN.to_checksum(None));
    let mint = "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU";
    let exact = |amount: &str| json!(["exact", EVM, amount, usdc]);
    let (upto, svm) = (json!(["upto", EVM, "2000", usdc]), json!(["exact", SVM, "1000", mint]));
    let plainly = json!(["exact", EVM, "1000", plain]);
    let permit2 = json!({ "assetTransferMethod": "permit2", "name": "USDC", "version": "2" });
    for (path, offered, extra, extensions) in [
        ("/evm/eip3009", vec![exact("1000")], json!({ "name": "USDC", "version": "2" }), vec![]),
        ("/evm/big", vec![exact("5000000000")], json!({}), vec![]),
        ("/evm/permit2", vec![exact("1000")], permit2.clone(), vec![]),
        ("/evm/permit2-eip2612", vec![exact("1000")], permit2.clone(), vec!["eip2612GasSponsoring"]),
        (
            "/evm/permit2-erc20",
            vec![plainly],
            json!({ "assetTransferMethod": "permit2" }),
            vec!["erc20ApprovalGasSponsoring"],
        ),
        ("/evm/upto", vec![upto.clone()], permit2.clone(), vec![]),
        ("/evm/upto?use=7", vec![upto.clone()], permit2.clone(), vec![]),
        ("/evm/upto-eip2612", vec![upto], permit2, vec!["eip2612GasSponsoring"]),
        ("/evm/upfront", vec![exact("1000")], json!({ "paymentFlow": "upfront" }), vec![]),
        ("/svm/exact", vec![svm.clone()], json!({}), vec![]),
        ("/svm/memo", vec![svm.clone()], json!({ "memo": "order-42" }), vec![]),
        ("/multi", vec![exact("1000"), svm.clone()], json!({}), vec![]),
        ("/dynamic?units=25", vec![exact("25000")], json!({}), vec![]),
        ("/dynamic?units=2500", vec![exact("2500000")], json!({}), vec![]),
        ("/fails", vec![exact("1000")], json!({}), vec![]),
        ("/siwx/evm", vec![exact("1000")], json!({}), vec!["sign-in-with-x"]),
        ("/siwx/svm", vec![svm], json!({}), vec!["sign-in-with-x"]),
        ("/siwx/auth", vec![], json!({}), vec!["sign-in-with-x"]),
        ("/pid/optional", vec![exact("1000")], json!({}), vec!["payment-identifier"]),
        ("/pid/required", vec![exact("1000")], json!({}), vec!["payment-identifier"]),
        ("/bazaar/weather/Oslo?units=metric", vec![exact("1000")], json!({}), vec!["bazaar"]),
    ] {
        let answer = world.get(path).await;
        assert_eq!(answer.status, 402, "{path}");
        let required = answer.decoded("payment-required");
        assert_eq!(required["resource"]["url"], format!("{}{path}", world.server));
        assert_eq!(offers(&required), offered, "{path}");
        for (member, value) in extra.as_object().unwrap() {
            assert_eq!(&required["accepts"][0]["extra"][member], value, "{path}");
        }
        let declared: Vec<_> = required["extensions"].as_object().into_iter().flat_map(|all| all.keys()).collect();
        assert_eq!(declared, extensions, "{path}");
    }
    let challenge = async |path: &str| world.get(path).await.decoded("payment-required");
    assert_eq!(challenge("/evm/eip3009").await["resource"]["description"], "EIP-3009");
    assert_eq!(challenge("/evm/eip3009").await["resource"]["mimeType"], "application/json");
    assert_eq!(challenge("/svm/exact").await["resource"]["description"], "SPL transfer");
    let weather = challenge("/bazaar/weather/Oslo?units=metric").await;
    for member in ["serviceName", "tags", "iconUrl"] {
        assert!(!weather["resource"][member].is_null(), "{member}");
    }
    for (path, required) in [("/pid/optional", false), ("/pid/required", true)] {
        assert_eq!(challenge(path).await["extensions"]["payment-identifier"]["info"]["required"], required);
    }
    let chains = |required: &Value| {
        let chains = required["extensions"]["sign-in-with-x"]["supportedChains"].as_array().unwrap().clone();
        chains.into_iter().map(|chain| chain["chainId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for (path, networks) in [("/siwx/evm", vec![EVM]), ("/siwx/svm", vec![SVM]), ("/siwx/auth", vec![EVM, SVM])] {
        let required = challenge(path).await;
        assert_eq!(chains(&required), networks, "{path}");
        let info = &required["extensions"]["sign-in-with-x"]["info"];
        let statement = (path != "/siwx/auth").then_some("Sign in to read your purchase");
        assert_eq!(info["statement"].as_str(), statement, "{path}");
        let minutes = |time: &Value| {
            let text = time.as_str().unwrap();
            text[11..13].parse::<i32>().unwrap() * 60 + text[14..16].parse::<i32>().unwrap()
        };
        // 300 seconds, around midnight too.
        let lasts = (minutes(&info["expirationTime"]) - minutes(&info["issuedAt"])).rem_euclid(24 * 60);
        assert_eq!(lasts, 5, "{path}");
    }
    let free = world.get("/free").await;
    assert_eq!((free.status, free.body), (200, json!({ "ok": true, "route": "/free" })));
    assert_eq!(world.get("/nowhere").await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_gives_what_was_paid_for() {
    let mut world = World::new().await;
    let key = |account| json!({ "evmKey": evm_key(account) });
    use tollway_devnet::accounts::{FRESH_2612, FRESH_ERC20, FRESH_UPTO};
    for (path, more, earns) in [
        ("/free", json!({}), [0, 0, 0]),
        ("/evm/eip3009", json!({}), [1000, 0, 0]),
        ("/evm/big", json!({}), [5_000_000_000, 0, 0]),
        ("/evm/permit2", json!({}), [1000, 0, 0]),
        ("/evm/permit2-eip2612", key(FRESH_2612), [1000, 0, 0]),
        ("/evm/permit2-erc20", key(FRESH_ERC20), [0, 1000, 0]),
        ("/evm/upto", json!({}), [1000, 0, 0]),
        ("/evm/upto?use=7", json!({}), [7, 0, 0]),
        ("/evm/upto?use=0", json!({}), [0, 0, 0]),
        ("/evm/upto-eip2612", key(FRESH_UPTO), [1000, 0, 0]),
        ("/evm/upfront", json!({}), [1000, 0, 0]),
        ("/svm/exact", json!({}), [0, 0, 1000]),
        ("/svm/memo", json!({}), [0, 0, 1000]),
        ("/multi", json!({}), [1000, 0, 0]),
        ("/multi", json!({ "prefer": { "network": SVM } }), [0, 0, 1000]),
        ("/dynamic?units=3", json!({}), [3000, 0, 0]),
        ("/siwx/evm", json!({}), [1000, 0, 0]),
        ("/siwx/svm", json!({}), [0, 0, 1000]),
        ("/pid/optional", json!({}), [1000, 0, 0]),
        ("/pid/required", json!({ "paymentId": "auto" }), [1000, 0, 0]),
        ("/bazaar/weather/Oslo?units=metric", json!({}), [1000, 0, 0]),
        ("/bazaar/echo", json!({ "method": "POST", "body": { "text": "hello" } }), [1000, 0, 0]),
    ] {
        let before = world.earned();
        let answer = world.buy(path, more);
        assert_eq!(answer["status"], 200, "{path}: {answer}");
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        assert_eq!(body, json!({ "ok": true, "route": path.split('?').next().unwrap() }));
        let now = world.earned();
        assert_eq!([0, 1, 2].map(|i| now[i] - before[i]), earns, "{path}");
    }
    let before = world.earned();
    assert_eq!(world.buy("/fails", json!({}))["status"], 500);
    assert_eq!(world.buy("/pid/required", json!({}))["status"], 400, "an id is required");
    assert_eq!(world.earned(), before, "and neither is charged for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_signs_in_comes_back_and_who_repeats_an_id_pays_once() {
    let mut world = World::new().await;
    for (path, wallet) in [("/siwx/evm", "evm"), ("/siwx/svm", "svm")] {
        assert_eq!(world.buy(path, json!({}))["status"], 200);
        let before = world.earned();
        for _ in 0..2 {
            let back = world.buy(path, json!({ "siwx": [wallet] }));
            assert_eq!((&back["status"], back["headers"].get("payment-response")), (&json!(200), None), "{back}");
        }
        assert_eq!(world.earned(), before, "{path}");
        assert_eq!(world.buy(path, json!({}))["status"], 200, "who does not sign in pays");
        assert_ne!(world.earned(), before);
    }
    for wallets in [json!(["evm"]), json!(["svm"]), json!(["svm", "evm"])] {
        assert_eq!(world.buy("/siwx/auth", json!({ "siwx": wallets }))["status"], 200, "{wallets}");
    }
    let outside = world.buy("/siwx/auth", json!({}));
    assert!(outside["status"] != 200, "{outside}");

    let (id, before) = (json!({ "paymentId": "order-number-0001" }), world.earned()[0]);
    for _ in 0..2 {
        assert_eq!(world.buy("/pid/optional", id.clone())["status"], 200);
    }
    assert_eq!(world.earned()[0], before + 1000, "the second is answered as the first was");
    assert_eq!(
        world.buy("/pid/optional", json!({ "method": "POST", "body": "other", "paymentId": "order-number-0001" }))["status"],
        409
    );
}
