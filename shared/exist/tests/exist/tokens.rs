//! Codes and refresh tokens.

use std::time::Duration;

use exist::{AppCredentials, Cause, Client, ExistError, http_client};
use reqwest::Url;
use secrecy::ExposeSecret;

use crate::server::{CALL, Server};

const PAIR: &str = r#"{"access_token":"new-access","token_type":"Bearer","expires_in":31535999,
    "refresh_token":"new-refresh","scope":"media_write productivity_write"}"#;

fn redirect() -> Url {
    "https://ours.example/oauth/exist/callback?x=1".parse().unwrap()
}

#[tokio::test]
async fn a_code_becomes_a_pair() {
    let server = Server::once(200, PAIR).await;
    let tokens = server.client().exchange_code(&"c0de/+".into(), &redirect()).await.unwrap();
    assert_eq!(tokens.access.expose_secret(), "new-access");
    assert_eq!(tokens.refresh.unwrap().expose_secret(), "new-refresh");
    assert_eq!(tokens.expires_in, Some(Duration::from_secs(31_535_999)));
    assert_eq!(tokens.scopes, ["media_write", "productivity_write"]);

    let asked = server.only();
    assert_eq!((asked.method.as_str(), asked.uri.to_string().as_str()), ("POST", "/oauth2/access_token"));
    assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(asked.header("authorization"), None);
    assert_eq!(
        asked.body,
        "grant_type=authorization_code&code=c0de%2F%2B\
         &redirect_uri=https%3A%2F%2Fours.example%2Foauth%2Fexist%2Fcallback%3Fx%3D1\
         &client_id=app&client_secret=app-s3cret"
    );
}

#[tokio::test]
async fn a_refresh_token_becomes_a_pair_even_a_sparse_one() {
    let server = Server::once(200, r#"{"access_token":"new-access","expires_in":"soon"}"#).await;
    let tokens = server.client().refresh(&"refresh-0ne".into(), || true).await.unwrap();
    assert!(tokens.refresh.is_none() && tokens.expires_in.is_none() && tokens.scopes.is_empty());
    let body = "grant_type=refresh_token&refresh_token=refresh-0ne&client_id=app&client_secret=app-s3cret";
    assert_eq!(server.only().body, body);
}

#[tokio::test]
async fn a_refusal_is_about_the_grant_or_about_our_application() {
    let after = async |status, body: &str| {
        let server = Server::once(status, body).await;
        server.client().refresh(&"refresh-0ne".into(), || true).await.unwrap_err()
    };
    for status in [400, 401] {
        let error = after(status, r#"{"error":"invalid_grant","error_description":"gone"}"#).await;
        assert!(matches!(error, ExistError::InvalidGrant { .. }), "{error:?}");
        let error = after(status, r#"{"error":"invalid_client"}"#).await;
        assert!(matches!(error, ExistError::AppRefused { .. }), "{error:?}");
    }
    assert!(matches!(after(401, "").await, ExistError::AppRefused { .. }));
    let error = after(400, r#"{"error":"invalid_request","error_description":"why"}"#).await;
    assert!(matches!(error, ExistError::Refused { message, .. } if message == "invalid_request: why"));
    assert!(matches!(after(429, "").await, ExistError::RateLimited { .. }));
    assert!(matches!(after(502, "<html>").await, ExistError::Unknown { .. }));
}

#[tokio::test]
async fn a_pair_that_cannot_be_read_may_have_killed_the_old_one() {
    for body in ["", "{}", r#"{"access_token":""}"#, r#"{"access_token":5}"#] {
        let server = Server::once(200, body).await;
        let error = server.client().refresh(&"refresh-0ne".into(), || true).await.unwrap_err();
        assert!(matches!(error, ExistError::Unknown { cause: Cause::Unreadable(_), .. }), "{body}: {error:?}");
    }
}

#[tokio::test]
async fn the_authorisation_address_separates_scopes_with_spaces() {
    let server = Server::answering([]).await;
    let redirect = redirect();
    let url = server.client().authorise_url("st&te", &["media_write", "finance_write"], &redirect).unwrap();
    assert!(url.path().ends_with("/oauth2/authorize"));
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let expected = [
        ("response_type", "code"),
        ("client_id", "app"),
        ("redirect_uri", redirect.as_str()),
        ("scope", "media_write finance_write"),
        ("state", "st&te"),
    ];
    assert_eq!(pairs, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    assert!(!url.as_str().contains("%2B") && !url.as_str().contains("app-s3cret"));
}

#[tokio::test]
async fn without_application_credentials_no_token_is_asked_for() {
    let server = Server::answering([]).await;
    drop(server.client()); // installs the crypto provider
    let base: Url = format!("http://{}", server.address()).parse().unwrap();
    let client = Client::new(http_client(CALL).unwrap(), base.clone(), base, None::<AppCredentials>);
    let refreshed = client.refresh(&"refresh-0ne".into(), || true).await;
    assert!(matches!(refreshed, Err(ExistError::NoApp { .. })));
    assert!(server.asked().is_empty());
}
