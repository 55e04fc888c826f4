//! Tells the stream on time, whatever the services make of it.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tokio::{
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
    time::sleep,
};

use super::{
    lateness::Lateness,
    peers::{Peers, Webhook},
    probe::Probe,
    scenario::Via,
    stage::{Hooks, Stage},
    stream::{State, Stream, Telling},
    threads::Threads,
    truth::{Standing, Truth},
};

/// Webhooks that are under way at once; the others wait, and are as late as they are.
const UNDER_WAY_MAX: usize = 256;
/// How long until a webhook that was not taken is sent again.
const AGAIN_AFTER: Duration = Duration::from_millis(250);
/// How long a webhook is sent again and again.
const GIVE_UP_AFTER: Duration = Duration::from_secs(120);
/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// No telling of the same person may be closer before one that is watched into the ledger, in microseconds.
const QUIET_BEFORE_US: u64 = 2_500_000;
/// Nor after it.
const QUIET_AFTER_US: u64 = 500_000;
/// How long before one that is watched it is looked whether it can be, in microseconds.
const LOOK_AHEAD_US: u64 = 200_000;
/// From one that is watched to the next, in microseconds.
const WATCH_EVERY_US: u64 = 5_000;

/// How fast a stream is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Speed {
    /// So many times as fast as it happened.
    Times(f64),
    /// As fast as it is taken.
    Possible,
}

/// What has been told so far.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) told: AtomicU64,
    pub(crate) taken: AtomicU64,
    pub(crate) sent_again: AtomicU64,
    pub(crate) given_up: AtomicU64,
    pub(crate) again: AtomicU64,
    pub(crate) stale: AtomicU64,
    pub(crate) broken: AtomicU64,
}

impl Told {
    pub(crate) fn read(count: &AtomicU64) -> u64 {
        count.load(Ordering::Relaxed)
    }
}

pub(crate) struct Driver {
    truth: Arc<Truth>,
    peers: Arc<Peers>,
    hooks: Hooks,
    names: Arc<Vec<String>>,
    via: Via,
    http: reqwest::Client,
    room: Semaphore,
    probe: Probe,
    pub(crate) told: Arc<Told>,
    /// From when something was due until we told it: our own lateness.
    pub(crate) ours: Lateness,
    /// From when something was due until its webhook was taken.
    pub(crate) taken: Lateness,
    /// Where all of this is done.
    tellers: Threads,
}

impl Driver {
    pub(crate) async fn new(stage: &mut Stage, stream: &Stream) -> Result<Driver> {
        let http = reqwest::Client::builder().no_proxy().timeout(ANSWER_MAX).build().context("making a client")?;
        let tellers = Threads::start("tellers")?;
        Ok(Driver {
            truth: Arc::clone(&stage.truth),
            peers: Arc::clone(&stage.peers),
            hooks: stage.hooks.clone(),
            names: Arc::clone(&stage.names),
            via: stream.header.via,
            http,
            room: Semaphore::new(UNDER_WAY_MAX),
            probe: Probe::new(tellers.run(stage.link()).await?, stage.start.clone()),
            told: Arc::default(),
            ours: Lateness::default(),
            taken: Lateness::default(),
            tellers,
        })
    }

    pub(crate) fn probe(&self) -> &Probe {
        &self.probe
    }

    /// Puts what stood at the source before.
    pub(crate) fn put_before(&self, stream: &Stream) {
        for telling in stream.tellings.iter().filter(|telling| telling.at_us.is_none()) {
            self.peers.put(telling);
        }
    }

    /// What stood there before counts from now on, of people in these places; `due_us` is when they are connected,
    /// if anybody waits for that.
    pub(crate) fn before(&self, stream: &Stream, people: &std::ops::Range<usize>, due_us: Option<u64>) {
        let stood = stream.tellings.iter().filter(|telling| telling.at_us.is_none());
        for telling in stood.filter(|telling| people.contains(&place(telling))) {
            self.truth.tell(telling, due_us);
            self.told.told.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Tells everything else from now on; ends when the last of it is taken.
    pub(crate) fn start(self: &Arc<Driver>, stream: &Stream, speed: Speed, begun: Instant) -> JoinHandle<Result<()>> {
        let (driver, stream) = (Arc::clone(self), stream.clone());
        self.tellers.handle().spawn(async move { driver.play(&stream, speed, begun).await })
    }

    async fn play(self: &Arc<Driver>, stream: &Stream, speed: Speed, begun: Instant) -> Result<()> {
        let tellings: Vec<&Telling> = stream.tellings.iter().filter(|telling| telling.at_us.is_some()).collect();
        let watched = watched(&tellings, self.names.len(), speed);
        let mut under_way = JoinSet::new();
        let mut calm = Calm { next: 0, looks: VecDeque::new() };
        for (index, telling) in tellings.iter().enumerate() {
            let at_us = telling.at_us.unwrap_or(0);
            let due_us = match speed {
                Speed::Times(times) => scaled(at_us, times),
                Speed::Possible => {
                    // The room is given back at once: who waits for it here has to wait for somebody's answer.
                    drop(self.room.acquire().await.context("the room is never closed")?);
                    u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX)
                }
            };
            if let Speed::Times(times) = speed {
                let soon = |telling: &Telling| scaled(telling.at_us.unwrap_or(0), times) <= due_us + LOOK_AHEAD_US;
                calm.look(self, &tellings, &watched, soon);
            }
            let due = begun + Duration::from_micros(due_us);
            if Instant::now() < due {
                tokio::time::sleep_until(due.into()).await;
            }
            self.ours.note(due_us, self.probe.now_us());
            let standing = self.note(telling, Some(due_us));
            self.told.told.fetch_add(1, Ordering::Relaxed);
            if self.via == Via::Webhooks && telling.source.has_webhooks() {
                let (driver, telling) = (Arc::clone(self), **telling);
                let look = calm.of(index).filter(|_| standing == Standing::First && telling.feeds != 0);
                let event = index + 1;
                under_way.spawn(async move { driver.send(telling, standing, event, due_us, look).await });
            }
            while under_way.try_join_next().is_some() {}
        }
        while under_way.join_next().await.is_some() {}
        Ok(())
    }

    fn note(&self, telling: &Telling, due_us: Option<u64>) -> Standing {
        let standing = self.truth.tell(telling, due_us);
        let count = match standing {
            Standing::First | Standing::News => {
                self.peers.put(telling);
                return standing;
            }
            Standing::Again => &self.told.again,
            Standing::Stale => &self.told.stale,
            Standing::Broken => {
                self.peers.put(telling);
                &self.told.broken
            }
        };
        count.fetch_add(1, Ordering::Relaxed);
        standing
    }

    async fn send(
        &self,
        telling: Telling,
        standing: Standing,
        event: usize,
        due_us: u64,
        look: Option<JoinHandle<bool>>,
    ) {
        let person = place(&telling);
        let name = &self.names[person];
        let Some(webhook) = self.peers.webhook(&telling, standing, event) else { return };
        // It was asked long ago, and is seldom waited for.
        if let Some(look) = look
            && look.await.unwrap_or(false)
        {
            self.probe.watch(name, due_us);
        }
        let begun = Instant::now();
        loop {
            let Ok(room) = self.room.acquire().await else { return };
            let taken = match self.hooks.address() {
                Some(hooks) => self.post(&format!("{hooks}/{}/{name}", webhook.source.name()), &webhook).await,
                None => false,
            };
            drop(room);
            if taken {
                self.taken.note(due_us, self.probe.now_us());
                self.told.taken.fetch_add(1, Ordering::Relaxed);
                return;
            }
            if begun.elapsed() > GIVE_UP_AFTER {
                self.told.given_up.fetch_add(1, Ordering::Relaxed);
                return;
            }
            self.told.sent_again.fetch_add(1, Ordering::Relaxed);
            sleep(AGAIN_AFTER).await;
        }
    }

    async fn post(&self, url: &str, webhook: &Webhook) -> bool {
        let mut request = self.http.post(url).header("content-type", "application/json").body(webhook.body.clone());
        for (name, value) in &webhook.headers {
            request = request.header(*name, value);
        }
        request.send().await.is_ok_and(|answer| answer.status().is_success())
    }
}

/// Whether those who are to be watched can be, asked some time before.
struct Calm {
    next: usize,
    looks: VecDeque<(usize, JoinHandle<bool>)>,
}

impl Calm {
    /// Asks about those who are to be watched soon.
    fn look(&mut self, driver: &Driver, tellings: &[&Telling], watched: &[bool], soon: impl Fn(&Telling) -> bool) {
        while let Some(telling) = tellings.get(self.next).filter(|telling| soon(telling)) {
            if watched[self.next] {
                let (probe, name) = (driver.probe.clone(), driver.names[place(telling)].clone());
                self.looks.push_back((self.next, tokio::spawn(async move { probe.is_calm(&name).await })));
            }
            self.next += 1;
        }
    }

    /// What was asked about this one, if it is to be watched.
    fn of(&mut self, index: usize) -> Option<JoinHandle<bool>> {
        let (first, _) = self.looks.front()?;
        if *first == index { self.looks.pop_front().map(|(_, look)| look) } else { None }
    }
}

fn place(telling: &Telling) -> usize {
    usize::try_from(telling.person).expect("a place in a list")
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a moment of a run"
)]
fn scaled(at_us: u64, times: f64) -> u64 {
    if times == 1.0 { at_us } else { (at_us as f64 / times) as u64 }
}

/// Which of them can be watched into the ledger: those of people of whom nothing else is told around that time.
fn watched(tellings: &[&Telling], people: usize, speed: Speed) -> Vec<bool> {
    let Speed::Times(times) = speed else { return vec![false; tellings.len()] };
    let at = |telling: &Telling| scaled(telling.at_us.unwrap_or(0), times);
    let mut next = vec![u64::MAX; people];
    let quiet_after: Vec<bool> = tellings
        .iter()
        .rev()
        .map(|telling| {
            let after = std::mem::replace(&mut next[place(telling)], at(telling));
            after.saturating_sub(at(telling)) > QUIET_AFTER_US
        })
        .collect();
    let mut before: Vec<Option<u64>> = vec![None; people];
    let mut last = None;
    let chosen = tellings.iter().zip(quiet_after.into_iter().rev()).map(|(telling, quiet)| {
        let before = before[place(telling)].replace(at(telling));
        let is_quiet = quiet && before.is_none_or(|before| at(telling) - before > QUIET_BEFORE_US);
        let is_time = last.is_none_or(|last| at(telling) >= last + WATCH_EVERY_US);
        if is_quiet && is_time && telling.state == State::There && telling.source.has_webhooks() {
            last = Some(at(telling));
            return true;
        }
        false
    });
    chosen.collect()
}
