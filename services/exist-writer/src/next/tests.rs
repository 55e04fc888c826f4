use std::collections::BTreeMap;

use event::{Decimal, EntryId, SourceName, TransactionId, Unit};
use ledger::{Held, How};
use store::{
    Confirmed,
    pause::Pause,
    user::{About, Attribute, Connected, ExistConnection, Polled, ProfileZone, SourceConnection, Zeroing},
};

use super::*;

const NOW_MS: u64 = 1_790_000_000_000;

fn name(text: &str) -> AttributeName {
    AttributeName::try_new(text).unwrap()
}

fn user() -> User {
    let attribute = Attribute { acquire: Acquire::Template("keystrokes".into()), mode: Mode::Total, unit: Unit::Count };
    let owned = AttributeState::Owned {
        name: "keystrokes".into(),
        reacquired: false,
        fresh_until: None,
        was_ours: false,
        taken_over: false,
    };
    User {
        about: Some(About { timezone: Some("Asia/Kathmandu".into()) }),
        exist: Some(ExistConnection {
            connected: Connected::On,
            access_token: "sealed".into(),
            refresh_token: Some("sealed".into()),
            expires_at: None,
            adopt: Adopt::Unset,
            last_chance: false,
        }),
        attributes: BTreeMap::from([(name("keystrokes"), attribute)]),
        attribute_states: BTreeMap::from([(name("keystrokes"), owned)]),
        looked_up: true,
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
        checks: BTreeSet::new(),
        now_ms: NOW_MS,
        settle: Duration::from_secs(30),
        profile_refresh: Duration::from_secs(86_400),
        can_refresh: true,
    })
}

fn intent(at_ms: u64) -> Intent {
    let partition = event::PartitionCount::try_new(1).unwrap().get_partition(0).unwrap();
    let request = TransactionId { partition, entry: EntryId { ms: at_ms, seq: 0 } };
    Intent { request, values: Vec::new(), at_ms, how: How::Total }
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
    let Next::GiveUp { pairs, .. } = decide(&user, &Sending::default(), vec![changed("keystrokes", 5)]) else {
        panic!("it must be given up")
    };
    assert_eq!(pairs[0].1, "taken");
    let unmapped = decide(&self::user(), &Sending::default(), vec![changed("tv_min", 5)]);
    assert!(matches!(unmapped, Next::GiveUp { .. }));
}

fn pause() -> Pause {
    Pause { reason: "a migration".into(), by: "ada".into(), since_ms: 1 }
}

#[test]
fn a_paused_attribute_is_not_sent_and_the_others_are() {
    let mut user = user();
    user.pauses.attributes.insert(name("tv_min"), pause());
    let Next::Write(plan) = decide(&user, &Sending::default(), vec![changed("keystrokes", 5), changed("tv_min", 7)])
    else {
        panic!("the other one must be written")
    };
    let sent: Vec<&str> = plan.send.iter().map(|planned| planned.pair.attribute.as_str()).collect();
    assert_eq!(sent, ["keystrokes"]);
    assert_eq!(decide(&user, &Sending::default(), vec![changed("tv_min", 7)]), Next::Paused);
}

#[test]
fn nothing_is_asked_of_exist_while_sending_is_paused_but_an_open_intent_is_settled() {
    let states = || vec![changed("keystrokes", 5)];
    let exist = SourceName::try_new("exist").unwrap();
    let paused: [fn(&mut User); 4] = [
        |user| user.pauses.wide.all = Some(pause()),
        |user| user.pauses.wide.partition = Some(pause()),
        |user| user.pauses.user = Some(pause()),
        |user| drop(user.pauses.connections.insert(SourceName::try_new("exist").unwrap(), pause())),
    ];
    for paused in paused {
        let mut user = user();
        paused(&mut user);
        assert_eq!(decide(&user, &Sending::default(), states()), Next::Paused);
        let old = Sending { intent: Some(intent(NOW_MS - 30_000)), ..Sending::default() };
        assert!(matches!(decide(&user, &old, states()), Next::Abandon { .. }));
    }
    let mut of_a_source = user();
    of_a_source.pauses.connections.insert(SourceName::try_new("toggl").unwrap(), pause());
    of_a_source.pauses.wide.sources.insert(exist, pause());
    assert!(matches!(decide(&of_a_source, &Sending::default(), states()), Next::Write(_)));
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

fn in_increment_mode() -> User {
    let mut user = user();
    user.attributes.get_mut(&name("keystrokes")).unwrap().mode = Mode::Increment;
    user
}

/// Ours since the day of the changes of these tests.
fn fresh(was_ours: bool) -> AttributeState {
    let (name, fresh_until) = ("keystrokes".to_owned(), Some(Day::from_number(20_000)));
    AttributeState::Owned { name, reacquired: false, fresh_until, was_ours, taken_over: false }
}

fn toggl(first_ok_at_ms: u64) -> (BTreeMap<SourceName, SourceConnection>, BTreeMap<SourceName, Polled>) {
    let source = SourceName::try_new("toggl").unwrap();
    let rules = BTreeMap::from([(name("keystrokes"), serde_json::Value::Null)]);
    let connection =
        SourceConnection { connected: Connected::On, credentials: String::new(), rules, last_chance: false };
    let polled = Polled { first_ok_at_ms, ok_at_ms: first_ok_at_ms, ..Polled::default() };
    (BTreeMap::from([(source.clone(), connection)]), BTreeMap::from([(source, polled)]))
}

#[test]
fn an_increment_without_an_answer_is_read_back_and_never_just_repeated() {
    for how in [How::Increment, How::Correct] {
        let left = Intent { how, ..intent(NOW_MS - 30_000) };
        let open = Sending { intent: Some(left.clone()), ..Sending::default() };
        // Whatever the mode is by now.
        for user in [user(), in_increment_mode()] {
            assert_eq!(decide(&user, &open, vec![changed("keystrokes", 5)]), Next::ReadBack { intent: left.clone() });
        }
    }
}

#[test]
fn what_stands_there_is_read_before_anything_is_added() {
    let user = in_increment_mode();
    let unread = decide(&user, &Sending::default(), vec![changed("keystrokes", 5)]);
    assert!(matches!(unread, Next::ReadBases { pairs } if pairs.len() == 1));
    let held = Held { value: Some(Decimal::whole(3)), ours: Some(Decimal::whole(1)), ..Held::default() };
    let confirmed = Some(Confirmed { held, request: intent(1).request });
    let read = PairState { confirmed, ..changed("keystrokes", 5) };
    let Next::Write(plan) = decide(&user, &Sending::default(), vec![read.clone()]) else { panic!("it is known") };
    assert_eq!((plan.how, plan.send[0].delta()), (How::Increment, Decimal::whole(4)));
    // Where nobody can tell what is ours, the change is listed and nothing is sent.
    let lost = Held { ours: None, ..held };
    let lost = PairState { confirmed: Some(Confirmed { held: lost, request: intent(1).request }), ..read };
    let listed = decide(&user, &Sending::default(), vec![lost]);
    assert!(matches!(listed, Next::GiveUp { reason: Reason::UnknownOutcome, .. }));
}

#[test]
fn what_an_earlier_life_of_ours_left_is_read_once_the_sources_have_told_everything() {
    for mut user in [user(), in_increment_mode()] {
        user.looked_up = false;
        let ask = |user: &User| decide(user, &Sending::default(), vec![changed("keystrokes", 5)]);
        assert_eq!(ask(&user), Next::LookUp);
        user.looked_up = true;
        user.attribute_states.insert(name("keystrokes"), fresh(true));
        (user.sources, user.polled) = toggl(0);
        assert!(matches!(ask(&user), Next::Wait { .. }), "the back-fill is not through");
        (user.sources, user.polled) = toggl(NOW_MS);
        assert_eq!(ask(&user), Next::TakeOver { attributes: vec![name("keystrokes")] });
    }
}

#[test]
fn what_a_predecessor_left_is_taken_over_once_the_sources_have_told_everything() {
    let mut user = user();
    user.exist.as_mut().unwrap().adopt = Adopt::Ours;
    user.attribute_states.insert(name("keystrokes"), fresh(false));
    let ask = |user: &User| decide(user, &Sending::default(), vec![changed("keystrokes", 5)]);
    (user.sources, user.polled) = toggl(0);
    assert!(matches!(ask(&user), Next::Wait { .. }), "the back-fill is not through");
    (user.sources, user.polled) = toggl(NOW_MS);
    assert!(matches!(ask(&user), Next::ReadBases { .. }));
}

#[test]
fn an_operator_is_asked_about_what_stood_there_before_us_and_waited_for() {
    let mut user = user();
    user.exist.as_mut().unwrap().adopt = Adopt::Ask;
    user.attribute_states.insert(name("keystrokes"), fresh(false));
    let ask = |user: &User| decide(user, &Sending::default(), vec![changed("keystrokes", 5)]);
    assert!(matches!(ask(&user), Next::ReadBases { .. }));
    user.found =
        BTreeMap::from([(name("keystrokes"), BTreeMap::from([(Day::from_number(20_000), Decimal::whole(7))]))]);
    assert!(matches!(ask(&user), Next::Wait { .. }));
    // A day after we came is ours alone.
    let later = PairState {
        pair: Pair { attribute: name("keystrokes"), day: Day::from_number(20_001) },
        ..changed("keystrokes", 5)
    };
    assert!(matches!(decide(&user, &Sending::default(), vec![later]), Next::Write(_)));
}

#[test]
fn after_redis_lost_data_the_sources_tell_again_before_exist_is_read_and_written() {
    let mut user = user();
    let unsure = Sending { unsure_since_ms: NOW_MS - 60_000, ..Sending::default() };
    let ask = |user: &User, sending: &Sending| decide(user, sending, vec![changed("keystrokes", 5)]);
    (user.sources, user.polled) = toggl(NOW_MS - 61_000);
    assert!(matches!(ask(&user, &unsure), Next::Wait { .. }));
    (user.sources, user.polled) = toggl(NOW_MS - 30_000);
    assert_eq!(ask(&user, &unsure), Next::ReadAfterLoss);
    // A source that is down does not stop everything for ever.
    (user.sources, user.polled) = toggl(1);
    let long_ago = Sending { unsure_since_ms: NOW_MS - 601_000, ..Sending::default() };
    assert_eq!(ask(&user, &long_ago), Next::ReadAfterLoss);
}

#[test]
fn what_an_operator_asks_for_comes_before_writing_and_after_the_pause_of_a_failure() {
    let mut user = user();
    let days = vec![Day::from_number(20_000)];
    user.zeroing.insert(name("keystrokes"), Zeroing { days: days.clone(), asked_ms: 1 });
    let ask = |user: &User, sending: &Sending| decide(user, sending, vec![changed("keystrokes", 5)]);
    assert_eq!(ask(&user, &Sending::default()), Next::Zero { attribute: name("keystrokes"), days });
    let failing = Sending { retry_at_ms: NOW_MS + 7, ..Sending::default() };
    assert_eq!(ask(&user, &failing), Next::Wait { until_ms: NOW_MS + 7 });
    user.attribute_states.clear();
    assert_eq!(ask(&user, &Sending::default()), Next::Acquire { attributes: vec![name("keystrokes")] });
}
