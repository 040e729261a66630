//! `tollway assets` as its users run it, against an embedded chain.
#![cfg(feature = "evm")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::{Value, json};
use std::process::Command;
use tollway_devnet::contracts::addresses::{PLAIN, USDC};
use tollway_devnet::{Devnet, DevnetServer, Token};

const NETWORK: &str = "eip155:84532";
const OWN: &str = "0x1111111111111111111111111111111111111111";

/// What a run of the program did.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }
}

/// Runs `tollway assets` beside the runtime that serves the chain.
async fn assets(args: &[&str]) -> Ran {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let run = move || {
        let mut program = Command::new(env!("CARGO_BIN_EXE_tollway"));
        program.arg("assets").args(args).env("DEAD_NODE", "http://127.0.0.1:1/v2/canary");
        program.output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// A chain with a token of its own beside USDC.
async fn chain() -> DevnetServer {
    let devnet = Devnet::builder().token(OWN.parse().unwrap(), Token::new("My Dollar", "MYUSD", "7", 18));
    devnet.build().unwrap().serve("127.0.0.1:0").await.unwrap()
}

/// Runs `tollway assets check` against a chain.
async fn check(node: &str, more: &[&str]) -> Ran {
    assets(&[&["check", "--network", NETWORK, "--rpc", node], more].concat()).await
}

#[tokio::test]
async fn known_tokens_are_listed() {
    let all = assets(&[]).await;
    let base = "eip155:8453      USDC     0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913  6 decimals  eip3009  USD Coin 2";
    assert!(all.code == 0 && all.out.lines().any(|line| line == base), "{}", all.out);
    let celo = assets(&["--network", "eip155:42220", "--json"]).await.json();
    let tickers: Vec<_> = celo["assets"].as_array().unwrap().iter().map(|row| row["symbol"].clone()).collect();
    assert_eq!(tickers, ["USDC", "USDT", "USAT"]);
    let mezo = assets(&["--network", "eip155:31611", "--json"]).await.json();
    assert_eq!(mezo["assets"][0]["transferMethod"], "permit2");
    let nobody = assets(&["--network", "eip155:31337"]).await;
    assert!(nobody.code == 0 && nobody.out.contains("add your own"), "{}", nobody.out);
    assert_eq!(assets(&["--network", "solana:x"]).await.code, 2);
}

#[tokio::test]
async fn what_is_right_ends_with_0() {
    let node = chain().await;
    let all = check(&node.url(), &[]).await;
    assert_eq!(all.code, 0, "{}{}", all.out, all.err);
    let usdc = format!("USDC     {USDC} on {NETWORK}: right");
    assert!(all.out.starts_with(&usdc) && all.out.contains("EIP-3009, EIP-2612, allowances"), "{}", all.out);
    assert!(!all.out.contains('\u{1b}'), "colours are for terminals");
    let json = check(&node.url(), &["--asset", "usdc", "--json"]).await;
    assert_eq!(
        (json.code, &json.json()["right"], &json.json()["assets"][0]["findings"]),
        (0, &json!(true), &json!([]))
    );
}

#[tokio::test]
async fn what_is_wrong_ends_with_1_and_the_lines_mend_it() {
    let node = chain().await;
    let entry = json!({ "address": USDC, "symbol": "USDC", "decimals": 18, "name": "USD Coin", "version": "2" });
    let wrong = check(&node.url(), &["--token", &entry.to_string()]).await;
    assert_eq!(wrong.code, 1, "{}{}", wrong.out, wrong.err);
    for part in [
        ": wrong\n",
        "wrong decimals: configured are 18 decimals, the token has 6",
        "wrong name: configured is the EIP-712 name `USD Coin`, the token's is `USDC`",
        "    [[shared.networks.\"eip155:84532\".assets]]\n",
        "    decimals = 6\n    name = \"USDC\"\n    version = \"2\"\n",
    ] {
        assert!(wrong.out.contains(part), "{part}: {}", wrong.out);
    }
    let json = check(&node.url(), &["--token", &entry.to_string(), "--json"]).await.json();
    let mended = check(&node.url(), &["--token", &json["assets"][0]["entry"].to_string()]).await;
    assert_eq!(mended.code, 0, "{}{}", mended.out, mended.err);
    let plain = json!({ "address": PLAIN, "symbol": "PLAIN", "decimals": 6, "name": "Plain", "version": "1" });
    let plain = check(&node.url(), &["--token", &plain.to_string()]).await;
    assert!(plain.code == 1 && plain.out.contains("    assetTransferMethod = \"permit2\"\n"), "{}", plain.out);
}

#[tokio::test]
async fn a_token_nobody_listed_is_described() {
    let node = chain().await;
    let own = check(&node.url(), &["--asset", OWN]).await;
    assert_eq!(own.code, 0, "{}{}", own.out, own.err);
    let lines = "symbol = \"MYUSD\"\n    decimals = 18\n    name = \"My Dollar\"\n    version = \"7\"\n";
    assert!(own.out.contains(": not known\n") && own.out.contains(lines), "{}", own.out);
    let nothing = check(&node.url(), &["--asset", "0x7777777777777777777777777777777777777777"]).await;
    assert!(nothing.code == 1 && nothing.out.contains("no contract at this address"), "{}", nothing.out);
}

#[tokio::test]
async fn entries_come_from_a_file_too() {
    let node = chain().await;
    let folder = std::env::temp_dir().join(format!("tollway-assets-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let own = |decimals: u8| json!([{ "address": OWN, "symbol": "MYUSD", "decimals": decimals, "name": "My Dollar", "version": "7" }]);
    let section = json!({ "rpc": node.url(), "assets": own(18) });
    let wrong = json!({ "shared": { "networks": { NETWORK: { "rpc": node.url(), "assets": own(6) } } } });
    // What the tool writes is appended as it is.
    let lines = check(&node.url(), &["--asset", OWN, "--json"]).await.json()["assets"][0]["lines"].clone();
    let toml = format!("[shared.networks.\"{NETWORK}\"]\nrpc = \"{}\"\n", node.url());
    let mut codes = Vec::new();
    for (name, text) in [
        ("section.json", section.to_string()),
        ("whole.json", json!({ "networks": { NETWORK: section } }).to_string()),
        ("role.toml", format!("{toml}\n{}\n", lines.as_str().unwrap())),
        ("wrong.json", wrong.to_string()),
        ("elsewhere.json", json!({ "networks": {} }).to_string()),
        ("misspelt.json", json!({ "rpc": node.url(), "asets": [] }).to_string()),
        ("broken.json", "{".to_owned()),
        ("section.txt", section.to_string()),
    ] {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        let ran = assets(&["check", "--network", NETWORK, "--config", path.to_str().unwrap()]).await;
        assert!(ran.code == 2 || (ran.out.contains("USDC ") && ran.out.contains("MYUSD ")), "{name}: {}", ran.out);
        codes.push(ran.code);
    }
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(codes, [0, 0, 0, 1, 2, 2, 2, 2]);
}

#[tokio::test]
async fn what_cannot_be_found_out_ends_with_2_and_says_what_to_do() {
    let node = chain().await;
    let no_node = assets(&["check", "--network", NETWORK]).await;
    assert!(no_node.code == 2 && no_node.err.contains("--rpc"), "{}", no_node.err);
    let unknown = check(&node.url(), &["--asset", "EURC"]).await;
    assert!(unknown.code == 2 && unknown.err.contains("(known: USDC)"), "{}", unknown.err);
    let other = assets(&["check", "--network", "eip155:8453", "--rpc", &node.url()]).await;
    assert!(other.code == 2 && other.err.contains("chain 84532"), "{}", other.err);
    assert_eq!(check(&node.url(), &["--token", "{}"]).await.code, 2);
    // A node's URL may hold a key.
    let dead = check("env:DEAD_NODE", &[]).await;
    assert!(dead.code == 2 && !dead.err.contains("canary") && !dead.out.contains("canary"), "{}", dead.err);
}
