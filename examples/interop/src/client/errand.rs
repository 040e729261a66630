//! One line of input: what to get, who pays, and how.

use interop::{Failure, Settings, setting};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tollway::PaymentClient;
use tollway::core::{EnvironmentSecrets, Secret, SecretRef, Secrets};
use tollway::http;
use tollway::pid::{PAYMENT_IDENTIFIER, PaymentIdentifierClient};
use tollway::roles::client::PaymentClientBuilder;

/// Where the keys are, unless an errand brings its own.
const EVM_KEY: &str = "env:EVM_PRIVATE_KEY";
const SVM_KEY: &str = "env:SVM_PRIVATE_KEY";
/// Longest answer read, in bytes.
const LONGEST: usize = 8 * 1024 * 1024;

/// A request, and how it may be paid for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Errand {
    url: String,
    #[serde(default = "Errand::default_method")]
    method: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Text as it is, anything else as JSON.
    body: Option<Value>,
    /// Keys for this request, in the place of those of the environment.
    #[serde(default, deserialize_with = "secret")]
    evm_key: Option<Secret>,
    #[serde(default, deserialize_with = "secret")]
    svm_key: Option<Secret>,
    #[serde(default)]
    prefer: Prefer,
    /// Whose wallets sign in, the first best; nobody's if left out.
    siwx: Option<Vec<Wallet>>,
    /// `auto`, or the id itself; none if left out.
    payment_id: Option<String>,
    spend: Option<Spend>,
}

/// A key, which nothing prints.
fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
}

/// What is liked best among the offers.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Prefer {
    network: Option<String>,
    scheme: Option<String>,
}

/// A wallet that may sign in.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wallet {
    Evm,
    Svm,
}

impl Wallet {
    /// The networks it is good for.
    fn pattern(self) -> &'static str {
        match self {
            Self::Evm => "eip155:*",
            Self::Svm => "solana:*",
        }
    }
}

/// How much may be spent.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Spend {
    Default,
}

/// What came back.
pub(crate) struct Answered {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Errand {
    fn default_method() -> String {
        "GET".to_owned()
    }

    /// Runs it with a client of its own: no errand knows what another signed, paid or signed in to.
    pub(crate) async fn run(self, settings: &Settings) -> Result<Answered, Failure> {
        let (method, url) = (self.method.parse()?, self.url.clone());
        let (headers, body) = (self.headers.clone(), self.body.clone());
        let http = http::client(self.payer(settings).build().await?)?;
        let typed = headers.keys().any(|name| name.eq_ignore_ascii_case("content-type"));
        let request =
            headers.iter().fold(http.request(method, url), |request, (name, value)| request.header(name, value));
        let request = match body {
            None | Some(Value::Null) => request,
            Some(Value::String(text)) => request.body(text),
            Some(body) if typed => request.body(body.to_string()),
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
        };
        let mut response = request.send().await?;
        let mut headers = BTreeMap::<String, String>::new();
        for (name, value) in response.headers() {
            let value = String::from_utf8_lossy(value.as_bytes());
            let all = headers.entry(name.as_str().to_owned()).or_default();
            *all = if all.is_empty() { value.into_owned() } else { format!("{all}, {value}") };
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > LONGEST {
                return Err(format!("the answer is longer than {LONGEST} bytes").into());
            }
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Answered { status: response.status().as_u16(), headers, body })
    }

    /// The client that pays, signs in and names its payments as this errand says.
    fn payer(self, settings: &Settings) -> PaymentClientBuilder {
        let mut payer = PaymentClient::builder()
            .network(&settings.evm, settings.evm_section())
            .network(&settings.svm, settings.svm_section());
        if self.evm_key.is_some() || setting("EVM_PRIVATE_KEY").is_some() {
            payer = payer.key("eip155:*", EVM_KEY);
            if let Some(sponsored) = settings.sponsored(EVM_KEY) {
                payer = payer.extension("eip2612GasSponsoring", sponsored.clone());
                payer = payer.extension("erc20ApprovalGasSponsoring", sponsored);
            }
        }
        if self.svm_key.is_some() || setting("SVM_PRIVATE_KEY").is_some() {
            payer = payer.key("solana:*", SVM_KEY);
        }
        payer = payer.secrets(Arc::new(Keys { evm: self.evm_key, svm: self.svm_key }));
        if self.spend.is_none() {
            payer = payer.without_spend_limit();
        }
        payer = payer.prefer([self.prefer.network, self.prefer.scheme].into_iter().flatten());
        let networks: Option<Vec<_>> = self.siwx.map(|wallets| wallets.into_iter().map(Wallet::pattern).collect());
        payer = payer.extension(
            "sign-in-with-x",
            match networks {
                None => json!({ "enabled": false }),
                Some(networks) => json!({ "networks": networks }),
            },
        );
        match self.payment_id {
            None => payer.extension(PAYMENT_IDENTIFIER, json!({ "enabled": false })),
            Some(id) if id == "auto" => payer,
            Some(id) => payer.use_extension(|_| Ok(PaymentIdentifierClient::with_ids(move |_| id.clone()))),
        }
    }
}

/// The keys of one errand, before those of the environment.
#[derive(Debug)]
struct Keys {
    evm: Option<Secret>,
    svm: Option<Secret>,
}

impl Secrets for Keys {
    fn resolve(&self, reference: &SecretRef) -> Result<Secret, String> {
        let own = match reference.as_str() {
            EVM_KEY => &self.evm,
            SVM_KEY => &self.svm,
            _ => &None,
        };
        own.clone().map_or_else(|| EnvironmentSecrets.resolve(reference), Ok)
    }
}
