//! A facilitator for whoever sells: it verifies, settles, says what it supports, and lists what was paid for.
#![allow(clippy::print_stdout, reason = "READY is for whoever started the program")]

use interop::{Failure, Settings, listen, setting};
use serde_json::json;
use tollway::LocalFacilitator;
use tollway::http::{FacilitatorRouter, Serve, install_crypto};

#[tokio::main(flavor = "multi_thread")]
async fn main() -> Result<(), Failure> {
    install_crypto();
    let settings = Settings::read();
    // A network is served where there is a key for it. Schemes and gas sponsoring come with their networks, and no
    // factory of ERC-6492 is listed: wallets that do not exist yet are refused.
    let mut engine = LocalFacilitator::builder().extension("bazaar", json!({ "allowLoopback": true }));
    if setting("EVM_PRIVATE_KEY").is_some() {
        engine = engine.network(&settings.evm, settings.evm_section()).key(&settings.evm, "env:EVM_PRIVATE_KEY");
    }
    if setting("SVM_PRIVATE_KEY").is_some() {
        engine = engine.network(&settings.svm, settings.svm_section()).key(&settings.svm, "env:SVM_PRIVATE_KEY");
    }
    let engine = engine.build().await?;
    let (listener, url) = listen().await?;
    println!("READY {url}");
    Ok(Serve::new(listener, FacilitatorRouter::local(engine).into_router()).await?)
}
