//! The contract interfaces spoken here, ABI-encoded by alloy.

use alloy::primitives::{Address, address};

alloy::sol! {
    /// EIP-3009 with the events its proof is read from, and EIP-1271.
    interface Token {
        event Transfer(address indexed from, address indexed to, uint256 value);
        event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);
        event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce);

        function authorizationState(address authorizer, bytes32 nonce) external view returns (bool);
        function transferWithAuthorization(
            address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce,
            uint8 v, bytes32 r, bytes32 s
        ) external;
        function transferWithAuthorization(
            address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce,
            bytes signature
        ) external;
    }

    interface Wallet {
        function isValidSignature(bytes32 digest, bytes signature) external view returns (bytes4);
    }
}

alloy::sol! {
    /// Many calls in one transaction.
    interface Multicall3 {
        struct Call3 { address target; bool allowFailure; bytes callData; }
        function aggregate3(Call3[] calls) external payable;
    }
}

/// Where Multicall3 is on every chain that has it.
pub(crate) const MULTICALL3: Address = address!("cA11bde05977b3631167028862bE2a173976CA11");

alloy::sol!(BatchProbe, "artifacts/BatchProbe.json");
alloy::sol!(Probe, "artifacts/Probe.json");
alloy::sol!(PermitProbe, "artifacts/PermitProbe.json");
