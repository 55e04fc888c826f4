//! Four writers, little budget and a lot to send.

use std::time::Duration;

use loadtest::{exist::Endpoint, fleet::Role, world::Mode};
use tokio::time::sleep;

use crate::{busy::Busy, listed::stage_in, show::Show};

const BUDGET: (usize, Duration) = (20, Duration::from_secs(10));
const WRITERS: usize = 4;

/// Partitions change hands meanwhile: what is spent goes with the user, not with the process.
async fn four_writers(mode: Mode, seed: u64) {
    let stage = stage_in(mode, seed).await;
    let fleet = stage
        .fleet()
        .processes(Role::ExistWriter, WRITERS)
        .setting("TRIBUTARY_FLUSH_AFTER", "100ms")
        .setting("TRIBUTARY_EXIST_CALL_TIMEOUT", "1s")
        .setting("TRIBUTARY_EXIST_SETTLE", "3s")
        .setting("TRIBUTARY_EXIST_BUDGET", format!("{}/{}s", BUDGET.0, BUDGET.1.as_secs()));
    let mut show = Show::open(&stage, fleet).await;
    let mut busy = Busy::default();
    for round in 0..40 {
        busy.tick(&stage);
        sleep(Duration::from_millis(500)).await;
        match round {
            10 => show.fleet.process("exist-writer-1").kill9().expect("it can be killed"),
            20 => drop(show.fleet.spawn(Role::ExistWriter).expect("another starts")),
            25 => show.fleet.process("exist-writer-2").terminate().expect("it can be asked to leave"),
            _ if round % 6 == 0 => drop(show.play()),
            _ => {}
        }
    }
    show.play_on(Duration::ZERO).await;
    show.at_rest(Duration::from_secs(120), &[]).await.is_exact(mode.name());
    show.was_sent_in(mode);
    show.all_ended().await;
    show.rules_were_kept(BUDGET.0, BUDGET.1);

    // There was more to send than the budget lets through at once, so that it was the budget that held it back.
    let log = stage.exist.log();
    let busiest = log.busiest(BUDGET.1);
    assert!(busiest * 2 > BUDGET.0, "only {busiest} requests of one token in {:?}", BUDGET.1);
    let writes = log.only(|request| matches!(request.endpoint, Some(Endpoint::Update | Endpoint::Increment)));
    assert_eq!(writes.largest_write(), 35, "nobody ever had a whole request's worth to send");
    assert!(log.only(|request| request.status == Some(429)).entries().is_empty(), "Exist had to refuse");
}

#[tokio::test(flavor = "multi_thread")]
async fn four_writers_of_totals_keep_the_budget_and_never_repeat_a_value_in_a_request() {
    four_writers(Mode::Total, 111).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn four_writers_of_increments_keep_the_budget_and_never_repeat_a_value_in_a_request() {
    four_writers(Mode::Increment, 112).await;
}
