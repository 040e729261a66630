//! Payments by Permit2: signed, packed into calls of the proxies, sent, and refused.

use alloy::primitives::{Address, B256, Bytes, Signature, U256};
use alloy::providers::Provider as _;
use alloy::rpc::types::{TransactionReceipt, TransactionRequest};
use alloy::signers::SignerSync as _;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{Eip712Domain, SolCall as _, SolStruct, eip712_domain};
use tollway_devnet::Devnet;
use tollway_devnet::accounts::{CLIENT, DevAccount, PAY_TO};
use tollway_devnet::contracts::addresses::{EXACT_PERMIT2_PROXY, PERMIT2, UPTO_PERMIT2_PROXY, USDC};
use tollway_devnet::contracts::{X402ExactPermit2Proxy, X402UptoPermit2Proxy};

use super::{NOW, Permit, nonce, parts, usdc_domain};

/// What a payer of the scheme `exact` signs.
pub(crate) mod exact {
    alloy::sol! {
        #[derive(Debug)]
        struct TokenPermissions {
            address token;
            uint256 amount;
        }

        #[derive(Debug)]
        struct Witness {
            address to;
            uint256 validAfter;
        }

        #[derive(Debug)]
        struct PermitWitnessTransferFrom {
            TokenPermissions permitted;
            address spender;
            uint256 nonce;
            uint256 deadline;
            Witness witness;
        }
    }
}

/// What a payer of the scheme `upto` signs.
pub(crate) mod upto {
    alloy::sol! {
        #[derive(Debug)]
        struct TokenPermissions {
            address token;
            uint256 amount;
        }

        #[derive(Debug)]
        struct Witness {
            address to;
            address facilitator;
            uint256 validAfter;
        }

        #[derive(Debug)]
        struct PermitWitnessTransferFrom {
            TokenPermissions permitted;
            address spender;
            uint256 nonce;
            uint256 deadline;
            Witness witness;
        }
    }
}

/// A call for somebody to send.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) to: Address,
    pub(crate) input: Bytes,
}

/// One payment of either scheme.
#[derive(Clone, Debug)]
pub(crate) struct Payment {
    pub(crate) from: Address,
    pub(crate) token: Address,
    pub(crate) amount: U256,
    pub(crate) nonce: U256,
    pub(crate) deadline: U256,
    pub(crate) to: Address,
    /// Who may settle: with one it is a payment of `upto`.
    pub(crate) facilitator: Option<Address>,
    pub(crate) valid_after: U256,
}

/// A permit by EIP-2612 and its signature.
#[derive(Clone, Debug)]
pub(crate) struct Approval {
    pub(crate) value: U256,
    pub(crate) deadline: U256,
    pub(crate) signature: Signature,
}

impl Payment {
    /// 1,000 from `client` to `payTo`, valid until this very second.
    pub(crate) fn exact(label: &str) -> Self {
        Self {
            from: CLIENT.address,
            token: USDC,
            amount: U256::from(1_000),
            nonce: nonce(label).into(),
            deadline: U256::from(NOW),
            to: PAY_TO.address,
            facilitator: None,
            valid_after: U256::ZERO,
        }
    }

    /// The same, up to that amount.
    pub(crate) fn upto(label: &str, facilitator: Address) -> Self {
        Self { facilitator: Some(facilitator), ..Self::exact(label) }
    }

    pub(crate) fn spender(&self) -> Address {
        if self.facilitator.is_some() { UPTO_PERMIT2_PROXY } else { EXACT_PERMIT2_PROXY }
    }

    pub(crate) fn digest(&self) -> B256 {
        self.digest_in(&permit2_domain())
    }

    pub(crate) fn digest_in(&self, domain: &Eip712Domain) -> B256 {
        let (spender, nonce, deadline) = (self.spender(), self.nonce, self.deadline);
        match self.facilitator {
            None => exact::PermitWitnessTransferFrom {
                permitted: exact::TokenPermissions { token: self.token, amount: self.amount },
                spender,
                nonce,
                deadline,
                witness: exact::Witness { to: self.to, validAfter: self.valid_after },
            }
            .eip712_signing_hash(domain),
            Some(facilitator) => upto::PermitWitnessTransferFrom {
                permitted: upto::TokenPermissions { token: self.token, amount: self.amount },
                spender,
                nonce,
                deadline,
                witness: upto::Witness { to: self.to, facilitator, validAfter: self.valid_after },
            }
            .eip712_signing_hash(domain),
        }
    }

    pub(crate) fn sign(&self, signer: &PrivateKeySigner) -> Signature {
        signer.sign_hash_sync(&self.digest()).unwrap()
    }

    pub(crate) fn signed(&self, payer: &DevAccount) -> Bytes {
        self.sign(&payer.signer()).as_bytes().into()
    }

    /// Settles the amount, which the proxy of `exact` does not ask for.
    pub(crate) fn settle(&self, amount: u64, signature: &Bytes) -> Call {
        let (owner, signature) = (self.from, signature.clone());
        let input = match self.facilitator {
            None => {
                let (permit, witness) = (self.exact_permit(), self.exact_witness());
                X402ExactPermit2Proxy::settleCall { permit, owner, witness, signature }.abi_encode()
            }
            Some(facilitator) => {
                let (permit, witness) = (self.upto_permit(), self.upto_witness(facilitator));
                let amount = U256::from(amount);
                X402UptoPermit2Proxy::settleCall { permit, amount, owner, witness, signature }.abi_encode()
            }
        };
        Call { to: self.spender(), input: input.into() }
    }

    /// The same after an EIP-2612 permit.
    pub(crate) fn settle_with_permit(&self, approval: &Approval, amount: u64, signature: &Bytes) -> Call {
        let (owner, signature) = (self.from, signature.clone());
        let (value, deadline) = (approval.value, approval.deadline);
        let (v, r, s) = parts(&approval.signature);
        let input = match self.facilitator {
            None => {
                let permit2612 = X402ExactPermit2Proxy::EIP2612Permit { value, deadline, r, s, v };
                let (permit, witness) = (self.exact_permit(), self.exact_witness());
                X402ExactPermit2Proxy::settleWithPermitCall { permit2612, permit, owner, witness, signature }
                    .abi_encode()
            }
            Some(facilitator) => {
                let permit2612 = X402UptoPermit2Proxy::EIP2612Permit { value, deadline, r, s, v };
                let (permit, witness) = (self.upto_permit(), self.upto_witness(facilitator));
                let amount = U256::from(amount);
                X402UptoPermit2Proxy::settleWithPermitCall { permit2612, permit, amount, owner, witness, signature }
                    .abi_encode()
            }
        };
        Call { to: self.spender(), input: input.into() }
    }

    fn exact_permit(&self) -> X402ExactPermit2Proxy::PermitTransferFrom {
        X402ExactPermit2Proxy::PermitTransferFrom {
            permitted: X402ExactPermit2Proxy::TokenPermissions { token: self.token, amount: self.amount },
            nonce: self.nonce,
            deadline: self.deadline,
        }
    }

    fn exact_witness(&self) -> X402ExactPermit2Proxy::Witness {
        X402ExactPermit2Proxy::Witness { to: self.to, validAfter: self.valid_after }
    }

    fn upto_permit(&self) -> X402UptoPermit2Proxy::PermitTransferFrom {
        X402UptoPermit2Proxy::PermitTransferFrom {
            permitted: X402UptoPermit2Proxy::TokenPermissions { token: self.token, amount: self.amount },
            nonce: self.nonce,
            deadline: self.deadline,
        }
    }

    fn upto_witness(&self, facilitator: Address) -> X402UptoPermit2Proxy::Witness {
        X402UptoPermit2Proxy::Witness { to: self.to, facilitator, validAfter: self.valid_after }
    }
}

impl Approval {
    /// The owner's first permit: Permit2 may spend this much USDC.
    pub(crate) fn first(owner: &DevAccount, value: u64) -> Self {
        let (value, deadline) = (U256::from(value), U256::from(NOW));
        let permit = Permit { owner: owner.address, spender: PERMIT2, value, nonce: U256::ZERO, deadline };
        let signature = owner.signer().sign_hash_sync(&permit.eip712_signing_hash(&usdc_domain())).unwrap();
        Self { value, deadline, signature }
    }
}

pub(crate) fn permit2_domain() -> Eip712Domain {
    eip712_domain! { name: "Permit2", chain_id: 84_532, verifying_contract: PERMIT2, }
}

pub(crate) fn permit2_digest(content: &impl SolStruct) -> B256 {
    content.eip712_signing_hash(&permit2_domain())
}

/// What a simulation answers where it does not succeed: the data of the revert.
pub(crate) async fn refusal(devnet: &Devnet, from: Address, call: Call) -> Vec<u8> {
    let request = TransactionRequest::default().from(from).to(call.to).input(call.input.into());
    let error = devnet.provider().call(request).await.unwrap_err();
    let data = error.as_error_resp().and_then(|error| error.as_revert_data());
    data.unwrap_or_else(|| panic!("{error}")).to_vec()
}

/// Sends, whatever a simulation would say.
pub(crate) async fn send(devnet: &Devnet, from: &DevAccount, call: Call) -> TransactionReceipt {
    let request = TransactionRequest {
        gas: Some(1_000_000),
        ..TransactionRequest::default().to(call.to).input(call.input.into())
    };
    devnet.provider_of(from).send_transaction(request).await.unwrap().get_receipt().await.unwrap()
}
