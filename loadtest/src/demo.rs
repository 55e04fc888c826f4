//! A week of thirteen people in half a minute, through the real services, judged number by number.

mod outcome; // what came of it, and how it prints
mod progress; // what is happening, on a terminal or in plain lines
mod stage; // the peers, the people and the processes

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, timeout};

pub use outcome::Outcome;
pub use progress::Progress;
pub use stage::Stage;

use crate::{exist::ExistConfig, judge::Verdict};
use outcome::Traffic;

/// How long the processes may take to be ready.
const READY_MAX: Duration = Duration::from_secs(20);

/// How long the back-fill may take before the script goes on all the same.
const BACKFILL_MAX: Duration = Duration::from_secs(20);

/// From one round to the next.
const ROUND_EVERY: Duration = Duration::from_secs(5);

/// How long after the last step every number must be right.
const CONVERGE_MAX: Duration = Duration::from_secs(60);

/// How often both sides are compared.
const COMPARE_EVERY: Duration = Duration::from_millis(200);

/// How long all must stay right once it is: long enough for polls and writes that would spoil it.
const STAY_RIGHT: Duration = Duration::from_secs(3);

/// How long the services may take to leave: 20 s for calls in hand, and some.
const LEAVE_MAX: Duration = Duration::from_secs(25);

/// How a demo is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides who does what.
    pub seed: u64,
    /// Where to leave the services' logs; none to throw them away.
    pub logs: Option<PathBuf>,
    /// A Redis or a cluster to use, empty of these people; none to start a private one.
    pub redis_url: Option<String>,
}

/// Runs the demo and judges it.
///
/// # Errors
/// When something cannot be started, or a service ends by itself; numbers that are wrong are no
/// error but in [`Outcome::verdict`].
pub async fn run(options: &Options, progress: &Progress) -> Result<Outcome> {
    progress
        .say("starting Redis, Exist, WhatPulse, Toggl Track, Trakt, YNAB and GitHub, each private and on 127.0.0.1");
    let stage = Stage::set(options.seed, ExistConfig::default()).await?;
    progress.say(&stage.introduction());
    let mut player = stage.player();
    let mut events = player.play(&stage.world.rounds[0]);
    progress.say(&format!("{} records stand at the sources; starting the services", events.created));
    let fleet = stage.fleet();
    let fleet = if let Some(folder) = &options.logs { fleet.logs(folder) } else { fleet };
    let fleet = match &options.redis_url {
        Some(url) => fleet.setting("TRIBUTARY_REDIS_URL", url),
        None => fleet,
    };
    let mut fleet = fleet.start().await?;
    fleet.ready(READY_MAX).await?;
    let imported = fleet.import(&stage.import_file()).await?;
    progress.say(&format!("imported {} people; {}", stage.world.people.len(), imported.trim()));

    let mut watch = Watch { stage: &stage, fleet: &mut fleet, progress };
    if watch.until_right(BACKFILL_MAX).await?.is_none() {
        progress.say("the back-fill is not through yet; the days begin all the same");
    }
    // From here on the services read what changes while they carry what came before.
    let mut rounds = interval(ROUND_EVERY);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for round in &stage.world.rounds[1..] {
        watch.until_tick(&mut rounds).await?;
        let played = player.play(round);
        events += played;
        progress.round(&round.title, played);
    }
    let last_step = Instant::now();
    let converged = watch.until_it_stays_right(CONVERGE_MAX).await?;
    progress.done();
    let killed = fleet.stop(LEAVE_MAX).await?;
    for name in killed {
        progress.say(&format!("{name} had to be killed: it did not leave when asked"));
    }
    Ok(Outcome {
        seed: options.seed,
        people: stage.world.people.len(),
        clock_change: stage.clock_change_note(),
        events: events.into(),
        traffic: Traffic::of(&stage.exist),
        converged_ms: converged.map(|at| at.saturating_duration_since(last_step).as_millis()),
        // After the services have left: what they finished while leaving counts as well.
        verdict: stage.verdict(),
    })
}

/// Compares both sides while time passes, and gives up when a service has.
struct Watch<'a> {
    stage: &'a Stage,
    fleet: &'a mut crate::fleet::Fleet,
    progress: &'a Progress,
}

impl Watch<'_> {
    /// Looks once.
    fn look(&mut self) -> Result<Verdict> {
        self.fleet.check()?;
        let verdict = self.stage.verdict();
        self.progress.compared(verdict.equal(), verdict.rows.len());
        Ok(verdict)
    }

    /// The moment all was right, if that came within `limit`.
    async fn until_right(&mut self, limit: Duration) -> Result<Option<Instant>> {
        let deadline = Instant::now() + limit;
        let mut ticks = interval(COMPARE_EVERY);
        loop {
            ticks.tick().await;
            if self.look()?.is_right() {
                return Ok(Some(Instant::now()));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
        }
    }

    /// The moment from which all stayed right, if that came within `limit`.
    async fn until_it_stays_right(&mut self, limit: Duration) -> Result<Option<Instant>> {
        let deadline = Instant::now() + limit;
        while let Some(right) = self.until_right(deadline.saturating_duration_since(Instant::now())).await? {
            let mut ticks = interval_at(right + COMPARE_EVERY, COMPARE_EVERY);
            let mut stays = true;
            while stays && right.elapsed() < STAY_RIGHT {
                ticks.tick().await;
                stays = self.look()?.is_right();
            }
            if stays {
                return Ok(Some(right));
            }
        }
        Ok(None)
    }

    /// Looks until the next tick of `rounds`.
    async fn until_tick(&mut self, rounds: &mut tokio::time::Interval) -> Result<()> {
        while timeout(COMPARE_EVERY, rounds.tick()).await.is_err() {
            self.look()?;
        }
        Ok(())
    }
}
