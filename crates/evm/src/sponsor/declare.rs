//! The selling side: what a challenge says so that clients add what they sign.

use super::{EIP2612, ERC20};
use crate::permit2::METHOD;
use serde_json::{Value, json};
use tollway_core::{Build, BuildContext, Declaring, NoConfig, ServerExtension};

/// Declares `eip2612GasSponsoring` on routes that configure it (`eip2612GasSponsoring = {}`), wherever one of their
/// offers is paid by Permit2 in a token with EIP-2612. Configure it only for facilitators that list the extension.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Eip2612Server;

/// Declares `erc20ApprovalGasSponsoring` on routes that configure it (`erc20ApprovalGasSponsoring = {}`), wherever one
/// of their offers is paid by Permit2. Configure it only for facilitators that list the extension.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Erc20ApprovalServer;

/// Whether an offer that one can use is among the challenge's, on a route that did not switch the extension off.
fn wanted(cx: &Declaring<'_>, named: bool) -> bool {
    *cx.route != Value::Bool(false)
        && cx.accepts.iter().filter_map(|offer| offer.extra.as_ref()).any(|extra| {
            let given = |member: &str| extra.get(member).is_some_and(Value::is_string);
            extra.get("assetTransferMethod").is_some_and(|method| method == METHOD)
                && (!named || (given("name") && given("version")))
        })
}

const ADDRESS: &str = "^0x[a-fA-F0-9]{40}$";
const NUMBER: &str = "^[0-9]+$";
const HEX: &str = "^0x[a-fA-F0-9]+$";
const VERSION: &str = "^[0-9]+(\\.[0-9]+)*$";

/// A declaration, with the reference implementation's words.
fn declaration(description: &str, members: &[(&str, &str, &str)]) -> Value {
    let properties: serde_json::Map<String, Value> = members
        .iter()
        .map(|(name, pattern, description)| {
            ((*name).to_owned(), json!({ "type": "string", "pattern": pattern, "description": description }))
        })
        .collect();
    let required: Vec<&str> = members.iter().map(|(name, ..)| *name).collect();
    json!({
        "info": { "description": description, "version": "1" },
        "schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": properties,
            "required": required,
        },
    })
}

impl ServerExtension for Eip2612Server {
    fn key(&self) -> &'static str {
        EIP2612
    }

    fn declare(&self, cx: &Declaring<'_>) -> Option<Value> {
        wanted(cx, true).then(|| {
            declaration(
                "The facilitator accepts EIP-2612 gasless Permit to `Permit2` canonical contract.",
                &[
                    ("from", ADDRESS, "The address of the sender."),
                    ("asset", ADDRESS, "The address of the ERC-20 token contract."),
                    ("spender", ADDRESS, "The address of the spender (Canonical Permit2)."),
                    ("amount", NUMBER, "The amount to approve (uint256). Typically MaxUint."),
                    ("nonce", NUMBER, "The current nonce of the sender."),
                    ("deadline", NUMBER, "The timestamp at which the signature expires."),
                    ("signature", HEX, "The 65-byte concatenated signature (r, s, v) as a hex string."),
                    ("version", VERSION, "Schema version identifier."),
                ],
            )
        })
    }
}

impl ServerExtension for Erc20ApprovalServer {
    fn key(&self) -> &'static str {
        ERC20
    }

    fn declare(&self, cx: &Declaring<'_>) -> Option<Value> {
        wanted(cx, false).then(|| {
            declaration(
                "The facilitator broadcasts a pre-signed ERC-20 approve() transaction to grant Permit2 allowance.",
                &[
                    ("from", ADDRESS, "The address of the sender (token owner)."),
                    ("asset", ADDRESS, "The address of the ERC-20 token contract."),
                    ("spender", ADDRESS, "The address of the spender (Canonical Permit2)."),
                    ("amount", NUMBER, "The amount approved (uint256). Always MaxUint256."),
                    ("signedTransaction", HEX, "The RLP-encoded signed EIP-1559 transaction as a hex string."),
                    ("version", VERSION, "Schema version identifier."),
                ],
            )
        })
    }
}

impl Build for Eip2612Server {
    type Config = NoConfig;

    async fn build(_: NoConfig, _: BuildContext) -> Result<Self, String> {
        Ok(Self)
    }
}

impl Build for Erc20ApprovalServer {
    type Config = NoConfig;

    async fn build(_: NoConfig, _: BuildContext) -> Result<Self, String> {
        Ok(Self)
    }
}
