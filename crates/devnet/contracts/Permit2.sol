// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

/// One token and the most of it that may be taken.
struct TokenPermissions {
    address token;
    uint256 amount;
}

/// What an owner signs for one transfer. The spender is not in it: it is whoever calls.
struct PermitTransferFrom {
    TokenPermissions permitted;
    uint256 nonce;
    uint256 deadline;
}

/// What an owner signs for several transfers under one nonce.
struct PermitBatchTransferFrom {
    TokenPermissions[] permitted;
    uint256 nonce;
    uint256 deadline;
}

/// What the spender makes of a permission.
struct SignatureTransferDetails {
    address to;
    uint256 requestedAmount;
}

/// The one function of EIP-1271.
interface IContractSigner {
    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4);
}

/// What is asked of a token.
interface ITransferFrom {
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
}

/// Transfers by signature with the interface of the contract that most chains have at
/// 0x000000000022D473030F116dDEE9F6B43aC78BA3: same functions, errors and digests, same order of checks. Its other half,
/// allowances with an expiry, is not here.
///
/// Some of what it does looks careless and is kept, because payments have to survive it: a signature counts in its
/// high-s form too, a token without code "succeeds", and a token's own reason for failing is lost.
contract Permit2 {
    /// The bit `nonce % 256` of the word `nonce / 256` says whether a nonce is used.
    mapping(address owner => mapping(uint256 word => uint256)) public nonceBitmap;

    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,uint256 chainId,address verifyingContract)");
    bytes32 private constant TOKEN_PERMISSIONS_TYPEHASH = keccak256("TokenPermissions(address token,uint256 amount)");
    bytes32 private constant TRANSFER_TYPEHASH = keccak256(
        "PermitTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline)TokenPermissions(address token,uint256 amount)"
    );
    bytes32 private constant BATCH_TYPEHASH = keccak256(
        "PermitBatchTransferFrom(TokenPermissions[] permitted,address spender,uint256 nonce,uint256 deadline)TokenPermissions(address token,uint256 amount)"
    );
    // The caller's witness type continues these.
    string private constant WITNESS_TRANSFER_TYPE =
        "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,";
    string private constant WITNESS_BATCH_TYPE =
        "PermitBatchWitnessTransferFrom(TokenPermissions[] permitted,address spender,uint256 nonce,uint256 deadline,";

    event UnorderedNonceInvalidation(address indexed owner, uint256 word, uint256 mask);

    error SignatureExpired(uint256 signatureDeadline);
    error InvalidNonce();
    error InvalidAmount(uint256 maxAmount);
    error LengthMismatch();
    error InvalidSignatureLength();
    error InvalidSignature();
    error InvalidSigner();
    error InvalidContractSignature();

    /// Without a version, unlike the tokens' domains.
    function DOMAIN_SEPARATOR() public view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPEHASH, keccak256("Permit2"), block.chainid, address(this)));
    }

    /// Gives up the caller's own nonces, used or not.
    function invalidateUnorderedNonces(uint256 wordPos, uint256 mask) external {
        nonceBitmap[msg.sender][wordPos] |= mask;
        emit UnorderedNonceInvalidation(msg.sender, wordPos, mask);
    }

    // One transfer

    function permitTransferFrom(
        PermitTransferFrom calldata permit,
        SignatureTransferDetails calldata transferDetails,
        address owner,
        bytes calldata signature
    ) external {
        bytes32 content = keccak256(
            abi.encode(TRANSFER_TYPEHASH, _hash(permit.permitted), msg.sender, permit.nonce, permit.deadline)
        );
        _transfer(permit, transferDetails, owner, content, signature);
    }

    function permitWitnessTransferFrom(
        PermitTransferFrom calldata permit,
        SignatureTransferDetails calldata transferDetails,
        address owner,
        bytes32 witness,
        string calldata witnessTypeString,
        bytes calldata signature
    ) external {
        bytes32 kind = keccak256(abi.encodePacked(WITNESS_TRANSFER_TYPE, witnessTypeString));
        bytes32 content = keccak256(
            abi.encode(kind, _hash(permit.permitted), msg.sender, permit.nonce, permit.deadline, witness)
        );
        _transfer(permit, transferDetails, owner, content, signature);
    }

    function _transfer(
        PermitTransferFrom calldata permit,
        SignatureTransferDetails calldata transferDetails,
        address owner,
        bytes32 content,
        bytes calldata signature
    ) private {
        uint256 most = permit.permitted.amount;
        if (block.timestamp > permit.deadline) revert SignatureExpired(permit.deadline);
        if (transferDetails.requestedAmount > most) revert InvalidAmount(most);
        _spend(owner, permit.nonce, content, signature);
        _move(permit.permitted.token, owner, transferDetails);
    }

    // Several transfers

    function permitTransferFrom(
        PermitBatchTransferFrom calldata permit,
        SignatureTransferDetails[] calldata transferDetails,
        address owner,
        bytes calldata signature
    ) external {
        bytes32 content = keccak256(
            abi.encode(BATCH_TYPEHASH, _hash(permit.permitted), msg.sender, permit.nonce, permit.deadline)
        );
        _transfer(permit, transferDetails, owner, content, signature);
    }

    function permitWitnessTransferFrom(
        PermitBatchTransferFrom calldata permit,
        SignatureTransferDetails[] calldata transferDetails,
        address owner,
        bytes32 witness,
        string calldata witnessTypeString,
        bytes calldata signature
    ) external {
        bytes32 kind = keccak256(abi.encodePacked(WITNESS_BATCH_TYPE, witnessTypeString));
        bytes32 content = keccak256(
            abi.encode(kind, _hash(permit.permitted), msg.sender, permit.nonce, permit.deadline, witness)
        );
        _transfer(permit, transferDetails, owner, content, signature);
    }

    function _transfer(
        PermitBatchTransferFrom calldata permit,
        SignatureTransferDetails[] calldata transferDetails,
        address owner,
        bytes32 content,
        bytes calldata signature
    ) private {
        if (block.timestamp > permit.deadline) revert SignatureExpired(permit.deadline);
        if (permit.permitted.length != transferDetails.length) revert LengthMismatch();
        _spend(owner, permit.nonce, content, signature);
        for (uint256 i = 0; i < transferDetails.length; i++) {
            TokenPermissions calldata permitted = permit.permitted[i];
            uint256 requested = transferDetails[i].requestedAmount;
            if (requested > permitted.amount) revert InvalidAmount(permitted.amount);
            // A spender leaves a token out by asking for none of it.
            if (requested != 0) _move(permitted.token, owner, transferDetails[i]);
        }
    }

    // What both share

    /// Uses the nonce up, then checks the signature: of a replay with a broken signature the nonce is reported.
    function _spend(address owner, uint256 nonce, bytes32 content, bytes calldata signature) private {
        uint256 used = nonceBitmap[owner][nonce >> 8];
        uint256 bit = 1 << (nonce & 0xff);
        if (used & bit != 0) revert InvalidNonce();
        nonceBitmap[owner][nonce >> 8] = used | bit;
        _requireSigned(owner, keccak256(abi.encodePacked(hex"1901", DOMAIN_SEPARATOR(), content)), signature);
    }

    /// An account with code answers for itself and never by its key; its revert becomes this contract's.
    function _requireSigned(address owner, bytes32 digest, bytes calldata signature) private view {
        if (owner.code.length != 0) {
            bytes4 answer = IContractSigner(owner).isValidSignature(digest, signature);
            if (answer != IContractSigner.isValidSignature.selector) revert InvalidContractSignature();
            return;
        }
        if (signature.length != 64 && signature.length != 65) revert InvalidSignatureLength();
        bytes32 s = bytes32(signature[32:64]);
        uint8 v;
        if (signature.length == 65) {
            v = uint8(signature[64]);
        } else {
            // EIP-2098 keeps the parity in the highest bit of s.
            v = 27 + uint8(uint256(s) >> 255);
            s = bytes32(uint256(s) << 1 >> 1);
        }
        address signer = ecrecover(digest, v, bytes32(signature[:32]), s);
        if (signer == address(0)) revert InvalidSignature();
        if (signer != owner) revert InvalidSigner();
    }

    /// Tokens may answer `true` or nothing.
    function _move(address token, address owner, SignatureTransferDetails calldata details) private {
        (bool success, bytes memory answer) =
            token.call(abi.encodeCall(ITransferFrom.transferFrom, (owner, details.to, details.requestedAmount)));
        bool agreed = answer.length == 0 || (answer.length >= 32 && abi.decode(answer, (uint256)) == 1);
        require(success && agreed, "TRANSFER_FROM_FAILED");
    }

    function _hash(TokenPermissions calldata permitted) private pure returns (bytes32) {
        return keccak256(abi.encode(TOKEN_PERMISSIONS_TYPEHASH, permitted.token, permitted.amount));
    }

    function _hash(TokenPermissions[] calldata permitted) private pure returns (bytes32) {
        bytes32[] memory hashes = new bytes32[](permitted.length);
        for (uint256 i = 0; i < permitted.length; i++) {
            hashes[i] = _hash(permitted[i]);
        }
        return keccak256(abi.encodePacked(hashes));
    }
}
