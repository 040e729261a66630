//! [`PaymentRequired`]: the content of a 402.

use super::{PaymentRequirements, X402_VERSION};
use crate::Object;
use serde::{Deserialize, Serialize};

/// What a resource server answers to an unpaid request (`PAYMENT-REQUIRED` over HTTP).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PaymentRequired {
    /// Protocol version: 2.
    pub x402_version: u64,
    /// Why payment is needed, or why the last one was refused: a code or a phrase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What is sold.
    pub resource: ResourceInfo,
    /// The ways to pay. Empty only where an extension alone opens the resource.
    pub accepts: Vec<PaymentRequirements>,
    /// Declarations by extension key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Object>,
    /// Members this version does not know.
    #[serde(flatten)]
    pub other: Object,
}

impl PaymentRequired {
    /// A challenge without extensions.
    pub fn new(error: impl Into<String>, resource: ResourceInfo, accepts: Vec<PaymentRequirements>) -> Self {
        Self {
            x402_version: X402_VERSION,
            error: Some(error.into()),
            resource,
            accepts,
            extensions: None,
            other: Object::new(),
        }
    }
}

/// What is sold, for people and catalogues.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ResourceInfo {
    /// Absolute URL, or `mcp://tool/<name>`.
    pub url: String,
    /// One line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Media type of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// Name of the service, 1 to 32 printable ASCII characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    /// At most five tags of 1 to 32 printable ASCII characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Absolute http(s) URL of an icon, at most 2048 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon_url: Option<String>,
    /// Members this version does not know.
    #[serde(flatten)]
    pub other: Object,
}

impl ResourceInfo {
    /// A resource with nothing but its URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// Checks the limits of the specification.
    ///
    /// # Errors
    /// Which member breaks which limit, for whoever configured it.
    pub fn check(&self) -> Result<(), String> {
        fn short_ascii(what: &str, text: &str) -> Result<(), String> {
            let ok = (1..=32).contains(&text.len()) && text.bytes().all(|b| (0x20..=0x7e).contains(&b));
            ok.then_some(()).ok_or_else(|| format!("{what} `{text}` must be 1 to 32 printable ASCII characters"))
        }
        self.service_name.iter().try_for_each(|name| short_ascii("serviceName", name))?;
        let tags = self.tags.as_deref().unwrap_or_default();
        if tags.len() > 5 {
            return Err(format!("tags lists {} entries, at most 5 are allowed", tags.len()));
        }
        tags.iter().try_for_each(|tag| short_ascii("tag", tag))?;
        match &self.icon_url {
            Some(url) if url.len() > 2048 || !(url.starts_with("https://") || url.starts_with("http://")) => {
                Err("iconUrl must be an absolute http(s) URL of at most 2048 characters".to_owned())
            }
            _ => Ok(()),
        }
    }
}
