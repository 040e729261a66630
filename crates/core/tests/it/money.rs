//! Prices: the reference's money vectors, and what our price language promises beyond them.

use crate::golden::{self, list, text};
use proptest::prelude::*;
use serde_json::{Value, json};
use tollway_core::{Amount, Asset, Money, NetworkId, Price, PriceError};

/// The reference's table of a network, as ours.
fn table(assets: &Value, network: &str) -> (NetworkId, Vec<Asset>) {
    let extra = ["name", "version"];
    let asset = |entry: &Value| {
        let decimals = entry["decimals"].as_u64().and_then(|n| u8::try_from(n).ok()).expect("decimals");
        let asset = Asset::new(text(&entry["asset"]), text(&entry["symbol"]), decimals);
        extra.iter().fold(asset, |asset, key| match entry.get(*key) {
            Some(value) => asset.with_extra(key, value.clone()),
            None => asset,
        })
    };
    let assets = assets.get(network).map(list).expect("the network is in the table");
    (network.parse().expect("a network"), assets.iter().map(asset).collect())
}

fn money(price: &Value) -> Result<Money, String> {
    match serde_json::from_value(price.clone()) {
        Ok(Price::Money(money)) => Ok(money),
        Ok(other) => Err(format!("{other:?} is not money")),
        Err(why) => Err(why.to_string()),
    }
}

/// What the offer for a price says, in the words of the golden file.
fn offered(price: &Value, (network, assets): &(NetworkId, Vec<Asset>)) -> Result<Value, String> {
    let (asset, amount) = money(price)?.resolve(network, assets).map_err(|why| why.to_string())?;
    Ok(json!({ "amount": amount, "asset": asset.address, "extra": asset.extra }))
}

#[test]
fn prices_become_the_amounts_of_the_reference() {
    let (golden, assets) = (golden::money(), golden::default_assets());
    let evm = table(&assets["evm"], "eip155:84532");
    let svm = table(&assets["svm"], "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1");
    let prices = list(&golden["prices"]);
    assert_eq!(prices.len(), 41);
    for case in prices {
        let price = &case["price"];
        let parsed = money(price);
        match case["parseMoney"].get("ok") {
            None => assert!(parsed.is_err(), "{price} is refused by the reference"),
            Some(ok) => {
                let parsed = parsed.unwrap_or_else(|why| panic!("{price}: {why}"));
                assert_eq!(parsed.decimal(), text(&ok["amount"]), "{price}");
                assert_eq!(parsed.symbol(), ok.get("symbol").map(text), "{price}");
            }
        }
        for (network, table) in [("exactEvm", &evm), ("exactSvm", &svm)] {
            let ours = offered(price, table);
            match case[network].get("ok") {
                Some(ok) => assert_eq!(ours.as_ref(), Ok(ok), "{price} for {network}"),
                None => assert!(ours.is_err(), "{price} for {network}: {ours:?}"),
            }
        }
        // `uptoEvm` differs from `exactEvm` in what its scheme adds to `extra` alone.
        let (exact, upto) = (&case["exactEvm"]["ok"]["amount"], &case["uptoEvm"]["ok"]["amount"]);
        assert_eq!(exact, upto, "{price}");
    }
}

#[test]
fn token_amounts_are_the_references_or_stricter() {
    let golden = golden::money();
    let (mut same, mut stricter) = (0, Vec::new());
    for case in list(&golden["tokenAmounts"]) {
        let (decimal, decimals) = (text(&case["amount"]), case["decimals"].as_u64().unwrap());
        let ours = decimal.parse::<Money>().and_then(|money| money.to_amount(u8::try_from(decimals).unwrap()));
        match (ours, case["out"].get("ok")) {
            (Ok(ours), theirs) => {
                assert_eq!(Some(ours.to_string().as_str()), theirs.map(text), "{decimal} at {decimals}");
                same += 1;
            }
            (Err(_), None) => same += 1,
            (Err(_), Some(_)) => stricter.push(decimal),
        }
    }
    // The reference's conversion runs after its own parser, which already refused both texts; ours has one parser for
    // both steps. A negative price would pay the customer, and `10.` is a number half typed: neither is a price.
    stricter.dedup();
    assert_eq!(stricter, ["10.", "-1"]);
    assert_eq!(same, 40);
}

#[test]
fn json_numbers_are_read_by_their_shortest_decimal() {
    let golden = golden::money();
    let numbers = list(&golden["numbers"]);
    assert_eq!(numbers.len(), 6);
    for case in numbers {
        let money = money(&case["n"]).unwrap();
        assert_eq!(money.decimal(), text(&case["out"]["ok"]), "{}", case["n"]);
    }
    assert_eq!(money(&json!(u64::MAX)).unwrap().decimal(), u64::MAX.to_string(), "beyond the floats' integers");
}

#[test]
fn an_explicit_amount_of_an_asset_is_kept_as_it_is() {
    let stated = json!({ "amount": "7", "asset": "0xabc", "extra": { "name": "X" } });
    let price: Price = serde_json::from_value(stated.clone()).unwrap();
    assert_eq!(serde_json::to_value(&price).unwrap(), stated);
    for bad in [json!({"amount": 7, "asset": "0xabc"}), json!({"amount": "7"}), json!(null), json!([1]), json!(true)] {
        assert!(serde_json::from_value::<Price>(bad.clone()).is_err(), "{bad}");
    }
    let misspelt = json!({ "amount": "7", "asset": "0xabc", "ammount": "8" });
    assert!(serde_json::from_value::<Price>(misspelt).is_err(), "an unknown key is a misspelt key");
}

#[test]
fn an_unknown_ticker_says_what_there_is() {
    let (network, assets) = table(&golden::default_assets()["evm"], "eip155:42220");
    let euro: Money = "1 EURC".parse().unwrap();
    let error = euro.resolve(&network, &assets).unwrap_err();
    let text = error.to_string();
    for word in ["EURC", "eip155:42220", "USDC", "USDT", "USAT"] {
        assert!(text.contains(word), "{word} is missing in: {text}");
    }
    let dollars: Money = "$1".parse().unwrap();
    assert!(matches!(dollars.resolve(&network, &[]), Err(PriceError::UnknownAsset { symbol: None, .. })));
}

#[test]
fn the_second_asset_is_found_by_its_ticker_whatever_the_case() {
    let (network, assets) = table(&golden::default_assets()["evm"], "eip155:42220");
    let tether: Money = "$0.50 usdt".parse().unwrap();
    let (asset, amount) = tether.resolve(&network, &assets).unwrap();
    assert_eq!((asset.symbol.as_str(), amount), ("USDT", Amount::from(500_000)));
}

proptest! {
    #[test]
    fn no_text_panics_and_what_parses_reads_back(text in "\\PC{0,40}") {
        if let Ok(money) = text.parse::<Money>() {
            prop_assert_eq!(money.to_string().parse::<Money>(), Ok(money));
        }
    }

    #[test]
    fn money_written_by_us_is_read_by_us(whole in "[0-9]{1,30}", fraction in "[0-9]{1,30}", ticker in "[A-Z][A-Z0-9.]{0,15}") {
        let text = format!("{whole}.{fraction} {ticker}");
        let money: Money = text.parse().unwrap();
        let written = serde_json::to_value(Price::Money(money.clone())).unwrap();
        prop_assert_eq!(serde_json::from_value::<Price>(written).unwrap(), Price::Money(money));
    }

    #[test]
    fn conversion_cuts_and_never_rounds(whole in 0u64..1_000_000_000, fraction in 0u64..1_000_000_000, decimals in 0u8..=9) {
        let money: Money = format!("{whole}.{fraction:09}").parse().unwrap();
        let nano = u128::from(whole) * 1_000_000_000 + u128::from(fraction);
        let expected = nano / 10u128.pow(u32::from(9 - decimals));
        prop_assert_eq!(money.to_amount(decimals).unwrap().to_string(), expected.to_string());
    }

    #[test]
    fn too_large_is_an_error_and_no_wrap(zeros in 60usize..150, decimals in 18u8..=255) {
        let money: Money = format!("1{}", "0".repeat(zeros)).parse().unwrap();
        prop_assert_eq!(money.to_amount(decimals), Err(PriceError::TooLarge));
    }
}
