//! Secrets: named in configuration, resolved late, never printed.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A secret text. Neither `Debug` nor any error shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text. Keep it out of logs and errors.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where a configuration says a secret is: `env:NAME` or `file:PATH`. A literal is refused, so that keys stay out of
/// configuration files.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretRef(String);

impl SecretRef {
    /// A reference as written in a configuration.
    pub fn new(reference: impl Into<String>) -> Self {
        Self(reference.into())
    }

    /// The reference as written, for a [`Secrets`] of your own. Keep it out of logs and errors: somebody may have written
    /// the secret itself where a reference to it belongs.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Somebody may have written the secret itself here.
        match self.0.split_once(':') {
            Some(("env" | "file", _)) => f.write_str(&self.0),
            _ => f.write_str("SecretRef(…)"),
        }
    }
}

/// The section of a key held in this process, as [`SignerConfig::local`](crate::SignerConfig::local) writes it:
/// `{ "key": "env:MY_KEY" }`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct KeyConfig {
    /// Where the key is.
    pub key: SecretRef,
}

/// Resolves [`SecretRef`]s. Replace it to read from a vault.
pub trait Secrets: fmt::Debug + Send + Sync {
    /// The secret a reference names.
    ///
    /// # Errors
    /// What is missing and how to provide it; never the secret.
    fn resolve(&self, reference: &SecretRef) -> Result<Secret, String>;
}

/// `env:NAME` and `file:PATH`, surrounding white space cut.
#[derive(Debug, Clone, Copy, Default)]
pub struct EnvironmentSecrets;

impl Secrets for EnvironmentSecrets {
    fn resolve(&self, reference: &SecretRef) -> Result<Secret, String> {
        let text = match reference.0.split_once(':') {
            Some(("env", name)) => std::env::var(name).map_err(|_| {
                format!("the environment variable {name} is not set (or is not text); `export {name}=…`")
            })?,
            Some(("file", path)) => {
                std::fs::read_to_string(path).map_err(|why| format!("cannot read the secret file {path}: {why}"))?
            }
            _ => {
                return Err("a secret must be a reference, `env:NAME` or `file:PATH`, not the secret itself".to_owned());
            }
        };
        match text.trim() {
            "" => Err("the secret is empty".to_owned()),
            text => Ok(Secret::new(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_refused_and_never_shown() {
        let canary = "0xdeadbeefcanary";
        let reference = SecretRef::new(canary);
        let error = EnvironmentSecrets.resolve(&reference).unwrap_err();
        assert!(!error.contains("canary") && !format!("{reference:?}").contains("canary"));
        assert!(!format!("{:?}", Secret::new(canary)).contains("canary"));
    }

    #[test]
    fn a_vault_sees_what_it_is_asked_for() {
        #[derive(Debug)]
        struct Vault;
        impl Secrets for Vault {
            fn resolve(&self, reference: &SecretRef) -> Result<Secret, String> {
                match reference.as_str() {
                    "vault:payer" => Ok(Secret::new("s3cret")),
                    _ => EnvironmentSecrets.resolve(reference),
                }
            }
        }
        assert_eq!(Vault.resolve(&SecretRef::new("vault:payer")), Ok(Secret::new("s3cret")));
        assert!(Vault.resolve(&SecretRef::new("vault:other")).is_err());
    }

    #[test]
    fn a_missing_variable_is_named() {
        let error = EnvironmentSecrets.resolve(&SecretRef::new("env:TOLLWAY_NO_SUCH_KEY")).unwrap_err();
        assert!(error.contains("TOLLWAY_NO_SUCH_KEY"));
    }
}
