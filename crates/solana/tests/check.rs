//! The local half of the facilitator: the specification's table row by row, and the attacks on the fee payer. No node
//! is asked for any of it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::*;
use serde_json::json;
use solana_pubkey::Pubkey;
use tollway_core::{Amount, PaymentPayload, PaymentRequirements};

/// The code a payment of the golden offer is refused with.
fn refused(draft: &Draft) -> String {
    let offer = golden_offer();
    open(&offline(json!({})), &draft.payment(&offer), &offer).unwrap_err()
}

fn with(change: impl FnOnce(&mut Draft)) -> Draft {
    let mut draft = Draft::good();
    change(&mut draft);
    draft
}

fn accepted(draft: &Draft) {
    let offer = golden_offer();
    open(&offline(json!({})), &draft.payment(&offer), &offer).unwrap();
}

#[test]
fn golden_payments_pass() {
    for flow in ["exact-svm", "exact-svm-memo", "multi-svm"] {
        let (payment, offer) = golden(flow);
        open(&offline(json!({})), &payment, &offer).unwrap();
    }
}

#[test]
fn good_payments_pass_in_both_versions_with_up_to_four_more_instructions() {
    accepted(&Draft::good());
    accepted(&with(|draft| draft.legacy = true));
    accepted(&with(|draft| draft.instructions.truncate(3)));
    let assertion = Instruction { program: LIGHTHOUSE, accounts: vec![CLIENT.address()], data: vec![4, 1] };
    accepted(&with(|draft| draft.instructions.extend([assertion.clone(), memo("b"), assertion])));
}

/// One thing that can be wrong, and its code.
type Defect = (&'static str, fn(&mut Draft, &mut PaymentRequirements, &mut PaymentRequirements));

/// In the order of the specification's table.
const TABLE: &[Defect] = &[
    ("unsupported_scheme", |_, _, accepted| accepted.scheme = "upto".to_owned()),
    ("network_mismatch", |_, _, accepted| accepted.network = "solana:x".parse().unwrap()),
    ("payload_missing_fee_payer", |_, offer, _| drop(offer.extra.as_mut().unwrap().remove("feePayer"))),
    ("fee_payer_not_managed_by_facilitator", |_, offer, _| {
        *offer = offer.clone().with_extra("feePayer", STRANGER.address().to_string());
    }),
    ("payload_excessive_signers", |draft, _, _| draft.signers.push(POOR)),
    ("fee_payer_mismatch", |draft, _, _| draft.fee_payer = PAY_TO.address()),
    // Two in one, since a signature is spoilt in the bytes: see `spoil`.
    ("payload_signature_invalid", |draft, _, _| draft.blockhash = Pubkey::from([0xbd; 32])),
    ("smart_wallet_alt_resolution_not_available", |draft, _, _| {
        draft.lookups.push((Pubkey::from([9; 32]), vec![0], vec![]));
    }),
    ("payload_transaction_instructions_length", |draft, _, _| {
        draft.instructions.extend([memo("5"), memo("6"), memo("7"), memo("8")]);
    }),
    ("payload_transaction_instructions_compute_limit_instruction", |draft, _, _| draft.instructions[0].data[0] = 1),
    ("payload_transaction_instructions_compute_price_instruction", |draft, _, _| draft.instructions[1].data[0] = 1),
    ("payload_transaction_instructions_compute_price_instruction_too_high", |draft, _, _| {
        draft.instructions[1] = price(5_000_001);
    }),
    ("payload_no_transfer_instruction", |draft, _, _| draft.instructions[2].data[0] = 3),
    ("payload_transaction_fee_payer_transferring_funds", |draft, _, _| {
        draft.instructions[2].accounts[3] = FACILITATOR.address();
    }),
    ("payload_mint_mismatch", |draft, _, _| draft.instructions[2].accounts[1] = Pubkey::from([8; 32])),
    ("payload_recipient_mismatch", |draft, _, _| {
        draft.instructions[2].accounts[2] = token_account(STRANGER.address(), USDC, TOKEN);
    }),
    ("payload_amount_mismatch", |draft, _, _| draft.instructions[2].data[1] ^= 1),
    ("payload_unknown_fourth_instruction", |draft, _, _| {
        draft.instructions.insert(3, system_transfer(CLIENT.address(), STRANGER.address(), 1))
    }),
    ("payload_memo_count", |draft, _, _| draft.instructions.push(memo("another"))),
    ("payload_memo_mismatch", |_, offer, _| *offer = offer.clone().with_extra("memo", "order-42")),
];

/// Puts a mark that a defect left into effect: the signatures no longer belong to the bytes.
fn spoil(draft: &Draft) -> Vec<u8> {
    let mut bytes = draft.bytes();
    if draft.blockhash == Pubkey::from([0xbd; 32]) {
        bytes[65] ^= 1;
    }
    bytes
}

#[test]
fn every_row_of_the_table_has_its_code_and_earlier_rows_come_first() {
    let (mut draft, mut offer) = (Draft::good(), golden_offer().with_extra("memo", "unique"));
    let mut accepted_copy = golden_offer();
    for (code, defect) in TABLE.iter().rev() {
        // With all the defects of the rows below it, this row's is the one that is told.
        defect(&mut draft, &mut offer, &mut accepted_copy);
        let mut payment = payment_of(&spoil(&draft), &offer);
        payment.accepted = accepted_copy.clone();
        let told = open(&offline(json!({})), &payment, &offer).unwrap_err();
        assert_eq!(told, format!("invalid_exact_svm_{code}"));
    }
}

#[test]
fn undecodable_transactions_come_after_a_missing_fee_payer() {
    let offer = golden_offer();
    let garbage = PaymentPayload::new(offer.clone(), json!({ "transaction": "AAAA" }));
    let code = open(&offline(json!({})), &garbage, &offer).unwrap_err();
    assert_eq!(code, "invalid_exact_svm_payload_transaction_could_not_be_decoded");
    let mut nobody = offer;
    nobody.extra.as_mut().unwrap().remove("feePayer");
    let code = open(&offline(json!({})), &garbage, &nobody).unwrap_err();
    assert_eq!(code, "invalid_exact_svm_payload_missing_fee_payer");
}

/// Row 19 of the table of bad input, as the facilitator answers it.
#[test]
fn row_19_an_index_out_of_range_is_not_decodable() {
    let draft = Draft::good();
    let mut bytes = draft.bytes();
    let last_program = bytes.len() - 1 - 1 - b"unique".len() - 2;
    bytes[last_program] = 200;
    let offer = golden_offer();
    let code = open(&offline(json!({})), &payment_of(&bytes, &offer), &offer).unwrap_err();
    assert_eq!(code, "invalid_exact_svm_payload_transaction_could_not_be_decoded");
}

#[test]
fn hidden_instructions_are_refused_wherever_they_are() {
    let (us, them) = (FACILITATOR.address(), STRANGER.address());
    let codes = ["fourth", "fifth", "sixth", "seventh"]
        .map(|nth| format!("invalid_exact_svm_payload_unknown_{nth}_instruction"));
    let ata = token_account(them, USDC, TOKEN);
    let hidden = [
        ("lamports out of the fee payer", system_transfer(us, them, 1_000_000)),
        (
            "rent for an account",
            Instruction {
                program: ASSOCIATED_TOKEN,
                accounts: vec![us, ata, them, USDC, SYSTEM, TOKEN],
                data: vec![1],
            },
        ),
        ("an account made", Instruction { program: SYSTEM, accounts: vec![us, them], data: vec![0; 52] }),
        (
            "an account given away",
            Instruction { program: SYSTEM, accounts: vec![us], data: [&1u32.to_le_bytes()[..], &[7; 32]].concat() },
        ),
        (
            "a nonce advanced",
            Instruction { program: SYSTEM, accounts: vec![them, us], data: 4u32.to_le_bytes().to_vec() },
        ),
        ("a second transfer", transfer(CLIENT.address(), them, USDC, TOKEN, 1)),
        ("an approval", Instruction { program: TOKEN, accounts: vec![ata, them, CLIENT.address()], data: vec![4; 9] }),
        ("a second compute limit", limit(1_400_000)),
        ("a second compute price", price(5_000_000)),
        ("a heap request", Instruction { program: COMPUTE_BUDGET, accounts: vec![], data: vec![1, 0, 0, 1, 0] }),
        ("any program", Instruction { program: Pubkey::from([66; 32]), accounts: vec![], data: vec![] }),
    ];
    for (what, instruction) in hidden {
        for (place, code) in codes.iter().enumerate() {
            let draft = with(|draft| {
                draft.instructions.truncate(3);
                draft.instructions.extend(std::iter::repeat_n(memo("m"), place));
                draft.instructions.push(instruction.clone());
            });
            assert_eq!(refused(&draft), *code, "{what}");
        }
        // A limit or a price in its own place is no hidden one.
        for place in (0..3).filter(|place| *place > 1 || instruction.program != COMPUTE_BUDGET) {
            let draft = with(|draft| draft.instructions[place] = instruction.clone());
            assert!(refused(&draft).starts_with("invalid_exact_svm_payload_"), "{what} in place {place}");
        }
    }
}

#[test]
fn other_instructions_of_allowed_programs_are_refused() {
    let limit_code = "invalid_exact_svm_payload_transaction_instructions_compute_limit_instruction";
    let price_code = "invalid_exact_svm_payload_transaction_instructions_compute_price_instruction";
    let transfer_code = "invalid_exact_svm_payload_no_transfer_instruction";
    for first in (0..=255u8).filter(|first| *first != 2) {
        assert_eq!(refused(&with(|draft| draft.instructions[0].data[0] = first)), limit_code);
    }
    for first in (0..=255u8).filter(|first| *first != 3) {
        assert_eq!(refused(&with(|draft| draft.instructions[1].data[0] = first)), price_code);
    }
    for first in (0..=255u8).filter(|first| *first != 12) {
        assert_eq!(refused(&with(|draft| draft.instructions[2].data[0] = first)), transfer_code);
    }
    for (place, code, good) in [(0, limit_code, 5), (1, price_code, 9)] {
        for length in (0..20).filter(|length| *length != good) {
            assert_eq!(refused(&with(|draft| draft.instructions[place].data.resize(length, 0))), code);
        }
        assert_eq!(refused(&with(|draft| draft.instructions[place].program = TOKEN)), code);
    }
    for length in 0..10 {
        assert_eq!(refused(&with(|draft| draft.instructions[2].data.truncate(length))), transfer_code);
    }
    for count in 0..4 {
        assert_eq!(refused(&with(|draft| draft.instructions[2].accounts.truncate(count))), transfer_code);
    }
    assert_eq!(refused(&with(|draft| draft.instructions[2].program = SYSTEM)), transfer_code);
}

#[test]
fn the_fee_payer_is_in_no_instructions_accounts() {
    let us = FACILITATOR.address();
    let code = "invalid_exact_svm_payload_transaction_fee_payer_transferring_funds";
    for place in 0..7 {
        let draft = with(|draft| {
            draft.instructions.extend([memo("e"), memo("f"), memo("g")]);
            draft.instructions[place].accounts.push(us);
        });
        assert_eq!(refused(&draft), code, "{place}");
    }
    // As source, as authority, and as one of a multisig's signers or a delegate after it.
    for account in [0, 3] {
        assert_eq!(refused(&with(|draft| draft.instructions[2].accounts[account] = us)), code);
    }
}

#[test]
fn no_key_of_the_facilitator_is_the_authority() {
    let network = tollway_solana::Solana::builder(DEVNET.parse().unwrap()).rpc(client_of(Nobody)).build().unwrap();
    let keys = vec![FACILITATOR.signer(), CLIENT.signer()];
    let facilitator = tollway_solana::ExactFacilitator::new(std::sync::Arc::new(network), keys).unwrap();
    let offer = golden_offer();
    let code = open(&facilitator, &Draft::good().payment(&offer), &offer).unwrap_err();
    assert_eq!(code, "invalid_exact_svm_payload_transaction_fee_payer_transferring_funds");
}

#[test]
fn lookup_tables_are_refused() {
    let draft = with(|draft| draft.lookups.push((Pubkey::from([9; 32]), vec![], vec![3])));
    assert_eq!(refused(&draft), "invalid_exact_svm_smart_wallet_alt_resolution_not_available");
}

#[test]
fn compute_price_limit_and_product_at_their_boundaries() {
    let offer = golden_offer();
    let refused = |config: serde_json::Value, units: u32, micro: u64| {
        let draft = with(|draft| {
            draft.instructions[0] = limit(units);
            draft.instructions[1] = price(micro);
        });
        open(&offline(config), &draft.payment(&offer), &offer).err().map(|code| {
            let parts = code.strip_prefix("invalid_exact_svm_payload_transaction_instructions_compute_").unwrap();
            parts.to_owned()
        })
    };
    let dear = Some("price_instruction_too_high".to_owned());
    let big = Some("limit_instruction_too_high".to_owned());
    let none = || json!({});
    assert_eq!(refused(none(), 20_000, 4_999_999), None);
    assert_eq!(refused(none(), 20_000, 5_000_000), None);
    assert_eq!(refused(none(), 1, 5_000_001), dear);
    assert_eq!(refused(none(), 1, u64::MAX), dear);
    // The product: 100 000 lamports, rounded up as the network does.
    assert_eq!(refused(none(), 20_001, 5_000_000), dear);
    assert_eq!(refused(none(), 1_400_000, 71_428), None);
    assert_eq!(refused(none(), 1_400_000, 71_429), dear);
    assert_eq!(refused(none(), u32::MAX, 1), None, "the network caps the limit itself, and the fee stays small");
    assert_eq!(refused(json!({ "maxPriorityFee": 0 }), 20_000, 1), dear);
    assert_eq!(refused(json!({ "maxPriorityFee": 0 }), 20_000, 0), None);
    assert_eq!(
        refused(json!({ "maxPriorityFee": u64::MAX, "maxComputeUnitPrice": u64::MAX }), u32::MAX, u64::MAX),
        dear
    );
    let capped = || json!({ "maxComputeUnits": 40_000 });
    assert_eq!(refused(capped(), 39_999, 1), None);
    assert_eq!(refused(capped(), 40_000, 1), None);
    assert_eq!(refused(capped(), 40_001, 1), big);
}

#[test]
fn every_co_signers_signature_is_checked() {
    let offer = golden_offer();
    let good = Draft::good().bytes();
    let code = |bytes: &[u8]| open(&offline(json!({})), &payment_of(bytes, &offer), &offer);
    let bad = Err("invalid_exact_svm_payload_signature_invalid".to_owned());
    assert!(code(&good).is_ok());
    for spoilt in [[0; 64], [1; 64], [255; 64]] {
        let mut bytes = good.clone();
        bytes[65..129].copy_from_slice(&spoilt);
        assert_eq!(code(&bytes), bad);
    }
    for bit in [0, 100, 300, 511] {
        let mut bytes = good.clone();
        bytes[65 + bit / 8] ^= 1 << (bit % 8);
        assert_eq!(code(&bytes), bad);
    }
    // The same signature with s plus the group's order: a second form of it, where forms are not checked.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let (mut bytes, mut carry) = (good.clone(), 0);
    for (byte, order) in bytes[97..129].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(code(&bytes), bad);
    // Somebody else's signature, and somebody else's key with it.
    let forged = with(|draft| draft.signers = vec![STRANGER]);
    let mut bytes = good;
    bytes[65..129].copy_from_slice(&forged.bytes()[65..129]);
    assert_eq!(code(&bytes), bad);
}

#[test]
fn a_small_order_key_signs_nothing() {
    // With the identity as key, the zero signature with R the identity satisfies a lenient verifier for any message.
    let mut draft = Draft::good();
    let identity = Pubkey::from(std::array::from_fn(|at| u8::from(at == 0)));
    draft.instructions[2].accounts[3] = identity;
    let mut bytes = draft.bytes();
    let client = CLIENT.address();
    let at = bytes.windows(32).position(|window| window == client.as_ref()).unwrap();
    let other = bytes.windows(32).rposition(|window| window == identity.as_ref()).unwrap();
    bytes[other..other + 32].copy_from_slice(client.as_ref());
    bytes[at..at + 32].copy_from_slice(identity.as_ref());
    bytes[65..129].fill(0);
    bytes[65] = 1;
    let offer = golden_offer();
    let code = open(&offline(json!({})), &payment_of(&bytes, &offer), &offer).unwrap_err();
    assert_eq!(code, "invalid_exact_svm_payload_signature_invalid");
}

#[test]
fn more_signers_only_where_they_are_paid_for() {
    let two = with(|draft| draft.signers.push(STRANGER));
    assert_eq!(refused(&two), "invalid_exact_svm_payload_excessive_signers");
    let offer = golden_offer();
    assert!(open(&offline(json!({ "maxSignatures": 3 })), &two.payment(&offer), &offer).is_ok());
    let mut bytes = two.bytes();
    bytes[1 + 64 * 2] ^= 1;
    let code = open(&offline(json!({ "maxSignatures": 3 })), &payment_of(&bytes, &offer), &offer).unwrap_err();
    assert_eq!(code, "invalid_exact_svm_payload_signature_invalid");
}

#[test]
fn the_recipient_is_the_associated_account_of_the_transfers_own_program() {
    let wrong = "invalid_exact_svm_payload_recipient_mismatch";
    let elsewhere = token_account(PAY_TO.address(), USDC, TOKEN_2022);
    assert_eq!(refused(&with(|draft| draft.instructions[2].accounts[2] = elsewhere)), wrong);
    assert_eq!(refused(&with(|draft| draft.instructions[2].accounts[2] = PAY_TO.address())), wrong);
    // From the recipient to the recipient: all of it arrives, and nothing moves.
    let own = token_account(PAY_TO.address(), USDC, TOKEN);
    assert_eq!(refused(&with(|draft| draft.instructions[2].accounts[0] = own)), wrong);
    let mut offer = golden_offer();
    let draft = Draft::paying(&offer, TOKEN_2022, CLIENT);
    assert!(
        open(&offline(json!({})), &draft.payment(&offer), &offer).is_ok(),
        "whether it is of that program, the chain knows"
    );
    offer.pay_to = "alice.sol".to_owned();
    let code = open(&offline(json!({})), &draft.payment(&offer), &offer).unwrap_err();
    assert_eq!(code, "invalid_payment_requirements");
}

#[test]
fn the_amount_is_exact() {
    let wrong = "invalid_exact_svm_payload_amount_mismatch";
    for amount in [0u64, 999, 1001, u64::MAX] {
        let draft = with(|draft| draft.instructions[2].data[1..9].copy_from_slice(&amount.to_le_bytes()));
        assert_eq!(refused(&draft), wrong);
    }
    // An offer no token account can hold is met by no amount, and by no low half of it either.
    let mut offer = golden_offer();
    offer.amount = "18446744073709552616".parse::<Amount>().unwrap();
    let code = open(&offline(json!({})), &Draft::good().payment(&offer), &offer).unwrap_err();
    assert_eq!(code, wrong);
}

#[test]
fn the_memo_asked_for_is_there_once_and_to_the_byte() {
    let offer = golden_offer().with_extra("memo", "order-42");
    let told = |memos: &[&str]| {
        let draft = with(|draft| {
            draft.instructions.truncate(3);
            draft.instructions.extend(memos.iter().map(|text| memo(text)));
        });
        open(&offline(json!({})), &draft.payment(&offer), &offer).err().unwrap_or_default()
    };
    assert_eq!(told(&["order-42"]), "");
    assert_eq!(told(&[]), "invalid_exact_svm_payload_memo_count");
    assert_eq!(told(&["order-42", "order-42"]), "invalid_exact_svm_payload_memo_count");
    for other in ["order-43", "order-42 ", "Order-42", ""] {
        assert_eq!(told(&[other]), "invalid_exact_svm_payload_memo_mismatch");
    }
    let long = golden_offer().with_extra("memo", "x".repeat(257));
    let code = open(&offline(json!({})), &Draft::good().payment(&long), &long).unwrap_err();
    assert_eq!(code, "invalid_payment_requirements");
}

#[test]
fn a_network_that_is_not_this_one_is_refused() {
    let mut offer = golden_offer();
    offer.network = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp".parse().unwrap();
    let code = open(&offline(json!({})), &Draft::good().payment(&offer), &offer).unwrap_err();
    assert_eq!(code, "invalid_exact_svm_network_mismatch");
}
