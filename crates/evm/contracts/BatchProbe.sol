// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

/// Tries payments that are to share one transaction, in their order and in one `eth_call`. It is never deployed: it
/// runs as creation code, and what it "deploys" is the answer. Whatever it changes is forgotten with the call; until
/// then each payment sees what those before it did, as it will in the transaction.
///
/// The payments follow the code, one after the other:
///
///   payer, target, size of the calldata, calldata
///
/// then four words: size of all that, number of payments, gas for each, the contract that will make the calls.
///
/// The answer is one word, the chain's id shifted by eight bits and whether that contract exists, and a word for each
/// payment: the gas its call took shifted by eight bits, and flags:
///
///   1    the payer has code; the call was not tried
///   2    the call did not revert
///
/// A payer's code may burn all the gas it can get, which the neighbours in a transaction would pay for: such payers go
/// alone. Each call has its own limit of gas here, and nothing of what it returns is copied.
contract BatchProbe {
    constructor() payable {
        assembly {
            // Memory: the four words at 0, the answer at 0x80, the payments behind it. Solidity's own pointers are
            // overwritten: nothing runs after this.
            let words := sub(codesize(), 0x80)
            codecopy(0, words, 0x80)
            let count := mload(0x20)
            let length := mul(0x20, add(count, 1))
            let payment := add(0x80, length)
            codecopy(payment, sub(words, mload(0)), mload(0))
            mstore(0x80, or(shl(8, chainid()), iszero(iszero(extcodesize(mload(0x60))))))

            for { let i := 1 } iszero(gt(i, count)) { i := add(i, 1) } {
                let size := mload(add(payment, 0x40))
                let word := 1
                if iszero(extcodesize(mload(payment))) {
                    let before := gas()
                    let ok := call(mload(0x40), mload(add(payment, 0x20)), 0, add(payment, 0x60), size, 0, 0)
                    word := or(shl(8, sub(before, gas())), shl(1, ok))
                }
                mstore(add(0x80, mul(0x20, i)), word)
                payment := add(add(payment, 0x60), size)
            }
            return(0x80, length)
        }
    }
}
