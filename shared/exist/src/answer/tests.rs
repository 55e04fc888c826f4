use jiff::civil::date;

use super::*;
use crate::{Exact, Number, ValueType};

fn value(name: &str, day: i8) -> Value {
    Value { name: name.to_owned(), date: date(2026, 3, day), value: Number::Whole(7) }
}

fn settle<T: Item>(items: Vec<T>, answer: &str) -> Vec<Fate<T::Applied>> {
    let batch = Batch::try_new(items).unwrap();
    let arrays: Arrays<'_> = serde_json::from_str(answer).unwrap();
    arrays.settle(&batch, &[]).settled.into_iter().map(|settled| settled.fate).collect()
}

/// A fate in a word, for comparing at a glance.
fn words<A>(fates: &[Fate<A>]) -> Vec<&str> {
    let word = |fate| match fate {
        &Fate::Applied(_) => "applied",
        Fate::Refused(refusal) => refusal.code.as_str(),
        Fate::Unconfirmed => "unconfirmed",
    };
    fates.iter().map(word).collect()
}

#[test]
fn items_are_matched_by_name_and_date_whatever_the_order() {
    let fates = settle(
        vec![value("a", 1), value("a", 2), value("b", 1)],
        r#"{"success":[{"date":"2026-03-02","value":70,"name":"a"},{"name":"a","date":"2026-03-01","value":7.0}],
            "failed":[{"name":"b","date":"2026-03-01","value":7,"error_code":"validation","error":"no"}]}"#,
    );
    assert_eq!(words(&fates), ["applied", "applied", "validation"]);
    let now = |fate: &Fate<crate::Stored>| match fate {
        Fate::Applied(stored) => stored.now.unwrap().to_whole(),
        _ => None,
    };
    assert_eq!((now(&fates[0]), now(&fates[1])), (Some(7), Some(70)));
}

#[test]
fn an_item_in_neither_array_is_unconfirmed_and_strangers_are_ignored() {
    let fates = settle(
        vec![value("a", 1), value("b", 1)],
        r#"{"success":[{"name":"a","date":"2026-03-09","value":7},{"name":"zz","date":"2026-03-01"},null,[1],"x"],
            "failed":[{"name":"zz","date":"2026-03-01","error_code":"validation"},{"error_code":"validation"}]}"#,
    );
    assert_eq!(words(&fates), ["unconfirmed", "unconfirmed"]);
}

#[test]
fn an_item_that_is_said_to_be_done_and_refused_is_unconfirmed() {
    let fates = settle(
        vec![value("a", 1), value("b", 1)],
        r#"{"success":[{"name":"a","date":"2026-03-01","value":7},{"name":"b","date":"2026-03-01","value":7},
                       {"name":"b","date":"2026-03-01","value":7}],
            "failed":[{"name":"a","date":"2026-03-01","error_code":"validation"}]}"#,
    );
    assert_eq!(words(&fates), ["unconfirmed", "applied"]);
}

#[test]
fn a_missing_field_is_found_by_the_index_in_its_text_if_nothing_contradicts() {
    let failed = |object: &str| {
        let answer = format!(r#"{{"success":[],"failed":[{object}]}}"#);
        words(&settle(vec![value("a", 1), value("b", 1)], &answer)).join(" ")
    };
    let text = r#""error":"Object at index 1 missing field(s) 'date'","error_code":"missing_field""#;
    assert_eq!(failed(&format!(r#"{{"name":"b",{text}}}"#)), "unconfirmed missing_field");
    assert_eq!(failed(&format!("{{{text}}}")), "unconfirmed missing_field");
    assert_eq!(failed(&format!(r#"{{"name":"a",{text}}}"#)), "unconfirmed unconfirmed");
    let beyond = r#"{"error":"Object at index 9 missing field(s) 'date'","error_code":"missing_field"}"#;
    assert_eq!(failed(beyond), "unconfirmed unconfirmed");
}

#[test]
fn an_increment_is_told_by_current_and_never_by_its_echo() {
    let delta = |name: &str| Delta { name: name.to_owned(), date: date(2026, 3, 1), value: Number::Whole(120) };
    let fates = settle(
        vec![delta("a"), delta("b")],
        r#"{"success":[{"name":"a","date":"2026-03-01","value":120,"current":18370},
                       {"name":"b","date":"2026-03-01","value":120}],"failed":[]}"#,
    );
    assert_eq!(fates[0], Fate::Applied(crate::Stored { now: Some(Exact::from(18_370)) }));
    assert_eq!(fates[1], Fate::Applied(crate::Stored { now: None }));
}

#[test]
fn acquiring_is_matched_by_what_was_sent() {
    let items = || vec![Acquire::Template("tv_min".into()), Acquire::Name("mouse_clicks".into())];
    let fates = settle(
        items(),
        r#"{"success":[{"template":null,"name":"mouse_clicks","value_type":0},
                       {"template":"tv_min","name":"tv_min","value_type":3}],"failed":[]}"#,
    );
    assert_eq!(words(&fates), ["applied", "applied"]);
    // A custom attribute of the same name is not the template's.
    let clash = r#"{"success":[{"template":null,"name":"tv_min","value_type":0}],
                    "failed":[{"title":"mouse_clicks","error_code":"missing_field"}]}"#;
    assert_eq!(words(&settle(items(), clash)), ["unconfirmed", "missing_field"]);
    let by_index = r#"{"success":[],"failed":[{"template":null,"name":"tv_min","error_code":"not_allowed"},
        {"error_code":"missing_field","error":"Object at index 1 missing field(s) 'name'"}]}"#;
    assert_eq!(words(&settle(items(), by_index)), ["not_allowed", "missing_field"]);
}

#[test]
fn creating_is_matched_by_label_without_case_and_tells_what_is_in_the_way() {
    let create = |label: &str| Create { label: label.into(), group: "custom".into(), value_type: ValueType::Boolean };
    let fates = settle(
        vec![create("Ran Far"), create("Slept"), create("Ate")],
        r#"{"success":[{"label":"ran far","name":"ran_far","group":"custom","value_type":7},{"label":"Ate"}],
            "failed":[{"label":"Slept","name":"slept","error_code":"exists","error":"it is there"}]}"#,
    );
    assert_eq!(words(&fates), ["applied", "exists", "unconfirmed"]);
    let Fate::Refused(refusal) = &fates[1] else { panic!("refused") };
    assert_eq!(refusal.name.as_deref(), Some("slept"));
}

#[test]
fn a_release_tells_who_takes_over() {
    let release = |name: &str| Release { name: name.to_owned() };
    let fates = settle(
        vec![release("a"), release("b")],
        r#"{"success":[{"name":"a","service":"","active":false},{"name":"b","service":"fitbit","active":true}]}"#,
    );
    assert_eq!(fates[0], Fate::Applied(crate::Released { service: None }));
    assert_eq!(fates[1], Fate::Applied(crate::Released { service: Some("fitbit".to_owned()) }));
}

#[test]
fn an_unknown_code_is_kept_as_it_is() {
    assert_eq!(ErrorCode::from("moon_phase"), ErrorCode::Other("moon_phase".to_owned()));
    for code in ["missing_field", "unauthorised", "not_found", "not_allowed", "validation", "exists", "", "x"] {
        assert_eq!(ErrorCode::from(code).as_str(), code);
    }
}
