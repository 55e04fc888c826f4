//! Entries in and out of their bytes: as a fetcher writes and a normaliser reads them, and a stage later.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use event::{
    AttributeName, ContentHash, Contribution, Day, EntryId, ExternalId, NormalisedEvent, Origin, PartitionCount,
    RawEvent, RecordKind, SourceName, TransactionId, UserId, Version, decode, encode,
};

/// What a source's compact record comes to.
const PAYLOAD_BYTES: usize = 300;

fn raw() -> RawEvent {
    let payload = "x".repeat(PAYLOAD_BYTES);
    RawEvent {
        user: UserId::try_new("user00042").expect("letters and digits"),
        source: SourceName::try_new("toggl").expect("letters"),
        external_id: ExternalId::try_new("4012345678").expect("digits"),
        version: Version(1_780_000_000_000_000),
        content: ContentHash::of(&payload),
        kind: RecordKind::Present,
        origin: Origin::Poll,
        seen_before: false,
        read_at_ms: 1_780_000_000_000,
        payload,
        problem: String::new(),
        replay_of: None,
    }
}

fn normalised() -> NormalisedEvent {
    let RawEvent { user, source, external_id, version, content, read_at_ms, .. } = raw();
    let partition = PartitionCount::try_new(64).expect("at most 1024").of(&user);
    let entry = EntryId { ms: 1_780_000_000_000, seq: 7 };
    let contribution = |day: i32| Contribution {
        attribute: AttributeName::try_new("productive_min").expect("letters and an underscore"),
        day: Day::from_number(day),
        amount: 3_600,
    };
    NormalisedEvent {
        transaction: TransactionId { partition, entry },
        user,
        source,
        external_id,
        version,
        content,
        read_at_ms,
        // A record over midnight.
        contributions: vec![contribution(20_600), contribution(20_601)],
        recount: None,
        replay_of: None,
    }
}

fn entries(c: &mut Criterion) {
    let (raw, normalised) = (raw(), normalised());
    let (raw_bytes, normalised_bytes) = (encode(&raw), encode(&normalised));
    let mut group = c.benchmark_group("entry");
    group.throughput(Throughput::Elements(1));
    group.bench_function("encode raw", |b| b.iter(|| encode(&raw)));
    group.bench_function("encode normalised", |b| b.iter(|| encode(&normalised)));
    // What was decoded is dropped outside the time: the stages keep it.
    let decode_raw = |bytes: &[u8]| decode::<RawEvent>(bytes).expect("we encoded it");
    group.bench_function("decode raw", |b| b.iter_batched(|| &raw_bytes[..], decode_raw, BatchSize::SmallInput));
    let decode_normalised = |bytes: &[u8]| decode::<NormalisedEvent>(bytes).expect("we encoded it");
    group.bench_function("decode normalised", |b| {
        b.iter_batched(|| &normalised_bytes[..], decode_normalised, BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, entries);
criterion_main!(benches);
