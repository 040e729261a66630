//! `tollway demo`: every part of one paid request and of a session, on real parts, in this process.

mod hooks;
mod session;
mod step;
mod world;

use crate::chain::DemoChain;
use clap::Args;
use std::time::Instant;
use step::{ChainSummary, Show, Step, Summary};
use tokio::sync::mpsc::UnboundedReceiver;
use world::{Buyer, World};

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
    /// Port of the paid server; the facilitator and the chains take the next ones. 0 takes any that are free
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    port: u16,
}

/// Runs the demo. An error if anything did not go as it should: a payment that fails, a replay that does not.
pub(crate) async fn run(args: DemoArgs) -> Result<(), String> {
    let show = Show::new(args.json);
    let (events, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let world = World::start(&args, events).await?;
    show.step(&world.started());

    let mut summary =
        Summary { paid: true, replay_refused: true, returned_free: true, asked_again: true, chains: Vec::new() };
    for chain in &world.chains {
        let buyer = world.buyer(&**chain).await?;
        let (chain, paid, refused) = pay_once(&show, &world, &**chain, &buyer, &mut seen).await?;
        summary.paid &= paid;
        summary.replay_refused &= refused;
        summary.chains.push(chain);
    }
    for chain in &world.chains {
        let came_back = session::come_back(&show, &world, &**chain).await?;
        summary.returned_free &= came_back.free;
        summary.asked_again &= came_back.asked_again;
    }
    let Summary { paid, replay_refused, returned_free, asked_again, .. } = summary;
    if args.keep {
        show.step(&world.by_hand());
    }
    show.step(&Step::Summary(summary));
    if !paid {
        return Err("a request was not paid for as it should have been".to_owned());
    }
    if !replay_refused {
        return Err("the same payment was accepted twice".to_owned());
    }
    if !(returned_free && asked_again) {
        return Err("a session did not open what was paid for, or did not end".to_owned());
    }
    if args.keep {
        tokio::signal::ctrl_c().await.map_err(|why| format!("cannot wait for Ctrl-C: {why}"))?;
    }
    world.stop().await;
    Ok(())
}

/// One paid request on one chain by a client with a wallet for that chain alone, and its replay. Gives what the chain
/// says, whether it was paid for, and whether the replay was refused.
async fn pay_once(
    show: &Show,
    world: &World,
    chain: &dyn DemoChain,
    buyer: &Buyer,
    seen: &mut UnboundedReceiver<Step>,
) -> Result<(ChainSummary, bool, bool), String> {
    let facts = chain.facts();
    let (payer_before, payee_before) = (chain.balance(&facts.payer)?, chain.balance(&facts.payee)?);
    show.step(&Step::balances("before", facts, payer_before, payee_before));

    let started = Instant::now();
    let answer = world.buy(buyer).await?;
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
    let (payer_after, payee_after) = (chain.balance(&facts.payer)?, chain.balance(&facts.payee)?);
    show.step(&Step::balances("after", facts, payer_after, payee_after));

    let payment = buyer.last_payment().ok_or("no payment was signed")?;
    let replay = world.present_again(&payment).await?;
    let refused = replay.status != 200 && chain.balance(&facts.payee)? == payee_after;
    show.step(&Step::Replay { status: replay.status, reason: replay.reason, refused });

    let amount = payee_after.checked_sub(payee_before).ok_or("the payee has less than before")?;
    let left = payer_before.checked_sub(payer_after).ok_or("the payer has more than before")?;
    let paid = answer.status == 200 && receipt.success && amount == left && !amount.is_zero();
    let summary = ChainSummary {
        network: facts.network.to_string(),
        asset: facts.asset.clone(),
        amount,
        payer_before,
        payer_after,
        payee_before,
        payee_after,
        transaction: receipt.transaction,
    };
    Ok((summary, paid, refused))
}
