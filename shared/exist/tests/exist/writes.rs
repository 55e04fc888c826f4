//! Batches and their answers.

use exist::{
    Acquire, Batch, Cause, Create, Delta, ErrorCode, Exact, ExistError, Fate, Number, Release, Value, ValueType,
};
use jiff::civil::date;

use crate::server::{Reply, Server, token};

pub(crate) fn value(name: &str, day: i8, value: Number) -> Value {
    Value { name: name.to_owned(), date: date(2026, 3, day), value }
}

pub(crate) fn one() -> Batch<Value> {
    Batch::try_new(vec![value("keystrokes", 28, Number::Whole(18_250))]).unwrap()
}

#[tokio::test]
async fn a_total_goes_out_exactly_as_spelled_with_its_length_and_type() {
    let server = Server::once(200, r#"{"success":[],"failed":[]}"#).await;
    let batch = Batch::try_new(vec![
        value("keystrokes", 28, Number::Whole(9)),
        value("money_spent", 1, Number::Hundredths(4250)),
        value("money_spent", 2, Number::Hundredths(-5)),
    ]);
    let answer = server.client().update(&token(), &batch.unwrap(), || true).await.unwrap();
    assert!(answer.settled.iter().all(|settled| settled.fate == Fate::Unconfirmed));

    let asked = server.only();
    assert_eq!((asked.method.as_str(), asked.uri.to_string().as_str()), ("POST", "/api/2/attributes/update/"));
    assert_eq!(
        asked.body,
        r#"[{"name":"keystrokes","date":"2026-03-28","value":9},{"name":"money_spent","date":"2026-03-01","value":42.5},{"name":"money_spent","date":"2026-03-02","value":-0.05}]"#
    );
    assert_eq!(asked.header("content-type"), Some("application/json"));
    assert_eq!(asked.header("content-length"), Some(asked.body.len().to_string().as_str()));
    assert_eq!(asked.header("transfer-encoding"), None);
    assert_eq!(asked.header("authorization"), Some("Bearer t0ken-of-alice"));
    assert_eq!(asked.header("user-agent"), Some(concat!("tributary/", env!("CARGO_PKG_VERSION"))));
}

#[tokio::test]
async fn part_of_a_batch_can_fail_under_any_status() {
    for status in [200, 202, 400, 422] {
        let server = Server::once(
            status,
            r#"{"success":[{"name":"keystrokes","date":"2026-03-28","value":18250.0}],
                "failed":[{"name":"money_spent","date":"2026-03-28","value":42.5,"error_code":"unauthorised",
                           "error":"Attribute 'money_spent' does not belong to this service"}]}"#,
        )
        .await;
        let batch = Batch::try_new(vec![
            value("money_spent", 28, Number::Hundredths(4250)),
            value("keystrokes", 28, Number::Whole(18_250)),
        ]);
        let written = server.client().update(&token(), &batch.unwrap(), || true).await.unwrap();
        let [money, keys] = &written.settled[..] else { panic!("two items, two fates") };
        let Fate::Refused(refusal) = &money.fate else { panic!("{money:?}") };
        assert_eq!((&refusal.code, refusal.message.len()), (&ErrorCode::Unauthorised, 55));
        let Fate::Applied(stored) = keys.fate else { panic!("{keys:?}") };
        assert_eq!(stored.now, Some(Exact::from(18_250)));
        assert_eq!(keys.item.name, "keystrokes");
    }
}

#[tokio::test]
async fn an_answer_without_both_arrays_leaves_the_outcome_unknown() {
    for body in [r#"{"ok":true}"#, "[]", "", "<html>", r#"{"success":{}}"#, r#"{"success":[],"fai"#] {
        let server = Server::once(200, body).await;
        let error = server.client().update(&token(), &one(), || true).await.unwrap_err();
        assert!(matches!(error, ExistError::Unknown { cause: Cause::Unreadable(_), .. }), "{body}: {error:?}");
        assert!(error.may_be_applied());
    }
}

#[tokio::test]
async fn an_increment_tells_what_stands_there_now() {
    let reply = r#"{"success":[{"name":"money_spent","date":"2026-03-28","value":1.2,"current":43.70000000000001}]}"#;
    let server = Server::once(200, reply).await;
    let delta = Delta { name: "money_spent".to_owned(), date: date(2026, 3, 28), value: Number::Hundredths(120) };
    let batch = Batch::try_new(vec![delta]).unwrap();
    let answer = server.client().increment(&token(), &batch, || true).await.unwrap();
    let Fate::Applied(stored) = answer.settled[0].fate else { panic!("{answer:?}") };
    assert!(exist::same_value(Number::Hundredths(4370), &stored.now.unwrap()));
    let asked = server.only();
    assert_eq!(asked.uri.path(), "/api/2/attributes/increment/");
    assert_eq!(asked.body, r#"[{"name":"money_spent","date":"2026-03-28","value":1.2}]"#);
}

#[tokio::test]
async fn acquiring_asks_for_whole_objects_and_switches_entry_by_hand_off() {
    let reply = r#"{"success":[{"template":"tv_min","name":"tv_min","label":"Watching TV","subgroup":null,
        "group":{"name":"media","label":"Media","priority":7},"service":{"name":"ours1","label":"Ours"},"active":true,
        "priority":5,"manual":false,"value_type":3,"value_type_description":"Period (min)","available_services":[]}],
        "failed":[{"name":"mouse_clicks","manual":false,"error_code":"not_found",
        "error":"Attribute matching query does not exist."}]}"#;
    let server = Server::once(202, reply).await;
    let batch = vec![Acquire::Name("mouse_clicks".to_owned()), Acquire::Template("tv_min".to_owned())];
    let acquired = server.client().acquire(&token(), &Batch::try_new(batch).unwrap()).await.unwrap();
    assert!(matches!(&acquired.settled[0].fate, Fate::Refused(refusal) if refusal.code == ErrorCode::NotFound));
    let Fate::Applied(attribute) = &acquired.settled[1].fate else { panic!("{acquired:?}") };
    assert_eq!(attribute.value_type, Some(ValueType::Duration));
    assert_eq!(attribute.service.as_ref().map(|service| service.name.as_str()), Some("ours1"));

    let asked = server.only();
    assert_eq!(asked.uri.to_string(), "/api/2/attributes/acquire/?success_objects=1");
    assert_eq!(asked.body, r#"[{"name":"mouse_clicks","manual":false},{"template":"tv_min","manual":false}]"#);
}

#[tokio::test]
async fn creating_tells_the_name_that_was_made_or_is_in_the_way() {
    let reply = r#"{"success":[{"label":"Deep work","group":"productivity","value_type":3,"manual":false,
        "name":"deep_work_2","priority":9}],
        "failed":[{"label":"Uploads","name":"uploads","error_code":"exists","error":"exists"}]}"#;
    let server = Server::once(202, reply).await;
    let create = |label: &str, value_type| Create { label: label.into(), group: "productivity".into(), value_type };
    let batch = vec![create("Deep work", ValueType::Duration), create("Uploads", ValueType::Integer)];
    let created = server.client().create(&token(), &Batch::try_new(batch).unwrap()).await.unwrap();
    let Fate::Applied(attribute) = &created.settled[0].fate else { panic!("{created:?}") };
    assert_eq!(attribute.name, "deep_work_2");
    let Fate::Refused(refusal) = &created.settled[1].fate else { panic!("{created:?}") };
    assert_eq!((&refusal.code, refusal.name.as_deref()), (&ErrorCode::Exists, Some("uploads")));

    let asked = server.only();
    assert_eq!(asked.uri.to_string(), "/api/2/attributes/create/?success_objects=1");
    assert_eq!(
        asked.body,
        r#"[{"label":"Deep work","group":"productivity","value_type":3,"manual":false},{"label":"Uploads","group":"productivity","value_type":0,"manual":false}]"#
    );
}

#[tokio::test]
async fn a_release_names_what_is_given_up() {
    let server = Server::answering([Reply::new(
        202,
        r#"{"success":[{"name":"a","service":"","active":false}],
            "failed":[{"name":"b","error_code":"unauthorised","error":"Attribute 'b' does not belong to this service"}]}"#,
    )])
    .await;
    let batch = ["a", "b"].map(|name| Release { name: name.to_owned() }).to_vec();
    let released = server.client().release(&token(), &Batch::try_new(batch).unwrap()).await.unwrap();
    assert!(matches!(released.settled[0].fate, Fate::Applied(_)));
    assert!(matches!(released.settled[1].fate, Fate::Refused(_)));
    let asked = server.only();
    assert_eq!(
        (asked.uri.path(), asked.body.as_str()),
        ("/api/2/attributes/release/", r#"[{"name":"a"},{"name":"b"}]"#)
    );
}
