//! The mailbox of a partition: entries pushed into their users' lanes as they are read, and taken in turns.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use worker::{Lanes, stream::BATCH_MAX};

/// Entries of one round: as many as are read in four reads.
const ENTRIES: u64 = 1024;

/// Whose entry each is.
fn names(users: u64) -> Vec<String> {
    (0..ENTRIES).map(|entry| format!("user{:05}", entry % users)).collect()
}

fn round(names: &[String]) -> usize {
    let mut lanes = Lanes::new();
    for (number, name) in names.iter().enumerate() {
        lanes.push(name, number);
    }
    let mut taken = 0;
    while lanes.waiting() > 0 {
        taken += lanes.take(BATCH_MAX).len();
    }
    taken
}

fn mailbox(c: &mut Criterion) {
    let mut group = c.benchmark_group("mailbox");
    group.throughput(Throughput::Elements(ENTRIES));
    for (what, users) in [("of one user", 1), ("of 16 users", 16), ("of 1024 users", 1024)] {
        let names = names(users);
        group.bench_function(what, |b| b.iter_batched(|| &names[..], round, BatchSize::SmallInput));
    }
    group.finish();
}

criterion_group!(benches, mailbox);
criterion_main!(benches);
