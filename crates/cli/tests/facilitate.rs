//! `tollway dev` and `tollway facilitate`, as programs of their own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod support;

use std::process::Command;
use support::{Running, text};

#[test]
fn a_facilitator_serves_an_embedded_chain() {
    let dev = Running::start(&["dev", "--port", "0", "--json"], &[]);
    let chain = &dev.said["chains"][0];
    let (network, rpc, key) = (text(&chain["network"]), text(&chain["rpc"]), text(&chain["facilitator"]["key"]));
    let args = ["facilitate", "--network", &network, "--rpc", &rpc, "--key", "env:THE_KEY", "--listen", "127.0.0.1:0"];
    let facilitator = Running::start(&[&args[..], &["--ledger", "memory", "--json"]].concat(), &[("THE_KEY", &key)]);
    assert!(text(&facilitator.said["url"]).starts_with("http://127.0.0.1:"));
    let kinds = facilitator.said["kinds"].as_array().unwrap();
    assert!(kinds.iter().any(|kind| kind["scheme"] == "exact" && kind["network"] == network));
    assert!(!facilitator.said.to_string().contains(&key));
}

#[test]
fn what_dev_says_is_all_it_takes_to_use_its_chains() {
    let dev = Running::start(&["dev", "--port", "0", "--json", "--block-time", "0"], &[]);
    for chain in dev.said["chains"].as_array().unwrap() {
        let accounts = chain["accounts"].as_array().unwrap();
        let client = accounts.iter().find(|account| account["name"] == "client").unwrap();
        assert_eq!(client["address"], chain["payer"]["address"]);
        assert_eq!(chain["tokens"]["USDC"], chain["asset"]["address"]);
        let key = client["key"].as_str().unwrap();
        match chain["network"].as_str().unwrap().starts_with("eip155:") {
            true => assert_eq!(client["key"], chain["payer"]["key"]),
            // Base58 of 64 bytes, as wallets export keys.
            false => assert!((86..=88).contains(&key.len()), "{key}"),
        }
    }
}

#[test]
fn mistakes_say_what_to_write() {
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_tollway")).args(args).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(run(&["facilitate"]).contains("a facilitator needs a network"));
    assert!(
        run(&["facilitate", "--ledger", "mysql:x"]).contains("--ledger is memory, sqlite:PATH or postgres:env:NAME")
    );
    assert!(run(&["facilitate", "--config", "facilitator.yaml"]).contains("facilitator.yaml"));
    let unknown = ["facilitate", "--network", "eip155:1", "--rpc", "http://127.0.0.1:1", "--key", "env:NO_SUCH_KEY"];
    assert!(run(&unknown).contains("NO_SUCH_KEY"));
}
