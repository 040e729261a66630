// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

// Contract wallets whose answer to `isValidSignature(bytes32,bytes)`, as to every other call, attacks its caller. None
// keeps state.

/// Burns all the gas it is given, with real work.
contract GasBurnerWallet {
    fallback() external {
        assembly ("memory-safe") {
            for {} 1 {} {}
        }
    }
}

/// Answers the right word, followed by zeros up to 1 MiB.
contract HugeAnswerWallet {
    fallback() external {
        assembly {
            mstore(0, shl(224, 0x1626ba7e))
            return(0, 0x100000)
        }
    }
}

/// Answers the right four bytes at the wrong end of the word.
contract PaddedMagicWallet {
    fallback() external {
        assembly {
            mstore(0, 0x1626ba7e)
            return(0, 0x20)
        }
    }
}

/// Answers the right four bytes and ones where zeros belong.
contract DirtyMagicWallet {
    fallback() external {
        assembly {
            mstore(0, or(shl(224, 0x1626ba7e), shr(32, not(0))))
            return(0, 0x20)
        }
    }
}

/// Answers the right four bytes and no more.
contract ShortMagicWallet {
    fallback() external {
        assembly {
            mstore(0, shl(224, 0x1626ba7e))
            return(0, 4)
        }
    }
}

/// Refuses every signature by reverting.
contract RevertingWallet {
    fallback() external {
        revert("RevertingWallet: no");
    }
}
