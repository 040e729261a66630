//! Chains, a relay, and the three roles, each played by us or by the reference.

use super::http::Message;
use super::program::{Program, Start};
use super::relay::Relay;
use super::wire;
use serde_json::{Value, json};
use std::fs::File;

/// Who plays a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Ours,
    Theirs,
}

/// Who plays which.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cast {
    pub(super) client: Who,
    pub(super) server: Who,
    pub(super) facilitator: Who,
}

/// What payees have: USDC and the plain token on the EVM, USDC on Solana.
pub(super) type Earned = [u64; 3];

/// Everything that runs.
pub(super) struct World {
    pub(super) cast: Cast,
    pub(super) relay: Relay,
    pub(super) facilitator: String,
    pub(super) server: String,
    client: Program,
    /// What `tollway dev` says about the EVM and about Solana.
    chains: [Value; 2],
    /// Kept running.
    _rest: Vec<Program>,
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A named account of a chain.
fn account<'a>(chain: &'a Value, name: &str) -> &'a Value {
    let mut accounts = chain["accounts"].as_array().into_iter().flatten();
    accounts.find(|account| account["name"] == name).unwrap_or(&Value::Null)
}

impl World {
    /// Starts chains of its own, and on them a facilitator, a server and a client. What they have to say beside their
    /// answers goes to the log.
    pub(super) fn start(dev: &Start, roles: &[Start; 3], cast: Cast, log: &File) -> Result<Self, String> {
        let dev = dev.leashed(&[], log)?;
        let said = dev.json()?["chains"].take();
        let chain = |namespace: &str| {
            let mut chains = said.as_array().into_iter().flatten();
            chains
                .find(|chain| text(&chain["network"]).starts_with(namespace))
                .cloned()
                .ok_or(format!("no chain {namespace}"))
        };
        let chains = [chain("eip155:")?, chain("solana:")?];
        let [evm, svm] = &chains;
        let shared = [
            ("EVM_RPC_URL", text(&evm["rpc"])),
            ("SVM_RPC_URL", text(&svm["rpc"])),
            ("EVM_NETWORK", text(&evm["network"])),
            ("SVM_NETWORK", text(&svm["network"])),
            ("EVM_USDC", text(&evm["tokens"]["USDC"])),
            ("EVM_PLAIN", text(&evm["tokens"]["PLAIN"])),
            ("PORT", "0"),
        ];
        let keys = |name| {
            let key = |chain| text(&account(chain, name)["key"]);
            [&shared[..], &[("EVM_PRIVATE_KEY", key(evm)), ("SVM_PRIVATE_KEY", key(svm))]].concat()
        };
        let facilitating = roles[0].leashed(&keys("facilitator"), log)?;
        let facilitator = facilitating.ready()?;
        let relay = Relay::start()?;
        let payee = |chain| text(&account(chain, "payTo")["address"]);
        let selling = [
            ("FACILITATOR_URL", facilitator.as_str()),
            ("ORIGIN", relay.url.as_str()),
            ("EVM_PAY_TO", payee(evm)),
            ("SVM_PAY_TO", payee(svm)),
        ];
        let serving = roles[1].leashed(&[&shared[..], &selling].concat(), log)?;
        let server = serving.ready()?;
        relay.point_at(&server);
        let client = roles[2].talking(&keys("client"), log)?;
        match client.json()? {
            ready if ready == json!({ "ready": true }) => {}
            other => return Err(format!("the client says {other} and not that it is ready")),
        }
        Ok(Self { cast, relay, facilitator, server, client, chains, _rest: vec![serving, facilitating, dev] })
    }

    /// A key of a named account: `evmKey` and `svmKey`, where it has one.
    pub(super) fn key(&self, name: &str) -> Value {
        let [evm, svm] = &self.chains;
        let keys = [("evmKey", evm), ("svmKey", svm)]
            .map(|(member, chain)| (member.to_owned(), account(chain, name)["key"].clone()));
        Value::Object(keys.into_iter().filter(|(_, key)| key.is_string()).collect())
    }

    /// CAIP-2 id of Solana's network.
    pub(super) fn svm(&self) -> String {
        text(&self.chains[1]["network"]).to_owned()
    }

    /// An errand to the server, by the relay.
    pub(super) fn buy(&mut self, path: &str, more: &Value) -> Result<Value, String> {
        let url = format!("{}{path}", self.relay.url);
        self.client.ask(&url, more)
    }

    /// What payees have now.
    pub(super) fn earned(&self) -> Result<Earned, String> {
        let [evm, svm] = &self.chains;
        let (node, payee) = (text(&evm["rpc"]), text(&account(evm, "payTo")["address"]));
        let on_svm = wire::svm_balance(
            text(&svm["rpc"]),
            text(&svm["tokens"]["USDC"]),
            text(&account(svm, "payTo")["address"]),
        )?;
        Ok([
            wire::evm_balance(node, text(&evm["tokens"]["USDC"]), payee)?,
            wire::evm_balance(node, text(&evm["tokens"]["PLAIN"]), payee)?,
            on_svm,
        ])
    }

    /// Holds that payees have so much more than before, and nothing else.
    pub(super) fn moved(&self, before: Earned, expected: Earned) -> Result<(), String> {
        let now = self.earned()?;
        let moved = [0, 1, 2].map(|at| now[at].wrapping_sub(before[at]));
        match moved == expected {
            true => Ok(()),
            false => Err(format!("{moved:?} moved on chain, and not {expected:?}")),
        }
    }

    /// Asks the facilitator, and gives its JSON.
    pub(super) fn ask(&self, path: &str, payment: &Value, offer: &Value) -> Result<Value, String> {
        let ask = json!({ "x402Version": 2, "paymentPayload": payment, "paymentRequirements": offer });
        let answer = Message::request("POST", path).json(&ask).send(&self.facilitator)?;
        serde_json::from_slice(&answer.body).map_err(|why| format!("{path}: {why}"))
    }

    /// What a client signs for a path, held back on its way; the challenge may be changed before it sees it.
    pub(super) fn signed(
        &mut self,
        path: &str,
        more: &Value,
        edit: Option<super::relay::Edit>,
    ) -> Result<Value, String> {
        let relay = self.relay.clone();
        let (answer, seen) = relay.holding(edit, || self.buy(path, more));
        let header = seen.iter().find_map(|request| request.header("payment-signature"));
        wire::decode(header.ok_or_else(|| format!("{path}: nothing was signed: {answer:?}"))?)
    }
}

/// A GET to a server, past the relay, with a header of the protocol.
pub(super) fn present(server: &str, path: &str, header: &str, value: &str) -> Result<Message, String> {
    Message::request("GET", path).with(header, value).send(server)
}
