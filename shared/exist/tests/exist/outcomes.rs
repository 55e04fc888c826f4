//! Every way a call can end, and what may have been applied.

use std::{net::SocketAddr, time::Duration};

use exist::{Cause, ExistError, RESPONSE_MAX};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    server::{Reply, Server, client_of, token},
    writes::one,
};

async fn after(reply: Reply) -> ExistError {
    let server = Server::answering([reply]).await;
    let error = server.client().update(&token(), &one(), || true).await.unwrap_err();
    assert_eq!(server.asked().len(), 1, "one call is one request");
    error
}

#[tokio::test]
async fn the_status_decides_before_the_body_is_looked_at() {
    let html = "<html><body>504 Gateway Time-out</body></html>";
    let done = r#"{"success":[{"name":"keystrokes","date":"2026-03-28","value":18250}],"failed":[]}"#;
    for body in ["", html, r#"{"detail":"no"}"#, r#"{"error":"no"}"#, done] {
        let after = |status| after(Reply::new(status, body));
        assert!(matches!(after(401).await, ExistError::Unauthorised { .. }), "{body}");
        assert!(matches!(after(429).await, ExistError::RateLimited { retry_after: None, .. }), "{body}");
        for status in [302, 408, 500, 502, 503, 504] {
            let error = after(status).await;
            assert!(matches!(error, ExistError::Unknown { cause: Cause::Status { .. }, .. }), "{body}: {error:?}");
        }
    }
    for body in ["", html, r#"{"detail":"no"}"#, r#"{"error":"no"}"#] {
        let after = |status| after(Reply::new(status, body));
        assert!(matches!(after(403).await, ExistError::Forbidden { .. }), "{body}");
        assert!(matches!(after(404).await, ExistError::NotFound { .. }), "{body}");
        for status in [400, 405, 413, 415, 422] {
            let error = after(status).await;
            assert!(matches!(error, ExistError::Refused { .. }), "{body}: {error:?}");
            assert!(!error.may_be_applied());
        }
    }
}

#[tokio::test]
async fn a_429_tells_how_long_to_wait_if_it_says_so() {
    let seconds = after(Reply::new(429, "").with("retry-after", "17")).await;
    assert!(
        matches!(seconds, ExistError::RateLimited { retry_after: Some(wait), .. } if wait == Duration::from_secs(17))
    );
    let date = Reply::new(429, "")
        .with("date", "Sat, 28 Mar 2026 12:00:00 GMT")
        .with("retry-after", "Sat, 28 Mar 2026 12:01:00 GMT");
    let date = after(date).await;
    assert!(matches!(date, ExistError::RateLimited { retry_after: Some(wait), .. } if wait == Duration::from_secs(60)));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::once(200, r#"{"success":[],"failed":[]}"#).await;
    let location = format!("http://{}/", elsewhere.address());
    let error = after(Reply::new(307, "").with("location", location)).await;
    assert!(matches!(error, ExistError::Unknown { cause: Cause::Status { .. }, .. }));
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let error = after(Reply::new(200, " ".repeat(RESPONSE_MAX + 1))).await;
    assert!(matches!(error, ExistError::Unknown { cause: Cause::Unreadable(_), .. }), "{error:?}");
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent_and_nobody_asked_the_fence() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = client_of(address);
    let written = client.update(&token(), &one(), || panic!("the fence is not asked")).await;
    assert!(matches!(written, Err(ExistError::NotSent { .. })), "{written:?}");
    let read = client.profile(&token()).await;
    assert!(matches!(read, Err(ExistError::NotSent { .. })), "{read:?}");
}

#[tokio::test]
async fn a_connection_reset_after_the_request_leaves_the_outcome_unknown() {
    let address = raw(|mut stream| async move {
        read_request(&mut stream).await;
        stream.set_zero_linger().unwrap();
    })
    .await;
    let error = client_of(address).update(&token(), &one(), || true).await.unwrap_err();
    assert!(matches!(error, ExistError::Unknown { cause: Cause::Broken(_), .. }), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_leaves_the_outcome_unknown() {
    let address = raw(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{\"success\":[").await.unwrap();
    })
    .await;
    let error = client_of(address).update(&token(), &one(), || true).await.unwrap_err();
    assert!(matches!(error, ExistError::Unknown { cause: Cause::Broken(_), .. }), "{error:?}");
}

#[tokio::test]
async fn silence_ends_with_the_time_allowed_and_an_unknown_outcome() {
    let address = raw(|mut stream| async move {
        read_request(&mut stream).await;
        // Holds the connection open until the other side leaves.
        let _ = stream.read(&mut [0]).await;
    })
    .await;
    let error = client_of(address).update(&token(), &one(), || true).await.unwrap_err();
    assert!(matches!(error, ExistError::Unknown { cause: Cause::TimedOut, .. }), "{error:?}");
}

/// Serves one connection with `serve`, which closes it by returning.
async fn raw<F>(serve: impl FnOnce(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream).await;
    });
    address
}

/// Reads until the body is whole; every body here is an array.
async fn read_request(stream: &mut TcpStream) {
    let mut request = Vec::new();
    while !request.ends_with(b"]") {
        assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0, "the request ended early");
    }
}
