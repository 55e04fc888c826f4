//! Processes asked to leave while they work.

use std::time::Duration;

use loadtest::fleet::Role;
use tokio::time::{Instant, sleep};

use crate::{
    leases::Leases,
    show::{Show, stage},
};

/// A drain's own limit is 20 s; this is when an operator loses patience.
const LEAVE_MAX: Duration = Duration::from_secs(25);
/// How long a partition may lie idle when its owner leaves in good order.
const FREE_MAX: Duration = Duration::from_secs(1);
/// How often leases are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Nobody is started in its place before it has gone: the one that stays must take everything over.
#[tokio::test(flavor = "multi_thread")]
async fn the_partitions_of_a_process_that_leaves_are_owned_again_within_a_second() {
    let stage = stage(41).await;
    let fleet = Role::CARRIERS.into_iter().fold(stage.fleet(), |fleet, role| fleet.processes(role, 2));
    let mut show = Show::open(&stage, fleet).await;
    for role in Role::CARRIERS {
        let mut leases = Leases::of(&mut show.fleet, role).await;
        // The one that was started last has taken its share.
        while leases.owning().await != Some(2) {
            sleep(LOOK_EVERY).await;
        }
        show.play();
        let name = format!("{}-1", role.command());
        show.fleet.process(&name).terminate().unwrap();
        let asked = Instant::now();
        let status = loop {
            leases.look().await;
            if let Some(status) = show.fleet.process(&name).wait(LOOK_EVERY).await {
                break status;
            }
            assert!(asked.elapsed() < LEAVE_MAX, "{name} is still there");
        };
        assert!(status.success(), "{name} left with {status}");
        // The lease of one that is gone would still name it: what counts is that the other has them all.
        let gone = Instant::now();
        while leases.owning().await != Some(1) {
            leases.look().await;
            assert!(gone.elapsed() <= FREE_MAX, "not all partitions of {name} are owned again after {FREE_MAX:?}");
            sleep(LOOK_EVERY).await;
        }
        let longest = leases.longest_free();
        assert!(longest <= FREE_MAX, "a partition of {name} had no owner for {longest:?}");
        show.fleet.spawn(role).unwrap();
    }
    show.play_on(Duration::from_secs(1)).await;
    show.until_right(Duration::from_secs(40)).await;
    show.nothing_was_lost().await;
    show.rules_were_kept(300, Duration::from_secs(3600));
}
