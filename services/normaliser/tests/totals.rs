//! Whatever happens to records, in whatever order it is told: the totals are a sum over the final records.

use std::collections::{BTreeMap, HashMap};

use event::{AttributeName, ContentHash, Contribution, Day, EntryId, PartitionCount, TransactionId, Version};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use ledger::{Known, Verdict, difference, judge};
use proptest::prelude::*;
use source::{Zones, seconds_by_day};

/// What a version of a record says: a span, or that the record is gone.
type Says = Option<(i64, i64)>;

const ZONES: [&str; 8] = [
    "UTC",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Europe/Berlin",
    "America/Santiago",
];

fn attribute() -> AttributeName {
    AttributeName::try_new("tracked_min").unwrap()
}

fn instant(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// What the normaliser makes of a version.
fn contributions(says: Says, zones: &Zones) -> Vec<Contribution> {
    let Some((start, length)) = says else { return Vec::new() };
    let days = seconds_by_day(instant(start), instant(start + length), zones);
    days.into_iter().map(|(day, amount)| Contribution { attribute: attribute(), day, amount }).collect()
}

/// The sum over the final records: each second on the date that a clock on the wall shows then.
fn expected(finals: &[Says], zone: &TimeZone, moved: Option<(i64, &TimeZone)>) -> BTreeMap<Date, i64> {
    let mut sums = BTreeMap::new();
    for (start, length) in finals.iter().flatten() {
        // Offsets and midnights fall on whole minutes; so do the spans.
        for minute in (*start..start + length).step_by(60) {
            let zone = moved.filter(|(since, _)| minute >= *since).map_or(zone, |(_, zone)| zone);
            *sums.entry(instant(minute).to_zoned(zone.clone()).date()).or_insert(0) += 60;
        }
    }
    sums
}

/// Carries deliveries through arrival rules and ledger, in batches of this size.
fn carried(deliveries: &[(usize, i64, Says)], batch: usize, zones: &Zones) -> BTreeMap<Date, i64> {
    let partition = PartitionCount::try_new(1).unwrap().get_partition(0).unwrap();
    let mut known: HashMap<usize, Known> = HashMap::new();
    let mut applied: HashMap<usize, Vec<Contribution>> = HashMap::new();
    let mut totals: BTreeMap<Day, i64> = BTreeMap::new();
    let entry =
        |index: usize| TransactionId { partition, entry: EntryId { ms: 1, seq: u64::try_from(index).unwrap() } };
    let numbered: Vec<_> = deliveries.iter().enumerate().collect();
    for batch in numbered.chunks(batch) {
        let mut by_record: BTreeMap<usize, Vec<(Known, Says)>> = BTreeMap::new();
        for &(index, &(record, version, says)) in batch {
            let content = ContentHash::of(&format!("{says:?}"));
            let arriving = Known { version: Version(version), content, transaction: entry(index) };
            by_record.entry(record).or_default().push((arriving, says));
        }
        for (record, arriving) in by_record {
            let versions: Vec<Known> = arriving.iter().map(|(version, _)| *version).collect();
            let verdicts = judge(known.get(&record).copied(), &versions);
            for ((version, says), verdict) in arriving.into_iter().zip(verdicts) {
                if verdict == Verdict::Accepted {
                    known.insert(record, version);
                    let now = contributions(says, zones);
                    for change in difference(applied.get(&record).map_or(&[], Vec::as_slice), &now) {
                        *totals.entry(change.day).or_default() += change.amount;
                    }
                    applied.insert(record, now);
                }
            }
        }
    }
    let dated = totals.into_iter().map(|(day, sum)| (day.to_string().parse().unwrap(), sum));
    dated.filter(|(_, sum)| *sum != 0).collect()
}

/// A record's versions, the last of them final. Spans of up to three days, around clock changes too.
fn record() -> impl Strategy<Value = Vec<Says>> {
    let span =
        (0i64..300 * 1440, 0i64..3 * 1440).prop_map(|(start, length)| Some((1_767_225_600 + start * 60, length * 60)));
    prop::collection::vec(prop_oneof![4 => span, 1 => Just(None)], 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn the_totals_are_the_sum_over_the_final_records_in_any_order_with_any_repeats(
        records in prop::collection::vec(record(), 1..6),
        zone in prop::sample::select(ZONES.to_vec()),
        moved in prop::option::of((0i64..300 * 1440, prop::sample::select(ZONES.to_vec()))),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
        batch in 1usize..8,
    ) {
        let zone = TimeZone::get(zone).unwrap();
        let moved = moved.map(|(minute, to)| (1_767_225_600 + minute * 60, TimeZone::get(to).unwrap()));
        let changes = moved.iter().map(|(since, to)| (instant(*since), to.clone())).collect();
        let zones = Zones::new(zone.clone(), changes);
        let told: Vec<(usize, i64, Says)> = records.iter().enumerate()
            .flat_map(|(id, versions)| (1i64..).zip(versions).map(move |(version, says)| (id, version, *says))).collect();
        // Any of them, any number of times, in any order; and each final version somewhere among them.
        let mut deliveries: Vec<_> = order.iter().map(|index| *index.get(&told)).collect();
        for (id, versions) in records.iter().enumerate() {
            let last = (id, i64::try_from(versions.len()).unwrap(), *versions.last().unwrap());
            let place = order.get(id).map_or(0, |index| index.index(deliveries.len() + 1));
            deliveries.insert(place.min(deliveries.len()), last);
        }
        let finals: Vec<Says> = records.iter().map(|versions| *versions.last().unwrap()).collect();
        let expected = expected(&finals, &zone, moved.as_ref().map(|(since, to)| (*since, to)));
        prop_assert_eq!(carried(&deliveries, batch, &zones), expected);
    }
}

#[test]
fn a_moved_record_leaves_the_day_it_was_on() {
    let zones = Zones::always(TimeZone::UTC);
    let day = SignedDuration::from_hours(24).as_secs();
    let (first, second) = (Some((0, 3_600)), Some((3 * day, 3_600)));
    let totals = carried(&[(0, 2, second), (0, 1, first), (0, 2, second)], 1, &zones);
    assert_eq!(totals, BTreeMap::from([("1970-01-04".parse().unwrap(), 3_600)]));
}
