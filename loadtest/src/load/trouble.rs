//! What goes wrong meanwhile, at its time.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, sleep_until};

use super::{
    drive::Driver,
    progress::Progress,
    scenario::{Trouble, What},
    stage::Stage,
    stream::Stream,
};
use crate::{
    exist::{Endpoint, Fault, Rule},
    fleet::Role,
};

/// How long a process may take to leave: 20 s for calls in hand, and some.
const LEAVE_MAX: Duration = Duration::from_secs(30);
/// How long a new process may take to be ready.
const READY_MAX: Duration = Duration::from_secs(60);
/// The first person, who joins.
const ALONE: std::ops::Range<usize> = 0..1;
/// From one process that was replaced to the next.
const BETWEEN: Duration = Duration::from_secs(4);
/// What a throttled client is asked to wait.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// What went wrong from when to when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happened {
    /// What.
    pub what: String,
    /// From when, from the beginning.
    pub from_ms: u64,
    /// Until when.
    pub until_ms: u64,
}

/// Lets things go wrong, one after the other, from `begun` on.
pub(crate) async fn make(
    stage: &mut Stage,
    (driver, stream): (&Driver, &Stream),
    troubles: &[Trouble],
    begun: Instant,
    progress: &Progress,
) -> Result<Vec<Happened>> {
    let mut troubles = troubles.to_vec();
    troubles.sort_by_key(|trouble| trouble.at);
    let mut happened = Vec::new();
    for trouble in troubles {
        sleep_until((begun + trouble.at).into()).await;
        let from_ms = millis(begun);
        progress.say(&format!("{} s: {}", from_ms / 1_000, trouble.what));
        if trouble.what == What::FirstPersonJoins {
            driver.before(stream, &ALONE, Some(from_ms * 1_000));
            stage.import(ALONE).await?;
            sleep_until((begun + trouble.at + trouble.lasts).into()).await;
        } else {
            one(stage, &trouble, begun).await.with_context(|| trouble.what.to_string())?;
        }
        let until_ms = millis(begun);
        progress.say(&format!("{} s: {}, over", until_ms / 1_000, trouble.what));
        happened.push(Happened { what: trouble.what.to_string(), from_ms, until_ms });
    }
    Ok(happened)
}

async fn one(stage: &mut Stage, trouble: &Trouble, begun: Instant) -> Result<()> {
    let writes = [Endpoint::Update, Endpoint::Increment, Endpoint::Acquire];
    let fault = match trouble.what {
        What::ExistDown => Fault::Status(503),
        What::ExistThrottles => Fault::TooManyRequests { retry_after: Some(RETRY_AFTER), detail: true },
        What::ExistLosesAnswers => Fault::CommitThenStatus(502),
        What::RollingRestart => return rolling_restart(stage).await,
        What::Kill => return kill(stage),
        What::NormalisersFreeze => return freeze(stage, trouble, begun).await,
        What::FirstPersonJoins => return Ok(()),
    };
    stage.exist.faults().add(Rule::new(fault).on(writes).per_mille(trouble.per_mille));
    sleep_until((begun + trouble.at + trouble.lasts).into()).await;
    stage.exist.faults().clear();
    Ok(())
}

/// The successor first; then nothing is sent there any more; then SIGTERM; and a while until the next.
async fn rolling_restart(stage: &mut Stage) -> Result<()> {
    for role in Role::CARRIERS {
        for name in names(stage, role) {
            stage.spawn(role)?;
            stage.fleet.ready(READY_MAX).await?;
            stage.hooks.remove(&name);
            let process = stage.fleet.process(&name);
            process.terminate()?;
            let status = process.wait(LEAVE_MAX).await;
            ensure!(status.is_some_and(|status| status.success()), "{name} did not leave well: {status:?}");
            sleep(BETWEEN).await;
        }
    }
    Ok(())
}

fn kill(stage: &mut Stage) -> Result<()> {
    for role in Role::CARRIERS {
        let Some(name) = names(stage, role).into_iter().next() else { continue };
        stage.fleet.process(&name).kill9()?;
        stage.hooks.remove(&name);
        stage.spawn(role)?;
    }
    Ok(())
}

async fn freeze(stage: &mut Stage, trouble: &Trouble, begun: Instant) -> Result<()> {
    let frozen = names(stage, Role::Normaliser);
    for name in &frozen {
        stage.fleet.process(name).pause().await?;
    }
    sleep_until((begun + trouble.at + trouble.lasts).into()).await;
    for name in &frozen {
        stage.fleet.process(name).resume()?;
    }
    Ok(())
}

/// Those of a service that run.
fn names(stage: &mut Stage, role: Role) -> Vec<String> {
    let running = stage.fleet.processes().iter().filter(|process| process.role() == role && process.should_run());
    running.map(|process| process.name().to_owned()).collect()
}

fn millis(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}
