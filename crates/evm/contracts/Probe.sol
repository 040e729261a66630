// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

/// Asks a chain everything about one EIP-3009 payment in one `eth_call`. It is never deployed: it runs as creation
/// code, and what it "deploys" is the answer. Whatever it changes is forgotten with the call.
///
/// The question follows the code: the calldata of `transferWithAuthorization`, the calldata of `isValidSignature`, the
/// calldata that may make the payer's wallet (ERC-6492), then twelve words:
///
///   asset, payer, payee, value, nonce, size of the first calldata, size of the second, gas for each of the three,
///   gas for each view, whether the signature recovers to the payer, whom to call with the third calldata where the
///   payer has no code (zero: nobody), size of the third
///
/// The answer is one word: the chain's id shifted by eight bits, and flags:
///
///   1    the payer has code
///   2    the payer's code confirms the signature (EIP-1271)
///   4    the asset has code
///   8    the asset answers `authorizationState`
///   16   the nonce was used before
///   32   the transfer did not revert
///   64   ... and used the nonce, and raised the payee's balance by exactly the value
///   128  the payer had no code, and has by the third calldata
///
/// Where the transfer reverted there follow the payer's balance (all ones if the asset would not say) and the first
/// 128 bytes of what `name()` and of what `version()` returned.
///
/// Whoever is asked may be hostile. So each call has its own limit of gas, and only a fixed part of what it returns
/// is copied: an account that answers with a megabyte pays for that out of its own limit.
contract Probe {
    constructor() payable {
        assembly {
            // Memory: the answer at 0, the question's words at 0x140, a view's calldata at 0x2c0 and its result at
            // 0x320, the three calldatas at 0x340. Solidity's own pointers are overwritten: nothing runs after this.
            let words := sub(codesize(), 0x180)
            codecopy(0x140, words, 0x180)
            let asset := mload(0x140)
            let payer := mload(0x160)
            let payee := mload(0x180)
            let transferSize := mload(0x1e0)
            let walletSize := mload(0x200)
            let makerSize := mload(0x2a0)
            let size := add(add(transferSize, walletSize), makerSize)
            codecopy(0x340, sub(words, size), size)

            function answer(flags, length) {
                mstore(0, or(shl(8, chainid()), flags))
                return(0, length)
            }

            // Calls a view whose selector, in the high bytes, and first argument are given, and whose second argument
            // is in place; answers whether a whole word came back. Of `and`, the second operand runs first.
            function view_(token, selector, account, length) -> ok {
                mstore(0x2c0, selector)
                mstore(0x2c4, account)
                ok := and(gt(returndatasize(), 0x1f), staticcall(mload(0x240), token, 0x2c0, length, 0x320, 0x20))
            }

            let flags := 0

            switch extcodesize(payer)
            case 0 {
                let maker := mload(0x280)
                if maker {
                    // What it answers does not matter, only whether the wallet is there.
                    pop(call(mload(0x220), maker, 0, add(0x340, add(transferSize, walletSize)), makerSize, 0, 0))
                    if extcodesize(payer) { flags := 128 }
                }
            }
            default { flags := 1 }

            switch flags
            case 0 { if iszero(mload(0x260)) { answer(flags, 0x20) } }
            default {
                let magic := shl(224, 0x1626ba7e)
                let ok := staticcall(mload(0x220), payer, add(0x340, transferSize), walletSize, 0x320, 0x20)
                if iszero(and(and(ok, gt(returndatasize(), 0x1f)), eq(mload(0x320), magic))) { answer(flags, 0x20) }
                flags := or(flags, 2)
            }

            if iszero(extcodesize(asset)) { answer(flags, 0x20) }
            flags := or(flags, 4)

            let stateOf := shl(224, 0xe94a0102) // authorizationState(address,bytes32)
            mstore(0x2e4, mload(0x1c0))
            if iszero(view_(asset, stateOf, payer, 0x44)) { answer(flags, 0x20) }
            flags := or(flags, 8)
            if mload(0x320) { answer(or(flags, 16), 0x20) }

            let balanceOf := shl(224, 0x70a08231) // balanceOf(address)
            mstore(0x320, 0)
            pop(view_(asset, balanceOf, payee, 0x24))
            let before := mload(0x320)

            switch call(mload(0x220), asset, 0, 0x340, transferSize, 0, 0)
            case 0 {
                mstore(0x20, not(0))
                if view_(asset, balanceOf, payer, 0x24) { mstore(0x20, mload(0x320)) }
                mstore(0x2c0, shl(224, 0x06fdde03)) // name()
                pop(staticcall(mload(0x240), asset, 0x2c0, 4, 0x40, 0x80))
                mstore(0x2c0, shl(224, 0x54fd4d50)) // version()
                pop(staticcall(mload(0x240), asset, 0x2c0, 4, 0xc0, 0x80))
                answer(flags, 0x140)
            }
            default {
                flags := or(flags, 32)
                if view_(asset, balanceOf, payee, 0x24) {
                    // A payer who pays himself ends with what he had.
                    let gain := mul(iszero(eq(payer, payee)), mload(0x1a0))
                    let right := eq(mload(0x320), add(before, gain))
                    mstore(0x2e4, mload(0x1c0))
                    let ok := view_(asset, stateOf, payer, 0x44)
                    if and(and(ok, right), eq(mload(0x320), 1)) { flags := or(flags, 64) }
                }
                answer(flags, 0x20)
            }
        }
    }
}
