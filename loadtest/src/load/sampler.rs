//! How things stand, every half second: for the report, and for whoever watches.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use tokio::time::{MissedTickBehavior, interval};

use super::{
    drive::{Driver, Told},
    meter::{Meter, SAMPLE_EVERY, Sample},
    progress::Progress,
    stage::Stage,
    stream::Stream,
    tap::Start,
    truth::Truth,
};
use crate::fleet::Role;

#[derive(Clone)]
pub(crate) struct Sampler {
    running: Arc<Mutex<Vec<(u32, Role)>>>,
    told: Arc<Told>,
    truth: Arc<Truth>,
    start: Start,
    meter: Meter,
    progress: Arc<Progress>,
    all: u64,
    samples: Arc<Mutex<Vec<Sample>>>,
}

impl Sampler {
    pub(crate) fn new(
        stage: &Stage,
        driver: &Driver,
        meter: &Meter,
        progress: &Arc<Progress>,
        stream: &Stream,
    ) -> Sampler {
        Sampler {
            running: Arc::clone(&stage.running),
            told: Arc::clone(&driver.told),
            truth: Arc::clone(&stage.truth),
            start: stage.start.clone(),
            meter: meter.clone(),
            progress: Arc::clone(progress),
            all: u64::try_from(stream.len()).unwrap_or(u64::MAX),
            samples: Arc::default(),
        }
    }

    /// Looks until it is dropped.
    pub(crate) async fn run(self) {
        let mut ticks = interval(SAMPLE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // A Redis that does not answer leaves a gap in the plot.
            let _ = self.look().await;
        }
    }

    pub(crate) async fn look(&self) -> Result<()> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sample = self.meter.sample(&running, &self.told, &self.truth, &self.start).await?;
        let Sample { told, backlog, unconfirmed, .. } = sample;
        self.held().push(sample);
        self.progress.reached(told, self.all, &format!("{backlog} in streams, {unconfirmed} not in Exist yet"));
        Ok(())
    }

    pub(crate) fn samples(&self) -> Vec<Sample> {
        self.held().clone()
    }

    fn held(&self) -> MutexGuard<'_, Vec<Sample>> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
