// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.34;

/// ERC-20 and nothing more: no permit, no authorizations, no version. Paying with it needs an approval.
///
/// The slots are those of TestUsd as far as they go, so that genesis writes both tokens alike.
contract PlainToken {
    string public name; // slot 0
    string public symbol; // slot 1
    string private _unused; // slot 2
    uint8 public decimals; // slot 3
    uint256 public totalSupply; // slot 4
    mapping(address owner => uint256) public balanceOf; // slot 5
    mapping(address owner => mapping(address spender => uint256)) public allowance; // slot 6

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    constructor(string memory name_, string memory symbol_, uint8 decimals_, address holder, uint256 supply) {
        name = name_;
        symbol = symbol_;
        decimals = decimals_;
        totalSupply = supply;
        balanceOf[holder] = supply;
        emit Transfer(address(0), holder, supply);
    }

    function transfer(address to, uint256 value) external returns (bool) {
        _transfer(msg.sender, to, value);
        return true;
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        uint256 allowed = allowance[from][msg.sender];
        require(value <= allowed, "ERC20: insufficient allowance");
        if (allowed != type(uint256).max) allowance[from][msg.sender] = allowed - value;
        _transfer(from, to, value);
        return true;
    }

    function approve(address spender, uint256 value) external returns (bool) {
        require(spender != address(0), "ERC20: approve to the zero address");
        allowance[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
        return true;
    }

    function _transfer(address from, address to, uint256 value) private {
        require(to != address(0), "ERC20: transfer to the zero address");
        require(value <= balanceOf[from], "ERC20: transfer amount exceeds balance");
        balanceOf[from] -= value;
        balanceOf[to] += value;
        emit Transfer(from, to, value);
    }
}
