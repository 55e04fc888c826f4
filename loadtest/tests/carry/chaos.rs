//! Processes killed, stopped and drained, while the script goes on.

use std::time::Duration;

use loadtest::fleet::Role;
use tokio::time::{Instant, sleep, sleep_until};

use crate::show::{Show, stage};

/// Exist's rule, and our default budget.
const BUDGET: (usize, Duration) = (300, Duration::from_secs(3600));

#[tokio::test(flavor = "multi_thread")]
async fn two_of_each_converge_while_one_of_each_is_killed_and_one_is_stopped() {
    let stage = stage(11).await;
    let fleet = Role::CARRIERS.into_iter().fold(stage.fleet(), |fleet, role| fleet.processes(role, 2));
    let mut show = Show::open(&stage, fleet).await;
    sleep(Duration::from_secs(4)).await;

    show.play();
    show.fleet.process("exist-writer-2").pause().await.unwrap();
    let paused = Instant::now();
    for killed in ["fetcher-1", "normaliser-1", "exist-writer-1"] {
        show.play();
        show.fleet.process(killed).kill9().unwrap();
        sleep(Duration::from_secs(4)).await;
        let role = show.fleet.process(killed).role();
        show.fleet.spawn(role).unwrap();
    }
    show.play_on(Duration::from_secs(4)).await;
    // What it had in hand belongs to others long before it goes on.
    sleep_until(paused + Duration::from_secs(40)).await;
    show.fleet.process("exist-writer-2").resume().unwrap();
    show.until_right(Duration::from_secs(60)).await;
    show.nothing_was_lost().await;
    show.rules_were_kept(BUDGET.0, BUDGET.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_can_be_drained_while_it_works_and_nothing_is_lost() {
    let stage = stage(12).await;
    let mut show = Show::open(&stage, stage.fleet()).await;
    for drained in ["normaliser-1", "exist-writer-1", "fetcher-1"] {
        show.play();
        sleep(Duration::from_secs(1)).await;
        let role = show.fleet.process(drained).role();
        show.fleet.spawn(role).unwrap();
        let process = show.fleet.process(drained);
        process.terminate().unwrap();
        let status = process.wait(Duration::from_secs(25)).await.expect("it leaves in time");
        assert!(status.success(), "{drained} left with {status}");
    }
    show.play_on(Duration::from_secs(1)).await;
    show.until_right(Duration::from_secs(40)).await;
    show.nothing_was_lost().await;
    show.rules_were_kept(BUDGET.0, BUDGET.1);
}
