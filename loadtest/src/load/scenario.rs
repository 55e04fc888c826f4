//! A scenario: who there is, what happens to them, what goes wrong, and what must hold all the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Deserializer, Serialize, de::Error};

use super::source::Source;

/// Most people of a scenario.
const PEOPLE_MAX: u32 = 100_000;

/// What is to be run, as a TOML file says it; every field is described in `docs/load-testing.md`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scenario {
    /// What it is for, in a sentence.
    pub about: String,
    /// What the stream is made of.
    #[serde(default = "one")]
    pub seed: u64,
    pub(crate) people: People,
    pub(crate) stream: Shape,
    #[serde(default)]
    pub(crate) services: Services,
    #[serde(default)]
    pub(crate) settings: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) trouble: Vec<Trouble>,
    pub(crate) bounds: Bounds,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct People {
    pub(crate) count: u32,
    /// How uneven they are: the n-th does 1 ÷ n to this power, in hundredths, as much as the first.
    #[serde(default)]
    pub(crate) zipf_hundredths: u32,
    /// Attributes each of them has, one for each tag.
    #[serde(default = "three")]
    pub(crate) attributes: u8,
    /// How many of them, the last ones, are added to rather than overwritten.
    #[serde(default)]
    pub(crate) increments: u8,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Shape {
    pub(crate) via: Via,
    /// The sources that everybody is connected to.
    #[serde(default = "toggl_alone")]
    pub(crate) sources: BTreeSet<Source>,
    /// Records that stand at the source before anybody is connected.
    #[serde(default)]
    pub(crate) before: u32,
    /// Records of the first person, who takes no part in anything else and is connected by `first-person-joins`.
    #[serde(default)]
    pub(crate) first_joins_with: u32,
    /// What a record carries beside what counts, in bytes.
    #[serde(default)]
    pub(crate) filler_bytes: usize,
    #[serde(default)]
    pub(crate) load: Vec<Load>,
    #[serde(default)]
    pub(crate) shares: Shares,
}

/// How the services hear of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Via {
    /// The source tells by a webhook; polls are rare, as the source's quota has it.
    Webhooks,
    /// The services ask the source.
    Polls,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Load {
    pub(crate) arrivals: Arrivals,
    /// Events a second; at the start of a ramp; of each burst.
    pub(crate) rate: u32,
    /// Events a second at the end of a ramp.
    #[serde(default)]
    pub(crate) to: u32,
    /// From one burst to the next.
    #[serde(default = "ten_seconds", deserialize_with = "duration")]
    pub(crate) every: Duration,
    #[serde(default, deserialize_with = "duration")]
    pub(crate) from: Duration,
    #[serde(deserialize_with = "duration")]
    pub(crate) lasts: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Arrivals {
    /// Evenly.
    Constant,
    /// By chance, independently.
    Poisson,
    /// By chance, more or fewer as time goes on.
    Ramp,
    /// So many within a second, then none until the next.
    Burst,
}

/// Of a thousand events; what is left are new records of the last day.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Shares {
    /// Told again, unchanged.
    pub(crate) duplicates: u32,
    /// Two versions, of which the older is told after the newer.
    pub(crate) out_of_order: u32,
    pub(crate) edits: u32,
    pub(crate) deletions: u32,
    /// Moved a day back or ahead.
    pub(crate) moved: u32,
    /// New records of days that are over.
    pub(crate) late: u32,
    /// Rows that nobody can read.
    pub(crate) poison: u32,
    /// How long after the newer version the older is told, at most.
    #[serde(deserialize_with = "duration")]
    pub(crate) out_of_order_by: Duration,
    /// How long after its last telling a record may still be told again, edited, moved or deleted.
    #[serde(deserialize_with = "duration")]
    pub(crate) changes_within: Duration,
}

impl Default for Shares {
    fn default() -> Shares {
        Shares {
            duplicates: 0,
            out_of_order: 0,
            edits: 0,
            deletions: 0,
            moved: 0,
            late: 0,
            poison: 0,
            out_of_order_by: Duration::from_secs(5),
            changes_within: Duration::from_secs(3600),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Services {
    pub(crate) fetcher: usize,
    pub(crate) normaliser: usize,
    pub(crate) exist_writer: usize,
    /// Requests an hour that Exist lets a user make.
    pub(crate) exist_requests_per_hour: usize,
    /// Requests an hour that the source lets a user make.
    pub(crate) source_requests_per_hour: u32,
    /// Whether Redis keeps an append-only file, written to disk every second.
    pub(crate) aof: bool,
}

impl Default for Services {
    fn default() -> Services {
        Services {
            fetcher: 1,
            normaliser: 1,
            exist_writer: 1,
            exist_requests_per_hour: 300,
            source_requests_per_hour: 8,
            aof: false,
        }
    }
}

/// Something that goes wrong, from when on and for how long.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Trouble {
    pub(crate) what: What,
    #[serde(deserialize_with = "duration")]
    pub(crate) at: Duration,
    #[serde(default, deserialize_with = "duration")]
    pub(crate) lasts: Duration,
    /// How many requests in a thousand meet it.
    #[serde(default = "thousand")]
    pub(crate) per_mille: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum What {
    /// Exist answers 503.
    ExistDown,
    /// Exist answers 429 and asks to wait.
    ExistThrottles,
    /// Exist does what it is asked and answers 502.
    ExistLosesAnswers,
    /// Every process is replaced, one after the other: its successor first, then SIGTERM.
    RollingRestart,
    /// One process of each service is killed and replaced.
    Kill,
    /// The normalisers are stopped where they are, and go on when it is over.
    NormalisersFreeze,
    /// The first person is connected, with all the records that stand at the source; what others wait meanwhile, for
    /// as long as this lasts, is told apart.
    FirstPersonJoins,
}

/// What must hold, each if it is given; what holds always is in `docs/load-testing.md`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Bounds {
    /// From the last event until every number is right for good.
    #[serde(deserialize_with = "duration")]
    pub(crate) converged_within: Duration,
    pub(crate) told_to_ledger_p50_ms: Option<u64>,
    pub(crate) told_to_ledger_p99_ms: Option<u64>,
    pub(crate) told_to_confirmed_p50_ms: Option<u64>,
    pub(crate) told_to_confirmed_p99_ms: Option<u64>,
    /// Events a second, from the first until all are in the ledger.
    pub(crate) events_per_second: Option<u64>,
    pub(crate) redis_cpu_us_per_event: Option<u64>,
    pub(crate) redis_commands_per_event: Option<u64>,
    pub(crate) worker_cpu_us_per_event: Option<u64>,
    pub(crate) redis_bytes_per_event: Option<u64>,
    pub(crate) worker_rss_mb: Option<u64>,
    /// Other people's p99 while the first person joins, in per cent of what it was before.
    pub(crate) others_p99_percent: Option<u64>,
    /// How much Redis' memory may grow in an hour of the second half, in hundredths of a per cent of it;
    /// an hour as the retention sees it: a seventy-second of it.
    pub(crate) memory_growth_per_hour_hundredths: Option<u64>,
    /// The longest time that a partition belongs to nobody, at the 99th of a hundred.
    pub(crate) unowned_p99_ms: Option<u64>,
    /// How often a partition of a stage changes hands.
    pub(crate) moves_per_partition: Option<u64>,
}

impl Scenario {
    /// Reads a scenario from its file.
    ///
    /// # Errors
    /// When the file cannot be read, or says what makes no sense; with the place.
    pub fn read(path: &Path) -> Result<Scenario> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        text.parse().with_context(|| format!("in {}", path.display()))
    }

    /// How long its load lasts.
    pub fn lasts(&self) -> Duration {
        let ends = self.stream.load.iter().map(|load| load.from + load.lasts);
        ends.max().unwrap_or_default()
    }

    fn check(&self) -> Result<()> {
        let People { count, attributes, .. } = self.people;
        ensure!((1..=PEOPLE_MAX).contains(&count), "people.count is 1 to {PEOPLE_MAX}, not {count}");
        let most = u8::try_from(super::stream::ATTRIBUTES.len()).unwrap_or(u8::MAX);
        ensure!((1..=most).contains(&attributes), "people.attributes is 1 to {most}, not {attributes}");
        let Shares { duplicates, out_of_order, edits, deletions, moved, late, poison, .. } = self.stream.shares;
        let sum = duplicates + out_of_order + edits + deletions + moved + late + poison;
        ensure!(sum <= 1000, "the shares add up to {sum} in a thousand");
        ensure!(self.stream.before > 0 || !self.stream.load.is_empty(), "nothing happens: no before, no load");
        for load in &self.stream.load {
            ensure!(load.rate > 0 && !load.lasts.is_zero(), "a load has a rate and lasts some time");
            ensure!(load.arrivals == Arrivals::Ramp || load.to == 0, "only a ramp has `to`");
        }
        let joins = self.trouble.iter().filter(|trouble| trouble.what == What::FirstPersonJoins).count();
        ensure!(
            joins == usize::from(self.stream.first_joins_with > 0),
            "who joins has records, and who has them joins once"
        );
        ensure!(
            joins == 0 || (count > 1 && self.stream.via == Via::Webhooks),
            "who joins does so beside others, told by webhooks"
        );
        ensure!(
            self.stream.sources.contains(&Source::Toggl),
            "Toggl Track is among the sources: what stood before is there"
        );
        ensure!(
            self.stream.sources.len() == 1 || self.stream.via == Via::Webhooks,
            "with `polls`, Toggl Track is the only source"
        );
        if self.stream.via == Via::Polls && (duplicates + out_of_order + poison) > 0 {
            bail!(
                "a source that is polled tells each record as it is: duplicates, out-of-order and poison need webhooks"
            );
        }
        if let Some(unknown) = self.settings.keys().find(|name| !name.starts_with("TRIBUTARY_")) {
            bail!("settings are named TRIBUTARY_…, not {unknown}");
        }
        Ok(())
    }
}

impl std::str::FromStr for Scenario {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Scenario> {
        let scenario: Scenario = toml::from_str(text).context("reading the scenario")?;
        scenario.check()?;
        Ok(scenario)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            What::ExistDown => "Exist answers 503",
            What::ExistThrottles => "Exist answers 429",
            What::ExistLosesAnswers => "Exist stores and answers 502",
            What::RollingRestart => "rolling restart",
            What::Kill => "one of each is killed",
            What::NormalisersFreeze => "the normalisers freeze",
            What::FirstPersonJoins => "the first person joins",
        })
    }
}

fn toggl_alone() -> BTreeSet<Source> {
    [Source::Toggl].into()
}

const fn one() -> u64 {
    1
}

const fn three() -> u8 {
    3
}

const fn thousand() -> u32 {
    1000
}

const fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

/// `500ms`, `30s`, `5m`, `2h`.
fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    parse_duration(&text)
        .ok_or_else(|| D::Error::custom(format!("{text:?} is no length of time such as 500ms, 30s or 5m")))
}

pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
        "h" => Some(Duration::from_secs(number.checked_mul(3600)?)),
        "d" => Some(Duration::from_secs(number.checked_mul(86_400)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = r#"
        about = "nothing"
        people = { count = 1 }
        stream = { via = "webhooks", before = 1 }
        bounds = { converged-within = "30s" }
    "#;

    #[test]
    fn every_scenario_that_we_ship_can_be_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let read: Vec<_> = files.map(|path| (Scenario::read(&path).map_err(|e| format!("{e:#}")), path)).collect();
        for (scenario, path) in &read {
            assert!(scenario.is_ok(), "{}: {:?}", path.display(), scenario.as_ref().err());
        }
        assert!(read.len() >= 11, "only {} scenarios", read.len());
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_reason() {
        assert!(LEAST.parse::<Scenario>().is_ok());
        let refused = |from: &str, to: &str| format!("{:#}", LEAST.replace(from, to).parse::<Scenario>().unwrap_err());
        assert!(refused("count = 1", "count = 0").contains("people.count"));
        assert!(refused("before = 1", "before = 0").contains("nothing happens"));
        assert!(refused("30s", "30 parsecs").contains("length of time"));
        assert!(refused("before = 1", "before = 1, shares = { edits = 1001 }").contains("1001 in a thousand"));
        assert!(refused("count = 1", "count = 1, heads = 2").contains("heads"));
    }

    #[test]
    fn lengths_of_time_have_a_unit() {
        let parsed = ["500ms", "2s", "3m", "1h", "2d"].map(|text| parse_duration(text).unwrap().as_millis());
        assert_eq!(parsed, [500, 2_000, 180_000, 3_600_000, 172_800_000]);
        assert!(["", "5", "s", "5 s", "-5s"].iter().all(|text| parse_duration(text).is_none()));
    }
}
