use std::collections::BTreeMap;

use event::{Decimal, EntryId, SourceName, TransactionId, Unit};
use store::user::{About, Attribute, Connected, ExistConnection, Mode, ProfileZone};

use super::*;

const NOW_MS: u64 = 1_790_000_000_000;

fn name(text: &str) -> AttributeName {
    AttributeName::try_new(text).unwrap()
}

fn user() -> User {
    let attribute = Attribute { acquire: Acquire::Template("keystrokes".into()), mode: Mode::Total, unit: Unit::Count };
    let owned = AttributeState::Owned { name: "keystrokes".into(), reacquired: false };
    User {
        about: Some(About { timezone: Some("Asia/Kathmandu".into()) }),
        exist: Some(ExistConnection {
            connected: Connected::On,
            access_token: "sealed".into(),
            refresh_token: Some("sealed".into()),
            expires_at: None,
            adopt: false,
            last_chance: false,
        }),
        attributes: BTreeMap::from([(name("keystrokes"), attribute)]),
        attribute_states: BTreeMap::from([(name("keystrokes"), owned)]),
        ..User::default()
    }
}

fn changed(attribute: &str, total: i64) -> PairState {
    PairState {
        pair: Pair { attribute: name(attribute), day: Day::from_number(20_000) },
        changed_by: Some(EntryId { ms: 1, seq: 0 }),
        totals: BTreeMap::from([(SourceName::try_new("whatpulse").unwrap(), total)]),
        confirmed: None,
    }
}

fn decide(user: &User, sending: &Sending, states: Vec<PairState>) -> Next {
    next(Facts {
        user,
        sending,
        states,
        now_ms: NOW_MS,
        settle: Duration::from_secs(30),
        profile_refresh: Duration::from_secs(86_400),
        can_refresh: true,
    })
}

fn intent(at_ms: u64) -> Intent {
    let partition = event::PartitionCount::try_new(1).unwrap().get_partition(0).unwrap();
    let request = TransactionId { partition, entry: EntryId { ms: at_ms, seq: 0 } };
    Intent { request, values: Vec::new(), at_ms }
}

#[test]
fn an_open_intent_is_waited_for_until_it_can_no_longer_take_effect() {
    let open = Sending { intent: Some(intent(NOW_MS - 29_000)), ..Sending::default() };
    assert_eq!(decide(&user(), &open, vec![changed("keystrokes", 5)]), Next::Wait { until_ms: NOW_MS + 1000 });
    let old = Sending { intent: Some(intent(NOW_MS - 30_000)), ..Sending::default() };
    assert!(matches!(decide(&user(), &old, vec![changed("keystrokes", 5)]), Next::Abandon { .. }));
}

#[test]
fn nothing_is_sent_before_the_time_exist_named() {
    let limited = Sending { not_before_ms: NOW_MS + 1, ..Sending::default() };
    assert_eq!(decide(&user(), &limited, vec![changed("keystrokes", 5)]), Next::Wait { until_ms: NOW_MS + 1 });
}

#[test]
fn a_token_is_refreshed_within_its_last_week() {
    let mut user = user();
    let expires = |days: i64| Some(i64::try_from(NOW_MS / 1000).unwrap() + days * 86_400);
    user.exist.as_mut().unwrap().expires_at = expires(6);
    assert_eq!(decide(&user, &Sending::default(), vec![]), Next::Refresh);
    user.exist.as_mut().unwrap().expires_at = expires(8);
    assert_eq!(decide(&user, &Sending::default(), vec![]), Next::Rest);
}

#[test]
fn the_profile_is_read_when_no_zone_is_known_and_once_a_day_unless_the_import_gave_one() {
    let mut user = user();
    user.about = Some(About { timezone: None });
    assert_eq!(decide(&user, &Sending::default(), vec![]), Next::ReadProfile);
    let read = |ago: u64| Some(ProfileZone { name: "UTC".into(), read_at_ms: NOW_MS - ago });
    user.profile_zone = read(86_399_000);
    assert_eq!(decide(&user, &Sending::default(), vec![]), Next::Rest);
    user.profile_zone = read(86_401_000);
    assert_eq!(decide(&user, &Sending::default(), vec![]), Next::ReadProfile);
}

#[test]
fn attributes_become_ours_before_they_are_written() {
    let mut user = user();
    user.attribute_states.clear();
    let states = || vec![changed("keystrokes", 5)];
    assert_eq!(decide(&user, &Sending::default(), states()), Next::Acquire { attributes: vec![name("keystrokes")] });
    user.attributes.get_mut(&name("keystrokes")).unwrap().acquire =
        Acquire::Custom { label: "Keystrokes".into(), group: "productivity".into(), value_type: 0 };
    user.attribute_states.insert(name("keystrokes"), AttributeState::ToCreate);
    assert_eq!(decide(&user, &Sending::default(), states()), Next::Create { attributes: vec![name("keystrokes")] });
}

#[test]
fn a_refused_attribute_is_given_up_and_the_others_go_on() {
    let mut user = user();
    user.attribute_states.insert(name("keystrokes"), AttributeState::Refused { detail: "taken".into() });
    let Next::GiveUp { pairs } = decide(&user, &Sending::default(), vec![changed("keystrokes", 5)]) else {
        panic!("it must be given up")
    };
    assert_eq!(pairs[0].1, "taken");
    let unmapped = decide(&self::user(), &Sending::default(), vec![changed("tv_min", 5)]);
    assert!(matches!(unmapped, Next::GiveUp { .. }));
}

#[test]
fn a_total_is_sent_in_exists_unit() {
    let Next::Write(plan) = decide(&user(), &Sending::default(), vec![changed("keystrokes", 5)]) else {
        panic!("it must be written")
    };
    assert_eq!(plan.send[0].value, Decimal::whole(5));
}

#[test]
fn a_connection_that_is_off_sends_nothing_and_is_not_asked_again() {
    let mut user = user();
    user.exist.as_mut().unwrap().connected = Connected::Off { reason: "revoked".into(), since_ms: 1 };
    assert_eq!(decide(&user, &Sending::default(), vec![changed("keystrokes", 5)]), Next::Disable);
    assert_eq!(decide(&User::default(), &Sending::default(), vec![]), Next::Gone);
}
