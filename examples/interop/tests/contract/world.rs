//! Two embedded chains and the three programs on them.

use crate::program::Program;
use serde_json::Value;
use std::collections::BTreeMap;
use tollway::http::{self, header};
use tollway_devnet::accounts::DevAccount;
use tollway_devnet::contracts::addresses::{PLAIN, USDC};
use tollway_devnet::{Devnet, accounts, solana};

pub(crate) const EVM: &str = "eip155:84532";
pub(crate) const SVM: &str = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1";

pub(crate) struct World {
    pub(crate) evm: Devnet,
    pub(crate) svm: solana::Devnet,
    pub(crate) facilitator: String,
    pub(crate) server: String,
    pub(crate) client: Program,
    /// Kept running.
    _rest: (Program, Program, tollway_devnet::DevnetServer, solana::DevnetServer),
}

/// What a GET was answered with.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
}

impl Answer {
    /// What a payment header says.
    pub(crate) fn decoded(&self, name: &str) -> Value {
        self.headers.get(name).map_or(Value::Null, |value| header::decode(value.as_bytes()).unwrap())
    }
}

pub(crate) fn evm_key(account: DevAccount) -> String {
    account.private_key().to_string()
}

pub(crate) fn svm_key(account: solana::accounts::DevAccount) -> String {
    account.keypair().to_base58_string()
}

impl World {
    pub(crate) async fn new() -> Self {
        let (evm, svm) = (Devnet::new().unwrap(), solana::Devnet::new().unwrap());
        let nodes = (evm.serve("127.0.0.1:0").await.unwrap(), svm.serve("127.0.0.1:0").await.unwrap());
        let shared = [
            ("EVM_RPC_URL", nodes.0.url()),
            ("SVM_RPC_URL", nodes.1.url()),
            ("EVM_USDC", USDC.to_checksum(None)),
            ("EVM_PLAIN", PLAIN.to_checksum(None)),
            ("PORT", "0".to_owned()),
        ];
        let start =
            |path: &str, more: [(&'static str, String); 4]| Program::start(path, &[&shared[..], &more].concat());
        let keys = |evm, svm| {
            let (evm, svm) = (("EVM_PRIVATE_KEY", evm_key(evm)), ("SVM_PRIVATE_KEY", svm_key(svm)));
            [evm, svm, ("EVM_NETWORK", EVM.to_owned()), ("SVM_NETWORK", SVM.to_owned())]
        };
        let settling = keys(accounts::FACILITATOR, solana::accounts::FACILITATOR);
        let mut facilitator = start(env!("CARGO_BIN_EXE_interop-facilitator"), settling);
        let facilitator_url = facilitator.url();
        let selling = [
            ("FACILITATOR_URL", facilitator_url.clone()),
            ("ORIGIN", String::new()),
            ("EVM_PAY_TO", accounts::PAY_TO.address.to_checksum(None)),
            ("SVM_PAY_TO", solana::accounts::PAY_TO.address.to_string()),
        ];
        let mut server = start(env!("CARGO_BIN_EXE_interop-server"), selling);
        let server_url = server.url();
        let paying = keys(accounts::CLIENT, solana::accounts::CLIENT);
        let mut client = start(env!("CARGO_BIN_EXE_interop-client"), paying);
        assert_eq!(client.line(), r#"{"ready":true}"#);
        let rest = (facilitator, server, nodes.0, nodes.1);
        Self { evm, svm, facilitator: facilitator_url, server: server_url, client, _rest: rest }
    }

    /// What the payees have: USDC and the plain token on the EVM, USDC on Solana.
    pub(crate) fn earned(&self) -> [u64; 3] {
        let on_evm = |token| self.evm.balance_of(token, accounts::PAY_TO.address).unwrap().to::<u64>();
        let on_svm = self.svm.token_balance(solana::accounts::PAY_TO.address, solana::USDC).unwrap();
        [on_evm(USDC), on_evm(PLAIN), on_svm]
    }

    /// An errand to our server.
    pub(crate) fn buy(&mut self, path: &str, more: Value) -> Value {
        let url = format!("{}{path}", self.server);
        self.client.ask(&url, more)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        get(&format!("{}{path}", self.server), &[]).await
    }
}

/// A GET that pays nothing.
pub(crate) async fn get(url: &str, headers: &[(&str, &str)]) -> Answer {
    let request = http::plain_client().unwrap().get(url);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let response = request.send().await.unwrap();
    let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect(),
        body: serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default(),
    }
}
