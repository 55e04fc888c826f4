//! No token in any text.

use exist::MESSAGE_MAX;

use crate::{
    server::{Server, chain, token},
    writes::one,
};

const SECRETS: [&str; 4] = ["t0ken-of-alice", "refresh-0ne", "app-s3cret", "new-access"];

fn holds_no_secret(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test]
async fn an_answer_that_repeats_the_token_does_not_carry_it_into_an_error() {
    let padding = "x".repeat(MESSAGE_MAX - 3);
    let bodies = [
        r#"{"detail":"Invalid token SECRET"}"#.to_owned(),
        r#"{"error":"invalid_request","error_description":"SECRET is used"}"#.to_owned(),
        "unknown: SECRET".to_owned(),
        format!("{padding}SECRET"),
        r#"{"success":"SECRET"}"#.to_owned(),
    ];
    for (body, status) in
        bodies.iter().flat_map(|body| [200, 400, 401, 403, 404, 429, 500].map(|status| (body, status)))
    {
        let server = Server::once(status, body.replace("SECRET", "t0ken-of-alice")).await;
        let error = server.client().update(&token(), &one(), || true).await.unwrap_err();
        holds_no_secret(&format!("{error:?} {}", chain(&error)));
        assert!(chain(&error).chars().count() < MESSAGE_MAX + 100);

        let server = Server::once(status, body.replace("SECRET", "refresh-0ne/app-s3cret")).await;
        let error = server.client().refresh(&"refresh-0ne".into(), || true).await.unwrap_err();
        holds_no_secret(&format!("{error:?} {}", chain(&error)));
    }
}

#[tokio::test]
async fn a_new_pair_that_cannot_be_read_is_not_repeated() {
    for body in [r#"{"access_token":{"new-access":1}}"#, r#"{"access_token":"new-access""#, "new-access"] {
        let server = Server::once(200, body).await;
        let error = server.client().refresh(&"refresh-0ne".into(), || true).await.unwrap_err();
        holds_no_secret(&format!("{error:?} {}", chain(&error)));
    }
}

#[tokio::test]
async fn a_client_and_its_tokens_can_be_printed() {
    let server = Server::once(200, r#"{"access_token":"new-access","refresh_token":"refresh-0ne"}"#).await;
    let client = server.client();
    let tokens = client.refresh(&"refresh-0ne".into(), || true).await.unwrap();
    holds_no_secret(&format!("{client:?} {tokens:?}"));
}

#[tokio::test]
async fn a_token_that_cannot_stand_in_a_header_is_no_token() {
    let server = Server::answering([]).await;
    let error = server.client().profile(&"t0ken-of-alice\r\nX: y".into()).await.unwrap_err();
    assert!(matches!(error, exist::ExistError::Unauthorised { .. }));
    holds_no_secret(&format!("{error:?} {}", chain(&error)));
    assert!(server.asked().is_empty());
}
