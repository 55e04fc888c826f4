//! Dead letters are listed, put back once, and thrown away.

use event::{
    ContentHash, EntryId, ExternalId, Origin, RawEvent, Reason, RecordKind, SourceName, TransactionId, Version,
};
use ledger::Buckets;
use settings::Settings;
use store::{Commit, DeadLetter, Stage, counts, now_ms};

use crate::stand::{Stand, name, partition_of};

fn event(user: &str, number: u64) -> RawEvent {
    RawEvent {
        user: name(user),
        source: SourceName::try_new("toggl").unwrap(),
        external_id: ExternalId::try_new(&number.to_string()).unwrap(),
        version: Version(7),
        content: ContentHash(number),
        kind: RecordKind::Malformed,
        origin: Origin::Poll,
        seen_before: false,
        read_at_ms: 5,
        payload: r#"{"duration":null}"#.to_owned(),
        problem: "toggl: duration: missing".to_owned(),
        replay_of: None,
    }
}

/// Sets an entry aside as the normaliser would, and says what its transaction is.
pub(crate) async fn bury(stand: &Stand, user: &str, number: u64) -> String {
    bury_as(stand, user, number, Stage::Normalise, event::encode(&event(user, number))).await
}

async fn bury_as(stand: &Stand, user: &str, number: u64, stage: Stage, entry: Vec<u8>) -> String {
    let owned = stand.owned(Stage::Normalise, user).await;
    // Two that are set aside within one millisecond are still one after the other.
    let at_ms = now_ms(&owned.redis).await.unwrap() + number;
    let transaction = TransactionId { partition: partition_of(user), entry: EntryId { ms: at_ms, seq: number } };
    let letter = DeadLetter {
        transaction,
        stage: stage.to_string(),
        user: user.to_owned(),
        source: "toggl".to_owned(),
        external_id: number.to_string(),
        cause: Reason::Malformed,
        error: "toggl: duration: missing".to_owned(),
        at_ms,
        deliveries: 1,
        entry,
    };
    let mut commit = Commit::new();
    owned.bury(&mut commit, Buckets::new(Settings::default().retention), &letter);
    owned.commit(commit).await.unwrap();
    owned.lease.release(&owned.redis).await.unwrap();
    transaction.to_string()
}

async fn listed(stand: &Stand, filter: &[&str]) -> Vec<String> {
    let list = stand.run(&[&["dead-letters", "list", "--json"], filter].concat()).await.json();
    let letters = list["dead_letters"].as_array().unwrap();
    letters.iter().map(|letter| letter["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_filter_takes_what_it_names() {
    let stand = Stand::with_people().await;
    let (of_alice, of_bob) = (bury(&stand, "alice", 1).await, bury(&stand, "bob", 2).await);
    assert_eq!(listed(&stand, &[]).await, [of_alice.clone(), of_bob.clone()]);
    assert_eq!(listed(&stand, &["--user", "bob"]).await, [of_bob]);
    assert_eq!(listed(&stand, &["--stage", "write"]).await, [""; 0]);
    assert_eq!(listed(&stand, &["--cause", "malformed", "--source", "toggl", "--since", "1h"]).await.len(), 2);
    assert_eq!(listed(&stand, &["--source", "whatpulse"]).await, [""; 0]);

    let shown = stand.run(&["dead-letters", "show", &of_alice, "--json"]).await.json();
    assert_eq!(shown["error"], "toggl: duration: missing");
    assert_eq!(shown["payload"], serde_json::json!({ "duration": null }));
    assert_eq!(stand.run(&["status", "--json"]).await.json()["dead_letters"], 2);
}

#[tokio::test]
async fn a_redriven_entry_goes_back_once_and_names_the_one_it_repeats() {
    let stand = Stand::with_people().await;
    let (id, other) = (bury(&stand, "alice", 1).await, bury(&stand, "bob", 2).await);
    let dry = stand.run(&["dead-letters", "redrive", "--all-matching", "--user", "alice", "--dry-run"]).await.ok();
    assert_eq!(dry, format!("would put back {id} (toggl 1)\n"));
    assert_eq!(listed(&stand, &[]).await.len(), 2, "a dry run changes nothing");

    let put_back = stand.run(&["dead-letters", "redrive", "--all-matching", "--user", "alice"]).await.ok();
    assert_eq!(put_back, format!("put back {id}\n"));
    assert_eq!(listed(&stand, &[]).await, [other]);
    assert_eq!(stand.run(&["dead-letters", "redrive", &id]).await.code, Some(1), "it is gone");

    let owned = stand.owned(Stage::Normalise, "alice").await;
    owned.open_stream().await.unwrap();
    let entries = owned.read_after(EntryId { ms: 0, seq: 0 }, 10).await.unwrap().entries;
    let again: Vec<RawEvent> = entries.iter().map(|entry| event::decode(&entry.payload).unwrap()).collect();
    let expected = RawEvent { origin: Origin::Redrive, replay_of: Some(id.parse().unwrap()), ..event("alice", 1) };
    assert_eq!(again, [expected]);
    let counted = counts(&owned.redis, &owned.keys, owned.partition()).await.unwrap();
    assert_eq!(counted.appended.values().sum::<i64>(), 1, "it is a transaction like any other");
}

#[tokio::test]
async fn several_go_back_when_somebody_says_yes_each_told_with_its_new_transaction() {
    let stand = Stand::with_people().await;
    let (first, second) = (bury(&stand, "alice", 1).await, bury(&stand, "alice", 2).await);
    let asked = stand.run(&["dead-letters", "redrive", &second, &first]).await;
    assert_eq!((asked.code, asked.stdout.as_str()), (Some(1), ""), "nobody said yes");
    let plan = format!("would put back {first} (toggl 1)\nwould put back {second} (toggl 2)\n");
    assert!(asked.stderr.starts_with(&plan), "it says first what it would do: {asked}");
    assert_eq!(listed(&stand, &[]).await.len(), 2);

    let dry = stand.run(&["dead-letters", "redrive", &first, &second, "--dry-run", "--json"]).await.json();
    assert_eq!((&dry["dry_run"], dry["dead_letters"].as_array().unwrap().len()), (&true.into(), 2));
    assert_eq!(listed(&stand, &[]).await.len(), 2, "a dry run changes nothing");

    let told = stand.run(&["dead-letters", "redrive", &second, &first, "--yes", "--json"]).await.json();
    let told = told["dead_letters"].as_array().unwrap();
    assert_eq!([&told[0]["id"], &told[1]["id"]], [&first, &second], "the oldest first");
    let owned = stand.owned(Stage::Normalise, "alice").await;
    owned.open_stream().await.unwrap();
    let entries = owned.read_after(EntryId { ms: 0, seq: 0 }, 10).await.unwrap().entries;
    let again: Vec<(String, Option<TransactionId>)> = entries
        .iter()
        .map(|entry| {
            let event: RawEvent = event::decode(&entry.payload).unwrap();
            (format!("{}-{}", owned.partition(), entry.id), event.replay_of)
        })
        .collect();
    let expected = [
        (told[0]["transaction"].as_str().unwrap().to_owned(), Some(first.parse().unwrap())),
        (told[1]["transaction"].as_str().unwrap().to_owned(), Some(second.parse().unwrap())),
    ];
    assert_eq!(again, expected);
}

#[tokio::test]
async fn a_letter_of_another_release_stays_and_one_that_was_put_back_before_says_so() {
    let stand = Stand::with_people().await;
    let old: TransactionId = "00-5-0".parse().unwrap();
    let repeated = RawEvent { replay_of: Some(old), ..event("bob", 7) };
    let again = bury_as(&stand, "bob", 7, Stage::Normalise, event::encode(&repeated)).await;
    let unreadable = bury_as(&stand, "alice", 1, Stage::Write, b"of another release".to_vec()).await;
    let list = stand.run(&["dead-letters", "list", "--user", "bob", "--json"]).await.json();
    assert_eq!(list["dead_letters"][0]["replay_of"], old.to_string());
    assert!(stand.run(&["dead-letters", "show", &again]).await.ok().contains(&format!("repeats    {old}")));

    let redriven = stand.run(&["dead-letters", "redrive", "--all-matching", "--yes"]).await;
    assert_eq!((redriven.code, redriven.stdout), (Some(1), format!("put back {again}\n")));
    assert!(redriven.stderr.contains(&format!("{unreadable}: this release cannot read it")), "{}", redriven.stderr);
    assert_eq!(listed(&stand, &[]).await, [unreadable]);
}

#[tokio::test]
async fn what_is_discarded_is_gone_and_one_unknown_id_keeps_all() {
    let stand = Stand::with_people().await;
    let id = bury(&stand, "alice", 1).await;
    let unknown = stand.run(&["dead-letters", "discard", &id, "00-1-0", "--yes"]).await;
    assert_eq!(unknown.code, Some(1), "{unknown}");
    assert_eq!(stand.run(&["dead-letters", "discard", &id]).await.code, Some(1), "nobody said yes");
    assert_eq!(listed(&stand, &[]).await, std::slice::from_ref(&id));
    assert_eq!(stand.run(&["dead-letters", "discard", &id, "--yes"]).await.ok(), format!("discarded {id}\n"));
    assert_eq!(listed(&stand, &[]).await, [""; 0]);
}
