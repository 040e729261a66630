//! Deploying, calling, estimating, and reading back what happened.

mod common;

use alloy::consensus::TxEnvelope;
use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::primitives::{Address, Bytes, U256, address, bytes};
use alloy::providers::Provider as _;
use alloy::rpc::types::state::StateOverridesBuilder;
use alloy::rpc::types::{BlockOverrides, Filter, TransactionRequest};
use alloy::sol_types::{SolCall as _, SolEvent as _, SolValue as _};
use common::{NOW, builder, devnet};
use tollway_devnet::accounts::{ACCOUNTS, CLIENT, DEPLOYER, FACILITATOR, PAY_TO, POOR};
use tollway_devnet::contracts::addresses::{MULTICALL3, PLAIN, USDC};
use tollway_devnet::contracts::{Multicall3, PlainToken, TestUsd};

const NOBODY: Address = address!("0x00000000000000000000000000000000000000aa");

#[tokio::test]
async fn genesis_is_as_documented() {
    let devnet = devnet();
    let usdc = TestUsd::new(USDC, devnet.provider());
    assert_eq!(usdc.name().call().await.unwrap(), "USDC");
    assert_eq!(usdc.symbol().call().await.unwrap(), "USDC");
    assert_eq!(usdc.version().call().await.unwrap(), "2");
    assert_eq!(usdc.decimals().call().await.unwrap(), 6);
    assert_eq!(
        usdc.DOMAIN_SEPARATOR().call().await.unwrap(),
        common::usdc_domain().separator(),
        "the domain must be the one clients sign for"
    );
    let mut held = U256::ZERO;
    for account in ACCOUNTS.map(|account| account.address) {
        held += devnet.balance_of(USDC, account).unwrap();
    }
    held += devnet.balance_of(USDC, tollway_devnet::contracts::addresses::WALLET_1271).unwrap();
    assert_eq!(usdc.totalSupply().call().await.unwrap(), held);
    assert!(devnet.balance_of(USDC, POOR.address).unwrap().is_zero());
    assert!(devnet.balance(POOR.address).is_zero());
    assert!(devnet.balance(FACILITATOR.address) > U256::ZERO);
    assert_eq!(PlainToken::new(PLAIN, devnet.provider()).name().call().await.unwrap(), "Plain");
}

#[tokio::test]
async fn a_contract_is_deployed_called_and_read() {
    let devnet = devnet();
    let provider = devnet.provider_of(&DEPLOYER);
    let token =
        TestUsd::deploy(&provider, "Dollar".into(), "D".into(), "1".into(), 6, CLIENT.address, U256::from(1_000))
            .await
            .unwrap();
    assert_eq!(*token.address(), DEPLOYER.address.create(0));
    assert_eq!(devnet.code(*token.address()), *TestUsd::DEPLOYED_BYTECODE);
    assert_eq!(token.balanceOf(CLIENT.address).call().await.unwrap(), U256::from(1_000));

    let client = devnet.provider_of(&CLIENT);
    let receipt = TestUsd::new(*token.address(), &client)
        .transfer(PAY_TO.address, U256::from(300))
        .send()
        .await
        .unwrap()
        .get_receipt()
        .await
        .unwrap();
    assert!(receipt.status());
    let event = receipt.decoded_log::<TestUsd::Transfer>().unwrap();
    assert_eq!((event.from, event.to, event.value), (CLIENT.address, PAY_TO.address, U256::from(300)));
    assert_eq!(devnet.balance_of(*token.address(), PAY_TO.address).unwrap(), U256::from(300));

    let filter = Filter::new()
        .address(*token.address())
        .event_signature(TestUsd::Transfer::SIGNATURE_HASH)
        .topic2(PAY_TO.address.into_word())
        .from_block(0);
    let logs = provider.get_logs(&filter).await.unwrap();
    assert_eq!(logs.len(), 1);
    assert_eq!(logs[0].transaction_hash, Some(receipt.transaction_hash));
    assert_eq!(logs[0].block_timestamp, Some(NOW));
    assert!(provider.get_logs(&filter.topic2(NOBODY.into_word())).await.unwrap().is_empty());
}

#[tokio::test]
async fn blocks_receipts_and_transactions_agree() {
    let devnet = devnet();
    let provider = devnet.provider_of(&CLIENT);
    let usdc = TestUsd::new(USDC, &provider);
    let sent = usdc.transfer(PAY_TO.address, U256::from(1)).send().await.unwrap();
    let receipt = sent.get_receipt().await.unwrap();

    let block = provider.get_block(BlockId::latest()).full().await.unwrap().unwrap();
    assert_eq!(block.header.hash, block.header.inner.hash_slow());
    assert_eq!(block.header.number, 1);
    assert_eq!(block.header.gas_used, receipt.gas_used);
    assert_eq!(block.header.logs_bloom, *receipt.inner.logs_bloom());
    let bodies = block.clone().convert_transactions::<TxEnvelope>();
    assert_eq!(bodies.calculate_transactions_root(), Some(block.header.transactions_root));
    let by_hash = provider.get_block_by_hash(block.header.hash).full().await.unwrap().unwrap();
    assert_eq!(by_hash, block);

    let receipts = provider.get_block_receipts(BlockId::latest()).await.unwrap().unwrap();
    assert_eq!(receipts, vec![receipt.clone()]);
    let found = provider.get_transaction_by_hash(receipt.transaction_hash).await.unwrap().unwrap();
    assert_eq!(found.block_hash, Some(block.header.hash));
    assert_eq!(found.inner.signer(), CLIENT.address);
    assert_eq!(block.transactions.as_transactions().unwrap(), [found]);

    let genesis = provider.get_block_by_number(BlockNumberOrTag::Earliest).await.unwrap().unwrap();
    assert_eq!(block.header.parent_hash, genesis.header.hash);
    assert!(provider.get_block_receipts(BlockId::number(9)).await.unwrap().is_none());
    assert!(provider.get_block_by_number(9.into()).await.unwrap().is_none());
}

#[tokio::test]
async fn reverts_tell_their_reason() {
    let devnet = devnet();
    let usdc = TestUsd::new(USDC, devnet.provider());
    let error = usdc.transfer(PAY_TO.address, U256::from(1)).from(POOR.address).call().await.unwrap_err().to_string();
    assert!(error.contains("code 3"), "{error}");
    assert!(error.contains("execution reverted: ERC20: transfer amount exceeds balance"), "{error}");
    let error = usdc.transfer(PAY_TO.address, U256::from(1)).from(POOR.address).estimate_gas().await.unwrap_err();
    assert!(error.to_string().contains("ERC20: transfer amount exceeds balance"), "{error}");
}

#[tokio::test]
async fn a_mined_revert_has_a_receipt_and_no_logs() {
    let devnet = devnet();
    let provider = devnet.provider_of(&CLIENT);
    let receipt = TestUsd::new(USDC, &provider)
        .transfer(PAY_TO.address, U256::MAX)
        .gas(100_000)
        .send()
        .await
        .unwrap()
        .get_receipt()
        .await
        .unwrap();
    assert!(!receipt.status());
    assert!(receipt.inner.logs().is_empty());
    assert!(receipt.gas_used < 100_000);
}

#[tokio::test]
async fn an_estimate_is_enough_and_not_much_more() {
    let devnet = devnet();
    let provider = devnet.provider_of(&CLIENT);
    let usdc = TestUsd::new(USDC, &provider);
    let transfer = usdc.transfer(PAY_TO.address, U256::from(1));
    let estimate = transfer.estimate_gas().await.unwrap();
    let receipt = transfer.gas(estimate).send().await.unwrap().get_receipt().await.unwrap();
    assert!(receipt.status());
    assert!(estimate < receipt.gas_used + receipt.gas_used / 50, "{estimate}");

    let plain = TransactionRequest::default().from(CLIENT.address).to(NOBODY).value(U256::ONE);
    assert_eq!(provider.estimate_gas(plain.clone()).await.unwrap(), 21_000);
    let error = provider.estimate_gas(plain.from(POOR.address)).await.unwrap_err();
    assert!(error.to_string().contains("insufficient funds"), "{error}");
}

#[tokio::test]
async fn creation_code_runs_without_being_deployed() {
    let devnet = devnet();
    // Copies the 32 bytes that follow the code, and returns them.
    let code = bytes!("6020600c60003960206000f3").to_vec();
    let word = U256::from(42).abi_encode();
    let request = TransactionRequest::default().input(Bytes::from([code, word.clone()].concat()).into());
    let answer = devnet.provider().call(request).await.unwrap();
    assert_eq!(answer, word);
    assert_eq!(devnet.block_number(), 0);
}

#[tokio::test]
async fn calls_have_a_gas_cap() {
    let devnet = builder().call_gas_cap(100_000).build().unwrap();
    let forever = bytes!("5b600056");
    devnet.set_code(NOBODY, forever);
    let request = TransactionRequest::default().to(NOBODY).gas_limit(u64::MAX);
    let error = devnet.provider().call(request).await.unwrap_err();
    assert!(error.to_string().contains("out of gas"), "{error}");
}

#[tokio::test]
async fn many_calls_share_one() {
    let devnet = devnet();
    let multicall = Multicall3::new(MULTICALL3, devnet.provider());
    let balance = |holder| Multicall3::Call3 {
        target: USDC,
        allowFailure: true,
        callData: TestUsd::balanceOfCall { owner: holder }.abi_encode().into(),
    };
    let failing = Multicall3::Call3 {
        target: USDC,
        allowFailure: true,
        callData: TestUsd::transferCall { to: NOBODY, value: U256::MAX }.abi_encode().into(),
    };
    let results = multicall
        .aggregate3(vec![balance(CLIENT.address), failing.clone(), balance(POOR.address)])
        .call()
        .await
        .unwrap();
    assert_eq!(results.iter().map(|result| result.success).collect::<Vec<_>>(), [true, false, true]);
    let client = U256::abi_decode(&results[0].returnData).unwrap();
    assert_eq!(client, devnet.balance_of(USDC, CLIENT.address).unwrap());

    let strict = Multicall3::Call3 { allowFailure: false, ..failing };
    let error = multicall.aggregate3(vec![strict]).call().await.unwrap_err();
    assert!(error.to_string().contains("Multicall3: call failed"), "{error}");

    assert_eq!(multicall.getChainId().call().await.unwrap(), U256::from(84_532));
    assert_eq!(multicall.getCurrentBlockTimestamp().call().await.unwrap(), U256::from(NOW));
    let at = multicall.tryBlockAndAggregate(false, vec![]).call().await.unwrap();
    assert_eq!(at.blockNumber, U256::ZERO);
}

#[tokio::test]
async fn older_state_can_be_asked() {
    let devnet = devnet();
    let provider = devnet.provider_of(&CLIENT);
    let usdc = TestUsd::new(USDC, &provider);
    for _ in 0..2 {
        usdc.transfer(PAY_TO.address, U256::from(5)).send().await.unwrap().watch().await.unwrap();
    }
    for (block, balance) in [(0, 0), (1, 5), (2, 10)] {
        let call = usdc.balanceOf(PAY_TO.address).block(BlockId::number(block));
        assert_eq!(call.call().await.unwrap(), U256::from(balance));
        let nonce = provider.get_transaction_count(CLIENT.address).number(block).await.unwrap();
        assert_eq!(nonce, block);
    }
    let call = usdc.balanceOf(PAY_TO.address).block(BlockId::number(3));
    assert!(call.call().await.unwrap_err().to_string().contains("header not found"));
}

#[tokio::test]
async fn calls_can_pretend() {
    let devnet = devnet();
    let provider = devnet.provider();
    let usdc = TestUsd::new(USDC, &provider);
    let code = bytes!("602a60005260206000f3");
    let pretended = StateOverridesBuilder::default().with_code(NOBODY, code).build();
    let answer = provider
        .call(TransactionRequest::default().to(NOBODY))
        .overrides(pretended)
        .with_block_overrides(BlockOverrides::default().with_time(NOW + 5))
        .await
        .unwrap();
    assert_eq!(answer, U256::from(42).abi_encode());
    assert!(devnet.code(NOBODY).is_empty());

    // Slot 5 of the token holds the balances.
    let slot = alloy::primitives::keccak256((POOR.address, U256::from(5)).abi_encode());
    let pretended = StateOverridesBuilder::default().with_state_diff(USDC, [(slot, U256::from(9).into())]).build();
    let rich = usdc.balanceOf(POOR.address).state(pretended).call().await.unwrap();
    assert_eq!(rich, U256::from(9));
}

#[tokio::test]
async fn the_node_tells_about_itself() {
    let devnet = builder().chain_id(31_337).build().unwrap();
    let provider = devnet.provider();
    assert_eq!(provider.get_chain_id().await.unwrap(), 31_337);
    assert_eq!(devnet.chain_id(), 31_337);
    assert_eq!(provider.get_net_version().await.unwrap(), 31_337);
    let version = provider.get_client_version().await.unwrap();
    assert!(version.starts_with("tollway-devnet/"), "{version}");
    assert!(provider.get_accounts().await.unwrap().is_empty());
    // A contract sees the same id.
    let usdc = TestUsd::new(USDC, provider);
    assert_ne!(usdc.DOMAIN_SEPARATOR().call().await.unwrap(), common::usdc_domain().separator());
}

#[tokio::test]
async fn fees_are_told_as_they_are() {
    let devnet = builder().base_fee(1_000).build().unwrap();
    let provider = devnet.provider_of(&CLIENT);
    devnet.set_base_fee(5_000);
    let tip = provider.get_max_priority_fee_per_gas().await.unwrap();
    assert_eq!(provider.get_gas_price().await.unwrap(), 5_000 + tip);
    let request = TransactionRequest::default().to(NOBODY).max_fee_per_gas(20_000).max_priority_fee_per_gas(77);
    let receipt = provider.send_transaction(request).await.unwrap().get_receipt().await.unwrap();
    assert_eq!(receipt.effective_gas_price, 5_077);

    let history = provider.get_fee_history(10, BlockNumberOrTag::Latest, &[0.0, 50.0, 100.0]).await.unwrap();
    assert_eq!(history.oldest_block, 0);
    assert_eq!(history.base_fee_per_gas[..2], [1_000, 5_000]);
    assert_eq!(history.base_fee_per_gas.len(), 3);
    assert!(history.base_fee_per_gas[2] < 5_000, "an almost empty block lowers the fee");
    assert_eq!(history.reward.unwrap(), [[0, 0, 0], [77, 77, 77]]);
}

#[tokio::test]
async fn filters_report_each_block_once() {
    let devnet = devnet();
    let provider = devnet.provider();
    let blocks = provider.new_block_filter().await.unwrap();
    let logs = provider.new_filter(&Filter::new().address(USDC)).await.unwrap();
    let hashes = [devnet.mine().hash, devnet.mine().hash];
    let changes = provider.get_filter_changes::<alloy::primitives::B256>(blocks).await.unwrap();
    assert_eq!(changes, hashes);
    assert!(provider.get_filter_changes::<U256>(blocks).await.unwrap().is_empty());

    let client = devnet.provider_of(&CLIENT);
    let sent = TestUsd::new(USDC, client).transfer(PAY_TO.address, U256::ONE).send().await.unwrap();
    sent.watch().await.unwrap();
    let changes = provider.get_filter_changes::<alloy::rpc::types::Log>(logs).await.unwrap();
    assert_eq!(changes.len(), 1);
    assert!(provider.uninstall_filter(blocks).await.unwrap());
    assert!(!provider.uninstall_filter(blocks).await.unwrap());
    let error = provider.get_filter_changes::<U256>(blocks).await.unwrap_err();
    assert!(error.to_string().contains("filter not found"), "{error}");
}
