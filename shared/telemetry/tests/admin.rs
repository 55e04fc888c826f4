//! Probes and metrics, over real HTTP.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use telemetry::metric::{ALL, Exporter};
use telemetry::{AdminServer, Health, Recorder, counter, histogram};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A process has one recorder, so all tests of this file share it.
async fn recorder() -> Recorder {
    static RECORDER: OnceCell<Recorder> = OnceCell::const_new();
    RECORDER.get_or_init(|| async { Recorder::install("tests", "1.2.3").unwrap() }).await.clone()
}

struct Server {
    addr: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

async fn server(health: Health) -> Server {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = AdminServer::bind(any, health, recorder().await).await.unwrap();
    let (addr, shutdown) = (server.local_addr(), CancellationToken::new());
    let stop = shutdown.clone();
    let task = tokio::spawn(async move { server.serve(stop).await.unwrap() });
    Server { addr, shutdown, task }
}

impl Server {
    async fn get(&self, path: &str) -> (u16, String) {
        let answer = reqwest::get(format!("http://{}{path}", self.addr)).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

#[tokio::test]
async fn a_process_is_started_then_ready_then_draining() {
    let health = Health::new();
    let server = server(health.clone()).await;
    assert_eq!(server.get("/startupz").await.0, 503);
    assert_eq!(server.get("/readyz").await.0, 503);
    assert_eq!(server.get("/livez").await.0, 200);

    health.started();
    health.set_check("redis", true, "reached");
    assert_eq!(server.get("/startupz").await.0, 200);
    let (code, body) = server.get("/readyz").await;
    assert_eq!((code, body.as_str()), (200, r#"{"status":"ready","checks":{"redis":{"ok":true,"detail":"reached"}}}"#));

    health.set_check("redis", false, "timed out");
    let (code, body) = server.get("/readyz").await;
    assert_eq!(code, 503);
    assert!(body.contains(r#""redis":{"ok":false,"detail":"timed out"}"#), "{body}");
    assert_eq!(server.get("/livez").await.0, 200, "an outage of Redis must not restart us");

    health.set_draining();
    let (code, body) = server.get("/readyz").await;
    assert_eq!(code, 503);
    assert!(body.contains("draining"), "{body}");
    assert_eq!(server.get("/livez").await.0, 200);
}

#[tokio::test]
async fn a_loop_that_stops_ticking_turns_livez_to_503_and_back_when_it_ticks() {
    let health = Health::with_limit(Duration::from_millis(200));
    let server = server(health.clone()).await;
    health.started();
    let deadline = Instant::now() + Duration::from_secs(10);
    while server.get("/livez").await.0 != 503 {
        assert!(Instant::now() < deadline, "livez never noticed");
    }
    health.tick();
    assert!(health.is_live());
}

#[tokio::test]
async fn metrics_are_plain_text_of_the_list_and_no_summary() {
    let server = server(Health::new()).await;
    telemetry::touch("write", &["toggl"]);
    counter!(ENTRIES_SETTLED, stage = "write", outcome = "acked").increment(1);
    histogram!(END_TO_END_SECONDS, source = "toggl").record(901.0);

    let answer = reqwest::get(format!("http://{}/metrics", server.addr)).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = answer.text().await.unwrap();

    let types: Vec<(&str, &str)> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let names: BTreeSet<&str> = types.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), types.len(), "every metric is typed once");
    assert!(types.iter().all(|(_, kind)| *kind != "summary"), "{text}");
    let listed: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
    assert!(names.is_subset(&listed), "not in the list: {:?}", names.difference(&listed));

    let of_every_process = ALL
        .iter()
        .filter(|metric| matches!(metric.exporter, Exporter::All | Exporter::System) && metric.buckets.is_empty())
        .map(|metric| metric.name);
    for name in of_every_process {
        assert!(names.contains(name), "{name} is missing from:\n{text}");
    }
    for line in [
        "tributary_build_info{service=\"tests\",version=\"1.2.3\",git_sha=",
        "tributary_spans_lost_total{service=\"tests\"} 0",
        "tributary_logged_total{level=\"error\"} 0",
        "tributary_end_to_end_seconds_bucket{source=\"toggl\",le=\"900\"} 0",
        "tributary_end_to_end_seconds_bucket{source=\"toggl\",le=\"1800\"} 1",
        "tributary_end_to_end_seconds_bucket{source=\"toggl\",le=\"+Inf\"} 1",
    ] {
        assert!(text.contains(line), "{line} is missing from:\n{text}");
    }
}

#[tokio::test]
async fn a_process_has_one_recorder() {
    recorder().await;
    assert!(Recorder::install("another", "1.2.3").is_err());
}

#[tokio::test]
async fn the_server_ends_when_it_is_told_to() {
    let server = server(Health::new()).await;
    assert_eq!(server.get("/livez").await.0, 200);
    server.shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(10), server.task).await.unwrap().unwrap();
}
