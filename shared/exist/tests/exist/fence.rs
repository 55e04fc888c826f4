//! A body that must not leave does not.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use exist::{ExistError, Fate};
use tokio::{
    io::AsyncReadExt,
    net::TcpListener,
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
};

use crate::{
    server::{Reply, Server, client_of, token},
    writes::one,
};

/// Takes connections and tells, for each, all that arrived on it before it was closed.
async fn listen() -> (SocketAddr, UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (told, arrived) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let told = told.clone();
            tokio::spawn(async move {
                let mut bytes = Vec::new();
                // A reset is an end as well.
                let _ = stream.read_to_end(&mut bytes).await;
                let _ = told.send(String::from_utf8(bytes).unwrap());
            });
        }
    });
    (address, arrived)
}

#[tokio::test]
async fn a_fenced_body_never_arrives() {
    let (address, mut arrived) = listen().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let no = move || {
        count.fetch_add(1, Ordering::SeqCst);
        false
    };
    let written = client_of(address).update(&token(), &one(), no).await;
    assert!(matches!(written, Err(ExistError::Fenced { .. })), "{written:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    // The connection is closed without a byte of the body, whose length the head may have promised.
    let request = arrived.recv().await.unwrap();
    let body = request.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    assert_eq!(body, "", "{request}");
    assert!(!request.contains("chunked"), "{request}");
}

#[tokio::test]
async fn a_fenced_refresh_never_arrives() {
    let (address, mut arrived) = listen().await;
    let refreshed = client_of(address).refresh(&"refresh-0ne".into(), || false).await;
    assert!(matches!(refreshed, Err(ExistError::Fenced { .. })), "{refreshed:?}");
    assert!(!arrived.recv().await.unwrap().contains("refresh"));
}

#[tokio::test]
async fn a_worker_that_lost_its_user_between_two_calls_sends_the_first_alone() {
    let done = Reply::new(200, r#"{"success":[{"name":"keystrokes","date":"2026-03-28","value":18250}],"failed":[]}"#);
    let server = Server::answering([done.clone(), done]).await;
    let client = server.client();
    let ours = Arc::new(AtomicBool::new(true));
    let fence = || {
        let ours = Arc::clone(&ours);
        move || ours.load(Ordering::SeqCst)
    };
    assert!(client.update(&token(), &one(), fence()).await.is_ok());
    ours.store(false, Ordering::SeqCst);
    // On the connection of the first call, which stands ready.
    let second = client.update(&token(), &one(), fence()).await;
    assert!(matches!(second, Err(ExistError::Fenced { .. })), "{second:?}");
    ours.store(true, Ordering::SeqCst);
    let third = client.update(&token(), &one(), fence()).await.unwrap();
    assert!(matches!(third.settled[0].fate, Fate::Applied(_)));
    assert_eq!(server.asked().len(), 2);
}
