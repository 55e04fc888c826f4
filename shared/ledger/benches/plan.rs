//! What to send next, for one user: from one changed pair to a back-fill of three attributes.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use event::{AttributeName, Day, Decimal, EntryId, Unit};
use ledger::{Cell, Held, Mode, Pair, plan};

const ATTRIBUTES: [&str; 3] = ["distracting_min", "neutral_min", "productive_min"];
const TOMORROW: Day = Day::from_number(20_600);

/// Changed pairs, the newest day first, each changed by an entry of its own.
fn cells(pairs: u32, mode: Mode) -> Vec<Cell> {
    let cell = |number: u32| {
        let place = usize::try_from(number).expect("a few hundred") % ATTRIBUTES.len();
        let attribute = AttributeName::try_new(ATTRIBUTES[place]).expect("letters and an underscore");
        let back = i32::try_from(number / 3).expect("a few hundred");
        let held = Held { value: Some(Decimal::whole(30)), ours: Some(Decimal::whole(20)), ..Held::default() };
        Cell {
            pair: Pair { attribute, day: Day::from_number(TOMORROW.number() - back) },
            changed_by: EntryId { ms: 1_780_000_000_000 + u64::from(number * 7 % 11), seq: u64::from(number) },
            total: 3_600 + i64::from(number),
            unit: Unit::Seconds,
            mode,
            needs_base: mode == Mode::Increment,
            held: Some(held),
        }
    };
    (0..pairs).map(cell).collect()
}

fn planning(c: &mut Criterion) {
    for (mode, name) in [(Mode::Total, "plan totals"), (Mode::Increment, "plan increments")] {
        let mut group = c.benchmark_group(name);
        for pairs in [1, 35, 93] {
            let cells = cells(pairs, mode);
            group.throughput(Throughput::Elements(u64::from(pairs)));
            group.bench_with_input(BenchmarkId::from_parameter(pairs), &cells, |b, cells| {
                b.iter_batched(|| cells.clone(), |cells| plan(cells, TOMORROW), BatchSize::SmallInput);
            });
        }
        group.finish();
    }
}

criterion_group!(benches, planning);
criterion_main!(benches);
