// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

/// A contract wallet with one owner that answers for signatures by EIP-1271.
///
/// Without an owner, which is how an account that delegates to it by EIP-7702 runs it, the account owns itself.
contract Wallet1271 {
    /// Slot 0: genesis writes it by number.
    address private _owner;

    bytes32 private constant HIGHEST_S = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    constructor(address owner_) {
        _owner = owner_;
    }

    receive() external payable {}

    function owner() public view returns (address) {
        return _owner == address(0) ? address(this) : _owner;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        if (signature.length != 65) return 0xffffffff;
        bytes32 s = bytes32(signature[32:64]);
        if (s > HIGHEST_S) return 0xffffffff;
        address signer = ecrecover(digest, uint8(signature[64]), bytes32(signature[:32]), s);
        return signer != address(0) && signer == owner() ? this.isValidSignature.selector : bytes4(0xffffffff);
    }

    /// Any call in the wallet's name, for its owner only.
    function execute(address target, uint256 value, bytes calldata data) external payable returns (bytes memory) {
        require(msg.sender == owner(), "Wallet1271: not the owner");
        (bool success, bytes memory answer) = target.call{value: value}(data);
        if (!success) {
            assembly ("memory-safe") {
                revert(add(answer, 0x20), mload(answer))
            }
        }
        return answer;
    }
}

/// Makes wallets at addresses known beforehand, so that a wallet can own money and sign (EIP-6492) before it exists.
contract Wallet1271Factory {
    /// Answers the address; does nothing where the wallet exists.
    function create(address owner, bytes32 salt) external returns (address wallet) {
        wallet = addressOf(owner, salt);
        if (wallet.code.length == 0) {
            require(address(new Wallet1271{salt: salt}(owner)) == wallet, "Wallet1271Factory: wrong address");
        }
    }

    function addressOf(address owner, bytes32 salt) public view returns (address) {
        bytes32 code = keccak256(abi.encodePacked(type(Wallet1271).creationCode, abi.encode(owner)));
        return address(uint160(uint256(keccak256(abi.encodePacked(hex"ff", address(this), salt, code)))));
    }
}
