//! A run from start to verdict.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::time::sleep;

use super::{
    bounds::checks,
    drive::{Driver, Speed, Told},
    leases::Leases,
    meter::{Counts, Meter, RedisUse, Sample},
    outcome::{Machine, Numbers, Others, Outcome, Tellings, Traffic, Used, commit},
    progress::Progress,
    sampler::Sampler,
    scenario::{Scenario, Via, What, parse_duration},
    stage::Stage,
    stream::Stream,
    trouble,
};
use crate::{exist::Endpoint, judge};

/// How long the first read-back may take until the stream begins all the same: so long, and for each person so long.
const READ_BACK_MAX: Duration = Duration::from_secs(45);
const READ_BACK_EACH: Duration = Duration::from_millis(40);
/// How often both sides are compared once everything is told.
const COMPARE_EVERY: Duration = Duration::from_millis(250);
/// How long all must stay right.
const STAY_RIGHT: Duration = Duration::from_secs(2);
/// How long the services may take to leave.
const LEAVE_MAX: Duration = Duration::from_secs(30);
/// What is due in the first seconds, while caches fill and connections are made, is no measure of others' quiet.
const WARM_UP: Duration = Duration::from_secs(3);
/// After whoever joined is there: what is due this much later meets nothing of it any more.
const SETTLED: Duration = Duration::from_secs(2);
/// Hours of the retention time.
const RETENTION_HOURS: u64 = 72;
/// Recorded streams are moved by whole days, so that they end today.
const DAY_S: i64 = 86_400;

/// How a stream is run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How many times as fast as it happened; none for as fast as it is taken.
    pub speed: Option<f64>,
    /// Whether it is told as fast as it is taken.
    pub as_fast_as_possible: bool,
    /// Where to leave the services' logs; none to throw them away.
    pub logs: Option<PathBuf>,
    /// Where to write down what passes from the source to the services.
    pub record: Option<PathBuf>,
}

/// Plays a stream at the real processes on a private Redis and judges what comes of it.
///
/// # Errors
/// When something cannot be started or a service ends by itself. What does not hold is no error, but among
/// [`Outcome::checks`].
pub async fn run(name: &str, scenario: &Scenario, stream: &Stream, options: &Options) -> Result<Outcome> {
    let progress = Arc::new(Progress::new());
    let outcome = play(name, scenario, stream, options, &progress).await;
    progress.done();
    outcome
}

async fn play(
    name: &str,
    scenario: &Scenario,
    stream: &Stream,
    options: &Options,
    progress: &Arc<Progress>,
) -> Result<Outcome> {
    let anchor_s = anchor(stream);
    progress.say(&format!(
        "{name}: {} people, {} tellings; starting peers and processes",
        stream.header.people.len(),
        stream.len()
    ));
    let mut stage = Stage::set(scenario, stream, anchor_s, options.logs.as_ref(), options.record.as_ref()).await?;
    let driver = Arc::new(Driver::new(&mut stage, stream).await?);
    let meter = Meter::new(stage.link().await?);
    let is_polled = stream.header.via == Via::Polls;
    let everybody = usize::from(scenario.stream.first_joins_with > 0)..stream.header.people.len();
    driver.put_before(stream);
    driver.before(stream, &everybody, is_polled.then_some(0));
    let at_first = meter.redis().await?;
    if !is_polled {
        stage.import(everybody.clone()).await?;
        progress.say("everybody is connected; waiting until they are read back");
        let count = u32::try_from(everybody.len()).unwrap_or(u32::MAX);
        if !stage.until_read_back(everybody.len(), READ_BACK_MAX + READ_BACK_EACH * count).await {
            progress.say("not every number is right yet; the stream begins all the same");
        }
    }
    let before = if is_polled { at_first } else { meter.redis().await? };
    let counts_before = meter.counts().await?;
    let asked_before = meter.asked.load(Ordering::Relaxed);
    let begun = stage.start.begin();
    let leases = Leases::new(stage.link().await?);
    let moves = [What::RollingRestart, What::Kill];
    let watch = scenario.trouble.iter().any(|trouble| moves.contains(&trouble.what));
    let watching = watch.then(|| tokio::spawn(leases.clone().watch()));
    let sampler = Sampler::new(&stage, &driver, &meter, progress, stream);
    sampler.look().await?;
    let cpu_before = meter.cpu_us();
    let sampling = tokio::spawn(sampler.clone().run());
    if is_polled {
        stage.import(everybody.clone()).await?;
        progress.say("everybody is connected");
    }
    let speed = if options.as_fast_as_possible { Speed::Possible } else { Speed::Times(options.speed.unwrap_or(1.0)) };
    // Processes are started from here: the kernel ends them with the thread that starts them.
    let telling = driver.start(stream, speed, begun);
    let happened = trouble::make(&mut stage, (&driver, stream), &scenario.trouble, begun, progress).await?;
    telling.await.context("telling the stream")??;
    let last = Instant::now();
    progress.say("everything is told; waiting until every number is right");
    let expected = stage.expected();
    let ends = Ends { expected: &expected, unreadable: tellings(&driver.told).broken };
    let (converged, in_ledger) = converge(&mut stage, &meter, &ends, scenario.bounds.converged_within, last).await?;
    let unseen = stage.truth.settle();
    if unseen > 0 {
        progress.say(&format!("{unseen} changes cancelled each other out before Exist was told of them"));
    }
    sampling.abort();
    sampler.look().await?;
    let samples = sampler.samples();
    let after = meter.redis().await?;
    let counts = meter.counts().await?;
    let cpu_us = since(&meter.cpu_us(), &cpu_before);
    let ownership = watching.map(|watching| {
        watching.abort();
        leases.ownership()
    });
    let version = redis_version(&mut stage).await?;
    let dead_letters = dead_letters(&stage).await?;
    for name in stage.fleet.stop(LEAVE_MAX).await? {
        progress.say(&format!("{name} had to be killed: it did not leave when asked"));
    }
    if let Some(recording) = stage.recording.take() {
        progress.say(&format!("{} tellings recorded", recording.finish()?));
    }
    let verdict = stage.verdict(&expected);
    for row in verdict.rows.iter().filter(|row| !row.equal).take(5) {
        progress.say(&format!(
            "wrong: {} {} {}: the sources say {:?}, Exist holds {:?}",
            row.person, row.attribute, row.day, row.expected, row.held
        ));
    }
    let ours = meter.asked.load(Ordering::Relaxed) - asked_before
        + driver.probe().asked.load(Ordering::Relaxed)
        + leases.asked.load(Ordering::Relaxed);
    // What stood before is the services' work only where they are connected within the run.
    let stood = stream.tellings.iter().filter(|telling| telling.at_us.is_none() && !is_polled);
    let stood =
        stood.filter(|telling| usize::try_from(telling.person).is_ok_and(|place| everybody.contains(&place))).count();
    let events = tellings(&driver.told).all - u64::try_from(stood).unwrap_or(0);
    let took = in_ledger.unwrap_or(last).duration_since(begun);
    let mut used = used(events, took, (before, after), ours, &cpu_us, &samples);
    used.rss_kb_max = meter.largest_kb();
    used.memory_growth_per_hour_hundredths = growth(scenario, &samples);
    let lateness = &driver.probe().lateness;
    let mut outcome = Outcome {
        scenario: name.to_owned(),
        about: scenario.about.clone(),
        seed: stream.header.seed,
        at: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        machine: Machine::here(version),
        commit: commit(),
        people: stream.header.people.len(),
        told: tellings(&driver.told),
        counts: less(&counts, if is_polled { None } else { Some(&counts_before) }),
        told_late: driver.ours.whole(),
        told_to_taken: driver.taken.whole(),
        told_to_ledger: lateness.whole(),
        told_to_confirmed: stage.truth.confirmed.whole(),
        told_to_ledger_by_second: lateness.by_second(),
        told_to_confirmed_by_second: stage.truth.confirmed.by_second(),
        others: others(scenario, lateness),
        dead_letters,
        used,
        exist: traffic(&stage),
        ownership,
        happened,
        converged_ms: converged.map(|at| millis(at.saturating_duration_since(last))),
        numbers: Numbers { all: verdict.rows.len(), right: verdict.equal() },
        state: fingerprint(&verdict),
        checks: Vec::new(),
        samples,
    };
    outcome.checks = checks(&outcome, scenario);
    Ok(outcome)
}

/// The second that a stream's times count from: now, or when it was recorded, moved by whole days.
fn anchor(stream: &Stream) -> i64 {
    let now = Timestamp::now().as_second();
    stream.header.anchor_s.map_or(now, |recorded| recorded + (now - recorded).div_euclid(DAY_S) * DAY_S)
}

/// What it comes to when all is well.
struct Ends<'a> {
    /// Everybody's numbers.
    expected: &'a [judge::Numbers],
    /// Tellings that nobody can read, each of which is set aside.
    unreadable: u64,
}

/// Waits until everything is in the ledger and every number right for good; when each was so.
async fn converge(
    stage: &mut Stage,
    meter: &Meter,
    ends: &Ends<'_>,
    within: Duration,
    last: Instant,
) -> Result<(Option<Instant>, Option<Instant>)> {
    let (mut right_since, mut in_ledger) = (None, None);
    loop {
        stage.fleet.check()?;
        if in_ledger.is_none() && meter.backlog().await? == 0 {
            in_ledger = Some(Instant::now());
        }
        let is_over = last.elapsed() > within;
        let counts = meter.counts().await?;
        let is_right = counts.appended == counts.ended()
            && counts.state("processing") == 0
            && counts.state("errored") >= ends.unreadable
            && stage.verdict(ends.expected).is_right();
        match right_since {
            _ if !is_right => right_since = None,
            None => right_since = Some(Instant::now()),
            Some(since) if Instant::now().duration_since(since) > STAY_RIGHT => return Ok((Some(since), in_ledger)),
            Some(_) => {}
        }
        if is_over && right_since.is_none() {
            return Ok((None, in_ledger));
        }
        sleep(COMPARE_EVERY).await;
    }
}

fn tellings(told: &Told) -> Tellings {
    Tellings {
        all: Told::read(&told.told),
        again: Told::read(&told.again),
        stale: Told::read(&told.stale),
        broken: Told::read(&told.broken),
        taken: Told::read(&told.taken),
        sent_again: Told::read(&told.sent_again),
        given_up: Told::read(&told.given_up),
    }
}

fn used(
    events: u64,
    took: Duration,
    (before, after): (RedisUse, RedisUse),
    ours: u64,
    cpu_us: &std::collections::BTreeMap<String, u64>,
    samples: &[Sample],
) -> Used {
    let each = |sum: u64| sum / events.max(1);
    Used {
        events_per_second: events * 1_000 / millis(took).max(1),
        seconds_ms: millis(took),
        redis_cpu_us_per_event: each(after.cpu_us.saturating_sub(before.cpu_us)),
        redis_commands_per_event: each(after.commands.saturating_sub(before.commands).saturating_sub(ours)),
        redis_bytes_per_event: each(after.bytes.saturating_sub(before.bytes)),
        worker_cpu_us_per_event: each(cpu_us.values().sum()),
        cpu_us: cpu_us.clone(),
        backlog_max: samples.iter().map(|sample| sample.backlog).max().unwrap_or(0),
        ..Used::default()
    }
}

/// Each service's CPU since then.
fn since(
    now: &std::collections::BTreeMap<String, u64>,
    before: &std::collections::BTreeMap<String, u64>,
) -> std::collections::BTreeMap<String, u64> {
    let less = |(role, cpu): (&String, &u64)| (role.clone(), cpu - before.get(role).copied().unwrap_or(0).min(*cpu));
    now.iter().map(less).collect()
}

/// Counts without what had ended before: what was under way then ended in this run.
fn less(now: &Counts, before: Option<&Counts>) -> Counts {
    let Some(before) = before else { return now.clone() };
    let left = |(state, count): (&String, &u64)| match state.as_str() {
        "processing" => (state.clone(), *count),
        ended => (state.clone(), count.saturating_sub(before.state(ended))),
    };
    Counts { appended: now.appended.saturating_sub(before.ended()), states: now.states.iter().map(left).collect() }
}

/// The slope of Redis' memory over the second half of the samples, by least squares, in hundredths of a per cent of
/// its mean for each seventy-second of the retention time.
fn growth(scenario: &Scenario, samples: &[Sample]) -> Option<u64> {
    scenario.bounds.memory_growth_per_hour_hundredths?;
    let retention = parse_duration(scenario.settings.get("TRIBUTARY_RETENTION")?)?;
    let told = samples.iter().position(|sample| Some(sample.told) == samples.last().map(|last| last.told));
    let half = samples.get(told? / 2..told?)?;
    let count = i128::try_from(half.len()).ok().filter(|count| *count > 1)?;
    let points = || half.iter().map(|sample| (i128::from(sample.at_ms), i128::from(sample.redis_bytes)));
    let (sum_x, sum_y) = points().fold((0, 0), |(sum_x, sum_y), (x, y)| (sum_x + x, sum_y + y));
    // Both multiplied by the count, so that whole numbers do.
    let (mut over, mut under) = (0_i128, 0_i128);
    for (x, y) in points() {
        over += (x * count - sum_x) * (y * count - sum_y);
        under += (x * count - sum_x).pow(2);
    }
    let hour_ms = i128::from(millis(retention) / RETENTION_HOURS);
    let per_hour = over * hour_ms * 10_000 * count / under.checked_mul(sum_y)?.max(1);
    Some(u64::try_from(per_hour.max(0)).unwrap_or(u64::MAX))
}

fn others(scenario: &Scenario, lateness: &super::lateness::Lateness) -> Option<Others> {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let joins = scenario.trouble.iter().find(|trouble| trouble.what == What::FirstPersonJoins)?;
    let over = joins.at + joins.lasts;
    let hot = micros(joins.at)..micros(over);
    Some(Others {
        // Both before and after: a machine that is busy with something else by the way is so in either.
        quiet: lateness.within(&[micros(WARM_UP)..micros(joins.at), micros(over + SETTLED)..u64::MAX]),
        hot: lateness.within(std::slice::from_ref(&hot)),
    })
}

fn traffic(stage: &Stage) -> Traffic {
    let log = stage.exist.log();
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let writes = log.only(|entry| matches!(entry.endpoint, Some(Endpoint::Update | Endpoint::Increment)));
    let refused = log.only(|entry| entry.status == Some(429) && entry.room_at.is_some());
    Traffic {
        requests: count(log.entries().len()),
        writes: count(writes.entries().len()),
        values: writes.entries().iter().map(|entry| count(entry.items)).sum(),
        largest_write: count(log.largest_write()),
        repeating: count(log.repeating().entries().len()),
        busiest_hour: count(log.busiest(Duration::from_secs(3600))),
        too_early: count(log.too_early().entries().len()),
        over_limit: count(refused.entries().len()),
    }
}

/// The same for the same numbers, whatever people are called and in whatever order they come.
fn fingerprint(verdict: &judge::Verdict) -> String {
    let mut people: std::collections::BTreeMap<&str, Sha256> = std::collections::BTreeMap::new();
    for row in &verdict.rows {
        let Some(held) = row.held.filter(|held| !held.is_zero()) else { continue };
        let line = format!("{}|{}|{}\n", row.attribute, row.day, held.normalize());
        people.entry(&row.person).or_default().update(line);
    }
    let mut people: Vec<_> = people.into_values().map(Digest::finalize).collect();
    people.sort_unstable();
    let all = people.into_iter().fold(Sha256::new(), Sha256::chain_update);
    hex::encode(all.finalize())
}

/// How many entries are set aside for a person, as the operators' command says.
async fn dead_letters(stage: &Stage) -> Result<u64> {
    let listed = stage.fleet.run(&["dead-letters", "list", "--json"]).await?;
    let listed: serde_json::Value = serde_json::from_str(&listed).context("reading the list of dead letters")?;
    let letters = listed.get("dead_letters").unwrap_or(&listed).as_array().context("dead letters are a list")?;
    u64::try_from(letters.len()).context("counting dead letters")
}

async fn redis_version(stage: &mut Stage) -> Result<String> {
    let info: String = redis::cmd("INFO").arg("server").query_async(&mut stage.link().await?).await?;
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
    Ok(version.unwrap_or_default().trim().to_owned())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOAK: &str = r#"
        about = "soak"
        people = { count = 1 }
        stream = { via = "webhooks", before = 1 }
        settings = { TRIBUTARY_RETENTION = "72s" }
        bounds = { converged-within = "30s", memory-growth-per-hour-hundredths = 50 }
    "#;

    fn samples(bytes: impl Fn(u64) -> u64) -> Vec<Sample> {
        (0..401).map(|at| Sample { at_ms: at * 500, told: at, redis_bytes: bytes(at), ..Sample::default() }).collect()
    }

    #[test]
    fn memory_grows_as_fast_as_the_line_through_its_second_half() {
        let scenario: Scenario = SOAK.parse().unwrap();
        // An hour is a second here: two samples.
        assert_eq!(growth(&scenario, &samples(|_| 1_000_000)), Some(0));
        assert_eq!(growth(&scenario, &samples(|at| 1_000_000 - at)), Some(0), "what shrinks does not grow");
        let steep = growth(&scenario, &samples(|at| 1_000_000 + at * 5_000)).unwrap();
        // 10,000 bytes an hour on a mean of 2.5 million: 0.4 %.
        assert!((39..=41).contains(&steep), "{steep}");
        let early = growth(&scenario, &samples(|at| 1_000_000 + at.min(150) * 5_000));
        assert_eq!(early, Some(0), "the first half does not count");
    }

    #[test]
    fn what_was_under_way_before_is_counted_with_its_end() {
        let counts = |appended, completed, processing| Counts {
            appended,
            states: [("completed".to_owned(), completed), ("processing".to_owned(), processing)].into(),
        };
        let run = less(&counts(30, 30, 0), Some(&counts(10, 7, 3)));
        assert_eq!((run.appended, run.ended(), run.state("processing")), (23, 23, 0));
    }
}
