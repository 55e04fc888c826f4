use event::{Contribution, EntryId, Partition, PartitionCount, TransactionId, Version};
use ledger::Pair;
use proptest::prelude::*;

use super::*;

fn partition() -> Partition {
    PartitionCount::try_new(64).unwrap().get_partition(7).unwrap()
}

fn any_telling() -> impl Strategy<Value = Telling> {
    let adds = ("[a-z_]{1,12}|tv_min", -800_000i32..800_000, any::<i64>()).prop_map(|(name, day, amount)| {
        Contribution { attribute: AttributeName::try_new(&name).unwrap(), day: Day::from_number(day), amount }
    });
    let version = prop_oneof![any::<i64>(), 0i64..100_000, 1_700_000_000_000_000i64..1_800_000_000_000_000];
    let generation = prop_oneof![Just(0u64), 0u64..1 << 62];
    (version, any::<u64>(), any::<u64>(), prop::collection::vec(adds, 0..4), generation).prop_map(
        |(version, ms, seq, contributions, generation)| Telling {
            version: Version(version),
            transaction: TransactionId { partition: partition(), entry: EntryId { ms, seq } },
            contributions,
            generation,
        },
    )
}

fn any_event() -> impl Strategy<Value = Event> {
    let day = (-800_000i32..800_000).prop_map(Day::from_number);
    let before = prop_oneof![
        Just(Before::Archived),
        Just(Before::Nothing),
        day.clone().prop_map(Before::CountedBefore),
        (any_telling(), prop::option::of(day.clone()))
            .prop_map(|(telling, void_from)| Before::Held { telling, void_from }),
    ];
    let id = prop_oneof![
        "[0-9]{1,22}",
        "(issue:|commit:|-|:|Pulse-)?[0-9a-f]{0,41}[0-9a-f]",
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "[0-9A-F]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "[!-~é]{1,30}",
    ];
    let source =
        prop_oneof![Just("toggl".to_owned()), "[a-z0-9]{1,9}"].prop_map(|name| SourceName::try_new(&name).unwrap());
    prop_oneof![
        8 => (source.clone(), id, any_telling(), before).prop_map(|(source, id, telling, before)| Event::Told {
            source, external_id: ExternalId::try_new(&id).unwrap(), telling, before,
        }),
        1 => (source, any::<u64>(), day).prop_map(|(source, generation, from)| Event::RecountBegun {
            source, generation, from,
        }),
    ]
}

fn packed(events: &[Event]) -> Vec<u8> {
    let mut packer = Packer::default();
    for event in events {
        match event {
            Event::Told { source, external_id, telling, before } => packer.told(source, external_id, telling, before),
            Event::RecountBegun { source, generation, from } => packer.recount_begun(source, *generation, *from),
        }
    }
    packer.into_element()
}

proptest! {
    #[test]
    fn events_come_back_as_they_were(events in prop::collection::vec(any_event(), 0..12)) {
        let bytes = packed(&events);
        prop_assert_eq!(element(&bytes, 0, partition()), Some(Element::Events(events)));
    }

    #[test]
    fn an_opening_comes_back_as_it_was(
        sums in prop::collection::btree_map(("[a-z]{1,5}", "[a-z]{1,9}", 20_000i32..20_040), 1i64.., 0..60),
        earlier in prop::collection::btree_set(90u64..100, 0..8),
    ) {
        let sums = sums.into_iter().map(|((source, attribute, day), amount)| {
            let pair = Pair { attribute: AttributeName::try_new(&attribute).unwrap(), day: Day::from_number(day) };
            ((SourceName::try_new(&source).unwrap(), pair), amount)
        });
        let told = Opening { days: Day::from_number(20_000)..=Day::from_number(20_050), sums: sums.collect() };
        let earlier: Vec<Bucket> = earlier.into_iter().rev().collect();
        let bytes = opening(100, &earlier, &told);
        prop_assert_eq!(element(&bytes, 100, partition()), Some(Element::Opening { earlier, opening: told }));
    }

    #[test]
    fn other_bytes_are_refused_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _refused = element(&bytes, 100, partition());
    }

    #[test]
    fn what_was_cut_off_is_not_taken_for_less(events in prop::collection::vec(any_event(), 1..4), cut in 1usize..9) {
        let bytes = packed(&events);
        let cut = element(&bytes[..bytes.len().saturating_sub(cut)], 0, partition());
        prop_assert_ne!(cut, Some(Element::Events(events)));
    }
}

/// What one ordinary event takes, alone in its commit: a Toggl entry of this minute, and its edit.
#[test]
fn an_ordinary_event_takes_less_than_sixty_bytes() {
    let telling = |version: i64, seconds: i64| Telling {
        version: Version(version),
        transaction: TransactionId { partition: partition(), entry: EntryId { ms: 1_795_000_003_217, seq: 2 } },
        contributions: vec![Contribution {
            attribute: AttributeName::try_new("productive_min").unwrap(),
            day: Day::from_number(20_775),
            amount: seconds,
        }],
        generation: 0,
    };
    let source = SourceName::try_new("toggl").unwrap();
    let external_id = ExternalId::try_new("3731531776").unwrap();
    let first = telling(1_794_999_990_000_000, 2_700);
    let bytes = |telling: Telling, before| {
        let event = Event::Told { source: source.clone(), external_id: external_id.clone(), telling, before };
        packed(&[event]).len()
    };
    assert_eq!(bytes(first.clone(), Before::Nothing), 29);
    let held = Before::Held { telling: first, void_from: None };
    assert_eq!(bytes(telling(1_795_000_001_000_000, 3_000), held), 41);
}
