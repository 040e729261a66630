//! What a payment costs where no chain is asked: `cargo bench -p tollway-evm --bench local`.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a benchmark")]

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;
use tollway_core::erased::{ClientDyn, FacilitatorDyn};
use tollway_core::{Clock, PaymentPayload, PaymentRequirements, ResourceInfo, Signer};
use tollway_devnet::Devnet;
use tollway_evm::{Evm, ExactClient, ExactFacilitator, LocalKey};

/// The hour of the golden payment.
#[derive(Debug)]
struct Then;

impl Clock for Then {
    fn now(&self) -> u64 {
        1_795_188_022 - 300
    }
}

fn local(criterion: &mut Criterion) {
    let flow = tollway_testkit::golden::flow("exact-evm-eip3009");
    let body = &flow["facilitator"][0]["request"]["body"];
    let raw: PaymentPayload = serde_json::from_value(body["paymentPayload"].clone()).unwrap();
    let offer: PaymentRequirements = serde_json::from_value(body["paymentRequirements"].clone()).unwrap();

    let devnet = Devnet::new().unwrap();
    let builder = Evm::builder(offer.network.clone()).provider(devnet.provider()).clock(Arc::new(Then));
    let evm = Arc::new(builder.build().unwrap());
    let key = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
    let key: Arc<LocalKey> = Arc::new(LocalKey::from_hex(key).unwrap());

    let signer: Arc<dyn Signer> = key.clone();
    let side = ExactFacilitator::new(evm.clone(), &[signer]).unwrap();
    criterion.bench_function("facilitator: decode, claim and check, with recovery", |bench| {
        bench.iter(|| FacilitatorDyn::open(&side, black_box(&raw), black_box(&offer)).map(|_| ()).unwrap());
    });
    let mut wrong = offer.clone();
    wrong.amount = 999.into();
    criterion.bench_function("facilitator: a refusal before recovery", |bench| {
        bench.iter(|| FacilitatorDyn::open(&side, black_box(&raw), black_box(&wrong)).map(|_| ()).unwrap_err());
    });

    let client = ExactClient::new(evm, key).unwrap();
    let (shop, runtime) =
        (ResourceInfo::new("https://shop.test"), tokio::runtime::Builder::new_current_thread().build());
    let runtime = runtime.unwrap();
    criterion.bench_function("client: sign", |bench| {
        bench.iter(|| runtime.block_on(ClientDyn::sign(&client, black_box(&offer), &shop)).unwrap());
    });
}

criterion_group!(benches, local);
criterion_main!(benches);
