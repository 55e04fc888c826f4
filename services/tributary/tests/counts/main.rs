//! What an event costs Redis, in commands and bytes, does not rise: counts of a fixed run, never times.
//!
//! A bound is raised on purpose by writing the new figure into `bounds.rs` in the commit that costs it; whoever
//! makes an event cheaper lowers it there, so that it stays.

mod bounds; // what an event may cost
mod meter; // Redis' commands and bytes
mod stand; // people, their records, a stage at a time

use std::time::Duration;

use bounds::Bound;
use meter::Meter;
use stand::{EVENTS, Stand, Until};

/// Longer than a test lasts: nothing is sent to Exist while commands are counted.
const NEVER: Duration = Duration::from_secs(60);
/// Events told one at a time, each once the one before is in the ledger.
const ALONE: u64 = 300;

fn hold(measured: &[(Bound, f64)]) {
    let report: Vec<String> = measured.iter().map(|(bound, figure)| bound.says(*figure)).collect();
    println!("{}", report.join("\n"));
    let broken: Vec<String> = measured.iter().filter_map(|(bound, figure)| bound.broken(*figure)).collect();
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_in_a_full_batch_costs_no_more_commands_than_before() {
    let stand = Stand::start(NEVER).await;
    let meter = Meter::start(&stand).await;
    stand.append(EVENTS).await;
    let appended = meter.commands(&stand, EVENTS).await;

    let meter = Meter::start(&stand).await;
    stand.normalise(Until::Handled).await;
    let normalised = meter.commands(&stand, EVENTS).await;

    let meter = Meter::start(&stand).await;
    stand.write(Until::Handled).await;
    let applied = meter.commands(&stand, EVENTS).await;
    hold(&[
        (bounds::APPEND_COMMANDS, appended),
        (bounds::NORMALISE_COMMANDS, normalised),
        (bounds::LEDGER_COMMANDS, applied),
        (bounds::COMMANDS, appended + normalised + applied),
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_comes_alone_costs_no_more_commands_than_before() {
    let stand = Stand::start(NEVER).await;
    let services = stand.begin_both();
    // Users, zones and mappings are learned with the first events.
    stand.append_one_by_one(ALONE).await;
    let meter = Meter::start(&stand).await;
    stand.append_one_by_one(ALONE).await;
    let alone = meter.commands(&stand, ALONE).await;
    services.stop().await;
    hold(&[(bounds::COMMANDS_ALONE, alone)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_takes_no_more_bytes_than_before_while_it_waits_and_once_it_is_settled() {
    let stand = Stand::start(Duration::from_millis(100)).await;
    let before = meter::bytes(&stand).await;
    stand.append(EVENTS).await;
    let waiting = meter::bytes(&stand).await;
    stand.normalise(Until::Handled).await;
    stand.write(Until::Confirmed).await;
    let settled = meter::bytes(&stand).await;
    hold(&[
        (bounds::WAITING_BYTES, meter::each(waiting - before, EVENTS)),
        (bounds::SETTLED_BYTES, meter::each(settled - before, EVENTS)),
    ]);
}
