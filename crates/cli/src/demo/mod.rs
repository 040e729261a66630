//! `tollway demo`: every part of one paid request, on real parts, in this process.

mod chain;
mod hooks;
mod step;
mod world;

use clap::Args;
use std::time::Instant;
use step::{ChainSummary, Show, Step, Summary};
use world::World;

/// How the demo is run.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Print one JSON object per step, the last one being the summary
    #[arg(long)]
    json: bool,
    /// Leave everything running afterwards, and say how to try it by hand
    #[arg(long)]
    keep: bool,
    /// Price of the one request
    #[arg(long, default_value = "$0.01", value_name = "PRICE")]
    price: String,
    /// Milliseconds between blocks; 0 makes a block for each transaction
    #[arg(long, default_value_t = 500, value_name = "MS")]
    block_time: u64,
    /// Port of the paid server; the facilitator and the chain take the next two. 0 takes any that are free
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    port: u16,
}

/// Runs the demo. An error if anything did not go as it should: a payment that fails, a replay that does not.
pub(crate) async fn run(args: DemoArgs) -> Result<(), String> {
    let show = Show::new(args.json);
    let (events, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let world = World::start(&args, events).await?;
    show.step(&world.started());

    let payer_before = world.chain.balance(&world.chain.payer)?;
    let payee_before = world.chain.balance(&world.chain.payee)?;
    show.step(&world.balances("before", payer_before, payee_before));

    let started = Instant::now();
    let answer = world.buy().await?;
    while let Ok(step) = seen.try_recv() {
        show.step(&step);
    }
    let receipt = answer.receipt.ok_or("the server released the resource without a receipt")?;
    show.step(&Step::Released {
        status: answer.status,
        body: answer.body,
        transaction: receipt.transaction.clone(),
        total_ms: step::millis(started.elapsed()),
    });

    let payer_after = world.chain.balance(&world.chain.payer)?;
    let payee_after = world.chain.balance(&world.chain.payee)?;
    show.step(&world.balances("after", payer_after, payee_after));

    let payment = world.last_payment().ok_or("no payment was signed")?;
    let replay = world.present_again(&payment).await?;
    let replay_refused = replay.status != 200 && world.chain.balance(&world.chain.payee)? == payee_after;
    show.step(&Step::Replay { status: replay.status, reason: replay.reason, refused: replay_refused });

    let amount = payee_after.checked_sub(payee_before).ok_or("the payee has less than before")?;
    let left = payer_before.checked_sub(payer_after).ok_or("the payer has more than before")?;
    let paid = answer.status == 200 && receipt.success && amount == left && !amount.is_zero();
    show.step(&Step::Summary(Summary {
        paid,
        replay_refused,
        chains: vec![ChainSummary {
            network: world.chain.network.to_string(),
            asset: world.chain.asset.clone(),
            amount,
            payer_before,
            payer_after,
            payee_before,
            payee_after,
            transaction: receipt.transaction,
        }],
    }));
    if !paid {
        return Err("the request was not paid for as it should have been".to_owned());
    }
    if !replay_refused {
        return Err("the same payment was accepted twice".to_owned());
    }
    if args.keep {
        show.step(&world.by_hand());
        tokio::signal::ctrl_c().await.map_err(|why| format!("cannot wait for Ctrl-C: {why}"))?;
    }
    world.stop().await;
    Ok(())
}
