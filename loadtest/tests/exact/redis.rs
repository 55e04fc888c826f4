//! A Redis that dies under load, and one that comes back empty.

use std::time::Duration;

use loadtest::world::Mode;
use testkit::{Data, Redis};
use tokio::time::sleep;

use crate::{
    busy::{Busy, pulse},
    listed::{AtRest, stage_in},
    show::Show,
};

const CONVERGE: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(250);

async fn busy_for(show: &Show<'_>, busy: &mut Busy, ticks: u32) {
    for _ in 0..ticks {
        busy.tick(show.stage);
        sleep(TICK).await;
    }
}

/// Two kills in the middle of everything; what was written within the last second may be gone.
async fn killed_under_load(mode: Mode, seed: u64) -> AtRest {
    let mut redis = Redis::builder().appendonly_everysec().start().await;
    let stage = stage_in(mode, seed).await;
    let fleet = stage.fleet().setting("TRIBUTARY_REDIS_URL", redis.url());
    let fleet = fleet.setting("TRIBUTARY_EXIST_CALL_TIMEOUT", "1s").setting("TRIBUTARY_EXIST_SETTLE", "3s");
    let mut show = Show::open(&stage, fleet).await;
    let mut busy = Busy::default();
    busy_for(&show, &mut busy, 12).await;
    for _ in 0..2 {
        show.play();
        busy_for(&show, &mut busy, 8).await;
        redis.kill9();
        busy_for(&show, &mut busy, 2).await;
        redis.restart(Data::Kept).await;
    }
    busy_for(&show, &mut busy, 8).await;
    show.play_on(Duration::from_millis(500)).await;
    let at_rest = show.at_rest(CONVERGE, &[]).await;
    show.redis_url = Some(redis.url().to_owned());
    show.was_sent_in(mode);
    show.all_ended().await;
    show.rules_were_kept(300, Duration::from_secs(3600));
    at_rest
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_killed_under_load_leaves_totals_exact() {
    killed_under_load(Mode::Total, 101).await.is_exact("total");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_killed_under_load_leaves_increments_exact_or_listed() {
    killed_under_load(Mode::Increment, 102).await.is_exact_or_listed("increment");
}

/// What the sources' people do while Redis has nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    /// New records only.
    Grows,
    /// Records are moved and deleted as well: some days lose the last one, and nobody but Exist knows of them.
    Changes,
}

/// Everything is gone but what Exist holds; operators import everybody again.
async fn come_back_empty(mode: Mode, meanwhile: Meanwhile, seed: u64) -> AtRest {
    let stage = stage_in(mode, seed).await;
    let fleet = stage.fleet().setting("TRIBUTARY_EXIST_CALL_TIMEOUT", "1s").setting("TRIBUTARY_EXIST_SETTLE", "3s");
    let mut show = Show::open(&stage, fleet).await;
    let mut busy = Busy::default();
    show.play();
    busy_for(&show, &mut busy, 8).await;
    show.at_rest(CONVERGE, &[]).await.is_exact("before Redis was lost");
    show.fleet.redis().expect("a private Redis").restart().await.expect("it starts again, empty");
    stage.world.people.iter().for_each(|person| pulse(&stage, person));
    if meanwhile == Meanwhile::Changes {
        show.play();
        busy_for(&show, &mut busy, 4).await;
    }
    show.fleet.import(&stage.import_file()).await.expect("everybody is imported again");
    // What changes from here on changes under the services' eyes.
    let at_rest = show.at_rest(CONVERGE, &[]).await;
    if !at_rest.wrong.is_empty() {
        return at_rest;
    }
    busy_for(&show, &mut busy, 4).await;
    show.play_on(Duration::from_millis(500)).await;
    let at_rest = show.at_rest(CONVERGE, &[]).await;
    show.was_sent_in(mode);
    show.all_ended().await;
    at_rest
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_comes_back_empty_leaves_totals_exact() {
    come_back_empty(Mode::Total, Meanwhile::Grows, 103).await.is_exact("total");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_comes_back_empty_makes_no_increment_count_twice() {
    come_back_empty(Mode::Increment, Meanwhile::Grows, 104).await.is_exact("increment");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_went_while_redis_was_empty_leave_their_days_as_totals() {
    come_back_empty(Mode::Total, Meanwhile::Changes, 105).await.is_exact("total");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_went_while_redis_was_empty_leave_their_days_as_increments() {
    come_back_empty(Mode::Increment, Meanwhile::Changes, 106).await.is_exact("increment");
}
