//! People come by import, are shown, and go without a trace.

use event::{
    AttributeName, ContentHash, Contribution, Day, Decimal, EntryId, ExternalId, SourceName, TransactionId, Version,
};
use ledger::{Buckets, Known, Pair};
use settings::Settings;
use store::{Applied, Commit, Confirmed, Open, Owned, RecordKey, Shelf, Stage, Totals, now_ms};

use crate::stand::{PEOPLE, Stand, name, partition_of};

#[tokio::test]
async fn who_was_imported_is_listed_and_shown() {
    let stand = Stand::with_people().await;
    let list = stand.run(&["connections", "list", "--json"]).await.json();
    let users: Vec<&str> =
        list["connections"].as_array().unwrap().iter().filter_map(|row| row["user"].as_str()).collect();
    assert_eq!(users, ["alice", "bob"]);
    let table = stand.run(&["connections", "list"]).await.ok();
    assert!(table.contains("alice  Pacific/Auckland  on     toggl on, whatpulse on"), "{table}");
    assert!(table.contains("bob    not known yet     on     toggl on"), "{table}");

    let alice = stand.run(&["connections", "show", "alice", "--json"]).await.json();
    assert_eq!(alice["timezone"], "Pacific/Auckland");
    assert_eq!(alice["exist"]["state"], "on");
    assert_eq!(alice["sources"]["toggl"]["state"], "on");
    assert_eq!(alice["attributes"]["keystrokes"], "not acquired yet");
    let shown = stand.run(&["connections", "show", "alice"]).await.ok();
    assert!(shown.starts_with("alice · Pacific/Auckland\n"), "{shown}");
}

#[tokio::test]
async fn a_status_counts_connections_and_what_nobody_owns() {
    let stand = Stand::with_people().await;
    let status = stand.run(&["status", "--json"]).await.json();
    assert_eq!(status["connections"]["toggl"]["on"], 2);
    assert_eq!(status["connections"]["whatpulse"]["on"], 1);
    assert_eq!(status["connections"]["exist"]["on"], 2);
    assert_eq!(status["stages"][1]["stage"], "normalise");
    assert_eq!(status["stages"][1]["unowned"], 64);
    assert_eq!(status["users_due"], 2);
    assert_eq!(status["partitions"].as_array().map(Vec::len), Some(3 * 64));
    assert!(stand.run(&["status"]).await.ok().contains("normalise  0 by 0  64"));
}

#[tokio::test]
async fn a_status_tells_runnable_from_parked_and_how_old_the_oldest_is() {
    let stand = Stand::with_people().await;
    let owned = stand.owned(Stage::Normalise, "alice").await;
    let now_ms = now_ms(&owned.redis).await.unwrap();
    let kept = |ago_ms: u64| event::encode(&(EntryId { ms: now_ms - ago_ms, seq: 0 }, vec![1_u8, 2]));
    let mut commit = Commit::new();
    ["alice", "another"].into_iter().for_each(|lane| owned.begin_overflow(&mut commit, lane));
    owned.push_overflow(&mut commit, "alice", &kept(5_000));
    owned.push_overflow(&mut commit, "alice", &kept(1_000));
    owned.push_overflow(&mut commit, "another", &kept(1_000));
    owned.park_lane(&mut commit, "alice", std::time::Duration::from_secs(600));
    owned.commit(commit).await.unwrap();
    let status = stand.run(&["status", "--json"]).await.json();
    let normalise = &status["stages"][1];
    assert_eq!(
        (&normalise["backlog"], &normalise["runnable"], &normalise["parked"]),
        (&3.into(), &1.into(), &2.into())
    );
    let oldest_ms = normalise["oldest_ms"].as_u64().unwrap();
    assert!((5_000..60_000).contains(&oldest_ms), "{oldest_ms}");
    assert_eq!(normalise["owners"]["the test"], 1);
}

#[tokio::test]
async fn a_row_that_is_wrong_keeps_everybody_out() {
    let stand = Stand::start().await;
    let wrong =
        PEOPLE.replace("\"projects\": [42]", "\"projects\": \"42\"").replace("\"user_id\": 5", "\"user_id\": true");
    let done = stand.import(&wrong).await;
    assert_eq!(done.code, Some(2), "{done}");
    assert_eq!(done.stdout, "");
    let told: Vec<&str> = done.stderr.lines().collect();
    assert_eq!(told.len(), 2, "{done}");
    assert!(told[0].starts_with("-:2: row 1 (alice): connections[0].settings.map.productive_min.projects: "), "{done}");
    assert!(told[1].starts_with("-:2: row 1 (alice): connections[1].credentials: "), "{done}");
    assert!(stand.dump().await.is_empty(), "nothing was imported");
}

#[tokio::test]
async fn an_import_without_a_key_names_the_setting() {
    let stand = Stand::start().await;
    let mut command = stand.command(&["connections", "import", "-"]);
    command.env_remove("TRIBUTARY_ENCRYPTION_KEY");
    let done = crate::stand::run(command, PEOPLE).await;
    assert_eq!(done.code, Some(2), "{done}");
    assert!(done.stderr.contains("TRIBUTARY_ENCRYPTION_KEY"), "{done}");
}

#[tokio::test]
async fn an_import_again_updates_and_keeps_how_far_was_read() {
    let stand = Stand::with_people().await;
    let owned = stand.owned(Stage::Fetch, "alice").await;
    let (alice, sources) = (name("alice"), ["toggl", "whatpulse"].map(|name| SourceName::try_new(name).unwrap()));
    let mut commit = Commit::new();
    for source in &sources {
        owned.move_cursor(&mut commit, &alice, source, "", "so far");
    }
    owned.commit(commit).await.unwrap();

    stand.import(&PEOPLE.replace("\"field\": \"keys\"", "\"field\": \"clicks\"")).await.ok();
    let read = || async {
        let users =
            store::user::users(&owned.redis, &owned.keys, owned.partition(), std::slice::from_ref(&alice)).await;
        users.unwrap().remove(0)
    };
    let documents = read().await;
    assert_eq!(documents.cursors.len(), 2, "how far was read stays");
    let recounts: Vec<String> = documents.recounts_asked.into_keys().map(|source| source.to_string()).collect();
    assert_eq!(recounts, ["whatpulse"], "other rules have the source counted anew");

    let without = PEOPLE.lines().filter(|line| !line.contains("whatpulse") && !line.contains("keystrokes"));
    let without =
        without.collect::<Vec<_>>().join("\n").replace("\"productive_min\"}}}},", "\"productive_min\"}}}}]},");
    stand.import(&without).await.ok();
    let now: Vec<String> = read().await.sources.into_keys().map(|source| source.to_string()).collect();
    assert_eq!(now, ["toggl"], "the row does not name the other any more");
}

#[tokio::test]
async fn a_sync_makes_working_connections_due_and_names_the_source_that_is_not_there() {
    let stand = Stand::with_people().await;
    assert_eq!(stand.run(&["sync", "alice"]).await.ok(), "toggl and whatpulse of alice will be read now\n");
    assert_eq!(stand.run(&["sync", "alice", "toggl"]).await.ok(), "toggl of alice will be read now\n");
    let done = stand.run(&["sync", "bob", "whatpulse"]).await;
    assert_eq!(done.code, Some(1), "{done}");
    assert!(done.stderr.contains("bob has no working connection to whatpulse"), "{done}");
}

/// Everything that services keep of a user.
async fn live_a_little(stand: &Stand, owned: &Owned) {
    let (alice, toggl) = (name("alice"), SourceName::try_new("toggl").unwrap());
    let now_ms = now_ms(&owned.redis).await.unwrap();
    let today = Day::from_number(i32::try_from(now_ms / 86_400_000).unwrap());
    let settings = Settings::default();
    let buckets = Buckets::new(settings.retention);
    let entry = EntryId { ms: now_ms, seq: 0 };
    let transaction = TransactionId { partition: owned.partition(), entry };
    let record =
        RecordKey { user: alice.clone(), source: toggl.clone(), external_id: ExternalId::try_new("1").unwrap() };
    let attribute = AttributeName::try_new("productive_min").unwrap();
    let mut commit = Commit::new();
    let mut totals = Totals::new(settings.backfill_days);
    for ago in [0, 30, 365, -400] {
        let day = today.plus(-ago);
        totals.add(&mut commit, owned, &alice, &toggl, &Contribution { attribute: attribute.clone(), day, amount: 60 });
        let pair = Pair { attribute: attribute.clone(), day };
        totals.confirm(
            &mut commit,
            owned,
            &alice,
            &pair,
            &Confirmed {
                held: ledger::Held { value: Some(Decimal::whole(1)), ..ledger::Held::default() },
                request: transaction,
            },
        );
        owned.note_changed(&mut commit, &alice, &pair, entry);
    }
    let contributions = vec![Contribution { attribute, day: today, amount: 60 }];
    let applied = Applied { version: Version(1), transaction, contributions, generation: 0 };
    Shelf::applied(buckets).put(&mut commit, owned, now_ms, &record, None, &applied);
    let known = Known { version: Version(1), content: ContentHash(1), transaction };
    Shelf::records(buckets).put(&mut commit, owned, now_ms, &record, None, &known);
    let open = Open {
        source: toggl.clone(),
        external_id: record.external_id,
        version: Version(1),
        read_at_ms: 0,
        state: event::State::Processing,
        entry,
        pairs: Vec::new(),
        trace: None,
    };
    owned.keep_open(&mut commit, &alice, transaction, &open);
    owned.begin_overflow(&mut commit, "alice");
    owned.push_overflow(&mut commit, "alice", b"kept");
    owned.not_before(&mut commit, &alice, now_ms);
    commit.push(&owned.keys.held(owned.partition(), &alice, &toggl), b"held");
    owned.commit(commit).await.unwrap();
    crate::dead_letters::bury(stand, "alice", 1).await;
}

#[tokio::test]
async fn who_is_removed_leaves_nothing_and_others_stay() {
    let stand = Stand::with_people().await;
    let owned = stand.owned(Stage::Write, "alice").await;
    live_a_little(&stand, &owned).await;
    let of_alice = |dump: &[(String, Vec<u8>)]| -> Vec<String> {
        dump.iter().map(|(key, _)| key.clone()).filter(|key| key.contains("alice")).collect()
    };
    assert!(of_alice(&stand.dump().await).len() > 10, "there is something to erase");

    let refused = stand.run(&["connections", "remove", "alice"]).await;
    assert_eq!(refused.code, Some(1), "nobody said yes: {refused}");
    assert_eq!(stand.run(&["connections", "remove", "alice", "--yes"]).await.ok(), "removed alice\n");

    let dump = stand.dump().await;
    assert_eq!(of_alice(&dump), [""; 0]);
    let still_said = |(key, value): &(String, Vec<u8>)| {
        // The sets of lanes name a lane until its owner looks; it finds nothing there.
        !key.contains(":overflow:") && value.windows(5).any(|bytes| bytes == b"alice")
    };
    let said: Vec<&String> = dump.iter().filter(|entry| still_said(entry)).map(|(key, _)| key).collect();
    assert_eq!(said, [""; 0]);
    assert_eq!(stand.run(&["dead-letters", "list", "--json"]).await.json()["dead_letters"], serde_json::json!([]));
    assert_eq!(stand.run(&["connections", "show", "alice"]).await.code, Some(1));
    stand.run(&["connections", "show", "bob"]).await.ok();
    assert_ne!(partition_of("alice"), partition_of("bob"), "a sample of two partitions");
}
