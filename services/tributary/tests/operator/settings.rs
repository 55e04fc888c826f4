//! What does not fit is told: all of it, and whether it was asked wrongly or went wrong.

use crate::stand::{Stand, command, run};

#[tokio::test]
async fn bad_settings_are_all_told_at_once_and_were_asked_wrongly() {
    let settings = [
        ("TRIBUTARY_FLUSH_AFTER", "5"),
        ("TRIBUTARY_PARTITIONS", "0"),
        ("TRIBUTARY_EXIST_BUGDET", "300/1h"),
        ("TRIBUTARY_ENCRYPTION_KEY", "planted-5ecret"),
    ];
    for service in [&["status"][..], &["fetcher"], &["connections", "list"]] {
        let done = run(command(service, &settings), "").await;
        assert_eq!(done.code, Some(2), "{done}");
        assert_eq!(done.stdout, "", "data only");
        assert_eq!(done.stderr.lines().count(), 4, "{done}");
        assert!(settings.iter().all(|(name, _)| done.stderr.contains(name)), "{done}");
        assert!(!done.stderr.contains("planted"), "{done}");
    }
}

#[tokio::test]
async fn settings_are_shown_with_their_origin_and_without_secrets() {
    let settings = [("TRIBUTARY_ENCRYPTION_KEY_FILE", "/nowhere"), ("TRIBUTARY_FLUSH_AFTER", "3s")];
    let done = run(command(&["--print-settings", "--set", "flush-after=4s"], &settings[1..]), "").await.ok();
    assert!(done.contains("TRIBUTARY_FLUSH_AFTER=4s  # flag"), "{done}");
    let done = run(command(&["--print-settings"], &settings), "").await;
    assert_eq!(done.code, Some(2), "{done}");
}

#[tokio::test]
async fn what_makes_no_sense_was_asked_wrongly() {
    let stand = Stand::start().await;
    for arguments in [
        &[][..],
        &["stauts"],
        &["explain", "alice", "keystrokes", "yesterday"],
        &["transactions", "alice", "--state", "lost"],
        &["transactions", "al ice"],
        &["dead-letters", "redrive"],
        &["dead-letters", "redrive", "00-1-0", "--source", "toggl"],
        &["dead-letters", "list", "--since", "2"],
        &["status", "--set", "flush-after"],
    ] {
        let done = stand.run(arguments).await;
        assert_eq!(done.code, Some(2), "{arguments:?}: {done}");
        assert_eq!(done.stdout, "", "{arguments:?}: data only");
    }
}

#[tokio::test]
async fn what_is_not_there_failed() {
    let stand = Stand::start().await;
    for arguments in [
        &["connections", "show", "carol"][..],
        &["connections", "remove", "carol", "--yes"],
        &["sync", "carol"],
        &["transactions", "carol"],
        &["dead-letters", "show", "00-1-0"],
        &["connections", "import", "/nowhere/people.json"],
        &["status", "--set", "redis-url=redis://127.0.0.1:1"],
    ] {
        let done = stand.run(arguments).await;
        assert_eq!(done.code, Some(1), "{arguments:?}: {done}");
        assert!(done.stderr.starts_with("tributary: "), "{done}");
    }
}

#[tokio::test]
async fn another_number_of_partitions_is_refused_by_all() {
    let stand = Stand::with_people().await;
    for arguments in [&["status"][..], &["sync", "alice"], &["normaliser"]] {
        let mut command = stand.command(arguments);
        let done = run_with(command.env("TRIBUTARY_PARTITIONS", "32")).await;
        assert_eq!(done.code, Some(1), "{done}");
        assert!(done.stderr.contains("this Redis holds 64 partitions, the settings say 32"), "{done}");
    }
}

#[tokio::test]
async fn a_redis_that_may_evict_runs_no_service_and_can_still_be_looked_at() {
    let stand = Stand::with_people().await;
    let mut link = stand.server.connection().await;
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("maxmemory-policy").arg("allkeys-lru").query_async::<()>(&mut link).await.unwrap();
    for arguments in [&["fetcher"][..], &["sync", "alice"]] {
        let done = stand.run(arguments).await;
        assert_eq!(done.code, Some(1), "{done}");
        assert!(done.stderr.contains("maxmemory-policy is allkeys-lru: set it to noeviction"), "{done}");
    }
    stand.run(&["status"]).await.ok();
}

#[tokio::test]
async fn looking_changes_nothing() {
    let stand = Stand::start().await;
    for arguments in
        [&["status", "--json"][..], &["connections", "list", "--json"], &["dead-letters", "list", "--json"]]
    {
        stand.run(arguments).await.json();
    }
    assert!(stand.dump().await.is_empty());
}

async fn run_with(command: &mut tokio::process::Command) -> crate::stand::Done {
    let output = command.output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    crate::stand::Done { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}
