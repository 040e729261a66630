// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

/// Asks a chain everything about one Permit2 payment in one `eth_call`. It is never deployed: it runs as creation code,
/// or, where the proxy must be called by a certain account, as that account's code for the length of the call. Whatever
/// it changes is forgotten with the call.
///
/// The question follows the code: the calldata for the x402 proxy, the calldata of `isValidSignature`, then eleven words:
///
///   asset, payer, payee, value, proxy, nonce, size of the first calldata, size of the second, gas for each of the two,
///   gas for each view, whether the signature recovers to the payer
///
/// The answer's first word is the chain's id shifted by sixteen bits, and flags:
///
///   1    the payer has code
///   2    the payer's code confirms the signature (EIP-1271)
///   4    the asset has code
///   8    the proxy has code
///   16   the proxy's settlement did not revert
///   32   ... and raised the payee's balance by exactly the value
///   64   the asset told the allowance of Permit2, 128 the payer's balance, and 256 Permit2 the word of the nonce
///
/// Where the settlement did not do what it must, four words follow: allowance, balance, the word of Permit2's bitmap the
/// nonce is in, and the first 32 bytes of what the settlement reverted with.
///
/// Whoever is asked may be hostile. So each call has its own limit of gas, and only a fixed part of what it returns is
/// copied.
contract PermitProbe {
    constructor() payable {
        assembly {
            // Memory: the answer at 0, the question's words at 0x140, a view's calldata at 0x2a0 and its result at
            // 0x300, the two calldatas at 0x320. Solidity's own pointers are overwritten: nothing runs after this.
            let words := sub(codesize(), 0x160)
            codecopy(0x140, words, 0x160)
            let asset := mload(0x140)
            let payer := mload(0x160)
            let payee := mload(0x180)
            let proxy := mload(0x1c0)
            let settleSize := mload(0x200)
            let walletSize := mload(0x220)
            codecopy(0x320, sub(words, add(settleSize, walletSize)), add(settleSize, walletSize))

            function answer(flags, length) {
                mstore(0, or(shl(16, chainid()), flags))
                return(0, length)
            }

            // Calls a view whose selector, in the high bytes, and two arguments are given; answers whether a whole word
            // came back. Of `and`, the second operand runs first.
            function view_(target, selector, first, second, size) -> ok {
                mstore(0x2a0, selector)
                mstore(0x2a4, first)
                mstore(0x2c4, second)
                ok := and(gt(returndatasize(), 0x1f), staticcall(mload(0x260), target, 0x2a0, size, 0x300, 0x20))
            }

            let flags := 0

            if iszero(extcodesize(asset)) { answer(flags, 0x20) }
            flags := 4

            switch extcodesize(payer)
            case 0 { if iszero(mload(0x280)) { answer(flags, 0x20) } }
            default {
                flags := or(flags, 1)
                let magic := shl(224, 0x1626ba7e)
                let ok := staticcall(mload(0x240), payer, add(0x320, settleSize), walletSize, 0x300, 0x20)
                if iszero(and(and(ok, gt(returndatasize(), 0x1f)), eq(mload(0x300), magic))) { answer(flags, 0x20) }
                flags := or(flags, 2)
            }

            if iszero(extcodesize(proxy)) { answer(flags, 0x20) }
            flags := or(flags, 8)

            let balanceOf := shl(224, 0x70a08231) // balanceOf(address)
            mstore(0x300, 0)
            pop(view_(asset, balanceOf, payee, 0, 0x24))
            let before := mload(0x300)

            mstore(0x80, 0)
            switch call(mload(0x240), proxy, 0, 0x320, settleSize, 0x80, 0x20)
            case 0 {}
            default {
                flags := or(flags, 16)
                if view_(asset, balanceOf, payee, 0, 0x24) {
                    // A payer who pays himself ends with what he had.
                    let gain := mul(iszero(eq(payer, payee)), mload(0x1a0))
                    if eq(mload(0x300), add(before, gain)) { answer(or(flags, 32), 0x20) }
                }
            }

            let permit2 := 0x000000000022D473030F116dDEE9F6B43aC78BA3
            mstore(0x20, 0)
            if view_(asset, shl(224, 0xdd62ed3e), payer, permit2, 0x44) { // allowance(address,address)
                mstore(0x20, mload(0x300))
                flags := or(flags, 64)
            }
            mstore(0x40, 0)
            if view_(asset, balanceOf, payer, 0, 0x24) {
                mstore(0x40, mload(0x300))
                flags := or(flags, 128)
            }
            mstore(0x60, 0)
            if view_(permit2, shl(224, 0x4fe02b44), payer, shr(8, mload(0x1e0)), 0x44) { // nonceBitmap(address,uint256)
                mstore(0x60, mload(0x300))
                flags := or(flags, 256)
            }
            answer(flags, 0xa0)
        }
    }
}
