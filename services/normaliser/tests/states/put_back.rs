//! What an operator put back is judged anew, in the place that it had in the order of delivery.

use event::{EntryId, NormalisedEvent, Origin, RawEvent, Reason, RecordKind, State, TransactionId, TransactionLine};
use ledger::Buckets;
use source::Source;
use store::{
    Back, Commit, DeadLetter, Stage, counts, letters, put_back,
    user::{Connected, Polled, document, field},
};

use crate::bench::{Bench, Plain, partition, states};

impl Bench {
    /// Sets entries aside as their owner would, the oldest first; each was delivered in its millisecond.
    async fn bury(&self, stage: Stage, entries: &[(u64, Vec<u8>)]) {
        let mut commit = Commit::new();
        let now_ms = store::now_ms(&self.redis).await.unwrap();
        for (ms, entry) in entries {
            let transaction = TransactionId { partition: partition(), entry: EntryId { ms: *ms, seq: 3 } };
            let letter = DeadLetter {
                transaction,
                stage: stage.to_string(),
                user: self.user.to_string(),
                source: Plain.name().to_string(),
                external_id: "a".to_owned(),
                cause: Reason::Poison,
                error: "it crashed".to_owned(),
                at_ms: now_ms,
                deliveries: 3,
                entry: entry.clone(),
            };
            self.fetcher.bury(&mut commit, self.buckets(), &letter);
        }
        self.fetcher.commit(commit).await.unwrap();
    }

    fn buckets(&self) -> Buckets {
        Buckets::new(self.settings.retention)
    }

    /// Puts all dead letters back, the oldest first.
    async fn put_all_back(&self) -> Vec<Back> {
        let letters = letters(&self.redis, &self.keys, partition(), self.buckets()).await.unwrap();
        put_back(&self.redis, &self.keys, partition(), self.buckets(), &letters).await.unwrap()
    }
}

fn last(lines: &[TransactionLine]) -> &TransactionLine {
    lines.last().expect("there are lines")
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_go_back_once_and_in_their_order_each_into_its_own_stream() {
    let bench = Bench::new().await;
    bench.connect(Some("UTC"), Connected::On).await;
    let raw = |version| event::encode(&bench.event("a", version, &format!("{version} 0")));
    let normalised = |ms| {
        let event = bench.event("w", 1, "1 0");
        event::encode(&NormalisedEvent {
            transaction: TransactionId { partition: partition(), entry: EntryId { ms, seq: 3 } },
            user: event.user,
            source: event.source,
            external_id: event.external_id,
            version: event.version,
            content: event.content,
            read_at_ms: 0,
            contributions: Vec::new(),
            recount: None,
            replay_of: None,
        })
    };
    bench.bury(Stage::Normalise, &[(20, raw(2)), (10, raw(1))]).await;
    bench.bury(Stage::Write, &[(15, normalised(15))]).await;
    bench.bury(Stage::Normalise, &[(30, b"of another release".to_vec())]).await;
    let back = bench.put_all_back().await;
    let [Back::Done(first), Back::Done(written), Back::Done(second), Back::Unreadable] = back[..] else {
        panic!("{back:?}")
    };
    assert!(first < second);
    let old = TransactionId { partition: partition(), entry: EntryId { ms: 15, seq: 3 } };
    assert_eq!(Some(written), old.repeated(), "it keeps its place");
    assert_eq!(bench.put_all_back().await, [Back::Unreadable], "once, and what cannot be read stays");

    let counted = counts(&bench.redis, &bench.keys, partition()).await.unwrap();
    assert_eq!(counted.appended[&Plain.name()], 3);
    assert_eq!(counted.states[&(Plain.name(), State::Processing)], 1, "it is behind the normaliser already");
    let mut link = bench.link().await;
    let stream = bench.keys.normalised(partition());
    type Entry = (String, Vec<(String, Vec<u8>)>);
    let entries: Vec<Entry> = redis::cmd("XRANGE").arg(&stream).arg("-").arg("+").query_async(&mut link).await.unwrap();
    let event: NormalisedEvent = event::decode(&entries[0].1[0].1).unwrap();
    assert_eq!((event.transaction, event.replay_of), (written, Some(old)));

    let lines = bench.until_lines(3).await;
    let told: Vec<_> = lines.iter().map(|line| (line.id, line.version.0, line.state)).collect();
    assert_eq!(told, [(first, 1, State::Queued), (first, 1, State::Canceled), (second, 2, State::Processing)]);
    let repeat: Vec<_> = lines.iter().map(|line| line.replay_of().map(|old| old.entry.ms)).collect();
    assert_eq!(repeat, [Some(10), None, Some(20)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_back_wins_over_no_later_edit_of_the_same_tick() {
    let bench = Bench::new().await;
    bench.connect(Some("UTC"), Connected::On).await;
    let raw = |payload| event::encode(&bench.event("a", 5, payload));
    bench.bury(Stage::Normalise, &[(10, raw("1 0"))]).await;
    bench.append(&[bench.event("a", 5, "2 0")]).await;
    let later = bench.until_lines(1).await[0].id;
    bench.put_all_back().await;
    let lines = bench.until_lines(3).await;
    let expected = [(State::Queued, Reason::Replayed), (State::Dropped, Reason::NewerKnown)];
    assert_eq!(states(&lines[1..]), expected);
    assert_eq!((last(&lines).cause, lines[1].replay_of().map(|old| old.entry.ms)), (Some(later), Some(10)));

    // Two that were set aside: the later one counts, although both come late.
    let raw = |payload| event::encode(&bench.event("b", 5, payload));
    bench.bury(Stage::Normalise, &[(11, raw("1 0"))]).await;
    bench.put_all_back().await;
    bench.until_lines(4).await;
    bench.bury(Stage::Normalise, &[(12, raw("2 0"))]).await;
    bench.put_all_back().await;
    let lines = bench.until_lines(5).await;
    assert_eq!(states(&lines[3..]), [(State::Processing, Reason::Accepted); 2]);
    // And once more the earlier one, which is known to be older by now.
    bench.bury(Stage::Normalise, &[(11, raw("1 0"))]).await;
    bench.put_all_back().await;
    assert_eq!(last(&bench.until_lines(7).await).reason, Reason::NewerKnown);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_could_not_be_read_is_asked_of_its_source_again() {
    let bench = Bench::new().await;
    bench.connect(Some("UTC"), Connected::On).await;
    let spoiled = RawEvent {
        kind: RecordKind::Malformed,
        problem: "plain: no amount".to_owned(),
        ..bench.event("row", 0, "nonsense")
    };
    bench.append(std::slice::from_ref(&spoiled)).await;
    let lines = bench.until_lines(1).await;
    assert_eq!(lines[0].state, State::Errored);
    let old = lines[0].id;
    assert!(bench.user().await.recounts_asked.is_empty());

    let back = bench.put_all_back().await;
    let lines = bench.until_lines(2).await;
    assert_eq!(states(&lines[1..]), [(State::Dropped, Reason::Recounted)]);
    assert_eq!((lines[1].replay_of(), back), (Some(old), vec![Back::Done(lines[1].id)]));
    assert!(bench.user().await.recounts_asked.contains_key(&Plain.name()), "the source is counted anew");

    // The recount tells it again, and it is still not well: another letter, not a duplicate.
    bench.append(&[RawEvent { origin: Origin::Recount, ..spoiled }]).await;
    assert_eq!(states(&bench.until_lines(3).await[2..]), [(State::Errored, Reason::Malformed)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_after_its_record_may_be_forgotten_asks_for_a_recount() {
    let bench = Bench::new().await;
    bench.connect(Some("UTC"), Connected::On).await;
    let now_ms = store::now_ms(&bench.redis).await.unwrap();
    let retention_ms = u64::try_from(bench.settings.retention.as_millis()).unwrap();
    let polled = Polled { first_ok_at_ms: now_ms - retention_ms - 1_000, ..Polled::default() };
    let documents = [(field::polled(&Plain.name()), document(&polled))];
    store::operate::connect(&bench.redis, &bench.keys, partition(), &bench.user, &documents, &[], &[]).await.unwrap();
    let read = |ago_ms: u64, id: &str| {
        let read_at_ms = i64::try_from(now_ms - ago_ms).unwrap();
        event::encode(&RawEvent { read_at_ms, ..bench.event(id, 1, "1 0") })
    };
    // The first was read when the connection was young, the second when records could be forgotten already, and
    // the source said that it is new.
    bench.bury(Stage::Normalise, &[(1, read(2_000, "early"))]).await;
    bench.bury(Stage::Normalise, &[(2, read(500, "late"))]).await;
    bench.put_all_back().await;
    let lines = bench.until_lines(2).await;
    let expected = [(State::Dropped, Reason::Recounted), (State::Processing, Reason::Accepted)];
    assert_eq!(states(&lines), expected);
}
