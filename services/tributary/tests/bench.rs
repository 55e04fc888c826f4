//! The bench as people run it: what it prints is what docs/performance.md says.

use std::{collections::BTreeSet, process::Stdio, time::Duration};

use serde_json::Value;
use tokio::{process::Command, time::timeout};

/// How long the shortest run may take on a busy machine.
const RUN_MAX: Duration = Duration::from_secs(120);
const RECORDS: u64 = 100;

#[tokio::test]
async fn the_shortest_run_tells_every_record_and_fields_that_are_documented() {
    let mut bench = Command::new(env!("CARGO_BIN_EXE_tributary-bench"));
    bench.args(["--json", "--only", "latency", "--people", "20", "--rates", "100", "--seconds", "1"]);
    bench.stdin(Stdio::null()).kill_on_drop(true);
    let ended = timeout(RUN_MAX, bench.output()).await.expect("it ends").expect("it starts");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
    let figures: Value = serde_json::from_slice(&ended.stdout).expect("standard output is JSON alone");

    let latency = &figures["latency"][0];
    assert_eq!(latency["took_us"]["samples"], RECORDS, "{figures}");
    assert_eq!(latency["late_us"]["samples"], RECORDS, "{figures}");
    assert!(figures["ceiling_per_second"].as_f64() > Some(0.0), "{figures}");

    let guide = include_str!("../../../docs/performance.md");
    let general = |field: &String| field.replace("_at_100", "_at_RATE");
    let fields: BTreeSet<String> = figures.as_object().expect("one object").keys().map(general).collect();
    let unknown: Vec<&String> = fields.iter().filter(|field| !guide.contains(&format!("`{field}`"))).collect();
    assert!(unknown.is_empty(), "docs/performance.md does not say what {unknown:?} is");
}
