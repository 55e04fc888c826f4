//! Profile, attributes, values.

use exist::{AttributeFilter, Cause, Days, Exact, ExistError, Reading, Rows, ValueType};
use jiff::civil::date;

use crate::server::{Reply, Server, token};

#[tokio::test]
async fn a_profile_needs_no_more_than_a_name() {
    let full = r#"{"username":"sam","timezone":"Europe/Vienna","local_time":"2026-03-29T03:10:00.123456+02:00",
        "imperial_distance":false,"trial":false,"delinquent":true,"moon":"full"}"#;
    let server = Server::answering([Reply::new(200, full), Reply::new(200, r#"{"username":"sam","trial":0}"#)]).await;
    let profile = server.client().profile(&token()).await.unwrap();
    assert_eq!((profile.timezone.as_deref(), profile.delinquent), (Some("Europe/Vienna"), Some(true)));
    let bare = server.client().profile(&token()).await.unwrap();
    assert_eq!((bare.username.as_str(), bare.timezone, bare.trial), ("sam", None, None));
    let asked = &server.asked()[0];
    assert_eq!((asked.method.as_str(), asked.uri.to_string().as_str()), ("GET", "/api/2/accounts/profile/"));
    assert_eq!(asked.header("authorization"), Some("Bearer t0ken-of-alice"));
}

#[tokio::test]
async fn a_name_filter_is_applied_here_when_exist_ignores_it() {
    let answer = r#"{"count":3,"next":"https://elsewhere.example/api/2/attributes/?page=7","previous":null,"results":[
        {"template":"tv_min","name":"tv_min","label":"TV","group":{"name":"media"},"service":{"name":"ours1"},
         "active":true,"value_type":3},
        {"template":null,"name":"tv","label":"tv_min","group":{"name":"media"},"service":null,"active":false,"value_type":0}]}"#;
    let server = Server::once(200, answer).await;
    let filter =
        AttributeFilter { names: vec!["tv_min".into(), "x&y".into()], include_inactive: true, ..Default::default() };
    let page = server.client().attributes(&token(), &filter, 3).await.unwrap();
    assert_eq!(page.results.len(), 1);
    assert_eq!(page.results[0].value_type, Some(ValueType::Duration));
    assert_eq!(page.next, Some(4));
    let asked = "/api/2/attributes/?attributes=tv_min%2Cx%26y&include_inactive=true&limit=100&page=3";
    assert_eq!(server.only().uri.to_string(), asked);
}

#[tokio::test]
async fn owned_attributes_are_a_list_of_their_own() {
    let server = Server::once(200, r#"{"count":0,"next":null,"previous":null,"results":[]}"#).await;
    let page = server.client().owned(&token(), &AttributeFilter::default(), 1).await.unwrap();
    assert_eq!((page.results.len(), page.next), (0, None));
    assert_eq!(server.only().uri.to_string(), "/api/2/attributes/owned/?limit=100&page=1");
}

#[tokio::test]
async fn values_of_one_attribute_come_with_their_dates() {
    let answer = r#"{"count":412,"next":"http://exist.io/x?page=2","previous":null,
        "results":[{"date":"2026-03-28","value":18250},{"date":"2026-03-26","value":null},{"date":"2026-03-25"}]}"#;
    let server = Server::once(200, answer).await;
    let page = server.client().values(&token(), "keystrokes", date(2026, 3, 28), Rows::ONE, 1).await.unwrap();
    assert_eq!(page.results[0].date, date(2026, 3, 28));
    assert_eq!(page.results[0].value, Reading::Number(Exact::from(18_250)));
    assert_eq!((&page.results[1].value, &page.results[2].value), (&Reading::Null, &Reading::Null));
    assert_eq!(page.next, Some(2));
    let asked = "/api/2/attributes/values/?attribute=keystrokes&date_max=2026-03-28&limit=1&page=1";
    assert_eq!(server.only().uri.to_string(), asked);
}

#[tokio::test]
async fn an_inactive_attribute_has_no_values_to_read() {
    let server = Server::once(404, r#"{"detail":"Not found."}"#).await;
    let read = server.client().values(&token(), "gone", date(2026, 3, 28), Rows::MAX, 1).await;
    assert!(matches!(read, Err(ExistError::NotFound { message, .. }) if message == "Not found."));
}

#[tokio::test]
async fn recent_values_of_several_attributes_come_in_one_request() {
    let answer = r#"{"count":2,"next":null,"previous":null,"results":[
        {"group":{"name":"finance"},"template":"money_spent","name":"money_spent","label":"Money","value_type":1,
         "service":null,"active":true,"manual":false,"priority":1,
         "values":[{"date":"2026-03-28","value":42.300000000000004},{"date":"2026-03-26","value":0}]},
        {"name":"steps_goal","values":[]}]}"#;
    let server = Server::once(200, answer).await;
    let names = ["money_spent".to_owned()];
    let page = server.client().with_values(&token(), &names, Days::MAX, date(2026, 3, 28), 1).await.unwrap();
    assert_eq!(page.results.len(), 1);
    let money = &page.results[0];
    assert_eq!(money.attribute.value_type, Some(ValueType::Decimal));
    assert_eq!(money.values[0].value.number().unwrap().to_hundredths(), Some(4230));
    assert!(money.values[1].value.number().unwrap().is_zero());
    let asked = "/api/2/attributes/with-values/?days=31&date_max=2026-03-28&attributes=money_spent&limit=100&page=1";
    assert_eq!(server.only().uri.to_string(), asked);
}

#[tokio::test]
async fn a_row_whose_day_cannot_be_read_spoils_the_answer_rather_than_a_day() {
    let answer = r#"{"count":1,"next":null,"results":[{"date":"28/03/2026","value":1}]}"#;
    let server = Server::once(200, answer).await;
    let read = server.client().values(&token(), "a", date(2026, 3, 28), Rows::MAX, 1).await;
    assert!(matches!(read, Err(ExistError::Unknown { cause: Cause::Unreadable(_), .. })), "{read:?}");
}
