//! Appends of one record each, at their times, however long the ones before take.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context;
use event::{ExternalId, UserId};
use hdrhistogram::Histogram;

use crate::{
    crowd::{self, Appended, Crowd, now_us},
    observed::histogram,
    stand::Stand,
};

/// What the ids of records begin with that are told before anything is measured.
pub(crate) const WARMING: &str = "warming";
/// For so long: whom records belong to is learned, connections and caches are warm.
const WARM_UP: Duration = Duration::from_secs(2);

/// Records told at a steady rate.
pub(crate) struct Steady {
    pub(crate) appended: Appended,
    /// How late each append began, in microseconds: this machine's share in the latencies.
    pub(crate) late: Histogram<u64>,
}

/// Appends a record of `whose` turn it is, `rate` times a second. Latency counts from when each was to be told, so
/// that a stall delays all that were to be told meanwhile.
///
/// A thread of its own keeps the time: the runtime's timer knows milliseconds only.
pub(crate) async fn append(
    stand: &Stand,
    crowd: &Arc<Crowd>,
    rate: u32,
    lasting: Duration,
    whose: impl Fn(u64) -> UserId,
) -> anyhow::Result<Steady> {
    let (timetable, mut due) = tokio::sync::mpsc::unbounded_channel();
    let keeper = std::thread::spawn(move || {
        let (begun, begun_us) = (Instant::now(), now_us());
        for number in 0_u64.. {
            let after = Duration::from_micros(number * 1_000_000 / u64::from(rate.max(1)));
            if after >= WARM_UP + lasting {
                break;
            }
            std::thread::sleep(after.saturating_sub(begun.elapsed()));
            let at_us = begun_us + u64::try_from(after.as_micros()).unwrap_or(0);
            if timetable.send((number, at_us, after < WARM_UP)).is_err() {
                break;
            }
        }
    });
    let late = Arc::new(Mutex::new(histogram()));
    let mut appends = tokio::task::JoinSet::new();
    while let Some((number, at_us, is_warming)) = due.recv().await {
        let mut event = crowd.event(&whose(number), at_us);
        if is_warming {
            event.external_id = ExternalId::try_new(&format!("{WARMING}{}", event.external_id))?;
        }
        let (owned, late) = (crowd.producer(stand, &event.user).clone(), Arc::clone(&late));
        appends.spawn(async move {
            if !is_warming {
                let began = now_us().saturating_sub(at_us).max(1);
                late.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(began);
            }
            crowd::append(&owned, &[event]).await
        });
        while let Some(ended) = appends.try_join_next() {
            ended??;
        }
    }
    while let Some(ended) = appends.join_next().await {
        ended??;
    }
    keeper.join().ok().context("the timetable's thread panicked")?;
    let late = late.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Steady { appended: Appended, late })
}
