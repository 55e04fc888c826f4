//! What is wrong with a file is all told, at its place, and without a word of what is secret.

use std::time::Duration;

use settings::{BaseUrl, Settings};
use source_toggl::Toggl;
use source_whatpulse::{ApiKind, WhatPulse};

use super::*;

/// Stands for everything that must not be repeated.
const PLANTED: &str = "planted-5ecret";

fn check(text: &str) -> Result<Vec<Person>, Vec<String>> {
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    let base = |base: &BaseUrl| base.url().clone();
    let settings = Settings::default();
    let http = source::http::client(Duration::from_secs(1)).unwrap();
    let all: [std::sync::Arc<dyn source::Source>; 2] = [
        std::sync::Arc::new(WhatPulse::new(http.clone(), base(&settings.peers.whatpulse_api), ApiKind::V1)),
        std::sync::Arc::new(Toggl::new(http, base(&settings.peers.toggl_api))),
    ];
    people("people.json", text, &all.into_iter().map(|source| (source.name(), source)).collect())
}

fn problems(text: &str) -> Vec<String> {
    check(text).err().unwrap_or_default()
}

fn row(user: &str, map: &str) -> String {
    format!(
        r#"{{"user": "{user}", "exist": {{"access_token": "t"}}, "connections": [
             {{"source": "toggl", "credentials": {{"api_token": "k"}}, "settings": {{"map": {map}}}}}]}}"#
    )
}

#[test]
fn a_row_as_the_documentation_has_it_is_right() {
    let people = check(
        r#"[{"user": "alice", "timezone": "Pacific/Auckland", "unknown": 1,
             "exist": {"access_token": "a", "refresh_token": "r", "expires_in": 31535999, "created_at": 1780000000, "adopt": false},
             "connections": [{"source": "toggl", "credentials": {"api_token": "k"}, "settings": {"map": {
               "productive_min": {"projects": [42], "template": "productive_min", "mode": "total"},
               "time_deep_work": {"tags": ["deep"], "label": "Time deep work", "group": "productivity", "value_type": 3},
               "gaming_min": {"clients": [7]}}}}]}]"#,
    );
    let people = people.unwrap_or_else(|problems| panic!("{problems:#?}"));
    let acquired: Vec<&Acquire> = people[0].attributes.values().map(|attribute| &attribute.acquire).collect();
    assert!(matches!(acquired[..], [Acquire::Name, Acquire::Template(_), Acquire::Custom { value_type: 3, .. }]));
    assert_eq!(people[0].exist_connection(&sealer(), Adopt::Unset).expires_at, Some(1_811_535_999));
}

#[test]
fn every_problem_of_every_row_is_told_with_its_line_row_user_and_field() {
    let text = r#"[
  {"user": "al ice", "timezone": "Mars/Olympus",
   "exist": {"refresh_token": 5},
   "connections": [{"source": "fitbit", "credentials": {}}, {"source": "toggl", "credentials": {"api_token": ""}}]},
  17,
  {"exist": {"access_token": "t"}}]"#;
    let expected = [
        "people.json:2: row 1 (al ice): exist.access_token: missing",
        "people.json:2: row 1 (al ice): exist.refresh_token: must be text, and not empty",
        "people.json:2: row 1 (al ice): user: the user contains ' ', which is not allowed",
        "people.json:2: row 1 (al ice): timezone: \"Mars/Olympus\" is no IANA time zone",
        "people.json:2: row 1 (al ice): connections[0].source: \"fitbit\" is none of toggl, whatpulse",
        "people.json:2: row 1 (al ice): connections[1].credentials: api_token must be the text of a token",
        "people.json:5: row 2 (?): the row: must be an object",
        "people.json:6: row 3 (?): user: missing",
    ];
    assert_eq!(problems(text), expected);
}

#[test]
fn what_is_no_list_of_people_is_told_with_its_line() {
    assert_eq!(problems("{}"), ["people.json:1: must be a list of people"]);
    let broken = problems("[\n{\"user\": \"alice\",}\n]");
    assert!(broken[0].starts_with("people.json:2: not JSON: "), "{broken:?}");
}

#[test]
fn a_secret_in_the_wrong_place_is_not_repeated() {
    let places = [
        r#""planted-5ecret""#.to_owned(),
        r#"["planted-5ecret"]"#.to_owned(),
        r#"[{"user": "a", "exist": "planted-5ecret"}]"#.to_owned(),
        r#"[{"user": "a", "exist": {"access_token": ["planted-5ecret"]}}]"#.to_owned(),
        r#"[{"user": "a", "exist": {"access_token": "t", "expires_in": "planted-5ecret"}}]"#.to_owned(),
        r#"[{"user": "a", "exist": {"access_token": "t"}, "connections": "planted-5ecret"}]"#.to_owned(),
        r#"[{"user": "a", "exist": {"access_token": "t"}, "connections": [{"source": "toggl", "credentials": "planted-5ecret"}]}]"#.to_owned(),
        r#"[{"user": "a", "exist": {"access_token": "t"}, "connections": [{"source": "toggl", "credentials": {"api_token": "planted-5ecret:"}}]}]"#.to_owned(),
    ];
    for text in places {
        let told = problems(&text);
        assert!(!told.is_empty(), "{text}");
        assert!(!told.join("\n").contains(PLANTED), "{told:?}");
    }
}

#[test]
fn an_attribute_is_acquired_in_exactly_one_way() {
    let both = row("alice", r#"{"productive_min": {"projects": [1], "template": "productive_min", "label": "x"}}"#);
    assert!(problems(&format!("[{both}]"))[0].contains("map.productive_min: give either template, or label"));
    let half = row("alice", r#"{"deep": {"projects": [1], "label": "Deep", "group": "productivity"}}"#);
    assert_eq!(problems(&format!("[{half}]")).len(), 1);
    let odd =
        row("alice", r#"{"deep": {"projects": [1], "label": "Deep", "group": "productivity", "value_type": 300}}"#);
    assert!(problems(&format!("[{odd}]"))[0].contains("value_type: 300 is none of 0"));
}

#[test]
fn both_modes_are_taken_and_no_other() {
    let increment = row("alice", r#"{"deep": {"projects": [1], "mode": "increment"}}"#);
    let people = check(&format!("[{increment}]")).unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!(people[0].attributes.values().next().unwrap().mode, Mode::Increment);
    let odd = row("alice", r#"{"deep": {"projects": [1], "mode": "sideways"}}"#);
    assert!(problems(&format!("[{odd}]"))[0].ends_with("\"sideways\" is neither total nor increment"));
}

#[test]
fn two_sources_of_one_attribute_must_count_in_one_unit() {
    let text = r#"[{"user": "alice", "exist": {"access_token": "t"}, "connections": [
      {"source": "toggl", "credentials": {"api_token": "k"}, "settings": {"map": {"busy": {"projects": [1]}}}},
      {"source": "whatpulse", "credentials": {"api_key": "k", "user_id": 5}, "settings": {"map": {"busy": {"field": "keys"}}}}]}]"#;
    let told = problems(text);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("connections[1].settings.map.busy: another connection feeds this attribute"), "{told:?}");
}

#[test]
fn somebody_named_twice_is_refused() {
    let twice = format!("[{},\n{}]", row("alice", "{}"), row("alice", "{}"));
    assert_eq!(problems(&twice), ["people.json:3: row 2 (alice): user: named twice in this file"]);
}

fn sealer() -> Sealer {
    Sealer::from_keys(Sealer::generate_key().expose_secret()).unwrap()
}

/// What stands in Redis after some documents were written over others.
fn stored(documents: &[(String, String)], before: &User) -> User {
    let find = |name: &str| documents.iter().find(|(field, _)| field == name).map(|(_, text)| text);
    User {
        exist: find(field::EXIST).map(|text| serde_json::from_str(text).unwrap()).or_else(|| before.exist.clone()),
        imported: find(field::IMPORTED).cloned().or_else(|| before.imported.clone()),
        ..User::default()
    }
}

#[test]
fn the_same_tokens_again_do_not_bring_back_a_pair_that_was_refreshed_since() {
    let (sealer, text) = (sealer(), format!("[{}]", row("alice", "{}")));
    let person = check(&text).unwrap_or_default().pop().unwrap();
    let first = stored(&person.documents(&sealer, &User::default(), 0), &User::default());
    let refreshed = ExistConnection { access_token: "refreshed".to_owned(), ..first.exist.clone().unwrap() };
    let first = User { exist: Some(refreshed.clone()), ..first };

    let again = person.documents(&sealer, &first, 0);
    assert!(again.iter().all(|(field, _)| field != field::EXIST), "what is right is not touched");

    let off = Connected::Off { reason: "401".to_owned(), since_ms: 1 };
    let first = User { exist: Some(ExistConnection { connected: off, ..refreshed.clone() }), ..first };
    assert_eq!(stored(&person.documents(&sealer, &first, 0), &first).exist, Some(refreshed), "on again, same tokens");

    let other = check(&text.replace(r#""t""#, r#""other""#)).unwrap_or_default().pop().unwrap();
    let other = stored(&other.documents(&sealer, &first, 0), &first).exist.unwrap();
    assert_eq!(sealer.open(&other.access_token, "alice/exist").unwrap().expose_secret(), "other");
}

#[test]
fn the_same_credentials_again_do_not_touch_a_connection_whose_token_may_be_refreshed_in_this_moment() {
    let (sealer, text) = (sealer(), format!("[{}]", row("alice", "{}")));
    let person = check(&text).unwrap_or_default().pop().unwrap();
    let toggl = SourceName::try_new("toggl").unwrap();
    let written = |before: &User| {
        let documents = person.documents(&sealer, before, 0);
        let text = documents.into_iter().find(|(name, _)| *name == field::source(&toggl)).map(|(_, text)| text);
        text.map(|text| serde_json::from_str::<SourceConnection>(&text).unwrap())
    };
    let first = person.documents(&sealer, &User::default(), 0);
    let imported = first.iter().find(|(name, _)| *name == field::imported(&toggl)).unwrap().1.clone();
    let refreshed = SourceConnection { credentials: "refreshed".into(), ..written(&User::default()).unwrap() };
    let with = |connection: &SourceConnection| User {
        sources: [(toggl.clone(), connection.clone())].into(),
        imported_sources: [(toggl.clone(), imported.clone())].into(),
        ..User::default()
    };
    assert_eq!(written(&with(&refreshed)), None, "what is right is not touched");
    let off = Connected::Off { reason: "401".to_owned(), since_ms: 1 };
    let is_off = SourceConnection { connected: off, ..refreshed.clone() };
    assert_eq!(written(&with(&is_off)), Some(refreshed), "on again, same tokens");
}
