//! The fleet with real children: a private Redis, and a stand-in for the services.

use std::{
    env,
    net::SocketAddr,
    time::{Duration, Instant},
};

use axum::{Router, routing::get};
use loadtest::fleet::{Fleet, FleetBuilder, PrivateRedis, Role};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

const FAKE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake-tributary.sh");
const LONG: Duration = Duration::from_secs(20);

/// Not a test but the stand-in's body: ready at once, until it is asked to leave.
#[tokio::test]
async fn acts_as_a_service_when_told_to() {
    let Ok(role) = env::var("FAKE_ROLE") else { return };
    let address: SocketAddr = env::var("TRIBUTARY_ADMIN_ADDR").unwrap().parse().unwrap();
    let mut leave = signal(SignalKind::terminate()).unwrap();
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    println!("{role} talks to {}", env::var("TRIBUTARY_REDIS_URL").unwrap());
    let router = Router::new().route("/readyz", get(|| async { r#"{"status":"ready"}"# }));
    tokio::select! {
        served = axum::serve(listener, router) => panic!("{served:?}"),
        _ = leave.recv() => println!("{role} left"),
    }
}

fn builder() -> FleetBuilder {
    let program = env::current_exe().unwrap().to_str().unwrap().to_owned();
    Fleet::builder().binary(FAKE).setting("FAKE_PROGRAM", program).setting("TRIBUTARY_REDIS_URL", "redis://elsewhere")
}

async fn fleet() -> Fleet {
    let mut fleet = builder().start().await.unwrap();
    fleet.ready(LONG).await.unwrap();
    fleet
}

#[tokio::test]
async fn there_is_one_process_of_each_carrier_and_each_gets_the_settings() {
    let mut fleet = fleet().await;
    let names: Vec<String> = fleet.processes().iter().map(|process| process.name().to_owned()).collect();
    assert_eq!(names, ["fetcher-1", "normaliser-1", "exist-writer-1"]);
    assert!(fleet.process("normaliser-1").log().unwrap().contains("normaliser talks to redis://elsewhere"));
}

#[tokio::test]
async fn counts_can_be_chosen_and_more_can_be_spawned_later() {
    let mut fleet = builder().processes(Role::Normaliser, 2).processes(Role::Fetcher, 0).start().await.unwrap();
    fleet.ready(LONG).await.unwrap();
    assert_eq!(fleet.spawn(Role::Normaliser).unwrap().name(), "normaliser-3");
    fleet.ready(LONG).await.unwrap();
    assert_eq!(fleet.processes().len(), 4);
}

#[tokio::test]
async fn a_killed_process_is_gone_and_nobody_complains() {
    let mut fleet = fleet().await;
    let process = fleet.process("fetcher-1");
    process.kill9().unwrap();
    let status = process.wait(LONG).await.expect("a killed process ends");
    assert!(!status.success());
    assert!(process.readiness().await.is_err());
    fleet.check().unwrap();
    fleet.ready(LONG).await.unwrap();
}

#[tokio::test]
async fn a_paused_process_is_silent_until_it_may_go_on() {
    let mut fleet = fleet().await;
    let process = fleet.process("exist-writer-1");
    process.pause().await.unwrap();
    assert!(process.readiness().await.is_err());
    process.resume().unwrap();
    process.readiness().await.unwrap();
}

#[tokio::test]
async fn processes_leave_when_asked() {
    let mut fleet = fleet().await;
    assert_eq!(fleet.stop(LONG).await.unwrap(), Vec::<String>::new());
    assert!(fleet.process("fetcher-1").log().unwrap().contains("fetcher left"));
}

#[tokio::test]
async fn one_that_does_not_leave_is_killed_and_named() {
    let mut fleet = fleet().await;
    fleet.process("fetcher-1").pause().await.unwrap();
    assert_eq!(fleet.stop(Duration::from_millis(500)).await.unwrap(), ["fetcher-1"]);
}

#[tokio::test]
async fn a_service_that_ends_by_itself_is_reported_with_the_end_of_its_log() {
    let mut fleet = builder().setting("FAKE_DIES", "normaliser").start().await.unwrap();
    let error = fleet.ready(LONG).await.unwrap_err().to_string();
    assert!(error.contains("normaliser-1 ended by itself (exit status: 3)"), "{error}");
    assert!(error.contains("out of luck"), "{error}");
}

#[tokio::test]
async fn dropping_the_fleet_kills_its_processes() {
    let mut fleet = fleet().await;
    let address = fleet.process("fetcher-1").admin_url().replace("http://", "");
    drop(fleet);
    let begun = Instant::now();
    while tokio::net::TcpStream::connect(&address).await.is_ok() {
        assert!(begun.elapsed() < LONG, "it still listens on {address}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn an_import_reaches_the_command_as_a_file() {
    let fleet = builder().start().await.unwrap();
    let rows = json!([{"user": "ada"}]);
    assert_eq!(fleet.import(&rows).await.unwrap(), rows.to_string());
}

#[tokio::test]
async fn logs_can_be_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut fleet = builder().logs(folder.path()).start().await.unwrap();
    fleet.ready(LONG).await.unwrap();
    drop(fleet);
    assert!(folder.path().join("exist-writer-1.log").is_file());
}

#[tokio::test]
async fn a_private_redis_refuses_to_evict_and_comes_back_empty_at_the_same_address() {
    let mut server = PrivateRedis::start().await.unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let policy: (String, String) =
        redis::cmd("CONFIG").arg("GET").arg("maxmemory-policy").query_async(&mut connection).await.unwrap();
    assert_eq!(policy.1, "noeviction");
    let () = redis::cmd("SET").arg("key").arg(1).query_async(&mut connection).await.unwrap();
    server.restart().await.unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let held: Option<i64> = redis::cmd("GET").arg("key").query_async(&mut connection).await.unwrap();
    assert_eq!(held, None);
}

#[tokio::test]
async fn a_fleet_without_another_redis_starts_its_own() {
    let program = env::current_exe().unwrap().to_str().unwrap().to_owned();
    let mut fleet = Fleet::builder().binary(FAKE).setting("FAKE_PROGRAM", program).start().await.unwrap();
    fleet.ready(LONG).await.unwrap();
    let url = fleet.redis().expect("a private one").url();
    assert!(fleet.process("fetcher-1").log().unwrap().contains(&url));
}
