use event::{AttributeName, Decimal, EntryId, PartitionCount, Unit, merge};
use proptest::prelude::*;

use super::*;
use crate::{Held, difference};

/// How many buckets are kept.
const KEPT: u64 = 3;

fn adds(attribute: u8, day: i32, amount: i64) -> Contribution {
    let attribute = AttributeName::try_new(&format!("a{attribute}")).unwrap();
    Contribution { attribute, day: Day::from_number(day), amount }
}

fn days() -> RangeInclusive<Day> {
    Day::from_number(0)..=Day::from_number(10)
}

fn source() -> SourceName {
    SourceName::try_new("toggl").unwrap()
}

/// What happens to a ledger.
#[derive(Debug, Clone)]
enum Step {
    /// A version of a record is told, perhaps by a recount, in the same commit as the one before or not.
    Told { record: u8, version: i64, contributions: Vec<Contribution>, by_recount: bool, same_commit: bool },
    /// A recount begins.
    Begun { from: i32 },
    /// The next bucket begins, and the oldest goes.
    NextBucket,
}

/// A ledger that keeps an archive, written from the exist-writer's rules in their own order.
#[derive(Default)]
struct Model {
    bucket: Bucket,
    order: u64,
    held: HashMap<RecordId, (Bucket, Telling)>,
    told_in_this_commit: BTreeSet<RecordId>,
    generations: Vec<(u64, Day)>,
    sums: Sums,
    archive: Archive,
}

impl Model {
    fn place(&self) -> Place {
        (self.bucket, self.archive.events.len() + self.archive.recounts.len())
    }

    fn open(&mut self) {
        let mut sums = self.sums.clone();
        sums.retain(|_, amount| *amount != 0);
        self.archive.openings.entry(self.bucket).or_insert(Opening { days: days(), sums });
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Told { record, version, contributions, by_recount, same_commit } => {
                if !same_commit {
                    self.told_in_this_commit.clear();
                }
                self.tell(*record, *version, contributions, *by_recount);
            }
            // A later recount from a later day would leave out what the earlier one took out and did not tell:
            // recounts of a source follow each other, so it told all.
            Step::Begun { from } => {
                let day = Day::from_number(*from);
                self.begin(self.generations.last().map_or(day, |(_, earlier)| day.min(*earlier)));
            }
            Step::NextBucket => {
                self.bucket += 1;
                self.told_in_this_commit.clear();
                let oldest = self.bucket.saturating_sub(KEPT - 1);
                self.archive.openings.retain(|bucket, _| *bucket >= oldest);
                self.archive.events.retain(|event| event.place.0 >= oldest);
                self.archive.recounts.retain(|begun| begun.place.0 >= oldest);
                let archive = &self.archive;
                let is_archived = |id: &RecordId| archive.events.iter().any(|event| event.record == *id);
                self.held.retain(|id, (bucket, _)| *bucket >= oldest || is_archived(id));
            }
        }
    }

    fn tell(&mut self, record: u8, version: i64, contributions: &[Contribution], by_recount: bool) {
        self.open();
        self.order += 1;
        let record = (source(), ExternalId::try_new(&record.to_string()).unwrap());
        let partition = PartitionCount::try_new(1).unwrap().get_partition(0).unwrap();
        let telling = Telling {
            version: Version(version),
            transaction: TransactionId { partition, entry: EntryId { ms: self.order, seq: 0 } },
            contributions: contributions.to_vec(),
            generation: self.generations.last().map_or(0, |(number, _)| *number),
        };
        let was = self.held.get(&record).map(|(_, was)| was.clone());
        let void = |generation| self.generations.iter().filter(|(n, _)| *n > generation).map(|(_, from)| *from).min();
        let before = match (&was, self.generations.last()) {
            (Some(_), _) if self.told_in_this_commit.contains(&record) => Before::Archived,
            (Some(was), _) => Before::Held { telling: was.clone(), void_from: void(was.generation) },
            (None, Some((_, from))) if by_recount => Before::CountedBefore(*from),
            (None, _) => Before::Nothing,
        };
        let event = Archived { place: self.place(), record: record.clone(), telling: telling.clone(), before };
        self.archive.events.push(event);
        if was.as_ref().is_some_and(|was| was.age() >= telling.age()) {
            return;
        }
        let cut = |contributions: &[Contribution], day: Day| -> Vec<Contribution> {
            contributions.iter().filter(|adds| adds.day < day).cloned().collect()
        };
        let standing = match (&was, self.generations.last()) {
            (Some(was), _) => match void(was.generation) {
                Some(day) => cut(&was.contributions, day),
                None => was.contributions.clone(),
            },
            (None, Some((_, from))) if by_recount => cut(&telling.contributions, *from),
            (None, _) => Vec::new(),
        };
        for change in difference(&standing, &telling.contributions) {
            let pair = Pair { attribute: change.attribute, day: change.day };
            *self.sums.entry((source(), pair)).or_default() += change.amount;
        }
        self.told_in_this_commit.insert(record.clone());
        self.held.insert(record, (self.bucket, telling));
    }

    fn begin(&mut self, from: Day) {
        self.open();
        self.told_in_this_commit.clear();
        self.order += 1;
        let begun = Begun { place: self.place(), source: source(), generation: self.order, from };
        self.archive.recounts.push(begun);
        self.generations.push((self.order, from));
        self.sums.retain(|(_, pair), _| pair.day < from);
    }

    fn sums(&self) -> Sums {
        self.sums.iter().filter(|(_, amount)| **amount != 0).map(|(part, amount)| (part.clone(), *amount)).collect()
    }

    fn found(&self) -> Found {
        Found {
            records: self.held.iter().map(|(id, (_, telling))| (id.clone(), telling.clone())).collect(),
            sums: self.sums(),
            ..Found::default()
        }
    }
}

fn any_contributions() -> impl Strategy<Value = Vec<Contribution>> {
    let one = (0u8..2, 0i32..5, 1i64..50).prop_map(|(attribute, day, amount)| adds(attribute, day, amount));
    prop::collection::vec(one, 0..4).prop_map(merge)
}

fn any_step() -> impl Strategy<Value = Step> {
    let told = (0u8..4, 0i64..5, any_contributions(), any::<bool>(), any::<bool>()).prop_map(
        |(record, version, contributions, by_recount, same_commit)| Step::Told {
            record,
            version,
            contributions,
            by_recount,
            same_commit,
        },
    );
    prop_oneof![8 => told, 1 => (0i32..5).prop_map(|from| Step::Begun { from }), 2 => Just(Step::NextBucket)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever was told, in any versions, with recounts and forgotten records between: from every bucket
    /// that is kept, in any order and with repeats, the rebuild is the ledger.
    #[test]
    fn a_rebuild_in_any_order_with_any_repeats_is_what_applying_made(
        steps in prop::collection::vec(any_step(), 1..40),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
    ) {
        let mut model = Model::default();
        steps.iter().for_each(|step| model.step(step));
        let mut archive = model.archive.clone();
        if !archive.events.is_empty() {
            let repeats: Vec<Archived> = order.iter().map(|index| index.get(&archive.events).clone()).collect();
            archive.events.extend(repeats);
            for (at, index) in order.iter().enumerate() {
                let other = index.index(archive.events.len());
                archive.events.swap(at % other.max(1), other);
            }
        }
        archive.recounts.reverse();
        for bucket in archive.openings.keys() {
            let rebuilt = archive.rebuild_from(*bucket).unwrap();
            prop_assert_eq!(&rebuilt.sums, &model.sums(), "from bucket {}", bucket);
            prop_assert_eq!(compare(&archive, &rebuilt, &model.found(), &days()), vec![]);
        }
        if let Some(rebuilt) = archive.rebuild() {
            prop_assert!(archive.mended_openings(&rebuilt, &days()).is_empty());
        }
    }

    /// A total that was wrong when later buckets began: once it is put right, they say so as well.
    #[test]
    fn mended_openings_agree_with_the_oldest(
        steps in prop::collection::vec(any_step(), 1..20),
        later in prop::collection::vec(any_step(), 1..20),
        (attribute, day, amount) in (0u8..2, 0i32..5, 1i64..50),
    ) {
        let mut model = Model::default();
        steps.iter().for_each(|step| model.step(step));
        let pair = Pair { attribute: adds(attribute, day, 0).attribute, day: Day::from_number(day) };
        *model.sums.entry((source(), pair)).or_default() += amount;
        later.iter().for_each(|step| model.step(step));
        let Some(rebuilt) = model.archive.rebuild() else { return Ok(()) };
        let mended = model.archive.mended_openings(&rebuilt, &days());
        model.archive.openings.extend(mended);
        for bucket in model.archive.openings.keys() {
            prop_assert_eq!(&model.archive.rebuild_from(*bucket).unwrap().sums, &rebuilt.sums);
        }
    }
}

fn minutes(value: i64) -> Held {
    Held { value: Some(Decimal::whole(value)), ours: Some(Decimal::whole(value)), ..Held::default() }
}

/// Two records on one day: 60 s and 540 s, which Exist shows as 10 minutes.
fn ten_minutes() -> (Model, Found) {
    let mut model = Model::default();
    for (record, seconds) in [(1, 60), (2, 540)] {
        model.tell(record, 1, &[adds(0, 3, seconds)], false);
    }
    let mut found = model.found();
    let pair = Pair { attribute: adds(0, 3, 0).attribute, day: Day::from_number(3) };
    found.written.insert(pair.attribute.clone(), Unit::Seconds);
    found.confirmed.insert(pair, minutes(10));
    (model, found)
}

fn differences(model: &Model, found: &Found) -> Vec<Difference> {
    compare(&model.archive, &model.archive.rebuild().unwrap(), found, &days())
}

fn id(text: &str) -> ExternalId {
    ExternalId::try_new(text).unwrap()
}

#[test]
fn a_total_that_is_wrong_is_named_with_the_records_that_add_to_it() {
    let (model, mut found) = ten_minutes();
    assert_eq!(differences(&model, &found), []);
    let part = found.sums.keys().next().unwrap().clone();
    found.sums.insert(part.clone(), 7);
    let (source, pair) = part;
    let records = vec![id("1"), id("2")];
    assert_eq!(differences(&model, &found), [Difference::Total { source, pair, found: 7, expected: 600, records }]);
}

#[test]
fn a_record_in_another_version_or_none_is_named() {
    let (model, mut found) = ten_minutes();
    let wanted = (source(), id("2"));
    let right = found.records.remove(&wanted).unwrap();
    let wrong = Telling { contributions: Vec::new(), ..right.clone() };
    let named = |found| Difference::Record { record: wanted.clone(), found, expected: right.clone(), told_in: Some(0) };
    assert_eq!(differences(&model, &found), [named(None)]);
    found.records.insert(wanted.clone(), wrong.clone());
    assert_eq!(differences(&model, &found), [named(Some(wrong))]);
}

#[test]
fn what_exist_holds_is_compared_where_nothing_waits_to_be_sent() {
    let (model, mut found) = ten_minutes();
    let pair = found.confirmed.keys().next().unwrap().clone();
    for held in [minutes(11), Held::default()] {
        found.confirmed.insert(pair.clone(), held);
        let named = differences(&model, &found);
        assert!(matches!(&named[..], [Difference::Exist { found, .. }] if *found == Some(held)), "{named:?}");
    }
    // What was there before us stays on top.
    found.confirmed.insert(pair.clone(), Held { adopted: Decimal::whole(5), ..minutes(15) });
    assert_eq!(differences(&model, &found), []);
    found.confirmed.remove(&pair);
    let named = differences(&model, &found);
    assert!(matches!(&named[..], [Difference::Exist { found: None, .. }]), "{named:?}");
    found.waiting.insert(pair);
    assert_eq!(differences(&model, &found), []);
}

#[test]
fn a_day_that_a_record_left_names_it_too() {
    let (mut model, _) = ten_minutes();
    // Its former version is told by no event that is kept, but by what the edit met.
    for _ in 1..KEPT {
        model.step(&Step::NextBucket);
    }
    model.tell(1, 2, &[adds(0, 4, 60)], false);
    model.step(&Step::NextBucket);
    assert_eq!(model.archive.events.len(), 1);
    let mut found = model.found();
    // As if the day that it left had been forgotten.
    found.sums.values_mut().next().map(|sum| *sum += 60).unwrap();
    let named = differences(&model, &found);
    assert!(matches!(&named[..], [difference] if difference.concerns(&(source(), id("1")))), "{named:?}");
}

#[test]
fn days_that_are_not_asked_for_are_not_compared() {
    let (model, mut found) = ten_minutes();
    found.sums.clear();
    let rebuilt = model.archive.rebuild().unwrap();
    let other = Day::from_number(4)..=Day::from_number(9);
    assert_eq!(compare(&model.archive, &rebuilt, &found, &other), []);
}
