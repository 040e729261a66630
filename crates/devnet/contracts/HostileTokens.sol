// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

import {TestUsd} from "./TestUsd.sol";

/// Does nothing, successfully, where an honest token reverts because the nonce is used or the payer is too poor.
/// An attacker sees "success" for a payment that moved nothing.
contract SilentToken is TestUsd {
    constructor(address holder, uint256 supply) TestUsd("Silent", "SLNT", "1", 6, holder, supply) {}

    function _authorized(
        bytes32 kind,
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) internal override {
        if (authorizationState[from][nonce] || balanceOf[from] < value) return;
        super._authorized(kind, from, to, value, validAfter, validBefore, nonce, signature);
    }
}

/// Uses the nonce up and reports it, but neither moves the money nor emits `Transfer`.
contract StuckToken is TestUsd {
    constructor(address holder, uint256 supply) TestUsd("Stuck", "STCK", "1", 6, holder, supply) {}

    function _transfer(address, address, uint256) internal override {}
}

/// Moves the money without a `Transfer` log.
contract NoEventToken is TestUsd {
    constructor(address holder, uint256 supply) TestUsd("No Event", "NOEV", "1", 6, holder, supply) {}

    function _transfer(address from, address to, uint256 value) internal override {
        _move(from, to, value);
    }
}

/// Keeps a tenth of each transfer for itself: the log tells the smaller amount that arrived.
contract FeeToken is TestUsd {
    constructor(address holder, uint256 supply) TestUsd("Fee", "FEE", "1", 6, holder, supply) {}

    function _transfer(address from, address to, uint256 value) internal override {
        uint256 fee = value / 10;
        super._transfer(from, address(this), fee);
        super._transfer(from, to, value - fee);
    }
}
