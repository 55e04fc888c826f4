//! Each figure beside its goal and the ceiling of the same run, as a table for people and as JSON.

mod row; // one figure

use std::fmt;

use serde_json::{Map, Value, json};

use crate::{
    Options, as_f64,
    ceiling::Ceiling,
    hot::{self, Hot},
    latency::{self, Latency, ms},
    requests::{self, Requests},
    throughput::Throughput,
};
use row::{Row, at_least, at_most, row};

/// Of a third of the ceiling, since a record passes three streams.
const SHARE_GOAL: f64 = 0.40;

/// What was measured.
pub(crate) struct Figures {
    ceiling: Ceiling,
    rows: Vec<Row>,
    /// What JSON tells besides.
    details: Map<String, Value>,
    /// Of one process a stage.
    alone_per_second: Option<f64>,
}

impl Figures {
    pub(crate) fn new(options: &Options, ceiling: Ceiling) -> Self {
        let details = json!({
            "items": options.items, "people": options.people, "aof": options.aof,
            "ceiling_per_second": ceiling.per_second, "ceiling_redis_cpu_us": ceiling.redis_cpu_us,
            "load_average": load_average(), "processes": [], "latency": [],
        });
        let Value::Object(details) = details else { unreachable!("it is written as an object") };
        Self { ceiling, rows: Vec::new(), details, alone_per_second: None }
    }

    fn detail(&mut self, name: &str, value: Value) {
        if let Some(Value::Array(list)) = self.details.get_mut(name) {
            list.push(value);
        } else {
            self.details.insert(name.to_owned(), value);
        }
    }

    pub(crate) fn waiting(&mut self, bytes: f64) {
        let waiting = row("bytes_per_waiting_item", "bytes per waiting item (300-byte payload)", bytes, 0);
        self.rows.push(waiting.goal(at_most(420.0)));
    }

    pub(crate) fn throughput(&mut self, run: Throughput) {
        let (third, thrice) = (self.ceiling.per_second / 3.0, self.ceiling.redis_cpu_us * 3.0);
        let share = run.per_second / third;
        self.rows.extend([
            row("items_per_second", "three stages, items/s", run.per_second, 0)
                .goal(at_least(SHARE_GOAL * third))
                .ceiling(third),
            row("share_of_ceiling", "× 3 ÷ ceiling", share, 3).goal(at_least(SHARE_GOAL)).ceiling(1.0),
            row("redis_cpu_us_per_item", "Redis CPU per item, µs", run.redis_cpu_us, 1)
                .goal(at_most(30.0))
                .ceiling(thrice),
            row("redis_commands_per_item", "Redis commands per item", run.commands, 1).goal(at_most(12.0)),
            row("worker_cpu_us_per_item", "worker CPU per item, µs (no producers)", run.worker_cpu_us, 1)
                .goal(at_most(40.0)),
            row("bytes_per_settled_item", "bytes per settled item, held for the retention time", run.settled_bytes, 0)
                .goal(at_most(120.0)),
        ]);
        self.processes(run);
    }

    pub(crate) fn aof(&mut self, ceiling: Ceiling, run: Throughput) {
        let third = ceiling.per_second / 3.0;
        self.rows.extend([
            row("aof_items_per_second", "with AOF everysec: items/s", run.per_second, 0)
                .goal(at_least(20_000.0))
                .ceiling(third),
            row("aof_share_of_ceiling", "with AOF everysec: × 3 ÷ its ceiling", run.per_second / third, 3).ceiling(1.0),
        ]);
        self.detail("aof_ceiling_per_second", json!(ceiling.per_second));
        self.detail("aof_redis_cpu_us_per_item", json!(run.redis_cpu_us));
    }

    pub(crate) fn processes(&mut self, run: Throughput) {
        let processes = run.processes;
        let peak = run.taken.iter().map(|one| one.peak_mb).fold(0.0, f64::max);
        let rate = row(
            format!("items_per_second_{processes}_processes"),
            format!("{processes} process(es) a stage: items/s"),
            run.per_second,
            0,
        );
        // More processes must not be slower than one.
        let goal = self.alone_per_second.filter(|_| processes > 1).map(at_least);
        self.rows.push(Row { goal, ..rate }.ceiling(self.ceiling.per_second / 3.0));
        let memory = row(
            format!("peak_rss_mb_{processes}_processes"),
            format!("{processes} process(es) a stage: largest RSS, MB"),
            peak,
            1,
        );
        self.rows.push(memory.goal(at_most(30.0)));
        if processes == 1 {
            self.alone_per_second = Some(run.per_second);
        }
        let each = json!({
            "processes": processes, "items_per_second": run.per_second, "redis_cpu_us_per_item": run.redis_cpu_us,
            "redis_commands_per_item": run.commands, "worker_cpu_us_per_item": run.worker_cpu_us, "each": run.taken,
        });
        self.detail("processes", each);
    }

    pub(crate) fn latency(&mut self, rate: u32, latency: Latency) {
        let goals = match rate {
            1_000 => [Some(1.5), Some(6.0), Some(20.0)],
            5_000 => [None, Some(10.0), None],
            _ => [None; 3],
        };
        let (low, high) = latency::bounds_ms(&latency.took, 0.999);
        for ((name, quantile), goal) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)].into_iter().zip(goals) {
            let label = format!("append → ledger at {rate}/s: {}, ms", name.replace("p999", "p99.9"));
            let one = row(format!("{name}_ms_at_{rate}"), label, ms(&latency.took, quantile), 2);
            let note = match name {
                "p999" => format!("{low:.2} to {high:.2} by chance, {} records", latency.took.len()),
                _ => format!("{:.2} of it before the append began", ms(&latency.late, quantile)),
            };
            self.rows.push(Row { goal: goal.map(at_most), note, ..one });
        }
        let (took, late) = (latency::told(&latency.took), latency::told(&latency.late));
        self.detail("latency", json!({"rate": rate, "took_us": took, "late_us": late}));
    }

    pub(crate) fn requests(&mut self, requests: Requests) {
        let over_least = as_f64(requests.writes) / as_f64(requests.least.max(1));
        let note = format!(
            "{} requests for {} values of {} to {} a person and flush",
            requests.writes,
            requests.pairs,
            requests::fewest(),
            requests::most()
        );
        let one = row("value_requests_over_least", "requests ÷ the least possible", over_least, 3);
        self.rows.push(Row { note, ..one });
        for (name, count) in [
            ("changed_values", requests.pairs),
            ("value_requests", requests.writes),
            ("least_value_requests", requests.least),
            ("requests", requests.all),
        ] {
            self.detail(name, json!(count));
        }
    }

    pub(crate) fn hot(&mut self, hot: Hot) {
        let Hot { quiet, flooded, waiting_min } = &hot;
        for (name, label, flooded, quiet) in [
            ("hot_others_over_quiet", "one user's flood: others' p99 ÷ quiet, elsewhere", &flooded.far, &quiet.far),
            ("hot_neighbours_over_quiet", "the same, of those in its partition", &flooded.near, &quiet.near),
        ] {
            let note = format!("{:.1} ÷ {:.1} ms, {waiting_min} waiting or more", ms(flooded, 0.99), ms(quiet, 0.99));
            let one = row(name, label, hot::over(flooded, quiet), 2).goal(at_most(2.0));
            self.rows.push(Row { note, ..one });
        }
        let told = |others: &hot::Others| {
            json!({
                "others_us": latency::told(&others.far), "neighbours_us": latency::told(&others.near),
                "missing": others.missing,
            })
        };
        let both = json!({"waiting_min": waiting_min, "quiet": told(quiet), "flooded": told(flooded)});
        self.detail("hot", both);
    }

    /// As docs/performance.md describes it.
    pub(crate) fn json(&self) -> Value {
        let mut all = self.details.clone();
        all.extend(self.rows.iter().map(|row| (row.name.clone(), json!(row.value))));
        let goals: Map<String, Value> = self.rows.iter().filter_map(Row::judged).collect();
        all.insert("goals".to_owned(), Value::Object(goals));
        Value::Object(all)
    }
}

/// How many threads wanted this machine's cores in the last minute, on the average.
fn load_average() -> f64 {
    let averages = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    averages.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0)
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ceiling { per_second, redis_cpu_us } = self.ceiling;
        writeln!(
            f,
            "plain stream ceiling of this run: {per_second:.0} full cycles/s, {redis_cpu_us:.1} µs of Redis CPU each"
        )?;
        let load = self.details.get("load_average").and_then(Value::as_f64).unwrap_or(0.0);
        writeln!(f, "load average when this began: {load}; beside a busy machine trust counts and bytes alone")?;
        write!(f, "{:<54} {:>10} {:>11}     {:>9}", "figure", "measured", "goal", "ceiling")?;
        self.rows.iter().try_for_each(|row| write!(f, "\n{row}"))
    }
}
