//! What came of a run: figures, and whether everything held.

use std::{collections::BTreeMap, fmt, process::Command};

use serde::{Deserialize, Serialize};

use super::{
    lateness::{Late, LateInSecond},
    leases::Ownership,
    meter::{Counts, Sample},
    trouble::Happened,
};

/// All there is to tell of a run; `docs/load-testing.md` describes its JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The scenario's name, or the file that was replayed.
    pub scenario: String,
    /// What it is for.
    pub about: String,
    /// What the stream was made of; none for a recorded one.
    pub seed: Option<u64>,
    /// When it was run.
    pub at: String,
    /// Where.
    pub machine: Machine,
    /// Of what.
    pub commit: String,
    /// How many people.
    pub people: usize,
    /// What was told.
    pub told: Tellings,
    /// What the services counted.
    pub counts: Counts,
    /// From when a telling was due until it was told: how late the load test itself was.
    #[serde(default)]
    pub told_late: Late,
    /// From when a telling was due until its webhook was taken.
    #[serde(default)]
    pub told_to_taken: Late,
    /// From when a telling was due until it is in the ledger, of some.
    pub told_to_ledger: Late,
    /// From when a telling was due until Exist holds what it made.
    pub told_to_confirmed: Late,
    /// The first by second.
    pub told_to_ledger_by_second: Vec<LateInSecond>,
    /// The second by second.
    pub told_to_confirmed_by_second: Vec<LateInSecond>,
    /// Other people's lateness into the ledger before the first person joined, and meanwhile.
    pub others: Option<Others>,
    /// Dead letters, as the operators' command lists them.
    #[serde(default)]
    pub dead_letters: u64,
    /// What it took.
    pub used: Used,
    /// What Exist saw.
    pub exist: Traffic,
    /// Who owned what.
    pub ownership: Option<Ownership>,
    /// What went wrong meanwhile.
    pub happened: Vec<Happened>,
    /// From the last telling until every number was right for good; none if they never were.
    pub converged_ms: Option<u64>,
    /// Numbers compared, and how many of them are right.
    pub numbers: Numbers,
    /// A fingerprint of every number in Exist, whoever's they are.
    pub state: String,
    /// Everything that had to hold.
    pub checks: Vec<Check>,
    /// How things stood every half second.
    pub samples: Vec<Sample>,
}

/// Where a run took place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// How many of it.
    pub cores: usize,
    /// Memory, in megabytes.
    pub memory_mb: u64,
    /// The kernel.
    pub kernel: String,
    /// Redis' version.
    pub redis: String,
    /// How busy it was at the end, without us or with: the one-minute load.
    pub load: String,
}

/// What was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tellings {
    /// All of them.
    pub all: u64,
    /// Those that had been told before, unchanged.
    pub again: u64,
    /// Those of which a newer version had been told before.
    pub stale: u64,
    /// Those that nobody can read.
    pub broken: u64,
    /// Webhooks that were taken.
    pub taken: u64,
    /// Times a webhook was not taken and sent again.
    pub sent_again: u64,
    /// Webhooks that were given up.
    pub given_up: u64,
}

/// Other people's lateness beside a hot user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Others {
    /// Before, and when it is over.
    pub quiet: Late,
    /// Meanwhile.
    pub hot: Late,
}

/// What a run took, per telling where it says so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Tellings a second, from the first until the last was in the ledger.
    pub events_per_second: u64,
    /// How long that took.
    pub seconds_ms: u64,
    /// Redis' CPU, in microseconds.
    pub redis_cpu_us_per_event: u64,
    /// Commands, those of scripts included and ours left out.
    pub redis_commands_per_event: u64,
    /// What Redis holds more than before, when all is done.
    pub redis_bytes_per_event: u64,
    /// The services' CPU together, in microseconds.
    pub worker_cpu_us_per_event: u64,
    /// The same by service.
    pub cpu_us: BTreeMap<String, u64>,
    /// The most memory a process of each service held.
    pub rss_kb_max: BTreeMap<String, u64>,
    /// The most entries in streams at once.
    pub backlog_max: u64,
    /// How much Redis' memory grew in the second half, in hundredths of a per cent of it in one seventy-second of
    /// the retention time; none where that is not asked.
    pub memory_growth_per_hour_hundredths: Option<u64>,
}

/// What Exist saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Requests of any kind.
    pub requests: u64,
    /// Those that write daily values.
    pub writes: u64,
    /// Values in them.
    pub values: u64,
    /// The most values in one.
    pub largest_write: u64,
    /// Those that carried a value twice.
    pub repeating: u64,
    /// The most of one user in any 60 minutes.
    pub busiest_hour: u64,
    /// Those that came before Exist allowed it.
    pub too_early: u64,
    /// Those refused because the user had made too many, other than by a fault.
    pub over_limit: u64,
}

/// Numbers compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbers {
    /// All that either side knows.
    pub all: usize,
    /// Those that are right.
    pub right: usize,
}

/// Something that had to hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What.
    pub what: String,
    /// What was found.
    pub found: String,
    /// What was allowed.
    pub bound: String,
    /// Whether it held.
    pub holds: bool,
}

impl Outcome {
    /// Whether everything held.
    pub fn is_good(&self) -> bool {
        self.checks.iter().all(|check| check.holds)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seed = self.seed.map_or_else(|| "recorded".to_owned(), |seed| format!("seed {seed}"));
        writeln!(f, "{} ({seed}, {} people, {} tellings)", self.scenario, self.people, self.told.all)?;
        let late = |late: &Late| {
            let ms = |us: u64| format!("{}.{:01}", us / 1_000, us % 1_000 / 100);
            let [p50, p99, p999, max] = [late.p50_us, late.p99_us, late.p999_us, late.max_us].map(ms);
            format!("p50 {p50}  p99 {p99}  p99.9 {p999}  max {max} ms, of {}", late.count)
        };
        writeln!(f, "  due → told         {}", late(&self.told_late))?;
        writeln!(f, "  told → taken       {}", late(&self.told_to_taken))?;
        writeln!(f, "  told → ledger      {}", late(&self.told_to_ledger))?;
        writeln!(f, "  told → in Exist    {}", late(&self.told_to_confirmed))?;
        let Used { events_per_second, redis_cpu_us_per_event, redis_commands_per_event, .. } = self.used;
        writeln!(
            f,
            "  {events_per_second} events/s; per event: Redis {redis_cpu_us_per_event} µs and \
             {redis_commands_per_event} commands, services {} µs, {} bytes kept",
            self.used.worker_cpu_us_per_event, self.used.redis_bytes_per_event
        )?;
        for Check { what, found, bound, holds } in &self.checks {
            let mark = if *holds { "holds" } else { "FAILS" };
            writeln!(f, "  {mark}  {what}: {found} ({bound})")?;
        }
        let word = if self.is_good() { "everything holds" } else { "NOT everything holds" };
        write!(f, "verdict: {word}")
    }
}

impl Machine {
    /// This one.
    pub(crate) fn here(redis: String) -> Machine {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map_or(String::new(), |(_, value)| value.trim().to_owned())
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        Machine {
            cpu: field(&read("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_mb: memory.split(' ').next().and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            redis,
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        }
    }
}

/// The commit that this tree is at, with a plus if it has changes; empty outside a repository.
pub(crate) fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else { return String::new() };
    let is_changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|changes| !changes.is_empty());
    if is_changed { commit + "+" } else { commit }
}
