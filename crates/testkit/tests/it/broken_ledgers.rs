//! The ledger suite passes a correct store and catches every broken one.

use crate::store::{Defect, Store};
use tollway_testkit::{block_on, ledger_suite};

#[test]
fn a_correct_store_passes() {
    let report = block_on(ledger_suite("correct", || async { Store::with(Defect::None) }));
    assert!(report.checks > 200, "only {} checks ran", report.checks);
    report.assert();
}

#[test]
fn every_broken_store_is_caught() {
    for defect in Defect::ALL {
        let report = block_on(ledger_suite("broken", || async move { Store::with(defect) }));
        assert!(!report.failures.is_empty(), "{defect:?} went unnoticed");
    }
}

/// A store can break many rules at once; these break the one they are meant to.
#[test]
fn the_rule_that_is_broken_is_named() {
    let rules = [
        (Defect::RacyTake, "take: once"),
        (Defect::AnonymousIsKnown, "take: anonymous"),
        (Defect::HandsOutOtherPurchases, "retake: another purchase"),
        (Defect::TellsOtherPurchases, "take: another purchase"),
        (Defect::FindsNothingFinished, "find: faithful"),
        (Defect::TellsStrangers, "take: foreign"),
        (Defect::KeepsReleased, "released: gone"),
        (Defect::KeepsOldAttempts, "open: old attempts"),
        (Defect::HandsOutAlways, "retake: once"),
        (Defect::HandsOutOpen, "retake: nothing"),
        (Defect::ChangesSettled, "settled: final"),
        (Defect::InventsRows, "resolve: unknown"),
        (Defect::FirstOfBatch, "resolve: batch"),
        (Defect::MixesScopes, "scopes: apart"),
        (Defect::ListsUnsigned, "open: unsigned"),
        (Defect::PendingIsFinished, "open: pending"),
        (Defect::LosesAttempts, "open: slots"),
        (Defect::SplitsTakeovers, "open: takeover"),
        (Defect::MixesAttempts, "open: carried"),
        (Defect::LosesBytes, "open: faithful"),
        (Defect::NoFence, "epoch: fenced"),
        (Defect::FencesTooLate, "epoch: nothing written"),
        (Defect::ForgetsUnfinished, "take: forgotten too early"),
        (Defect::BatchEndsWithFirst, "open: batch"),
    ];
    for (defect, rule) in rules {
        let report = block_on(ledger_suite("broken", || async move { Store::with(defect) }));
        assert!(report.caught(rule), "{defect:?} should break `{rule}`: {report}");
    }
}

#[test]
#[should_panic(expected = "[epoch: fenced]")]
fn a_failed_report_panics_with_all_it_found() {
    block_on(ledger_suite("broken", || async { Store::with(Defect::NoFence) })).assert();
}
