//! Numbers, panels and alerts of a real Prometheus against what Redis, Exist and the judge say.

use std::{collections::BTreeSet, time::Duration};

use loadtest::{
    exist::Fault as ExistFault,
    fleet::{Fleet, Role},
    world::{Fault, Malformed, Spoiled},
};
use tokio::io::AsyncWriteExt;

use crate::{
    artefacts::{dashboards, panels, root},
    ledger::Ledger,
    picture::draw,
    prometheus::{Prometheus, program},
    show::{Show, stage},
};

/// How long something may take to be seen, on a busy machine.
const SEEN: Duration = Duration::from_secs(60);

/// Dashboards that are drawn for the documents.
const PICTURED: [&str; 2] = ["load.json", "overview.json"];

/// Where a fleet's processes are scraped.
fn targets(fleet: &mut Fleet) -> Vec<String> {
    let running = fleet.processes().iter().filter(|process| process.should_run());
    running.map(|process| process.admin_url().trim_start_matches("http://").to_owned()).collect()
}

/// A query as Grafana would send it with everything chosen.
pub(crate) fn with_everything(expr: &str) -> String {
    let expr = expr.replace("$__rate_interval", "1m").replace("\"$namespace\"", "\".*\"");
    ["$stage", "$source", "$partition"].iter().fold(expr, |expr, name| expr.replace(name, ".+"))
}

/// What `promtool check metrics` has to say; nothing is good.
async fn remarks(text: &str) -> String {
    let mut check = tokio::process::Command::new(program("promtool"))
        .args(["check", "metrics"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("promtool starts");
    let mut input = check.stdin.take().expect("it is piped");
    input.write_all(text.as_bytes()).await.expect("it reads");
    drop(input);
    let output = check.wait_with_output().await.expect("it ends");
    assert!(output.status.success() || !output.stderr.is_empty(), "promtool: {}", output.status);
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// What the console exports at rest is what stands in Redis.
async fn console_tells(prometheus: &Prometheus, ledger: &mut Ledger, letters: f64) {
    let mut compared = 0;
    for ((source, state), count) in ledger.transactions().await {
        let expr = format!("max(tributary_transactions{{source=\"{source}\",state=\"{state}\"}})");
        prometheus.until(&expr, count, SEEN).await;
        compared += 1;
    }
    for ((source, state), count) in ledger.connections().await {
        let expr = format!("max(tributary_connections{{source=\"{source}\",state=\"{state}\"}})");
        prometheus.until(&expr, count, SEEN).await;
        compared += 1;
    }
    assert!(compared > 20, "only {compared} gauges were compared");
    assert!((ledger.dead_letters().await - letters).abs() < 1e-6, "the command counts what stands in Redis");
    prometheus.until("sum(max by (stage, cause) (tributary_dead_letters))", letters, SEEN).await;
    for at in ledger.standing().await {
        let labels = format!("stage=\"{}\",partition=\"{:02}\"", at.stage, at.partition);
        prometheus.until(&format!("max(tributary_backlog_entries{{{labels}}})"), at.waiting, SEEN).await;
        prometheus.until(&format!("max(tributary_runnable_entries{{{labels}}})"), at.waiting, SEEN).await;
        assert_eq!(at.unowned_ms, 0, "{labels} has an owner");
        prometheus.until(&format!("max(tributary_partition_unowned_seconds{{{labels}}})"), 0.0, SEEN).await;
    }
    for nothing in ["parked_entries", "rate_limited_users", "unknown_outcome_values", "key_locks_held"] {
        prometheus.until(&format!("sum(tributary_{nothing})"), 0.0, SEEN).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_prometheus_shows_is_what_redis_and_exist_say() {
    let stage = stage(81).await;
    let mut show = Show::open(&stage, stage.fleet().processes(Role::Console, 1)).await;
    let mut ledger = Ledger::of(&show.fleet.redis().expect("a private Redis").url()).await;
    let prometheus = Prometheus::start(&targets(&mut show.fleet)).await;
    let begun = tokio::time::Instant::now();
    show.until_right(SEEN).await;
    // Rows that cannot be read, then a peer that fails everybody for a while.
    for person in &stage.world.people {
        let spoiled = Malformed { field: "start".into(), how: Spoiled::Null };
        stage.toggl.faults().next(Some(&person.name), Fault::Malformed(spoiled), 1);
    }
    while show.play()
        && prometheus.number("sum(tributary_dead_lettered_total)").await.is_none_or(|letters| letters < 1.0)
    {
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    prometheus.until_firing(&["DeadLettersGrowing normalise"], SEEN).await;
    stage.exist.faults().always(ExistFault::Status(503));
    show.play();
    prometheus.until("max(tributary_breaker_open{peer=\"exist\"})", 1.0, SEEN).await;
    prometheus.until_firing(&["BreakerOpen exist"], SEEN).await;
    stage.exist.faults().clear();
    show.play_on(Duration::from_secs(1)).await;
    show.until_right(Duration::from_secs(120)).await;
    show.nothing_was_lost().await;

    // At rest every number is the same on both sides.
    let counts = ledger.counts().await;
    let mut compared = 0;
    for (field, count) in &counts {
        let words: Vec<&str> = field.split(':').collect();
        let expr = match words.as_slice() {
            ["appended", source] => {
                format!("sum(tributary_entries_appended_total{{stage=\"fetch\",source=\"{source}\"}})")
            }
            // Those under way come and go; the console counts them.
            ["state", _, "processing"] => continue,
            ["state", source, state] => {
                format!("sum(tributary_transactions_total{{source=\"{source}\",state=\"{state}\"}})")
            }
            _ => panic!("a counter that nobody knows: {field}"),
        };
        prometheus.until(&expr, *count, SEEN).await;
        compared += 1;
    }
    assert!(compared >= 10, "only {compared} counters were compared: {counts:?}");
    let appended: f64 = counts.iter().filter(|(field, _)| field.starts_with("appended:")).map(|(_, count)| count).sum();
    let settled = "sum(tributary_entries_settled_total{stage=\"normalise\",outcome=~\"acked|dead_letter\"})";
    prometheus.until(settled, appended, SEEN).await;
    let letters: f64 = show
        .fleet
        .run(&["status", "--json"])
        .await
        .map(|json| serde_json::from_str::<serde_json::Value>(&json).unwrap())
        .unwrap()["dead_letters"]
        .as_f64()
        .unwrap();
    assert!(letters >= 1.0, "no dead letter was made");
    prometheus.until("sum(tributary_dead_lettered_total)", letters, SEEN).await;
    console_tells(&prometheus, &mut ledger, letters).await;

    let mut answered = 0;
    for (name, board) in dashboards() {
        for panel in panels(&board) {
            for target in panel["targets"].as_array().expect("queries") {
                let expr = with_everything(target["expr"].as_str().expect("an expression"));
                let samples = prometheus.query(&expr).await.expect("Prometheus answers");
                assert!(!samples.is_empty(), "{name}: {}: {expr}", panel["title"]);
                answered += 1;
            }
        }
    }
    assert!(answered > 60, "only {answered} queries were answered");

    if std::env::var_os("PICTURES").is_some() {
        let to = prometheus.number("vector(time())").await.expect("Prometheus answers");
        for (name, board) in dashboards().iter().filter(|(name, _)| PICTURED.contains(&name.as_str())) {
            let picture = draw(board, &prometheus, to - begun.elapsed().as_secs_f64(), to).await;
            let path = root().join("docs/pictures").join(name.replace(".json", ".svg"));
            std::fs::write(path, picture).expect("it can be written");
        }
    }
    for process in show.fleet.processes() {
        let text = reqwest::get(format!("{}/metrics", process.admin_url())).await.unwrap().text().await.unwrap();
        assert_eq!(remarks(&text).await, "", "{}", process.name());
    }
    prometheus.until_quiet(SEEN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn normalisers_that_are_all_gone_are_alerted_and_the_alerts_resolve_when_one_is_back() {
    let stage = stage(82).await;
    let mut show = Show::open(&stage, stage.fleet().processes(Role::Normaliser, 2).processes(Role::Console, 1)).await;
    let prometheus = Prometheus::start(&targets(&mut show.fleet)).await;
    show.until_right(SEEN).await;
    prometheus.until_quiet(SEEN).await;
    for name in ["normaliser-1", "normaliser-2"] {
        show.fleet.process(name).kill9().expect("it can be killed");
    }
    show.play();
    let wanted = ["PartitionUnowned normalise", "ServiceMissing normaliser", "StageStalled normalise"];
    prometheus.until_firing(&wanted, 2 * SEEN).await;
    let pages: BTreeSet<String> = prometheus.firing().await.into_iter().collect();
    assert!(!pages.iter().any(|alert| alert.ends_with(" fetch") || alert.ends_with(" write")), "{pages:?}");
    show.fleet.spawn(Role::Normaliser).expect("it starts");
    prometheus.scrape(&targets(&mut show.fleet));
    prometheus.until_quiet(2 * SEEN).await;
    show.play_on(Duration::from_secs(1)).await;
    show.until_right(2 * SEEN).await;
}
