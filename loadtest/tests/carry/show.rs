//! A stage with processes on it.

use std::{collections::HashMap, time::Duration};

use loadtest::{
    demo::Stage,
    exist::ExistConfig,
    fleet::{Fleet, FleetBuilder},
    judge::Row,
    world::Player,
};
use tokio::time::{Instant, sleep};

/// How long processes may take to be ready, on a busy machine.
const READY_MAX: Duration = Duration::from_secs(40);
/// How often both sides are compared.
const COMPARE_EVERY: Duration = Duration::from_millis(200);
/// How long a number must stay wrong before it counts as given up.
const STAY_WRONG: Duration = Duration::from_secs(6);
/// How long all must stay right once it is.
const STAY_RIGHT: Duration = Duration::from_secs(2);
/// How long entries that polls told again may be under way once the numbers are right.
const LEVEL_MAX: Duration = Duration::from_secs(30);

pub(crate) struct Show<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) fleet: Fleet,
    player: Player<'a>,
    next_round: usize,
    /// Where Redis is, if it is not the fleet's own.
    pub(crate) redis_url: Option<String>,
}

pub(crate) async fn stage(seed: u64) -> Stage {
    let _already = rustls::crypto::ring::default_provider().install_default();
    Stage::set(seed, ExistConfig::default()).await.expect("the simulators start")
}

impl<'a> Show<'a> {
    /// Processes are up, everybody is connected, and the first round stands at the sources.
    pub(crate) async fn open(stage: &'a Stage, fleet: FleetBuilder) -> Show<'a> {
        let show = Self::before(stage, fleet).await;
        show.fleet.import(&stage.import_file()).await.expect("everybody is imported");
        show
    }

    /// Processes are up, the first round stands at the sources, and nobody is connected yet.
    pub(crate) async fn before(stage: &'a Stage, fleet: FleetBuilder) -> Show<'a> {
        let fleet = fleet.start().await.expect("the processes start");
        let mut show = Show { stage, fleet, player: stage.player(), next_round: 0, redis_url: None };
        show.play();
        show.fleet.ready(READY_MAX).await.expect("the processes are ready");
        show
    }

    /// Plays the next round; `false` if there is none left.
    pub(crate) fn play(&mut self) -> bool {
        let Some(round) = self.stage.world.rounds.get(self.next_round) else { return false };
        self.player.play(round);
        self.next_round += 1;
        true
    }

    /// Plays all rounds that are left, one after the other.
    pub(crate) async fn play_on(&mut self, every: Duration) {
        while self.play() {
            sleep(every).await;
        }
    }

    fn wrong(&self) -> Vec<Row> {
        self.stage.verdict().rows.into_iter().filter(|row| !row.equal).collect()
    }

    /// Waits until every number is right and stays so.
    pub(crate) async fn until_right(&mut self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let mut right_since = None;
        loop {
            self.fleet.check().expect("no process ends by itself");
            let wrong = self.wrong();
            match (wrong.first(), right_since) {
                (None, None) => right_since = Some(Instant::now()),
                (None, Some(since)) if Instant::now() - since > STAY_RIGHT => return,
                (None, Some(_)) => {}
                (Some(first), _) => {
                    right_since = None;
                    assert!(
                        Instant::now() < deadline,
                        "{} numbers are wrong after {limit:?}, such as {first:?}",
                        wrong.len()
                    );
                }
            }
            sleep(COMPARE_EVERY).await;
        }
    }

    /// Waits until so many numbers are wrong, and stay wrong, while all others are right.
    pub(crate) async fn until_wrong(&mut self, count: usize, limit: Duration) -> Vec<Row> {
        let deadline = Instant::now() + limit;
        let mut since = Instant::now();
        loop {
            self.fleet.check().expect("no process ends by itself");
            let wrong = self.wrong();
            if wrong.len() != count {
                since = Instant::now();
            } else if since.elapsed() > STAY_WRONG {
                return wrong;
            }
            assert!(
                Instant::now() < deadline,
                "{} numbers are wrong after {limit:?}: {:?}",
                wrong.len(),
                wrong.first()
            );
            sleep(COMPARE_EVERY).await;
        }
    }

    /// What Exist saw was within its rules all along.
    pub(crate) fn rules_were_kept(&self, budget: usize, window: Duration) {
        let log = self.stage.exist.log();
        assert!(log.largest_write() <= 35, "a request carried {} values", log.largest_write());
        assert!(log.repeating().entries().is_empty(), "a request carried a value twice");
        assert!(log.too_early().entries().is_empty(), "a request left before Exist allowed it");
        assert!(log.busiest(window) <= budget, "{} requests of one user within {window:?}", log.busiest(window));
    }

    /// The partitions' counters, added up.
    async fn counts(&mut self) -> HashMap<String, i64> {
        let url = self.redis_url.clone().unwrap_or_else(|| self.fleet.redis().expect("a private Redis").url());
        let client = redis::Client::open(url).expect("an address");
        let mut link = client.get_multiplexed_async_connection().await.expect("Redis answers");
        let mut sums = HashMap::new();
        for partition in 0..64 {
            let key = format!("{{p{partition:02}}}:counts");
            let counts: HashMap<String, i64> =
                redis::cmd("HGETALL").arg(key).query_async(&mut link).await.expect("counters");
            for (field, count) in counts {
                *sums.entry(field).or_default() += count;
            }
        }
        sums
    }

    /// One counter, over all partitions.
    pub(crate) async fn count(&mut self, field: &str) -> i64 {
        self.counts().await.get(field).copied().unwrap_or(0)
    }

    /// Every raw entry is in exactly one state, and none is under way: Σ ingested = Σ states. What polls tell
    /// again after the numbers are right may still be on its way, so this waits until the sums are level.
    pub(crate) async fn nothing_was_lost(&mut self) {
        let deadline = Instant::now() + LEVEL_MAX;
        loop {
            let counts = self.counts().await;
            let sum = |keep: fn(&[&str]) -> bool| -> i64 {
                let kept = counts.iter().filter(|(field, _)| keep(&field.split(':').collect::<Vec<_>>()));
                kept.map(|(_, count)| count).sum()
            };
            let appended = sum(|words| words[0] == "appended");
            let under_way = sum(|words| words[0] == "state" && words[2] == "processing");
            let ended = sum(|words| words[0] == "state" && words[2] != "processing");
            assert!(appended > 500, "only {appended} entries were appended");
            if (appended, under_way) == (ended, 0) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{appended} entries were appended, {ended} ended, {under_way} are under way: {counts:?}"
            );
            sleep(COMPARE_EVERY).await;
        }
    }
}
